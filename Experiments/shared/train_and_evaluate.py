"""A training run: data, task, epochs, evaluations, checkpoints, interruption, resumption, results."""

import os
import sys
import time
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.runtime import configure, ensure_configured

import numpy as np

from .checkpoints import CheckpointWriter, Progress, Throttle, check_rows, load_checkpoint, load_progress
from .config import refuse_other_settings
from .data.digest import data_digest
from .interruption import InterruptSwitch, lasting_output
from .memory import refuse_too_large
from .monitoring import EventLog, ProgressDisplay, require_tensorboard
from .plots import plot_run
from .report import finish_with_report
from .run_folder import RunFolder
from .tasks import build_task
from .training_command import training_command

__all__ = ["train_and_evaluate", "configure_theano", "restore_task", "load_data", "load_trained_data",
           "train", "Interrupted", "NotFinite"]

#: Explanation of the lines of `_print_epoch`, whose format is that of the published logs.
EPOCH_LEGEND = "In the lines of epochs: loss = mean, grad norm = maximum, mean (over the minibatches of the epoch)"


class Interrupted(Exception):
    """Training was interrupted; the state has been saved.

    Attributes
    ----------
    by_user : bool
        True after Ctrl-C, false after SIGTERM and SIGHUP.
    """

    def __init__(self, by_user):
        super(Interrupted, self).__init__()
        self.by_user = by_user


class NotFinite(ReportedError):
    """The loss or the gradient is not a finite number."""


# -- a run -------------------------------------------------------------------------------------------------------------

def train_and_evaluate(settings, run_folder, device="cpu", resume_from=None):
    """Train to the last epoch and write the results: the only entry point of a training run.

    If the folder holds a run of the same settings, that run is resumed from its last checkpoint and ends with the same
    bits as an uninterrupted run. Data and settings are checked before Theano is imported.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
        From `Experiment.make_settings`.
    run_folder : str
    device : str
        For `theano_rnn.runtime.configure`; has no effect if Theano has been imported.
    resume_from : str, optional
        The checkpoint from which the run is resumed, instead of the last one: its name or path. If it holds the whole
        training state, training continues exactly; if it holds the parameters only, the optimiser starts again.

    Returns
    -------
    Experiments.shared.tasks.base.Task
        The trained task.

    Raises
    ------
    ReportedError
        If the settings, the data and the run in the folder do not fit, another process trains in the folder, or the
        loss is not finite.
    Interrupted
        After Ctrl-C, SIGTERM or SIGHUP; the state has been saved. After Ctrl-C, tasks with `finishes_early` do not
        raise it: they write the results.

    Examples
    --------
    >>> from Experiments.IMDB.main import EXPERIMENT                             # doctest: +SKIP
    >>> settings = EXPERIMENT.make_settings(config="LLLCCL", epochs=2)           # doctest: +SKIP
    >>> task = train_and_evaluate(settings, "Results/two-epochs")                # doctest: +SKIP
    """
    experiment, run = settings.experiment, RunFolder(run_folder)
    if settings.tensorboard:
        require_tensorboard()
    continues = run.has("config.json")
    if continues:
        refuse_other_settings(run.path, experiment.read_settings(run), settings.to_dict(), experiment.free,
                              experiment.dialect.out)
    data = load_data(settings)
    digest = data_digest(data)
    if continues:
        run.check_vocabulary(data.vocabulary, settings)
        run.check_digest(digest, settings)
    refuse_too_large(settings, data, device)
    if experiment.check:
        experiment.check(settings, data)
    checkpoint = _checkpoint_to_resume(run, experiment, settings.epochs, resume_from) if continues else None
    initial = experiment.read_initial(settings, data) if experiment.read_initial and not checkpoint else None
    run.make(experiment.dialect.out)
    with run.locked(experiment.dialect.out), lasting_output():
        if not continues:       # another process may have trained there meanwhile
            run.refuse_another_run(experiment.dialect.resume, experiment.dialect.out, locked=True)
        elif checkpoint is None:
            run.log("The run was stopped before its first checkpoint; it starts from the beginning")
        configure_theano(device)
        task = build_task(experiment, settings, data)
        _train_and_finish(task, run, settings, data.vocabulary, digest, checkpoint, initial)
    return task


def _checkpoint_to_resume(run, experiment, epochs, resume_from):
    """Return the path of the checkpoint from which a run is resumed; None if it was stopped before training."""
    if resume_from is None and not run.has("last.npz"):
        run.refuse_to_start_over(experiment.begins_with, experiment.dialect.resume, experiment.dialect.out)
        return None
    checkpoint = run.find_checkpoint("last" if resume_from is None else resume_from)
    progress = load_progress(checkpoint)
    progress.skip_evaluated_epoch()
    if progress.epoch > epochs + 1 or progress.epoch > epochs and progress.minibatch:
        raise ReportedError("%s is in epoch %d already; give at least --epochs %d"
                            % (run.path, progress.epoch, progress.epoch))
    return checkpoint


