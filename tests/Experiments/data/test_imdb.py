"""IMDB: the raw format and the checks of the reader."""

import os

from theano_rnn.errors import ReportedError

import pytest
from helpers import raw_corpora

from Experiments.IMDB import prepare_data as imdb


def test_imdb_folder_keeps_case_and_order(tmp_path):
    tree = raw_corpora.imdb_tree(tmp_path)
    for source in (tree, str(tmp_path)):
        corpus = imdb.read_imdb(source, check=False)
        documents, labels = corpus["train"]
        assert labels == [1] * 12 + [0] * 12
        assert documents[10].startswith("A good film, number 10.")
        assert documents[12].startswith("A bad film, number 0.")
        assert "caf\u00e9" in documents[0]


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "tar", "zip"])
def test_imdb_archives_give_what_the_folder_gives(tmp_path, kind):
    tree = raw_corpora.imdb_tree(tmp_path)
    path = tmp_path / "archive"
    if kind == "zip":
        raw_corpora.write_zip(path, raw_corpora.imdb_texts(), "some/aclImdb/")
    else:
        raw_corpora.write_tar(path, tree, "./aclImdb", {"tar": "w"}.get(kind, "w:" + kind[4:]))
    assert imdb.read_imdb(str(path), check=False) == imdb.read_imdb(tree, check=False)


def test_published_imdb_must_be_complete(tmp_path):
    tree = raw_corpora.imdb_tree(tmp_path)
    os.remove(os.path.join(tree, "train", "pos", "3_3.txt"))
    with pytest.raises(ReportedError, match=r"train/pos of .* lacks file 3_\*.txt \(11 of 12500 files found\)"):
        imdb.read_imdb(tree)
    assert len(imdb.read_imdb(tree, check=False)["train"][0]) == 23


def test_published_imdb_must_have_its_digests(tmp_path, monkeypatch):
    monkeypatch.setattr(imdb, "REVIEWS", 12)
    tree = raw_corpora.imdb_tree(tmp_path)
    message = "train/pos of .* expected sha256 3ab80.*got [0-9a-f]{64}; .*--no-checksum"
    with pytest.raises(ReportedError, match=message):
        imdb.read_imdb(tree)


@pytest.mark.parametrize("name, content, message", [
    ("train/neg/5_5.txt", b" <> ...\n", "empty document: train/neg/5_5.txt of .* has no word"),
    ("train/neg/5_5.txt", b"a\nb\xff", "train/neg/5_5.txt, line 2: not valid UTF-8"),
    ("train/neg/notes.txt", b"a", "unexpected file notes.txt in train/neg of .*; expected names such as 127_9.txt"),
    ("train/neg/05_5.txt", b"a", "two files with number 5 in train/neg of .*: 05_5.txt and 5_5.txt"),
])
def test_imdb_files_with_problems_are_named(tmp_path, name, content, message):
    tree = raw_corpora.imdb_tree(tmp_path)
    with open(os.path.join(tree, *name.split("/")), "wb") as stream:
        stream.write(content)
    with pytest.raises(ReportedError, match=message):
        imdb.read_imdb(tree, check=False)


def test_imdb_folder_without_a_part(tmp_path):
    os.makedirs(str(tmp_path / "train" / "pos"))
    with pytest.raises(ReportedError, match="has no train/neg; expected the tree aclImdb"):
        imdb.read_imdb(str(tmp_path))


def test_folder_digest_covers_names_and_contents():
    digests = {imdb.folder_digest(files) for files in (
        [("0_1.txt", b"a"), ("1_1.txt", b"b")], [("0_1.txt", b"ab"), ("1_1.txt", b"")],
        [("0_2.txt", b"a"), ("1_1.txt", b"b")], [("1_1.txt", b"b"), ("0_1.txt", b"a")])}
    assert len(digests) == 4
