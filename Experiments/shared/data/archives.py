"""Files of raw corpora, from a folder or an archive; missing and damaged files are reported."""

import bz2
import codecs
import contextlib
import csv
import gzip
import hashlib
import io
import lzma
import os
import struct
import sys
import tarfile
import zipfile
import zlib

from theano_rnn.errors import ReportedError

__all__ = ["read_archive", "read_named_files", "source_names", "read_file", "read_text", "decode", "without_mark",
           "refuse_null_characters", "csv_rows", "check_md5", "file_digest", "git_blob_id", "progress", "decompressed",
           "archive_limit", "LimitedStream", "LARGEST_CONTENT"]

TAR_KINDS = [(b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open)]
#: The most bytes of the end record of a zip: the record and a comment.
END_OF_ZIP = 22 + 0xffff
CHUNK = 1 << 20
MEGABYTE = 1 << 20
#: Megabytes of the files that are read from an archive, together. One file may have a quarter of them, and the whole
#: archive, with the files that are not read, four times as many. The real corpora have less than half of each.
LARGEST_CONTENT = 256
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError,
          NotImplementedError, RuntimeError, MemoryError)

#: The value of `LARGEST_CONTENT` that applies; `archive_limit` changes it.
_limit = LARGEST_CONTENT


@contextlib.contextmanager
def archive_limit(megabytes):
    """Context manager in which archives may be larger.

    Parameters
    ----------
    megabytes : int
        In the place of `LARGEST_CONTENT`.
    """
    global _limit
    before, _limit = _limit, megabytes
    try:
        yield
    finally:
        _limit = before


def _refuse_larger(size, share, name, path):
    """Raise a `ReportedError` if a size in bytes is above a share of the limit."""
    allowed = max(1, int(_limit * share))
    if size > allowed * MEGABYTE:
        raise ReportedError("%s of %s: more than %d MB when uncompressed; if you trust it, raise the limit with "
                            "--archive-limit MB (now %d)" % (name, path, allowed, _limit))


class LimitedStream(object):
    """A stream of uncompressed bytes that ends with an error instead of more than a number of bytes.

    A file of some megabytes can expand to a thousand times its size.

    Parameters
    ----------
    stream : file object
    refuse : callable
        Called before each part is read with the position of its end and its size. It raises an error if one of them is
        too large.
    """

    def __init__(self, stream, refuse):
        self._stream, self._refuse = stream, refuse

    def read(self, size=-1):
        """Return the next bytes, up to a number; without one, all."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        self._refuse(self._stream.tell() + size, size)
        return self._stream.read(size)

    def readline(self, size):
        """Return the next line, or the first bytes of a longer one."""
        self._refuse(self._stream.tell() + 1, 1)
        return self._stream.readline(size)

    def seek(self, position):
        """Go to a position, which uncompresses everything before it."""
        self._refuse(position, 0)
        return self._stream.seek(position)

    def tell(self):
        """Return the position."""
        return self._stream.tell()


def progress(iterable, description, total=None):
    """Iterate with a progress bar if the standard error stream is a terminal."""
    if not sys.stderr.isatty():
        return iterable
    from tqdm import tqdm
    return tqdm(iterable, desc=description, total=total, leave=False)


def read_file(path, count=-1):
    """Return the bytes of a file, or the first ``count`` of them."""
    try:
        with open(path, "rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise ReportedError("cannot read %s (%s)" % (path, error.strerror or error)) from error


def file_digest(path):
    """Return the sha256 of a file in hexadecimal digits: str."""
    return hashlib.sha256(read_file(path)).hexdigest()


def decompressed(content, name):
    """Return the content of a file; one whose name ends in ``.xz`` or ``.gz`` is uncompressed."""
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(os.path.splitext(name)[1])
    if opener is None:
        return content
    try:
        with opener(io.BytesIO(content)) as stream:
            return LimitedStream(
                stream, lambda end, size: _refuse_larger(end - CHUNK, 0.25, "content", name)).read()
    except DAMAGE as error:
        if isinstance(error, ReportedError):
            raise
        raise ReportedError("%s is damaged (%s); use another copy" % (name, error)) from error


def read_text(path):
    """Return the text of a file; see `decode`."""
    return decode(read_file(path), path)


def without_mark(content):
    """Return bytes without a byte order mark, with which editors on Windows begin files."""
    return content[len(codecs.BOM_UTF8):] if content.startswith(codecs.BOM_UTF8) else content


def decode(content, name, keeps_mark=False):
    """Return a text from UTF-8 bytes.

    Parameters
    ----------
    content : bytes
    name : str
        For the error message, which also states the line.
    keeps_mark : bool
        Keep a byte order mark at the beginning.

    Returns
    -------
    str

    Raises
    ------
    ReportedError
        If the content is not UTF-8.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ReportedError("%s is encoded as UTF-16, expected UTF-8; save it as UTF-8" % name)
    content = content if keeps_mark else without_mark(content)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b"\n") + 1
        raise ReportedError("%s, line %d: not valid UTF-8; use an undamaged copy" % (name, line)) from error


