"""The Bayesian experiments: pruned text classifiers and language models. This module does not import Theano."""

import sys
from functools import partial

from theano_rnn.errors import ReportedError

from bayes_rnn.config import EXAMPLE_CONFIGS, describe_positions, parse_config

from .config import CONFIG_DIALECT, Experiment, Setting
from .data.demo import prepare_demo
from .data.language_modeling import load_language
from .data.prepared_folder import PARTS
from .data.prepared_vectors import ORIGINS, WordVectors, load_vectors, rescaled
from .data.text_classification import SPLITS, load_text
from .data.word_vectors import read_vectors
from .memory import bayesian_memory
from .readers import (
    non_negative_integer,
    open_share,
    path,
    positive_integer,
    positive_number,
    positive_number_or_none,
    rate_schedule,
    seed,
)

__all__ = ["bayesian_experiment", "NETWORKS"]

#: Kind of task to the name of its network in `bayes_rnn.config`.
NETWORKS = {"text": "classification", "characters": "language model", "words": "language model"}
TASKS = {"text": "classification:TextTask", "characters": "bayesian_lm:CharacterTask", "words": "bayesian_lm:WordTask"}
#: Settings that are not positive numbers of the type of their default.
READERS = {"clip": positive_number_or_none, "validation_fraction": open_share}
#: Settings of the optimiser that all experiments have, with the published values.
OPTIMISER_SETTINGS = (
    Setting("rate_schedule", None, rate_schedule, "factors of the learning rate: epoch:factor,epoch:factor",
            added=True),
    Setting("log_sigma_rate", 1., positive_number, "factor of the learning rate of log sigma", added=True),
    Setting("kl_warmup", 0, non_negative_integer,
            "epochs in which the weight of the KL divergence grows linearly from 0", added=True))


def bayesian_experiment(name, kind, hyperparameters, demo, examples, vectors_norm=None, recipes=(), defaults=()):
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
    vectors_norm : float, optional
        For text classification: the norm to which the vectors that ``prepare_data.py`` trained are rescaled. Their own
        norms if omitted.
    recipes : dict of str to dict
        The settings that ``--recipe NAME`` changes.
    defaults : dict
        Defaults of `OPTIMISER_SETTINGS` that differ from the published ones.

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
        settings.append(Setting(
            "vectors", "train", _vectors, "word vectors: train (default), google-news or glove (all three from "
            "prepare_data.py), a FILE (word2vec binary or GloVe text), or none (random embeddings)", "VECTORS"))
        settings.append(Setting(
            "vectors_norm", None, positive_number_or_none, "rescale each vector to this norm (default: %s for train; "
            "other vectors are not rescaled)" % vectors_norm, "NORM", added=True))
        demo = dict(dict(vectors="none"), **demo)
    else:
        fixed["vectors"] = None
    for setting, value in hyperparameters.items():
        number = positive_integer if isinstance(value, int) else positive_number
        settings.append(Setting(setting, value, READERS.get(setting, number)))
    settings.extend(setting._replace(default=setting.checked(dict(defaults).get(setting.name, setting.default)))
                    for setting in OPTIMISER_SETTINGS)
    return Experiment(
        name, "Train a Bayesian network on %s, prune it, report compression." % name, settings,
        "Experiments.shared.tasks." + TASKS[kind], _load_data, prepare_demo, demo=demo, fixed=fixed, recipes=recipes,
        free=("epochs", "data_dir"), dialect=CONFIG_DIALECT, memory=bayesian_memory,
        read_initial=partial(_read_vectors, norm=vectors_norm), examples=examples,
        epilog="%s\n\nsettings: %s" % (describe_positions(network), ", ".join(
            "%s=%s" % (setting.name, setting.default) for setting in sorted(settings, key=lambda setting: setting.name)
            if setting.name not in CONFIG_DIALECT.own_options)))


def _config(text, network):
    if not isinstance(text, str):
        raise ReportedError("must be text, got %.40r" % (text,))
    return parse_config(text, network).text


def _load_data(settings):
    arguments = settings.data_dir, settings.experiment.name, settings.experiment.dialect.demo
    if settings.kind != "text":
        return load_language(*arguments)
    # Without validation_fraction, the prepared data have a validation part.
    return load_text(*arguments, parts=SPLITS if "validation_fraction" in settings else PARTS)


def _vectors(value):
    """Return a kind of vectors, or the path of a file. Runs of earlier versions have None for no vectors."""
    if value is None:
        return "none"
    return value if value in ORIGINS + ("none",) else path(value)


def _read_vectors(settings, data, norm):
    """Return the initial word vectors of a text classifier: `WordVectors` with ids as rows, or None.

    Parameters
    ----------
    settings : Settings
    data : TextData
    norm : float or None
        The default norm of trained vectors; None for their own norms.
    """
    if settings.vectors is None:        # a language model
        return None
    if settings.vectors == "none":
        if settings.config.startswith("L") and not settings.demo and not settings.kl_warmup:
            sys.stderr.write("warning: --vectors none with L at position 0: from random embeddings, all words may be "
                             "pruned before they are learned; use the word vectors of prepare_data.py, or "
                             "--set kl_warmup=10\n")
        return None
    words, units = data.vocabulary[:settings.words_kept], settings.embedding_units
    if settings.vectors in ORIGINS:
        found = load_vectors(settings.data_dir, settings.experiment.name, data.vocabulary, settings.vectors, units)
        kept = found.rows < len(words)
        found = WordVectors(found.rows[kept], found.vectors[kept], found.origin)
    else:
        found = WordVectors(*read_vectors(settings.vectors, words, units), origin=settings.vectors)
    norm = settings.vectors_norm or (norm if settings.vectors == "train" else None)
    if norm is not None:
        found = WordVectors(found.rows, rescaled(found.vectors, norm), "%s; norm %s" % (found.origin, norm))
    return found
