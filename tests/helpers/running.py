"""Run the real scripts of the experiments on tiny networks, in separate processes or in this one."""

import collections
import contextlib
import csv
import importlib.util
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from unittest import mock

from theano_rnn.npz_store import load_arrays

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATASETS = ("IMDB", "AGNews", "Char_PTB", "Word_PTB")
LONGEST_WAIT = 900      # seconds; compilation with a cold cache is slow

# CONFIG and settings of the tiny run of each experiment.
CONFIGS = {"IMDB": "LLLCCL", "AGNews": "LCLLRL", "Char_PTB": "LCRD", "Word_PTB": "LCIL"}
SETTINGS = {
    "IMDB": dict(embedding_units=8, hidden_units=5, length=10, batch_size=170, learning_rate=5e-3, evaluate_every=20,
                 save_every=25, epochs=60),
    "AGNews": dict(embedding_units=8, hidden_units=5, length=20, batch_size=16, learning_rate=1e-2, evaluate_every=2,
                   save_every=50, validation_fraction=0.1, epochs=3),
    "Char_PTB": dict(hidden_units=5, length=20, batch_size=16, learning_rate=1e-2, evaluate_every=1, save_every=50,
                     epochs=2),
    "Word_PTB": dict(hidden_units=5, length=8, streams=8, learning_rate=3e-3, evaluate_every=20, save_every=50,
                     epochs=60, kl_warmup=40),
}
#: Folder, printed lines and data of a finished run.
FinishedRun = collections.namedtuple("FinishedRun", "path output data")
# Save after (nearly) every minibatch.
SAVE_OFTEN = ["--set", "checkpoint_minutes=1e-6"]


def script(dataset, name="main.py"):
    return os.path.join(ROOT, "Experiments", dataset, name)


def load_module(path):
    """Return the module of a script without running it; ``main`` is the main.py in the same folder."""
    folder, name = os.path.split(path)
    specification = importlib.util.spec_from_file_location("%s_of_%s" % (name[:-3], os.path.basename(folder)), path)
    module = importlib.util.module_from_spec(specification)
    beside = {} if name == "main.py" else {"main": load_module(os.path.join(folder, "main.py"))}
    with mock.patch.dict(sys.modules, beside):
        specification.loader.exec_module(module)
    return module


def load_script(experiment, name="main.py"):
    """Return the module of a script of an experiment; see `load_module`."""
    return load_module(script(experiment, name))


def load_experiment(dataset):
    """Return the EXPERIMENT of a main.py without running it."""
    return load_script(dataset).EXPERIMENT


def hyperparameters(experiment):
    """Return the published settings that --set can change: dict."""
    return {setting.name: setting.default for setting in experiment.assignable_settings()}


def tiny_settings(dataset, data_dir, **changed):
    """Return the settings of a tiny run, from random embeddings."""
    values = dict(SETTINGS[dataset], config=CONFIGS[dataset], data_dir=str(data_dir), **without_vectors(dataset))
    return load_experiment(dataset).make_settings(**dict(values, **changed))


def set_arguments(**settings):
    return [part for name in sorted(settings) for part in ("--set", "%s=%s" % (name, settings[name]))]


def without_vectors(dataset):
    """Return the setting of random embeddings: dict, empty for a language model."""
    return {"vectors": "none"} if dataset in ("IMDB", "AGNews") else {}


def tiny_arguments(dataset, data_dir, out, *extra, **changed):
    """Return the arguments of a tiny run, from random embeddings unless `extra` has --vectors."""
    settings = dict(SETTINGS[dataset], **changed)
    epochs = settings.pop("epochs")
    return [CONFIGS[dataset], "--data-dir", str(data_dir), "--out", str(out), "--epochs", str(epochs)] \
        + options(**without_vectors(dataset)) + set_arguments(**settings) + list(extra)


def start(path, arguments, **environment):
    """Start a script from its own folder, as the README says; Ctrl-C reaches it even where the tests ignore it."""
    return _start([os.path.basename(path)] + [str(argument) for argument in arguments], os.path.dirname(path),
                  environment)


def start_python(code, **environment):
    """Start Python with some code. A variable that is None is removed from the environment."""
    return _start(["-c", code], ROOT, environment)


def run_module(name, arguments, **environment):
    """Run ``python -m name`` from the project's root folder; return exit status, stdout and stderr."""
    return wait(_start(["-m", name] + list(arguments), ROOT, environment))


def _start(arguments, folder, environment):
    python_path = [entry for entry in (environment.pop("PYTHONPATH", None), ROOT) if entry]
    return subprocess.Popen(
        [sys.executable] + arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={name: value for name, value in
             dict(os.environ, PYTHONPATH=os.pathsep.join(python_path), **environment).items() if value is not None},
        preexec_fn=_receive_signals)