def _train_and_finish(task, run, settings, vocabulary, digest, checkpoint, initial):
    best = None if checkpoint else task.begin(run, initial)
    run.start(dict(settings.to_config(), command=training_command(settings, run.path), data_sha256=digest), vocabulary)
    for line in task.describe():
        run.log(line)
    try:
        train(task, run, settings, checkpoint, best)
    except Interrupted as interruption:
        early = interruption.by_user and task.finishes_early
        run.log("%s; continue with %s" % ("Training ends early" if early else "Stopped",
                                          settings.experiment.dialect.resume))
        if not early:
            raise
    task.finish(run)
    finish_with_report(run, settings.experiment.examples)


def load_data(settings):
    """Return the data of a run; write the demonstration corpus first if the run is a demonstration."""
    experiment = settings.experiment
    if settings.demo and experiment.prepare_demo:
        experiment.prepare_demo(experiment.name, getattr(settings, experiment.dialect.data))
    return experiment.load_data(settings)


def configure_theano(device="cpu"):
    """Configure Theano; if it has been imported, the device stays as it is."""
    if "theano" in sys.modules:
        ensure_configured()
    else:
        configure(device)


def load_trained_data(settings, run):
    """Return the data of a trained `RunFolder`; raise a `ReportedError` if they do not fit, or do not fit in memory.

    Unlike `load_data`, it writes nothing: the settings may come from elsewhere.
    """
    data = settings.experiment.load_data(settings)
    run.check_vocabulary(data.vocabulary, settings)
    refuse_too_large(settings, data)
    return data


def restore_task(settings, data, checkpoint):
    """Return the task of a trained run with the parameters of a checkpoint.

    Parameters
    ----------
    settings : Settings
    data : object
        From `load_data`.
    checkpoint : str

    Returns
    -------
    Experiments.shared.tasks.base.Task

    Raises
    ------
    ReportedError
        If the checkpoint is damaged or of another network.
    """
    task = build_task(settings.experiment, settings, data)
    task.restore(checkpoint)
    return task


# -- the training loop -------------------------------------------------------------------------------------------------

class _Plots(object):
    """Draws the rows of ``metrics.csv``."""

    def __init__(self, task, run, progress):
        self._task, self._run, self._progress, self._throttle, self._drawn = task, run, progress, Throttle(), 0
        self._failed = False

    def draw(self, at_once=True):
        """Draw the rows that are new, if it is time or `at_once`."""
        rows = self._progress.rows
        if len(rows) > self._drawn and (at_once or self._throttle.is_due()):
            with self._throttle:
                try:
                    plot_run(rows, self._task.figures(), self._run.path)
                except OSError as error:
                    if not self._failed:
                        sys.stderr.write("warning: plots cannot be written (%s); training continues\n" % error)
                    self._failed = True
            self._drawn = len(rows)


def train(task, run, settings, checkpoint=None, best=None):
    """Train a task to the last epoch.

    Parameters
    ----------
    task : Experiments.shared.tasks.base.Task
    run : RunFolder
    settings : Settings
        ``epochs`` (a task may end earlier), ``evaluate_every`` and ``save_every`` (epochs), ``checkpoint_minutes``,
        ``tensorboard``.
    checkpoint : str, optional
        Path of the checkpoint from which training continues.
    best : float, optional
        The best value of an earlier run, whose ``best.npz`` is in the folder.

    Raises
    ------
    Interrupted
        After Ctrl-C; the state has been saved.
    ReportedError
        If the loss is not finite, or the checkpoint is not one of this task.
    """
    started = time.time()
    task.compile()
    run.log("Compiled in %.1fs" % (time.time() - started))
    run.log(EPOCH_LEGEND)
    progress, epochs = Progress(best=best), settings.epochs
    if checkpoint is None:
        # Before training, so that the absence of last.npz shows that the folder has lost it.
        CheckpointWriter(task, run).write(progress)
    else:
        progress = _restore(task, run, checkpoint)
        run.write_metrics(progress.rows)
        run.log("Resumed at epoch %d, minibatch %d" % (progress.epoch, progress.minibatch))
    if progress.epoch > epochs:
        run.log("Nothing to do: epoch %d is done; train further with --epochs" % epochs)
        return
    try:
        with EventLog(run, progress.epoch, settings.tensorboard) as events:
            _train_epochs(task, run, settings, progress, events)
    except NotFinite as error:
        run.append_to_log("error: %s" % error)
        raise


