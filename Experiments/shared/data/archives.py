"""Files of raw corpora, from a folder or an archive; missing and damaged files are reported."""

import bz2
import gzip
import hashlib
import lzma
import os
import sys
import tarfile
import zipfile
import zlib

from theano_rnn.errors import ReportedError

__all__ = ["read_archive", "read_named_files", "source_names", "read_file", "decode", "check_md5", "git_blob_id",
           "progress", "decompressed"]

TAR_KINDS = [(b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open)]
CHUNK = 1 << 20
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError,
          NotImplementedError, RuntimeError)


def progress(iterable, description, total=None):
    """Iterate with a progress bar if the standard error stream is a terminal."""
    if not sys.stderr.isatty():
        return iterable
    from tqdm import tqdm
    return tqdm(iterable, desc=description, total=total, leave=False)


def read_file(path):
    """Return the bytes of a file."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise ReportedError("cannot read %s (%s)" % (path, error.strerror or error)) from error


def decompressed(content, name):
    """Return the content of a file; one whose name ends in ``.xz`` or ``.gz`` is uncompressed."""
    try:
        return {".xz": lzma.decompress, ".gz": gzip.decompress}.get(os.path.splitext(name)[1], bytes)(content)
    except DAMAGE as error:
        raise ReportedError("%s is damaged (%s); use another copy" % (name, error)) from error


def decode(content, name):
    """Return a text from UTF-8 bytes; an error states `name` and the line."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b"\n") + 1
        raise ReportedError("%s, line %d: not valid UTF-8; use an undamaged copy" % (name, line)) from error


def check_md5(content, expected, name):
    """Compare the digest of a file with the published one.

    Parameters
    ----------
    content : bytes
    expected : str or sequence of str
        The md5 digest, or several of which one must match.
    name : str
        For the error message.
    """
    expected = [expected] if isinstance(expected, str) else list(expected)
    found = hashlib.md5(content).hexdigest()
    if found not in expected:
        raise ReportedError("%s is not the published file: expected md5 %s, got %s; use an undamaged copy, or "
                            "accept another corpus with --no-checksum" % (name, " or ".join(expected), found))


def git_blob_id(content):
    """Return the identifier of a file with this content in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def read_archive(path, wanted):
    """Read the wanted members of a ``.zip``, ``.tar``, ``.tar.gz``, ``.tar.xz`` or ``.tar.bz2`` archive.

    The content determines the kind, not the name. Files that macOS adds (``__MACOSX``, ``._name``) are ignored.

    Parameters
    ----------
    path : str
    wanted : callable
        Takes the name of a member (with ``/``, without a leading ``./``) and returns whether to read it.

    Returns
    -------
    dict of str to bytes
        In the order of the archive.
    """
    start = _first_bytes(path, 512)
    found = {}
    try:
        if start.startswith(b"PK"):
            members = _zip_members(path, wanted)
        else:
            opener = next((opener for magic, opener in TAR_KINDS if start.startswith(magic)), None)
            if opener is None and start[257:262] != b"ustar":
                raise ReportedError("%s is not a .zip, .tar, .tar.gz, .tar.xz or .tar.bz2 archive" % path)
            members = _tar_members(path, opener or open, wanted)
        for name, content in progress(members, "reading " + os.path.basename(path)):
            found[name] = content
    except DAMAGE as error:
        if isinstance(error, ReportedError):
            raise
        raise ReportedError("archive %s ends early or is damaged (%s; %d files could be read); use another copy"
                            % (path, error, len(found))) from error
    return found


def read_named_files(source, names):
    """Read files by name from a folder, or from any folder of an archive.

    Parameters
    ----------
    source : str
        Folder or archive.
    names : sequence of str
        File names without folder; all of them must exist.

    Returns
    -------
    dict of str to bytes
        By name.
    """
    if os.path.isdir(source):
        present = set(os.listdir(source))
        _refuse_missing([name for name in names if name not in present], "folder " + source, names)
        return {name: read_file(os.path.join(source, name)) for name in names}
    found = {}
    members = read_archive(source, lambda member: member.split("/")[-1] in names)
    for member, content in members.items():
        name = member.split("/")[-1]
        if name in found:
            raise ReportedError("archive %s holds more than one %s; unpack it and give the right folder"
                                % (source, name))
        found[name] = content
    _refuse_missing([name for name in names if name not in found], "archive " + source, names)
    return found


def source_names(source):
    """Return the set of names (without folder) of the files in a folder, or anywhere in an archive."""
    if os.path.isdir(source):
        return set(os.listdir(source))
    names = set()
    read_archive(source, lambda member: names.add(member.split("/")[-1]))  # add() returns None, so nothing is read
    return names


def _refuse_missing(missing, where, names):
    if missing:
        raise ReportedError("%s has no %s; expected %s" % (where, missing[0], ", ".join(names)))


def _first_bytes(path, count):
    if not os.path.exists(path):
        raise ReportedError("source not found: %s; give an existing folder or file" % path)
    try:
        with open(path, "rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise ReportedError("cannot read %s (%s)" % (path, error.strerror or error)) from error


def _ordinary_name(name):
    while name.startswith("./"):
        name = name[2:]
    parts = name.split("/")
    return None if "__MACOSX" in parts or parts[-1].startswith(".") else name


def _zip_members(path, wanted):
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _ordinary_name(info.filename)
            if name and not name.endswith("/") and wanted(name):
                yield name, archive.read(info)


def _tar_members(path, opener, wanted):
    with opener(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            name = _ordinary_name(member.name)
            if name and member.isfile() and wanted(name):
                content = archive.extractfile(member).read()
                if len(content) != member.size:
                    raise EOFError("unexpected end in " + name)
                yield name, content
        # tarfile treats a missing or damaged header as the end of the archive. The real end is a block of zeros.
        stream.seek(archive.offset)
        if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise EOFError("no end-of-archive mark")
        while stream.read(CHUNK):
            pass  # the compressed stream ends with its checksum
