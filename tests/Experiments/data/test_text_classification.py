"""Text classification data: vocabulary, ids, the prepared folder."""

import os

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays

import numpy as np
import pytest

from Experiments.shared.data import text_classification as text


def prepare(folder, documents=("b a a", "a b c", "c d")):
    corpus = {"train": (documents, [0, 1, 1]), "test": (["d a"], [0])}
    return text.prepare_text(corpus, str(folder), "IMDB", 2, {"source": "test"})


def test_vocabulary_order_and_the_two_documents_rule():
    documents = ["zz zz once once once", "zz B b a \u00e9", "b B a \u00e9"]
    assert text.build_vocabulary(documents) == ["zz", "B", "a", "b", "\u00e9", "</s>"]


def test_vocabulary_counts_all_occurrences():
    assert text.build_vocabulary(["a b b b", "a b", "a"]) == ["b", "a", "</s>"]


def test_vocabulary_is_cut_to_the_most_frequent():
    assert text.build_vocabulary(["a b c", "a b c", "c"], largest=2) == ["c", "a", "</s>"]
    assert text.LARGEST_VOCABULARY == 100000


def test_documents_end_with_the_end_mark_and_unknown_words_are_outside():
    documents = text.encode_documents(["a x", "b"], [1, 0], ["a", "b", "</s>"])
    np.testing.assert_array_equal(documents.tokens, [0, 3, 2, 1, 2])
    np.testing.assert_array_equal(documents.offsets, [0, 3, 5])
    np.testing.assert_array_equal(documents.labels, [1, 0])
    assert [array.dtype for array in documents] == [np.int32, np.int64, np.int32]


def test_prepared_folder_is_read_back(tmp_path):
    written = prepare(tmp_path / "p")
    data = text.load_text(str(tmp_path / "p"), "IMDB")
    assert data.vocabulary == written.vocabulary == ["a", "b", "c", "</s>"]
    assert data.classes == 2
    for part in ("train", "test"):
        for array, expected in zip(getattr(data, part), getattr(written, part)):
            np.testing.assert_array_equal(array, expected)
    assert (tmp_path / "p" / "vocabulary.txt").read_bytes() == b"a\nb\nc\n</s>\n"
    metadata = load_arrays(str(tmp_path / "p" / "train.npz"))[1]
    assert (metadata["dataset"], metadata["kind"], metadata["classes"], metadata["vocabulary_size"],
            metadata["documents"], metadata["source"]) == ("IMDB", "text", 2, 4, 3, "test")
    assert len(metadata["vocabulary_sha256"]) == 64


def test_covered_share_counts_words_without_ends_of_documents(tmp_path):
    data = prepare(tmp_path / "p")
    assert text.covered_share(data) == pytest.approx(7 / 8)
    assert text.covered_share(data, 1) == pytest.approx(3 / 8)


def test_missing_data_says_how_to_get_it(tmp_path):
    with pytest.raises(ReportedError) as error:
        text.load_text(str(tmp_path), "IMDB", "python main.py CONFIG --demo")
    assert str(error.value) == (
        "no prepared data in %s: run 'python prepare_data.py' (or 'python prepare_data.py --source PATH' for a local "
        "copy), or try 'python main.py CONFIG --demo'" % tmp_path)


def test_incomplete_folder(tmp_path):
    prepare(tmp_path / "p")
    os.remove(str(tmp_path / "p" / "test.npz"))
    with pytest.raises(ReportedError, match="lacks test.npz; run prepare_data.py again"):
        text.load_text(str(tmp_path / "p"), "IMDB")


def test_vocabulary_of_another_preparation(tmp_path):
    prepare(tmp_path / "p")
    (tmp_path / "p" / "vocabulary.txt").write_bytes(b"a\nc\nb\n</s>\n")
    with pytest.raises(ReportedError, match="train.npz does not belong here: its vocabulary_sha256 is"):
        text.load_text(str(tmp_path / "p"), "IMDB")


def test_another_data_set(tmp_path):
    prepare(tmp_path / "p")
    with pytest.raises(ReportedError, match="its dataset is IMDB, expected AGNews"):
        text.load_text(str(tmp_path / "p"), "AGNews")


@pytest.mark.parametrize("name, value, message", [
    ("tokens", np.array([9] * 11, np.int32), "a token outside 0 to 4"),
    ("labels", np.array([0, 1, 2], np.int32), "a label outside 0 to 1"),
    ("offsets", np.array([0, 4, 8, 12]), "offsets that do not cut its 11 tokens"),
    ("labels", np.array([0, 1], np.int32), "4 offsets, 2 labels and 3 documents"),
])
def test_arrays_that_do_not_fit(tmp_path, name, value, message):
    prepare(tmp_path / "p")
    path = str(tmp_path / "p" / "train.npz")
    arrays, metadata = load_arrays(path)
    assert len(arrays["tokens"]) == 11
    arrays[name] = value
    save_arrays(path, arrays, metadata)
    with pytest.raises(ReportedError, match=message):
        text.load_text(str(tmp_path / "p"), "IMDB")


@pytest.mark.parametrize("changed", [
    {"tokens": None}, {"more": np.zeros(3)}, {"tokens": np.zeros(11)}, {"labels": np.zeros((3, 1), np.int32)},
    {"offsets": np.array(["a"])}])
def test_other_arrays_are_found_before_they_are_read(tmp_path, changed, monkeypatch):
    prepare(tmp_path / "p")
    path = str(tmp_path / "p" / "train.npz")
    arrays, metadata = load_arrays(path)
    save_arrays(path, {name: array for name, array in dict(arrays, **changed).items() if array is not None}, metadata)
    monkeypatch.setattr(np.lib.format, "read_array", None)
    with pytest.raises(ReportedError, match="train.npz holds the arrays .*; expected labels .int32, 1 dimensions., "):
        text.load_text(str(tmp_path / "p"), "IMDB")


@pytest.mark.parametrize("classes", [None, "2", 1, True])
def test_classes_that_are_no_number(tmp_path, classes):
    prepare(tmp_path / "p")
    path = str(tmp_path / "p" / "train.npz")
    arrays, metadata = load_arrays(path)
    save_arrays(path, arrays, dict(metadata, classes=classes))
    with pytest.raises(ReportedError, match="train.npz has %s classes" % repr(classes)):
        text.load_text(str(tmp_path / "p"), "IMDB")


def test_damaged_file_is_named(tmp_path):
    prepare(tmp_path / "p")
    path = tmp_path / "p" / "train.npz"
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    with pytest.raises(ReportedError, match="train.npz is damaged"):
        text.load_text(str(tmp_path / "p"), "IMDB")


def test_corpus_without_vocabulary(tmp_path):
    with pytest.raises(ReportedError, match="no word occurs in two training documents"):
        prepare(tmp_path / "p", documents=["a", "b", "c"])
