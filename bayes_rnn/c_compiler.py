"""Compile exported C code to a shared library: ``python -m bayes_rnn.export MODEL --to c --build``."""

import contextlib
import hashlib
import os
import subprocess

from theano_rnn.errors import ReportedError

__all__ = ["build", "compiler", "file_digest", "is_built_here", "library_path"]


def file_digest(path):
    """Return the SHA-256 digest of a file, as hexadecimal digits: str."""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def library_path(source):
    """Return the path of the library that `build` creates from a source file."""
    return os.path.splitext(source)[0] + ".so"


def compiler():
    """Return the compiler and its options, from the variables CC and CFLAGS: list of str."""
    command = os.environ.get("CC", "").split() or ["cc"]
    return command + ["-std=c99", "-O3", "-ffp-contract=fast"] + os.environ.get("CFLAGS", "").split()


def build(source):
    """Compile an exported source file to a shared library, with the compiler ``cc`` or that of the variable CC.

    The variable CFLAGS may have more options, for example ``-march=native`` for use on this kind of processor only.

    Parameters
    ----------
    source : str
        Path of a file ``.c``; the library is beside it.

    Returns
    -------
    str
        Path of the library.

    Raises
    ------
    ReportedError
        If there is no compiler, or it fails.
    """
    library = library_path(source)
    temporary = "%s.%d" % (library, os.getpid())
    command = compiler() + ["-shared", "-fPIC"]
    try:
        process = subprocess.Popen(command + ["-o", temporary, source, "-lm"], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
    except OSError as error:
        raise ReportedError("the C compiler %s cannot be started (%s); install one, or set CC"
                            % (command[0], error)) from None
    output = process.communicate()[0].decode("utf-8", "replace")
    if process.returncode:
        raise ReportedError("the C compiler failed: %s\n%s" % (" ".join(command + [source]), output.strip()))
    os.rename(temporary, library)                   # at once: a process may be using the former library
    _remember(file_digest(library))
    return library


def is_built_here(library):
    """Return whether `build` created a library for this user.

    A library is machine code: one that this user did not build is not loaded only because it is in the folder of a
    model.
    """
    try:
        with open(_built_libraries()) as stream:
            return file_digest(library) in stream.read().split()
    except OSError:
        return False


def _built_libraries():
    """Return the path of the user's list of digests of the libraries that `build` created."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "bayes_rnn", "built_libraries")


def _remember(digest):
    with contextlib.suppress(OSError):              # then the library is used on request only
        os.makedirs(os.path.dirname(_built_libraries()), exist_ok=True)
        with open(_built_libraries(), "a") as stream:
            stream.write(digest + "\n")
