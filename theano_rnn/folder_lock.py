"""Lock of a folder that one process at a time may write: a run, prepared data, the cache of compiled modules.

The lock is the advisory lock of the kernel (`fcntl.flock`) on a small file. It ends with the process, also after
``kill -9``, so a lock file that was left behind locks nothing. On NFS, Linux (since 2.6.12) sends the lock to the
server, so it holds between machines; after a machine dies, the server keeps it until the lease expires (about a
minute). With the mount options ``nolock`` or ``local_lock=flock`` it holds on one machine only. Where a file system has
no locks, a warning is printed.
"""

import contextlib
import errno
import fcntl
import io
import os
import socket
import sys
import time

from theano_rnn.errors import ReportedError

__all__ = ["folder_lock", "refuse_locked"]

_warnings = set()

#: Seconds until a locked folder is refused. Longer than the moments for which `refuse_locked` holds a lock.
PATIENCE = 0.5
#: Seconds between two attempts, and until a process that waits says so.
INTERVAL, SILENCE = 0.02, 1
#: Errors of a file system without locks.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


@contextlib.contextmanager
def folder_lock(path, title, advice, wait=False, say_waiting=None, patience=PATIENCE):
    """Context manager of the lock of a folder.

    Parameters
    ----------
    path : str
        The lock file. It exists while the lock is held; its folder must exist.
    title : str
        What is locked, for the message: the folder.
    advice : str
        What to do if it is locked, for the message.
    wait : bool
        Wait until the other process has ended instead of refusing.
    say_waiting : function without arguments, optional
        Called once if it has to wait for longer than a second.
    patience : float
        Seconds until the lock is refused, without `wait`.

    Raises
    ------
    ReportedError
        If another process holds the lock; the message names its number and its start.

    Examples
    --------
    >>> with folder_lock("Results/run.lock", "Results", "wait"):         # doctest: +SKIP
    ...     pass
    """
    descriptor = _acquire(path, title, advice, wait, say_waiting, patience)
    try:
        with contextlib.suppress(OSError):          # a full disk: the lock holds without its description
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _this_process().encode("utf-8"))
        yield
    finally:
        # Removed before the lock ends: a process that opened the removed file notices it; see `_acquire`.
        with contextlib.suppress(OSError):
            os.remove(path)
        os.close(descriptor)


def refuse_locked(path, title, advice):
    """Raise a `ReportedError` if another process holds a lock; the parameters are those of `folder_lock`."""
    if not os.path.exists(path):
        return
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:         # removed meanwhile, or of another user: `folder_lock` reports what is wrong
        return
    try:
        # A shared lock: two processes that look at the same moment do not take each other for the owner.
        if not _locks(descriptor, fcntl.LOCK_SH):
            raise ReportedError(_refusal(path, title, advice))
    finally:
        os.close(descriptor)


def _acquire(path, title, advice, wait, say_waiting, patience):
    began = time.time()
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise ReportedError("cannot lock %s (%s): it must be possible to write %s"
                                % (title, error.strerror, path)) from error
        if _locks(descriptor) and _is_file(descriptor, path):
            return descriptor
        os.close(descriptor)
        if not wait and time.time() - began > patience:
            raise ReportedError(_refusal(path, title, advice))
        if say_waiting and time.time() - began > SILENCE:
            say_waiting()
            say_waiting = None
        time.sleep(INTERVAL)


def _locks(descriptor, kind=fcntl.LOCK_EX):
    """Lock an open file; return whether that succeeded."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in WITHOUT_LOCKS:
            _warn("warning: this file system has no locks (%s); do not start two processes in one folder\n"
                  % error.strerror)
            return True
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
            raise
        return False
    return True


def _warn(text):
    """Write a warning to stderr, once in a process."""
    if text not in _warnings:
        sys.stderr.write(text)
    _warnings.add(text)


def _is_file(descriptor, path):
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _this_process():
    return "process %d on %s, started %s" % (os.getpid(), socket.gethostname(), time.strftime("%Y-%m-%d %H:%M:%S"))


def _refusal(path, title, advice):
    try:
        with io.open(path, encoding="utf-8", errors="replace") as stream:
            owner = stream.read(200).split("\n")[0]
    except OSError:
        owner = ""
    return "%s is in use by %s; %s" % (title, owner or "another process", advice)
