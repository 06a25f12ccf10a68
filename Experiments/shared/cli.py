"""The command lines of the four Bayesian experiments: ``main.py`` and ``run_compressed.py``.

Arguments, CONFIG and data are checked before Theano is imported, so mistakes are answered at once.
"""

import argparse
import os
import sys

from bayes_rnn.config import EXAMPLES, describe_positions
from theano_rnn.errors import EXIT_INTERRUPTED, ArgumentParser, ReportedError, reported_errors

from .data.demo import prepare_demo
from .data.prepared_folder import VOCABULARY_FILE, read_vocabulary
from .experiment import default_data_dir, experiment_folder, make_settings
from .options import add_device_option, positive, seed
from .run_folder import RunFolder

__all__ = ["main", "run_compressed", "resolve_device", "use_theano", "check_vocabulary", "refuse_another_experiment"]

def main(experiment, argv=None):
    """Train, resume or evaluate: the command line of ``main.py``.

    Parameters
    ----------
    experiment : Experiment
    argv : list of str, optional
    """
    arguments = _main_parser(experiment).parse_args(argv)
    with reported_errors():
        _main(experiment, arguments)


def _main_parser(experiment):
    settings = ", ".join("%s=%s" % item for item in sorted(experiment.hyperparameters.items()))
    example = _example_config(experiment)
    parser = ArgumentParser(
        description="Train a Bayesian network on %s, prune it, report compression." % experiment.dataset,
        epilog="%s\n\nsettings: %s" % (describe_positions(experiment.task), settings),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", metavar="CONFIG", nargs="?",
                        help="%d letters, for example %s" % (len(example), example))
    parser.add_argument("--epochs", type=positive, help="train to this epoch (published: %d)"
                        % experiment.hyperparameters["epochs"])
    parser.add_argument("--seed", type=seed, help="of all randomness (default 0)")
    parser.add_argument("--data-dir", help="prepared data (default: data/prepared)")
    parser.add_argument("--out", help="folder of the run (default: Results/CONFIG)")
    parser.add_argument("--resume", action="store_true", help="continue the run from its last checkpoint")
    parser.add_argument("--eval-only", metavar="CHECKPOINT", help="evaluate a checkpoint (or run folder) and stop")
    parser.add_argument("--demo", action="store_true",
                        help="a small job on a corpus that the project generates itself; needs no data")
    parser.add_argument("--set", metavar="name=value", action="append", default=[], dest="assignments",
                        help="change a hyperparameter; may be repeated")
    add_device_option(parser)
    if experiment.kind == "text":
        parser.add_argument("--vectors", metavar="FILE",
                            help="pretrained word vectors: word2vec binary or GloVe text")
    return parser


def _example_config(experiment):
    return EXAMPLES[experiment.task]


def _main(experiment, arguments):
    device = resolve_device(arguments.device)
    if arguments.eval_only:
        return _evaluate_only(experiment, arguments, device)
    if not arguments.config:
        raise ReportedError("CONFIG is missing; for example: python main.py %s"
                            % _example_config(experiment))
    experiment.parse_config(arguments.config)
    name = arguments.config + ("-demo" if arguments.demo else "")
    run = RunFolder(arguments.out or os.path.join(experiment_folder(experiment.dataset), "Results", name))
    description = _describe(experiment, arguments)
    if not arguments.resume:
        run.refuse_another_run()
    else:
        description = _resumed(experiment, run, description, arguments)
    data = load_data(experiment, description)
    if arguments.resume and run.has(VOCABULARY_FILE):
        check_vocabulary(run, description["data_dir"], data.vocabulary)
    starts_fresh = not (arguments.resume and run.has("last.npz"))
    vectors = _read_vectors(description, data) if starts_fresh else None
    run.make()

    use_theano(device)
    from . import finishing
    from . import train_and_evaluate as training
    from .tasks.classification import make_job
    job = make_job(experiment.kind, experiment.parse_config(description["config"]), data,
                        description["settings"], description["seed"], vectors)
    run.start(description, data.vocabulary)
    if vectors:
        run.log("%d of %d words have a pretrained vector" % (
            len(vectors[0]), min(description["settings"]["words_kept"], len(data.vocabulary))))
    run.log("%s %s: %d parameters, %d minibatches per epoch, %d vocabulary elements; compiling ..." % (
        experiment.dataset, description["config"],
        sum(parameter.get_value(borrow=True).size for parameter in job.network.parameters().values()),
        job.minibatch_count(1), len(job.vocabulary)))
    try:
        training.train(job, run, description["settings"]["epochs"], description["settings"], arguments.resume)
    except training.Interrupted:
        run.log("Stopped; continue with --resume")
        sys.exit(EXIT_INTERRUPTED)
    finishing.finish(job, run, experiment)


