"""The training loop of all experiments: epochs, evaluations, checkpoints, interruption, resumption."""

import signal
import sys
import time
from collections import OrderedDict

import numpy as np
from tqdm import tqdm

from theano_rnn.errors import ReportedError

from .plots import plot_run
from .run_folder import load_checkpoint

__all__ = ["train", "Interrupted", "NotFinite", "Chore"]


class Interrupted(Exception):
    """The user asked to stop; everything is saved.

    Attributes
    ----------
    by_user : bool
        By Ctrl-C, not by the system.
    """

    def __init__(self, by_user):
        super(Interrupted, self).__init__()
        self.by_user = by_user


class NotFinite(ReportedError):
    """The loss or the gradient is not a finite number."""


class Progress(object):
    """How far a run is: what a checkpoint holds beside the arrays.

    Attributes
    ----------
    epoch : int
        The epoch being trained, from 1.
    minibatch : int
        Minibatches of it that are done.
    losses, gradient_norms : list of float
        Of those minibatches.
    seconds : float
        Spent on them.
    best : float or None
        The best validation metric so far.
    rows : list of dict
        The rows of ``metrics.csv`` so far.
    notes : dict
        The job's own.
    """

    FIELDS = OrderedDict([("epoch", 1), ("minibatch", 0), ("losses", ()), ("gradient_norms", ()), ("seconds", 0.),
                          ("best", None), ("rows", ()), ("notes", None)])

    def __init__(self, **values):
        for name, default in self.FIELDS.items():
            value = values.get(name, default)
            setattr(self, name, list(value) if isinstance(default, tuple) else value)
        self.rows = [OrderedDict(row) for row in self.rows]

    def to_dict(self):
        """For a checkpoint; rows as lists of pairs, because the order of their columns counts."""
        values = {name: getattr(self, name) for name in self.FIELDS}
        return dict(values, rows=[list(row.items()) for row in self.rows])

    def start_epoch(self):
        self.epoch, self.minibatch, self.losses, self.gradient_norms, self.seconds = self.epoch + 1, 0, [], [], 0.


class InterruptSwitch(object):
    """Notes Ctrl-C (and SIGTERM), so that training can stop between two minibatches; a second one stops at once."""

    def __enter__(self):
        self.pressed = self.by_user = False
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number, frame):
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed, self.by_user = True, number == signal.SIGINT
        sys.stderr.write("\nstopping soon; everything is saved first ...\n")

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Chore(object):
    """What keeps training waiting, and may: a twentieth of the time. Epochs of seconds are saved and drawn less often.

    Examples
    --------
    >>> from Experiments.shared.train_and_evaluate import Chore
    >>> saving = Chore()
    >>> if saving.is_due():
    ...     with saving:
    ...         pass
    """

    SHARE = 0.05

    def __init__(self):
        self._ended, self._seconds = None, 0.

    def is_due(self):
        """Whether it has been long enough since the last time; the first time it is."""
        return self._ended is None or (time.time() - self._ended) * self.SHARE >= self._seconds

    def __enter__(self):
        self._started = time.time()

    def __exit__(self, *exception):
        self._ended = time.time()
        self._seconds = self._ended - self._started


class _Checkpoints(object):
    """Writes ``last.npz`` and ``best.npz``, always both, so that after a kill they belong together.

    While it is not time to write, a copy of the best state waits in memory.
    """

    def __init__(self, job, run):
        self._job, self._run, self._chore = job, run, Chore()
        self._best_progress = self._best_arrays = None

    def note_best(self, progress):
        """The job's state is the best so far."""
        progress.notes = self._job.notes()
        self._best_progress, self._best_arrays = progress.to_dict(), None

    def end_epoch(self, progress, at_once):
        """Write, if it is time or `at_once`; the job's state has not changed since the evaluation."""
        if at_once or self._chore.is_due():
            self.write(progress)
        elif self._best_progress is not None and self._best_arrays is None:
            self._best_arrays = OrderedDict((name, np.array(array)) for name, array in self._job.best_state().items())

    def write(self, progress, name="last"):
        """Write a checkpoint of now, and the best state."""
        with self._chore:
            self.write_best()
            progress.notes = self._job.notes()
            self._run.save_checkpoint(name, self._job.state(), progress.to_dict())

    def write_best(self):
        """Write the best state, unless it is written."""
        if self._best_progress is not None:
            arrays = self._job.best_state() if self._best_arrays is None else self._best_arrays
            self._run.save_checkpoint("best", arrays, self._best_progress)
            self._best_progress = self._best_arrays = None


class _Plots(object):
    """Draws the rows of ``metrics.csv``."""

    def __init__(self, job, run, progress):
        self._job, self._run, self._progress, self._chore, self._drawn = job, run, progress, Chore(), 0

    def draw(self, at_once=True):
        """Draw the rows that are new, if it is time or `at_once`."""
        rows = self._progress.rows
        if len(rows) > self._drawn and (at_once or self._chore.is_due()):
            with self._chore:
                plot_run(rows, self._job.figures(), self._run.path)
            self._drawn = len(rows)


