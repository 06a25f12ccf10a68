"""Named arrays in one file, written atomically and with the same bytes for the same content.

Prepared data, checkpoints and compressed models all use this format: a ``.npz`` file, which `numpy.load` also reads,
with one extra member, ``metadata.json``. Needs NumPy only.
"""

import collections
import contextlib
import functools
import io
import json
import operator
import os
import struct
import zipfile
import zlib

import numpy as np

from .errors import ReportedError

__all__ = ["ArrayHeader", "save_arrays", "load_arrays", "load_metadata", "write_atomically"]

#: Shape and dtype of an array, read without the array.
ArrayHeader = collections.namedtuple("ArrayHeader", ["shape", "dtype"])

METADATA_MEMBER = "metadata.json"
# Files that expand to more than EXPANDED_BYTES must not expand to more than EXPANSION times their size. Deflate can
# compress zeros a thousand times; prepared data and models are compressed less than ten times.
EXPANDED_BYTES, EXPANSION = 2 ** 28, 100
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
    except OSError as error:
        error.filename, error.filename2 = path, None        # the user does not know the temporary file
        raise
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


def load_arrays(path, what="file", check=None):
    """Load a file that was written by `save_arrays`.

    Parameters
    ----------
    path : str
        The file.
    what : str
        Kind of the file, for error messages (``"checkpoint"``).
    check : callable, optional
        Called before an array is read, with the `ArrayHeader` of each array, by name, and the metadata. It raises a
        `ReportedError` if they are not what the caller expects. Foreign files can have arrays of any size.

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
        metadata = _read_metadata(archive)
        members = {info.filename[:-len(".npy")]: info for info in archive.infolist()
                   if info.filename != METADATA_MEMBER}
        headers = {name: _read_header(archive, info) for name, info in members.items()}
        if check is not None:
            check(headers, metadata)
        arrays = {name: np.lib.format.read_array(io.BytesIO(archive.read(info)), allow_pickle=False)
                  for name, info in members.items()}
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
            _check_members(archive, os.path.getsize(path))
            yield archive
    except ReportedError:
        raise
    except PermissionError as error:
        raise ReportedError("cannot read %s %s (%s); make it accessible" % (what, path, error.strerror)) from error
    # A damaged header can also look like a feature that zipfile does not support (RuntimeError and its subclasses).
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, KeyError, EOFError,
            OSError) as error:
        raise ReportedError("%s %s is damaged or of another format (%s); recreate it or use another copy"
                            % (what, path, error)) from error


def _check_members(archive, size):
    """Raise a `ValueError` if a file of a size has members that `save_arrays` does not write, or expands too much."""
    names = [info.filename for info in archive.infolist()]
    if len(set(names)) < len(names):
        raise ValueError("two members have the same name")
    expanded = sum(info.file_size for info in archive.infolist())
    if expanded > EXPANDED_BYTES and expanded > EXPANSION * size:
        raise ValueError("its %d bytes expand to %d" % (size, expanded))


def _read_header(archive, info):
    """Return the `ArrayHeader` of a member; raise a `ValueError` if it does not fit the size of the member."""
    with archive.open(info) as stream:
        start = stream.read(10)
        if np.lib.format.read_magic(io.BytesIO(start)) != (1, 0) or not info.filename.endswith(".npy"):
            raise ValueError("%s is not an array of the format 1.0" % info.filename)
        length, = struct.unpack("<H", start[8:])
        header = start[8:] + stream.read(length)
    shape, _, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header))
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    expected = len(start) + length + functools.reduce(operator.mul, shape, 1) * dtype.itemsize
    if dtype.kind not in "biufUS" or not dtype.itemsize or any(size < 0 for size in shape):
        raise ValueError("%s has dtype %s and shape %s" % (info.filename, dtype, shape))
    if info.file_size != expected:
        raise ValueError("%s has %d bytes, expected %d for shape %s" % (info.filename, info.file_size, expected, shape))
    return ArrayHeader(shape, dtype)


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
