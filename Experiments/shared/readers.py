"""Readers of settings and options: from text or a value to a checked value.

A reader raises a `ReportedError` "must be ..., got ..." for a value that is not accepted. `checked` puts the name of
a setting or option before this message. `argument` makes a reader the type of an argument of argparse.
"""

import argparse
import math
import os
import sys

from theano_rnn.errors import ReportedError

__all__ = ["checked", "argument", "number", "choice", "text", "flag", "path", "positive_integer",
           "non_negative_integer", "layer_count", "positive_integer_or_unset", "seed", "positive_number",
           "positive_number_or_none", "non_negative_number", "share", "open_share", "any_number", "probability",
           "probability_or_unset", "rate_schedule", "shortened"]

#: The largest numbers that are accepted: those of int64 and float64.
LARGEST = {int: 2 ** 63 - 1, float: sys.float_info.max}


def checked(name, read, value):
    """Return a value as a reader returns it; the error message begins with a name.

    Parameters
    ----------
    name : str
        The setting or option.
    read : callable
        A reader of this module.
    value : object

    Returns
    -------
    object

    Raises
    ------
    ReportedError
        If the reader does not accept the value.

    Examples
    --------
    >>> checked("--epochs", positive_integer, "3")
    3
    >>> checked("--epochs", positive_integer, "0")
    Traceback (most recent call last):
        ...
    theano_rnn.errors.ReportedError: --epochs must be a positive integer, got 0
    """
    try:
        return read(value)
    except ReportedError as error:
        raise ReportedError("%s %s" % (name, error)) from error


def argument(read):
    """Return a reader as the ``type`` of an argument of argparse."""
    def convert(text):
        try:
            return read(text)
        except ReportedError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return convert


def number(kind, is_valid, expected, none=False):
    """Return a function that reads a number.

    Parameters
    ----------
    kind : {int, float}
    is_valid : callable
        Whether a number of this kind is accepted.
    expected : str
        For the error message, after "must be".
    none : bool
        Whether None (as text, ``none``) is accepted.

    Returns
    -------
    callable
        Maps text or a number to a number of this kind. Raises a `ReportedError` for everything else.

    Examples
    --------
    >>> read = number(int, lambda value: value > 0, "a positive integer")
    >>> read("3"), read(3)
    (3, 3)
    """
    def read(value):
        if none and (value is None or str(value).lower() == "none"):
            return None
        try:
            converted = kind(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ReportedError("must be %s, got %s" % (expected, shortened(repr(value)))) from error
        is_exact = isinstance(value, str) or not isinstance(value, bool) and converted == value
        if not is_exact or not abs(converted) <= LARGEST[kind] or not is_valid(converted):
            raise ReportedError("must be %s, got %s" % (expected, shortened(value)))
        return converted
    return read


def shortened(value):
    """Return the text of a value for a message: its beginning, if it is long."""
    text = str(value)
    return text if len(text) <= 40 else "%s... (%d characters)" % (text[:40], len(text))


def choice(choices):
    """Return a function that accepts only the given words, and None if it is among them; see `number`."""
    def read(value):
        if value not in choices:
            raise ReportedError("must be one of %s, got %s"
                                % (", ".join(filter(None, choices)), shortened(repr(value))))
        return value
    return read


def text(value):
    """Return text as it is."""
    if not isinstance(value, str) or "\0" in value:
        raise ReportedError("must be text, got %s" % shortened(repr(value)))
    return value


def rate_schedule(value):
    """Return a schedule of the learning rate as it is stored, or None for a constant rate.

    Parameters
    ----------
    value : str, sequence of (float, float) or None
        Pairs of epochs done and factor of the learning rate, as text ``epoch:factor,epoch:factor``.

    Returns
    -------
    list of [float, float] or None

    Raises
    ------
    ReportedError
        If an epoch is negative or not larger than the one before, or a factor is not positive.

    Examples
    --------
    >>> from Experiments.shared.readers import rate_schedule
    >>> rate_schedule("0:1,10:8,80:0.5")
    [[0.0, 1.0], [10.0, 8.0], [80.0, 0.5]]
    """
    if value is None or str(value).lower() == "none":
        return None
    try:
        pairs = [part.split(":") for part in value.split(",")] if isinstance(value, str) else value
        pairs = [[float(epoch), float(factor)] for epoch, factor in pairs]
    except (TypeError, ValueError):
        pairs = []
    epochs = [epoch for epoch, _ in pairs]
    valid = pairs and epochs[0] >= 0 and all(before < after for before, after in zip(epochs, epochs[1:])) \
        and all(0 < factor < math.inf for _, factor in pairs) and epochs[-1] < math.inf
    if not valid:
        raise ReportedError("must be none or epoch:factor,epoch:factor with increasing epochs and positive factors, "
                            "got %s" % (value,))
    return pairs


def flag(value):
    """Read True or False. On the command line, ``--name`` gives True and ``--no-name`` gives False."""
    found = {"true": True, "false": False}.get(str(value).lower())
    if found is None:
        raise ReportedError("must be true or false, got %s" % shortened(repr(value)))
    return found


def path(value):
    """Return an absolute path; None stays None."""
    return value if value is None else os.path.abspath(text(value))


positive_integer = number(int, lambda value: value >= 1, "a positive integer")
layer_count = number(int, lambda value: 1 <= value <= 100, "an integer in [1, 100]")      # each one is compiled
non_negative_integer = number(int, lambda value: value >= 0, "a non-negative integer")
positive_integer_or_unset = number(int, lambda value: value >= 1 or value == -1, "a positive integer or -1")
seed = number(int, lambda value: 0 <= value < 2 ** 32, "an integer in [0, 2**32)")
positive_number = number(float, lambda value: value > 0, "a positive number")
positive_number_or_none = number(float, lambda value: value > 0, "a positive number or none", none=True)
non_negative_number = number(float, lambda value: value >= 0, "a non-negative number")
share = number(float, lambda value: 0 < value <= 1, "a number in (0, 1]")
open_share = number(float, lambda value: 0 < value < 1, "a number in (0, 1)")
probability = number(float, lambda value: 0 <= value < 1, "a number in [0, 1)")
any_number = number(float, lambda value: True, "a finite number")
probability_or_unset = number(float, lambda value: 0 <= value < 1 or value == -1, "a number in [0, 1), or -1")
