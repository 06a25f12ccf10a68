"""Baselines of the text classifiers: naive Bayes, L1-regularised logistic regression, fastText.

They read what the LSTM reads: the same tokens, vocabulary and split of the prepared data. Settings are chosen by the
accuracy on the validation part. The packages of ``requirements/baselines.txt`` are needed. Nothing here imports Theano.
``Experiments/baselines.py`` is the program.
"""

import csv
import glob
import importlib
import io
import os
import tempfile
import time
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import save_arrays, write_atomically

import numpy as np
import scipy.sparse

from .config import experiment_folder, load_experiment
from .data.minibatches import START, model_words, text_split
from .reproduction.published import published_numbers
from .run_folder import RunFolder
from .train_and_evaluate import load_data

__all__ = ["COLUMNS", "EXPERIMENTS", "SIZES", "Texts", "read_texts", "default_words", "presence", "naive_bayes",
           "logistic_regressions", "fast_texts", "require_packages", "baselines", "write_baselines"]

#: Text classifiers.
EXPERIMENTS = ("IMDB", "AGNews")
#: Columns of the csv file: accuracy on the test and validation part, words that the model knows, size of its file,
#: seconds of processor time for training (without the search of settings), and the settings.
COLUMNS = ("name", "test", "valid", "words", "bytes", "seconds", "settings")
#: Largest sizes of quantised fastText models, in KiB.
SIZES = (64, 32, 16)
#: Strengths of the L2 penalty (C of scikit-learn) of a classifier of selected words.
L2_STRENGTHS = (0.03, 0.3, 3.)
#: Settings of fastText. ``wordNgrams`` 2: words and pairs of words.
FAST_TEXT = [dict(wordNgrams=ngrams, lr=lr, epoch=epoch) for ngrams in (1, 2) for lr, epoch in ((0.1, 15), (0.5, 5))]
#: Units of fastText. A quantised model needs 1 KiB for each unit, whatever the number of its words.
FULL_UNITS, QUANTISED_UNITS = 10, 4
#: fastText's hash table of pairs of words.
BUCKETS = 200000
#: Fewest rows that fastText can quantise.
FEWEST_ROWS = 256

#: Texts of a data set. parts: dict of "train", "valid" and "test" to `TextPart`; words: the word of each token id.
Texts = namedtuple("Texts", ["name", "parts", "words"])


def read_texts(name, data_dir=None):
    """Return the texts as the LSTM reads them: cut, with its vocabulary, the validation part split off.

    Parameters
    ----------
    name : {"IMDB", "AGNews"}
    data_dir : str, optional
        The prepared folder. That of the experiment if omitted.

    Returns
    -------
    Texts
    """
    experiment = load_experiment(name)
    given = {} if data_dir is None else {"data_dir": data_dir}
    settings = experiment.make_settings(**given)
    data = load_data(settings)
    parts = text_split(data, settings.validation_fraction, settings.words_kept, settings.length)
    return Texts(name, parts, model_words(data.vocabulary, settings.words_kept))


def default_words(name, folders=None):
    """Return the numbers of words that LSTMs kept: the published ones, and those of our runs.

    Parameters
    ----------
    name : {"IMDB", "AGNews"}
    folders : sequence of str, optional
        Patterns of the folders of our runs.

    Returns
    -------
    list of int
        In increasing order.

    Examples
    --------
    >>> default_words("IMDB", folders=())
    [292, 4611]
    """
    if folders is None:
        results = os.path.join(os.path.dirname(experiment_folder(name)), "Results")
        folders = [os.path.join(experiment_folder(name), "Results", "*")] + [
            os.path.join(results, place, name, "*", "seed*") for place in ("reference", "reproduce")]
    counts = {int(published_numbers("emnlp-1", "%s/%s" % (name, config))["vocabulary"].text)
              for config in ("LCLCCL", "LLLCCL")}
    for folder in folders:
        for path in glob.glob(os.path.join(folder, "kept_words.txt")):
            run = RunFolder(os.path.dirname(path))
            if run.has("config.json") and run.read_config().get("demo"):        # other texts
                continue
            with io.open(path, encoding="utf-8") as stream:
                counts.add(len(stream.readlines()))
    return sorted(counts - {0})


# -- linear models of the words that occur ---------------------------------------------------------------------------

