"""Experiments with predefined sparseness: sizes of the networks, fine-tuning. This module does not import Theano."""

import os
from collections import namedtuple

from theano_rnn.errors import ReportedError

from sparse_seq_theano.architecture import language_model_architecture, tagger_architecture

from .checkpoints import load_checkpoint
from .config import refuse_other_settings
from .readers import path
from .run_folder import RunFolder

__all__ = ["FREE", "LANGUAGE_MODEL_SIZES", "TAGGER_SIZES", "architecture_of_language_model",
           "architecture_of_tagger", "FINE_TUNED", "BestModel", "settings_for_fine_tuning", "read_best_model"]

#: Settings that determine the network of the language model and of the tagger.
LANGUAGE_MODEL_SIZES = ("emsize", "nhid", "nhidlast", "nlayers", "n_experts", "emblocks", "emdensity", "sparse_mode",
                        "sparse_fract")
TAGGER_SIZES = ("emsize", "nhid", "layers", "emb_blocks", "emb_density")
#: Settings that may change when a run is resumed; all others determine its results.
FREE = ("data", "save", "epochs", "log_interval")
#: The folder of a fine-tuned run inside the folder of its source.
FINE_TUNED = "finetune"

#: The best checkpoint of another run: the folder of the run, path of the checkpoint, its arrays and its progress.
BestModel = namedtuple("BestModel", ["run", "path", "arrays", "progress"])


def architecture_of_language_model(settings, data):
    """Return the `LanguageModelArchitecture` of the settings; raise a `ReportedError` if there is none."""
    return language_model_architecture(len(data.vocabulary), **settings.select(LANGUAGE_MODEL_SIZES))


def architecture_of_tagger(settings, data):
    """Return the `TaggerArchitecture` of the settings; raise a `ReportedError` if there is none."""
    return tagger_architecture(len(data.vocabulary), len(data.tags), **settings.select(TAGGER_SIZES))


def settings_for_fine_tuning(experiment, source_experiment, given, resumes):
    """Return the settings for fine-tuning: those of the trained run, and those that the user gave.

    Parameters
    ----------
    experiment, source_experiment : Experiment
        The experiments of fine-tuning and of the trained run.
    given : dict
        Settings that the user gave; ``save`` is the folder of the trained run.
    resumes : bool
        Whether a fine-tuning run is resumed.

    Returns
    -------
    dict
        Settings by name; ``save`` is the folder of fine-tuning.
    """
    source = RunFolder(given.get("save", path(experiment.defaults["save"])))
    config = source.read_config()
    if config.get("entry") == "main_overfit":
        raise ReportedError("%s is a run of main_overfit.py, whose best model is not the one with the lowest "
                            "validation loss; fine-tune a run of main.py" % source.path)
    trained = (experiment if config.get("entry") == experiment.entry else source_experiment).read_settings(source)
    if not source.has("best.npz"):
        raise ReportedError("%s has no best.npz yet; train it for an epoch with main.py first" % source.path)
    # The network and the ids of its words must be those of the trained run.
    kept = LANGUAGE_MODEL_SIZES + ("ordering",) + (("seed",) if trained.ordering == "rand" else ())
    kept += () if resumes else ("data",)
    refuse_other_settings(source.path, trained, {name: value for name, value in given.items() if name in kept},
                          ("data",), experiment.dialect.out)
    given = dict(trained.select(kept), **given)
    given.update(save=source.file(FINE_TUNED), demo=trained.demo)
    RunFolder(given["save"]).refuse_in_use(experiment.dialect.out)
    if not resumes and RunFolder(given["save"]).has("config.json"):
        raise ReportedError("%s is fine-tuned already, in %s: continue that with %s, or move it away"
                            % (source.path, FINE_TUNED, experiment.dialect.resume))
    return given


def read_best_model(settings, data):
    """Return the `BestModel` of the run that is fine-tuned, whose folder holds the folder of this run.

    Raises
    ------
    ReportedError
        If that run has no best checkpoint that can be read, or another vocabulary.
    """
    source = RunFolder(os.path.dirname(settings.save))
    source.check_vocabulary(data.vocabulary, settings)
    checkpoint = source.file("best.npz")
    return BestModel(source.path, checkpoint, *load_checkpoint(checkpoint, None, source.path))
