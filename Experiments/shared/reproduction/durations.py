"""How long a run takes, from measured times of an epoch."""

import csv
import fnmatch
import glob
import os

from theano_rnn.errors import ReportedError

import numpy as np

from ..run_folder import RunFolder
from .runs import state

__all__ = ["remaining_seconds", "duration_text"]

MEASURED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "published", "epoch_seconds.csv")
#: Evaluations whose times count, from the end of a run.
LATEST = 20


def remaining_seconds(run, root, device):
    """Return the seconds that a run still needs.

    The time of an epoch is measured by the run itself, else by another seed of the same row under the same root, else
    it is that of ``published/epoch_seconds.csv``.

    Parameters
    ----------
    run : Run
    root : str
    device : str
        ``"cpu"``, or a GPU.

    Returns
    -------
    seconds : float or None
        None if nothing was measured. An early end of training is not foreseen.
    origin : str
        What was measured.
    """
    left = max(0, run.epochs - state(run, root).epoch)
    seconds = _seconds_of_run(os.path.join(root, run.folder))
    if seconds is not None:
        return left * seconds, "its own log"
    for folder in sorted(glob.glob(os.path.join(root, _other_seeds(run.folder)))):
        seconds = _seconds_of_run(folder)
        if seconds is not None:
            return left * seconds, "log of %s" % os.path.relpath(folder, root)
    if "--demo" in run.arguments:
        return None, ""
    with open(MEASURED) as stream:
        for row in csv.DictReader(stream):
            if row["device"] == ("cpu" if device == "cpu" else "gpu") and fnmatch.fnmatch(run.folder, row["folder"]):
                return left * float(row["seconds"]), row["source"]
    return None, ""


def _other_seeds(folder):
    return "/".join("seed*" if part.startswith("seed") else glob.escape(part) for part in folder.split("/"))


def _seconds_of_run(folder):
    """Return the median time of an epoch with its share of the evaluations; None if it was not measured."""
    try:
        rows = RunFolder(folder).read_metrics()
    except ReportedError:               # damaged
        return None
    rows = [row for row in rows if {"epoch", "train_seconds", "test_seconds"} <= set(row)][-LATEST:]
    if not rows:
        return None
    epochs = [row["epoch"] for row in rows]
    interval = np.median(np.diff(epochs)) if len(rows) > 1 else epochs[0]
    return float(np.median([row["train_seconds"] for row in rows])
                 + np.median([row["test_seconds"] for row in rows]) / max(1, interval))


def duration_text(seconds):
    """Return a duration in words.

    Examples
    --------
    >>> duration_text(40), duration_text(600), duration_text(3 * 3600), duration_text(80 * 3600)
    ('40 s', '10 min', '3.0 h', '80.0 h')
    """
    if seconds < 120:
        return "%.0f s" % seconds
    return "%.0f min" % (seconds / 60) if seconds < 7200 else "%.1f h" % (seconds / 3600)