def presence(part, columns):
    """Return which words occur in each text.

    Parameters
    ----------
    part : TextPart
    columns : int
        Number of token ids. Padding and the start token do not count as words.

    Returns
    -------
    scipy.sparse.csr_matrix ``(texts, columns)`` of 0 and 1
    """
    rows, places = np.nonzero(part.tokens > START)
    shape = len(part.labels), columns
    counts = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, part.tokens[rows, places])), shape)
    counts.sum_duplicates()
    counts.data[:] = 1
    return counts


def _matrices(texts):
    return {name: presence(part, len(texts.words)) for name, part in texts.parts.items()}


def _linear_row(name, texts, matrices, model, used, weights, bias, seconds, settings):
    """Return the row of a linear model that reads the words `used`.

    The size is that of the file of its words, weights ``(classes or 1, words)`` and bias ``(classes or 1,)``.
    """
    scores = {part: model.score(matrices[part], texts.parts[part].labels) for part in ("valid", "test")}
    arrays = {"weights": np.asarray(weights, dtype=np.float32), "bias": np.asarray(bias, dtype=np.float32)}
    details = {"words": [texts.words[column] for column in used]}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.npz")
        save_arrays(path, arrays, details, compress=True)       # as the compressed LSTM is stored
        size = os.path.getsize(path)
    return _row(name, scores, len(used), size, seconds, settings)


def _row(name, scores, words, size, seconds, settings):
    return OrderedDict(zip(COLUMNS, (name, "%.5f" % scores["test"], "%.5f" % scores["valid"], words, size,
                                     "%.2f" % seconds, settings)))


def naive_bayes(texts, matrices):
    """Return the row of Bernoulli naive Bayes with Laplace smoothing.

    Parameters
    ----------
    texts : Texts
    matrices : dict of str to sparse matrix
        Presence of the words in the texts, by part; see `presence`.

    Returns
    -------
    OrderedDict
        With the keys `COLUMNS`.
    """
    from sklearn.naive_bayes import BernoulliNB

    started = time.process_time()
    model = BernoulliNB(alpha=1.).fit(matrices["train"], texts.parts["train"].labels)
    seconds = time.process_time() - started
    used = np.flatnonzero(matrices["train"].getnnz(axis=0))
    absent = np.log1p(-np.exp(model.feature_log_prob_))
    weights, bias = model.feature_log_prob_ - absent, model.class_log_prior_ + absent.sum(axis=1)
    if len(weights) == 2:
        weights, bias = weights[1:] - weights[:1], bias[1:] - bias[:1]
    return _linear_row("Bernoulli naive Bayes", texts, matrices, model, used, weights[:, used], bias, seconds,
                       "alpha=1")


class _Path(object):
    """Models of the regularisation path of L1-regularised logistic regression (one class against the rest)."""

    FIRST, FACTOR, LARGEST = 1e-3, 4., 1e3

    def __init__(self, matrix, labels):
        self._matrix, self._labels, self._models = matrix, labels, {}

    def _at(self, strength):
        """Return the number of words, the strength C, the model and the seconds."""
        from sklearn.linear_model import LogisticRegression

        if strength not in self._models:
            started = time.process_time()
            model = LogisticRegression(penalty="l1", C=strength, solver="liblinear", tol=1e-3, intercept_scaling=10.,
                                       random_state=0).fit(self._matrix, self._labels)
            words = int(np.any(model.coef_ != 0, axis=0).sum())
            self._models[strength] = words, strength, model, time.process_time() - started
        return self._models[strength]

    def largest(self, most_words, steps=12):
        """Return the model with the most words that has at most `most_words`; see `_at`."""
        low, high = self.FIRST, self.FIRST
        while self._at(high)[0] <= most_words and high < self.LARGEST:
            low, high = high, high * self.FACTOR
        for _ in range(steps):
            if self._at(low)[0] == most_words or self._at(high)[0] <= most_words:
                break
            middle = (low * high) ** 0.5
            low, high = (middle, high) if self._at(middle)[0] <= most_words else (low, middle)
        fitting = [found for found in self._models.values() if 0 < found[0] <= most_words]
        if not fitting:
            raise ReportedError("no L1-regularised model has 1 to %d words; give a larger number with --words"
                                % most_words)
        return max(fitting, key=lambda found: (found[0], -found[1]))


