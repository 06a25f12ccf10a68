"""The C++ compiler: without one, a program ends at once, unless the user asks for computation in Python."""

import logging
import shutil
import sys
import warnings

from theano_rnn.errors import ReportedError

from .flags import add_flag, flags_of_user, settings_in_theanorc

__all__ = ["DURATION_IN_PYTHON", "refuse_missing_compiler", "warn_of_missing_compiler", "work_without_compiler"]

INSTALL = "install it (Debian and Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; conda: conda install gxx)"

#: Of training without a compiler, for messages. Experiments/README.md has the measurement.
DURATION_IN_PYTHON = "takes hours instead of seconds"

#: Settings of Theano. Fused elementwise operations would run element by element.
IN_PYTHON = (("cxx", ""), ("blas.ldflags", ""), ("tensor.local_elemwise_fusion", "False"))


def _missing_compiler():
    """Return the name of the compiler that cannot be found, or None if there is one or the user wants none."""
    compiler = flags_of_user().get("cxx", settings_in_theanorc().get("cxx", "g++"))
    return compiler if compiler and shutil.which(compiler) is None else None


def refuse_missing_compiler():
    """Raise a `ReportedError` if there is no C++ compiler, unless the user has asked for computation without one.

    Raises
    ------
    ReportedError
        If the compiler, ``g++`` or the setting ``cxx`` of Theano, is not found.
    """
    compiler = _missing_compiler()
    if compiler:
        raise ReportedError("there is no C++ compiler (%s not found), which Theano needs; %s, or use "
                            "--without-compiler, which %s" % (compiler, INSTALL, DURATION_IN_PYTHON))


def warn_of_missing_compiler():
    """Without a C++ compiler, write a warning to stderr and let Theano compute in Python."""
    compiler = _missing_compiler()
    if compiler:
        _compute_in_python("there is no C++ compiler (%s not found); %s" % (compiler, INSTALL))


def work_without_compiler():
    """Let Theano compute in Python, on the user's request."""
    _compute_in_python("--without-compiler")


def _compute_in_python(reason):
    # Theano's own warnings, which do not say what to do.
    warnings.filterwarnings("ignore", "DeprecationWarning: there is no c\\+\\+ compiler", UserWarning)
    logging.getLogger("theano.tensor.blas").setLevel(logging.ERROR)
    sys.stderr.write("warning: all operations run in Python, which %s: %s\n" % (DURATION_IN_PYTHON, reason))
    for name, value in IN_PYTHON:
        add_flag(name, value)
