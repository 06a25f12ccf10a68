"""Own text for the language models and own sentences for the tagger: files, split, unknown words, command lines."""

import os

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import UNKNOWN_WORD

import pytest
from helpers import raw_corpora, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from Experiments.language_modeling import prepare_data as getdata
from Experiments.sequence_labeling.prepare_data import read_own
from Experiments.shared.data import own_language
from Experiments.shared.data.language_modeling import load_corpus, load_language
from Experiments.shared.data.penn_treebank import OwnText
from Experiments.shared.data.prepare import find_data_set, main
from Experiments.shared.data.prepared_folder import PARTS, folder_source
from Experiments.shared.data.tagged_sentences import load_tagged

LINES = ["The cat sees the dog.", "The dog, it's said, sees the cat!", "A cat and a dog: the cat."]
TEXT = "\r\n".join(LINES * 20)


def write(folder, text=TEXT, name="my.txt"):
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return str(path)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text("ab ", min_size=1, max_size=30), min_size=1, max_size=40), st.floats(0.05, 0.49))
def test_the_parts_of_a_file_are_the_whole_text(tmp_path_factory, lines, share):
    text = "\n".join(lines)
    path = write(tmp_path_factory.mktemp("own"), text)
    try:
        parts = own_language.read_own_text(path, share)
    except ReportedError as error:
        assert "is empty; use a longer text" in str(error)
        return
    assert list(parts) == list(PARTS) and "".join(parts.values()) == text
    for part in ("valid", "test"):
        assert len(parts[part]) <= 1.5 * share * len(text) + 2


def test_parts_begin_with_a_line(tmp_path):
    parts = own_language.read_own_text(write(tmp_path, "\ufeff" + TEXT), 0.2)
    whole = TEXT.replace("\r\n", "\n")
    assert "".join(parts.values()) == whole and parts["train"].endswith("\n") and parts["valid"].endswith("\n")
    assert 0.55 < len(parts["train"]) / len(whole) < 0.65
    folder = raw_corpora.write_corpus(tmp_path / "parts")
    assert own_language.read_own_text(folder, 0.1) == {part: raw_corpora.LANGUAGE_TEXTS[part] for part in PARTS}


def test_rare_words_become_unknown():
    texts = {"train": "a a b b b c <unk>\nd d", "valid": "c a", "test": "x b"}
    found = own_language.with_unknown_words(texts, 100)
    assert found == {"train": "a a b b b <unk> <unk>\nd d", "valid": "<unk> a", "test": "<unk> b"}
    assert own_language.with_unknown_words(texts, 1)["train"] == "<unk> <unk> b b b <unk> <unk>\n<unk> <unk>"


def test_words_of_own_text(tmp_path, capsys):
    source, folder = write(tmp_path), str(tmp_path / "out")
    main(find_data_set("Word_PTB"), ["--source", source, "--data-dir", folder, "--holdout", "0.2"])
    assert "Word_PTB prepared in %s\ntrain: " % folder in capsys.readouterr().out
    data = load_language(folder, "Word_PTB")
    words = [data.vocabulary[token] for token in data.train[:18]]
    assert " ".join(words) == "The cat sees the dog . <eos> The dog , it's said , sees the cat ! <eos>"
    assert UNKNOWN_WORD in data.vocabulary and folder_source(folder) == "own data of the user"
    main(find_data_set("Word_PTB"), ["--source", source, "--data-dir", folder, "--tokenized", "--words", "2"])
    assert set(load_language(folder, "Word_PTB").vocabulary) == {"<eos>", "<unk>", "the", "The"}


def test_characters_that_only_the_end_has_become_unknown(tmp_path):
    source, folder = write(tmp_path, TEXT + "\n\u00e9" * 30), str(tmp_path / "out")
    main(find_data_set("Char_PTB"), ["--source", source, "--data-dir", folder])
    data = load_language(folder, "Char_PTB")
    assert "\u00e9" not in data.vocabulary and data.vocabulary[data.test[-1]] == UNKNOWN_WORD
    assert sorted(os.listdir(folder)) == ["test.npz", "train.npz", "valid.npz", "vocabulary.txt"]


