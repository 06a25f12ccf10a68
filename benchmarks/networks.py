"""The networks that are measured: a training job on generated data of a published shape. No data set is needed."""

import importlib
import itertools
import math
from collections import OrderedDict, namedtuple

import numpy as np

from Experiments.shared.experiment import Experiment, make_settings
from theano_rnn.errors import ReportedError
from theano_rnn.runtime import configuration

__all__ = ["AWD", "NAMES", "TOKENS", "AWD_NETWORKS", "TRAINING_TEXTS", "TRAINING_TOKENS", "Run", "training_run",
           "training_step", "experiment_settings", "generated_tokens", "generated_data", "minibatches_per_epoch"]

#: The language model with predefined sparseness.
AWD = "language_modeling"
NAMES = ("IMDB", "AGNews", "Char_PTB", "Word_PTB", AWD)

#: As CONFIG has them; as many parameters in the first and the second.
AWD_NETWORKS = OrderedDict([
    ("dense-1150", dict(nhid=1150)),
    ("sparse-1725", dict(nhid=1725, sparse_mode="sparse_hidden", sparse_fract=0.66666)),
    ("dense-1725", dict(nhid=1725)),
])

#: How often words occur: all as often, so that a minibatch has as many different ones as can be; or as in text.
TOKENS = ("uniform", "zipf")

# Of the real data: they fix the number of minibatches in an epoch.
TRAINING_TEXTS = {"IMDB": 21250, "AGNews": 114000}
TRAINING_TOKENS = {"Char_PTB": 5017482, "Word_PTB": 929589, AWD: 929589}
CLASSES = {"IMDB": 2, "AGNews": 4}
# Of a text classifier it is the setting words_kept.
VOCABULARY = {"Char_PTB": 50, "Word_PTB": 10000, AWD: 10000}

#: job: of Experiments.shared.tasks. step: callable that trains on the next minibatch and returns the loss.
Run = namedtuple("Run", ["job", "step"])


def training_run(name, config, tokens="uniform", assignments=()):
    """A training job that repeats a few full minibatches without end. Theano must be configured.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    config : str
        A CONFIG string; of the language model with predefined sparseness, one of `AWD_NETWORKS`.
    tokens : {"uniform", "zipf"}
    assignments : sequence of str
        ``name=value``, for other settings than the published ones.

    Returns
    -------
    Run
    """
    experiment, settings = experiment_settings(name, config, assignments)
    data = generated_data(experiment, settings, tokens)
    if name == AWD:
        job, minibatches = _awd_job(data, settings)
    else:
        from Experiments.shared.tasks.classification import make_job
        job = make_job(experiment.kind, experiment.parse_config(config), data, settings, seed=0)
        minibatches = list(job.minibatches(1))
    full = itertools.cycle([minibatch for minibatch in minibatches if minibatch[0].shape == minibatches[0][0].shape])

    def step():
        loss = job.step(next(full))[0]
        # Infinite numbers take another time to compute.
        if not math.isfinite(loss):
            raise ReportedError("%s %s: the loss is %s after repeated steps; choose a smaller learning rate with --set"
                                % (name, config, loss))
        return loss
    return Run(job, step)


def training_step(*arguments):
    """The step of a `training_run`, in a process that has not configured Theano yet."""
    configuration.configure()
    return training_run(*arguments).step


def experiment_settings(name, config, assignments=()):
    """The Experiment and its settings, a dict; what is misspelt is a `ReportedError`."""
    main = importlib.import_module("Experiments.%s.main" % name)
    if name != AWD:
        main.EXPERIMENT.parse_config(config)
        return main.EXPERIMENT, make_settings(main.EXPERIMENT, False, assignments)
    if config not in AWD_NETWORKS:
        raise ReportedError("%s has no network '%s'; known: %s" % (name, config, ", ".join(AWD_NETWORKS)))
    options = dict(main.ENTRY.options, **main.ENTRY.fixed)
    experiment = Experiment(name, AWD, dict(options, **AWD_NETWORKS[config]), demo={}, examples=())
    return experiment, make_settings(experiment, False, assignments)


def _awd_job(data, settings):
    """The job, and a single minibatch: windows of training have random lengths, this one the nominal."""
    from Experiments.shared.sparse_command_line import STRUCTURE
    from Experiments.shared.tasks.awd_lstm import AWDJob
    from sparse_seq_theano.architecture import language_model_architecture
    structure = language_model_architecture(len(data.vocabulary), **{name: settings[name] for name in STRUCTURE})
    job = AWDJob(data, structure, settings, seed=0)
    window, length = job.train_table, settings["bptt"]
    return job, [(window[:, :length], window[:, 1:length + 1], settings["lr"])]


def generated_tokens(random, count, words, tokens="uniform"):
    """Random words, the most frequent one 0: int32 (count,).

    Parameters
    ----------
    random : numpy.random.RandomState
    count, words : int
    tokens : {"uniform", "zipf"}
        All with one frequency, or with a frequency proportional to 1 / rank.
    """
    if tokens == "uniform":
        return random.randint(0, words, count).astype(np.int32)
    ranks = np.exp(random.uniform(0, np.log(words + 1), count)).astype(np.int32)        # from 1
    return np.minimum(ranks, words) - np.int32(1)


def generated_data(experiment, settings, tokens="uniform"):
    """Random data with enough objects for a few full minibatches: TextData, LanguageData or Corpus."""
    from Experiments.shared.data.classification import Documents, TextData
    from Experiments.shared.data.corpus import Corpus
    from Experiments.shared.data.penn_treebank import LanguageData
    random = np.random.RandomState(0)
    words = settings.get("words_kept") or VOCABULARY[experiment.dataset]
    vocabulary = ["word%d" % word for word in range(words)]
    if experiment.kind == "text":
        count, length, classes = 4 * settings["batch_size"], settings["length"], CLASSES[experiment.dataset]
        documents = Documents(generated_tokens(random, count * length, words, tokens),
                              np.arange(count + 1) * length, random.randint(0, classes, count).astype(np.int32))
        return TextData(vocabulary, documents, documents, classes)
    rows, length = settings.get("streams") or settings["batch_size"], settings.get("length") or settings["bptt"]
    text = generated_tokens(random, 6 * rows * length, words, tokens)
    if experiment.kind == AWD:
        text = words - 1 - text                     # its vocabulary goes from rare to frequent
        return Corpus(vocabulary, text, text, text)
    return LanguageData(vocabulary, text, text, text)


def minibatches_per_epoch(name, settings):
    """How many full minibatches the real data make."""
    from Experiments.shared.data import minibatches as batches
    if name in TRAINING_TEXTS:
        return batches.minibatch_count(TRAINING_TEXTS[name], settings["batch_size"])
    count = TRAINING_TOKENS[name]
    if name == "Char_PTB":
        return batches.character_minibatch_count(count, settings["batch_size"], settings["length"])
    if name == AWD:
        return batches.word_minibatch_count(count, settings["batch_size"], settings["bptt"])
    return batches.word_minibatch_count(count, settings["streams"], settings["length"])
