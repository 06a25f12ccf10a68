"""Ctrl-C while a program starts, imports modules or ends: one line, exit status 130, no traceback.

Importing `theano_rnn` calls `begin`, before the slow imports. In `reported_errors`, Ctrl-C raises `KeyboardInterrupt`,
so that files are closed and removed; training has its own handlers. Only programs of this project are changed, not the
scripts, notebooks and tests that import it.
"""

import contextlib
import functools
import os
import signal
import sys
import threading

__all__ = ["begin", "exit_at_once", "exit_program", "raising", "EXIT_INTERRUPTED", "INTERRUPTED"]

PROJECT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
#: Folders whose programs use `reported_errors`.
PROGRAMS = ("Experiments", "bayes_rnn", "theano_rnn")
#: Exit status after Ctrl-C or SIGTERM, and the message after Ctrl-C.
EXIT_INTERRUPTED, INTERRUPTED = 130, "\ninterrupted\n"


def begin():
    """Let Ctrl-C end this process at once if it is a program of the project."""
    if _is_program():
        _replace(signal.default_int_handler, exit_program)


def _is_program():
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return bool(path) and os.path.relpath(os.path.realpath(path), PROJECT).split(os.sep)[0] in PROGRAMS


@contextlib.contextmanager
def raising():
    """Context manager in which Ctrl-C raises `KeyboardInterrupt` in programs of the project."""
    with _handler(exit_program, signal.default_int_handler) as is_program:
        hook = getattr(sys, "unraisablehook", None)     # CPython 3.8 and later
        if not is_program or hook is None:
            yield
            return
        sys.unraisablehook = functools.partial(_interrupt_again, hook)
        try:
            yield
        finally:
            sys.unraisablehook = hook


def _interrupt_again(hook, ignored):
    """Repeat a Ctrl-C whose exception Python ignores, because it was raised while an object was being deleted."""
    if not issubclass(ignored.exc_type, KeyboardInterrupt):
        hook(ignored)
        return
    timer = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT))    # seconds; an exception here is ignored too
    timer.daemon = True
    timer.start()


def exit_at_once():
    """Return a context manager, inside that of `raising`, in which Ctrl-C ends the process at once.

    It is for imports: libraries catch `KeyboardInterrupt`, or report it as something else.
    """
    return _handler(signal.default_int_handler, exit_program if _is_program() else signal.default_int_handler)


@contextlib.contextmanager
def _handler(before, now):
    replaced = _replace(before, now)
    try:
        yield replaced
    finally:
        if replaced:
            _replace(now, before)


def _replace(before, now):
    """Replace a handler of SIGINT by another one; return whether `before` was the handler."""
    if signal.getsignal(signal.SIGINT) is not before:
        return False
    try:
        signal.signal(signal.SIGINT, now)
    except ValueError:          # not the main thread
        return False
    return True


def exit_program(number, frame):
    """End this process with one line and exit status 130: the handler of Ctrl-C in programs of the project."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, INTERRUPTED.encode("ascii"))
    os._exit(EXIT_INTERRUPTED)
