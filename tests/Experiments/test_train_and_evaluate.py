"""The training loop, with a task without a network, and in processes that are killed and resumed."""

import errno
import itertools
import os
import re
import signal
import time
import types
from collections import OrderedDict

from theano_rnn import npz_store
from theano_rnn.errors import ReportedError, reported_errors
from theano_rnn.npz_store import load_arrays, save_arrays

import numpy as np
import pytest
from helpers import running
from helpers.events import read_scalars

from Experiments.shared import checkpoints, cli, run_folder
from Experiments.shared import train_and_evaluate as training
from Experiments.shared.data.prepared_vectors import WordVectors
from Experiments.shared.run_folder import RunFolder
from Experiments.shared.tasks import base, build_task

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SETTINGS = dict(evaluate_every=1, save_every=1000, checkpoint_minutes=1000., tensorboard=False)
MINIBATCHES = 3
STOP = 1.           # the score that ends a run early


class Task(base.Task):
    """A task whose only array records the minibatches in the order of training.

    Parameters
    ----------
    scores : dict of int to float
        Validation metric after each epoch.
    at : dict of (epoch, minibatch) to callable
        Called in a step; its result is the loss.
    """

    metric = "accuracy"

    def __init__(self, scores=None, at=None, higher_is_better=True, length=1000):
        super(Task, self).__init__(settings=None, data=None)
        self.scores, self.at, self.higher_is_better = scores or {}, at or {}, higher_is_better
        self.steps = np.zeros(length, dtype=np.int64)
        self.compiled = 0

    def describe(self):
        return []

    def finish(self, run):
        pass

    def compile(self):
        self.compiled += 1

    def minibatch_count(self, epoch):
        return MINIBATCHES

    def minibatches(self, epoch, first=0):
        return ((epoch, number) for number in range(first, MINIBATCHES))

    def step(self, minibatch):
        loss = self.at.get(minibatch, lambda: 10. * minibatch[0] + minibatch[1])()
        if np.isfinite(loss):
            self.steps[np.count_nonzero(self.steps)] = 10 * minibatch[0] + minibatch[1]
        return loss, 1. + minibatch[1], lambda: "the culprit"

    def state(self):
        return {"steps": self.steps}

    def set_state(self, arrays):
        self.steps = arrays["steps"].copy()

    def state_shapes(self):
        return {"steps": self.steps.shape}

    def evaluate_epoch(self, run, progress):
        value = self.scores.get(self.trained_on()[-1][0], 0.5)
        run.log("Val (clip): %.4f" % value)
        return OrderedDict([("val", value), ("test", 0.25)]), value

    def finished(self, rows):
        return bool(rows) and rows[-1]["val"] == STOP

    def trained_on(self):
        return [divmod(int(step), 10) for step in self.steps[:np.count_nonzero(self.steps)]]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "plot_run", lambda *arguments: None)
    return RunFolder(str(tmp_path))


def train(task, run, epochs, resume=False, **changed):
    checkpoint = run.file("last.npz") if resume is True and run.has("last.npz") else resume or None
    training.train(task, run, types.SimpleNamespace(epochs=epochs, **dict(SETTINGS, **changed)), checkpoint)


def raising(error):
    def act():
        raise error
    return act


def all_steps(epochs):
    return list(itertools.product(range(1, epochs + 1), range(MINIBATCHES)))


def log_of(run):
    return running.read_text(run.file("log.txt"))


def rows_of(run):
    return running.read_metrics(run.file("metrics.csv"))


# -- the loop, alone ---------------------------------------------------------------------------------------------------

def test_every_minibatch_of_every_epoch_once(run):
    task = Task()
    train(task, run, 4)
    assert task.trained_on() == all_steps(4) and task.compiled == 1
    arrays, progress = load_arrays(run.file("last.npz"))
    np.testing.assert_array_equal(arrays["steps"], task.steps)
    assert (progress["epoch"], progress["minibatch"], progress["losses"], progress["seconds"]) == (5, 0, [], 0)


