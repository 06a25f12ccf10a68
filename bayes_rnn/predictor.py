"""The small network that is left after pruning: load it and predict, with NumPy only.

No Theano, no compilation: it starts in a blink. From the command line::

    python -m bayes_rnn.predictor compressed.npz "a wonderful film"      # classify
    python -m bayes_rnn.predictor compressed.npz --sample 200            # let a language model write
"""

import collections
import sys

import numpy as np

from theano_rnn.errors import ArgumentParser, ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays
from theano_rnn.tokens import (
    END_OF_DOCUMENT,
    END_OF_LINE,
    OUTSIDE_WORD,
    START_WORD,
    UNKNOWN_WORD,
    character_tokens,
    tokenize,
    word_tokens,
)

__all__ = ["save_model", "load_model", "CompressedClassifier", "CompressedLanguageModel", "log_softmax",
           "main"]

FORMAT = "bayes_rnn compressed model, version 1"

GATE_NONLINEARITIES = {
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "sigmoid": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5,      # the logistic function, without overflow
}


# -- nonlinearities ----------------------------------------------------------------------------------------------------

#: How `_CompressedLSTM` computes the nonlinearity of gates: ``finish(a)``, in place, of ``a = scale * x + shift``.
#: Scale and shift go into the weights.
_Gate = collections.namedtuple("_Gate", ["scale", "shift", "finish"])


def _clip_to_unit(a):
    np.maximum(a, 0, out=a)
    np.minimum(a, 1, out=a)


def _logistic_of_negative(a):
    np.minimum(a, 80, out=a)                        # exp stays finite, and the result is 0 all the same
    np.exp(a, out=a)
    a += 1
    np.divide(1, a, out=a)


def _tanh(x):
    """tanh, in place. NumPy's exp is vectorised everywhere, its tanh is not; few numbers are faster in one pass."""
    if x.size < 1024:
        np.tanh(x, out=x)
        return
    x *= -2
    _logistic_of_negative(x)
    x *= 2
    x -= 1


_GATES = {"hard_sigmoid": _Gate(0.2, 0.5, _clip_to_unit), "sigmoid": _Gate(-1., 0., _logistic_of_negative)}


# -- the file ----------------------------------------------------------------------------------------------------------

def save_model(path, arrays, metadata):
    """Write what `bayes_rnn.pruning.compress` made: one small file.

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
        is_cell = np.repeat(np.arange(4) == 2, self.num_units)
        computed = np.flatnonzero(arrays["gate_is_computed"])
        # The computed gates, those of the cell last: each nonlinearity has its own contiguous part.
        order = np.argsort(is_cell[computed], kind="mergesort")
        self._computed, self._sigmoids = computed[order], int((~is_cell[computed]).sum())
        dtype = arrays["W_hid"].dtype
        scale = np.where(is_cell, 1, self._gate.scale)[self._computed].astype(dtype)
        shift = np.where(is_cell, 0, self._gate.shift)[self._computed].astype(dtype)
        self._W_in, self._b = arrays["W_in"][:, order] * scale, arrays["b"][order] * scale + shift
        self._W_hid_transposed = np.ascontiguousarray((arrays["W_hid"][:, order] * scale).T)
        # One more row, of zeros: the input of everything that was pruned.
        table = arrays["embedding"] if "embedding" in arrays else self._W_in
        self._table = np.concatenate([table, np.zeros((1, table.shape[1]), dtype=table.dtype)])

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
        initial = self._initial_state(len(rows), state)
        for h, c in self._steps(rows, np.full(rows.shape[1], len(rows)), *initial):
            yield h.T.copy(), c.T.copy()

    def final_state(self, rows, mask=None, state=None):
        """The last (h, c) of `run`. `mask`, (B, T), optional: where it is 0 the state is carried over."""
        # What is not masked, without gaps and from the first time step on; the longest first, so that those that go on
        # are always the first ones.
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
                to[:, end:n] = part[:, end:n]       # of those that end with this step
        back = np.argsort(order)
        return tuple(np.ascontiguousarray(part[:, back].T) for part in final)

    def _initial_state(self, objects, state):
        """(h, c) as (H, B) each: in that order the gates of a kind are contiguous, whatever is computed of them."""
        if state is None:
            return (np.zeros((self.num_units, objects), dtype=self._b.dtype),) * 2
        return tuple(np.asarray(part, dtype=self._b.dtype).T for part in state)

    def _steps(self, rows, counts, h, c):
        """As `run`, but h and c are (H, B), and change with the next step; of the first counts[t] objects at time t.

        What h and c hold of other objects means nothing; it may be missing.
        """
        distinct, index = np.unique(rows, return_inverse=True)
        projected = self._table[distinct]
        if "embedding" in self.arrays:
            projected = projected.dot(self._W_in)
        projected = projected + self._b
        index = np.ascontiguousarray(index.reshape(rows.shape).T)
        width = -1
        for words, n in zip(index, counts):
            if not 0.75 * width < n <= width:       # to compute some objects too many takes less than to copy
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
        """h W_out + b_out: numpy array (B, outputs)."""
        return h.dot(self.arrays["W_out"]) + self.arrays["b_out"]


class CompressedClassifier(_CompressedLSTM):
    """A text classifier; see `load_model`."""

    def __init__(self, arrays, metadata):
        super(CompressedClassifier, self).__init__(arrays, metadata)
        pruned = len(self.row_of_word)
        # Words as far as their rows differ: all others are the word outside the vocabulary.
        self._row_of = dict.fromkeys([START_WORD] + metadata.get("pruned_words", []), pruned)
        self._row_of.update(self.row_of_word)
        self._outside = self.row_of_word.get(OUTSIDE_WORD, pruned)

    def encode(self, texts):
        """Texts to rows and mask: start + words + end, cut to the model's length, padded on the left."""
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
    """The command line: ``python -m bayes_rnn.predictor MODEL "some text"``."""
    parser = ArgumentParser(prog="python -m bayes_rnn.predictor",
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
