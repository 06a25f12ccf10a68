"""The command lines of the experiments: ``main.py``, ``finetune.py`` and ``run_compressed.py``.

There are two dialects, ``main.py CONFIG --set name=value --resume`` and ``main.py --name value --continue_train``. Both
are read into the same `Settings`. Arguments, settings and data are checked before Theano is imported, so mistakes are
reported at once.
"""

import argparse
import contextlib
import os
import re
import sys
from collections import OrderedDict

from theano_rnn.errors import EXIT_INTERRUPTED, ArgumentParser, ReportedError, reported_errors
from theano_rnn.runtime import DURATION_IN_PYTHON, refuse_missing_compiler, resolve_device, work_without_compiler

from .config import OPTION_DIALECT, read_assignments
from .readers import argument, path
from .run_folder import RunFolder
from .sparse_experiments import settings_for_fine_tuning
from .train_and_evaluate import Interrupted, configure_theano, load_trained_data, restore_task, train_and_evaluate

__all__ = ["main", "fine_tune", "run_compressed", "device", "add_device_option"]


def main(experiment, argv=None):
    """Train, resume, or evaluate a checkpoint: the command line of ``main.py``.

    Parameters
    ----------
    experiment : Experiments.shared.config.Experiment
    argv : list of str, optional
    """
    if experiment.dialect is OPTION_DIALECT:
        arguments = _option_parser(experiment).parse_args(argv)
        with reported_errors():
            device = _device_and_compiler(arguments)
            given = _given_options(experiment, arguments)
            save = given.get("save", path(experiment.defaults["save"]))
            _train(experiment, given, save, arguments, arguments.continue_train, device)
        return
    arguments = _config_parser(experiment).parse_args(argv)
    with reported_errors():
        device = _device_and_compiler(arguments)
        if arguments.eval_only:
            _evaluate_only(experiment, arguments, device)
            return
        given = _given_config(experiment, arguments)
        parts = [given["config"], "demo" if arguments.demo else None, given.get("recipe")]
        name = "-".join(part for part in parts if part)
        out = arguments.out or os.path.join(experiment.folder, "Results", name)
        _train(experiment, given, out, arguments, arguments.resume, device)


def fine_tune(experiment, source_experiment, argv=None):
    """Continue from the best model of a trained run: the command line of ``finetune.py``.

    Parameters
    ----------
    experiment : Experiments.shared.config.Experiment
    source_experiment : Experiments.shared.config.Experiment
        The experiment of the trained run.
    argv : list of str, optional
    """
    arguments = _option_parser(experiment).parse_args(argv)
    with reported_errors():
        device = _device_and_compiler(arguments)
        given = _given_options(experiment, arguments)
        given.pop("demo", None)
        resumes = arguments.continue_train or arguments.resume_from is not None
        given = settings_for_fine_tuning(experiment, source_experiment, given, resumes)
        _train(experiment, given, given["save"], arguments, resumes, device)


def _train(experiment, given, folder, arguments, resume, device):
    """Train with the settings of a new run, or with those of the run that is resumed.

    Parameters
    ----------
    experiment : Experiment
    given : dict
        The settings that the user gave.
    folder : str
        The folder of the run.
    arguments : argparse.Namespace
        With ``resume_from``: the checkpoint from which the run is resumed, or None.
    resume : bool
        Whether the run is resumed from its last checkpoint.
    device : str
    """
    if resume or arguments.resume_from is not None:
        RunFolder(folder).refuse_in_use(experiment.dialect.out)
        settings = experiment.read_settings(RunFolder(folder)).replace(**given)
        data = experiment.dialect.data
        if settings.demo and data not in given and not os.path.isdir(getattr(settings, data)):
            # A run from another machine: nothing is written to a folder that only its config.json names.
            settings = settings.replace(**{data: experiment.data_folder(settings)})
    else:
        settings = experiment.make_settings(**given)
        RunFolder(folder).refuse_another_run(experiment.dialect.resume, experiment.dialect.out)
    try:
        train_and_evaluate(settings, folder, device, arguments.resume_from)
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)


# -- devices -----------------------------------------------------------------------------------------------------------

