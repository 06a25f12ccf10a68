"""The folder of one training run: settings, log, metrics, checkpoints, vocabulary, plots, the compressed model.

Everything but the log is written atomically, so a run killed at any moment leaves a folder from which it can go on. The
log is appended to: after a resumption it repeats the epochs since the last checkpoint, below a line "Resumed at".
"""

import csv
import io
import json
import os
import platform
import subprocess
import sys
from collections import OrderedDict

from bayes_rnn import __version__
from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays, write_atomically

from .data.vocabulary import Vocabulary

__all__ = ["RunFolder", "versions", "load_checkpoint"]

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def versions():
    """Versions of everything that decides what a run computes: OrderedDict of str to str."""
    import lasagne
    import numpy
    import theano
    found = [("python", platform.python_version()), ("numpy", numpy.__version__), ("theano", theano.__version__),
             ("lasagne", lasagne.__version__), ("bayes_rnn", __version__), ("git_commit", _git_commit()),
             ("theano_flags", os.environ.get("THEANO_FLAGS", "")), ("threads", os.environ.get("OMP_NUM_THREADS", "")),
             ("machine", "%s, %s" % (platform.platform(), platform.processor() or platform.machine()))]
    return OrderedDict(found)


def _git_commit():
    try:
        command = ["git", "-C", PROJECT, "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


class RunFolder(object):
    """Files of one run.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path):
        self.path = path

    def file(self, name):
        """The path of a file of the run."""
        return os.path.join(self.path, name)

    def has(self, name):
        """Whether the run has a file."""
        return os.path.isfile(self.file(name))

    # -- settings ----------------------------------------------------------------------------------------------------

    def refuse_another_run(self, resume="--resume", out="--out"):
        """Raise a `ReportedError` if the folder already holds a run; the options are for its message."""
        if self.has("config.json"):
            raise ReportedError("%s already holds a run: continue it with %s, or choose another folder with %s"
                                % (self.path, resume, out))

    def make(self):
        """Make the folder if it is not there; a `ReportedError` if it cannot be made."""
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise ReportedError("cannot make the folder of the run: %s; choose another with --out or --save"
                                % error) from error

    def start(self, config, vocabulary):
        """Write what a run begins with, and remove half-written files that a killed run left behind.

        Parameters
        ----------
        config : dict
            The settings, for ``config.json``. Versions are added; those of a resumption beside the first ones.
        vocabulary : list of str
            For ``vocabulary.txt``: one word per line, in the order of the ids.
        """
        for name in os.listdir(self.path):
            if name.endswith((".tmp", ".tmp.png")):
                os.remove(self.file(name))
        if "versions" in config:
            config.setdefault("resumed_with", []).append(versions())
        else:
            config["versions"] = versions()
        Vocabulary(vocabulary).write(self.path)
        write_atomically(self.file("config.json"), json.dumps(config, indent=2, sort_keys=True) + "\n")

    def read_config(self):
        """Read ``config.json``: dict."""
        if not self.has("config.json"):
            raise ReportedError("no run in %s (no config.json); train one with main.py first" % self.path)
        try:
            with io.open(self.file("config.json"), encoding="utf-8") as stream:
                return json.load(stream)
        except ValueError as error:
            raise ReportedError("%s is damaged (%s)" % (self.file("config.json"), error)) from error

    # -- what is said while it trains --------------------------------------------------------------------------------

    def log(self, text):
        """Print a line, and append it to the run's log."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        self.append_to_log(text)

    def append_to_log(self, text):
        """Append a line to the run's log without printing it."""
        with io.open(self.file("log.txt"), "a", encoding="utf-8") as stream:
            stream.write(text + "\n")

    def write_metrics(self, rows):
        """Write ``metrics.csv``: one row per evaluation, everything that was printed, as numbers."""
        text = io.StringIO(newline="")
        if rows:
            writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_atomically(self.file("metrics.csv"), text.getvalue())

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def save_checkpoint(self, name, arrays, progress):
        """Write a checkpoint atomically.

        Parameters
        ----------
        name : str
            ``"last"``, ``"best"`` or ``"epoch_200"``.
        arrays : dict of str to numpy.ndarray
        progress : dict
            Where training is; see `training.Progress`.
        """
        save_arrays(self.file(name + ".npz"), arrays, progress)


def load_checkpoint(path, shapes, what, training_state=False):
    """Load a checkpoint and check that it is one of this network.

    Parameters
    ----------
    path : str
    shapes : dict of str to tuple, or callable
        Names and shapes that are expected; or what gives them, from the checkpoint's progress.
    what : str
        What expects them, for the message.
    training_state : bool
        Whether arrays beside those may be there: optimiser, random states.

    Returns
    -------
    arrays, progress : dict

    Raises
    ------
    ReportedError
        If it is missing, damaged or of another model.
    """
    arrays, progress = load_arrays(path, "checkpoint")
    if callable(shapes):
        shapes = shapes(progress)
    missing = [name for name in shapes if name not in arrays]
    if missing:
        raise ReportedError("checkpoint %s is not of %s: it lacks %s" % (path, what, ", ".join(missing[:3])))
    extra = [name for name in sorted(arrays) if name not in shapes]
    if extra and not training_state:
        raise ReportedError("checkpoint %s is not of %s: it has %s too" % (path, what, ", ".join(extra[:3])))
    for name, shape in shapes.items():
        if arrays[name].shape != tuple(shape):
            raise ReportedError("checkpoint %s is not of %s: %s has shape %s, expected %s"
                                % (path, what, name, arrays[name].shape, tuple(shape)))
    return arrays, progress
