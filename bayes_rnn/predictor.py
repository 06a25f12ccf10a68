"""Prediction with a compressed model, which `bayes_rnn.export` creates. Needs NumPy only.

Theano is not imported and nothing is compiled. On the command line::

    python -m bayes_rnn.predictor compressed.npz "a wonderful film"      # classify a text
    python -m bayes_rnn.predictor compressed.npz --sample 200            # generate text with a language model
"""

import collections
import os

from theano_rnn.errors import ArgumentParser, ReportedError, reported_errors
from theano_rnn.npz_store import load_arrays
from theano_rnn.tokens import (
    END_OF_DOCUMENT,
    END_OF_LINE,
    OUTSIDE_WORD,
    SPACE_CHARACTER,
    START_WORD,
    UNKNOWN_WORD,
    character_tokens,
    tokenize,
    word_tokens,
)

import numpy as np

__all__ = ["load_model", "Predictor", "ClassPredictor", "NextTokenPredictor", "log_softmax", "main", "FORMAT",
           "GATE_NONLINEARITIES"]

#: Format of the files that `load_model` reads.
FORMAT = "bayes_rnn compressed model, version 1"

#: The largest number of tokens that ``--sample`` generates.
LARGEST_SAMPLE = 10 ** 9
#: Lower temperatures give the same samples, in which every token is the most probable one; but scores divided by them
#: would overflow.
LOWEST_TEMPERATURE = 1e-100

#: Numbers of dimensions of the arrays of all models.
_DIMENSIONS = {"W_in": 2, "W_hid": 2, "b": 1, "W_out": 2, "b_out": 1, "gate_is_computed": 1, "gate_constants": 1}
#: Matrices with more elements than the first number must have a nonzero value per `SPARSEST` elements.
SMALL_MATRIX, SPARSEST = 2 ** 24, 1000

GATE_NONLINEARITIES = {
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "sigmoid": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5,      # the logistic function, without overflow
}


# -- nonlinearities ----------------------------------------------------------------------------------------------------

#: Nonlinearity of the gates, computed as ``finish(a)``, in place, of ``a = scale * x + shift``. `Predictor` multiplies
#: the scale into the weights and adds the shift to the biases.
_Gate = collections.namedtuple("_Gate", ["scale", "shift", "finish"])


def _clip_to_unit(a):
    np.maximum(a, 0, out=a)
    np.minimum(a, 1, out=a)


def _logistic_of_negative(a):
    np.minimum(a, 80, out=a)                        # keeps exp finite; the result rounds to 0 in any case
    np.exp(a, out=a)
    a += 1
    np.divide(1, a, out=a)


def _tanh(x):
    """Compute tanh in place. NumPy vectorises exp on all processors, but not tanh."""
    if x.size < 1024:                               # for few elements, np.tanh is faster
        np.tanh(x, out=x)
        return
    x *= -2
    _logistic_of_negative(x)
    x *= 2
    x -= 1


_GATES = {"hard_sigmoid": _Gate(0.2, 0.5, _clip_to_unit), "sigmoid": _Gate(-1., 0., _logistic_of_negative)}


# -- the file ----------------------------------------------------------------------------------------------------------

