"""Pretrained vectors: both file formats and their errors."""

import gzip
import lzma
import os
import struct

from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from helpers.prepared_corpora import glove_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from Experiments.shared.data import word_vectors as vectors

WORD = st.text(st.characters(blacklist_categories=("Cs", "Z", "C")), min_size=1, max_size=6).filter(
    lambda word: not word.isdigit())
NUMBER = st.floats(-100, 100, width=32, allow_subnormal=False)
TABLE = st.dictionaries(WORD, st.lists(NUMBER, min_size=3, max_size=3), min_size=1, max_size=20)


def word2vec(entries, newline=b"\n"):
    content = ("%d %d\n" % (len(entries), len(entries[0][1]))).encode("utf-8")
    return content + b"".join(word.encode("utf-8") + b" " + struct.pack("<%df" % len(numbers), *numbers) + newline
                              for word, numbers in entries)


def glove(entries):
    return "".join(word + " " + " ".join(repr(number) for number in numbers) + "\n"
                   for word, numbers in entries).encode("utf-8")


def save(folder, name, content):
    path = os.path.join(str(folder), name)
    with {"gz": gzip.open, "xz": lzma.open}.get(name[-2:], open)(path, "wb") as stream:
        stream.write(content)
    return path


ENTRIES = [("the", [1.0, 2.0, 3.0]), ("caf\u00e9", [4.0, 5.0, 6.0]), ("The", [7.0, 8.0, 9.0])]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=TABLE, newline=st.booleans(), chunk=st.integers(1, 64))
def test_round_trip_of_both_formats(tmp_path_factory, table, newline, chunk):
    folder = tmp_path_factory.getbasetemp()
    entries = list(table.items())
    words = ["not there", *reversed(list(table))][:-1] or ["not there"]
    binary = save(folder, "v.bin", word2vec(entries, b"\n" if newline else b""))
    plain = save(folder, "v.txt", glove(entries))
    before, vectors.CHUNK = vectors.CHUNK, chunk
    try:
        results = [vectors.read_vectors(path, words, 3) for path in (binary, plain)]
    finally:
        vectors.CHUNK = before
    for rows, found in results:
        assert [words[row] for row in rows] == words[1:]
        expected = np.array([table[word] for word in words[1:]], dtype=np.float32).reshape(len(words) - 1, 3)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float32


@pytest.mark.parametrize("name, content", [
    ("v.bin", word2vec(ENTRIES)), ("v.bin.gz", word2vec(ENTRIES, b"")), ("renamed", word2vec(ENTRIES)),
    ("v.txt", glove(ENTRIES)), ("v.txt.gz", glove(ENTRIES)), ("v.txt.xz", glove(ENTRIES)),
    ("v.vec", b"3 3\n" + glove(ENTRIES)),
])
def test_formats_are_recognised(tmp_path, name, content):
    rows, found = vectors.read_vectors(save(tmp_path, name, content), ["x", "The", "the", "caf\u00e9", "the"], 3)
    np.testing.assert_array_equal(rows, [1, 2, 3])
    np.testing.assert_array_equal(found, [[7, 8, 9], [1, 2, 3], [4, 5, 6]])


def test_a_text_file_is_not_read_as_a_binary_one(tmp_path):
    """Its numbers as text are longer than as bytes, so all entries could be read."""
    path = save(tmp_path, "vectors.w2v", b"2 2\nthe 0.123456 0.234567\nThe 0.345678 0.456789\n")
    with pytest.raises(ReportedError, match="more than the 2 entries of its header; a text file needs the ending .txt"):
        vectors.read_vectors(path, ["the", "The"], 2)


def test_words_with_spaces(tmp_path):
    path = save(tmp_path, "v.txt", glove(ENTRIES[:1] + [(". . .", [0.0, 1.0, 2.0]), ("at b.de", [3.0, 4.0, 5.0])]))
    rows, found = vectors.read_vectors(path, ["at b.de", ". . ."], 3)
    np.testing.assert_array_equal(found, [[3, 4, 5], [0, 1, 2]])


def test_nothing_found(tmp_path):
    rows, found = vectors.read_vectors(save(tmp_path, "v.txt", glove(ENTRIES)), ["x"], 3)
    assert rows.shape == (0,) and found.shape == (0, 3)


def test_first_of_several_entries_counts(tmp_path):
    path = save(tmp_path, "v.txt", glove([("a", [1.0, 1.0, 1.0]), ("a", [2.0, 2.0, 2.0])]))
    np.testing.assert_array_equal(vectors.read_vectors(path, ["a"], 3)[1], [[1, 1, 1]])


@pytest.mark.parametrize("name, content, message", [
    ("v.bin", word2vec(ENTRIES), "v.bin have 3 dimensions, expected 2"),
    ("v.txt", glove(ENTRIES), "v.txt: the first line has a word and 3 numbers, expected 2 dimensions"),
    ("v.bin", b"\x00\x01garbage", "expected a word2vec header 'count dimensions'"),
])
def test_wrong_dimension(tmp_path, name, content, message):
    with pytest.raises(ReportedError, match=message):
        vectors.read_vectors(save(tmp_path, name, content), ["the"], 2)


def test_the_file_of_an_archive_is_chosen_by_the_dimensions(tmp_path):
    path = save(tmp_path, "glove.6B.zip", glove_zip(dict(ENTRIES)))
    np.testing.assert_array_equal(vectors.read_vectors(path, ["The"], 3)[1], [[7, 8, 9]])
    with pytest.raises(ReportedError, match=r"expected one file \*.100d.txt, got glove.6B.4d.txt, glove.6B.3d.txt"):
        vectors.read_vectors(path, ["The"], 100)


@pytest.mark.parametrize("name, content, entries", [
    ("v.bin", word2vec(ENTRIES)[:-5], 2), ("v.bin", word2vec(ENTRIES)[:15], 0),
    ("v.txt", glove(ENTRIES)[:-5], 2), ("v.txt", b"", 0), ("v.vec", b"4 3\n" + glove(ENTRIES), 3),
])
def test_truncated_files_say_how_many_entries_were_read(tmp_path, name, content, entries):
    message = r"%s .*damaged .*; %d entries could be read|first line" % (name, entries)
    with pytest.raises(ReportedError, match=message):
        vectors.read_vectors(save(tmp_path, name, content), ["the"], 3)


@pytest.mark.parametrize("name", ["v.bin.gz", "v.bin.xz"])
def test_truncated_compressed_file(tmp_path, name):
    path = save(tmp_path, name, word2vec(ENTRIES * 50))
    with open(path, "rb") as stream:
        content = stream.read()
    with open(path, "wb") as stream:
        stream.write(content[:len(content) // 2])
    with pytest.raises(ReportedError, match="end early or are damaged"):
        vectors.read_vectors(path, ["the"], 3)


def test_entries_that_are_no_numbers(tmp_path):
    for name, content in (("v.txt", b"a 1 2\nthe 1 x\n"), ("v.bin", word2vec([("the", [float("nan"), 1.0])]))):
        with pytest.raises(ReportedError, match="the entry of 'the' is not 2 finite numbers"):
            vectors.read_vectors(save(tmp_path, name, content), ["the"], 2)


def test_missing_file(tmp_path):
    with pytest.raises(ReportedError, match="vectors not found: .*nowhere.bin"):
        vectors.read_vectors(str(tmp_path / "nowhere.bin"), ["a"], 3)
