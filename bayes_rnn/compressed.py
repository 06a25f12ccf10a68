"""The small network that is left after pruning: load it and predict, with NumPy only.

No Theano, no compilation: it starts in a blink. From the command line::

    python -m bayes_rnn.compressed compressed.npz "a wonderful film"      # classify
    python -m bayes_rnn.compressed compressed.npz --sample 200            # let a language model write

Text becomes tokens here in one place for training and prediction: `tokenize`, `character_tokens`, `word_tokens`.
"""

import collections
import re
import sys

import numpy as np

from .arrays import load_arrays, save_arrays
from .errors import ArgumentParser, ReportedError

__all__ = ["save_model", "load_model", "CompressedClassifier", "CompressedLanguageModel", "tokenize",
           "character_tokens", "word_tokens", "log_softmax", "main"]

FORMAT = "bayes_rnn compressed model, version 1"

# What stands in a classifier's vocabulary beside words.
PADDING_WORD, START_WORD, OUTSIDE_WORD, END_OF_DOCUMENT = "<padding>", "<start>", "<outside>", "</s>"
END_OF_LINE, UNKNOWN_WORD = "<eos>", "<unk>"

GATE_NONLINEARITIES = {
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "sigmoid": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5,      # the logistic function, without overflow
}


# -- nonlinearities ----------------------------------------------------------------------------------------------------

#: How `_CompressedLSTM` computes a nonlinearity of x: ``finish(a)``, in place, of ``a = scale * x + shift``, and the
#: `a` that gives a value. Scale and shift go into the weights. NumPy's exp is vectorised everywhere, its tanh is not.
_Gate = collections.namedtuple("_Gate", ["scale", "shift", "finish", "invert"])


def _clip_to_unit(a):
    np.maximum(a, 0, out=a)
    np.minimum(a, 1, out=a)


def _logistic_of_negative(a):
    np.minimum(a, 80, out=a)                        # exp stays finite, and the result is 0 all the same
    np.exp(a, out=a)
    a += 1
    np.divide(1, a, out=a)


def _tanh_of_half_negative(a):
    _logistic_of_negative(a)
    a *= 2
    a -= 1


def _negative_logit(value):
    with np.errstate(divide="ignore"):              # 0 and 1 are values of saturated gates
        return np.log(1 / value - 1)


_GATES = {"hard_sigmoid": _Gate(0.2, 0.5, _clip_to_unit, lambda value: value),
          "sigmoid": _Gate(-1., 0., _logistic_of_negative, _negative_logit)}
_TANH = _Gate(-2., 0., _tanh_of_half_negative, lambda value: _negative_logit(0.5 * value + 0.5))


# -- text to tokens ----------------------------------------------------------------------------------------------------

def tokenize(text):
    """The words of a text: the non-empty pieces between runs of non-word characters.

    >>> tokenize("It's <br />GOOD.")
    ['It', 's', 'br', 'GOOD']
    """
    return _find_words(text)


_find_words = re.compile(r"\w+", re.UNICODE).findall


def character_tokens(text):
    """The characters of a text as a character-level model reads them: spaces as ``_``, lines stripped.

    >>> character_tokens(" a b ")
    ['a', '_', 'b']
    """
    return list("\n".join(line.strip() for line in text.split("\n")).replace(" ", "_"))


def word_tokens(text):
    """The words of a text between white space, with ``<eos>`` after every line.

    >>> word_tokens("a b")
    ['a', 'b', '<eos>']
    """
    lines = text.split("\n")
    if not lines[-1].strip():
        lines.pop()
    return [token for line in lines for token in line.split() + [END_OF_LINE]]


# -- the file ----------------------------------------------------------------------------------------------------------

def save_model(path, arrays, metadata):
    """Write what `bayes_rnn.compression.compress` made: one small file.

    Matrices that are still mostly zero are stored as positions and values.
    """
    packed = {}
    for name, array in arrays.items():
        positions = np.flatnonzero(array)
        if array.ndim == 2 and len(positions) * 2 < array.size:
            packed[name + ".positions"] = positions.astype(np.uint32)
            packed[name + ".values"] = array.ravel()[positions]
            packed[name + ".shape"] = np.array(array.shape, dtype=np.int64)
        else:
            packed[name] = array
    save_arrays(path, packed, dict(metadata, format=FORMAT), compress=True)