def test_saving_and_drawing_take_a_twentieth_of_the_time_at_most(run, monkeypatch):
    seconds, saved, drawn = [0.], [], []
    save_checkpoint = run.save_checkpoint

    def save(name, arrays, progress):
        seconds[0] += 1
        saved.append((name, progress["epoch"]))
        save_checkpoint(name, arrays, progress)

    def draw(rows, *arguments):
        seconds[0] += 0.5
        drawn.append(rows[-1]["epoch"])

    def advance(*arguments):
        seconds[0] += 8. / MINIBATCHES

    monkeypatch.setattr(training.time, "time", lambda: seconds[0])
    monkeypatch.setattr(run, "save_checkpoint", save)
    monkeypatch.setattr(training, "plot_run", draw)
    task = Task(scores=dict(zip(range(1, 9), [0.1, 0.2, 0.3, 0.4, 0.05, 0.05, 0.05, 0.05])))
    monkeypatch.setattr(task, "after_step", advance)
    train(task, run, 8)
    # An epoch takes 8 s: two files are not written again before 40 s, one plot not before 10; the last epoch is both.
    # The progress in last.npz is the beginning of the next epoch.
    assert saved == [("last", 1), ("best", 1), ("last", 2), ("best", 4), ("last", 7), ("last", 9)]
    assert drawn == [1, 2, 4, 6, 8]
    # The state is that of the fourth epoch, not of the sixth, after which it was written.
    task.set_state(load_arrays(run.file("best.npz"))[0])
    assert task.trained_on() == all_steps(4)


def test_new_rows_are_drawn_when_training_stops(run, monkeypatch):
    drawn = []
    monkeypatch.setattr(training, "plot_run", lambda rows, *arguments: drawn.append(rows[-1]["epoch"]))
    monkeypatch.setattr(checkpoints.Throttle, "is_due", lambda throttle: False)
    with running.signal_at(Task, (3, 1), signal.SIGTERM), pytest.raises(training.Interrupted):
        train(Task(scores={1: 0.6, 2: 0.7}), run, 4)
    assert drawn == [2]
    task = Task()
    task.set_state(load_arrays(run.file("best.npz"))[0])
    assert task.trained_on() == all_steps(2)


def test_a_row_has_what_training_and_the_task_measured(run):
    train(Task(scores={1: 0.75}), run, 1)
    row, = rows_of(run)
    assert list(row) == ["epoch", "train_loss", "max_grad_norm", "mean_grad_norm", "val", "test"]
    assert (float(row["train_loss"]), float(row["val"])) == (11., 0.75)


def test_a_task_may_end_training_early_and_does_not_go_on_when_resumed(run):
    task = Task(scores={2: STOP})
    train(task, run, 4)
    assert task.trained_on() == all_steps(2)
    task = Task(scores={2: STOP})
    train(task, run, 4, resume=True)
    assert task.trained_on() == all_steps(2)