def load_model(path, backend="auto"):
    """Load a compressed model.

    Parameters
    ----------
    path : str
        A file ``compressed.npz``.
    backend : str
        "numpy"; "c" for the library that ``python -m bayes_rnn.export MODEL --to c --build`` creates beside the model;
        or "auto" for the library if this user has built it from this model, else NumPy. A library contains machine
        code: use "c" only for those that you trust.

    Returns
    -------
    ClassPredictor or NextTokenPredictor

    Raises
    ------
    ReportedError
        If the file is missing, damaged, or not a compressed model; with the backend "c", also if the library is
        missing, damaged, or was built from another model.

    Examples
    --------
    >>> from bayes_rnn.predictor import load_model
    >>> model = load_model("Results/LLLCCL-demo/compressed.npz")      # doctest: +SKIP
    >>> model.predict(["a wonderful film"])                           # doctest: +SKIP
    array([[0.03, 0.97]], dtype=float32)
    """
    def check(headers, metadata):
        if metadata.get("format") != FORMAT:
            raise ReportedError("%s is not a compressed model: its format must be %r, got %r (run_compressed.py "
                                "creates compressed models)" % (path, FORMAT, metadata.get("format")))
        _check_metadata(metadata)
        _check_headers(headers, metadata)

    packed, metadata = load_arrays(path, "compressed model", _naming(path, check))
    arrays = _naming(path, _unpacked)(packed, metadata)
    model = (ClassPredictor if metadata["kind"] == "text" else NextTokenPredictor)(arrays, metadata)
    library = os.path.splitext(path)[0] + ".so"
    if backend == "c" or backend == "auto" and os.path.exists(library):
        from .c_library import is_built_here, load_library
        try:
            if backend == "c" or is_built_here(library):
                model.compiled = load_library(path, model)
        except ReportedError:
            if backend == "c":
                raise
    return model


class _Damaged(Exception):
    """A part of a compressed model is not as described in `Predictor`."""


def _naming(path, function):
    """Return a function with reported errors that name the file."""
    def named(*arguments):
        try:
            return function(*arguments)
        except _Damaged as error:
            raise ReportedError("compressed model %s is damaged: %s" % (path, error)) from error
    return named


def _require(condition, message, *values):
    if not condition:
        raise _Damaged(message % values)


def _check_metadata(metadata):
    """Raise `_Damaged` if the metadata are not as described in `Predictor`."""
    def is_words(value):
        return isinstance(value, list) and all(isinstance(word, str) for word in value)

    kind = metadata.get("kind")
    _require(kind in ("text", "characters", "words"), "kind must be text, characters or words, got %.40r", kind)
    _require(isinstance(metadata.get("config"), str), "config must be text")
    _require(isinstance(metadata.get("gate_nonlinearity"), str) and metadata["gate_nonlinearity"] in _GATES,
             "gate_nonlinearity must be one of %s", ", ".join(sorted(_GATES)))
    for name in ["words"] + (["classes"] if kind == "text" else ["vocabulary"]):
        value = metadata.get(name)
        _require(is_words(value) and len(set(value)) == len(value), "%s must be a list of different words", name)
    if kind == "text":
        length = metadata.get("length")
        _require(type(length) is int and 1 <= length < 2 ** 31, "length must be a positive integer, got %.40r", length)
        _require(isinstance(metadata.get("lower_case"), bool), "lower_case must be true or false")
        _require(is_words(metadata.get("pruned_words", [])), "pruned_words must be a list of words")
        _require(len(metadata["classes"]) >= 2, "classes must be at least two")
    else:
        _require(metadata["vocabulary"], "vocabulary must not be empty")


def _check_headers(headers, metadata):
    """Raise `_Damaged` if the names, dtypes or dimensions of the arrays are wrong; the arrays are not read yet."""
    dimensions = dict(_DIMENSIONS, **({"embedding": 2} if metadata["kind"] == "text" else {}))
    expected = {}
    for name, count in dimensions.items():
        if count == 2 and name + ".positions" in headers:
            expected.update({name + ".positions": ("u", 1), name + ".values": ("f", 1), name + ".shape": ("i", 1)})
        else:
            expected[name] = ("b" if name == "gate_is_computed" else "f", count)
    different = sorted(set(expected).symmetric_difference(headers))
    _require(not different, "it %s array %s", "lacks the" if different and different[0] in expected else
             "has the unknown", different[:1] and different[0])
    kinds = {"b": "bool", "f": "float32 or float64", "u": "uint32", "i": "int64"}
    for name, (kind, count) in expected.items():
        header = headers[name]
        _require(str(header.dtype) in kinds[kind].split(" or ") and len(header.shape) == count,
                 "%s must be an array of %s with %d dimensions, got %s and shape %s", name, kinds[kind], count,
                 header.dtype, header.shape)
    floats = {str(headers[name].dtype) for name, (kind, _) in expected.items() if kind == "f"}
    _require(len(floats) == 1, "its arrays must have one dtype, got %s", " and ".join(sorted(floats)))


