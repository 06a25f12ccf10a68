"""Errors meant for the person at the keyboard: one clear line, exit status 2."""

import argparse

__all__ = ["ReportedError", "ArgumentParser"]


class ReportedError(ValueError):
    """Something the user can mend: entry points print the message as one line and exit with status 2.

    The message says what was wrong, what was expected and what to do.
    """


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser, whose errors are one line too (without the usage, which ``--help`` shows)."""

    def error(self, message):
        self.exit(2, "error: %s; see --help\n" % message)