def load_model(path):
    """Load a compressed model.

    Parameters
    ----------
    path : str
        A ``compressed.npz``.

    Returns
    -------
    CompressedClassifier or CompressedLanguageModel

    Raises
    ------
    ReportedError
        If the file is missing, damaged, or not a compressed model.

    Examples
    --------
    >>> model = load_model("Results/LLLCCL-demo/compressed.npz")      # doctest: +SKIP
    >>> model.predict(["a wonderful film"])                           # doctest: +SKIP
    array([[0.03, 0.97]], dtype=float32)
    """
    packed, metadata = load_arrays(path, "compressed model")
    if metadata.get("format") != FORMAT:
        raise ReportedError("%s is not a compressed model (format %r, expected %r); run_compressed.py makes them"
                            % (path, metadata.get("format"), FORMAT))
    arrays = {}
    for name, array in packed.items():
        base, _, part = name.rpartition(".")
        if part == "positions":
            dense = np.zeros(packed[base + ".shape"], dtype=packed[base + ".values"].dtype)
            dense.flat[array] = packed[base + ".values"]
            arrays[base] = dense
        elif not base:
            arrays[name] = array
    kind = CompressedClassifier if metadata["kind"] == "text" else CompressedLanguageModel
    return kind(arrays, metadata)


# -- the models --------------------------------------------------------------------------------------------------------

class _CompressedLSTM(object):
    """The LSTM of a compressed model: kept inputs, hidden units and gates only.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        ``W_in`` (inputs, computed gates), ``W_hid`` (H, computed gates), ``b``; ``gate_is_computed`` (4H,) and
        ``gate_constants`` (4H,), gates in the order input, forget, cell, output; ``W_out`` (H, outputs), ``b_out``;
        for a classifier ``embedding`` (words, inputs).
    metadata : dict
    """

    def __init__(self, arrays, metadata):
        self.arrays, self.metadata = arrays, metadata
        self.row_of_word = {word: row for row, word in enumerate(metadata["words"])}
        self.num_units = len(arrays["W_hid"])
        self._gate = _GATES[metadata["gate_nonlinearity"]]
        self._W_in, self._W_hid = self._with_all_gates(arrays["W_in"]), self._with_all_gates(arrays["W_hid"])
        self._b = self._with_all_gates(arrays["b"], arrays["gate_constants"])
        # One more row, of zeros: the input of everything that was pruned.
        table = arrays["embedding"] if "embedding" in arrays else self._W_in
        self._table = np.concatenate([table, np.zeros((1, table.shape[1]), dtype=table.dtype)])

    def _with_all_gates(self, array, constants=None):
        """Weights of the computed gates as those of all, for `_steps`: (..., 4H), the cell's gate last.

        The preactivations are what `_Gate.finish` takes. With weights of 0 and the right bias, a gate that is a
        constant is computed like the others, which takes less than leaving it out.
        """
        units, computed = self.num_units, self.arrays["gate_is_computed"]
        is_cell = np.repeat(np.arange(4) == 2, units)
        full = np.zeros(array.shape[:-1] + (4 * units,), dtype=np.float64)
        full[..., computed] = array
        full *= np.where(is_cell, _TANH.scale, self._gate.scale)
        if constants is not None:
            full += np.where(is_cell, _TANH.shift, self._gate.shift)
            inverted = np.where(is_cell, _TANH.invert(np.where(is_cell, constants, 0)),
                                self._gate.invert(np.where(is_cell, 0.5, constants)))
            full = np.where(computed, full, inverted)
        i, f, g, o = (full[..., k * units:(k + 1) * units] for k in range(4))
        return np.concatenate([i, f, o, g], axis=-1).astype(array.dtype)

    def rows(self, words):
        """The rows of words in this model, len(words) for those that are pruned: numpy array of int."""
        return np.array([self.row_of_word.get(word, len(self.row_of_word)) for word in words], dtype=np.int64)

    def run(self, rows, state=None):
        """Run the recurrence.

        Parameters
        ----------
        rows : numpy array of int (B, T)
            From `rows`.
        state : (h, c), optional
            (B, H) each; zeros by default.

        Yields
        ------
        h, c : numpy arrays (B, H)
            After each time step.
        """
        for h, c in self._steps(rows, np.full(rows.shape[1], len(rows)), state):
            yield h.copy(), c.copy()

    def final_state(self, rows, mask=None, state=None):
        """The last (h, c) of `run`. `mask`, (B, T), optional: where it is 0 the state is carried over."""
        if mask is None:
            mask = np.ones(rows.shape, dtype=np.uint8)
        # What is not masked, without gaps and from the first time step on; the longest first, so that those that go on
        # are always the first ones.
        seen = mask != 0
        lengths = seen.sum(axis=1)
        compact = np.zeros((len(rows), lengths.max() if len(rows) else 0), dtype=rows.dtype)
        compact[np.arange(compact.shape[1]) < lengths[:, None]] = rows[seen]
        order = np.argsort(-lengths, kind="mergesort")
        counts = (lengths[:, None] > np.arange(compact.shape[1])).sum(axis=0)
        h, c = self._initial_state(len(rows), state if state is None else [part[order] for part in state])
        collections.deque(self._steps(compact[order], counts, (h, c), inplace=True), maxlen=0)
        back = np.argsort(order)
        return h[back], c[back]

    def _initial_state(self, objects, state):
        if state is None:
            state = (np.zeros((objects, self.num_units), dtype=self._W_hid.dtype),) * 2
        return tuple(np.array(part, dtype=self._W_hid.dtype) for part in state)

    def _steps(self, rows, counts, state, inplace=False):
        """As `run`, of the first counts[t] objects at time step t; yields always the same arrays.

        With `inplace` these are those of `state`.
        """
        distinct, index = np.unique(rows, return_inverse=True)
        projected = self._table[distinct]
        if "embedding" in self.arrays:
            projected = projected.dot(self._W_in)
        projected = projected + self._b
        index = np.ascontiguousarray(index.reshape(rows.shape).T)
        h, c = state if inplace else self._initial_state(len(rows), state)
        a, recurrent = np.empty((2, len(rows), projected.shape[1]), dtype=projected.dtype)
        tanh_c, units, active = np.empty_like(c), self.num_units, -1
        for words, n in zip(index, counts):
            if n != active:                         # views are made when they change: that takes as long as a product
                active = n
                a_n, recurrent_n, h_n, c_n, tanh_c_n = a[:n], recurrent[:n], h[:n], c[:n], tanh_c[:n]
                gates, (i, f, o, g) = a_n[:, :3 * units], (a_n[:, k * units:(k + 1) * units] for k in range(4))
            projected.take(words[:n], axis=0, out=a_n, mode="clip")         # "clip": no index is out of range
            np.dot(h_n, self._W_hid, out=recurrent_n)
            np.add(a_n, recurrent_n, out=a_n)
            self._gate.finish(gates)
            _TANH.finish(g)
            np.multiply(i, g, out=i)
            np.multiply(c_n, f, out=c_n)
            np.add(c_n, i, out=c_n)
            np.multiply(c_n, _TANH.scale, out=tanh_c_n)
            _TANH.finish(tanh_c_n)
            np.multiply(o, tanh_c_n, out=h_n)
            yield h, c

    def scores(self, h):
        """h W_out + b_out: numpy array (B, outputs)."""
        return h.dot(self.arrays["W_out"]) + self.arrays["b_out"]


