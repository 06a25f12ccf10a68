"""Tagged sentences: reading words and tags, the files that are written."""

from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from helpers import raw_corpora

from Experiments.shared.data import tagged_sentences as tagged

sentences, written = raw_corpora.decoded_sentences, raw_corpora.write_tagged


def test_sentences_words_and_tags(tmp_path):
    data = tagged.load_tagged(written(tmp_path))
    assert data.tags == ["DT", "NN", "VB", "VBZ"]
    assert sentences(data, "train") == [[("The", "DT"), ("dog", "NN"), ("sees", "VBZ"), ("the", "DT"), ("dog", "NN")],
                                        [("Bark", "VB")]]
    assert sentences(data, "valid") == [[("the", "DT"), ("<unk>", "NN")]]
    assert sentences(data, "test") == [[("dog", "NN")], [("sees", "VBZ")]]
    assert [array.dtype for array in data.train] == [np.int32, np.int32, np.int64]


@pytest.mark.parametrize("order, expected", [
    ("up", "<unk> Bark The sees the dog"), ("down", "dog Bark The sees the <unk>"),
    ("none", "The dog sees the Bark <unk>"),
])
def test_order_of_the_vocabulary(tmp_path, order, expected):
    assert tagged.load_tagged(written(tmp_path), order).vocabulary == expected.split()


def test_random_order_depends_on_the_seed(tmp_path):
    folder = written(tmp_path)
    orders = [tagged.load_tagged(folder, "rand", seed).vocabulary for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2] and sorted(orders[0]) == sorted(orders[2])


def test_unknown_word_that_train_has_is_counted(tmp_path):
    data = tagged.load_tagged(written(tmp_path, train="<unk>\tNN\n<unk>\tNN\na\tDT\n", test="b\tDT\n"))
    assert data.vocabulary == ["a", "<unk>"]
    assert sentences(data, "test") == [[("<unk>", "DT")]]


def test_tags_file_gives_the_order(tmp_path):
    data = tagged.load_tagged(written(tmp_path, tags="VBZ\nVB\nUH\n\nNN\nDT\n"))
    assert data.tags == ["VBZ", "VB", "UH", "NN", "DT"]
    assert sentences(data, "test")[1] == [("sees", "VBZ")]


@pytest.mark.parametrize("changes, message", [
    (dict(valid="a\tNN\n\nb\tXX\n"), "wsj_valid.conll, line 3: the tag 'XX' is not in wsj_train.conll"),
    (dict(tags="DT\nNN\nVB\n"), "wsj_train.conll, line 3: the tag 'VBZ' is not in tags.txt; expected one of its 3"),
    (dict(tags="DT\nNN\nDT\n"), "tags.txt, line 3: duplicate tag 'DT'"),
    (dict(tags="\n"), "tags.txt is empty; expected one tag per line"),
    (dict(train="a\tNN\nb NN\n"), "wsj_train.conll, line 2: expected 'token TAB tag', got 'b NN'"),
    (dict(train="a\tNN\tB-NP\n"), "wsj_train.conll, line 1: expected 'token TAB tag'"),
    (dict(train="a\t\n"), "wsj_train.conll, line 1: expected 'token TAB tag'"),
    (dict(test="\n\n"), "wsj_test.conll has no sentence"),
])
def test_errors_of_reading(tmp_path, changes, message):
    with pytest.raises(ReportedError, match=message):
        tagged.load_tagged(written(tmp_path, **changes))


def test_missing_files_say_how_to_get_them(tmp_path):
    with pytest.raises(ReportedError, match="no tagged sentences in .*: run 'python prepare_data.py'.*--demo"):
        tagged.load_tagged(str(tmp_path / "nowhere"))
    folder = written(tmp_path)
    (tmp_path / "wsj_test.conll").write_bytes(b"a\tNN\n\xff\tNN\n")
    with pytest.raises(ReportedError, match="wsj_test.conll, line 2: not valid UTF-8"):
        tagged.load_tagged(folder)
    (tmp_path / "wsj_test.conll").unlink()
    with pytest.raises(ReportedError, match="has no wsj_test.conll; expected wsj_train.conll, wsj_valid.conll, wsj_t"):
        tagged.load_tagged(folder)


def test_default_folder(tmp_path):
    assert tagged.default_tagged_folder(str(tmp_path)) == str(tmp_path / "data" / "conll2000")
    (tmp_path / "data" / "wsj").mkdir(parents=True)
    assert tagged.default_tagged_folder(str(tmp_path)) == str(tmp_path / "data" / "wsj")


def test_files_written_are_read_back(tmp_path):
    files = {name: text.encode("utf-8") for name, text in raw_corpora.TAGGED_FILES.items()}
    parts, tags = tagged.parse_tagged(files, "memory")
    contents = tagged.tagged_files(parts, tags)
    assert contents["wsj_test.conll"] == b"dog\tNN\n\nsees\tVBZ\n\n"
    assert tagged.parse_tagged(contents, "memory") == (parts, tags)