def _restore(task, run, checkpoint):
    """Restore the state of a task from a checkpoint of a run; return its `Progress`."""
    def shapes(progress, arrays):
        task.set_notes(progress.notes or {})
        state, parameters = task.state_shapes(), task.parameter_shapes()
        return parameters if not is_last and set(arrays) == set(parameters) else state

    is_last = os.path.realpath(checkpoint) == os.path.realpath(run.file("last.npz"))
    arrays, progress = load_checkpoint(checkpoint, shapes, run.path, network=task.network_name())
    check_rows(progress, task.row_columns(), checkpoint, run.path)
    complete = set(arrays) == set(task.state_shapes())
    if complete:
        task.set_state(arrays)
    else:
        task.set_parameters(arrays)
        task.set_notes(progress.notes or {})
    progress.skip_evaluated_epoch()
    if progress.minibatch > task.minibatch_count(progress.epoch):
        raise ReportedError("checkpoint %s does not belong to %s: it has trained on %d minibatches of an epoch of %d"
                            % (checkpoint, run.path, progress.minibatch, task.minibatch_count(progress.epoch)))
    if not is_last:
        run.log("Resuming from %s%s" % (checkpoint, "" if complete else ", which has no training state: optimiser and "
                                        "random numbers start again"))
        _set_later_best_aside(run, progress)
        CheckpointWriter(task, run).write(progress)
    return progress


def _set_later_best_aside(run, progress):
    """Rename ``best.npz`` if it is of an epoch that is trained again."""
    if not run.has("best.npz"):
        return
    try:
        later = load_progress(run.file("best.npz")).epoch >= progress.epoch
    except ReportedError:           # damaged
        later = True
    if later:
        os.replace(run.file("best.npz"), run.file("best_before.npz"))
        progress.best = None
        run.log("The best checkpoint is of a later epoch; it is now best_before.npz")


def _train_epochs(task, run, settings, progress, events):
    checkpoints, plots = CheckpointWriter(task, run), _Plots(task, run, progress)
    try:
        with InterruptSwitch() as switch:
            while progress.epoch <= settings.epochs and not task.finished(progress.rows):
                _train_epoch(task, run, progress, settings, switch, checkpoints)
                row = _epoch_row(progress)
                _print_epoch(run, row)
                if progress.epoch % settings.evaluate_every == 0 or progress.epoch == settings.epochs:
                    _evaluate(task, run, progress, row, checkpoints)
                events.write(progress.epoch, row)
                snapshot = progress.epoch % settings.save_every == 0
                finished = progress.epoch
                progress.start_epoch()
                done = progress.epoch > settings.epochs or task.finished(progress.rows)
                interrupted = switch.pressed
                plots.draw(at_once=done)
                checkpoints.end_epoch(progress, at_once=done or interrupted or not settings.checkpoint_minutes)
                if snapshot:
                    checkpoints.write(progress, "epoch_%d" % finished)
                if interrupted and not done:
                    raise Interrupted(switch.by_user)
    except (Interrupted, NotFinite):
        checkpoints.write_best()
        plots.draw()
        raise


def _train_epoch(task, run, progress, settings, switch, checkpoints):
    saved_at = time.time()
    started = time.time() - progress.seconds
    with ProgressDisplay("Epoch %d" % progress.epoch, task.minibatch_count(progress.epoch),
                         progress.minibatch) as display:
        for minibatch in task.minibatches(progress.epoch, progress.minibatch):
            loss, gradient_norm, diagnosis = task.step(minibatch)
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
            display.update(progress.losses)
            task.after_step(run, progress)
            if switch.pressed:
                checkpoints.write(progress)
                raise Interrupted(switch.by_user)
            if time.time() - saved_at > 60 * settings.checkpoint_minutes:
                checkpoints.write(progress)
                saved_at = time.time()


def _print_epoch(run, row):
    run.log("Epoch %d took %.3fs \t loss = %.3f, \t grad norm = %.3f,\t%.3f" % tuple(row.values()))


def _epoch_row(progress):
    """Return the first columns of ``metrics.csv``."""
    return OrderedDict([("epoch", progress.epoch), ("train_seconds", round(progress.seconds, 3)),
                        ("train_loss", float(np.mean(progress.losses))),
                        ("max_grad_norm", max(progress.gradient_norms)),
                        ("mean_grad_norm", float(np.mean(progress.gradient_norms)))])


def _evaluate(task, run, progress, row, checkpoints):
    columns, value = task.evaluate_epoch(run, progress)
    row.update(columns)
    progress.rows.append(row)
    run.write_metrics(progress.rows)
    if task.better(value, progress.best):
        progress.best = value
        checkpoints.note_best(progress)
