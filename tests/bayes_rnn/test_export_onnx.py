"""Compressed models as ONNX graphs, which onnxruntime runs: the same predictions as NumPy's."""

import json
import os
import subprocess
import sys

from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from helpers.compressed_models import CHARACTERS, CLASSIFIER, random_arrays

from bayes_rnn.export import main, save_model
from bayes_rnn.export_onnx import onnx_model
from bayes_rnn.predictor import ClassPredictor, NextTokenPredictor, log_softmax

REASON = "install requirements/onnx.txt"


def arrays(inputs, outputs, units, embedding=None):
    """Return the arrays of a model in which some gates are always open or closed."""
    values, rng = random_arrays(inputs, outputs, inputs, embedding, units), np.random.RandomState(inputs)
    saturated = rng.rand(4 * units) < 0.4
    values["gate_constants"][saturated] = rng.randint(2, size=saturated.sum())
    return values


def classifier(inputs, outputs, units, gate):
    words = ["<start>", "good", "bad"]
    return ClassPredictor(arrays(inputs, outputs, units, len(words)), dict(
        CLASSIFIER, gate_nonlinearity=gate, words=words, classes=["c%d" % k for k in range(max(outputs, 2))], length=9,
        lower_case=True))


def language_model(units=5):
    return NextTokenPredictor(arrays(2, 4, units), dict(CHARACTERS, words=["a", "_"]))


def run(model, outputs, **inputs):
    runtime = pytest.importorskip("onnxruntime", reason=REASON)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(outputs, inputs)


@pytest.fixture(autouse=True, scope="module")
def onnx():
    return pytest.importorskip("onnx", reason=REASON)


@pytest.mark.parametrize("inputs, outputs, units, gate", [
    (1, 1, 8, "hard_sigmoid"), (4, 3, 5, "sigmoid"), (4, 1, 1, "sigmoid"), (0, 4, 3, "hard_sigmoid")])
def test_classifiers(inputs, outputs, units, gate):
    model = classifier(inputs, outputs, units, gate)
    texts = ["", "good", "bad film", "GOOD bad " * 9]
    rows, mask = model.encode(texts)
    padding_last = np.argsort(mask == 0, axis=1, kind="mergesort")
    got, = run(onnx_model(model), ["probabilities"], rows=np.take_along_axis(rows, padding_last, axis=1).T,
               lengths=mask.sum(axis=1).astype(np.int32))
    np.testing.assert_allclose(got, model.predict(texts), rtol=0, atol=1e-5)


def test_language_models_carry_their_state():
    model = language_model()
    tokens, graph = list("ab_a\nba"), onnx_model(model)
    rows = model.rows(tokens)[:, None]
    expected = [log_softmax(model.scores(h)) for h, _ in model.run(rows.T)]
    state, got = [np.zeros((1, 1, 5), dtype=np.float32)] * 2, []
    model.arrays.update((name, array.astype(np.float64)) for name, array in model.arrays.items())
    assert onnx_model(model) == graph           # a network that was trained in float64
    for part in (rows[:3], rows[3:]):
        log_probabilities, h, c = run(graph, ["log_probabilities", "next_h", "next_c"], rows=part, h=state[0],
                                      c=state[1])
        state = [h, c]
        got.append(log_probabilities)
    np.testing.assert_allclose(np.concatenate(got), expected, rtol=0, atol=1e-5)


def test_command_line(tmp_path, onnx, capsys, without_theano):
    """It does not import Theano; the graph carries the metadata."""
    path, model = str(tmp_path / "model.npz"), classifier(2, 1, 4, "hard_sigmoid")
    save_model(path, model.arrays, model.metadata)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    output = subprocess.check_output([sys.executable, "-m", "bayes_rnn.export", path, "--to", "onnx"], cwd=root,
                                     env=dict(os.environ, PYTHONPATH=without_theano))
    graph = str(tmp_path / "model.onnx")
    assert output.decode("utf-8") == "%s: %d bytes\n" % (graph, os.path.getsize(graph))
    loaded = onnx.load(graph)
    onnx.checker.check_model(loaded, full_check=True)
    metadata = {entry.key: json.loads(entry.value) for entry in loaded.metadata_props}
    assert metadata["classes"] == ["c0", "c1"] and metadata["words"] == ["<start>", "good", "bad"]
    with pytest.raises(SystemExit):
        main([path, "--to", "onnx", "--build"])
    assert capsys.readouterr().err == "error: --build needs --to c; see --help\n"


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ReportedError) as error:
        onnx_model(language_model())
    assert str(error.value) == "--to onnx needs the package onnx; install requirements/onnx.txt"


def test_a_model_without_units():
    with pytest.raises(ReportedError) as error:
        onnx_model(language_model(units=0))
    assert str(error.value) == "the model cannot be exported to ONNX: it has no hidden units"
