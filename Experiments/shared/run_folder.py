"""The folder of one training run: settings, log, metrics, checkpoints, vocabulary, plots, the compressed model.

All files but the log are written atomically, so a run that is killed at any moment can be resumed. The log is appended
to: after a resumption it repeats the epochs since the last checkpoint, below a line "Resumed at".
"""

import csv
import io
import json
import os
import platform
import re
import subprocess
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.folder_lock import folder_lock, refuse_locked
from theano_rnn.npz_store import save_arrays, write_atomically

from bayes_rnn import __version__

from .config import RECORDED_KEYS
from .data.vocabulary import VOCABULARY_FILE, Vocabulary
from .monitoring import write_line

__all__ = ["RunFolder", "make_folder", "versions", "PROJECT"]

#: Types of the values in ``config.json`` that are not settings. The first two are the names of an experiment.
CONFIG_KINDS = [("dataset", str), ("experiment", str)] + list(RECORDED_KEYS.items())
JSON_NAMES = {str: "text", dict: "an object", list: "a list"}
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def versions():
    """Return the versions of everything that affects the numbers of a run: OrderedDict of str to str."""
    from theano_rnn.lasagne_compat import lasagne

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


def make_folder(path, name, option):
    """Create a folder if it does not exist; raise a `ReportedError`, with its name and its option, if that fails."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ReportedError("cannot create %s: %s; choose another with %s" % (name, error, option)) from error


class RunFolder(object):
    """Files of one run.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path):
        self.path = path

    def file(self, name):
        """Return the path of a file of the run."""
        return os.path.join(self.path, name)

    def has(self, name):
        """Return whether the run has a file."""
        return os.path.isfile(self.file(name))

    # -- lock --------------------------------------------------------------------------------------------------------

    def locked(self, out=None):
        """Return the context manager of the lock of the folder; see `theano_rnn.folder_lock.folder_lock`.

        Parameters
        ----------
        out : str, optional
            The option that chooses another folder, for the message.
        """
        return folder_lock(*self._lock(out))

    def refuse_in_use(self, out=None):
        """Raise a `ReportedError` if another process writes into the folder; see `locked`."""
        refuse_locked(*self._lock(out))

    def _lock(self, out):
        advice = "wait until it ends" + (", or choose another folder with %s" % out if out else "")
        return self.file(".lock"), self.path, advice

    # -- settings ----------------------------------------------------------------------------------------------------

    def refuse_another_run(self, resume="--resume", out="--out", locked=False):
        """Raise a `ReportedError` if the folder holds a run or is in use.

        Parameters
        ----------
        resume, out : str
            The options that continue the run and that choose another folder, for the message.
        locked : bool
            Whether this process has locked the folder.
        """
        if not locked:
            self.refuse_in_use(out)
        if self.has("config.json"):
            raise ReportedError("%s already holds a run: continue it with %s, or choose another folder with %s"
                                % (self.path, resume, out))

    def make(self, out="--out"):
        """Create the folder if it does not exist; raise a `ReportedError`, which names the option, if that fails."""
        make_folder(self.path, "the folder of the run", out)

    def start(self, config, vocabulary):
        """Write the files of the start of a run, and remove incomplete files that a killed run has left.

        Parameters
        ----------
        config : dict
            For ``config.json``. It replaces the values of an earlier start, except the versions: those of a
            resumption are added.
        vocabulary : list of str
            For ``vocabulary.txt``: one word per line, in the order of the ids.
        """
        for name in os.listdir(self.path):
            if name.endswith((".tmp", ".tmp.png")):
                os.remove(self.file(name))
        config = dict(self.read_config() if self.has("config.json") else {}, **config)
        if "versions" in config:
            config.setdefault("resumed_with", []).append(versions())
        else:
            config["versions"] = versions()
        Vocabulary(vocabulary).write(self.path)
        write_atomically(self.file("config.json"), json.dumps(config, indent=2, sort_keys=True) + "\n")

    def read_config(self):
        """Return the contents of ``config.json``: dict, of whose values `Experiment.read_settings` checks the settings.

        Raises
        ------
        ReportedError
            If it is missing or damaged.
        """
        if not self.has("config.json"):
            raise ReportedError("no run in %s (no config.json); train one with main.py first" % self.path)
        try:
            with io.open(self.file("config.json"), encoding="utf-8-sig") as stream:
                config = json.load(stream)
        except OSError as error:
            raise ReportedError("cannot read %s (%s)" % (self.file("config.json"), error.strerror)) from error
        except (ValueError, RecursionError) as error:
            raise ReportedError("%s is damaged (%s)" % (self.file("config.json"), error)) from error
        if not isinstance(config, dict):
            raise ReportedError("%s is damaged: it must hold an object" % self.file("config.json"))
        for key, kind in CONFIG_KINDS:
            if not isinstance(config.get(key, kind()), kind):
                raise ReportedError("%s is damaged: %s must be %s, got %.40r"
                                    % (self.file("config.json"), key, JSON_NAMES[kind], config[key]))
        return dict(config, settings=config.get("settings", {}))

    def check_vocabulary(self, vocabulary, settings):
        """Raise a `ReportedError` if the run was trained with another vocabulary, in which the ids mean other words.

        Parameters
        ----------
        vocabulary : sequence of str
        settings : Settings
            For the message: the folder of the data, and the option that chooses it.
        """
        if self.has(VOCABULARY_FILE) and Vocabulary.read(self.path) != vocabulary:
            dialect = settings.experiment.dialect
            raise ReportedError("the data in %s have another vocabulary than %s was trained with (its %s); give the "
                                "same data with %s" % (getattr(settings, dialect.data), self.path, VOCABULARY_FILE,
                                                       dialect.data_option))

    def check_digest(self, digest, settings):
        """Raise a `ReportedError` if the run was trained with other data. Runs of earlier versions have no digest.

        Parameters
        ----------
        digest : str
            Of `data_digest`.
        settings : Settings
            For the message; see `check_vocabulary`.
        """
        if self.read_config().get("data_sha256", digest) != digest:
            dialect = settings.experiment.dialect
            raise ReportedError("the data in %s have the vocabulary of the data that %s was trained with, but other "
                                "texts, labels or tags (data_sha256 in its config.json); give the same data with %s, "
                                "or start a new run in another folder with %s"
                                % (getattr(settings, dialect.data), self.path, dialect.data_option, dialect.out))

    # -- log and metrics ---------------------------------------------------------------------------------------------

    def log(self, text):
        """Print a line, and append it to the log of the run."""
        write_line(text)
        self.append_to_log(text)

    def append_to_log(self, text):
        """Append a line to the log of the run without printing it."""
        try:
            with io.open(self.file("log.txt"), "a", encoding="utf-8") as stream:
                stream.write(text + "\n")
        except OSError as error:
            error.filename = self.file("log.txt")
            raise

    def write_metrics(self, rows):
        """Write ``metrics.csv``: one row per evaluation, with all printed numbers."""
        text = io.StringIO(newline="")
        if rows:
            # The rows of a checkpoint may be of an earlier version, with fewer columns.
            names = list(OrderedDict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_atomically(self.file("metrics.csv"), text.getvalue())

    def read_metrics(self):
        """Return the rows of ``metrics.csv``: list of dict of str to float; empty without the file."""
        if not self.has("metrics.csv"):
            return []
        with io.open(self.file("metrics.csv"), encoding="utf-8-sig") as stream:
            try:
                rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(stream)]
                if not all("epoch" in row for row in rows):
                    raise ValueError("a line has no epoch")
                return rows
            except (ValueError, TypeError, AttributeError, csv.Error) as error:
                raise ReportedError("%s is damaged (%s)" % (self.file("metrics.csv"), error)) from error

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def checkpoints(self):
        """Return the names of the checkpoints: list of str, such as ``["best", "epoch_200", "last"]``."""
        names = os.listdir(self.path) if os.path.isdir(self.path) else []
        return sorted(name[:-len(".npz")] for name in names if re.match(r"(last|best\w*|epoch_\d+)\.npz\Z", name))

    def find_checkpoint(self, name):
        """Return the path of a checkpoint; raise a `ReportedError` if it does not exist.

        Parameters
        ----------
        name : str
            A name of `checkpoints`, or the path of a file.
        """
        for path in (self.file(name + ".npz"), self.file(name), name):
            if os.path.isfile(path):
                return path
        raise ReportedError("%s has no checkpoint %r; it has %s" % (self.path, name, self._list_of_checkpoints()))

    def require_checkpoint(self, name):
        """Raise a `ReportedError` if a name is not one of `checkpoints`."""
        if name not in self.checkpoints():
            raise ReportedError("%s has no checkpoint '%s'; it has %s" % (self.path, name, self._list_of_checkpoints()))

    def refuse_to_start_over(self, begins_with, resume, out):
        """Raise a `ReportedError` if a run without ``last.npz`` has results, which a start from epoch 1 would replace.

        Parameters
        ----------
        begins_with : sequence of str
            Checkpoints that a run has before training.
        resume, out : str
            The options for the message.
        """
        if self.has("metrics.csv") or set(self.checkpoints()) - set(begins_with):
            raise ReportedError(
                "%s has no last.npz, so %s cannot continue its run; it has %s: choose one with --resume-from "
                "CHECKPOINT, or another folder with %s" % (self.path, resume, self._list_of_checkpoints(), out))

    def _list_of_checkpoints(self):
        return ", ".join(name + ".npz" for name in self.checkpoints()) or "no other checkpoint"

    def save_checkpoint(self, name, arrays, progress):
        """Write a checkpoint atomically.

        Parameters
        ----------
        name : str
            ``"last"``, ``"best"`` or ``"epoch_200"``.
        arrays : dict of str to numpy.ndarray
        progress : dict
            See `Experiments.shared.checkpoints.Progress`.
        """
        save_arrays(self.file(name + ".npz"), arrays, progress)
