"""Errors of command lines: one line, and the exit status."""

import errno
import os
import subprocess
import sys

from theano_rnn.errors import EXIT_ERROR, EXIT_INTERRUPTED, ArgumentParser, ReportedError, reported_errors

import pytest


def ending(action):
    """Return the exit status of an action within `reported_errors`."""
    with pytest.raises(SystemExit) as ended, reported_errors():
        action()
    return ended.value.code


def raising(error):
    def action():
        raise error
    return action


def test_exit_statuses():
    assert (EXIT_ERROR, EXIT_INTERRUPTED) == (2, 130)


def test_a_reported_error_is_one_line(capsys):
    assert ending(raising(ReportedError("batch_size must be at least 1, got 0"))) == 2
    assert capsys.readouterr() == ("", "error: batch_size must be at least 1, got 0\n")


@pytest.mark.parametrize("value, printed", [
    (u"a\nb\r\tc\0\x1b[2J", "a\\nb\\r\\tc\\x00\\x1b[2J"), (u"\u2028\x85", "\\u2028\\x85"),
    (u"caf\u00e9", u"caf\u00e9"),
    ("x" * 5000 + "; choose another", "x" * 1000 + " ... " + "x" * 984 + "; choose another")])
def test_a_message_stays_on_one_line_whatever_it_quotes(value, printed, capsys):
    assert ending(raising(ReportedError(value))) == 2
    assert capsys.readouterr().err == "error: %s\n" % printed
    with pytest.raises(SystemExit):
        ArgumentParser().error(value)
    assert capsys.readouterr().err == "error: %s; see --help\n" % printed


def test_lack_of_memory(capsys):
    assert ending(raising(MemoryError("Unable to allocate 3 TiB"))) == 2
    assert capsys.readouterr() == ("", "error: not enough memory (Unable to allocate 3 TiB); use smaller settings, or "
                                       "a machine with more memory\n")


def test_an_interruption(capsys):
    assert ending(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "\ninterrupted\n")


@pytest.mark.parametrize("error", [ValueError("a defect"), OSError("a defect"), SystemExit(7)])
def test_other_exceptions_pass(error, capsys):
    with pytest.raises(type(error)) as raised, reported_errors():
        raise error
    assert raised.value is error
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error, message", [
    (OSError(errno.ENOSPC, "No space left on device", "x.npz"),
     "No space left on device: x.npz; free some space, then start again (a run: with --resume)"),
    (OSError(errno.EFBIG, "File too large", "x.npz"),
     "File too large: x.npz; free some space, then start again (a run: with --resume)"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"),
     "Disk quota exceeded; free some space, then start again (a run: with --resume)"),
    (Exception("Compilation failed (return status=1): /tmp/mod.cpp: No space left on device. "),
     "No space left on device; free some space, then start again (a run: with --resume)"),
    (PermissionError(errno.EACCES, "Permission denied", "run"),
     "Permission denied: run; make it accessible, or choose another folder"),
])
def test_a_full_disk_and_a_closed_folder_are_one_line(error, message, capsys):
    assert ending(raising(error)) == 2
    assert capsys.readouterr() == ("", "error: %s\n" % message)


def test_without_an_error_nothing_happens(capsys):
    with reported_errors():
        print("result")
    assert capsys.readouterr() == ("result\n", "")


def test_a_reader_that_ends_is_no_traceback():
    read, write = os.pipe()
    os.close(read)
    program = "from theano_rnn.errors import reported_errors\nwith reported_errors():\n    print('row')"
    with os.fdopen(write, "w") as pipe:
        ended = subprocess.run([sys.executable, "-c", program], stdout=pipe, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (2, b"")


def test_closed_streams_are_replaced(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert ending(raising(ReportedError("wrong"))) == 2
    with reported_errors():
        assert not sys.stderr.isatty() and sys.stdout.write("row\n")


def test_a_reported_error_is_a_value_error():
    assert issubclass(ReportedError, ValueError)


@pytest.mark.parametrize("arguments, message", [
    (["--size", "x"], "error: argument --size: invalid int value: 'x'; see --help\n"),
    (["--sise", "1"], "error: unrecognized arguments: --sise 1; see --help\n"),
])
def test_the_parser_states_an_error_in_one_line(arguments, message, capsys):
    parser = ArgumentParser(prog="main.py")
    parser.add_argument("--size", type=int)
    assert parser.parse_args(["--size", "3"]).size == 3
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", message)
