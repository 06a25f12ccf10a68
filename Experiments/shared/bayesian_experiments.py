"""The Bayesian experiments: pruned text classifiers and language models. This module does not import Theano."""

from functools import partial

from bayes_rnn.config import EXAMPLE_CONFIGS, describe_positions, parse_config

from .config import (
    CONFIG_DIALECT,
    Experiment,
    Setting,
    open_share,
    path,
    positive_integer,
    positive_number,
    positive_number_or_none,
    seed,
)
from .data.demo import prepare_demo
from .data.language_modeling import load_language
from .data.text_classification import load_text
from .data.word_vectors import read_vectors

__all__ = ["bayesian_experiment", "NETWORKS"]

#: Kind of task to the name of its network in `bayes_rnn.config`.
NETWORKS = {"text": "classification", "characters": "language model", "words": "language model"}
TASKS = {"text": "classification:TextTask", "characters": "bayesian_lm:CharacterTask", "words": "bayesian_lm:WordTask"}
#: Settings that are not positive numbers of the type of their default.
READERS = {"clip": positive_number_or_none, "validation_fraction": open_share}


def bayesian_experiment(name, kind, hyperparameters, demo, examples):
    """Return the `Experiment` of a data set.

    Parameters
    ----------
    name : str
        The data set.
    kind : {"text", "characters", "words"}
        Text classification, character or word language model.
    hyperparameters : dict
        The published values; ``--set name=value`` changes one.
    demo : dict
        The hyperparameters that ``--demo`` changes.
    examples : sequence of str
        Texts that the compressed model classifies or continues at the end of training.

    Returns
    -------
    Experiment
    """
    network = NETWORKS[kind]
    settings = [
        Setting("config", None, partial(_config, network=network),
                "%d letters, for example %s" % (len(EXAMPLE_CONFIGS[network]), EXAMPLE_CONFIGS[network]), "CONFIG"),
        Setting("seed", 0, seed, "random seed (default 0)"),
        Setting("data_dir", None, path, "prepared data (default: data/prepared)")]
    fixed = dict(kind=kind)
    if kind == "text":
        settings.append(Setting("vectors", None, path, "pretrained word vectors: word2vec binary or GloVe text",
                                "FILE"))
    else:
        fixed["vectors"] = None
    for setting, value in hyperparameters.items():
        number = positive_integer if isinstance(value, int) else positive_number
        settings.append(Setting(setting, value, READERS.get(setting, number)))
    return Experiment(
        name, "Train a Bayesian network on %s, prune it, report compression." % name, settings,
        "Experiments.shared.tasks." + TASKS[kind], _load_data, prepare_demo, demo=demo, fixed=fixed,
        free=("epochs", "data_dir"), dialect=CONFIG_DIALECT, read_initial=_read_vectors, examples=examples,
        epilog="%s\n\nsettings: %s" % (describe_positions(network), ", ".join(
            "%s=%s" % item for item in sorted(hyperparameters.items()))))


def _config(text, network):
    return parse_config(text, network).text


def _load_data(settings):
    load = load_text if settings.kind == "text" else load_language
    return load(settings.data_dir, settings.experiment.name, settings.experiment.dialect.demo)


def _read_vectors(settings, data):
    """Return the row indices of the words that have a pretrained vector, and the vectors; None without a file."""
    if settings.vectors is None:
        return None
    return read_vectors(settings.vectors, data.vocabulary[:settings.words_kept], settings.embedding_units)
