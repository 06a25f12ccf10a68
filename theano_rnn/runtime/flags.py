"""The settings of Theano that the user has chosen: the environment variable ``THEANO_FLAGS`` and ``.theanorc``."""

import configparser
import os
import shlex

from theano_rnn.errors import ReportedError

__all__ = ["flag", "add_flag", "flags_of_user", "settings_in_theanorc"]


def flag(name, value):
    """Return a setting as Theano reads it from ``THEANO_FLAGS``: spaces, quotes and commas in the value are kept.

    Theano removes spaces at the end.

    Examples
    --------
    >>> from theano_rnn.runtime.flags import flag
    >>> print(flag("base_compiledir", "/home/ann/my cache"))
    base_compiledir="/home/ann/my cache"
    >>> print(flag("device", "cpu"))
    device=cpu
    """
    if value and all(letter.isalnum() or letter in "/._-+" for letter in value):
        return "%s=%s" % (name, value)
    return '%s="%s"' % (name, value.replace("\\", "\\\\").replace('"', '\\"'))


def add_flag(name, value, variables=os.environ):
    """Add a setting to ``THEANO_FLAGS`` as the user's choice: if one is given several times, Theano uses the last."""
    given = variables.get("THEANO_FLAGS", "")
    variables["THEANO_FLAGS"] = given + "," * bool(given) + flag(name, value)


def flags_of_user():
    """Return the settings in ``THEANO_FLAGS``: dict of str to str.

    Raises
    ------
    ReportedError
        If Theano could not read them.
    """
    splitter = shlex.shlex(os.environ.get("THEANO_FLAGS", ""), posix=True)
    splitter.whitespace, splitter.whitespace_split = ",", True
    try:
        parts = [part.strip().split("=", 1) for part in splitter]
    except ValueError as error:
        raise ReportedError("THEANO_FLAGS cannot be read (%s): a value with quotes must be in double quotes, with a "
                            "backslash before each double quote" % error) from error
    return dict(part for part in parts if len(part) == 2)


def settings_in_theanorc():
    """Return the settings in the user's configuration files: dict of lower-case name to str."""
    files = os.environ.get("THEANORC", "~/.theanorc").split(os.pathsep)
    parser = configparser.RawConfigParser()
    try:
        parser.read([os.path.expanduser(name) for name in files])
    except configparser.Error:
        return {}                                   # Theano reports the error
    return {option if section == "global" else "%s.%s" % (section.lower(), option): value
            for section in parser.sections() for option, value in parser.items(section)}
