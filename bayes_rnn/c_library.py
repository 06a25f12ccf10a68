"""Prediction with the C code of a compressed model, which ``python -m bayes_rnn.export MODEL --to c --build`` compiles.

`bayes_rnn.predictor.load_model` uses it for models beside which there is a library that this user has built.
"""

import ctypes
import os
import threading

from theano_rnn.errors import ReportedError
from theano_rnn.threads import number_of_threads

import numpy as np

from .c_compiler import file_digest, is_built_here
from .export_c import identifier

__all__ = ["load_library", "is_built_here", "CompiledClassifier", "CompiledLanguageModel"]

#: The libraries that are loaded: path and inode, which is not used again while the library is loaded, to functions.
_LOADED = {}
#: Number of texts from which more than one thread classifies them.
_MANY = 256


def load_library(path, model):
    """Load the library beside a compressed model.

    Parameters
    ----------
    path : str
        Path of the model; the library has the extension ``.so`` instead.
    model : bayes_rnn.predictor.ClassPredictor or NextTokenPredictor

    Returns
    -------
    CompiledClassifier or CompiledLanguageModel

    Raises
    ------
    ReportedError
        If the library is missing, damaged, or was built from another model.
    """
    base = os.path.splitext(path)[0]
    name, library = identifier(os.path.basename(base)), os.path.abspath(base + ".so")
    how = "; python -m bayes_rnn.export %s --to c --build creates it" % path
    if not os.path.exists(library):
        raise ReportedError("compiled model not found: %s%s" % (library, how))
    try:
        functions = _loaded(library)
        digest = getattr(functions, name + "_digest")
    except (OSError, AttributeError) as error:
        raise ReportedError("%s cannot be loaded (%s)%s" % (library, error, how)) from None
    digest.restype = ctypes.c_char_p
    if digest().decode("ascii") != file_digest(path):
        raise ReportedError("%s was built from another model than %s%s" % (library, path, how))
    kind = CompiledClassifier if model.metadata["kind"] == "text" else CompiledLanguageModel
    return kind(functions, name, model)


def _loaded(library):
    """Return the functions of a library, which may have been compiled again since it was loaded."""
    key = library, os.stat(library).st_ino
    if key not in _LOADED:
        folder, name = os.path.split(library)
        # For a path that it knows, the loader returns the library that it has loaded.
        _LOADED[key] = ctypes.CDLL(os.path.join(folder, *["."] * len(_LOADED) + [name]))
    return _LOADED[key]


class CompiledClassifier(object):
    """The function ``<name>_predict_all`` of a library, from `load_library`."""

    def __init__(self, functions, name, model):
        self._classes = len(model.metadata["classes"])
        self._predict_all = getattr(functions, name + "_predict_all")
        self._predict_all.restype = None
        self._predict_all.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]

    def predict(self, texts):
        """Return the probabilities of the classes: float32 ``(len(texts), classes)``. Many texts use all cores."""
        result = np.empty((len(texts), self._classes), dtype=np.float32)
        workers = number_of_threads() if len(texts) >= _MANY else 1
        bounds = [len(texts) * worker // workers for worker in range(workers + 1)]
        threads = [threading.Thread(target=self._predict, args=(texts[begin:end], result[begin:end]))
                   for begin, end in zip(bounds[1:-1], bounds[2:])]
        for thread in threads:
            thread.start()
        self._predict(texts[:bounds[1]], result[:bounds[1]])
        for thread in threads:
            thread.join()
        return result

    def _predict(self, texts, result):
        # A surrogate is no word character, nor are the bytes that represent it.
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        count = len(encoded)
        # ctypes releases the global interpreter lock during the call.
        self._predict_all((ctypes.c_char_p * count)(*encoded), (ctypes.c_size_t * count)(*map(len, encoded)), count,
                          result.ctypes.data)


class CompiledLanguageModel(object):
    """The functions of a language model in a library, from `load_library`."""

    def __init__(self, functions, name, model):
        self._name, self._functions = name, functions
        tokens, units = len(model.metadata["vocabulary"]), max(model.num_units, 1)

        class State(ctypes.Structure):
            _fields_ = [("h", ctypes.c_float * units), ("c", ctypes.c_float * units),
                        ("scores", ctypes.c_float * tokens), ("count", ctypes.c_size_t)]

        self._new_state = State
        state = ctypes.POINTER(State)
        self._advance = self._function("advance", None, state, ctypes.c_int)
        self._score = self._function("score", ctypes.c_int, state, ctypes.c_char_p, ctypes.c_size_t,
                                     ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_size_t))
        self._sample = self._function("sample", ctypes.c_int, state, ctypes.c_double, ctypes.c_double)

    def _function(self, name, result, *arguments):
        function = getattr(self._functions, self._name + "_" + name)
        function.restype, function.argtypes = result, arguments
        return function

    def cross_entropy(self, text, context=""):
        """Return the sum of the cross-entropy of the tokens of a text, and their number.

        Parameters
        ----------
        text : str or bytes
        context : str or bytes
            Complete lines, which the model reads first. Without them, the first token of the text is not predicted.

        Returns
        -------
        (nats, count) or None
            None if the text or the context, as UTF-8, has a token that is not in the vocabulary.
        """
        state, nats, count = self._new_state(), ctypes.c_double(), ctypes.c_size_t()
        for part in (context, text):
            try:
                data = part if isinstance(part, bytes) else part.encode("utf-8")
            except UnicodeEncodeError:              # a surrogate, which no vocabulary contains
                return None
            if self._score(state, data, len(data), nats, count):
                return None
        return nats.value, count.value

    def sampler(self, tokens, temperature):
        """Read tokens, and return a function: random number in [0, 1) -> index of the next token.

        Parameters
        ----------
        tokens : sequence of int
        temperature : float
        """
        state = self._new_state()
        for token in tokens:
            self._advance(state, token)
        return lambda random: self._sample(state, random, temperature)
