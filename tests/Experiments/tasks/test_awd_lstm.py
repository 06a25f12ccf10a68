"""The task of the AWD-LSTM language model: learning rate, steps, averaging, end of training."""

import collections
import itertools
import math
import types

import numpy as np
import pytest
import theano
from helpers.language_modeling import FINE_TUNING, MAIN, NO_DROPOUT, RECITING, make_task
from hypothesis import given
from hypothesis import strategies as st

from Experiments.shared import checkpoints
from Experiments.shared.tasks.awd_lstm import AWDTask

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Restored(object):
    """A compiled task whose initial state is restored for every test."""

    def __init__(self, task):
        self.task = task
        task.compile()
        self.arrays = {name: np.array(array) for name, array in task.state().items()}

    def fresh(self):
        self.task.set_notes({})
        self.task.set_state({name: np.array(array) for name, array in self.arrays.items()})
        return self.task


@pytest.fixture(scope="module")
def reciting(corpus):
    """A task without dropout, with momentum, weight decay, both penalties and counts."""
    options = dict(NO_DROPOUT, recite=True, momentum=0.9, wdecay=0.01, lr=5., seed=3)
    return Restored(make_task(corpus, **options)), Restored(make_task(corpus, small_batch_size=2, **options))


@pytest.fixture(scope="module")
def plain(corpus):
    return Restored(make_task(corpus, lr=20., clip=0.05, wdecay=0.1, nonmono=1, **NO_DROPOUT))


def parameters_of(task):
    return collections.OrderedDict((name, parameter.get_value())
                                   for name, parameter in task.network.parameters().items())


def distance(found, expected):
    return max(np.abs(found[name] - expected[name]).max() for name in expected)


def test_the_learning_rate_is_proportional_to_the_length(corpus):
    for changed, factor in ((dict(), 1.), (dict(learning_rate_decay=0.97), 0.97 ** 2)):
        task = make_task(corpus, lr=8., **changed)
        minibatches = list(task.minibatches(3))
        lengths = [tokens.shape[1] for tokens, _, _ in minibatches]
        assert len(minibatches) == task.minibatch_count(3) and len(set(lengths)) > 3
        assert [rate for _, _, rate in minibatches] == pytest.approx([factor * 8 * length / 10. for length in lengths])
        resumed = list(task.minibatches(3, 4))
        assert [rate for _, _, rate in resumed] == [rate for _, _, rate in minibatches[4:]]


def test_a_step_goes_against_the_clipped_gradient_and_the_weight_decay(plain):
    task = plain.fresh()
    before = parameters_of(task)
    tokens, targets, rate = next(task.minibatches(1))
    loss, norm, _ = task.step((tokens, targets, rate))
    assert norm > task.settings.clip
    steps = {name: (before[name] - value) / rate - 0.1 * before[name] for name, value in parameters_of(task).items()}
    assert math.sqrt(sum(np.sum(np.square(step)) for step in steps.values())) == pytest.approx(0.05, rel=1e-3)
    assert loss == pytest.approx(math.log(len(task.vocabulary)), rel=0.05)


def test_the_reported_loss_is_without_penalties(reciting):
    task = reciting[0].fresh()
    minibatch = next(task.minibatches(1))
    state = task.network.initial_state(4)
    summed, count = task._function("evaluation")(*([minibatch[0]] + state + [minibatch[1]]))[:2]
    assert task.step(minibatch)[0] == pytest.approx(summed / count, rel=1e-5)


@pytest.mark.parametrize("size", [2, 3, 1])
def test_gradients_of_some_streams_at_a_time_add_up(size, reciting):
    whole, parts = reciting[0].fresh(), reciting[1].fresh()
    parts.settings.small_batch_size = size
    for minibatch in itertools.islice(whole.minibatches(1), 3):
        results = [task.step(part)[:2] for task, part in ((whole, minibatch), (parts, minibatch))]
        assert results[1] == pytest.approx(results[0], rel=1e-4)
    expected, found = whole.state(), parts.state()
    assert set(found) == set(expected) and "sgd.decoder.b.velocity" in expected
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
        assert not np.array_equal(found[name], reciting[1].arrays[name])
    np.testing.assert_array_equal(found["recited"], expected["recited"])


def test_recited_words_are_counted_before_the_update(reciting):
    task = reciting[0].fresh()
    network = task.network
    predict = theano.function(network.inputs, network.log_probabilities(network.outputs(deterministic=True)),
                              on_unused_input="ignore")

    def right(tokens, targets, state):
        return int(np.sum(np.argmax(predict(tokens, *state), axis=1) == targets.ravel()))
    counts = np.zeros(2, dtype=int)
    before_and_after = []
    for tokens, targets, rate in list(task.minibatches(1))[:6]:
        state = [np.array(array) for name, array in task.state().items() if name.startswith("carried.")]
        counts += [right(tokens, targets, state), targets.size]
        task.step((tokens, targets, rate))
        before_and_after.append((counts[0], right(tokens, targets, state)))
        assert task.state()["recited"].tolist() == counts.tolist()
    assert any(before != after for before, after in before_and_after)

    saved = {name: np.array(array) for name, array in task.state().items()}
    task = reciting[0].fresh()
    assert task.state()["recited"].tolist() == [0, 0]
    task.set_state(saved)
    next(task.minibatches(1, 6))                 # a resumed epoch goes on counting
    assert task.state()["recited"].tolist() == counts.tolist()
    next(task.minibatches(2))
    assert task.state()["recited"].tolist() == [0, 0]
    assert not any(np.any(array) for name, array in task.state().items() if name.startswith("carried."))


