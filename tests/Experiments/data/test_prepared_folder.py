"""Prepared folders are complete or absent and never replace other files."""

import os

from theano_rnn.errors import ReportedError

import pytest
from helpers import raw_corpora, running

from Experiments.shared.data import prepared_folder as prepared
from Experiments.shared.data.vocabulary import Vocabulary


def write_arrays(folder, label=0, files=None):
    parts = {part: ({"labels": [label]}, {"documents": 1}) for part in ("train", "test")}
    prepared.write_array_folder(str(folder), "IMDB", "text", Vocabulary("ab"), parts, {"source": "test"}, files)


def test_failed_preparation_leaves_the_old_folder(tmp_path, monkeypatch):
    write_arrays(tmp_path / "p")
    before = running.folder_bytes(tmp_path / "p")

    def fail(*_arguments, **_options):
        raise KeyboardInterrupt
    monkeypatch.setattr(prepared, "save_arrays", fail)
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "p", label=1)
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "q")
    assert running.folder_bytes(tmp_path / "p") == before
    assert os.listdir(str(tmp_path)) == ["p"]


def test_leftovers_of_a_killed_preparation_are_removed(tmp_path):
    abandoned = tmp_path / "p.999999999.unfinished"
    abandoned.mkdir()
    write_arrays(tmp_path / "p")
    assert os.listdir(str(tmp_path)) == ["p"]


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_bytes(b"x")
    with pytest.raises(ReportedError, match="holds thesis.tex, which is not prepared data"):
        write_arrays(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_own_further_files_are_replaced(tmp_path):
    for content in (b"1", b"2"):
        write_arrays(tmp_path / "p", files={"further.txt": content})
        assert (tmp_path / "p" / "further.txt").read_bytes() == content
    with pytest.raises(ReportedError, match="holds further.txt, which is not prepared data"):
        write_arrays(tmp_path / "p")


def test_files_are_written_once_and_replaced_when_damaged(tmp_path):
    folder = str(tmp_path / "deep" / "er")
    contents = {"a.txt": b"1\n", "b.txt": b"2\n"}
    assert not prepared.is_intact(folder) and prepared.folder_source(folder) is None
    assert prepared.write_text_folder(folder, contents, "a test")
    assert prepared.is_intact(folder) and prepared.folder_source(folder) == "a test"
    assert not prepared.write_text_folder(folder, contents, "another test")
    with open(os.path.join(folder, "a.txt"), "w") as stream:
        stream.write("damage")
    assert not prepared.is_intact(folder)
    assert prepared.write_text_folder(folder, contents, "a test")
    assert prepared.write_text_folder(folder, {"a.txt": b"3\n"}, "a test")
    assert sorted(os.listdir(folder)) == [prepared.DIGEST_FILE, "a.txt"]
    assert os.listdir(os.path.dirname(folder)) == ["er"]


def test_files_of_others_are_not_replaced(tmp_path):
    folder = raw_corpora.write_tree(tmp_path / "penn", {"test.txt": "a", "train.txt": "b"})
    with pytest.raises(ReportedError, match="penn holds test.txt, which is not prepared data"):
        prepared.write_text_folder(folder, {"train.txt": b"x"}, "a test")
    assert running.folder_bytes(folder) == {"test.txt": b"a", "train.txt": b"b"}
    with pytest.raises(ReportedError, match="train.txt is not a folder"):
        prepared.write_text_folder(os.path.join(folder, "train.txt"), {}, "a test")


def test_failed_replacement_leaves_the_old_files(tmp_path, monkeypatch):
    folder = str(tmp_path / "penn")
    prepared.write_text_folder(folder, {"a.txt": b"old"}, "a test")
    rename = os.rename

    def failing(source, target):
        if source.endswith(".unfinished"):
            raise OSError(28, "No space left on device")
        rename(source, target)
    monkeypatch.setattr(prepared.os, "rename", failing)
    with pytest.raises(ReportedError, match="cannot write .*penn .No space left on device."):
        prepared.write_text_folder(folder, {"a.txt": b"new"}, "a test")
    assert (tmp_path / "penn" / "a.txt").read_bytes() == b"old" and prepared.is_intact(folder)
    assert os.listdir(str(tmp_path)) == ["penn"]
