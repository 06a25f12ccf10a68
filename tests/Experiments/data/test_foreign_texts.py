"""Texts and archives from elsewhere: byte order marks, long fields, archives that expand to more than they should."""

import gzip
import io
import tarfile
import zipfile

from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from helpers import raw_corpora

from Experiments.AGNews import prepare_data as agnews
from Experiments.sequence_labeling import prepare_data as tagging
from Experiments.shared.data import archives
from Experiments.shared.data.language_modeling import load_corpus
from Experiments.shared.data.vocabulary import Vocabulary
from Experiments.shared.data.word_vectors import read_vectors

MARK = b"\xef\xbb\xbf"
MEGABYTE = 1 << 20


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path):
    (tmp_path / "x.txt").write_bytes(MARK + u"\u00e9 \ufeff".encode("utf-8"))
    assert archives.read_text(str(tmp_path / "x.txt")) == u"\u00e9 \ufeff"


def test_byte_order_marks_in_all_formats(tmp_path):
    for part, text in raw_corpora.LANGUAGE_TEXTS.items():
        (tmp_path / (part + ".txt")).write_bytes(MARK + text.encode("utf-8"))
    assert sorted(load_corpus(str(tmp_path)).vocabulary) == ["<eos>", "<unk>", "a", "b", "c"]
    row = b'"1","a title","a text"\n'
    (tmp_path / "x.csv").write_bytes(MARK + row * 10)
    train, labels = agnews.read_agnews(str(tmp_path / "x.csv"), 0.2, check=False)["train"]
    assert train == ["a title a text"] * 8 and labels == [0] * 8
    folder = tmp_path / "tagged"
    folder.mkdir()
    for name in ("train.txt", "test.txt"):
        (folder / name).write_bytes(MARK + b"a DT B\nb NN I\n\n" * 20)
    parts, tags = tagging.read_conll2000(str(folder), check=False)
    assert set(parts["train"].words) == {"a", "b"} and tags == ["DT", "NN"]
    (tmp_path / "v.txt").write_bytes(MARK + b"a 1 2\nb 3 4\n")
    rows, vectors = read_vectors(str(tmp_path / "v.txt"), ["a", "b"], 2)
    assert rows.tolist() == [0, 1] and vectors.tolist() == [[1, 2], [3, 4]]


def test_a_vocabulary_keeps_a_mark_and_has_no_word_twice():
    words = Vocabulary([u"\ufeffa", "b"])
    assert Vocabulary.from_bytes(words.to_bytes()) == words
    with pytest.raises(ReportedError, match="^x is damaged: it has a word twice"):
        Vocabulary.from_bytes(b"a\nb\na\n", "x")


def test_long_fields_of_a_csv_file(tmp_path):
    text = "word " * 100000
    (tmp_path / "x.csv").write_text(u'"1","a","b"\n"2","c","%s"\n' % text)
    documents, _ = agnews.read_agnews(str(tmp_path / "x.csv"), 0.5, check=False)["train"]
    assert max(map(len, documents)) in (3, len(text) + 2)


def _tar(members, mode="w:gz"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, size in members:
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(bytes(size)))
    return content.getvalue()


def _zip(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size in members:
            archive.writestr(name, bytes(size))
    return content.getvalue()


@pytest.mark.parametrize("make", [_tar, _zip])
@pytest.mark.parametrize("members, what", [
    ([("a.txt", 2 * MEGABYTE)], "a.txt of .*: more than 1 MB"),
    ([("%d.txt" % number, MEGABYTE) for number in range(5)], "files of .*: more than 4 MB")])
def test_an_archive_that_expands_too_much(tmp_path, make, members, what):
    path = tmp_path / "archive"
    path.write_bytes(make(members))
    with archives.archive_limit(4), pytest.raises(ReportedError, match=what + ".*raise the limit with --archive-limit"):
        archives.read_archive(str(path), lambda name: True)
    with archives.archive_limit(8):
        found = archives.read_archive(str(path), lambda name: True)
    assert [(name, len(content)) for name, content in found.items()] == members


def test_files_of_an_archive_that_are_not_read_count_too(tmp_path):
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(_tar([("skipped", 20 * MEGABYTE), ("a.txt", 1)]))
    with archives.archive_limit(4), pytest.raises(ReportedError, match="everything of .*: more than 16 MB"):
        archives.read_archive(str(path), "a.txt".__eq__)
    assert archives.read_archive(str(path), "a.txt".__eq__) == {"a.txt": b"\0"}


def test_a_compressed_file_that_expands_too_much():
    content = gzip.compress(bytes(3 * MEGABYTE))
    with archives.archive_limit(4), pytest.raises(ReportedError, match="^content of x.csv.gz: more than 1 MB"):
        archives.decompressed(content, "x.csv.gz")
    assert archives.decompressed(content, "x.csv.gz") == bytes(3 * MEGABYTE)


def test_the_option_of_the_limit(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(_zip([("ptb.%s.txt" % part, MEGABYTE) for part in ("train", "valid", "test")]))
    arguments = ["--source", str(path), "--data-dir", str(tmp_path / "out"), "--no-checksum"]
    for limit, expected in (("0", "error: --archive-limit must be a positive integer, got 0\n"),
                            ("2", "error: files of %s: more than 2 MB" % path)):
        status, output, errors = raw_corpora.run_script("Word_PTB", *(arguments + ["--archive-limit", limit]))
        assert (status, output) == (2, "") and errors.startswith(expected), errors


@pytest.mark.parametrize("content, reason", [
    (b"3 2\n" + bytes(2 * MEGABYTE), "a word has more than"),
    (b"9" * 5000 + b" 2\n", "the first line has"),
    (b"a 1 2\n" + b"b" * (11 * MEGABYTE), "line 2 has 0 numbers")], ids=["word", "header", "line"])
def test_vectors_without_an_end(tmp_path, content, reason):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ReportedError, match=reason):
        read_vectors(str(tmp_path / "x"), ["a"], 2)


def test_compressed_vectors_that_expand_too_much(tmp_path, monkeypatch):
    from Experiments.shared.data import word_vectors
    monkeypatch.setattr(word_vectors, "EXPANDED_BYTES", 2 * MEGABYTE)
    path = str(tmp_path / "x.txt.gz")
    with gzip.open(path, "wb") as stream:
        stream.write(b"a 1 2\n" * (MEGABYTE // 2))
    with pytest.raises(ReportedError, match="more than .* bytes when it is uncompressed"):
        read_vectors(path, ["a"], 2)
    with gzip.open(path, "wb") as stream:
        stream.write(b"a 1 2\n" * 100)
    assert np.array_equal(read_vectors(path, ["a"], 2)[1], [[1, 2]])