class Log(object):
    def __init__(self):
        self.lines = []

    def log(self, line):
        self.lines.append(line)


def test_after_the_switch_the_averages_count_and_training_goes_on_from_the_weights(plain):
    task = plain.fresh()
    minibatches = list(task.minibatches(1))[:6]
    twin_weights = []
    for minibatch in minibatches:               # as without averages
        task.step(minibatch)
        twin_weights.append(parameters_of(task))

    task, log = plain.fresh(), Log()
    for minibatch in minibatches[:2]:
        task.step(minibatch)
    raw_loss = task.evaluate("valid")
    rows = [{"val": -1.}, {"val": -2.}]
    columns, value = task.evaluate_epoch(log, checkpoints.Progress(epoch=3, rows=rows))
    assert (columns["averaged"], value) == (0, raw_loss) and task.averaging
    assert log.lines[-1] == "Switching to averaged SGD" and "averaged" not in log.lines[0]
    assert distance(task.best_state(), twin_weights[1]) == 0         # nothing is averaged yet
    for number, minibatch in enumerate(minibatches[2:], 1):
        task.step(minibatch)
        trained_on = twin_weights[2:2 + number]
        meant = trained_on if number == 1 else trained_on[1:]       # as PyTorch's ASGD counts
        mean = {name: np.mean([weights[name].astype(float) for weights in meant], axis=0) for name in meant[0]}
        assert distance(task.best_state(), mean) < 1e-6
        assert distance(parameters_of(task), twin_weights[1 + number]) == 0
    assert distance(task.best_state(), twin_weights[5]) > 1e-3

    columns, value = task.evaluate_epoch(log, checkpoints.Progress(epoch=4, rows=rows))
    assert columns["averaged"] == 1 and "(averaged weights)" in log.lines[-1]
    assert distance(parameters_of(task), twin_weights[5]) == 0       # evaluation has put them back
    assert task.notes() == {"averaged_steps": 4}
    best, state = task.best_state(), task.state()
    for name in best:
        np.testing.assert_array_equal(state["average." + name], best[name])
        np.testing.assert_array_equal(state[name], twin_weights[5][name])
    task = plain.fresh()
    task.load_best(best)
    assert not task.averaging and task.evaluate("valid") == value != raw_loss


def without_network(experiment=MAIN, **settings):
    """A task without a network, which can decide but not train."""
    task = AWDTask.__new__(AWDTask)
    task.settings = experiment.make_settings(**settings)
    task.network = types.SimpleNamespace(parameters=collections.OrderedDict)
    task._averages, task._averaged_steps, task._functions = None, 0, {}
    return task


losses_of_epochs = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=15)


@given(losses_of_epochs, st.integers(1, 6))
def test_the_switch_to_averages(losses, nonmono):
    """The task switches when the loss is above the best of all but the last `nonmono` epochs before."""
    task, rows = without_network(nonmono=nonmono), []
    for loss in losses:
        task.evaluate = {"valid": loss}.get
        columns, _ = task.evaluate_epoch(Log(), checkpoints.Progress(rows=rows))
        rows.append(columns)
    expected = [epoch for epoch in range(len(losses))
                if any(losses[epoch] > losses[earlier] for earlier in range(epoch - nonmono))]
    averaged = [row["averaged"] for row in rows]
    assert averaged == [int(bool(expected) and epoch > expected[0]) for epoch in range(len(losses))]


def averaged_rows(losses, averaged=1):
    return [{"val": loss, "averaged": averaged} for loss in losses]


def test_twenty_epochs_of_rising_loss_end_averaged_training():
    task = without_network()
    rising = [float(epoch) for epoch in range(30)]
    assert not task.finished([])
    assert task.finished(averaged_rows(rising[:21])) and not task.finished(averaged_rows(rising[:20]))
    assert not task.finished(averaged_rows(rising, averaged=0))
    assert not task.finished(averaged_rows(rising[:10], averaged=0) + averaged_rows(rising[10:]))
    assert task.finished(averaged_rows(rising[:9], averaged=0) + averaged_rows(rising[9:]))
    level = rising[:10] + rising[9:]
    assert not task.finished(averaged_rows(level[:25])) and not task.finished(averaged_rows(level[:30]))
    assert task.finished(averaged_rows(level))
    assert task.finished(averaged_rows([9., 3.] + rising[4:24]))


def test_fine_tuning_does_not_end_before_epoch_100():
    task = without_network(FINE_TUNING)
    rising = averaged_rows([float(epoch) for epoch in range(100)])
    assert not task.finished(rising[:99]) and task.finished(rising)


def test_reciting_ends_above_0_9999():
    task = without_network(RECITING)
    rows = [{"val": 1., "averaged": 0, "train_accuracy": accuracy} for accuracy in (0.5, 0.9999, 0.99991)]
    assert [task.finished(rows[:number]) for number in range(4)] == [False, False, False, True]