def refuse_null_characters(text, name, advice="use a text file"):
    """Raise a `ReportedError` if a text contains a null character; it may be a damaged archive without an extension.

    Parameters
    ----------
    text : str
    name : str
        Name of the file.
    advice : str
        End of the error message.
    """
    if "\0" in text:
        raise ReportedError("%s, line %d: the file contains a null character, so it is not plain text; %s"
                            % (name, text[:text.index("\0")].count("\n") + 1, advice))


def csv_rows(text, name, advice="use an undamaged copy", **form):
    r"""Yield the place and the fields of each row of a csv file; a malformed row is an error.

    Parameters
    ----------
    text : str
        From `decode`. Fields may have any length.
    name : str
        Name of the file.
    advice : str
        End of the error message.
    form : dict
        For `csv.reader`, such as a delimiter.

    Yields
    ------
    where : str
        The file and the line, for error messages.
    row : list of str

    Examples
    --------
    >>> from Experiments.shared.data.archives import csv_rows
    >>> list(csv_rows('1,"a, b"\n2,c\n', "x.csv"))
    [('x.csv, line 1', ['1', 'a, b']), ('x.csv, line 2', ['2', 'c'])]
    """
    refuse_null_characters(text, name)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))        # by default, 128 kB
    rows = csv.reader(io.StringIO(text, newline=""), **dict({"strict": True}, **form))
    try:
        for row in rows:
            yield "%s, line %d" % (name, rows.line_num), row
    except csv.Error as error:
        raise ReportedError("%s, line %d: malformed row (%s); %s" % (name, rows.line_num, error, advice)) from error


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

    The content determines the kind, not the name. Files that macOS adds (``__MACOSX``, ``._name``) are ignored, and so
    are links. Names are never used as paths. An archive above `LARGEST_CONTENT` is refused before it is uncompressed.

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
    if not os.path.exists(path):
        raise ReportedError("source not found: %s; give an existing folder or file" % path)
    start = read_file(path, 512)
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


def _ordinary_name(name):
    while name.startswith("./"):
        name = name[2:]
    parts = name.split("/")
    return None if "__MACOSX" in parts or parts[-1].startswith(".") else name


def _zip_members(path, wanted):
    total = 0
    with zipfile.ZipFile(path) as archive:
        _refuse_lost_members(path, len(archive.infolist()))
        for info in archive.infolist():
            name = _ordinary_name(info.filename)
            if name and not name.endswith("/") and wanted(name):
                total += info.file_size
                _refuse_large_member(name, info.file_size, total, path)
                yield name, archive.read(info)
            else:
                # zipfile compares the name in the directory with that at the member: damage must not hide a file.
                with contextlib.suppress(RuntimeError):             # encrypted, or of an unknown method
                    archive.open(info).close()


def _refuse_lost_members(path, count):
    """Raise a `BadZipFile` if the end of a zip records another number of members than were found in its directory.

    zipfile does not compare them: a member that damage turns into the comment of the one before would be lost.
    """
    with open(path, "rb") as stream:
        stream.seek(-min(os.path.getsize(path), END_OF_ZIP), os.SEEK_END)
        end = stream.read()
    recorded, = struct.unpack_from("<H", end, end.rindex(b"PK\5\6") + 10)
    if recorded != min(count, 0xffff):                  # a zip with more members records them elsewhere
        raise zipfile.BadZipFile("its directory has %d members instead of %d" % (count, recorded))


def _refuse_large_member(name, size, total, path):
    _refuse_larger(size, 0.25, name, path)
    _refuse_larger(total, 1, "files", path)


def _tar_members(path, opener, wanted):
    def refuse(end, size):
        _refuse_larger(end - CHUNK, 4, "everything", path)
        _refuse_larger(size - CHUNK, 0.25, "a header", path)

    total = 0
    with opener(path, "rb") as uncompressed:
        stream = LimitedStream(uncompressed, refuse)
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in iter(archive.next, None):
                archive.members = []        # tarfile would keep all of them
                name = _ordinary_name(member.name)
                if name and member.isfile() and wanted(name):
                    total += member.size
                    _refuse_large_member(name, member.size, total, path)
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
