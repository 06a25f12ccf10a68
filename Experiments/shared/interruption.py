"""Interruptions during training: Ctrl-C, SIGTERM, a closed terminal, and standard output that cannot be written."""

import contextlib
import signal
import sys

from theano_rnn.errors import discard_output, printable

__all__ = ["InterruptSwitch", "shielded_children", "lasting_output"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptSwitch(object):
    """Record of Ctrl-C, SIGTERM and SIGHUP: the work stops at the next moment at which it can be resumed.

    A second Ctrl-C stops it at once. SIGTERM may be repeated: Slurm sends it to all processes of a job, and the
    process that started the training forwards it. SIGHUP is sent when the terminal is closed or the connection is lost.
    SIGTERM and SIGHUP stay ignored if they are when the switch is entered (``nohup``).

    Parameters
    ----------
    message : str
        Written to stderr after the first signal.

    Attributes
    ----------
    pressed : bool
    by_user : bool
        True if all signals so far were Ctrl-C.
    """

    #: Number of the switches that are entered.
    entered = 0

    def __init__(self, message="stopping soon; everything is saved first ..."):
        self._message = message

    def __enter__(self):
        self.pressed = self.by_user = False
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS
                        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN}
        InterruptSwitch.entered += 1
        return self

    def _note(self, number, frame):
        if self.pressed and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.pressed:
            with contextlib.suppress(OSError):          # the terminal may be closed
                sys.stderr.write("\n%s\n" % self._message)
        self.by_user = number == signal.SIGINT
        self.pressed = True

    def __exit__(self, *exception):
        InterruptSwitch.entered -= 1
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def shielded_children():
    """Context manager in which an `InterruptSwitch` keeps its signals from the programs that are started: compilers.

    Ctrl-C is sent to all processes of a terminal, so it would end the compiler, and with it training. This process
    gets the signals at the end of the context. Without an entered switch, the context has no effect.
    """
    if not InterruptSwitch.entered:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)      # programs inherit the mask
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def lasting_output():
    """Context manager in which stdout and stderr may fail: the rest of the output is dropped, and the work continues.

    They fail when the reader of a pipe ends (``main.py ... | head -1``), the terminal is closed or the disk is full.
    """
    before = sys.stdout, sys.stderr
    sys.stderr = _LastingStream(sys.stderr, lambda error: None)
    sys.stdout = _LastingStream(sys.stdout, lambda error: sys.stderr.write(
        "warning: standard output failed (%s); training continues, and its log has all lines\n" % error))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _LastingStream(object):
    """A text stream that drops everything after its first failure, which it reports to a function."""

    def __init__(self, stream, report):
        self._stream, self._report, self._failed = stream, report, False

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        try:
            self._call(self._stream.write, text)
        except UnicodeEncodeError:
            self._call(self._stream.write, printable(text, self._stream))
        return len(text)

    def flush(self):
        self._call(self._stream.flush)

    def _call(self, function, *arguments):
        if self._failed:
            return
        try:
            function(*arguments)
        except UnicodeEncodeError:
            raise
        except (OSError, ValueError) as error:          # ValueError: the stream is closed
            self._failed = True
            with contextlib.suppress(OSError, ValueError):
                discard_output(self._stream)
            self._report(getattr(error, "strerror", None) or error)
