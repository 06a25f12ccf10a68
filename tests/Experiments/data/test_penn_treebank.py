"""Penn Treebank: character and word version, prepared folder."""

import numpy as np
import pytest
from helpers import raw_corpora

from Experiments.shared.data import archives as sources
from Experiments.shared.data import penn_treebank as ptb
from theano_rnn.errors import ReportedError


def test_character_version():
    assert ptb.character_version(" a bc \n d \n") == "a _ b c \n d \n "
    assert ptb.character_tokens(" a bc \n d \n") == ["a", "_", "b", "c", "\n", "d", "\n"]


def test_word_tokens_end_every_line():
    assert ptb.word_tokens(" a b \n\n c ") == ["a", "b", "<eos>", "<eos>", "c", "<eos>"]
    assert ptb.word_tokens(" a \n") == ["a", "<eos>"]


def test_git_blob_id():
    assert sources.git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("dataset", ["Char_PTB", "Word_PTB"])
def test_prepared_folder_is_read_back(tmp_path, dataset):
    written = ptb.prepare_language(raw_corpora.PTB_TEXTS, str(tmp_path / "p"), dataset, {"source": "test"})
    data = ptb.load_language(str(tmp_path / "p"), dataset)
    assert data.vocabulary == written.vocabulary
    for part in ptb.PARTS:
        np.testing.assert_array_equal(getattr(data, part), getattr(written, part))
        assert getattr(data, part).dtype == np.int32
    other = {"Char_PTB": "Word_PTB", "Word_PTB": "Char_PTB"}[dataset]
    with pytest.raises(ReportedError, match="its dataset is %s, expected %s" % (dataset, other)):
        ptb.load_language(str(tmp_path / "p"), other)


def test_words_of_valid_and_test_that_train_lacks_become_unknown(tmp_path):
    data = ptb.prepare_language(raw_corpora.PTB_TEXTS, str(tmp_path / "p"), "Word_PTB", {"source": "test"})
    assert "zebra" not in data.vocabulary
    assert [data.vocabulary[token] for token in data.test[:6]] == ["the", "mat", "<unk>", "a", "<unk>", "<eos>"]
    assert data.vocabulary[:4] == ["<eos>", "a", "cat", "sat"]


def test_characters_that_train_lacks_are_an_error(tmp_path):
    texts = {"train": "ab\n", "valid": "ab\n", "test": "aXb\n"}
    with pytest.raises(ReportedError, match="ptb.test.txt holds 'X', which is not in ptb.train.txt"):
        ptb.prepare_language(texts, str(tmp_path / "p"), "Char_PTB", {"source": "test"})


def test_newline_and_backslash_in_the_vocabulary_file(tmp_path):
    texts = {part: "a\\n\\\\ n\nb\n" for part in ptb.PARTS}
    data = ptb.prepare_language(texts, str(tmp_path / "p"), "Char_PTB", {"source": "test"})
    loaded = ptb.load_language(str(tmp_path / "p"), "Char_PTB")
    assert loaded.vocabulary == data.vocabulary == ["\\", "\n", "n", "_", "a", "b"]
    assert (tmp_path / "p" / "vocabulary.txt").read_bytes() == b"\\\\\n\\n\nn\n_\na\nb\n"
    assert "".join(loaded.vocabulary[token] for token in loaded.test) == "a\\n\\\\_n\nb\n"
    words = ptb.prepare_language({part: "\\n \\\\n n\n" for part in ptb.PARTS}, str(tmp_path / "w"), "Word_PTB",
                                 {"source": "test"})
    assert ptb.load_language(str(tmp_path / "w"), "Word_PTB").vocabulary == words.vocabulary


def test_character_files_are_written(tmp_path):
    ptb.prepare_language(raw_corpora.PTB_TEXTS, str(tmp_path / "p"), "Char_PTB", {"source": "test"})
    content = (tmp_path / "p" / "ptb.char.test.txt").read_bytes().decode("utf-8")
    assert content == ptb.character_version(raw_corpora.PTB_TEXTS["test"])
    with pytest.raises(ReportedError, match="ptb.char.train.txt has git blob id .*, expected 84b890a8"):
        ptb.prepare_language(raw_corpora.PTB_TEXTS, str(tmp_path / "p"), "Char_PTB", {"source": "test"}, published=True)


def test_zip_with_sub_folders_gives_what_the_folder_gives(tmp_path):
    raw_corpora.write_tree(tmp_path / "raw", raw_corpora.ptb_files())
    files = {"deep/er/" + name: content for name, content in raw_corpora.ptb_files().items()}
    files.update({"__MACOSX/deep/._" + name: "junk" for name in raw_corpora.ptb_files()})
    files.update({"__MACOSX/" + name: "junk" for name in raw_corpora.ptb_files()})
    archive = raw_corpora.write_zip(tmp_path / "ptb.zip", files)
    assert ptb.read_ptb(archive, check=False) == ptb.read_ptb(str(tmp_path / "raw"), check=False) == raw_corpora.PTB_TEXTS


def test_sources_with_problems(tmp_path):
    files = raw_corpora.ptb_files()
    raw_corpora.write_tree(tmp_path, files)
    with pytest.raises(ReportedError, match="ptb.train.txt of .*: expected md5 f26c4b92.*found .*--no-checksum"):
        ptb.read_ptb(str(tmp_path))
    (tmp_path / "ptb.valid.txt").write_bytes(b" \n")
    with pytest.raises(ReportedError, match="ptb.valid.txt of .* is empty"):
        ptb.read_ptb(str(tmp_path), check=False)
    (tmp_path / "ptb.valid.txt").unlink()
    with pytest.raises(ReportedError, match="folder .* has no ptb.valid.txt; expected ptb.train.txt, ptb.valid.txt"):
        ptb.read_ptb(str(tmp_path), check=False)
    twice = raw_corpora.write_zip(tmp_path / "twice.zip", dict(files, **{"b/ptb.test.txt": "x"}))
    with pytest.raises(ReportedError, match="twice.zip holds more than one ptb.test.txt"):
        ptb.read_ptb(twice, check=False)
    del files["ptb.test.txt"]
    with pytest.raises(ReportedError, match="short.zip has no ptb.test.txt"):
        ptb.read_ptb(raw_corpora.write_zip(tmp_path / "short.zip", files), check=False)


def test_missing_data_says_how_to_get_it(tmp_path):
    with pytest.raises(ReportedError, match="no prepared data in .*: run 'python prepare_data.py'"):
        ptb.load_language(str(tmp_path / "nowhere"), "Word_PTB")
