"""Checkpoints: contents, writing, loading and checks."""

import time
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, load_metadata

import numpy as np

from .readers import any_number, checked, non_negative_integer, non_negative_number, number

__all__ = ["Progress", "Throttle", "CheckpointWriter", "load_checkpoint", "load_progress", "check_shapes", "check_rows",
           "TRAINING_STATE"]

#: Beginnings of the names of arrays that are not parameters: optimisers, averages, random states, carried state, and
#: the counts of learning to recite.
TRAINING_STATE = ("adam.", "sgd.", "average.", "noise.", "carried.", "recited")


#: Random numbers are seeded with the epoch.
epoch_number = number(int, lambda value: 1 <= value < 2 ** 32, "an integer in [1, 2**32)")


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
    network : dict or None
        From `Task.network_name`: what was trained. None in checkpoints of earlier versions.
    """

    FIELDS = OrderedDict([("epoch", 1), ("minibatch", 0), ("losses", ()), ("gradient_norms", ()), ("seconds", 0.),
                          ("best", None), ("rows", ()), ("notes", None), ("network", None)])

    def __init__(self, **values):
        for name, default in self.FIELDS.items():
            value = values.get(name, default)
            setattr(self, name, list(value) if isinstance(default, tuple) else value)
        self.rows = [OrderedDict(row) for row in self.rows]

    @classmethod
    def checked(cls, saved, path):
        """Return the progress that a checkpoint holds; raise a `ReportedError` if a field is not as described above.

        Parameters
        ----------
        saved : dict
            The metadata of the checkpoint. Fields that it lacks have their default.
        path : str
            For the message.
        """
        try:
            _check_progress(dict(cls.FIELDS, **saved))
        except ReportedError as error:
            raise ReportedError("the progress in checkpoint %s is damaged: %s" % (path, error)) from error
        return cls(**saved)

    def to_dict(self):
        """Return the fields for a checkpoint; rows are lists of pairs, because JSON objects have no order."""
        values = {name: getattr(self, name) for name in self.FIELDS}
        return dict(values, rows=[list(row.items()) for row in self.rows])

    def skip_evaluated_epoch(self):
        """Go to the next epoch if this one has been evaluated, as in ``best.npz``."""
        if self.rows and self.rows[-1]["epoch"] == self.epoch:
            self.start_epoch()

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
        self._best_progress, self._best_arrays = self._described(progress), None

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
            self._run.save_checkpoint(name, self._task.state(), self._described(progress))

    def write_best(self):
        """Write the best state, unless it has been written."""
        if self._best_progress is not None:
            arrays = self._task.best_state() if self._best_arrays is None else self._best_arrays
            self._run.save_checkpoint("best", arrays, self._best_progress)
            self._best_progress = self._best_arrays = None

    def _described(self, progress):
        """Return the contents of a `Progress`, with what the task adds to it: dict."""
        progress.notes, progress.network = self._task.notes(), self._task.network_name()
        return progress.to_dict()


def load_progress(path):
    """Return the `Progress` of a checkpoint; the arrays are not read.

    Parameters
    ----------
    path : str

    Raises
    ------
    ReportedError
        If the checkpoint is missing or damaged.
    """
    return Progress.checked(load_metadata(path, "checkpoint"), path)


def _check_progress(saved):
    """Raise a `ReportedError` "FIELD must be ..., got ..." for a field of the wrong kind."""
    # The readers accept text, and the first two other numbers. A checkpoint holds numbers of the right kind only.
    for name, read in (("epoch", epoch_number), ("minibatch", non_negative_integer)):
        checked(name, read, saved[name] if type(saved[name]) is int else repr(saved[name]))
    checked("seconds", non_negative_number,
            repr(saved["seconds"]) if isinstance(saved["seconds"], str) else saved["seconds"])
    if saved["best"] is not None:
        checked("best", any_number, [] if isinstance(saved["best"], str) else saved["best"])
    for name in ("losses", "gradient_norms"):
        values = saved[name]
        if not isinstance(values, (list, tuple)) or len(values) != saved["minibatch"] \
                or not all(type(value) in (int, float) and abs(value) < float("inf") for value in values):
            raise ReportedError("%s must be %d finite numbers, one per minibatch" % (name, saved["minibatch"]))
    for name in ("notes", "network"):
        if not isinstance(saved[name], (dict, type(None))):
            raise ReportedError("%s must be an object, got %r" % (name, saved[name]))
    names = None
    for row in saved["rows"] if isinstance(saved["rows"], (list, tuple)) else [None]:
        valid = isinstance(row, list) and row and all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
            and type(pair[1]) in (int, float) for pair in row)
        names = names or valid and [pair[0] for pair in row]
        valid = valid and [pair[0] for pair in row] == names and not any(
            isinstance(value, int) and abs(value) >= 2 ** 63 for _, value in row)
        if not valid or type(dict(row).get("epoch")) is not int:
            raise ReportedError("rows must be lists of pairs of the same names and numbers, with an epoch")


def check_rows(progress, columns, path, title):
    """Raise a `ReportedError` if the rows of a checkpoint lack columns.

    Parameters
    ----------
    progress : Progress
    columns : iterable of str
        See `Task.row_columns`.
    path, title
        See `load_checkpoint`.
    """
    lacking = sorted(set(columns) - set(progress.rows[0])) if progress.rows else []
    if lacking:
        raise ReportedError("checkpoint %s does not belong to %s: its rows of metrics lack %s"
                            % (path, title, lacking[0]))


def load_checkpoint(path, shapes, title, training_state=False, network=None):
    """Load a checkpoint and check that it belongs to this network.

    Parameters
    ----------
    path : str
    shapes : dict of str to tuple, callable or None
        The expected names and shapes, or a function of the checkpoint's progress and arrays that returns them.
        None if the caller calls `check_shapes` later.
    title : str
        Name of the run or network that expects them, for the error message.
    training_state : bool
        Whether the arrays of `TRAINING_STATE` are accepted too.
    network : dict, optional
        From `Task.network_name`: compared with that of the checkpoint, if it has one.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
    progress : Progress

    Raises
    ------
    ReportedError
        If it is missing, damaged, of another model, or has a number that is not finite.
    """
    progress = None

    def check(headers, saved):
        nonlocal progress
        progress = Progress.checked(saved, path)
        for name, value in sorted((network or {}).items()):
            found = (progress.network or {}).get(name, value)
            if found != value:
                raise ReportedError("checkpoint %s does not belong to %s: its %s is %s, expected %s"
                                    % (path, title, name, found, value))
        if shapes is not None:
            expected = shapes(progress, headers) if callable(shapes) else shapes
            check_shapes(headers, expected, path, title, training_state)

    arrays, _ = load_arrays(path, "checkpoint", check)
    for name, array in sorted(arrays.items()):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ReportedError("checkpoint %s cannot be used: %s has a number that is not finite; use another "
                                "checkpoint" % (path, name))
    return arrays, progress


def check_shapes(arrays, shapes, path, title, training_state=False):
    """Raise a `ReportedError` if the arrays of a checkpoint do not have the expected names and shapes.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray or theano_rnn.npz_store.ArrayHeader
    shapes : dict of str to tuple
    path, title, training_state
        See `load_checkpoint`.
    """
    problem = None
    missing = [name for name in shapes if name not in arrays]
    extra = [name for name in sorted(arrays)
             if name not in shapes and not (training_state and name.startswith(TRAINING_STATE))]
    if missing:
        problem = "it lacks " + ", ".join(missing[:3])
    elif extra:
        problem = "it also has " + ", ".join(extra[:3])
    else:
        for name, shape in shapes.items():
            if arrays[name].shape != tuple(shape):
                problem = "%s has shape %s, expected %s" % (name, arrays[name].shape, tuple(shape))
                break
    if problem:
        raise ReportedError("checkpoint %s does not belong to %s: %s" % (path, title, problem))
