"""Small random compressed models of each kind."""

import numpy as np

from bayes_rnn.predictor import ClassPredictor, NextTokenPredictor

__all__ = ["CHARACTERS", "CLASSIFIER", "UNITS", "WORDS", "random_arrays", "random_models"]

UNITS = 4


def random_arrays(inputs, outputs, seed=0, embedding=None):
    """Return the arrays of a model with `UNITS` hidden units, and with an embedding if it has a number of words."""
    rng = np.random.RandomState(seed)
    computed = rng.rand(4 * UNITS) < 0.7
    gates = computed.sum()
    arrays = {"W_in": rng.randn(inputs, gates), "W_hid": rng.randn(UNITS, gates), "b": rng.randn(gates),
              "W_out": rng.randn(UNITS, outputs), "b_out": rng.randn(outputs), "gate_constants": rng.rand(4 * UNITS)}
    if embedding:
        arrays["embedding"] = rng.randn(embedding, inputs)
    arrays = dict((name, array.astype("float32")) for name, array in arrays.items())
    return dict(arrays, gate_is_computed=computed)


CLASSIFIER = {"kind": "text", "dataset": "IMDB", "config": "LLLCCL", "gate_nonlinearity": "hard_sigmoid",
              "classes": ["negative", "positive"], "length": 8, "lower_case": False,
              "words": ["good", "bad", "<start>"]}
CHARACTERS = {"kind": "characters", "dataset": "Char_PTB", "config": "LCIL", "gate_nonlinearity": "sigmoid",
              "words": ["a", "\n"], "vocabulary": ["a", "b", "_", "\n"]}
WORDS = {"kind": "words", "dataset": "Word_PTB", "config": "LCIL", "gate_nonlinearity": "sigmoid",
         "words": ["<eos>", "cat"], "vocabulary": ["<eos>", "cat", "sat", "<unk>", "dog"]}


def random_models():
    """Return a model of each kind: dict of str to Predictor."""
    return {"text": ClassPredictor(random_arrays(2, 1, embedding=3), CLASSIFIER),
            "characters": NextTokenPredictor(random_arrays(2, 4), CHARACTERS),
            "words": NextTokenPredictor(random_arrays(2, 5), WORDS)}
