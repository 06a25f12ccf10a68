"""Named arrays in one file, written atomically and with the same bytes for the same content.

Prepared data, checkpoints and compressed models all use this format: a ``.npz`` file, which `numpy.load` also reads,
with one extra member, ``metadata.json``. Needs NumPy only.
"""

import contextlib
import io
import json
import os
import struct
import zipfile
import zlib

import numpy as np

from .errors import ReportedError

__all__ = ["save_arrays", "load_arrays", "load_metadata", "write_atomically"]

METADATA_MEMBER = "metadata.json"
# A fixed date, so that the bytes depend on the content only. It is the earliest date of the zip format.
MEMBER_DATE = (1980, 1, 1, 0, 0, 0)


def write_atomically(path, content):
    """Write a file atomically: readers see either the old content or the complete new content.

    Parameters
    ----------
    path : str
        The file to write or replace.
    content : bytes or str
        The content of the file. Text is encoded as UTF-8.
    """
    if not isinstance(content, bytes):
        content = content.encode("utf-8")
    temporary = "%s.%d.tmp" % (path, os.getpid())
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def save_arrays(path, arrays, metadata=None, compress=False):
    """Save named arrays and metadata atomically. The same content gives the same bytes.

    Parameters
    ----------
    path : str
        The file to write or replace; by convention it ends in ``.npz``.
    arrays : dict of str to array_like
        Arrays of Python objects are not allowed, because loading them could run code.
    metadata : dict, optional
        Any content that `json` can write.
    compress : bool
        Compress the members.

    Examples
    --------
    >>> save_arrays("model.npz", {"W": np.zeros((2, 3))}, {"epoch": 4})     # doctest: +SKIP
    >>> arrays, metadata = load_arrays("model.npz")                         # doctest: +SKIP
    """
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(arrays[name]), allow_pickle=False)
            _write_member(archive, name + ".npy", member.getvalue(), method)
        text = json.dumps(metadata or {}, sort_keys=True, indent=1)
        _write_member(archive, METADATA_MEMBER, text.encode("utf-8"), method)
    write_atomically(path, buffer.getvalue())


def load_arrays(path, what="file"):
    """Load a file that was written by `save_arrays`.

    Parameters
    ----------
    path : str
        The file.
    what : str
        Kind of the file, for error messages (``"checkpoint"``).

    Returns
    -------
    arrays : dict of str to numpy.ndarray
    metadata : dict

    Raises
    ------
    ReportedError
        If the file is missing, damaged, or has another format.
    """
    with _opened(path, what) as archive:
        metadata, arrays = _read_metadata(archive), {}
        for name in archive.namelist():
            if name != METADATA_MEMBER:
                arrays[name[:-len(".npy")]] = np.lib.format.read_array(io.BytesIO(archive.read(name)),
                                                                       allow_pickle=False)
        return arrays, metadata


def load_metadata(path, what="file"):
    """Load only the metadata of a file that was written by `save_arrays`; see `load_arrays`.

    Returns
    -------
    dict
    """
    with _opened(path, what) as archive:
        return _read_metadata(archive)


@contextlib.contextmanager
def _opened(path, what):
    """Context manager of a file as a `zipfile.ZipFile`, in which all errors of its content are reported."""
    if not os.path.isfile(path):
        raise ReportedError("%s not found: %s" % (what, path))
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    # A damaged header can also look like a feature that zipfile does not support (RuntimeError and its subclasses).
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, KeyError, EOFError,
            OSError) as error:
        raise ReportedError("%s %s is damaged or of another format (%s); recreate it or use another copy"
                            % (what, path, error)) from error


def _read_metadata(archive):
    if METADATA_MEMBER not in archive.namelist():
        raise ValueError("it has no member %s" % METADATA_MEMBER)
    metadata = json.loads(archive.read(METADATA_MEMBER).decode("utf-8"))
    if not isinstance(metadata, dict):
        raise ValueError("%s must hold an object" % METADATA_MEMBER)
    return metadata


def _write_member(archive, name, content, method):
    info = zipfile.ZipInfo(name, MEMBER_DATE)
    info.compress_type = method
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)