def device(text):
    """Read a device: ``cpu``, ``auto``, ``cuda`` or, with a number, one GPU."""
    if re.match(r"(cpu|auto|cuda\d*)\Z", text) is None:
        raise ReportedError("must be cpu, auto, cuda, or cuda0 (or another number), got %r" % text)
    return text


def add_device_option(parser, note=""):
    """Add ``--device`` to a command line, with a note at the end of its help."""
    parser.add_argument("--device", type=argument(device), default="cpu", metavar="DEVICE",
                        help="cpu (default), cuda (the first GPU), cuda0 and so on, or auto: a GPU if one can be used. "
                             "A device in THEANO_FLAGS takes precedence" + note)


def _add_compiler_option(parser):
    parser.add_argument("--without-compiler", action="store_true",
                        help="compute in Python, where there is no C++ compiler; " + DURATION_IN_PYTHON)


def _device_and_compiler(arguments):
    """Return the device to use, and switch the compiler off on request; refuse what this machine does not have."""
    if arguments.without_compiler:
        work_without_compiler()
    refuse_missing_compiler()
    return resolve_device(arguments.device)


def _add_flags(parser, experiment):
    """Add ``--name`` and ``--no-name`` for each setting that is true or false."""
    for setting in experiment.flags():
        name = setting.name.replace("_", "-")
        parser.add_argument("--" + name, dest=setting.name, action="store_const", const=True,
                            default=argparse.SUPPRESS, help=setting.help)
        parser.add_argument("--no-" + name, dest=setting.name, action="store_const", const=False,
                            default=argparse.SUPPRESS, help="cancel --%s of a run that is resumed" % name)


# -- main.py --name value ----------------------------------------------------------------------------------------------

def _option_parser(experiment):
    parser = ArgumentParser(description=experiment.description)
    for setting in experiment.settings:
        if setting in experiment.flags():
            continue
        spellings = ["--" + setting.name]
        if "_" in setting.name:
            spellings.append("--" + setting.name.replace("_", "-"))
        parser.add_argument(*spellings, type=argument(setting.read), default=argparse.SUPPRESS,
                            metavar=setting.metavar or setting.name.upper(),
                            help="%s (default: %s)" % (setting.help.replace("%", "%%"), setting.default))
    parser.add_argument("--continue_train", "--continue-train", action="store_true",
                        help="continue the run in --save from its last checkpoint, with its settings")
    _add_resume_from(parser)
    parser.add_argument("--demo", action="store_true",
                        help="train a small network on a corpus that the project generates; needs no data. Changes %s"
                        % ", ".join("%s=%s" % item for item in sorted(experiment.demo.items())))
    _add_flags(parser, experiment)
    add_device_option(parser)
    _add_compiler_option(parser)
    return parser


def _add_resume_from(parser):
    parser.add_argument("--resume-from", "--resume_from", metavar="CHECKPOINT",
                        help="continue the run from another checkpoint than the last: best, epoch_200 or a file. It "
                             "replaces the later epochs of the run")


def _given_options(experiment, arguments):
    """Return the settings that the user gave: dict."""
    given = {name: value for name, value in vars(arguments).items() if experiment.setting(name)}
    if arguments.demo:
        given["demo"] = True
    return given


# -- main.py CONFIG --set name=value -----------------------------------------------------------------------------------

