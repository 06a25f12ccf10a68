"""The real corpora, where there is a local copy: REAL_DATA names the folder with ptb.zip, aclImdb.tar.xz and so on."""

import os

import pytest
from helpers import raw_corpora

from Experiments.shared.data import archives as sources
from Experiments.shared.data import classification as text
from Experiments.shared.data import penn_treebank as ptb

REAL_DATA = os.environ.get("REAL_DATA", os.path.join(os.path.dirname(raw_corpora.ROOT), "shared", "data"))


def real(name):
    path = os.path.join(REAL_DATA, name)
    if not os.path.exists(path):
        pytest.skip("no real data: %s is not there (REAL_DATA names the folder)" % path)
    return path


def test_ptb_characters():
    texts = ptb.read_ptb(real("ptb.zip"))
    for part in ptb.PARTS:
        content = ptb.character_version(texts[part]).encode("utf-8")
        assert sources.git_blob_id(content) == ptb.CHARACTER_BLOB_IDS[part]
    characters = ptb.character_tokens(texts["train"])
    assert len(characters) == 5017482 and len(set(characters)) == 50


def test_ptb_words(tmp_path):
    data = ptb.prepare_language(ptb.read_ptb(real("ptb.zip")), str(tmp_path / "p"), "Word_PTB", {"source": "real"})
    assert (len(data.vocabulary), len(data.train), len(data.valid), len(data.test)) == (10000, 929589, 73760, 82430)
    assert data.vocabulary[:3] == ["the", "<unk>", "<eos>"]


def test_agnews_rows():
    corpus = text.read_agnews(real("ag_news_test.csv"), 0.2)
    assert len(corpus["train"][0]) == 6080 and len(corpus["test"][0]) == 1520


@pytest.mark.skipif("REAL_DATA" not in os.environ, reason="takes half a minute: only if REAL_DATA is set")
def test_imdb_vocabulary(tmp_path):
    corpus = text.read_imdb(real("aclImdb.tar.xz"))
    data = text.prepare_text(*corpus["train"], *corpus["test"], data_dir=str(tmp_path / "p"), dataset="IMDB",
                             details={"source": "real"})
    assert len(data.vocabulary) == 53785
    assert (len(data.train.tokens), len(data.test.tokens)) == (6081873, 5945022)
    assert text.covered_share(data) == pytest.approx(0.9671, abs=5e-5)
