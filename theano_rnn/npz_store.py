"""Named arrays in one file, written atomically and with the same bytes for the same content.

Prepared data, checkpoints and compressed models all use this format: a ``.npz`` file, which `numpy.load` also reads,
with one extra member, ``metadata.json``. Needs NumPy only. `numpy_predictor`, which needs no other file, defines the
reading.
"""

import io
import json
import os
import zipfile

import numpy as np

from .numpy_predictor import METADATA_MEMBER, ArrayHeader, load_arrays, load_metadata

__all__ = ["ArrayHeader", "save_arrays", "load_arrays", "load_metadata", "write_atomically", "write_together"]

# A fixed date, so that the bytes depend on the content only. It is the earliest date of the zip format.
MEMBER_DATE = (1980, 1, 1, 0, 0, 0)


def write_atomically(path, content):
    """Write a file atomically: readers see either the old content or the complete new content.

    A symbolic link stays one: the file that it points to is replaced.

    Parameters
    ----------
    path : str
        The file to write or replace.
    content : bytes or str
        The content of the file. Text is encoded as UTF-8.
    """
    write_together([(path, content)])


def write_together(contents):
    """Write files that belong together: if one of them cannot be written, none is replaced.

    Parameters
    ----------
    contents : list of (str, bytes or str)
        Paths and contents; see `write_atomically`.
    """
    temporaries = []
    try:
        for path, content in contents:
            temporaries.append("%s.%d.tmp" % (os.path.realpath(path), os.getpid()))
            with open(temporaries[-1], "wb") as stream:
                stream.write(content if isinstance(content, bytes) else content.encode("utf-8"))
                stream.flush()
                os.fsync(stream.fileno())
        for (path, _), temporary in zip(contents, temporaries):
            os.replace(temporary, os.path.realpath(path))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error       # the user does not know the temporary file
    finally:
        for temporary in temporaries:
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


def _write_member(archive, name, content, method):
    info = zipfile.ZipInfo(name, MEMBER_DATE)
    info.compress_type = method
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)
