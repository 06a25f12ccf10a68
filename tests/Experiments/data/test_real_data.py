"""The real corpora, if a local copy exists: REAL_DATA is the folder with ptb.zip, aclImdb.tar.xz and so on."""

import os

from theano_rnn.tokens import character_tokens

import numpy as np
import pytest
from helpers import raw_corpora

from Experiments.AGNews.prepare_data import read_agnews
from Experiments.IMDB.prepare_data import read_imdb
from Experiments.shared.data import archives
from Experiments.shared.data import penn_treebank as ptb
from Experiments.shared.data.language_modeling import load_corpus, load_language, prepare_language
from Experiments.shared.data.prepared_folder import PARTS, folder_source
from Experiments.shared.data.tagged_sentences import load_tagged
from Experiments.shared.data.text_classification import covered_share, prepare_text
from Experiments.shared.data.word_vectors import read_vectors

REAL_DATA = os.environ.get("REAL_DATA", os.path.join(os.path.dirname(raw_corpora.ROOT), "shared", "data"))


def real(name):
    path = os.path.join(REAL_DATA, name)
    if not os.path.exists(path):
        pytest.skip("no real data: %s is not there (REAL_DATA names the folder)" % path)
    return path


def test_ptb_characters():
    texts = ptb.read_ptb(real("ptb.zip"))
    for part in PARTS:
        content = ptb.character_version(texts[part]).encode("utf-8")
        assert archives.git_blob_id(content) == ptb.CHARACTER_BLOB_IDS[part]
    characters = character_tokens(texts["train"])
    assert len(characters) == 5017482 and len(set(characters)) == 50


def test_ptb_words(tmp_path):
    data = prepare_language(ptb.read_ptb(real("ptb.zip")), str(tmp_path / "p"), "Word_PTB", "words", {"source": "real"})
    assert (len(data.vocabulary), len(data.train), len(data.valid), len(data.test)) == (10000, 929589, 73760, 82430)
    assert data.vocabulary[:3] == ["the", "<unk>", "<eos>"]


def test_agnews_rows():
    corpus = read_agnews(real("ag_news_test.csv"), 0.2)
    assert len(corpus["train"][0]) == 6080 and len(corpus["test"][0]) == 1520


def test_agnews_subset():
    real("ag_news_train_54600.csv.xz")
    corpus = read_agnews(REAL_DATA)
    assert [len(corpus[part][0]) for part in ("train", "test")] == [54600, 7600]
    assert [corpus["train"][1].count(label) for label in range(4)] == [13354, 13528, 13377, 14341]


def test_glove_rows():
    path = real("glove.6B.100d.ag_news.txt.xz")
    rows, vectors = read_vectors(path, ["the", "reuters", "no-such-word"], 100)
    assert rows.tolist() == [0, 1] and vectors[0, 0] == np.float32(-0.038194)


@pytest.mark.parametrize("script", ["Word_PTB", "language_modeling"])
def test_wikitext2(tmp_path, script):
    source = ["--source", real("wikitext2.zip"), "--data-dir", tmp_path]
    if script == "Word_PTB":
        status, _, errors = raw_corpora.run_script(script, "--corpus", "wikitext-2", *source)
        data = load_language(str(tmp_path), script)
    else:
        status, _, errors = raw_corpora.run_getdata("wikitext-2", *source)
        data = load_corpus(str(tmp_path / "wikitext-2"))
    assert (status, errors) == (0, "")
    assert [len(part) for part in data] == [33278, 2088628, 217646, 245569]


@pytest.mark.skipif("REAL_DATA" not in os.environ, reason="takes half a minute: only if REAL_DATA is set")
def test_imdb_vocabulary(tmp_path):
    corpus = read_imdb(real("aclImdb.tar.xz"))
    data = prepare_text(corpus, str(tmp_path / "p"), "IMDB", 2, {"source": "real"})
    assert len(data.vocabulary) == 53785
    assert (len(data.train.tokens), len(data.test.tokens)) == (6081873, 5945022)
    assert covered_share(data) == pytest.approx(0.9671, abs=5e-5)


def test_ptb_text_files(tmp_path):
    status, output, errors = raw_corpora.run_getdata("penn", "--source", real("ptb.zip"), "--data-dir", tmp_path)
    assert (status, errors) == (0, "") and "train.txt: 929589 tokens" in output
    data = load_corpus(str(tmp_path / "penn"))
    assert [len(entry) for entry in data] == [10000, 929589, 73760, 82430]
    assert data.vocabulary[-3:] == ["<eos>", "<unk>", "the"]
    assert load_corpus(str(tmp_path / "penn"), "none").vocabulary[0] == "aer"


def test_english_web_treebank(tmp_path):
    status, _, errors = raw_corpora.run_script("sequence_labeling", "--corpus", "ewt", "--source",
                                               real("ud_english_ewt_2.15.zip"), "--data-dir", tmp_path / "out")
    assert (status, errors) == (0, "")
    data = load_tagged(str(tmp_path / "out"))
    assert [len(part.tokens) for part in data[2:]] == [204577, 25147, 25094]
    assert folder_source(str(tmp_path / "out")) == "English Web Treebank 2.15"


def test_conll2000(tmp_path):
    status, _, errors = raw_corpora.run_script("sequence_labeling", "--source", real("conll2000.zip"), "--data-dir",
                                               tmp_path / "out")
    assert (status, errors) == (0, "")
    data = load_tagged(str(tmp_path / "out"))
    assert [len(part.offsets) - 1 for part in data[2:]] == [8042, 894, 2012]
    assert [len(part.tokens) for part in data[2:]] == [190717, 21010, 47377]
    assert (len(data.vocabulary), len(data.tags)) == (18208, 44) and data.vocabulary[0] == "<unk>"
