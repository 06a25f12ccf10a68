"""The command lines of the experiments with predefined sparseness: the language model's three, and the tagger's.

Options, data and sizes are checked before Theano is imported, so mistakes are answered at once.
"""

import os
import sys
from collections import namedtuple

from sparse_seq_theano.architecture import language_model_architecture, tagger_architecture
from theano_rnn.errors import EXIT_INTERRUPTED, ReportedError, reported_errors

from .cli import (
    check_vocabulary,
    refuse_another_experiment,
    resolve_device,
    use_theano,
)
from .data.corpus import read_corpus
from .data.demo import prepare_language_demo, prepare_tagged_demo
from .data.prepared_folder import VOCABULARY_FILE
from .data.tagging import default_tagged_folder, read_tagged
from .experiment import default_data_dir, experiment_folder
from .options import (
    LANGUAGE_MODEL_OPTIONS,
    TAGGER_OPTIONS,
    option_parser,
    refuse_other_settings,
    split_arguments,
)
from .run_folder import RunFolder, load_checkpoint

__all__ = ["EntryPoint", "language_model", "fine_tune", "tagger"]

LANGUAGE_MODEL, TAGGER = "language_modeling", "sequence_labeling"
STRUCTURE = ("emsize", "nhid", "nhidlast", "nlayers", "n_experts", "emblocks", "emdensity", "sparse_mode",
             "sparse_fract")
TAGGER_STRUCTURE = ("emsize", "nhid", "layers", "emb_blocks", "emb_density")
#: Options that may change when a run goes on; all others decide what it computes.
FREE = ("data", "save", "epochs", "log_interval")
FINE_TUNED = "finetune"
CHECKPOINTS = {"evaluate_every": 1, "save_every": sys.maxsize, "checkpoint_minutes": 10.}


class EntryPoint(namedtuple("EntryPoint", ["description", "options", "fixed", "demo"])):
    """One script of an experiment.

    Attributes
    ----------
    description : str
        For ``--help``.
    options : dict
        The options of its command line with their defaults.
    fixed : dict
        Settings of the job that are no options.
    demo : dict
        What ``--demo`` changes.
    """

    __slots__ = ()


def language_model(entry, argv=None):
    """Train the language model: the command line of ``main.py`` and ``main_overfit.py``.

    Parameters
    ----------
    entry : EntryPoint
    argv : list of str, optional
    """
    given, continues, demo, device = split_arguments(_parser(entry, LANGUAGE_MODEL_OPTIONS).parse_args(argv))
    with reported_errors():
        device = resolve_device(device)
        run, description = _describe(entry, LANGUAGE_MODEL, given, continues, demo)
        _train_language_model(run, description, continues, device)


def fine_tune(entry, argv=None):
    """Go on from a trained language model with averaged SGD: the command line of ``finetune.py``.

    Parameters
    ----------
    entry : EntryPoint
    argv : list of str, optional
    """
    given, continues, demo, device = split_arguments(_parser(entry, LANGUAGE_MODEL_OPTIONS).parse_args(argv))
    with reported_errors():
        device = resolve_device(device)
        source = RunFolder(given.get("save", entry.options["save"]))
        trained = source.read_config()
        refuse_another_experiment(source, trained, LANGUAGE_MODEL)
        if not source.has("best.npz"):
            raise ReportedError("%s has no best.npz yet; train it for an epoch with main.py first" % source.path)
        if trained["entry"] == "main_overfit":
            raise ReportedError("%s is a run of main_overfit.py, whose best model is not the one of the lowest "
                                "validation loss; fine-tune a run of main.py" % source.path)
        # What decides the model and the numbers of its words comes from there; it need not be said again.
        kept = STRUCTURE + ("ordering",) + (("seed",) if trained["settings"]["ordering"] == "rand" else ())
        kept += () if continues else ("data",)
        refuse_other_settings(source.path, trained["settings"], {
            name: value for name, value in given.items() if name in kept}, free=("data",))
        given = dict({name: trained["settings"][name] for name in kept}, **given)
        given["save"] = source.file(FINE_TUNED)
        if not continues and RunFolder(given["save"]).has("config.json"):
            raise ReportedError("%s is fine-tuned already, in %s: continue that with --continue_train, or move it away"
                                % (source.path, FINE_TUNED))
        run, description = _describe(entry, LANGUAGE_MODEL, given, continues, trained["demo"])
        _train_language_model(run, description, continues, device, source)