def _unpacked(packed, metadata):
    """Return the arrays of a model, with dense matrices; raise `_Damaged` if their shapes or values are wrong."""
    is_computed = packed["gate_is_computed"]
    units, computed = len(is_computed) // 4, int(is_computed.sum())
    shapes = {name: array.shape for name, array in packed.items()}
    for name in [name for name in packed if name.endswith(".shape")]:
        shape = tuple(int(size) for size in packed[name])
        _require(len(shape) == 2 and min(shape) >= 0, "%s must be two sizes, got %s", name, shape)
        shapes[name[:-len(".shape")]] = shape
    is_text = metadata["kind"] == "text"
    inputs = shapes["W_in"][0]
    outputs = 1 if shapes["b_out"] == (1,) else len(metadata.get("classes", []))
    if not is_text:
        inputs, outputs = len(metadata["words"]), len(metadata["vocabulary"])
    _require(not is_text or outputs != 1 or len(metadata["classes"]) == 2, "one output needs two classes")
    expected = {"W_in": (inputs, computed), "W_hid": (units, computed), "b": (computed,), "W_out": (units, outputs),
                "b_out": (outputs,), "gate_is_computed": (4 * units,), "gate_constants": (4 * units,)}
    if is_text:
        expected["embedding"] = (len(metadata["words"]), inputs)
    for name, shape in expected.items():
        _require(shapes[name] == shape, "%s must have shape %s, got %s", name, shape, shapes[name])
    arrays = {}
    for name, shape in expected.items():
        values = packed[name] if name in packed else packed[name + ".values"]
        _require(values.dtype.kind != "f" or np.isfinite(values).all(), "%s has a number that is not finite", name)
        arrays[name] = values if name in packed else _dense(name, shape, packed[name + ".positions"], values)
    return arrays


def _dense(name, shape, positions, values):
    elements = shape[0] * shape[1]
    _require(len(positions) == len(values) and (not len(positions) or int(positions.max()) < elements),
             "the positions of %s are not those of its values", name)
    _require(elements <= max(SMALL_MATRIX, SPARSEST * len(values)), "%s has %d values in a matrix of shape %s", name,
             len(values), shape)
    dense = np.zeros(shape, dtype=values.dtype)
    dense.flat[positions] = values
    return dense


# -- the models --------------------------------------------------------------------------------------------------------

