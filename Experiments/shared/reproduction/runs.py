"""Training runs of a table: program, arguments, folder, state, command.

The state of a run is read from the files in its folder. Nothing here imports Theano.
"""

import io
import json
import os
import re
import sys
from collections import namedtuple

from ..config import CONFIG_DIALECT, OPTION_DIALECT
from ..run_folder import PROJECT
from ..sparse_experiments import FINE_TUNED

__all__ = ["Run", "State", "MISSING", "UNFINISHED", "FINISHED", "state", "is_complete", "command", "environment",
           "source", "CONFIG_EXPERIMENTS"]

MISSING, UNFINISHED, FINISHED = "missing", "unfinished", "finished"

#: Experiments whose programs are called ``main.py CONFIG --out FOLDER --resume``; the others: ``main.py --save FOLDER
#: --continue_train``.
CONFIG_EXPERIMENTS = ("IMDB", "AGNews", "Char_PTB", "Word_PTB")

#: Lines of a log: a process starts; it continues from a checkpoint; an epoch is done; Ctrl-C; results are written.
STARTED, RESUMED, EPOCH = r".*compiling \.\.\.$", r"Resumed at epoch (\d+),", r"Epoch (\d+) took "
STOPPED, RESULTS = r"Training ends early;", r"(Compressed model: |\| End of training \||Best epoch \d+: )"


class Run(namedtuple("Run", ["experiment", "arguments", "folder", "epochs"])):
    """One training run.

    Attributes
    ----------
    experiment : str
        The program, relative to ``Experiments``: ``"IMDB/main.py"``.
    arguments : tuple of str
        Its arguments, without the folder of the run and without ``--epochs``.
    folder : str
        The folder of the run, relative to the root of all runs: ``"IMDB/LLLCCL/seed0"``. The folder of a fine-tuned
        run is ``finetune`` inside the folder of its source.
    epochs : int
        Epochs due.
    """

    __slots__ = ()


#: ``name`` (`MISSING`, `UNFINISHED` or `FINISHED`) and ``epoch``, the number of epochs done.
State = namedtuple("State", ["name", "epoch"])


def state(run, root):
    """Return the state of a run.

    A run is finished if it was trained for as many epochs as are due, or ended earlier by its own criterion, and its
    results were written. A run that ended early after Ctrl-C is unfinished.

    Parameters
    ----------
    run : Run
    root : str
        The root of all runs.

    Returns
    -------
    State
    """
    folder = os.path.join(root, run.folder)
    if not os.path.isfile(os.path.join(folder, "config.json")):
        return State(MISSING, 0)
    epoch, complete = _read_log(folder)
    if epoch > run.epochs or complete and max(epoch, _epochs_of(folder)) >= run.epochs:
        return State(FINISHED, epoch)
    return State(UNFINISHED, epoch)


def is_complete(folder):
    """Return whether the last process that trained in a folder wrote its results without being stopped."""
    return _read_log(folder)[1]


def _read_log(folder):
    """Return the epochs done, and whether the run `is_complete`."""
    epoch, complete, stopped, path = 0, False, False, os.path.join(folder, "log.txt")
    if os.path.isfile(path):
        with io.open(path, encoding="utf-8", errors="replace") as stream:       # a kill can cut a character
            for line in stream:
                if re.match(STARTED, line):
                    epoch, complete, stopped = 0, False, False
                elif re.match(RESUMED, line):
                    epoch = int(re.match(RESUMED, line).group(1)) - 1
                elif re.match(EPOCH, line):
                    epoch = int(re.match(EPOCH, line).group(1))
                elif re.match(STOPPED, line):
                    stopped = True
                elif re.match(RESULTS, line):
                    complete = not stopped
    return epoch, complete


def _epochs_of(folder):
    """Return the setting ``epochs`` of a run; 0 if ``config.json`` is damaged, as the training program reports."""
    try:
        with io.open(os.path.join(folder, "config.json"), encoding="utf-8") as stream:
            return int(json.load(stream)["settings"]["epochs"])
    except (ValueError, KeyError, TypeError):
        return 0


def source(run):
    """Return the folder of the run that a fine-tuned run continues, relative to the root; None for other runs."""
    parent, name = os.path.split(run.folder)
    return parent if name == FINE_TUNED else None


def command(run, root):
    """Return the command that starts a run, or resumes it if its folder holds one.

    Parameters
    ----------
    run : Run
    root : str

    Returns
    -------
    list of str
    """
    dialect = CONFIG_DIALECT if run.experiment.split("/")[0] in CONFIG_EXPERIMENTS else OPTION_DIALECT
    folder = os.path.join(os.path.abspath(root), source(run) or run.folder)
    program = os.path.join(PROJECT, "Experiments", *run.experiment.split("/"))
    resume = [] if state(run, root).name == MISSING else [dialect.resume]
    return ([sys.executable, program] + list(run.arguments) + ["--epochs", str(run.epochs), dialect.out, folder]
            + resume)


def environment():
    """Return the environment variables of a run: those of this process, and the folder of the project for imports."""
    paths = [PROJECT] + [path for path in [os.environ.get("PYTHONPATH")] if path]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
