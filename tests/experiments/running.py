"""Runs the real main.py and run_compressed.py of the experiments on tiny networks, in processes of their own."""

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
                     epochs=60),
}
# Save after (nearly) every minibatch.
SAVE_OFTEN = ["--set", "checkpoint_minutes=1e-6"]


def script(dataset, name="main.py"):
    return os.path.join(ROOT, "Experiments", dataset, name)


def load_experiment(dataset):
    """The EXPERIMENT of a main.py, without running it."""
    specification = importlib.util.spec_from_file_location("main_of_" + dataset, script(dataset))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.EXPERIMENT


def set_arguments(**settings):
    return [part for name in sorted(settings) for part in ("--set", "%s=%s" % (name, settings[name]))]


def tiny_arguments(dataset, data_dir, out, *extra, **changed):
    """The arguments of a tiny run."""
    settings = dict(SETTINGS[dataset], **changed)
    epochs = settings.pop("epochs")
    return [CONFIGS[dataset], "--data-dir", str(data_dir), "--out", str(out), "--epochs", str(epochs)] \
        + set_arguments(**settings) + list(extra)


def start(path, arguments, **environment):
    """Start a script from its own folder, as the README says; Ctrl-C reaches it even where the tests ignore it."""
    python_path = [entry for entry in (environment.pop("PYTHONPATH", None), ROOT) if entry]
    return subprocess.Popen(
        [sys.executable, os.path.basename(path)] + [str(argument) for argument in arguments],
        cwd=os.path.dirname(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(python_path), **environment),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def wait(process):
    """Exit status, stdout and stderr of a started script."""
    try:
        output, errors = process.communicate(timeout=LONGEST_WAIT)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.returncode, output.decode("utf-8"), errors.decode("utf-8")


def run(path, arguments, **environment):
    return wait(start(path, arguments, **environment))


def succeed(path, arguments):
    """Run a script that must succeed; its stdout."""
    status, output, errors = run(path, arguments)
    assert status == 0, output + errors
    return output


def progress_of(checkpoint):
    """The metadata of a checkpoint, or None while there is none."""
    if not os.path.isfile(str(checkpoint)):
        return None
    with zipfile.ZipFile(str(checkpoint)) as archive:
        return json.loads(archive.read("metadata.json").decode("utf-8"))


def position(checkpoint):
    progress = progress_of(checkpoint)
    return (progress["epoch"], progress["minibatch"]) if progress else (0, 0)


def stop_at_random(process, checkpoint, number, after=(2, 3)):
    """Send a signal at a random moment after the checkpoint has passed a position.

    Returns
    -------
    status, stdout, stderr
    """
    began, before = time.time(), position(checkpoint)
    try:
        while process.poll() is None and position(checkpoint) <= max(before, after):
            assert time.time() - began < LONGEST_WAIT, "no checkpoint"
            time.sleep(0.005)
        time.sleep(random.random() * 0.2)
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
    """The rows of a metrics.csv: list of dict of str to str, seconds left out."""
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    return [{name: value for name, value in row.items() if not name.endswith("_seconds")} for row in rows]


def read_bytes(path):
    with open(str(path), "rb") as stream:
        return stream.read()


def folder_bytes(folder):
    return {name: read_bytes(os.path.join(str(folder), name)) for name in sorted(os.listdir(str(folder)))}