class Predictor(object):
    """Recurrence of a compressed model: an LSTM with the kept inputs, hidden units and gates only.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        ``W_in`` ``(inputs, computed gates)``, ``W_hid`` ``(H, computed gates)``, ``b`` ``(computed gates,)``;
        ``gate_is_computed`` ``(4H,)`` and ``gate_constants`` ``(4H,)``, with gates in the order input, forget, cell,
        output; ``W_out`` ``(H, outputs)``, ``b_out`` ``(outputs,)``; for a classifier
        ``embedding`` ``(words, inputs)``.
    metadata : dict
        ``kind`` ("text", "characters" or "words"), ``dataset``, ``config``, ``gate_nonlinearity``, ``words`` (those
        that are not pruned, in the order of the rows). For a classifier ``classes``, ``length``, ``lower_case``, and
        ``pruned_words`` if the word outside the vocabulary is kept. For a language model ``vocabulary``.

    Attributes
    ----------
    num_units : int
        Number of hidden units, H.
    row_of_word : dict of str to int
        Row index of each kept word.
    compiled : object or None
        The C code of the model, from `bayes_rnn.c_library`, if `load_model` found it. Then `predict`, `cross_entropy`
        and `sample` use it.
    """

    compiled = None

    def __init__(self, arrays, metadata):
        self.arrays, self.metadata = arrays, metadata
        self.row_of_word = {word: row for row, word in enumerate(metadata["words"])}
        self.num_units = len(arrays["W_hid"])
        self._gate = _GATES[metadata["gate_nonlinearity"]]
        is_cell = np.repeat(np.arange(4) == 2, self.num_units)
        computed = np.flatnonzero(arrays["gate_is_computed"])
        # The computed gates, with those of the cell last, so that each nonlinearity has one contiguous part.
        order = np.argsort(is_cell[computed], kind="mergesort")
        self._computed, self._sigmoids = computed[order], int((~is_cell[computed]).sum())
        dtype = arrays["W_hid"].dtype
        scale = np.where(is_cell, 1, self._gate.scale)[self._computed].astype(dtype)
        shift = np.where(is_cell, 0, self._gate.shift)[self._computed].astype(dtype)
        self._W_in, self._b = arrays["W_in"][:, order] * scale, arrays["b"][order] * scale + shift
        self._W_hid_transposed = np.ascontiguousarray((arrays["W_hid"][:, order] * scale).T)
        # An additional row of zeros is the input of pruned words.
        table = arrays["embedding"] if "embedding" in arrays else self._W_in
        self._table = np.concatenate([table, np.zeros((1, table.shape[1]), dtype=table.dtype)])

    def rows(self, words):
        """Return the row indices of words in this model.

        Parameters
        ----------
        words : sequence of str

        Returns
        -------
        numpy.ndarray of int ``(len(words),)``
            Pruned words have the index that equals the number of kept words.
        """
        return np.array([self.row_of_word.get(word, len(self.row_of_word)) for word in words], dtype=np.int64)

    def run(self, rows, state=None):
        """Run the recurrence.

        Parameters
        ----------
        rows : numpy.ndarray of int ``(B, T)``
            From `rows`.
        state : (h, c), optional
            Initial state, ``(B, H)`` each; zeros by default.

        Yields
        ------
        h, c : numpy.ndarray ``(B, H)``
            State after each time step.
        """
        initial = self._initial_state(len(rows), state)
        for h, c in self._steps(rows, np.full(rows.shape[1], len(rows)), *initial):
            yield h.T.copy(), c.T.copy()

    def final_state(self, rows, mask=None, state=None):
        """Return the state after the last time step.

        Parameters
        ----------
        rows : numpy.ndarray of int ``(B, T)``
            From `rows`.
        mask : numpy.ndarray ``(B, T)``, optional
            Where it is 0, the state does not change.
        state : (h, c), optional
            Initial state, ``(B, H)`` each; zeros by default.

        Returns
        -------
        h, c : numpy.ndarray ``(B, H)``
        """
        # Move the rows that are not masked to the first time steps, without gaps, and sort the examples by decreasing
        # length. Then the examples that have not ended at a time step are always the first ones.
        seen = np.ones(rows.shape, dtype=bool) if mask is None else mask != 0
        lengths = seen.sum(axis=1)
        times = np.arange(lengths.max() if len(rows) else 0)
        compact = np.zeros((len(rows), len(times)), dtype=rows.dtype)
        compact[times < lengths[:, None]] = rows[seen]
        order = np.argsort(-lengths, kind="mergesort")
        counts = (lengths[:, None] > times).sum(axis=0)
        final = [part[:, order] for part in self._initial_state(len(rows), state)]
        ends = np.append(counts[1:], 0)
        for now, n, end in zip(self._steps(compact[order], counts, *final), counts, ends):
            for to, part in zip(final, now):
                to[:, end:n] = part[:, end:n]       # of the examples that end with this time step
        back = np.argsort(order)
        return tuple(np.ascontiguousarray(part[:, back].T) for part in final)

    def _initial_state(self, examples, state):
        """Return (h, c), ``(H, B)`` each. In this order, all values of a gate are contiguous."""
        if state is None:
            return (np.zeros((self.num_units, examples), dtype=self._b.dtype),) * 2
        return tuple(np.asarray(part, dtype=self._b.dtype).T for part in state)

    def _steps(self, rows, counts, h, c):
        """Yield (h, c), ``(H, B)`` each, after each time step; the arrays are overwritten by the next step.

        Only the first ``counts[t]`` columns are valid at time t. Other columns are undefined or missing.
        """
        distinct, index = np.unique(rows, return_inverse=True)
        projected = self._table[distinct]
        if "embedding" in self.arrays:
            projected = projected.dot(self._W_in)
        projected = projected + self._b
        index = np.ascontiguousarray(index.reshape(rows.shape).T)
        width = -1
        for words, n in zip(index, counts):
            if not 0.75 * width < n <= width:       # a few superfluous columns take less time than a copy
                width = n
                h, c = np.array(h[:, :n], order="C"), np.array(c[:, :n], order="C")
                a, update = np.empty((len(self._computed), n), dtype=h.dtype), np.empty_like(c)
                sigmoids, cells = a[:self._sigmoids], a[self._sigmoids:]
                gates = np.repeat(self.arrays["gate_constants"].astype(h.dtype)[:, None], n, axis=1)
                i, f, g, o = gates.reshape(4, self.num_units, n)
            np.dot(self._W_hid_transposed, h, out=a)
            a += projected[words[:width]].T
            self._gate.finish(sigmoids)
            _tanh(cells)
            gates[self._computed] = a
            c *= f
            c += np.multiply(i, g, out=update)
            update[:] = c
            _tanh(update)
            np.multiply(o, update, out=h)
            yield h, c

    def scores(self, h):
        """Return ``h W_out + b_out`` for hidden states of shape ``(B, H)``: numpy array ``(B, outputs)``."""
        return h.dot(self.arrays["W_out"]) + self.arrays["b_out"]