class CompressedClassifier(_CompressedLSTM):
    """A text classifier; see `load_model`."""

    def encode(self, texts):
        """Texts to rows and mask: start + words + end, cut to the model's length, padded on the left."""
        length = self.metadata["length"]
        encoded = [self.rows([START_WORD] + [self._known(word) for word in self._words(text)])[:length]
                   for text in texts]
        longest = max([len(rows) for rows in encoded] or [1])
        table = np.zeros((len(encoded), longest), dtype=np.int64)
        mask = np.zeros((len(encoded), longest), dtype=np.uint8)
        for row, rows in enumerate(encoded):
            table[row, longest - len(rows):], mask[row, longest - len(rows):] = rows, 1
        return table, mask

    def _words(self, text):
        return tokenize(text.lower() if self.metadata["lower_case"] else text) + [END_OF_DOCUMENT]

    def _known(self, word):
        # Words outside the vocabulary matter only if the model kept their common stand-in.
        if word in self.row_of_word or "pruned_words" not in self.metadata or word in self._pruned_words():
            return word
        return OUTSIDE_WORD

    def _pruned_words(self):
        if not hasattr(self, "_pruned_words_set"):
            self._pruned_words_set = frozenset(self.metadata["pruned_words"])
        return self._pruned_words_set

    def predict(self, texts):
        """Probabilities of the classes.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        numpy.ndarray (texts, classes)
        """
        return self.predict_rows(*self.encode(texts))

    def predict_rows(self, rows, mask):
        """Probabilities for rows and mask, (B, T) each: numpy array (B, classes)."""
        scores = self.scores(self.final_state(rows, mask)[0])
        if scores.shape[1] == 1:
            positive = GATE_NONLINEARITIES["sigmoid"](scores)
            return np.concatenate([1 - positive, positive], axis=1)
        return np.exp(log_softmax(scores))

    def describe(self, text):
        """One line about a text, for a person."""
        probabilities = self.predict([text])[0]
        names = self.metadata["classes"]
        seen = [word for word in self._words(text)[:self.metadata["length"] - 1] if word in self.row_of_word]
        return "%s (%s); words that count: %s" % (
            names[int(np.argmax(probabilities))],
            ", ".join("%s %.3f" % pair for pair in zip(names, probabilities)), " ".join(seen) or "none")