def logistic_regressions(texts, matrices, limits):
    """Return two rows for each limit of the number of words.

    The first is the largest model on the regularisation path of L1-regularised logistic regression with at most that
    many words with a weight. The second is logistic regression with an L2 penalty on the same words: the L1 penalty
    also shrinks the weights that it keeps.

    Parameters
    ----------
    texts : Texts
    matrices : dict of str to matrix
        From `presence`.
    limits : sequence of int

    Returns
    -------
    list of OrderedDict with the keys `COLUMNS`
    """
    from sklearn.linear_model import LogisticRegression

    path, rows = _Path(matrices["train"], texts.parts["train"].labels), []
    for limit in limits:
        _, strength, model, seconds = path.largest(limit)
        used = np.flatnonzero(np.any(model.coef_ != 0, axis=0))
        rows.append(_linear_row("L1 logistic regression, at most %d words" % limit, texts, matrices, model, used,
                                model.coef_[:, used], model.intercept_, seconds, "C=%.4g" % strength))
        selected = {name: matrix[:, used] for name, matrix in matrices.items()}
        candidates = []
        for penalty in L2_STRENGTHS:
            started = time.process_time()
            again = LogisticRegression(C=penalty, max_iter=1000).fit(selected["train"], texts.parts["train"].labels)
            candidates.append((again.score(selected["valid"], texts.parts["valid"].labels), penalty, again,
                               time.process_time() - started))
        _, penalty, again, more = max(candidates, key=lambda candidate: candidate[0])
        rows.append(_linear_row("L2 logistic regression on the words of the L1 model, at most %d words" % limit, texts,
                                selected, again, used, again.coef_, again.intercept_, seconds + more,
                                "C=%.4g, selected with C=%.4g" % (penalty, strength)))
    return rows


# -- fastText ---------------------------------------------------------------------------------------------------------