class ClassPredictor(Predictor):
    """Compressed text classifier. Parameters and attributes are those of `Predictor`."""

    def __init__(self, arrays, metadata):
        super(ClassPredictor, self).__init__(arrays, metadata)
        pruned = len(self.row_of_word)
        # Words that have a row. All other words use the row of the word outside the vocabulary.
        self._row_of = dict.fromkeys([START_WORD] + metadata.get("pruned_words", []), pruned)
        self._row_of.update(self.row_of_word)
        self._outside = self.row_of_word.get(OUTSIDE_WORD, pruned)

    def encode(self, texts):
        """Return row indices and mask of texts.

        A text consists of the start, its words and the end. It is truncated to the model's length, and padded on the
        left.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        rows : numpy.ndarray of int64 ``(B, T)``
        mask : numpy.ndarray of uint8 ``(B, T)``
        """
        length = self.metadata["length"]
        encoded = [[self._row_of[START_WORD]] + [self._row_of.get(word, self._outside)
                                                 for word in self._words(text)[:length - 1]] for text in texts]
        longest = max([len(rows) for rows in encoded] or [1])
        table = np.zeros((len(encoded), longest), dtype=np.int64)
        mask = np.zeros((len(encoded), longest), dtype=np.uint8)
        for row, rows in enumerate(encoded):
            table[row, longest - len(rows):], mask[row, longest - len(rows):] = rows, 1
        return table, mask

    def _words(self, text):
        return tokenize(text.lower() if self.metadata["lower_case"] else text) + [END_OF_DOCUMENT]

    def predict(self, texts):
        """Return the probabilities of the classes.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        numpy.ndarray ``(len(texts), classes)``
        """
        if self.compiled is not None:
            return self.compiled.predict(texts)
        return self.predict_rows(*self.encode(texts))

    def predict_rows(self, rows, mask):
        """Return the probabilities of the classes, ``(B, classes)``, for rows and mask of shape ``(B, T)``."""
        scores = self.scores(self.final_state(rows, mask)[0])
        if scores.shape[1] == 1:
            positive = GATE_NONLINEARITIES["sigmoid"](scores)
            return np.concatenate([1 - positive, positive], axis=1)
        return np.exp(log_softmax(scores))

    def describe(self, text):
        """Return the prediction for a text as one line of text."""
        probabilities = self.predict([text])[0]
        names = self.metadata["classes"]
        seen = [word for word in self._words(text)[:self.metadata["length"] - 1] if word in self.row_of_word]
        return "%s (%s); words that count: %s" % (
            names[int(np.argmax(probabilities))],
            ", ".join("%s %.3f" % pair for pair in zip(names, probabilities)), " ".join(seen) or "none")


