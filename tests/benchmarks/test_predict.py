"""Comparison of predictors, without measuring for long."""

import os
import shutil
import sys

from theano_rnn.errors import ReportedError

import numpy as np
import pytest

from bayes_rnn.predictor import load_model
from benchmarks import predict, predict_worker

TINY = predict.Network(classes=3, words=30, inputs=5, units=6, length=9, kept_words=8, kept_inputs=2, kept_units=4,
                       ratio=6)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setitem(predict.NETWORKS, "tiny", TINY)
    monkeypatch.setattr(predict, "TEXTS", 8)
    monkeypatch.setenv("CFLAGS", "-O1")
    monkeypatch.setenv("PYTHONPATH", predict.ROOT)
    return predict.Files(str(tmp_path), "tiny")


@pytest.mark.parametrize("classes", [2, 3])
def test_the_dense_network_has_the_same_predictions(classes):
    small = predict.compressed_model(TINY._replace(classes=classes))
    # Some gates are constant.
    computed = np.random.RandomState(0).rand(16) < 0.6
    for name in ("W_in", "W_hid", "b"):
        small.arrays[name] = small.arrays[name][..., computed]
    small.arrays.update(gate_is_computed=computed, gate_constants=np.linspace(0, 1, 16).astype(np.float32))
    small = type(small)(small.arrays, small.metadata)
    words = small.metadata["words"] + ["pruned"]
    dense = predict.dense_model(small, words, TINY.inputs, TINY.units)
    assert dense.arrays["embedding"].shape == (9, 5) and dense.num_units == 6
    texts = ["word1 word2 pruned word3", "pruned", "word6 " * 20]
    np.testing.assert_allclose(dense.predict(texts), small.predict(texts), atol=1e-6)


def test_published_sizes():
    for name, network in predict.NETWORKS.items():
        if network is not None:
            model = predict.compressed_model(network)
            assert "%d-%d" % (len(model.arrays["W_in"]), model.num_units) == name
            weights = sum(np.count_nonzero(model.arrays[key]) for key in ("embedding", "W_in", "W_hid", "W_out"))
            dense = (network.words * network.inputs + 4 * network.units * (network.inputs + network.units)
                     + network.units * (1 if network.classes == 2 else network.classes))
            assert weights <= 1.1 * dense / network.ratio


@pytest.mark.skipif(not shutil.which(os.environ.get("CC", "cc")), reason="no C compiler")
def test_one_short_round(files, capsys):
    """NumPy and C predict the same; PyTorch is left out, with the reason."""
    python = os.path.join(files.folder, "python")
    found = files.available(["numpy", "c", "torch"], {"torch": python})
    assert list(found) == ["numpy", "c"]
    assert capsys.readouterr().out == (
        "left out: torch: %s does not exist; choose an interpreter with --python\n" % python)
    rows = predict.measure(files, found, rounds=1, seconds=0.001)
    assert len(rows) == 4 and all(list(figures) == list(found) for figures in rows.values())
    assert all(figure > 0 for figures in rows.values() for figure in figures.values())
    assert rows["bytes"]["numpy"] == os.path.getsize(files.model)


def test_a_missing_package_is_reported(files):
    with pytest.raises(ReportedError, match="has no package no_such_package; choose an interpreter with --python"):
        files._require(sys.executable, "no_such_package")


def test_a_worker_that_fails_is_reported(files):
    with pytest.raises(ReportedError, match="failed: .*compressed model not found: missing.npz"):
        predict.Worker([sys.executable, os.path.join(predict.HERE, "predict_worker.py"), "numpy", "missing.npz",
                        files.texts])


def test_calls_of_one_text_and_of_all(files):
    calls = []
    seconds = predict_worker.measured(calls.append, ["a", "b"], "one", 0)
    assert len(seconds) == 1 and calls == [["b"], ["a"]]
    assert len(predict_worker.measured(calls.append, ["a", "b"], "many", 0)) == 1 and calls[2:] == [["a", "b"]] * 2


def test_the_theano_candidate_predicts_as_the_others(files, reference_backend):
    predict_theano = predict_worker.theano_predictor(files.path("dense.npz"))
    texts = ["word1 word2 pruned4", "word3", "unknown word1 unknown"]
    np.testing.assert_allclose(predict_theano(texts), load_model(files.model).predict(texts)[:, -1], atol=1e-5)


def test_different_probabilities_are_an_error():
    predict.check_agreement({"numpy": np.array([0.5]), "theano": np.array([0.50005]), "fasttext": np.array([0.1])})
    for wrong in (0.5002, float("nan")):
        with pytest.raises(ReportedError, match="of torch and numpy must differ by at most 1e-04, got"):
            predict.check_agreement({"numpy": np.array([0.5]), "torch": np.array([wrong])})


def test_command_line(files, tmp_path, monkeypatch, capsys):
    path = str(tmp_path / "results.json")
    monkeypatch.setattr(sys, "argv", ["predict.py", "--networks", "tiny", "--candidates", "numpy", "--rounds", "1",
                                      "--seconds", "0.001", "--json", path])
    predict.main()
    assert capsys.readouterr().out.startswith("| prediction | NumPy, compressed |\n| --- | --- |\n| tiny: one text (")
    with open(path, encoding="utf-8") as stream:
        assert "tiny: bytes" in stream.read()