def test_notes_of_the_task_come_back_before_its_arrays(run):
    class Noting(Task):
        noted = None

        def notes(self):
            return {"epochs": len(self.trained_on()) // MINIBATCHES}

        def set_notes(self, notes):
            assert self.trained_on() == []
            self.noted = notes["epochs"]

    train(Noting(), run, 2)
    task = Noting()
    train(task, run, 3, resume=True)
    assert task.noted == 2


@pytest.mark.parametrize("every, epochs, expected",
                         [(1, 3, [1, 2, 3]), (2, 5, [2, 4, 5]), (3, 6, [3, 6]), (10, 2, [2])])
def test_evaluates_every_so_many_epochs_and_after_the_last(every, epochs, expected, run):
    train(Task(), run, epochs, evaluate_every=every)
    assert [int(row["epoch"]) for row in rows_of(run)] == expected


def test_snapshots(run):
    train(Task(), run, 7, save_every=3)
    assert {name for name in os.listdir(run.path) if name.startswith("epoch")} == {"epoch_3.npz", "epoch_6.npz"}
    task = Task()
    task.set_state(load_arrays(run.file("epoch_3.npz"))[0])
    assert task.trained_on() == all_steps(3)


@pytest.mark.parametrize("higher_is_better, best", [(True, 3), (False, 2)])
def test_best_is_kept_by_direction(higher_is_better, best, run):
    scores = {1: 0.6, 2: 0.4, 3: 0.8, 4: 0.8, 5: 0.4}      # the first of equal ones is kept
    task = Task(scores, higher_is_better=higher_is_better)
    train(task, run, 5)
    task.set_state(load_arrays(run.file("best.npz"))[0])
    assert task.trained_on() == all_steps(best)
    assert load_arrays(run.file("last.npz"))[1]["best"] == scores[best]


def test_real_tasks_know_their_direction():
    from Experiments.shared.tasks.bayesian_lm import CharacterTask, WordTask
    from Experiments.shared.tasks.classification import TextTask
    for kind, better, worse in ((TextTask, 0.9, 0.8), (CharacterTask, 1.2, 1.3), (WordTask, 90, 100)):
        task = kind.__new__(kind)
        assert task.better(better, worse) and not task.better(worse, better) and not task.better(worse, worse)
        assert task.better(worse, None)


@pytest.mark.parametrize("moment", [(1, 0), (1, 2), (2, 0), (2, 1), (3, 2)])
def test_resume_after_a_crash_does_every_minibatch_once(moment, run):
    often = dict(checkpoint_minutes=0., evaluate_every=2)
    scores = {2: 0.7, 4: 0.6}
    with pytest.raises(MemoryError):
        train(Task(scores, {moment: raising(MemoryError)}), run, 4, **often)
    task = Task(scores)
    train(task, run, 4, resume=True, **often)
    assert task.trained_on() == all_steps(4)
    assert [(row["epoch"], row["train_loss"], row["val"]) for row in rows_of(run)] \
        == [("2", "21.0", "0.7"), ("4", "41.0", "0.6")]
    assert "Resumed at epoch %d, minibatch %d\n" % moment in log_of(run)
    task.set_state(load_arrays(run.file("best.npz"))[0])
    assert task.trained_on() == all_steps(2)


def test_resume_goes_back_to_the_checkpoint_and_drops_later_rows(run):
    with pytest.raises(MemoryError):
        train(Task(at={(3, 1): raising(MemoryError)}), run, 4)
    last = running.read_bytes(run.file("last.npz"))
    train(Task({3: 0.9}), run, 3, resume=True)
    assert [row["epoch"] for row in rows_of(run)] == ["1", "2", "3"]
    with open(run.file("last.npz"), "wb") as stream:        # as if killed between the row and the checkpoint
        stream.write(last)
    task = Task({3: 0.8}, {(3, 0): raising(MemoryError)})
    with pytest.raises(MemoryError):
        train(task, run, 3, resume=True)
    assert [row["epoch"] for row in rows_of(run)] == ["1", "2"]
    task = Task({3: 0.8})
    train(task, run, 3, resume=True)
    assert [row["val"] for row in rows_of(run)] == ["0.5", "0.5", "0.8"]
    assert task.trained_on() == all_steps(3)


def test_events_of_a_resumed_run_have_each_epoch_once(run):
    pytest.importorskip("tensorboardX")
    options = dict(tensorboard=True, evaluate_every=2)
    train(Task({2: 0.25}), run, 3, **options)
    last = running.read_bytes(run.file("last.npz"))
    train(Task({4: 0.75, 5: 0.5}), run, 5, resume=True, **options)
    with open(run.file("last.npz"), "wb") as stream:        # as if killed before the checkpoint
        stream.write(last)
    task = Task({4: 1. / 2, 6: 0.125}, {(4, 0): lambda: 400.})
    train(task, run, 6, resume=True, **options)
    scalars = read_scalars(run.file("tensorboard"))
    assert scalars["val"] == [(2, 0.25), (3, 0.5), (4, 0.5), (6, 0.125)]
    assert [step for step, _ in scalars["train_loss"]] == [1, 2, 3, 4, 5, 6]
    assert scalars["max_grad_norm"] == [(step, 3.) for step in range(1, 7)] and scalars["train_loss"][3][1] > 100


def test_progress_is_printed_but_not_logged(run, monkeypatch, capsys):
    monkeypatch.setattr(training.ProgressDisplay, "INTERVAL", 0.)
    train(Task(), run, 2)
    output, errors = capsys.readouterr()
    assert [line.split(", 0")[0] for line in errors.splitlines()] == [
        "Epoch %d: minibatch %d of 3, loss %.3f" % (epoch, number + 1, 10 * epoch + number / 2.)
        for epoch, number in all_steps(2)]
    assert output == log_of(run) and "minibatch" not in output.replace(training.EPOCH_LEGEND, "")


def test_the_log_says_which_gradient_norm_is_the_maximum(run):
    train(Task(), run, 1)
    lines = log_of(run).splitlines()
    assert lines[1] == ("In the lines of epochs: loss = mean, grad norm = maximum, mean (over the minibatches of the "
                        "epoch)")
    assert lines[2].endswith("s \t loss = 11.000, \t grad norm = 3.000,\t2.000")


def test_resume_restores_the_best(run):
    train(Task({1: 0.9, 2: 0.3}), run, 2)
    best = running.read_bytes(run.file("best.npz"))
    train(Task({3: 0.8}), run, 3, resume=True)
    assert running.read_bytes(run.file("best.npz")) == best


def test_a_run_has_a_checkpoint_before_it_trains(run):
    with pytest.raises(MemoryError):
        train(Task(at={(1, 0): raising(MemoryError)}), run, 2)
    assert running.position(run.file("last.npz")) == (1, 0)
    task = Task()
    train(task, run, 2, resume=True)
    assert task.trained_on() == all_steps(2) and "Resumed at epoch 1, minibatch 0\n" in log_of(run)


@pytest.mark.parametrize("name, rows", [("epoch_3", 3), ("best", 2)])
def test_resume_from_another_checkpoint_ends_the_same(name, rows, run, tmp_path):
    scores = {1: 0.6, 2: 0.9, 3: 0.4, 4: 0.7}
    train(Task(scores), run, 4, save_every=3)
    expected, best = load_arrays(run.file("last.npz"))[0]["steps"], running.read_bytes(run.file("best.npz"))
    os.remove(run.file("last.npz"))
    with pytest.raises(MemoryError):        # from here on, the folder has a last checkpoint again
        train(Task(scores, {(rows + 1, 1): raising(MemoryError)}), run, 4, resume=run.file(name + ".npz"))
    assert running.position(run.file("last.npz")) == (rows + 1, 0) and len(rows_of(run)) == rows
    train(Task(scores), run, 4, resume=True, save_every=3)
    np.testing.assert_array_equal(load_arrays(run.file("last.npz"))[0]["steps"], expected)
    assert running.read_bytes(run.file("best.npz")) == best
    assert [row["val"] for row in rows_of(run)] == ["0.6", "0.9", "0.4", "0.7"]


def test_resume_from_a_checkpoint_before_the_best(run):
    scores = {1: 0.6, 2: 0.5, 3: 0.9, 4: 0.4}
    train(Task(scores), run, 4, save_every=2)
    best = running.read_bytes(run.file("best.npz"))
    train(Task(dict(scores)), run, 2, resume=run.file("epoch_2.npz"))
    assert running.read_bytes(run.file("best_before.npz")) == best and not run.has("best.npz")
    train(Task({3: 0.3, 4: 0.2}), run, 3, resume=True)       # epoch 1 was better, but its parameters no longer exist
    assert load_arrays(run.file("best.npz"))[1]["epoch"] == 3
    train(Task(scores), run, 4, resume=True)
    assert load_arrays(run.file("best.npz"))[1]["epoch"] == 4


@pytest.mark.parametrize("field, value, message", [
    ("epoch", 0, "epoch must be an integer in [1, 2**32), got 0"), ("epoch", "2", "epoch must be an integer in "),
    ("epoch", 2 ** 32, "epoch must be an integer in [1, 2**32), got 4294967296"),
    ("minibatch", -1, "minibatch must be a non-negative integer, got -1"),
    ("minibatch", 0., "minibatch must be a non-negative integer, got '0.0'"),
    ("epoch", True, "epoch must be an integer in [1, 2**32), got 'True'"),
    ("minibatch", 10 ** 400, "minibatch must be a non-negative integer, got 1000"),
    ("seconds", None, "seconds must be a non-negative number, got None"), ("best", "good", "best must be a finite "),
    ("losses", [1., 2.], "losses must be 0 finite numbers"), ("losses", None, "losses must be 0 finite numbers"),
    ("notes", [], "notes must be an object"), ("rows", [1], "rows must be lists of pairs"),
    ("rows", [[["val", 1.]]], "rows must be lists of pairs"),
    ("rows", [[["epoch", 1], ["val", 1.]], [["epoch", 2]]], "rows must be lists of pairs"),
    ("rows", [[["epoch", 1], ["val", 10 ** 400]]], "rows must be lists of pairs"),
])
def test_damaged_progress(field, value, message, run):
    train(Task(), run, 1)
    arrays, progress = load_arrays(run.file("last.npz"))
    save_arrays(run.file("last.npz"), arrays, dict(progress, **{field: value}))
    with pytest.raises(ReportedError, match="progress in checkpoint .* is damaged: " + re.escape(message)):
        train(Task(), run, 2, resume=True)


def test_rows_of_another_task(run):
    train(Task(), run, 1)
    arrays, progress = load_arrays(run.file("last.npz"))
    save_arrays(run.file("last.npz"), arrays, dict(progress, rows=[[["epoch", 1], ["accuracy", 0.5]]]))
    with pytest.raises(ReportedError, match="last.npz does not belong to .*: its rows of metrics lack test$"):
        train(Task(), run, 2, resume=True)


def test_rows_of_an_earlier_version_may_lack_columns(run):
    train(Task(), run, 1)
    arrays, progress = load_arrays(run.file("last.npz"))
    rows = [[pair for pair in row if pair[0] != "mean_grad_norm"] for row in progress["rows"]]
    save_arrays(run.file("last.npz"), arrays, dict(progress, rows=rows))
    train(Task(), run, 2, resume=True)
    assert [bool(row["mean_grad_norm"]) for row in rows_of(run)] == [False, True]


def test_a_checkpoint_of_an_epoch_with_more_minibatches(run):
    train(Task(), run, 1)
    arrays, progress = load_arrays(run.file("last.npz"))
    more = dict(progress, minibatch=4, losses=[1.] * 4, gradient_norms=[1.] * 4)
    save_arrays(run.file("last.npz"), arrays, more)
    with pytest.raises(ReportedError, match="it has trained on 4 minibatches of an epoch of 3"):
        train(Task(), run, 2, resume=True)


def test_resume_of_a_finished_run(run):
    train(Task(), run, 2)
    before = running.read_bytes(run.file("last.npz"))
    task = Task()
    train(task, run, 2, resume=True)
    assert task.trained_on() == all_steps(2)         # what follows training needs the parameters
    assert running.read_bytes(run.file("last.npz")) == before
    assert "Nothing to do: epoch 2 is done; train further with --epochs" in log_of(run)
    train(task, run, 3, resume=True)
    assert task.trained_on() == all_steps(3) and [row["epoch"] for row in rows_of(run)] == ["1", "2", "3"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", [(1, 0), (2, 1), (2, 2), (4, 1)])
def test_an_interrupt_saves_after_the_minibatch(number, moment, run, capsys):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests ignore this signal")
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(number)
    task = Task(at={moment: lambda: os.kill(os.getpid(), number) or 7.})
    with pytest.raises(training.Interrupted):
        train(task, run, 4)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(number)) == handlers
    assert "stopping soon" in capsys.readouterr().err
    expected = all_steps(4)[:all_steps(4).index(moment) + 1]
    assert task.trained_on() == expected
    task = Task()
    train(task, run, 4, resume=True)
    assert task.trained_on() == all_steps(4)
    assert [row["epoch"] for row in rows_of(run)] == ["1", "2", "3", "4"]


def test_a_second_ctrl_c_stops_at_once(run):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return 7.
    task = Task(at={(2, 1): twice})
    with pytest.raises(KeyboardInterrupt):
        train(task, run, 4)
    task = Task()
    train(task, run, 4, resume=True)
    assert task.trained_on() == all_steps(4)


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_sigterm_may_be_repeated_and_wins(numbers, run, capsys):
    """Slurm sends it to all processes of a job, and the process that started the training forwards it."""
    def signals():
        for number in numbers:
            os.kill(os.getpid(), number)
        return 7.
    task = Task(at={(2, 1): signals})
    with pytest.raises(training.Interrupted) as caught:
        train(task, run, 4)
    assert not caught.value.by_user and capsys.readouterr().err.count("stopping soon") == 1
    assert task.trained_on() == all_steps(4)[:5]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(value, run):
    task = Task(at={(2, 1): lambda: value})
    with pytest.raises(ReportedError) as caught:
        train(task, run, 4, checkpoint_minutes=0.)
    message = str(caught.value)
    assert message.startswith("epoch 2, minibatch 2: the culprit is not finite (loss %s, gradient norm 2.0)" % value)
    assert run.file("last.npz") in message and "\n" not in message
    task = Task()
    task.set_state(load_arrays(run.file("last.npz"))[0])
    assert task.trained_on() == all_steps(2)[:4]


def test_a_first_loss_that_is_not_finite(run):
    with pytest.raises(ReportedError, match="epoch 1, minibatch 1: .* last good checkpoint is .*last.npz"):
        train(Task(at={(1, 0): lambda: float("nan")}), run, 4)
    assert running.position(run.file("last.npz")) == (1, 0)


def test_damaged_and_foreign_checkpoints(run):
    train(Task(), run, 1)
    good, path = running.read_bytes(run.file("last.npz")), run.file("last.npz")
    with pytest.raises(ReportedError, match=r"does not belong to .*: steps has shape \(1000,\), expected \(999,\)"):
        train(Task(length=999), run, 2, resume=True)
    for content in (good[:len(good) // 2], good[:-1], b"", b"x" * 100, good[:200] + b"\xff" * 8 + good[208:]):
        with open(path, "wb") as stream:
            stream.write(content)
        with pytest.raises(ReportedError, match="checkpoint .*last.npz is damaged"):
            train(Task(), run, 2, resume=True)
        assert running.read_bytes(path) == content      # left for whoever wants to look at it
    save_arrays(path, {"other": np.zeros(3)}, {"epoch": 2})
    with pytest.raises(ReportedError, match="it lacks steps"):
        train(Task(), run, 2, resume=True)


def full_disk(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_plots_that_cannot_be_written_are_one_warning(run, monkeypatch, capsys):
    monkeypatch.setattr(training, "plot_run", full_disk)
    monkeypatch.setattr(checkpoints.Throttle, "is_due", lambda throttle: True)
    task = Task()
    train(task, run, 3)
    assert task.trained_on() == all_steps(3)
    assert capsys.readouterr().err == ("warning: plots cannot be written ([Errno %d] No space left on device); "
                                       "training continues\n" % errno.ENOSPC)


@pytest.mark.parametrize("name", ["last.npz", "metrics.csv", "log.txt"])
def test_training_ends_in_one_line_on_a_full_disk_and_is_resumed(name, run, monkeypatch, capsys):
    def full_at_epoch_3():
        if name == "log.txt":
            monkeypatch.setattr(run_folder.io, "open", full_disk)
        else:
            monkeypatch.setattr(npz_store.os, "fsync", full_disk)
            if name == "last.npz":
                monkeypatch.setattr(run, "write_metrics", lambda rows: None)
        return 7.
    with pytest.raises(SystemExit) as ended, reported_errors():
        train(Task(at={(3, 2): full_at_epoch_3}), run, 4)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: No space left on device: %s; free some space, then start again (a run: " \
                                      "with --resume)\n" % run.file(name)
    monkeypatch.undo()
    monkeypatch.setattr(training, "plot_run", lambda *arguments: None)
    task = Task()
    train(task, run, 4, resume=True)
    assert task.trained_on() == all_steps(4) and len(rows_of(run)) == 4


# -- tasks, without training -------------------------------------------------------------------------------------------

def make_task(data, seed=0):
    settings = running.tiny_settings("AGNews", data("AGNews"), config="LLLCCL", seed=seed)
    return build_task(settings.experiment, settings, training.load_data(settings))


def test_pretrained_vectors_become_rows_of_the_embedding(data, run):
    task = make_task(data)
    before = task.network.parameters()["embedding.W"].get_value()
    vectors = np.arange(16, dtype=np.float32).reshape(2, 8)
    task.begin(run, WordVectors(np.array([0, 5]), vectors, "a file"))
    after = task.network.parameters()["embedding.W"].get_value()
    np.testing.assert_array_equal(after[[3, 8]], vectors)       # padding, start and outside stand before the words
    others = np.setdiff1d(np.arange(len(before)), [3, 8])
    np.testing.assert_array_equal(after[others], before[others])
    assert after.dtype == before.dtype


def test_the_seed_decides_initial_parameters_and_order(data):
    def first_texts(task):
        return next(task.minibatches(1))[2].tolist() + next(task.minibatches(2))[0].ravel().tolist()
    task, same, other = [make_task(data, seed) for seed in (3, 3, 4)]
    values = [{name: parameter.get_value() for name, parameter in each.network.parameters().items()}
              for each in (task, same, other)]
    assert all(np.array_equal(values[0][name], values[1][name]) for name in values[0])
    for name in ("embedding.W", "lstm.W_hid", "dense.W"):
        assert not np.array_equal(values[0][name], values[2][name])
    assert first_texts(task) == first_texts(same) != first_texts(other)
    for part in ("valid", "test"):        # every run is measured on the same texts
        assert np.array_equal(task.parts[part].tokens, other.parts[part].tokens)


# -- real processes ----------------------------------------------------------------------------------------------------

def is_unfinished(path, dataset):
    where = running.position(os.path.join(path, "last.npz"))
    return (0, 0) < where < (running.SETTINGS[dataset]["epochs"] + 1, 0)


def test_killed_twice_and_resumed_ends_as_if_never_interrupted(finished, data, tmp_path):
    path, main = str(tmp_path / "run"), running.script("IMDB")
    checkpoint = os.path.join(path, "last.npz")
    arguments = running.tiny_arguments("IMDB", data("IMDB"), path, *running.SAVE_OFTEN)
    for extra in ([], ["--resume"]):
        process = running.start(main, arguments + extra)
        status, output, errors = running.stop_at_random(process, checkpoint, signal.SIGKILL)
        assert status == -signal.SIGKILL and is_unfinished(path, "IMDB"), output + errors
        where = running.position(checkpoint)
    # Settings in config.json need not be given again.
    output = running.succeed(main, ["LLLCCL", "--out", path, "--resume"])
    assert "\nResumed at epoch %d, minibatch %d\n" % where in output
    running.assert_same_end(path, finished("IMDB").path)


def test_finished_extended_interrupted_killed_and_resumed_ends_the_same(finished, data, tmp_path):
    path, main = str(tmp_path / "run"), running.script("Word_PTB")
    checkpoint = os.path.join(path, "last.npz")
    running.succeed(main, running.tiny_arguments("Word_PTB", data("Word_PTB"), path, *running.SAVE_OFTEN, epochs=20))
    assert [row["epoch"] for row in running.read_metrics(os.path.join(path, "metrics.csv"))] == ["20"]

    process = running.start(main, ["LCIL", "--out", path, "--resume", "--epochs", "60"])
    status, output, errors = running.stop_at_random(process, checkpoint, signal.SIGINT)
    assert (status, errors) == (130, "\nstopping soon; everything is saved first ...\n")
    assert "\nResumed at epoch 21, minibatch 0\n" in output
    assert output.endswith("\nStopped; continue with --resume\n") and is_unfinished(path, "Word_PTB")
    assert running.read_json(os.path.join(path, "config.json"))["settings"]["epochs"] == 60

    interrupted_at = running.position(checkpoint)
    process = running.start(main, ["LCIL", "--out", path, "--resume", "--seed", "0", "--set", "hidden_units=5"])
    status, output, errors = running.stop_at_random(process, checkpoint, signal.SIGKILL)
    assert status == -signal.SIGKILL and is_unfinished(path, "Word_PTB"), output + errors
    assert running.position(checkpoint) > interrupted_at

    running.succeed(main, ["LCIL", "--out", path, "--resume"])
    running.assert_same_end(path, finished("Word_PTB").path)


def test_ctrl_c_while_it_compiles(data, tmp_path):
    path = str(tmp_path / "run")
    process = running.start(running.script("IMDB"), running.tiny_arguments("IMDB", data("IMDB"), path))
    log, began = os.path.join(path, "log.txt"), time.time()
    while not os.path.isfile(log) and process.poll() is None and time.time() - began < running.LONGEST_WAIT:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    status, _, errors = running.wait(process)
    assert status == 130
    assert errors.splitlines()[-1] == "interrupted" and "Traceback" not in errors
    assert not os.path.isfile(os.path.join(path, "last.npz"))


def test_another_seed_trains_another_network(finished, data, tmp_path):
    path = str(tmp_path / "run")
    cli.main(running.load_experiment("IMDB"),
                    running.tiny_arguments("IMDB", data("IMDB"), path, "--seed", "1", epochs=20))
    reference = finished("IMDB").path
    assert running.read_json(os.path.join(path, "config.json"))["seed"] == 1
    row, = running.read_metrics(os.path.join(path, "metrics.csv"))
    expected = running.read_metrics(os.path.join(reference, "metrics.csv"))[0]
    assert row["epoch"] == expected["epoch"] and row["train_loss"] != expected["train_loss"]
    found, other = (load_arrays(os.path.join(folder, "best.npz"))[0] for folder in (path, reference))
    assert [array.shape for array in found.values()] == [array.shape for array in other.values()]
    for name in ("embedding.W", "lstm.W_hid", "dense.W", "noise.0"):
        assert not np.array_equal(found[name], other[name])


def test_a_learning_rate_that_explodes_is_reported(data, tmp_path, capsys):
    path = str(tmp_path / "run")
    with pytest.raises(SystemExit) as caught:
        cli.main(running.load_experiment("IMDB"),
                 running.tiny_arguments("IMDB", data("IMDB"), path, *running.SAVE_OFTEN, learning_rate=1e30))
    assert caught.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: epoch 1, minibatch ")
    names = list(load_arrays(os.path.join(path, "last.npz"))[0])
    quantity = line.split(": ")[2].split(" is not finite (loss ")[0]
    assert (quantity.startswith(("parameter ", "the KL of layer ", "the gradient of ")) or quantity == "the data loss"
            or quantity == "the norm of the gradient"), line
    assert quantity.split(" ")[-1] in names + ["embedding", "lstm", "dense", "loss", "gradient"]
    assert "The last good checkpoint is %s;" % os.path.join(path, "last.npz") in line
    with open(os.path.join(path, "log.txt")) as log:
        assert log.read().splitlines()[-1] == line
    epoch, minibatch = running.position(os.path.join(path, "last.npz"))
    assert epoch == 1 and minibatch == int(line.split("minibatch ")[1].split(":")[0]) - 1
    assert all(np.isfinite(array).all() for array in load_arrays(os.path.join(path, "last.npz"))[0].values())