class NextTokenPredictor(Predictor):
    """Compressed language model of words or characters. Parameters and attributes are those of `Predictor`."""

    def tokens(self, text):
        """Return the tokens of a text: list of str.

        Unknown words are replaced by ``<unk>`` if the vocabulary has it.

        Raises
        ------
        ReportedError
            If a token is not in the vocabulary and cannot be replaced.
        """
        tokens = character_tokens(text) if self.metadata["kind"] == "characters" else word_tokens(text)
        known = set(self.metadata["vocabulary"])
        tokens = [token if token in known or UNKNOWN_WORD not in known else UNKNOWN_WORD for token in tokens]
        unknown = sorted(set(tokens) - known)
        if unknown:
            raise ReportedError("%r is not in the vocabulary of the model, which has %d %s"
                                % (unknown[0], len(known), self.metadata["kind"]))
        return tokens

    def cross_entropy(self, text):
        """Return the mean cross-entropy of all tokens of a text after the first.

        Parameters
        ----------
        text : str

        Returns
        -------
        nats : float
        count : int
            Number of predicted tokens.

        Raises
        ------
        ReportedError
            If the text has less than two tokens, or a token that is not in the vocabulary.
        """
        measured = None if self.compiled is None else self.compiled.cross_entropy(text)
        if measured is not None and measured[1] > 0:
            return measured[0] / measured[1], measured[1]
        tokens = self.tokens(text)
        if len(tokens) < 2:
            raise ReportedError("the text must have at least 2 tokens, got %d" % len(tokens))
        column = {token: index for index, token in enumerate(self.metadata["vocabulary"])}
        total = 0.
        for (h, _), target in zip(self.run(self.rows(tokens[:-1])[None]), tokens[1:]):
            total -= float(log_softmax(self.scores(h))[0, column[target]])
        return total / (len(tokens) - 1), len(tokens) - 1

    def sample(self, count, seed=0, prompt=None, temperature=1.0):
        """Generate text.

        Parameters
        ----------
        count : int
            Number of tokens to generate.
        seed : int
            In [0, 2^32 - 1].
        prompt : str, optional
            Beginning of the text. By default, the model starts after an end of line.
        temperature : float
            Divisor of the scores, positive. Below 1, probable tokens are drawn more often; above 1, less often.

        Returns
        -------
        str
            The prompt and the generated tokens.

        Raises
        ------
        ReportedError
            If a token of the prompt is not in the vocabulary.
        """
        vocabulary, random = self.metadata["vocabulary"], np.random.RandomState(seed)
        end = "\n" if self.metadata["kind"] == "characters" else END_OF_LINE
        tokens = self.tokens(prompt) if prompt else []
        if self.metadata["kind"] == "words":
            tokens = tokens[:-1]                    # without the end of line: the generated text continues the prompt
        generated = list(tokens)
        draw = self._sampler(tokens or [end if end in vocabulary else vocabulary[0]],
                             max(temperature, LOWEST_TEMPERATURE))
        generated += [draw(random.rand()) for _ in range(count)]
        if self.metadata["kind"] == "characters":
            return "".join(generated).replace(SPACE_CHARACTER, " ")
        return " ".join("\n" if word == END_OF_LINE else word for word in generated).replace(" \n ", "\n")

    def _sampler(self, tokens, temperature):
        """Return a function that continues tokens: random number in [0, 1) -> next token."""
        vocabulary = self.metadata["vocabulary"]
        if self.compiled is not None:
            index = {token: index for index, token in enumerate(vocabulary)}
            draw_index = self.compiled.sampler([index[token] for token in tokens], temperature)
            return lambda random: vocabulary[draw_index(random)]
        state, latest = None, tokens

        def draw(random):
            nonlocal state, latest
            state = self.final_state(self.rows(latest)[None], state=state)
            scores = self.scores(state[0])[0].astype(np.float64)
            with np.errstate(over="ignore"):            # a low temperature: all other tokens have probability 0
                scores = (scores - scores.max()) / temperature
            probabilities = np.exp(log_softmax(scores))
            latest = [vocabulary[int(np.searchsorted(np.cumsum(probabilities), random * probabilities.sum()))]]
            return latest[0]
        return draw

    def describe(self, text):
        """Return the prediction for a text as one line of text."""
        nats, count = self.cross_entropy(text)
        if self.metadata["kind"] == "characters":
            return "%.3f bits per character over %d characters" % (nats / np.log(2), count)
        return "perplexity %.2f over %d words" % (np.exp(nats), count)