def resolve_device(asked):
    """The device to compute on; a GPU that cannot be used is a ReportedError, before anything else is done."""
    from theano_rnn.runtime import configuration
    return configuration.resolve_device(asked)


def use_theano(device="cpu"):
    """Configure Theano, when all that can be checked without it has been."""
    from theano_rnn.runtime import configuration
    configuration.configure(device)


def _describe(experiment, arguments):
    """What config.json holds, but for the versions."""
    settings = make_settings(experiment, arguments.demo, arguments.assignments)
    if arguments.epochs:
        settings["epochs"] = arguments.epochs
    data_dir = arguments.data_dir or default_data_dir(experiment.dataset, arguments.demo)
    return {"dataset": experiment.dataset, "kind": experiment.kind, "config": arguments.config,
            "seed": arguments.seed or 0, "demo": arguments.demo, "data_dir": os.path.abspath(data_dir),
            "vectors": _vectors_path(arguments), "settings": settings}


def _vectors_path(arguments):
    path = getattr(arguments, "vectors", None)
    return path and os.path.abspath(path)


def _resumed(experiment, run, asked, arguments):
    """The description of the run to resume; what was asked for explicitly must agree with it, but for the epochs."""
    described = run.read_config()
    refuse_another_experiment(run, described, experiment.dataset)
    differences = [(name, described.get(name), asked[name]) for name in ("config", "demo")
                   if described.get(name) != asked[name]]
    vectors = _vectors_path(arguments)
    if vectors and vectors != described["vectors"]:
        differences.append(("vectors", described["vectors"], vectors))
    if arguments.seed is not None and arguments.seed != described["seed"]:
        differences.append(("seed", described["seed"], arguments.seed))
    for assignment in arguments.assignments:
        name = assignment.partition("=")[0]
        if name != "epochs" and described["settings"].get(name) != asked["settings"][name]:
            differences.append((name, described["settings"].get(name), asked["settings"][name]))
    if differences:
        raise ReportedError("%s was trained with other settings: %s; give the same ones, or another --out"
                            % (run.path, ", ".join("%s %s, not %s" % difference for difference in differences)))
    if arguments.epochs or any(assignment.startswith("epochs=") for assignment in arguments.assignments):
        described["settings"]["epochs"] = asked["settings"]["epochs"]
    if arguments.data_dir:
        described["data_dir"] = os.path.abspath(arguments.data_dir)
    return described


def refuse_another_experiment(run, description, name):
    """Raise a ReportedError if a run's config.json is of another data set or experiment."""
    found = description.get("dataset", description.get("experiment"))
    if found != name:
        raise ReportedError("%s is a run of %s, not of %s" % (run.path, found, name))


def load_data(experiment, description):
    """The prepared data of a run; generates the demonstration corpus if it is not there yet."""
    if description["demo"]:
        prepare_demo(experiment.dataset, description["data_dir"])
    if experiment.kind == "text":
        from .data.classification import load_text
        return load_text(description["data_dir"], experiment.dataset)
    from .data.penn_treebank import load_language
    return load_language(description["data_dir"], experiment.dataset)


