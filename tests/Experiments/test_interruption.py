"""Signals and failing output, in real processes without Theano."""

import contextlib
import io
import os
import signal
import subprocess
import sys

import pytest
from helpers import running

from Experiments.shared.interruption import lasting_output

SHIELDED = """
import os, signal, subprocess, sys
from Experiments.shared.interruption import InterruptSwitch, shielded_children
os.setsid()
with InterruptSwitch() as switch:
    with shielded_children():
        child = subprocess.Popen([sys.executable, "-c", "print('ready', flush=True); input(); print('compiled')"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdout.readline()
        os.killpg(0, %d)                    # as the terminal does
        output = child.communicate(b"\\n")[0]
    print(output, child.returncode, switch.pressed, switch.by_user)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_does_not_end_the_compiler(number):
    status, output, errors = running.wait(running.start_python(SHIELDED % number))
    assert (status, output) == (0, "b'compiled\\n' 0 True %s\n" % (number == signal.SIGINT)), errors
    assert errors == "\nstopping soon; everything is saved first ...\n"


def test_without_a_switch_children_are_not_shielded():
    code = SHIELDED.replace("with InterruptSwitch() as switch:", "if True:").replace(
        "os.setsid()", "os.setsid(); signal.signal(signal.SIGINT, lambda *_: None)").replace(
        ", switch.pressed, switch.by_user", "")
    status, output, errors = running.wait(running.start_python(code % signal.SIGINT))
    assert (status, output) == (0, "b'' %d\n" % -signal.SIGINT), errors


PRINTING = """
import sys
from Experiments.shared.interruption import lasting_output
from Experiments.shared.run_folder import RunFolder
with lasting_output():
    for number in range(5000):
        RunFolder(sys.argv[1]).log("line %d" % number)
"""


def test_training_goes_on_when_the_reader_of_its_output_ends(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", PRINTING, str(tmp_path)], cwd=running.ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"line 0\n"
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert errors == (b"warning: standard output failed (Broken pipe); training continues, and its log has all "
                      b"lines\n")
    assert running.read_text(tmp_path / "log.txt").splitlines() == ["line %d" % number for number in range(5000)]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("both", [False, True])
def test_training_goes_on_when_output_cannot_be_written(tmp_path, both):
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen([sys.executable, "-c", PRINTING, str(tmp_path)], cwd=running.ROOT, stdout=full,
                                   stderr=full if both else subprocess.PIPE)
        errors = process.communicate()[1]
    assert process.returncode == 0
    assert both or errors.count(b"\n") == 1 and b"No space left on device" in errors
    assert len(running.read_text(tmp_path / "log.txt").splitlines()) == 5000


def test_letters_that_the_terminal_does_not_have():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with contextlib.redirect_stdout(stream), lasting_output():
        print(u"caf\u00e9", flush=True)
        print("more", flush=True)
    assert stream.buffer.getvalue() == b"caf\\xe9\nmore\n"
