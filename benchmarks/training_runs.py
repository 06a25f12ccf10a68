"""Training steps of the published networks on generated data; no data set is needed."""

import itertools
import math
from collections import OrderedDict, namedtuple

from theano_rnn import runtime
from theano_rnn.errors import ReportedError

from benchmarks.generated_data import TOKENS, generated_data
from Experiments.shared.config import load_experiment, read_assignments
from Experiments.shared.data import minibatches

__all__ = ["AWD", "NAMES", "TOKENS", "AWD_NETWORKS", "TRAINING_TEXTS", "TRAINING_TOKENS", "TrainingRun",
           "training_run", "training_step", "experiment_settings", "minibatches_per_epoch"]

#: The language model with predefined sparseness.
AWD = "language_modeling"
NAMES = ("IMDB", "AGNews", "Char_PTB", "Word_PTB", AWD)

#: Settings by CONFIG; the first and the second network have the same number of parameters.
AWD_NETWORKS = OrderedDict([
    ("dense-1150", dict(nhid=1150)),
    ("sparse-1725", dict(nhid=1725, sparse_mode="sparse_hidden", sparse_fract=0.66666)),
    ("dense-1725", dict(nhid=1725)),
])

# Sizes of the real training data. They determine the number of minibatches in an epoch.
TRAINING_TEXTS = {"IMDB": 21250, "AGNews": 114000}
TRAINING_TOKENS = {"Char_PTB": 5017482, "Word_PTB": 929589, AWD: 929589}

#: task: see `Experiments.shared.tasks`. step: trains on the next minibatch and returns the loss.
TrainingRun = namedtuple("TrainingRun", ["task", "step"])


def training_run(name, config, tokens="uniform", assignments=(), **fixed):
    """Return a training run that repeats a few full minibatches. Theano must be configured.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    config : str
        A CONFIG string; for the language model with predefined sparseness, a key of `AWD_NETWORKS`.
    tokens : {"uniform", "zipf"}
        Distribution of the words, see `benchmarks.generated_data`.
    assignments : sequence of str
        ``name=value`` for settings that differ from the published values.
    **fixed
        Settings that the command line cannot change.

    Returns
    -------
    TrainingRun
    """
    from Experiments.shared.tasks import build_task
    experiment, settings = experiment_settings(name, config, assignments, **fixed)
    task = build_task(experiment, settings, generated_data(settings, tokens=tokens))
    if name == AWD:
        # The windows of a training epoch have random lengths; take one of the nominal length.
        tokens, targets = next(minibatches.windows(task.tables["train"], [settings.bptt]))
        full = [(tokens, targets, settings.lr)]
    else:
        batches = list(task.minibatches(1))
        full = [batch for batch in batches if batch[0].shape == batches[0][0].shape]
    endless = itertools.cycle(full)

    def step():
        loss = task.step(next(endless))[0]
        # The times of operations on NaN and infinity are different.
        if not math.isfinite(loss):
            raise ReportedError("%s %s: the loss is %s after repeated steps; choose a smaller learning rate with --set"
                                % (name, config, loss))
        return loss
    return TrainingRun(task, step)


def training_step(name, config, tokens="uniform", assignments=(), device="cpu"):
    """Configure Theano in this process and return the step of a `training_run`."""
    runtime.configure(device)
    return training_run(name, config, tokens, assignments).step


def experiment_settings(name, config, assignments=(), **fixed):
    """Return the Experiment and its Settings, with seed 0; a misspelt name is a `ReportedError`.

    The parameters are those of `training_run`.
    """
    experiment = load_experiment(name)
    if name != AWD:
        network = dict(config=config)
    elif config in AWD_NETWORKS:
        network = AWD_NETWORKS[config]
    else:
        raise ReportedError("%s has no network %r; known: %s" % (name, config, ", ".join(AWD_NETWORKS)))
    given = dict(network, seed=0, **fixed)
    given.update(read_assignments(experiment, assignments))
    return experiment, experiment.make_settings(**given)


def minibatches_per_epoch(name, settings):
    """Return the number of minibatches of the real training data."""
    if name in TRAINING_TEXTS:
        return minibatches.minibatch_count(TRAINING_TEXTS[name], settings.batch_size)
    if name == "Char_PTB":
        return minibatches.character_minibatch_count(TRAINING_TOKENS[name], settings.batch_size, settings.length)
    streams, length = (settings.batch_size, settings.bptt) if name == AWD else (settings.streams, settings.length)
    return len(minibatches.fixed_lengths(TRAINING_TOKENS[name] // streams, length))