class _FastText(object):
    """Trains and quantises fastText models in a folder.

    Parameters
    ----------
    texts : Texts
    folder : str
        A temporary folder.
    """

    def __init__(self, texts, folder):
        import fasttext
        self._fasttext, self._folder = fasttext, folder
        fasttext.FastText.eprint = lambda *words: None          # a warning at every load
        self._lines = {name: self._texts_of(part, texts.words) for name, part in texts.parts.items()}
        self._labels = {name: ["__label__%d" % label for label in part.labels] for name, part in texts.parts.items()}
        self.input = os.path.join(folder, "train.txt")
        write_atomically(self.input, "".join("%s %s\n" % pair for pair in zip(self._labels["train"],
                                                                              self._lines["train"])))

    @staticmethod
    def _texts_of(part, words):
        return [" ".join(words[token] for token in row if token > START) for row in part.tokens]

    def load(self, path):
        """Return the model in a file."""
        return self._fasttext.load_model(path)

    def accuracy(self, model, part):
        """Return the accuracy of a model on a part: float."""
        predictions, _ = model.predict(self._lines[part])
        return float(np.mean([found[0] == label for found, label in zip(predictions, self._labels[part])]))

    def train(self, units, options):
        """Return the file of a model, its accuracy on the validation part, and the seconds."""
        path = os.path.join(self._folder, "model-%d-%s.bin" % (units, "-".join("%g" % value
                                                                               for value in options.values())))
        started = time.process_time()
        model = self._fasttext.train_supervised(self.input, dim=units, bucket=BUCKETS, minCount=1, thread=1, seed=0,
                                                verbose=0, **options)
        seconds = time.process_time() - started
        model.save_model(path)
        return path, self.accuracy(model, "valid"), seconds

    def quantise(self, path, cutoff, options, retrain=False):
        """Return the quantised model, the size of its file, and the seconds."""
        model = self.load(path)
        started = time.process_time()
        # verbose: 0 would mean the default, which prints progress.
        model.quantize(input=self.input, cutoff=cutoff, retrain=retrain, qnorm=True, dsub=2, thread=1, verbose=-1,
                       epoch=options["epoch"], lr=options["lr"])
        seconds = time.process_time() - started
        quantised = os.path.join(self._folder, "quantised.ftz")
        model.save_model(quantised)
        return model, os.path.getsize(quantised), seconds

    def largest_cutoff(self, path, size, options):
        """Return the largest number of rows (words, pairs of words) of a file of at most `size` bytes; None if none."""
        def measure(cutoff):
            return self.quantise(path, cutoff, options)[1]
        low, low_size = FEWEST_ROWS, measure(FEWEST_ROWS)
        if low_size > size:
            return None
        high = max(size // 8, low + 1)              # a row takes more than 8 bytes
        high_size = measure(high)
        if high_size <= size:
            return high
        while high - low > max(1, low // 200):
            share = (size - low_size) / float(high_size - low_size)
            middle = min(max(low + int(share * (high - low)), low + 1), high - 1)
            found = measure(middle)
            if found <= size:
                low, low_size = middle, found
            else:
                high, high_size = middle, found
        return low


def _fast_text_settings(units, options, more=""):
    return "dim=%d, %s%s" % (units, ", ".join("%s=%g" % item for item in options.items()), more)


def fast_texts(texts, sizes=SIZES, candidates=FAST_TEXT):
    """Return the rows of fastText: the full model, and one quantised model for each size.

    A quantised model keeps as many words (and pairs of words) as fit, those with the largest norms. Its product
    quantiser has two units in a byte. It is trained again after the selection if that increases the validation
    accuracy.

    Parameters
    ----------
    texts : Texts
    sizes : sequence of int
        KiB.
    candidates : sequence of dict
        Settings of fastText.

    Returns
    -------
    list of OrderedDict with the keys `COLUMNS`
    """
    with tempfile.TemporaryDirectory() as folder:
        fast_text, rows = _FastText(texts, folder), []
        trained = [fast_text.train(FULL_UNITS, options) + (options,) for options in candidates]
        path, valid, seconds, options = max(trained, key=lambda found: found[1])
        model = fast_text.load(path)
        rows.append(_row("fastText", {"valid": valid, "test": fast_text.accuracy(model, "test")}, len(model.words),
                         os.path.getsize(path), seconds, _fast_text_settings(FULL_UNITS, options)))
        trained = [fast_text.train(QUANTISED_UNITS, options) + (options,) for options in candidates]
        for size in sizes:
            rows.append(_quantised_row(fast_text, trained, size))
        return rows


def _quantised_row(fast_text, trained, size):
    found = []
    for path, _, seconds, options in trained:
        cutoff = fast_text.largest_cutoff(path, 1024 * size, options)
        if cutoff is not None:
            model, measured, more = fast_text.quantise(path, cutoff, options)
            found.append((fast_text.accuracy(model, "valid"), model, measured, seconds + more, path, cutoff, options))
    if not found:
        raise ReportedError("no fastText model fits in %d KiB" % size)
    best = max(found, key=lambda candidate: candidate[0])
    valid, model, measured, seconds, path, cutoff, options = best
    again, size_again, more = fast_text.quantise(path, cutoff, options, retrain=True)
    valid_again = fast_text.accuracy(again, "valid")
    retrained = valid_again > valid and size_again <= 1024 * size
    if retrained:
        valid, model, measured, seconds = valid_again, again, size_again, seconds + more
    more = ", dsub=2, qnorm, cutoff=%d%s" % (cutoff, ", retrain" if retrained else "")
    return _row("fastText, quantised to %d KiB" % size, {"valid": valid, "test": fast_text.accuracy(model, "test")},
                len(model.words), measured, seconds, _fast_text_settings(QUANTISED_UNITS, options, more))


# -- all baselines ----------------------------------------------------------------------------------------------------

def require_packages():
    """Raise a `ReportedError` if a package of ``requirements/baselines.txt`` is not installed."""
    for module, package in (("sklearn", "scikit-learn"), ("fasttext", "fasttext-wheel")):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ReportedError("the baselines need the package %s (%s); install it with pip install --require-hashes "
                                "-r requirements/baselines.txt" % (package, error)) from error


def baselines(texts, limits, report=print):
    """Return the rows of all baselines.

    Parameters
    ----------
    texts : Texts
    limits : sequence of int
        Largest numbers of words of L1-regularised logistic regression.
    report : callable
        Takes the text of each row when it is known.

    Returns
    -------
    list of OrderedDict with the keys `COLUMNS`
    """
    matrices, rows = _matrices(texts), []
    for compute in (lambda: [naive_bayes(texts, matrices)], lambda: logistic_regressions(texts, matrices, limits),
                    lambda: fast_texts(texts)):
        found = compute()
        for row in found:
            report("%-75s test %s, valid %s, %d words, %d bytes, %s s (%s)" % tuple(row.values()))
        rows += found
    return rows


def write_baselines(path, rows):
    """Write rows to a csv file with the columns `COLUMNS`."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    write_atomically(path, text.getvalue())
