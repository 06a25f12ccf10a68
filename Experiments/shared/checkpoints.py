"""Checkpoints: contents, writing, loading and checks."""

import time
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays

import numpy as np

__all__ = ["Progress", "Throttle", "CheckpointWriter", "load_checkpoint", "check_shapes"]


class Progress(object):
    """Position of a run: the contents of a checkpoint besides the arrays.

    Attributes
    ----------
    epoch : int
        The epoch being trained, from 1.
    minibatch : int
        Number of its minibatches that are done.
    losses, gradient_norms : list of float
        Of those minibatches.
    seconds : float
        Spent on them.
    best : float or None
        The best validation metric so far.
    rows : list of dict
        The rows of ``metrics.csv`` so far.
    notes : dict
        From `Task.notes`.
    """

    FIELDS = OrderedDict([("epoch", 1), ("minibatch", 0), ("losses", ()), ("gradient_norms", ()), ("seconds", 0.),
                          ("best", None), ("rows", ()), ("notes", None)])

    def __init__(self, **values):
        for name, default in self.FIELDS.items():
            value = values.get(name, default)
            setattr(self, name, list(value) if isinstance(default, tuple) else value)
        self.rows = [OrderedDict(row) for row in self.rows]

    def to_dict(self):
        """Return the fields for a checkpoint; rows are lists of pairs, because JSON objects have no order."""
        values = {name: getattr(self, name) for name in self.FIELDS}
        return dict(values, rows=[list(row.items()) for row in self.rows])

    def start_epoch(self):
        """Go to the start of the next epoch."""
        self.epoch, self.minibatch, self.losses, self.gradient_norms, self.seconds = self.epoch + 1, 0, [], [], 0.


class Throttle(object):
    """Limit of an action for which training waits: it takes at most a twentieth of the time.

    Examples
    --------
    >>> from Experiments.shared.checkpoints import Throttle
    >>> throttle = Throttle()
    >>> if throttle.is_due():
    ...     with throttle:
    ...         pass                    # save, draw
    """

    SHARE = 0.05

    def __init__(self):
        self._ended, self._seconds = None, 0.

    def is_due(self):
        """Return whether enough time has passed since the last action; True before the first one."""
        return self._ended is None or (time.time() - self._ended) * self.SHARE >= self._seconds

    def __enter__(self):
        self._started = time.time()

    def __exit__(self, *exception):
        self._ended = time.time()
        self._seconds = self._ended - self._started


class CheckpointWriter(object):
    """Writes ``last.npz`` and ``best.npz``, always both, so that they belong together after a kill.

    Until it is time to write, a copy of the best state is kept in memory.

    Parameters
    ----------
    task : Task
    run : RunFolder
    """

    def __init__(self, task, run):
        self._task, self._run, self._throttle = task, run, Throttle()
        self._best_progress = self._best_arrays = None

    def note_best(self, progress):
        """Note that the state of the task is the best so far."""
        progress.notes = self._task.notes()
        self._best_progress, self._best_arrays = progress.to_dict(), None

    def end_epoch(self, progress, at_once):
        """Write if it is time or `at_once` is true. The state of the task must be the one that was evaluated."""
        if at_once or self._throttle.is_due():
            self.write(progress)
        elif self._best_progress is not None and self._best_arrays is None:
            self._best_arrays = OrderedDict((name, np.array(array))
                                            for name, array in self._task.best_state().items())

    def write(self, progress, name="last"):
        """Write a checkpoint of the current state, and the best state."""
        with self._throttle:
            self.write_best()
            progress.notes = self._task.notes()
            self._run.save_checkpoint(name, self._task.state(), progress.to_dict())

    def write_best(self):
        """Write the best state, unless it has been written."""
        if self._best_progress is not None:
            arrays = self._task.best_state() if self._best_arrays is None else self._best_arrays
            self._run.save_checkpoint("best", arrays, self._best_progress)
            self._best_progress = self._best_arrays = None


def load_checkpoint(path, shapes, title, training_state=False):
    """Load a checkpoint and check that it belongs to this network.

    Parameters
    ----------
    path : str
    shapes : dict of str to tuple, or callable
        The expected names and shapes, or a function of the checkpoint's progress that returns them.
    title : str
        Name of the run or network that expects them, for the error message.
    training_state : bool
        Whether other arrays are accepted: optimiser, random states.

    Returns
    -------
    arrays, progress : dict

    Raises
    ------
    ReportedError
        If it is missing, damaged or of another model.
    """
    arrays, progress = load_arrays(path, "checkpoint")
    check_shapes(arrays, shapes(progress) if callable(shapes) else shapes, path, title, training_state)
    return arrays, progress


def check_shapes(arrays, shapes, path, title, training_state=False):
    """Raise a `ReportedError` if the arrays of a checkpoint do not have the expected names and shapes.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
    shapes : dict of str to tuple
    path, title, training_state
        See `load_checkpoint`.
    """
    problem = None
    missing = [name for name in shapes if name not in arrays]
    extra = [name for name in sorted(arrays) if name not in shapes]
    if missing:
        problem = "it lacks " + ", ".join(missing[:3])
    elif extra and not training_state:
        problem = "it also has " + ", ".join(extra[:3])
    else:
        for name, shape in shapes.items():
            if arrays[name].shape != tuple(shape):
                problem = "%s has shape %s, expected %s" % (name, arrays[name].shape, tuple(shape))
                break
    if problem:
        raise ReportedError("checkpoint %s does not belong to %s: %s" % (path, title, problem))