def _receive_signals():
    """Let a child get the signals that shells let background processes ignore, and nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait(process):
    """Return exit status, stdout and stderr of a started script."""
    try:
        output, errors = process.communicate(timeout=LONGEST_WAIT)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.returncode, output.decode("utf-8"), errors.decode("utf-8")


def run(path, arguments, **environment):
    return wait(start(path, arguments, **environment))


def run_with_input(path, arguments, text):
    """Run a script with a text as standard input; return exit status, stdout and stderr."""
    process = subprocess.run([sys.executable, path] + list(arguments), input=text.encode("utf-8"), check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=ROOT))
    return process.returncode, process.stdout.decode("utf-8"), process.stderr.decode("utf-8")


def succeed(path, arguments):
    """Run a script that must succeed; return its stdout."""
    status, output, errors = run(path, arguments)
    assert status == 0, output + errors
    return output


def options(*flags, **values):
    """Return arguments for the experiments with predefined sparseness: ``--name value``, and flags."""
    return [part for name in sorted(values) for part in ("--" + name, str(values[name]))] + list(flags)


def call(command_line, *experiments, flags=(), **values):
    """Run a command line of the experiments with predefined sparseness in this process; return its exit status."""
    try:
        command_line(*experiments, argv=options(*flags, **values))
    except SystemExit as ending:
        return ending.code
    return 0


def command(command_line, *experiments):
    """Return a function of flags and values that runs a command line; see `call`."""
    return lambda *flags, **values: call(command_line, *experiments, flags=flags, **values)


def call_for_output(command_line, experiment, arguments):
    """Run a command line in this process; return its output."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        command_line(experiment, [str(argument) for argument in arguments])
    return output.getvalue()


def signal_at(task_class, moment, number):
    """Return a context in which tasks of a class send this process a signal after the minibatch (epoch, number)."""
    original = task_class.after_step

    def after_step(task, run, progress):
        original(task, run, progress)
        if (progress.epoch, progress.minibatch) == moment:
            os.kill(os.getpid(), number)
    return mock.patch.object(task_class, "after_step", after_step)


def progress_of(checkpoint):
    """Return the metadata of a checkpoint, or None if it does not exist."""
    if not os.path.isfile(str(checkpoint)):
        return None
    with zipfile.ZipFile(str(checkpoint)) as archive:
        return json.loads(archive.read("metadata.json").decode("utf-8"))


def position(checkpoint):
    progress = progress_of(checkpoint)
    return (progress["epoch"], progress["minibatch"]) if progress else (0, 0)


#: For `stop_at_random`: just after the first epoch is saved, where ten epochs take a tenth of a second.
SOON = dict(after=(1, 99), within=0.03)


def stop_at_random(process, checkpoint, number, after=(2, 3), within=0.2):
    """Send a signal at a random moment within some seconds after the checkpoint has passed a position.

    Returns
    -------
    status, stdout, stderr
    """
    began, before = time.time(), position(checkpoint)
    try:
        while process.poll() is None and position(checkpoint) <= max(before, after):
            assert time.time() - began < LONGEST_WAIT, "no checkpoint"
            time.sleep(0.005)
        time.sleep(random.random() * within)
        process.send_signal(number)
    except BaseException:
        process.kill()
        raise
    finally:
        result = wait(process)
    return result


def read_text(path):
    with io.open(str(path), encoding="utf-8", newline="") as stream:
        return stream.read()


def read_json(path):
    return json.loads(read_text(path))


def read_metrics(path):
    """Return the rows of a metrics.csv: list of dict of str to str, seconds left out."""
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    return [{name: value for name, value in row.items() if not name.endswith("_seconds")} for row in rows]


def numbers_of(run):
    """Return the rows of a run's metrics as numbers: list of dict, seconds left out."""
    return [{name: float(value) for name, value in row.items()}
            for row in read_metrics(os.path.join(run, "metrics.csv"))]


def config_of(run):
    return read_json(os.path.join(run, "config.json"))


def read_bytes(path):
    with open(str(path), "rb") as stream:
        return stream.read()


def folder_bytes(folder):
    return {name: read_bytes(os.path.join(str(folder), name)) for name in sorted(os.listdir(str(folder)))}


def assert_same_end(path, reference, files=("vocabulary.txt",)):
    """Assert that two runs are bit-identical: last and best checkpoint, metrics, and these files."""
    for name in ("last.npz", "best.npz"):
        found, progress = load_arrays(os.path.join(path, name))
        expected, expected_progress = load_arrays(os.path.join(reference, name))
        assert sorted(found) == sorted(expected)
        for array in expected:
            assert found[array].dtype == expected[array].dtype
            assert found[array].tobytes() == expected[array].tobytes(), array
            assert np.isfinite(found[array]).all()
        for field in ("epoch", "minibatch", "losses", "gradient_norms", "best", "notes"):
            assert progress[field] == expected_progress[field], field
    assert read_metrics(os.path.join(path, "metrics.csv")) == read_metrics(os.path.join(reference, "metrics.csv"))
    for name in files:
        assert read_bytes(os.path.join(path, name)) == read_bytes(os.path.join(reference, name)), name
