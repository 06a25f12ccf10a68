"""Errors that the user can fix: command lines print one line and exit with status 2."""

import argparse
import contextlib
import errno
import os
import re
import sys

from .interrupts import EXIT_INTERRUPTED, INTERRUPTED, raising

__all__ = ["ReportedError", "UnsupportedInterpreter", "ArgumentParser", "reported_errors", "storage_problem",
           "printable", "print_text", "discard_output", "EXIT_ERROR", "EXIT_INTERRUPTED"]

#: Exit status of the command lines after a reported error.
EXIT_ERROR = 2
#: Errors of a disk, a quota or a limit (``ulimit -f``) that is full, and of files that must not be used.
FULL, FORBIDDEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (errno.EROFS, errno.EACCES, errno.EPERM)
#: The most characters of a message; a longer one is shortened in the middle.
LONGEST = 2000


class ReportedError(ValueError):
    """An error that the user can fix. Command lines print its message as one line and exit with status 2.

    The message states what is wrong, the value, what is expected, and what to do.
    """


class UnsupportedInterpreter(ReportedError, ImportError):
    """The interpreter is too old or too new for Theano."""


class ArgumentParser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` with one-line errors; ``--help`` shows the usage."""

    def error(self, message):
        self.exit(EXIT_ERROR, "error: %s; see --help\n" % _on_one_line(message))


def _on_one_line(message):
    r"""Return a message with ``\n`` for a newline and so on, without its middle if it is very long.

    Values and names of files, which messages quote, may hold control characters and have any length.
    """
    text = re.sub(u"[\0-\x1f\x7f-\x9f\u2028\u2029]", lambda match: repr(match.group())[1:-1], str(message))
    return text if len(text) <= LONGEST else "%s ... %s" % (text[:LONGEST // 2], text[-LONGEST // 2:])


def printable(text, stream):
    r"""Return a text in which characters that a stream cannot represent are written as ``\xe9`` and so on."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def print_text(text):
    """Print a `printable` text."""
    print(printable(text, sys.stdout))


def discard_output(stream):
    """Send to the null device what a stream that failed still holds, and would write when the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


@contextlib.contextmanager
def reported_errors():
    """Context manager of a command line: print a `ReportedError` as one line and exit with status 2.

    Lack of memory, a full disk, a read-only file system and missing permissions are reported in the same way, also if a
    library or the compiler detects them. Ctrl-C exits with status 130. If the reader of a pipe has read enough
    (``| head -1``), the program ends without a message, with status 2. A closed stream (``>&-``) is replaced by the
    null device.

    Examples
    --------
    >>> with reported_errors():                         # doctest: +SKIP
    ...     raise ReportedError("batch_size must be at least 1, got 0")
    error: batch_size must be at least 1, got 0
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))       # noqa: SIM115
    try:
        with raising():
            yield
            sys.stdout.flush()
    except ReportedError as error:
        sys.stderr.write("error: %s\n" % _on_one_line(error))
        sys.exit(EXIT_ERROR)
    except MemoryError as error:
        sys.stderr.write("error: not enough memory (%s); use smaller settings, or a machine with more memory\n"
                         % (_on_one_line(error) or "no details are known"))
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write(INTERRUPTED)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        discard_output(sys.stdout)
        sys.exit(EXIT_ERROR)
    except Exception as error:
        problem = storage_problem(error)
        if problem is None:
            raise
        sys.stderr.write("error: %s\n" % _on_one_line(problem))
        sys.exit(EXIT_ERROR)


def storage_problem(error):
    """Return one line that describes a failed access to a file, or None if an exception has another cause.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    str or None

    Examples
    --------
    >>> import errno
    >>> from theano_rnn.errors import storage_problem
    >>> storage_problem(OSError(errno.ENOSPC, "No space left on device", "last.npz"))
    'No space left on device: last.npz; free some space, then start again (a run: with --resume)'
    """
    number, name = getattr(error, "errno", None), getattr(error, "filename", None)
    if not isinstance(error, OSError):
        # The compiler writes to the disk too. Its messages are in the text of an exception of Theano.
        number, name = next(((number, None) for number in FULL if os.strerror(number) in str(error)), (None, None))
    advice = "free some space, then start again (a run: with --resume)" if number in FULL else \
        "make it accessible, or choose another folder" if number in FORBIDDEN else None
    return advice and "%s%s; %s" % (os.strerror(number), ": %s" % name if name else "", advice)
