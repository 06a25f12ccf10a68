"""Compressed models with random weights, and texts that contain their words."""

from theano_rnn.tokens import tokenize

import numpy as np
from hypothesis import strategies as st

from bayes_rnn.model_file import with_fingerprints
from bayes_rnn.predictor import ClassPredictor, NextTokenPredictor

__all__ = ["CHARACTERS", "CLASSIFIER", "CLASSIFIERS", "LANGUAGE_MODELS", "MODELS", "NEWS_WORDS", "PIECES", "UNITS",
           "VOCABULARY", "WORDS", "random_arrays", "random_models", "texts"]

UNITS = 4


def random_arrays(inputs, outputs, seed=0, embedding=None, units=UNITS, density=1., computed_share=0.7):
    """Return the arrays of a model, and with an embedding if it has a number of words.

    Parameters
    ----------
    inputs, outputs, units : int
    seed : int
    embedding : int, optional
        Number of words.
    density : float
        Share of the weights that are not zero.
    computed_share : float
        Share of the gates that are computed; the others are constant.

    Returns
    -------
    dict of str to numpy.ndarray
    """
    rng = np.random.RandomState(seed)
    computed = rng.rand(4 * units) < computed_share
    gates = computed.sum()
    arrays = {"W_in": rng.randn(inputs, gates), "W_hid": rng.randn(units, gates), "b": rng.randn(gates),
              "W_out": rng.randn(units, outputs), "b_out": rng.randn(outputs), "gate_constants": rng.rand(4 * units)}
    if embedding is not None:
        arrays["embedding"] = rng.randn(embedding, inputs)
    for name in sorted(set(arrays) - {"gate_constants"}):
        arrays[name] = arrays[name] * (rng.rand(*arrays[name].shape) < density)
    arrays = dict((name, array.astype("float32")) for name, array in arrays.items())
    return dict(arrays, gate_is_computed=computed)


# -- three small models ------------------------------------------------------------------------------------------------

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


# -- models with unusual words and sizes, for exports ------------------------------------------------------------------

def classifier(words, inputs, outputs, units, gate, classes, length, lower_case, pruned=(), **options):
    metadata = dict(CLASSIFIER, dataset="D */ ??/", gate_nonlinearity=gate, words=words, classes=classes, length=length,
                    lower_case=lower_case)
    if pruned:
        metadata["pruned_words"] = list(pruned)
    return ClassPredictor(random_arrays(inputs, outputs, embedding=len(words), units=units, **options), metadata)


def language_model(kind, words, vocabulary, units, **options):
    metadata = dict(WORDS, kind=kind, dataset="PTB", words=words, vocabulary=vocabulary)
    return NextTokenPredictor(random_arrays(len(words), len(vocabulary), units=units, **options), metadata)


def with_fingerprints_of_words(model):
    return ClassPredictor(model.arrays, with_fingerprints(model.metadata))


def with_few_constants(create, *arguments, **options):
    """Return a model with few constant gates; the values of some of them are 0 and 1, where tanh is never."""
    model = create(*arguments, computed_share=0.85, **options)
    model.arrays["gate_constants"][::2] = np.round(model.arrays["gate_constants"][::2])
    return model


# All letters with two cases are words of this model, so that its tables for lower case are complete.
LETTERS = [chr(code) for code in range(0x110000) if chr(code).lower() != chr(code) or chr(code).upper() != chr(code)]
NEWS_WORDS = ["<start>", "<outside>", "good", "stra\xdfe", "\u03b1\u03c2", "\u03b1\u03c3\u03b1", "\u65e5\u672c", "i",
              "\U0001d400"] + [letter for letter in LETTERS if tokenize(letter) and letter != "i"]
ALPHABET = ["a", "b", "_", "\n", "\xe9", "\ufffd", "\\", "'", "?", "\U0001f600", "\t"]
VOCABULARY = ["<eos>", "cat", "sat", "<unk>", "dog", "\xe9t\xe9", "c\ufffdt", "?"]
MODELS = {
    "reviews": lambda: classifier(["good", "bad", "<start>"], 2, 1, 8, "hard_sigmoid", ["negative", "positive"], 12,
                                  False),
    "news": lambda: classifier(NEWS_WORDS, 10, 4, 6, "sigmoid", ['"W\xf6rld"', "?" * 3 + "/\\", "Business", "Sci"], 20,
                               True, ["bad", "</s>"]),
    "sparse": lambda: classifier(["<start>"] + ["w%d" % k for k in range(500)], 3, 3, 30, "hard_sigmoid",
                                 list("abc"), 30, False, density=0.1, computed_share=0.3),
    "wide": lambda: with_few_constants(
        classifier, ["<start>"] + ["w%d" % k for k in range(200)], 6, 1, 20, "hard_sigmoid", ["negative", "positive"],
        30, False, density=0.1),
    "inputs": lambda: with_few_constants(
        classifier, ["<start>"] + ["w%d" % k for k in range(200)], 17, 4, 9, "sigmoid", list("abcd"), 30, False,
        density=0.1),
    "fingerprints": lambda: with_fingerprints_of_words(
        classifier(["good", "<outside>", "<start>"], 3, 2, 5, "sigmoid", ["a", "b"], 15, True,
                   ["bad", "</s>", "cat", "\xe9t\xe9", "a", "\u65e5\u672c"])),
    "empty": lambda: classifier([], 0, 2, 0, "sigmoid", ["a", "b"], 1, True),
    "no_inputs": lambda: classifier(["good", "bad"], 0, 2, 3, "sigmoid", ["a", "b"], 5, False),
    "characters": lambda: language_model("characters", ["a", "\n", "\xe9", "_"], ALPHABET, 5),
    "words": lambda: language_model("words", ["<eos>", "cat", "\xe9t\xe9"], VOCABULARY, 5),
    "strict": lambda: language_model("words", ["c1", "c7"], ["c%d" % k for k in range(300)], 6, density=0.1),
    "many_gates": lambda: with_few_constants(language_model, "words", ["<eos>", "cat", "sat"], VOCABULARY, 6),
}
CLASSIFIERS = ["reviews", "news", "sparse", "wide", "inputs", "fingerprints", "empty", "no_inputs"]
LANGUAGE_MODELS = ["characters", "words", "strict", "many_gates"]

PIECES = ["good", "bad", "Good ", " w17", "cat", "sat ", "<unk>", "<eos>", "a", "b", " ", "\n", "\t", "\r\n", "_",
          "c1 ", "c7\n", "c299", "\xe9t\xe9", "\u03b1\u03a3", "\u03a3", "\u0130", "\u212a", "\x85", "\u2028", ".",
          "\xad", "\ufffd", "\u65e5\u672c", "STRA\u1e9eE", "\u0345", "?", "\\", "\x00", "\ud800"]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
                  st.lists(st.sampled_from(PIECES[:12]), max_size=40).map(" ".join))
