"""Errors that the user can fix: command lines print one line and exit with status 2."""

import argparse
import contextlib
import sys

__all__ = ["ReportedError", "ArgumentParser", "reported_errors", "EXIT_ERROR", "EXIT_INTERRUPTED"]

#: Exit statuses of the command lines: after a reported error, and after Ctrl-C or SIGTERM.
EXIT_ERROR, EXIT_INTERRUPTED = 2, 130


class ReportedError(ValueError):
    """An error that the user can fix. Command lines print its message as one line and exit with status 2.

    The message states what is wrong, the value, what is expected, and what to do.
    """


class ArgumentParser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` with one-line errors; ``--help`` shows the usage."""

    def error(self, message):
        self.exit(EXIT_ERROR, "error: %s; see --help\n" % message)


@contextlib.contextmanager
def reported_errors():
    """Context manager of a command line: print a `ReportedError` as one line and exit with status 2.

    Ctrl-C exits with status 130.

    Examples
    --------
    >>> with reported_errors():                         # doctest: +SKIP
    ...     raise ReportedError("batch_size must be at least 1, got 0")
    error: batch_size must be at least 1, got 0
    """
    try:
        yield
    except ReportedError as error:
        sys.stderr.write("error: %s\n" % error)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        sys.exit(EXIT_INTERRUPTED)
