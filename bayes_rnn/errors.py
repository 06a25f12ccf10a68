"""The one exception class whose message is meant for the person at the keyboard."""

__all__ = ["ReportedError"]


class ReportedError(ValueError):
    """Something the user can mend: entry points print the message as one line and exit with status 2.

    The message says what was wrong, what was expected and what to do.
    """
