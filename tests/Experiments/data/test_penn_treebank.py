"""Penn Treebank: the raw format, the character version."""

from theano_rnn.errors import ReportedError

import pytest
from helpers import raw_corpora

from Experiments.shared.data import penn_treebank as ptb
from Experiments.shared.data.prepare import PUBLISHED_SOURCE


def test_character_version():
    assert ptb.character_version(" a bc \n d \n") == "a _ b c \n d \n "


def test_character_files_are_written(tmp_path):
    data_set = ptb.PennTreebank("Char_PTB", "characters")
    data_set.write(raw_corpora.PTB_TEXTS, str(tmp_path / "p"), {"source": "test"})
    content = (tmp_path / "p" / "ptb.char.test.txt").read_bytes().decode("utf-8")
    assert content == ptb.character_version(raw_corpora.PTB_TEXTS["test"])
    with pytest.raises(ReportedError, match="ptb.char.train.txt has git blob id .*, expected 84b890a8"):
        data_set.write(raw_corpora.PTB_TEXTS, str(tmp_path / "p"), {"source": PUBLISHED_SOURCE})


def test_zip_with_sub_folders_gives_what_the_folder_gives(tmp_path):
    raw_corpora.write_tree(tmp_path / "raw", raw_corpora.ptb_files())
    files = {"deep/er/" + name: content for name, content in raw_corpora.ptb_files().items()}
    files.update({"__MACOSX/deep/._" + name: "junk" for name in raw_corpora.ptb_files()})
    files.update({"__MACOSX/" + name: "junk" for name in raw_corpora.ptb_files()})
    archive = raw_corpora.write_zip(tmp_path / "ptb.zip", files)
    assert ptb.read_ptb(archive, check=False) == raw_corpora.PTB_TEXTS
    assert ptb.read_ptb(str(tmp_path / "raw"), check=False) == raw_corpora.PTB_TEXTS


def test_sources_with_problems(tmp_path):
    files = raw_corpora.ptb_files()
    raw_corpora.write_tree(tmp_path, files)
    with pytest.raises(ReportedError, match="ptb.train.txt of .*: expected md5 f26c4b92.*got .*--no-checksum"):
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
