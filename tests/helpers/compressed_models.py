"""Compressed models with random weights, and texts that contain their words."""

from theano_rnn.tokens import tokenize

import numpy as np
from hypothesis import strategies as st

from bayes_rnn.predictor import ClassPredictor, NextTokenPredictor

__all__ = ["MODELS", "CLASSIFIERS", "LANGUAGE_MODELS", "NEWS_WORDS", "WORDS", "PIECES", "texts", "text_model",
           "language_model"]


def arrays(inputs, outputs, units, embedding=None, seed=0, density=1.0):
    rng = np.random.RandomState(seed)
    computed = rng.rand(4 * units) < 0.7
    gates = computed.sum()
    shapes = {"W_in": (inputs, gates), "W_hid": (units, gates), "b": (gates,), "W_out": (units, outputs),
              "b_out": (outputs,), "gate_constants": (4 * units,)}
    if embedding is not None:
        shapes["embedding"] = (embedding, inputs)
    values = {name: rng.randn(*shape) * (rng.rand(*shape) < density) for name, shape in sorted(shapes.items())}
    values["gate_constants"] = rng.rand(4 * units)
    return dict({name: array.astype("float32") for name, array in values.items()}, gate_is_computed=computed)


def text_model(words, inputs, outputs, units, gate, classes, length, lower_case, pruned=(), **options):
    metadata = {"kind": "text", "dataset": "D */ ??/", "config": "LLLCCL", "gate_nonlinearity": gate, "words": words,
                "classes": classes, "length": length, "lower_case": lower_case}
    if pruned:
        metadata["pruned_words"] = list(pruned)
    return ClassPredictor(arrays(inputs, outputs, units, len(words), **options), metadata)


def language_model(kind, words, vocabulary, units, **options):
    metadata = {"kind": kind, "dataset": "PTB", "config": "LCIL", "gate_nonlinearity": "sigmoid", "words": words,
                "vocabulary": vocabulary}
    return NextTokenPredictor(arrays(len(words), len(vocabulary), units, **options), metadata)


# All letters with two cases are words of this model, so that its tables for lower case are complete.
LETTERS = [chr(code) for code in range(0x110000) if chr(code).lower() != chr(code) or chr(code).upper() != chr(code)]
NEWS_WORDS = ["<start>", "<outside>", "good", "stra\xdfe", "\u03b1\u03c2", "\u03b1\u03c3\u03b1", "\u65e5\u672c", "i",
              "\U0001d400"] + [letter for letter in LETTERS if tokenize(letter) and letter != "i"]
CHARACTERS = ["a", "b", "_", "\n", "\xe9", "\ufffd", "\\", "'", "?", "\U0001f600", "\t"]
WORDS = ["<eos>", "cat", "sat", "<unk>", "dog", "\xe9t\xe9", "c\ufffdt", "?"]
MODELS = {
    "reviews": lambda: text_model(["good", "bad", "<start>"], 2, 1, 8, "hard_sigmoid", ["negative", "positive"], 12,
                                  False),
    "news": lambda: text_model(NEWS_WORDS, 10, 4, 6, "sigmoid", ['"W\xf6rld"', "?" * 3 + "/\\", "Business", "Sci"], 20,
                               True, ["bad", "</s>"]),
    "sparse": lambda: text_model(["<start>"] + ["w%d" % k for k in range(500)], 3, 3, 7, "hard_sigmoid",
                                 list("abc"), 30, False, density=0.1),
    "empty": lambda: text_model([], 0, 2, 0, "sigmoid", ["a", "b"], 1, True),
    "no_inputs": lambda: text_model(["good", "bad"], 0, 2, 3, "sigmoid", ["a", "b"], 5, False),
    "characters": lambda: language_model("characters", ["a", "\n", "\xe9", "_"], CHARACTERS, 5),
    "words": lambda: language_model("words", ["<eos>", "cat", "\xe9t\xe9"], WORDS, 5),
    "strict": lambda: language_model("words", ["c1", "c7"], ["c%d" % k for k in range(300)], 6, density=0.1),
}
CLASSIFIERS, LANGUAGE_MODELS = ["reviews", "news", "sparse", "empty", "no_inputs"], ["characters", "words", "strict"]

PIECES = ["good", "bad", "Good ", " w17", "cat", "sat ", "<unk>", "<eos>", "a", "b", " ", "\n", "\t", "\r\n", "_",
          "c1 ", "c7\n", "c299", "\xe9t\xe9", "\u03b1\u03a3", "\u03a3", "\u0130", "\u212a", "\x85", "\u2028", ".",
          "\xad", "\ufffd", "\u65e5\u672c", "STRA\u1e9eE", "\u0345", "?", "\\", "\x00", "\ud800"]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
                  st.lists(st.sampled_from(PIECES[:12]), max_size=40).map(" ".join))
