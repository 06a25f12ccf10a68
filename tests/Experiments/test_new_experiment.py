"""A new experiment is one new file: a main.py with its own task, trained, killed and resumed by the command line."""

import os
import signal

from theano_rnn.npz_store import load_arrays

import pytest
from helpers import running

from Experiments.shared import cli

MAIN = '''
"""Fit a line through noisy points, by gradient descent in NumPy."""

import os
import time
from collections import OrderedDict, namedtuple

import numpy as np

from Experiments.shared.cli import main
from Experiments.shared.config import Experiment, Setting
from Experiments.shared.readers import path, positive_integer, positive_number, seed
from Experiments.shared.data.vocabulary import Vocabulary
from Experiments.shared.tasks.base import Task

Points = namedtuple("Points", "vocabulary x y")


class LineTask(Task):
    metric = "mean squared error"

    def __init__(self, settings, data):
        super(LineTask, self).__init__(settings, data)
        self.data, self.weights = data, np.zeros(2)

    def describe(self):
        return ["%d points" % len(self.data.x)]

    def state(self):
        return OrderedDict(weights=self.weights)

    def set_state(self, arrays):
        self.weights = arrays["weights"].copy()

    def state_shapes(self):
        return OrderedDict(weights=self.weights.shape)

    def minibatch_count(self, epoch):
        return len(self.data.x) // self.settings.batch_size

    def minibatches(self, epoch, first=0):
        order = np.random.RandomState([self.settings.seed, epoch]).permutation(len(self.data.x))
        rows = order[:self.minibatch_count(epoch) * self.settings.batch_size].reshape(-1, self.settings.batch_size)
        return iter(rows[first:])

    def step(self, rows):
        time.sleep(self.settings.pause)
        inputs = np.stack([self.data.x[rows], np.ones(len(rows))])
        errors = self.weights.dot(inputs) - self.data.y[rows]
        gradient = 2 * inputs.dot(errors) / len(rows)
        self.weights = self.weights - self.settings.lr * gradient
        return np.mean(errors ** 2), np.sqrt(np.sum(gradient ** 2)), lambda: "the gradient"

    def evaluate_epoch(self, run, progress):
        error = np.mean((self.weights[0] * self.data.x + self.weights[1] - self.data.y) ** 2)
        run.log("error %.6f" % error)
        return OrderedDict([("val", error), ("test", error)]), error

    def finish(self, run):
        run.log("y = %.1f x + %.1f" % tuple(self.weights))


def load_points(settings):
    x = np.random.RandomState(settings.seed).uniform(-1, 1, 40)
    return Points(Vocabulary(["x", "y"]), x, 3 * x + 2)


EXPERIMENT = Experiment(
    name="line",
    description="Fit a line.",
    folder=os.path.dirname(os.path.abspath(__file__)),
    task=LineTask,
    load_data=load_points,
    settings=[Setting("data", "data", path, "folder of the data"),
              Setting("save", "results", path, "folder of the run"),
              Setting("seed", 1, seed, "random seed"), Setting("epochs", 15, positive_integer, "number of epochs"),
              Setting("batch_size", 8, positive_integer, "points of a minibatch"),
              Setting("lr", 0.2, positive_number, "learning rate"),
              Setting("pause", 1e-9, positive_number, "seconds before a step")],
    fixed=dict(checkpoint_minutes=0.),
    demo=dict(epochs=2),
    free=("save", "epochs", "pause"))

if __name__ == "__main__":
    main(EXPERIMENT)
'''
# Old matplotlib, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FILES = {"config.json", "log.txt", "metrics.csv", "vocabulary.txt", "last.npz", "best.npz", "metric.png", "report.html"}


@pytest.fixture(scope="module")
def main_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("line") / "main.py"
    path.write_text(MAIN)
    return str(path)


def test_a_new_experiment_is_one_file(main_file, tmp_path):
    whole, killed = str(tmp_path / "whole"), str(tmp_path / "killed")
    experiment = running.load_module(main_file).EXPERIMENT
    output = running.call_for_output(cli.main, experiment, ["--save", whole])
    assert output.startswith("40 points\nCompiled in ")
    assert output.endswith("\ny = 3.0 x + 2.0\nReport: %s\n" % os.path.join(whole, "report.html"))
    assert set(os.listdir(whole)) == FILES
    assert running.read_text(os.path.join(whole, "log.txt")) == output
    rows = running.numbers_of(whole)
    assert [row["epoch"] for row in rows] == list(range(1, 16)) and rows[-1]["val"] < 1e-3
    config = running.config_of(whole)
    assert (config["experiment"], config["settings"]["lr"]) == ("line", 0.2)

    checkpoint = os.path.join(killed, "last.npz")
    process = running.start(main_file, ["--save", killed, "--pause", "0.02"])
    status, output, errors = running.stop_at_random(process, checkpoint, signal.SIGKILL, after=(2, 1))
    assert status == -signal.SIGKILL and (0, 0) < running.position(checkpoint) < (16, 0), output + errors
    arguments = ["--save", killed, "--continue_train", "--pause", "1e-9"]
    output = running.call_for_output(cli.main, experiment, arguments)
    assert "\nResumed at epoch " in output and "\ny = 3.0 x + 2.0\nReport: " in output
    running.assert_same_end(killed, whole)
    assert load_arrays(os.path.join(whole, "best.npz"))[1]["best"] == min(row["val"] for row in rows)


def test_its_mistakes_are_reported(main_file, without_theano, tmp_path):
    for arguments, message in ((["--lr", "0"], "argument --lr: must be a positive number, got 0"),
                               (["--rate", "1"], "unrecognized arguments: --rate 1")):
        status, output, errors = running.run(main_file, ["--save", tmp_path] + arguments, PYTHONPATH=without_theano)
        assert (status, output) == (2, "") and message in errors
    status, output, _ = running.run(main_file, ["--help"], PYTHONPATH=without_theano)
    assert status == 0 and "learning rate (default: 0.2)" in output and "Changes epochs=2" in output