def _config_parser(experiment):
    parser = ArgumentParser(description=experiment.description, epilog=experiment.epilog,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", metavar="CONFIG", nargs="?", help=experiment.setting("config").help)
    epochs = experiment.setting("epochs")
    parser.add_argument("--epochs", type=argument(epochs.read),
                        help="train to this epoch (default: %d)" % epochs.default)
    for name in experiment.dialect.own_options:
        setting = experiment.setting(name)
        if setting and name != "config":
            parser.add_argument("--" + name.replace("_", "-"), type=argument(setting.read), metavar=setting.metavar,
                                help=setting.help)
    parser.add_argument("--out", help="folder of the run (default: Results/CONFIG)")
    parser.add_argument("--resume", action="store_true", help="continue the run from its last checkpoint")
    _add_resume_from(parser)
    parser.add_argument("--eval-only", metavar="CHECKPOINT", help="evaluate a checkpoint (or run folder) and stop")
    parser.add_argument("--demo", action="store_true",
                        help="train a small network on a corpus that the project generates; needs no data")
    parser.add_argument("--set", metavar="name=value", action="append", default=[], dest="assignments",
                        help="change a hyperparameter; may be repeated")
    _add_flags(parser, experiment)
    add_device_option(parser)
    _add_compiler_option(parser)
    return parser


def _own_options(experiment, arguments):
    """Return the settings that the user gave by options of their own: dict."""
    names = experiment.dialect.own_options + ("epochs",) + tuple(setting.name for setting in experiment.flags())
    values = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _given_config(experiment, arguments):
    """Return the settings that the user gave: dict."""
    config = experiment.setting("config")
    if not arguments.config:
        raise ReportedError("CONFIG is missing, expected %s" % config.help)
    given = _own_options(experiment, arguments)
    given["config"] = config.read(arguments.config)
    if arguments.demo:
        given["demo"] = True
    return dict(read_assignments(experiment, arguments.assignments), **given)


def _evaluate_only(experiment, arguments, device):
    refused = set(_own_options(experiment, arguments)) - {"config", "data_dir"}
    if (refused or arguments.assignments or arguments.resume or arguments.resume_from or arguments.demo
            or arguments.out):
        raise ReportedError("--eval-only takes all settings from the run: only CONFIG and --data-dir may be given")
    checkpoint = arguments.eval_only
    if os.path.isdir(checkpoint):
        checkpoint = os.path.join(checkpoint, "last.npz")
    run = RunFolder(os.path.dirname(os.path.abspath(checkpoint)))
    settings = experiment.read_settings(run)
    if arguments.config and arguments.config != settings.config:
        raise ReportedError("%s was trained with CONFIG %s, not %s; omit CONFIG"
                            % (run.path, settings.config, arguments.config))
    if arguments.data_dir:
        settings = settings.replace(data_dir=arguments.data_dir)
    data = load_trained_data(settings, run)
    configure_theano(device)
    restore_task(settings, data, checkpoint).print_evaluation()


def run_compressed(experiment, argv=None):
    """Compress trained runs: the command line of ``run_compressed.py``.

    Parameters
    ----------
    experiment : Experiments.shared.config.Experiment
    argv : list of str, optional
    """
    parser = ArgumentParser(
        description="Build the compressed network of a trained %s run, compare it with the pruned one and save it."
        % experiment.name)
    parser.add_argument("runs", metavar="RUN", nargs="*",
                        help="folder of a run (default: every finished run in Results)")
    parser.add_argument("--checkpoint", default="last",
                        help="name of the checkpoint: last, best, epoch_200 (default: last)")
    parser.add_argument("--data-dir", help="prepared data (default: the data of the run)")
    parser.add_argument("--variants", action="store_true",
                        help="also evaluate smaller files: other precisions, without the list of pruned words")
    add_device_option(parser, ". It computes the pruned network; the predictor of the compressed one, in NumPy or C, "
                              "uses the CPU")
    _add_compiler_option(parser)
    arguments = parser.parse_args(argv)
    with reported_errors(), contextlib.ExitStack() as locks:
        device = _device_and_compiler(arguments)
        given = OrderedDict((os.path.realpath(folder), folder) for folder in arguments.runs)
        runs = [RunFolder(folder) for folder in given.values()] or _finished_runs(experiment)
        prepared = []
        for run in runs:
            settings = experiment.read_settings(run)
            locks.enter_context(run.locked())
            run.require_checkpoint(arguments.checkpoint)
            if arguments.data_dir:
                settings = settings.replace(data_dir=arguments.data_dir)
            prepared.append((run, settings, load_trained_data(settings, run)))
        configure_theano(device)
        for run, settings, data in prepared:
            task = restore_task(settings, data, run.file(arguments.checkpoint + ".npz"))
            task.compare_compressed(run, arguments.checkpoint)
            if arguments.variants:
                task.print_variants()


def _finished_runs(experiment):
    folder = os.path.join(experiment.folder, "Results")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    runs = [RunFolder(os.path.join(folder, name)) for name in names]
    runs = [run for run in runs if run.has("config.json") and run.has("compressed.npz")]
    if not runs:
        raise ReportedError("no finished run in %s; train one with python main.py CONFIG" % folder)
    return runs