def test_own_text_of_the_awd_lstm(tmp_path, capsys):
    getdata.main(["own", "--source", write(tmp_path), "--data-dir", str(tmp_path)])
    assert "%s written:\n  train.txt: " % (tmp_path / "own") in capsys.readouterr().out
    data = load_corpus(str(tmp_path / "own"))
    assert data.vocabulary[-1] in ("the", "cat") and {"it's", ",", "<eos>"} <= set(data.vocabulary)


def test_own_files_have_a_folder_of_their_own():
    assert OwnText("Word_PTB", "words").default_folder == os.path.join(
        raw_corpora.ROOT, "Experiments", "Word_PTB", "data", "own")


@pytest.mark.parametrize("separator", ["\t", " ", "   "])
def test_own_tagged_sentences(tmp_path, separator):
    sentences = [[("word%d" % number, "T%d" % (number % 3)), (".", ".")] for number in range(20)]
    text = "\r\n\r\n".join("\r\n".join(separator.join(pair) for pair in sentence) for sentence in sentences)
    source, folder = write(tmp_path, "\ufeff" + text, "my.conll"), str(tmp_path / "out")
    main(find_data_set("sequence_labeling"), ["--source", source, "--data-dir", folder, "--holdout", "0.15"])
    data = load_tagged(folder)
    assert [len(part.offsets) - 1 for part in data[2:]] == [14, 3, 3] and list(data.tags) == [".", "T0", "T1", "T2"]
    before = running.folder_bytes(folder)
    main(find_data_set("sequence_labeling"), ["--source", source, "--data-dir", folder, "--holdout", "0.15"])
    assert running.folder_bytes(folder) == before
    parts, _ = read_own(source, 0.15)
    assert sorted(word for part in parts.values() for word in part.words) == sorted(
        word for sentence in sentences for word, _ in sentence)
    assert all(part.tags[index] == "T%d" % (int(word[4:]) % 3) for part in parts.values()
               for index, word in enumerate(part.words) if word != ".")


@pytest.mark.parametrize("experiment, text, arguments, message", [
    ("sequence_labeling", "a\tB\nc\n", [], "my.txt, line 2: expected 'token TAB tag', got 'c'"),
    ("sequence_labeling", "a B\nc D e\n", [], "my.txt, line 2: expected 'token tag', got 'c D e'"),
    ("sequence_labeling", "a B\n\nc D\n", [], "my.txt has only 2 sentences (blank lines end sentences), too few"),
    ("sequence_labeling", "a B\n\n" * 4, ["--holdout", "0.4"], "too few to hold out 0.4 for validation and as many "
                                                               "for the test"),
    ("Word_PTB", "a\n", [], "part of {} is empty; use a longer text"),
    ("Word_PTB", "a\nb \0 c\n", [], "{}, line 2: the file contains a null character, so it is not plain text; use a "
                                    "text file or an archive of the published corpus"),
    ("Word_PTB", TEXT, ["--words", "0"], "--words must be a positive integer, got 0"),
    ("Char_PTB", TEXT, ["--holdout", "0.6"], "--holdout must be a number in (0, 0.5), got 0.6"),
])
def test_errors_are_one_line_and_leave_nothing(tmp_path, capsys, experiment, text, arguments, message):
    source = write(tmp_path, text)
    with pytest.raises(SystemExit) as leaving:
        main(find_data_set(experiment), ["--source", source, "--data-dir", str(tmp_path / "out")] + arguments)
    errors = capsys.readouterr().err
    assert leaving.value.code == 2 and errors.count("\n") == 1 and message.format(source) in errors
    assert os.listdir(str(tmp_path)) == ["my.txt"]


@pytest.mark.parametrize("experiment", ["Char_PTB", "Word_PTB", "sequence_labeling"])
def test_options_for_own_data_are_refused_for_published_ones(experiment, capsys):
    with pytest.raises(SystemExit):
        main(find_data_set(experiment), ["--holdout", "0.2"])
    assert capsys.readouterr().err == "error: --holdout is for own data, but the download is a published corpus\n"