def check_vocabulary(run, data_dir, vocabulary, option="--data-dir"):
    """Refuse data whose ids mean other words than those the run was trained with; `option` is for the message."""
    if read_vocabulary(run.path)[0] != list(vocabulary):
        raise ReportedError("the data in %s have another vocabulary than %s was trained with (its %s); give the same "
                            "data with %s" % (data_dir, run.path, VOCABULARY_FILE, option))


def _read_vectors(description, data):
    if not description["vectors"]:
        return None
    from .data.word_vectors import read_vectors
    settings = description["settings"]
    words = data.vocabulary[:settings["words_kept"]]
    return read_vectors(description["vectors"], words, settings["embedding_units"])


def _evaluate_only(experiment, arguments, device):
    if (arguments.assignments or arguments.epochs or arguments.resume or arguments.seed is not None or arguments.demo
            or arguments.out or _vectors_path(arguments)):
        raise ReportedError("--eval-only takes everything from the run: it goes with CONFIG and --data-dir only")
    path = arguments.eval_only
    if os.path.isdir(path):
        path = os.path.join(path, "last.npz")
    run = RunFolder(os.path.dirname(os.path.abspath(path)))
    description = run.read_config()
    refuse_another_experiment(run, description, experiment.dataset)
    if arguments.config and arguments.config != description["config"]:
        raise ReportedError("%s was trained with CONFIG %s, not %s" % (run.path, description["config"],
                                                                       arguments.config))
    if arguments.data_dir:
        description["data_dir"] = os.path.abspath(arguments.data_dir)
    data = load_data(experiment, description)
    check_vocabulary(run, description["data_dir"], data.vocabulary)
    use_theano(device)
    from . import finishing
    job = finishing.restore(experiment, description, data, path)
    finishing.print_evaluation(job)


def run_compressed(experiment, argv=None):
    """Compress trained runs: the command line of ``run_compressed.py``.

    Parameters
    ----------
    experiment : Experiment
    argv : list of str, optional
    """
    parser = ArgumentParser(
        description="Build the small network of a trained %s run, compare it with the pruned one and save it."
        % experiment.dataset)
    parser.add_argument("runs", metavar="RUN", nargs="*",
                        help="folder of a run (default: every finished run in Results)")
    parser.add_argument("--checkpoint", default="last", help="which one: last, best, epoch_200 (default: last)")
    parser.add_argument("--data-dir", help="prepared data (default: as the run was trained)")
    arguments = parser.parse_args(argv)
    with reported_errors():
        runs = [RunFolder(path) for path in arguments.runs] or _finished_runs(experiment)
        prepared = []
        for run in runs:
            description = run.read_config()
            refuse_another_experiment(run, description, experiment.dataset)
            if not run.has(arguments.checkpoint + ".npz"):
                raise ReportedError("%s has no checkpoint '%s'" % (run.path, arguments.checkpoint))
            if arguments.data_dir:
                description["data_dir"] = os.path.abspath(arguments.data_dir)
            data = load_data(experiment, description)
            check_vocabulary(run, description["data_dir"], data.vocabulary)
            prepared.append((run, description, data))
        use_theano()
        from . import finishing
        for run, description, data in prepared:
            job = finishing.restore(experiment, description, data, run.file(arguments.checkpoint + ".npz"))
            finishing.compare_compressed(job, run, experiment, arguments.checkpoint)


def _finished_runs(experiment):
    folder = os.path.join(experiment_folder(experiment.dataset), "Results")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    runs = [RunFolder(os.path.join(folder, name)) for name in names]
    runs = [run for run in runs if run.has("config.json") and run.has("compressed.npz")]
    if not runs:
        raise ReportedError("no finished run in %s; train one with python main.py CONFIG" % folder)
    return runs
