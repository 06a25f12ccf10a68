"""C code and JavaScript predict as NumPy on all texts of the real test sets.

    REAL_DATA=FOLDER venv/bin/python -m pytest tests/bayes_rnn/test_exports_on_real_texts.py -s

REAL_DATA is the folder with ptb.zip, aclImdb.tar.xz, ag_news_test.csv and training rows of AG's News. REAL_MODELS is a
folder with the compressed models IMDB.npz, AGNews.npz, Char_PTB.npz and Word_PTB.npz; by default, the model of the
project that was trained on these data, or random weights for the words of the data. It prints the largest differences.
"""

import collections
import ctypes
import os
import shutil
from unittest import mock

from theano_rnn.numpy_predictor import log_softmax
from theano_rnn.tokens import character_tokens, tokenize, word_tokens

import numpy as np
import pytest
from helpers.compressed_models import classifier, language_model
from helpers.javascript import javascript_models, needs_node

from bayes_rnn.export import main as export
from bayes_rnn.model_file import save_model
from bayes_rnn.predictor import find_model, load_model, model_names
from Experiments.AGNews.prepare_data import read_agnews
from Experiments.IMDB.prepare_data import read_imdb
from Experiments.shared.data.penn_treebank import read_ptb

DATA, MODELS = os.environ.get("REAL_DATA"), os.environ.get("REAL_MODELS")
COMPILER = shutil.which(os.environ.get("CC", "cc"))

pytestmark = [pytest.mark.skipif(not DATA, reason="takes minutes: only if REAL_DATA is set"),
              pytest.mark.skipif(not COMPILER, reason="no C compiler"), needs_node]


def frequent(tokens, count):
    return [word for word, _ in collections.Counter(tokens).most_common(count)]


def random_model(name, texts):
    """Return a model with random weights whose words are those of texts."""
    if name in ("IMDB", "AGNews"):
        words = frequent((word for text in texts[:2000] for word in tokenize(text)), 2000)
        outputs, classes = (1, ["no", "yes"]) if name == "IMDB" else (4, list("abcd"))
        return classifier(["<start>", "<outside>", "</s>"] + words[::2], 20, outputs, 17, "hard_sigmoid", classes, 200,
                          False, words[1::2], computed_share=0.85)
    kind, split = ("characters", character_tokens) if name == "Char_PTB" else ("words", word_tokens)
    vocabulary = sorted(set(split(texts)) | {"<unk>"})
    model = language_model(kind, vocabulary[::2], vocabulary, 20)
    return type(model)(dict(model.arrays, W_hid=0.3 * model.arrays["W_hid"]), model.metadata)


def model_file(name, texts, folder):
    """Return the path of the model of a data set in a folder."""
    path = os.path.join(folder, name + ".npz")
    trained = [find_model(model) for model in model_names() if not model.endswith("-demo")
               and load_model(model, "numpy").metadata["dataset"] == name]
    if MODELS and os.path.exists(os.path.join(MODELS, name + ".npz")):
        shutil.copy(os.path.join(MODELS, name + ".npz"), path)
    elif trained:
        shutil.copy(trained[0], path)
    else:
        model = random_model(name, texts)
        save_model(path, model.arrays, model.metadata)
    return path


@pytest.fixture
def exported(tmp_path):
    """A function of the name of a data set and its texts: (model with NumPy, model with C)."""
    def exported(name, texts):
        path = model_file(name, texts, str(tmp_path))
        with mock.patch.dict(os.environ, XDG_CACHE_HOME=str(tmp_path)):
            export([path, "--to", "c", "--build"])
        return load_model(path, "numpy"), load_model(path, "c")
    return exported


def assert_equal(name, expected, **found):
    for backend, values in found.items():
        difference = np.abs(np.asarray(values) - expected).max()
        print("%s, %s: %d probabilities, largest difference %.1e" % (name, backend, expected.size, difference))
        assert difference <= 1e-5


@pytest.mark.parametrize("name", ["IMDB", "AGNews"])
def test_probabilities(name, exported):
    corpus = read_imdb(os.path.join(DATA, "aclImdb.tar.xz")) if name == "IMDB" else read_agnews(DATA)
    texts = list(corpus["test"][0])
    with_numpy, with_c = exported(name, texts)
    with javascript_models({name: with_numpy}) as call:
        in_javascript = [call(name, "classify", text=text)["probabilities"] for text in texts]
    assert_equal(name, with_numpy.predict(texts), c=with_c.predict(texts), javascript=in_javascript)


@pytest.mark.parametrize("name", ["Char_PTB", "Word_PTB"])
def test_probabilities_of_the_tokens(name, exported):
    text = read_ptb(os.path.join(DATA, "ptb.zip"))["test"]
    with_numpy, with_c = exported(name, text)
    tokens = with_numpy.tokens(text)
    column = {token: index for index, token in enumerate(with_numpy.metadata["vocabulary"])}
    next_ones = [column[token] for token in tokens[1:]]
    states = with_numpy.run(with_numpy.rows(tokens[:-1])[None])
    expected = np.array([log_softmax(with_numpy.scores(h))[0, token] for (h, _), token in zip(states, next_ones)])

    functions, state = with_c.compiled, with_c.compiled._new_state()
    log_probabilities = functions._function("log_probabilities", None, ctypes.POINTER(type(state)), ctypes.c_void_p)
    values, in_c = np.empty(len(column), dtype=np.float32), []
    for token, following in zip(tokens, next_ones):
        functions._advance(state, column[token])
        log_probabilities(state, values.ctypes.data)
        in_c.append(values[following])
    with javascript_models({name: with_numpy}) as call:
        in_javascript = call(name, "score", text=text, nats=True)["nats"]
    assert_equal(name, np.exp(expected), c=np.exp(in_c), javascript=np.exp(-np.array(in_javascript)))
    np.testing.assert_allclose(with_c.cross_entropy(text)[0], -expected.mean(), rtol=0, atol=1e-5)
