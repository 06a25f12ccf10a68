"""Word vectors beside prepared texts: trained, or the rows of a published file."""

import os

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays

import numpy as np
import pytest
from helpers import prepared_corpora, running

from Experiments.shared.data import prepared_vectors, text_classification
from Experiments.shared.data.prepare import find_data_set, main
from Experiments.shared.data.text_classification import load_text


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A prepared folder without vectors."""
    folder = str(tmp_path_factory.mktemp("texts") / "IMDB")
    prepared_corpora.prepare("IMDB", folder)
    return folder


@pytest.fixture
def prepare(texts, capsys):
    """Run the command line in the prepared folder; return the printed lines."""
    def prepared(*arguments):
        main(find_data_set("IMDB"), ["--data-dir", texts] + list(arguments))
        return capsys.readouterr().out.splitlines()
    return prepared


def load(folder, origin, dimensions):
    return prepared_vectors.load_vectors(folder, "IMDB", load_text(folder, "IMDB").vocabulary, origin, dimensions)


def test_vectors_are_added_to_prepared_texts_and_only_once(texts, prepare, monkeypatch):
    pytest.importorskip("gensim")
    before = running.folder_bytes(texts)
    lines = prepare("--dimensions", "8")
    assert lines[0] == "IMDB is prepared in %s; remove it to prepare it again" % texts
    words = load_text(texts, "IMDB").vocabulary[:-1]
    assert "vectors-train-8.npz: %d of %d words have a vector: word2vec (CBOW, 8 dim" % ((len(words),) * 2) in lines[2]
    after = running.folder_bytes(texts)
    assert sorted(set(after) - set(before)) == ["vectors-train-8.npz"]
    assert {name: after[name] for name in before} == before
    found = load(texts, "train", 8)
    np.testing.assert_array_equal(found.rows, np.arange(len(words)))
    assert found.vectors.dtype == np.float32 and found.vectors.shape == (len(words), 8)
    assert np.abs(found.vectors).max() > 0 and found.origin.endswith("on the 2000 training texts")
    monkeypatch.setattr(prepared_vectors, "train_vectors", None)
    assert prepare("--dimensions", "8")[1:] == ["%s: there already" % os.path.join(texts, "vectors-train-8.npz")]


def test_vectors_are_those_of_gensim_for_the_training_texts():
    word2vec = pytest.importorskip("gensim.models").Word2Vec
    vocabulary = text_classification.Vocabulary(["b", "a", "c", "</s>"])
    train = text_classification.encode_documents(["a b x", "b c b", "c"], [0, 1, 1], vocabulary)
    texts = prepared_vectors._training_texts(text_classification.TextData(vocabulary, train, None, 2))
    assert texts == [["a", "b"], ["b", "c", "b"], ["c"]]       # neither </s> nor words outside the vocabulary
    words, vectors = prepared_vectors.train_vectors(texts * 50, 6)
    assert words == ["b", "c", "a"]
    again = prepared_vectors.train_vectors(texts * 50, 6)[1]
    assert again.tobytes() == vectors.tobytes()
    order = np.random.RandomState(0).permutation(150)
    model = word2vec([(texts * 50)[index] for index in order], vector_size=6, sg=0, window=5, epochs=5, min_count=1,
                     workers=1, seed=0)
    np.testing.assert_array_equal(model.wv.vectors, vectors)


def test_published_vectors_keep_the_rows_that_are_needed(texts, prepare, monkeypatch, tmp_path):
    path = tmp_path / "glove.6B.zip"
    words = load_text(texts, "IMDB").vocabulary
    path.write_bytes(prepared_corpora.glove_zip({words[1]: [1., 2.], "xyz": [3., 4.], words[0]: [5., 6.]}))
    fetched = []

    def fetch(url, known_hash, folder):
        fetched.append((url, known_hash[:10]))
        return str(path)
    monkeypatch.setattr(prepared_vectors.download, "fetch", fetch)
    assert "vectors-glove-2.npz: 2 of " in prepare("--vectors", "glove", "--dimensions", "2")[1]
    assert fetched == [("https://nlp.stanford.edu/data/glove.6B.zip", "sha256:617")]
    found = load(texts, "glove", 2)
    np.testing.assert_array_equal(found.rows, [0, 1])
    np.testing.assert_array_equal(found.vectors, [[5, 6], [1, 2]])
    metadata = load_arrays(os.path.join(texts, "vectors-glove-2.npz"))[1]
    assert metadata["origin"] == "GloVe 6B, 2 dimensions, downloaded from https://nlp.stanford.edu/data/glove.6B.zip"


def test_missing_vectors_and_those_of_another_vocabulary(texts, tmp_path):
    with pytest.raises(ReportedError, match="IMDB has no word vectors vectors-google-news-300.npz: run 'python "
                                            "prepare_data.py --vectors google-news --dimensions 300' to add them"):
        load(texts, "google-news", 300)
    path = os.path.join(texts, "vectors-glove-3.npz")
    prepared_vectors.save_arrays(path, {"rows": [0], "vectors": [[1., 2., 3.]]},
                                 dict(dataset="IMDB", vocabulary_sha256="other", dimensions=3, origin="x"))
    try:
        with pytest.raises(ReportedError, match="vectors-glove-3.npz does not belong here: its vocabulary_sha256 is"):
            load(texts, "glove", 3)
    finally:
        os.remove(path)


def test_without_gensim_nothing_is_prepared_but_without_vectors(texts, prepare, monkeypatch, capsys):
    monkeypatch.setattr(prepared_vectors.importlib.util, "find_spec", lambda name: None)
    assert len(prepare("--vectors", "none")) == 1
    with pytest.raises(SystemExit) as leaving:
        prepare()
    assert leaving.value.code == 2
    assert capsys.readouterr().err == (
        "error: the package gensim, which trains word vectors, is not installed; run ./setup_env.sh, or prepare the "
        "data without vectors: --vectors none\n")


def test_preparing_texts_again_removes_their_vectors(tmp_path):
    folder = tmp_path / "p"
    prepared_corpora.prepare("IMDB", str(folder))
    for name in ("vectors-train-300.npz", "vectors-glove-2.npz"):
        (folder / name).write_bytes(b"")
    prepared_corpora.prepare("IMDB", str(folder))
    assert sorted(os.listdir(str(folder))) == ["test.npz", "train.npz", "vocabulary.txt"]
    (folder / "vectors-mine-2.npz").write_bytes(b"")
    with pytest.raises(ReportedError, match="vectors-mine-2.npz, which is not prepared data"):
        prepared_corpora.prepare("IMDB", str(folder))


def test_dimensions_must_be_positive(prepare, capsys):
    with pytest.raises(SystemExit):
        prepare("--dimensions", "0")
    assert capsys.readouterr().err == "error: --dimensions must be a positive integer, got 0\n"