class CompressedLanguageModel(_CompressedLSTM):
    """A language model on words or characters; see `load_model`."""

    def tokens(self, text):
        """The tokens of a text, each in the vocabulary.

        Raises
        ------
        ReportedError
            For a token that the model does not know and cannot replace by ``<unk>``.
        """
        tokens = character_tokens(text) if self.metadata["kind"] == "characters" else word_tokens(text)
        known = set(self.metadata["vocabulary"])
        tokens = [token if token in known or UNKNOWN_WORD not in known else UNKNOWN_WORD for token in tokens]
        unknown = sorted(set(tokens) - known)
        if unknown:
            raise ReportedError("the model does not know %r; it knows %d different %s"
                                % (unknown[0], len(known), self.metadata["kind"]))
        return tokens

    def cross_entropy(self, text):
        """Mean cross-entropy per token after the first, in nats, and the number of tokens predicted."""
        tokens = self.tokens(text)
        if len(tokens) < 2:
            raise ReportedError("the text has %d tokens, at least 2 are needed to predict one" % len(tokens))
        number = {token: index for index, token in enumerate(self.metadata["vocabulary"])}
        total = 0.
        for (h, _), target in zip(self.run(self.rows(tokens[:-1])[None]), tokens[1:]):
            total -= float(log_softmax(self.scores(h))[0, number[target]])
        return total / (len(tokens) - 1), len(tokens) - 1

    def sample(self, count, seed=0, prompt=None, temperature=1.0):
        """Let the model write.

        Parameters
        ----------
        count : int
            Tokens to write.
        seed : int
        prompt : str, optional
            What to read first; by default an end of line.
        temperature : float
            Below 1: likelier tokens; above: more surprising ones.

        Returns
        -------
        str
        """
        vocabulary, random = self.metadata["vocabulary"], np.random.RandomState(seed)
        end = "\n" if self.metadata["kind"] == "characters" else END_OF_LINE
        tokens = self.tokens(prompt) if prompt else []
        if self.metadata["kind"] == "words":
            tokens = tokens[:-1]                    # the prompt goes on: no end of line after it
        state, written = None, list(tokens)
        tokens = tokens or [end if end in vocabulary else vocabulary[0]]
        for _ in range(count):
            state = self.final_state(self.rows(tokens)[None], state=state)
            probabilities = np.exp(log_softmax(self.scores(state[0])[0].astype(np.float64) / temperature))
            tokens = [vocabulary[int(np.searchsorted(np.cumsum(probabilities), random.rand() * probabilities.sum()))]]
            written += tokens
        if self.metadata["kind"] == "characters":
            return "".join(written).replace("_", " ")
        return " ".join("\n" if word == END_OF_LINE else word for word in written).replace(" \n ", "\n")

    def describe(self, text):
        """One line about a text, for a person."""
        nats, count = self.cross_entropy(text)
        if self.metadata["kind"] == "characters":
            return "%.3f bits per character over %d characters" % (nats / np.log(2), count)
        return "perplexity %.2f over %d words" % (np.exp(nats), count)


def log_softmax(scores):
    """Log probabilities along the last axis."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def main(argv=None):
    """The command line: ``python -m bayes_rnn.compressed MODEL "some text"``."""
    parser = ArgumentParser(prog="python -m bayes_rnn.compressed",
                                     description="Predict with a compressed model; needs NumPy only.")
    parser.add_argument("model", metavar="MODEL", help="compressed.npz of a run")
    parser.add_argument("text", nargs="?", help="a text to classify, or to measure with a language model")
    parser.add_argument("--sample", metavar="N", type=int, help="language model: write N tokens, after TEXT if given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=1.0)
    arguments = parser.parse_args(argv)
    try:
        model = load_model(arguments.model)
        if arguments.sample is not None:
            if model.metadata["kind"] == "text":
                raise ReportedError("%s is a classifier; --sample is for language models" % arguments.model)
            if arguments.temperature <= 0 or arguments.sample < 1 or not 0 <= arguments.seed < 2 ** 32:
                raise ReportedError("--sample and --temperature must be positive, --seed from 0 to 2^32 - 1")
            print(model.sample(arguments.sample, arguments.seed, arguments.text, arguments.temperature))
        elif arguments.text is not None:
            print(model.describe(arguments.text))
        else:
            print("%s %s, %s: %d words, %d hidden units, %d computed gates" % (
                model.metadata.get("dataset", ""), model.metadata["config"], model.metadata["kind"],
                len(model.row_of_word), model.num_units, int(model.arrays["gate_is_computed"].sum())))
    except ReportedError as error:
        sys.stderr.write("error: %s\n" % error)
        sys.exit(2)


if __name__ == "__main__":
    main()
