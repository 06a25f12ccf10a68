"""The lock of Theano's compile cache. Theano uses this module in the place of its own ``theano.gof.compilelock``.

Theano's lock is a folder that the owner creates and removes. It stays behind after ``kill -9``. A process that waits
looks for it at random intervals of seconds, and takes it from a living owner that compiles for longer than
``compile.timeout``: then both write the same files. This lock is that of `theano_rnn.folder_lock`: it ends with its
process and is taken within milliseconds, so processes that start at the same time take turns, and each uses what the
other has compiled.
"""

import contextlib
import os
import sys

from theano_rnn.folder_lock import folder_lock

__all__ = ["get_lock", "release_lock", "lock_ctx", "set_lock_status", "replace_lock_of_theano"]

LOCK_FILE = "compile.lock"

_held = []
_said = []


def replace_lock_of_theano():
    """Let Theano use this lock: to be called before Theano is imported, and after it.

    Theano compiles two modules when it is imported, so its lock must be replaced before.
    """
    this, name = sys.modules[__name__], "theano.gof.compilelock"
    theirs = sys.modules.setdefault(name, this)         # found by `from theano.gof import compilelock`
    if "theano" not in sys.modules:
        return
    from theano.gof import cc
    functions = (get_lock, release_lock, lock_ctx, set_lock_status)
    for module in (theirs, cc):                         # if Theano was imported before
        for function in functions:
            if hasattr(module, function.__name__):
                setattr(module, function.__name__, function)
    sys.modules["theano.gof"].compilelock = theirs


def get_lock(lock_dir=None, **settings):
    """Lock the cache, or count one more use of the lock if this process has it. The arguments of Theano's are ignored.

    Raises
    ------
    ReportedError
        If the cache cannot be written.
    """
    if get_lock.n_lock == 0 and get_lock.lock_is_enabled:
        import theano
        folder = theano.config.compiledir
        lock = folder_lock(os.path.join(folder, LOCK_FILE), "the compile cache " + folder, "wait until it ends",
                           wait=True, say_waiting=_say_waiting)
        lock.__enter__()
        _held.append(lock)
    get_lock.n_lock += 1


# Theano reads these attributes.
get_lock.n_lock = 0
get_lock.lock_is_enabled = True


def release_lock():
    """End one use of the lock, and with the last use the lock."""
    get_lock.n_lock -= 1
    assert get_lock.n_lock >= 0
    if get_lock.n_lock == 0 and _held:
        _held.pop().__exit__(None, None, None)


@contextlib.contextmanager
def lock_ctx(lock_dir=None, keep_lock=False, **settings):
    """Context manager of one use of the lock. In contrast to Theano's, it also ends the use after an exception."""
    get_lock()
    try:
        yield
    except BaseException:
        release_lock()
        raise
    if not keep_lock:
        release_lock()


def set_lock_status(use_lock):
    """Enable or disable the lock."""
    get_lock.lock_is_enabled = use_lock


def _say_waiting():
    if not _said:
        sys.stderr.write("waiting for another process to finish compiling\n")
    _said.append(True)