def log_softmax(scores):
    """Return the logarithm of the softmax along the last axis.

    Parameters
    ----------
    scores : numpy.ndarray ``(..., classes)``

    Returns
    -------
    numpy.ndarray of the same shape

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_rnn.predictor import log_softmax
    >>> np.exp(log_softmax(np.array([1000., 1000.]))).tolist()
    [0.5, 0.5]
    """
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def main(argv=None):
    """Run the command line ``python -m bayes_rnn.predictor MODEL TEXT``."""
    parser = ArgumentParser(prog="python -m bayes_rnn.predictor",
                            description="Predict with a compressed model. Needs NumPy only.")
    parser.add_argument("model", metavar="MODEL", help="compressed.npz of a run")
    parser.add_argument("text", nargs="?", help="text to classify, or of which a language model computes the "
                                                "cross-entropy")
    parser.add_argument("--sample", metavar="N", type=int,
                        help="generate N tokens with a language model, after TEXT if it is given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=1.0)
    arguments = parser.parse_args(argv)
    with reported_errors():
        model = load_model(arguments.model)
        if arguments.sample is not None:
            _check_sampling(model, arguments)
            print(model.sample(arguments.sample, arguments.seed, arguments.text, arguments.temperature))
        elif arguments.text is not None:
            print(model.describe(arguments.text))
        else:
            print("%s %s, %s: %d words, %d hidden units, %d computed gates" % (
                model.metadata.get("dataset", ""), model.metadata["config"], model.metadata["kind"],
                len(model.row_of_word), model.num_units, int(model.arrays["gate_is_computed"].sum())))


def _check_sampling(model, arguments):
    if not isinstance(model, NextTokenPredictor):
        raise ReportedError("--sample needs a language model, but %s is a classifier" % arguments.model)
    if not 1 <= arguments.sample <= LARGEST_SAMPLE:
        raise ReportedError("--sample must be in [1, %d], got %.40s" % (LARGEST_SAMPLE, arguments.sample))
    if not 0 < arguments.temperature < np.inf:
        raise ReportedError("--temperature must be a positive number, got %g" % arguments.temperature)
    if not 0 <= arguments.seed < 2 ** 32:
        raise ReportedError("--seed must be in [0, 2^32 - 1], got %.40s" % arguments.seed)


if __name__ == "__main__":
    main()
