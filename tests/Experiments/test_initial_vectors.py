"""The word vectors with which a text classifier starts: `read_initial` of the experiments."""

import numpy as np
import pytest
from helpers import prepared_corpora, running

from Experiments.shared.data.prepared_vectors import prepare_vectors
from Experiments.shared.train_and_evaluate import load_data


@pytest.fixture
def initial(data):
    """Return the initial vectors for settings of IMDB."""
    def read(**changed):
        settings = running.tiny_settings("IMDB", changed.pop("folder", data("IMDB"))).replace(**changed)
        return settings.experiment.read_initial(settings, load_data(settings))
    return read


@pytest.mark.parametrize("config, demo, warns", [("LLLCCL", False, True), ("LCLCCL", False, True),
                                                 ("DLDCLL", False, False), ("NLLCCL", False, False),
                                                 ("LLLCCL", True, False)])
def test_random_embeddings_that_may_be_pruned_give_a_warning(config, demo, warns, capsys):
    experiment = running.load_experiment("IMDB")
    settings = experiment.make_settings(demo, config=config, vectors="none")
    assert experiment.read_initial(settings, None) is None
    warning = capsys.readouterr().err
    assert warning.count("\n") == warns and warning.startswith("warning: --vectors none" if warns else "")


def test_the_demonstration_starts_from_random_embeddings():
    for dataset in ("IMDB", "AGNews"):
        experiment = running.load_experiment(dataset)
        assert experiment.make_settings(True, config="LLLCCL").vectors == "none"
        assert experiment.make_settings(config="LLLCCL").vectors == "train"
        assert experiment.setting("vectors").read("v.bin").endswith("/v.bin")


def test_vectors_of_a_file_keep_their_norm_unless_one_is_given(initial, tmp_path):
    path = str(tmp_path / "v.txt")
    with open(path, "w") as stream:
        stream.write("film 3 4\nThe 0 2\nplot 6 8\n")
    found = initial(vectors=path, embedding_units=2)
    np.testing.assert_array_equal(found.vectors, [[0, 2], [6, 8]])
    assert found.origin == path
    found = initial(vectors=path, embedding_units=2, vectors_norm=5)
    np.testing.assert_array_equal(found.vectors, [[0, 5], [3, 4]])
    assert found.origin == "%s; norm 5.0" % path


def test_trained_vectors_are_rescaled_and_limited_to_the_words_kept(initial, tmp_path, monkeypatch):
    folder = str(tmp_path / "IMDB")
    prepared_corpora.prepare("IMDB", folder)
    settings = running.tiny_settings("IMDB", folder)
    data = load_data(settings)
    words = data.vocabulary[:-1]
    monkeypatch.setattr("Experiments.shared.data.prepared_vectors.train_vectors",
                        lambda texts, dimensions, epochs: (words[::-1], np.outer(np.arange(len(words)), [3, 4])))
    monkeypatch.setattr("Experiments.shared.data.prepared_vectors._gensim_version", lambda: "4.4.0")
    prepare_vectors(folder, "IMDB", data, "train", 2, str(tmp_path))
    found = initial(folder=folder, vectors="train", embedding_units=2, words_kept=3)
    assert found.origin == ("word2vec (CBOW, 2 dimensions, window 5, 5 epochs), trained by gensim 4.4.0 on the 2000 "
                            "training texts; norm 2.1")
    np.testing.assert_array_equal(found.rows, [0, 1, 2])
    np.testing.assert_allclose(found.vectors, [[1.26, 1.68]] * 3, rtol=1e-6)
    found = initial(folder=folder, vectors="train", embedding_units=2, vectors_norm=10)
    np.testing.assert_allclose(found.vectors, [[6, 8]] * (len(words) - 1) + [[0, 0]], rtol=1e-6)
