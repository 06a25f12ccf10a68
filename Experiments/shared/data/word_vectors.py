"""Pretrained word vectors from word2vec binary files and GloVe text files, read as a stream."""

import contextlib
import gzip
import itertools
import lzma
import os
import zipfile
import zlib

from theano_rnn.errors import ReportedError

import numpy as np

from .archives import LimitedStream, progress, without_mark

__all__ = ["read_vectors"]

CHUNK = 1 << 20
# Limits for a file that is neither: its first "line", or "word", may be the whole file.
LONGEST_LINE, LONGEST_WORD, LONGEST_HEADER = 10 << 20, 1 << 20, 40
# A compressed file must not expand to more than EXPANDED_BYTES and EXPANSION times its size (of vectors, three times).
EXPANDED_BYTES, EXPANSION = 2 ** 28, 50
# A file that seems to use features that zipfile does not support raises a NotImplementedError, or another RuntimeError.
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, MemoryError)


def read_vectors(path, words, dimensions):
    """Read the vectors of some words.

    Parameters
    ----------
    path : str
        A word2vec binary file (a header ``count dimensions``, then entries; recognised by its header or by ``.bin``)
        or a text file with a word and its numbers per line (``.txt`` and ``.vec`` may have the same header). Both may
        be compressed (``.gz``, ``.xz``). In a ``.zip`` archive, the name of the file must end in, for example,
        ``.100d.txt`` for 100 dimensions, as in ``glove.6B.zip``.
    words : sequence of str
        The words, case-sensitive.
    dimensions : int
        Length of a vector.

    Returns
    -------
    rows : numpy.ndarray of int64, shape ``(found,)``
        Increasing indices into `words`.
    vectors : numpy.ndarray of float32, shape ``(found, dimensions)``
        The first entry of a word that has several.
    """
    if not os.path.isfile(path):
        raise ReportedError("vectors not found: %s; give an existing word2vec binary or GloVe text file" % path)
    wanted = {}
    for row, word in enumerate(words):
        wanted.setdefault(word.encode("utf-8"), row)
    found, entries = {}, 0
    try:
        with _opened(path, dimensions) as (stream, base):
            header = without_mark(stream.readline(LONGEST_LINE))
            count = _header_count(header, path, dimensions)
            if count is None and base.endswith(".bin"):
                raise ReportedError("vectors %s: expected a word2vec header 'count dimensions', got %r"
                                    % (path, header[:40]))
            if count is not None and not base.endswith((".txt", ".vec")):
                stored = _binary_entries(stream, count, dimensions)
            else:
                lines = iter(lambda: stream.readline(LONGEST_LINE), b"")
                lines = lines if count is not None else itertools.chain([header], lines)
                stored = _text_entries(lines, count, dimensions, path, 1 if count is None else 2)
            for key, numbers in progress(stored, "reading " + os.path.basename(path), count):
                entries += 1
                row = wanted.get(key)
                if row is not None and row not in found:
                    found[row] = _vector(key, numbers, dimensions, path)
    except DAMAGE as error:
        raise ReportedError("vectors %s end early or are damaged (%s; %d entries could be read); use an undamaged copy"
                            % (path, error, entries)) from error
    rows = np.array(sorted(found), dtype=np.int64)
    vectors = np.array([found[row] for row in rows], dtype=np.float32).reshape(len(rows), dimensions)
    return rows, vectors


@contextlib.contextmanager
def _opened(path, dimensions):
    """Open a file for reading; yield the stream of its uncompressed bytes, and its name without the compression."""
    def refuse(end, _):
        if end - CHUNK > max(EXPANDED_BYTES, EXPANSION * os.path.getsize(path)):
            raise EOFError("more than %d bytes when it is uncompressed" % (end - CHUNK))

    if path.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            ending = ".%dd.txt" % dimensions
            names = [name for name in archive.namelist() if name.endswith(ending)]
            if len(names) != 1:
                raise ReportedError("vectors %s: expected one file *%s, got %s"
                                    % (path, ending, ", ".join(names or archive.namelist()[:5]) or "none"))
            with archive.open(names[0]) as stream:
                yield LimitedStream(stream, refuse), names[0]
        return
    base, ending = os.path.splitext(path)
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(ending)
    with (opener or open)(path, "rb") as stream:
        yield (LimitedStream(stream, refuse), base) if opener else (stream, path)


def _header_count(line, path, dimensions):
    """Return the number of entries in a word2vec header, or None if the line is not a header."""
    fields = line.split()
    if len(fields) != 2 or not (fields[0].isdigit() and fields[1].isdigit()) or len(line) > LONGEST_HEADER:
        return None
    if int(fields[1]) != dimensions:
        raise ReportedError("vectors %s have %d dimensions, expected %d" % (path, int(fields[1]), dimensions))
    return int(fields[0])


def _binary_entries(stream, count, dimensions):
    """Yield (word, bytes of the vector)."""
    size = 4 * dimensions
    buffer, position = b"", 0
    for _ in range(count):
        while True:
            space = buffer.find(b" ", position)
            if space >= 0 and space + 1 + size <= len(buffer):
                break
            if space < 0 and len(buffer) - position > LONGEST_WORD:
                raise EOFError("a word has more than %d bytes" % LONGEST_WORD)
            more = stream.read(CHUNK)
            if not more:
                raise EOFError("expected %d entries" % count)
            buffer, position = buffer[position:] + more, 0
        yield buffer[position:space].lstrip(b"\n"), buffer[space + 1:space + 1 + size]
        position = space + 1 + size
    if (buffer[position:] + stream.read(CHUNK)).strip(b"\n"):
        raise EOFError("more than the %d entries of its header; a text file needs the ending .txt or .vec" % count)


def _text_entries(lines, count, dimensions, path, first_line):
    """Yield (word, list of the numbers as bytes)."""
    number = 0
    for number, line in enumerate(lines, first_line):
        line = line.rstrip(b"\r\n ")
        if number == first_line:
            _check_first_line(line, dimensions, path)
        # A word may contain spaces (GloVe 840B): split from the right.
        parts = line.rsplit(b" ", dimensions)
        if len(parts) != dimensions + 1:
            raise EOFError("line %d has %d numbers, expected %d" % (number, len(parts) - 1, dimensions))
        yield parts[0], parts[1:]
    if number < first_line or (count is not None and number - first_line + 1 < count):
        raise EOFError("expected %s entries" % ("some" if count is None else count))


def _check_first_line(line, dimensions, path):
    fields = line.split(b" ")
    numbers = 0
    while numbers < len(fields) - 1 and _is_number(fields[-1 - numbers]):
        numbers += 1
    if numbers != dimensions:
        raise ReportedError("vectors %s: the first line has a word and %d numbers, expected %d dimensions"
                            % (path, numbers, dimensions))


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _vector(key, numbers, dimensions, path):
    try:
        if isinstance(numbers, bytes):
            vector = np.frombuffer(numbers, dtype="<f4").astype(np.float32)
        else:
            vector = np.array([float(number) for number in numbers], dtype=np.float32)
        finite = bool(np.isfinite(vector).all())
    except ValueError:
        finite = False
    if not finite:
        raise ReportedError("vectors %s: the entry of %r is not %d finite numbers; use an undamaged copy"
                            % (path, key.decode("utf-8", "replace"), dimensions))
    return vector