def _train_language_model(run, description, continues, device, source=None):
    settings = description["settings"]
    if description["demo"]:
        prepare_language_demo(settings["data"])
    data = read_corpus(settings["data"], settings["ordering"], settings["seed"])
    structure = language_model_architecture(len(data.vocabulary), **{name: settings[name] for name in STRUCTURE})
    for folder in (run, source):
        if folder is not None and folder.has(VOCABULARY_FILE):
            check_vocabulary(folder, settings["data"], data.vocabulary, "--data")
    run.make()

    use_theano(device)
    from . import finishing
    from .tasks.awd_lstm import AWDJob
    job = AWDJob(data, structure, settings, settings["seed"])
    best = None
    if source is not None and not run.has("last.npz"):
        arrays, progress = load_checkpoint(source.file("best.npz"), job.parameter_shapes(), source.path)
        job.load_best(arrays)
        best = progress["best"]
    run.start(description, data.vocabulary)
    if best is not None:
        run.save_checkpoint("best", arrays, progress)
        run.log("Going on from %s, epoch %d, validation loss %.4f" % (source.path, progress["epoch"], best))
    counts = structure.parameter_counts()
    run.log("%d parameters (%s), %d words; compiling ..." % (
        counts["total"], ", ".join("%s %d" % (name, counts[name]) for name in ("encoder", "rnns", "prior", "latent")),
        len(data.vocabulary)))
    for number, lstm in enumerate(structure.lstms):
        run.log("LSTM %d: %s" % (number, ", ".join("%s %s" % item for item in lstm.info().items())))
    _train(job, run, settings, continues, best)
    finishing.test_best(job, run)


def tagger(entry, argv=None):
    """Train the tagger: the command line of ``main.py``.

    Parameters
    ----------
    entry : EntryPoint
    argv : list of str, optional
    """
    given, continues, demo, device = split_arguments(_parser(entry, TAGGER_OPTIONS).parse_args(argv))
    with reported_errors():
        device = resolve_device(device)
        run, description = _describe(entry, TAGGER, given, continues, demo)
        settings = description["settings"]
        if description["demo"]:
            prepare_tagged_demo(settings["data"])
        data = read_tagged(settings["data"], settings["vocab_order"], settings["seed"])
        structure = tagger_architecture(len(data.vocabulary), len(data.tags),
                                     **{name: settings[name] for name in TAGGER_STRUCTURE})
        if run.has(VOCABULARY_FILE):
            check_vocabulary(run, settings["data"], data.vocabulary, "--data")
        run.make()

        use_theano(device)
        from . import finishing
        from .tasks.tagging import TaggerJob
        job = TaggerJob(data, structure, settings, settings["seed"])
        run.start(description, data.vocabulary)
        counts = structure.parameter_counts()
        run.log("%d parameters (%s), %d words, %d tags, %d sentences; compiling ..." % (
            counts["total"], ", ".join("%s %d" % (name, counts[name]) for name in ("embedding", "lstms", "dense")),
            len(data.vocabulary), len(data.tags), job.sentences))
        _train(job, run, settings, continues)
        finishing.report_best(job, run)


def _parser(entry, options):
    return option_parser(entry.description, options, entry.options, entry.demo)


def _describe(entry, experiment, given, continues, demo):
    """The folder of the run, and what its config.json holds but for the versions."""
    settings = dict(entry.options, **entry.fixed)
    if demo:
        settings.update(entry.demo)
    settings.update(CHECKPOINTS)
    settings.update(given)
    if "data" not in given:
        settings["data"] = _default_data(experiment, demo)
    settings["data"], settings["save"] = os.path.abspath(settings["data"]), os.path.abspath(settings["save"])
    run = RunFolder(settings["save"])
    description = {"experiment": experiment, "entry": entry.fixed.get("entry", "main"), "demo": demo,
                   "settings": settings}
    if not continues:
        run.refuse_another_run("--continue_train", "--save")
        return run, description
    described = run.read_config()
    refuse_another_experiment(run, described, experiment)
    if described["entry"] != description["entry"]:
        raise ReportedError("%s is a run of %s.py, not of %s.py" % (run.path, described["entry"], description["entry"]))
    if demo and not described["demo"]:
        raise ReportedError("%s is no run of --demo; leave it out, or give another --save" % run.path)
    refuse_other_settings(run.path, described["settings"], given, FREE)
    described["settings"].update((name, settings[name]) for name in FREE if name in given)
    return run, described


def _default_data(experiment, demo):
    if demo:
        return default_data_dir(experiment, demo=True)
    folder = experiment_folder(experiment)
    return default_tagged_folder(folder) if experiment == TAGGER else os.path.join(folder, "data", "penn")


def _train(job, run, settings, continues, best=None):
    """Train; Ctrl-C ends training early and goes on to the result, a signal of the system ends the process."""
    from . import train_and_evaluate as training
    try:
        training.train(job, run, settings["epochs"], settings, continues, best)
    except training.Interrupted as interruption:
        if not interruption.by_user:
            run.log("Stopped; continue with --continue_train")
            sys.exit(EXIT_INTERRUPTED)
        run.log("Training ends early; continue with --continue_train")
