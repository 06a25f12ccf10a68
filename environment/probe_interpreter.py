"""Print the facts that setup_env.sh needs about the Python interpreter that runs this file.

The output is one line: implementation, version, "venv" if the modules venv and ensurepip exist, "headers" if Python.h
exists ("-" otherwise), and the path of the interpreter. In a virtualenv, the path is that of the interpreter from which
the virtualenv was made. This file must run on any Python, including 2.7.
"""

import os
import platform
import sys
import sysconfig


def interpreter_path():
    """Return the path of this interpreter, or in a virtualenv that of its base interpreter."""
    base = getattr(sys, "base_prefix", sys.prefix)
    if base == sys.prefix:
        return sys.executable
    return os.path.join(base, "bin", "python%d.%d" % sys.version_info[:2])


def can_make_virtualenvs():
    """Return whether the modules that make a virtualenv exist; Debian packages them separately."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return False
    return True


def has_headers():
    """Return whether the C headers of Python are installed."""
    return os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))


def describe():
    """Return the line to print."""
    return " ".join([platform.python_implementation(), platform.python_version(),
                     "venv" if can_make_virtualenvs() else "-", "headers" if has_headers() else "-",
                     interpreter_path()])


if __name__ == "__main__":
    print(describe())