def train(job, run, epochs, settings, resume=False, best=None):
    """Train a job to the given epoch.

    Parameters
    ----------
    job : Experiments.shared.tasks.base.Job
    run : RunFolder
    epochs : int
        The last epoch; a job may end earlier.
    settings : dict
        ``evaluate_every`` and ``save_every`` (epochs), ``checkpoint_minutes``.
    resume : bool
        Continue from the run's last checkpoint.
    best : float, optional
        What an earlier run reached, whose ``best.npz`` is in the folder: to be improved on.

    Raises
    ------
    Interrupted
        After Ctrl-C; the state has been saved.
    ReportedError
        If the loss is not finite, or the checkpoint is not one of this job.
    """
    started = time.time()
    job.compile()
    run.log("Compiled in %.1fs" % (time.time() - started))
    progress = Progress(best=best)
    if resume and run.has("last.npz"):
        def shapes(saved):
            job.set_notes(saved.get("notes") or {})
            return job.state_shapes()
        arrays, saved = load_checkpoint(run.file("last.npz"), shapes, run.path)
        job.set_state(arrays)
        progress = Progress(**saved)
        run.write_metrics(progress.rows)
        run.log("Resumed at epoch %d, minibatch %d" % (progress.epoch, progress.minibatch))
    if progress.epoch > epochs + 1 or progress.epoch > epochs and progress.minibatch:
        raise ReportedError("%s is in epoch %d already; give at least --epochs %d"
                            % (run.path, progress.epoch, progress.epoch))
    if progress.epoch > epochs:
        run.log("Nothing to do: epoch %d is done; train further with --epochs" % epochs)
        return
    try:
        _train_epochs(job, run, epochs, settings, progress)
    except NotFinite as error:
        run.append_to_log("error: %s" % error)
        raise


def _train_epochs(job, run, epochs, settings, progress):
    checkpoints, plots = _Checkpoints(job, run), _Plots(job, run, progress)
    try:
        with InterruptSwitch() as switch:
            while progress.epoch <= epochs and not job.finished(progress.rows):
                _train_epoch(job, run, progress, settings, switch, checkpoints)
                _print_epoch(run, progress)
                if progress.epoch % settings["evaluate_every"] == 0 or progress.epoch == epochs:
                    _evaluate(job, run, progress, checkpoints)
                snapshot = progress.epoch % settings["save_every"] == 0
                finished = progress.epoch
                progress.start_epoch()
                done, interrupted = progress.epoch > epochs or job.finished(progress.rows), switch.pressed
                plots.draw(at_once=done)
                checkpoints.end_epoch(progress, at_once=done or interrupted or not settings["checkpoint_minutes"])
                if snapshot:
                    checkpoints.write(progress, "epoch_%d" % finished)
                if interrupted and not done:
                    raise Interrupted(switch.by_user)
    except (Interrupted, NotFinite):
        checkpoints.write_best()
        plots.draw()
        raise


def _train_epoch(job, run, progress, settings, switch, checkpoints):
    saved_at = time.time()
    started = time.time() - progress.seconds
    bar = tqdm(total=job.minibatch_count(progress.epoch), initial=progress.minibatch, disable=not sys.stderr.isatty(),
               desc="Epoch %d" % progress.epoch, unit="minibatch", leave=False, file=sys.stderr)
    with bar:
        for minibatch in job.minibatches(progress.epoch, progress.minibatch):
            loss, gradient_norm, diagnosis = job.step(minibatch)
            if not (np.isfinite(loss) and np.isfinite(gradient_norm)):
                raise NotFinite(
                    "epoch %d, minibatch %d: %s is not finite (loss %s, gradient norm %s); training stopped. The last "
                    "good checkpoint is %s; start again in another folder with a smaller learning rate or clip"
                    % (progress.epoch, progress.minibatch + 1, diagnosis(), loss, gradient_norm,
                       run.file("last.npz") if run.has("last.npz") else "none yet"))
            progress.minibatch += 1
            progress.losses.append(loss)
            progress.gradient_norms.append(gradient_norm)
            progress.seconds = time.time() - started
            bar.update()
            bar.set_postfix(loss="%.3f" % loss, refresh=False)
            job.after_step(run, progress)
            if switch.pressed:
                checkpoints.write(progress)
                raise Interrupted(switch.by_user)
            if time.time() - saved_at > 60 * settings["checkpoint_minutes"]:
                checkpoints.write(progress)
                saved_at = time.time()


def _print_epoch(run, progress):
    run.log("Epoch %d took %.3fs \t loss = %.3f, \t grad norm = %.3f,\t%.3f"
            % (progress.epoch, progress.seconds, np.mean(progress.losses), max(progress.gradient_norms),
               np.mean(progress.gradient_norms)))


def _evaluate(job, run, progress, checkpoints):
    row = OrderedDict([("epoch", progress.epoch), ("train_seconds", round(progress.seconds, 3)),
                       ("train_loss", float(np.mean(progress.losses))),
                       ("max_grad_norm", max(progress.gradient_norms)),
                       ("mean_grad_norm", float(np.mean(progress.gradient_norms)))])
    columns, value = job.evaluate_epoch(run, progress)
    row.update(columns)
    progress.rows.append(row)
    run.write_metrics(progress.rows)
    if job.better(value, progress.best):
        progress.best = value
        checkpoints.note_best(progress)
