"""Ctrl-C at chosen moments of real programs: a module on PYTHONPATH sends SIGINT at a certain import."""

import os
import signal
import sys

import pytest
from helpers import running

# Python imports sitecustomize when it starts.
INTERRUPTING = """
import os, signal, sys
class Finder(object):
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_IMPORT"]:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                pass                        # as libraries do
        return None
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture(scope="module")
def interrupting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupting")
    (folder / "sitecustomize.py").write_text(INTERRUPTING)
    return str(folder)


@pytest.fixture
def interrupted(interrupting):
    """Run a program that is interrupted at an import; return its exit status, stdout and stderr."""
    def run(path, arguments, module):
        return running.run(path, arguments, PYTHONPATH=interrupting, INTERRUPTED_IMPORT=module)
    return run


@pytest.mark.parametrize("module", [
    "theano_rnn.errors", "argparse", "numpy", "numpy.linalg", "Experiments.shared.train_and_evaluate",
    "theano", "theano.gof.cc", "lasagne.layers"])
def test_training_that_is_interrupted_by_an_import(interrupted, data, tmp_path, module):
    arguments = running.tiny_arguments("Char_PTB", data("Char_PTB"), tmp_path / "run")
    assert interrupted(running.script("Char_PTB"), arguments, module) == (130, "", "\ninterrupted\n")


@pytest.mark.parametrize("experiment, name", [
    ("IMDB", "prepare_data.py"), ("language_modeling", "finetune.py"), ("sequence_labeling", "main.py"),
    ("Char_PTB", "run_compressed.py"), (".", "reproduce.py"), (".", "plot_runs.py"), (".", "baselines.py"),
])
def test_other_programs_that_are_interrupted_by_an_import(interrupted, experiment, name):
    path = running.script(experiment, name)
    assert interrupted(path, ["--help"], "theano_rnn.errors") == (130, "", "\ninterrupted\n")


def test_the_predictor(interrupting):
    ended = running.run_module("bayes_rnn.predict", ["--help"], PYTHONPATH=interrupting, INTERRUPTED_IMPORT="numpy")
    assert ended == (130, "", "\ninterrupted\n")


def test_a_script_of_the_user_keeps_its_handler(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(u"import theano_rnn.errors, signal\n"
                      u"print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n")
    assert running.run(str(script), []) == (0, "True\n", "")


def test_a_program_behind_a_symbolic_link_is_one_of_the_project(tmp_path, monkeypatch):
    from theano_rnn import interrupts
    (tmp_path / "project").symlink_to(interrupts.PROJECT)
    program = os.path.join("Experiments", "IMDB", "main.py")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "project" / program), raising=False)
    assert interrupts._is_program()


PROGRAM = """
import os, signal
import theano_rnn
from theano_rnn import interrupts
from theano_rnn.errors import reported_errors

def interrupt(title):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print(title, flush=True)

interrupts._is_program = lambda: True
interrupts.begin()
with reported_errors():
    interrupt("files are closed")
    with interrupts.exit_at_once():
        %s
    interrupt("files are closed")
interrupt("not printed")
"""


def test_inside_a_command_line_files_are_closed_and_at_the_end_the_program_ends():
    assert running.wait(running.start_python(PROGRAM % "pass")) \
        == (130, "files are closed\nfiles are closed\n", "\ninterrupted\n")


def test_imports_inside_a_command_line_end_the_program():
    assert running.wait(running.start_python(PROGRAM % "interrupt('not printed')")) \
        == (130, "files are closed\n", "\ninterrupted\n")


WHILE_AN_OBJECT_IS_DELETED = """
import os, signal, time
import theano_rnn
from theano_rnn import interrupts
from theano_rnn.errors import reported_errors

class Deleted(object):
    def __del__(self):                      # Python ignores exceptions here
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

interrupts._is_program = lambda: True
interrupts.begin()
with reported_errors():
    try:
        Deleted()
        time.sleep(60)
    finally:
        print("files are closed", flush=True)
"""


@pytest.mark.skipif(sys.version_info < (3, 8), reason="CPython has no sys.unraisablehook before 3.8")
def test_ctrl_c_is_not_ignored_while_an_object_is_deleted():
    assert running.wait(running.start_python(WHILE_AN_OBJECT_IS_DELETED)) \
        == (130, "files are closed\n", "\ninterrupted\n")


def test_other_handlers_are_kept():
    from theano_rnn import interrupts
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.raising(), interrupts.exit_at_once():
            interrupts.begin()
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
