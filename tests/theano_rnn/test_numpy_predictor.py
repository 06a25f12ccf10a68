"""The NumPy predictor as one file: it needs NumPy only and no other file of the project."""

import json
import os
import shutil
import subprocess
import sys

from theano_rnn import numpy_predictor
from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from helpers.compressed_models import random_models

from bayes_rnn.export import save_model

PROGRAM = """
import json, os, sys
sys.path[:] = ["."] + [path for path in sys.path if not os.path.isdir(os.path.join(path, "theano_rnn"))]
from numpy_predictor import ReportedError, load_model
project = [name for name in sys.modules if name.partition(".")[0] in ("theano_rnn", "bayes_rnn", "theano", "scipy")]
model, other = load_model("text.npz"), load_model("words.npz")
try:
    load_model("missing.npz")
except ReportedError as error:
    message = str(error)
print(json.dumps([project, model.predict(["good film", "bad"]).tolist(), other.cross_entropy("cat sat"),
                  other.sample(9, seed=2), message]))
"""


def test_a_copy_of_the_file_alone_predicts(tmp_path):
    models = random_models()
    shutil.copy(numpy_predictor.__file__, str(tmp_path))
    for kind, model in models.items():
        save_model(str(tmp_path / (kind + ".npz")), model.arrays, model.metadata)
    output = subprocess.check_output([sys.executable, "-I", "-c", PROGRAM], cwd=str(tmp_path))
    project, probabilities, measured, sample, message = json.loads(output.decode("ascii"))
    assert project == []
    np.testing.assert_allclose(probabilities, models["text"].predict(["good film", "bad"]), rtol=1e-6)
    np.testing.assert_allclose(measured, models["words"].cross_entropy("cat sat"), rtol=1e-6)
    assert sample == models["words"].sample(9, seed=2)
    assert message == "compressed model not found: missing.npz"


@pytest.mark.parametrize("context", [None, "dog sat"])
def test_the_scores_of_many_tokens_are_one_product(monkeypatch, context):
    model = random_models()["words"]
    text = "cat sat\ndog sat " * 6
    expected, count = model.cross_entropy(text, context)
    calls, scores = [], model.scores
    monkeypatch.setattr(model, "scores", lambda h: calls.append(len(h)) or scores(h))
    monkeypatch.setattr(numpy_predictor, "STEPS", 8)
    np.testing.assert_allclose(model.cross_entropy(text, context)[0], expected, rtol=1e-6)
    assert sum(calls) == count and len(calls) == -(-count // 8)


def test_its_error_is_that_of_the_project():
    assert numpy_predictor.ReportedError is ReportedError


def test_any_words_in_front_coding():
    for words in ([], [""], ["a"], ["", "a", "a\u00e9", "a\u00e9b", "b"], ["x" * 300, "x" * 301, "\ud800"]):
        shared = [len(os.path.commonprefix([a, b])[:255]) for a, b in zip([""] + words, words)]
        rests = "\n".join(word[count:] for count, word in zip(shared, words)).encode("utf-8", "surrogatepass")
        assert numpy_predictor._front_decoded(np.array(shared, dtype=np.uint8), np.frombuffer(rests, np.uint8)) == words


@pytest.mark.parametrize("shared, rests, message", [
    ([0], b"a\nb", "pruned_words.rest must have 1 words, got 2"),
    ([1], b"a", "a pruned word shares 1 characters with a word of 0"),
    ([0], b"\xff", "pruned_words.rest is not UTF-8"),
])
def test_damaged_words(shared, rests, message):
    with pytest.raises(numpy_predictor._Damaged, match=message):
        numpy_predictor._front_decoded(np.array(shared, dtype=np.uint8), np.frombuffer(rests, np.uint8))


def test_words_that_expand_too_much(monkeypatch):
    monkeypatch.setattr(numpy_predictor, "SMALL_MATRIX", 100)
    rests = b"x" * 200 + b"\n" * 999
    with pytest.raises(numpy_predictor._Damaged, match="its pruned words of 2199 bytes have 200999"):
        numpy_predictor._front_decoded(np.array([0] + [200] * 999, dtype=np.uint8), np.frombuffer(rests, np.uint8))
