"""Language modelling data: arrays, and text files that are encoded when loaded."""

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import word_tokens

import numpy as np
import pytest
from helpers import raw_corpora

from Experiments.shared.data import language_modeling as language
from Experiments.shared.data.prepared_folder import PARTS

TEXTS, WITHOUT_UNKNOWN, write_corpus = (raw_corpora.LANGUAGE_TEXTS, raw_corpora.LANGUAGE_TEXTS_WITHOUT_UNKNOWN,
                                        raw_corpora.write_corpus)


def prepare(folder, dataset="Word_PTB", texts=raw_corpora.PTB_TEXTS):
    kind = {"Char_PTB": "characters", "Word_PTB": "words"}[dataset]
    return language.prepare_language(texts, str(folder), dataset, kind, {"source": "test"})


def test_word_tokens_end_every_line():
    assert word_tokens(" a b \n\n c ") == ["a", "b", "<eos>", "<eos>", "c", "<eos>"]
    assert word_tokens(" a \n") == ["a", "<eos>"]


@pytest.mark.parametrize("dataset", ["Char_PTB", "Word_PTB"])
def test_prepared_folder_is_read_back(tmp_path, dataset):
    written = prepare(tmp_path / "p", dataset)
    data = language.load_language(str(tmp_path / "p"), dataset)
    assert data.vocabulary == written.vocabulary
    for part in PARTS:
        np.testing.assert_array_equal(getattr(data, part), getattr(written, part))
        assert getattr(data, part).dtype == np.int32
    other = {"Char_PTB": "Word_PTB", "Word_PTB": "Char_PTB"}[dataset]
    with pytest.raises(ReportedError, match="its dataset is %s, expected %s" % (dataset, other)):
        language.load_language(str(tmp_path / "p"), other)


def test_words_of_valid_and_test_that_train_lacks_become_unknown(tmp_path):
    data = prepare(tmp_path / "p")
    assert "zebra" not in data.vocabulary
    assert [data.vocabulary[token] for token in data.test[:6]] == ["the", "mat", "<unk>", "a", "<unk>", "<eos>"]
    assert data.vocabulary[:4] == ["<eos>", "a", "cat", "sat"]


def test_characters_that_train_lacks_are_an_error(tmp_path):
    texts = {"train": "ab\n", "valid": "ab\n", "test": "aXb\n"}
    with pytest.raises(ReportedError, match="the test text holds 'X', which is not in the vocabulary"):
        prepare(tmp_path / "p", "Char_PTB", texts)


def test_newline_and_backslash_in_the_vocabulary_file(tmp_path):
    texts = {part: "a\\n\\\\ n\nb\n" for part in PARTS}
    data = prepare(tmp_path / "p", "Char_PTB", texts)
    loaded = language.load_language(str(tmp_path / "p"), "Char_PTB")
    assert loaded.vocabulary == data.vocabulary == ["\\", "\n", "n", "_", "a", "b"]
    assert (tmp_path / "p" / "vocabulary.txt").read_bytes() == b"\\\\\n\\n\nn\n_\na\nb\n"
    assert "".join(loaded.vocabulary[token] for token in loaded.test) == "a\\n\\\\_n\nb\n"
    words = prepare(tmp_path / "w", texts={part: "\\n \\\\n n\n" for part in PARTS})
    assert language.load_language(str(tmp_path / "w"), "Word_PTB").vocabulary == words.vocabulary


def test_missing_data_says_how_to_get_it(tmp_path):
    with pytest.raises(ReportedError, match="no prepared data in .*: run 'python prepare_data.py'"):
        language.load_language(str(tmp_path / "nowhere"), "Word_PTB")


def test_every_line_gives_its_words_and_an_end(tmp_path):
    data = language.load_corpus(write_corpus(tmp_path))
    assert [data.vocabulary[token] for token in data.train] == \
        "b a b <eos> c <unk> <eos> <eos> b a <eos>".split()
    assert [part.dtype for part in data[1:]] == [np.int32] * 3


@pytest.mark.parametrize("texts, ordering, expected", [
    (TEXTS, "up", "<unk> c a b <eos>"), (TEXTS, "down", "<eos> b a <unk> c"), (TEXTS, "none", "b a <eos> c <unk>"),
    (WITHOUT_UNKNOWN, "up", "d e f a c <eos> b"), (WITHOUT_UNKNOWN, "down", "<eos> b a c d e f"),
    (WITHOUT_UNKNOWN, "none", "b a <eos> c e d f"),
])
def test_order_of_the_vocabulary(tmp_path, texts, ordering, expected):
    assert language.load_corpus(write_corpus(tmp_path, texts), ordering).vocabulary == expected.split()


def test_words_that_train_lacks(tmp_path):
    data = language.load_corpus(write_corpus(tmp_path / "a"), "down")
    assert [data.vocabulary[token] for token in data.test] == ["<unk>", "<unk>", "b", "<eos>"]
    data = language.load_corpus(write_corpus(tmp_path / "b", WITHOUT_UNKNOWN), "down")
    assert [data.vocabulary[token] for token in data.test] == ["d", "f", "<eos>"]


def test_errors_of_reading(tmp_path):
    with pytest.raises(ReportedError, match="no corpus in .*nowhere: run ./getdata.sh .*--demo"):
        language.load_corpus(str(tmp_path / "nowhere"))
    folder = write_corpus(tmp_path)
    with pytest.raises(ReportedError, match="the ordering .* must be one of up, down, none, rand, got 'upp'"):
        language.load_corpus(folder, "upp")
    (tmp_path / "valid.txt").write_bytes(b"a b\nc \xff\n")
    with pytest.raises(ReportedError, match="valid.txt, line 2: not valid UTF-8"):
        language.load_corpus(folder)
    (tmp_path / "valid.txt").write_bytes(b" \n")
    with pytest.raises(ReportedError, match="valid.txt is empty; expected one sentence per line"):
        language.load_corpus(folder)
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(ReportedError, match="has no valid.txt; expected train.txt, valid.txt, test.txt: run ./getdata"):
        language.load_corpus(folder)
