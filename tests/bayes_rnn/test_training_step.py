"""The training step: fused against reference backend, Adam against Lasagne's and NumPy, losses that are not finite."""

from collections import OrderedDict

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.network import named_parameters
from theano_rnn.ops.variational_adam.fused import VariationalAdam, VariationalNorms

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import OPTIMISED, UNOPTIMISED, both, needs_fused

from bayes_rnn.layers import BayesianDenseLayer, BayesianEmbeddingLayer
from bayes_rnn.training_step import training_step
from sparse_seq_theano.optimizers import adam

TOLERANCE = {"float32": 2e-4, "float64": 1e-8}
LEARNING_RATE, TRAIN_SIZE, VOCABULARY = 0.01, 20, 300
# More columns than a vector has lanes, and no multiple of them; rows that do not fill a tile.
UNITS = 19

pytestmark = pytest.mark.usefixtures("restored_precision")


class Noise(object):
    """A random number source that returns the same numbers at every call."""

    def normal(self, shape):
        ranges = [T.arange(length).dimshuffle(*(["x"] * axis + [0] + ["x"] * (len(shape) - axis - 1)))
                  for axis, length in enumerate(shape)]
        return T.cast(T.sin(sum((axis + 2) * numbers for axis, numbers in enumerate(ranges))), theano.config.floatX)


class Network(object):
    """Embedding, mean over the words, a dense layer: scores of three classes."""

    def __init__(self, kinds):
        lasagne.random.set_rng(np.random.RandomState(3))
        noise = Noise()
        self.tokens, self.targets = T.imatrix(), T.ivector()
        input = lasagne.layers.InputLayer((None, None), self.tokens)
        embedding = BayesianEmbeddingLayer(input, VOCABULARY, UNITS, kind=kinds[0], group_kind=kinds[1], noise=noise,
                                           name="embedding", W=lasagne.init.Normal(1.))
        dense = BayesianDenseLayer((None, UNITS), 3, kind=kinds[2], noise=noise, name="dense",
                                   nonlinearity=lasagne.nonlinearities.softmax)
        self.layers = OrderedDict([("embedding", embedding), ("dense", dense)])
        probabilities = dense.get_output_for(lasagne.layers.get_output(embedding).mean(axis=1))
        # The integer targets make it float64, as in the text classifier.
        self.data_loss = T.cast(T.nnet.categorical_crossentropy(probabilities, self.targets).mean(), "float64")

    def parameters(self):
        return named_parameters(self)


class Training(object):
    """A network with its compiled step; `spoiled` makes the loss infinite or NaN."""

    def __init__(self, kinds, clip, dtype, backend, kl_warmup=0, **schedule):
        theano.config.floatX = dtype
        self.network = Network(kinds)
        self.spoiled = theano.shared(np.asarray(0, dtype))
        self.step = training_step(self.network, self.network.data_loss + self.spoiled, TRAIN_SIZE, LEARNING_RATE,
                                  clip, backend, kl_warmup=kl_warmup, **schedule)
        self.function = theano.function(
            [self.network.tokens, self.network.targets],
            [self.step.loss, self.step.norm] + list(self.step.kl.values()) + list(self.step.squares.values()),
            updates=self.step.updates, mode=UNOPTIMISED if backend == "reference" else OPTIMISED)
        self.initial = self.state()

    def state(self):
        return OrderedDict((variable.name, variable.get_value()) for variable in self.step.updates)

    def set_state(self, arrays):
        for variable in self.step.updates:
            variable.set_value(arrays[variable.name])

    def run(self, steps, seed=0):
        """Train from the initial state; return the values of each step and the final state."""
        self.set_state(self.initial)
        values = [self.function(*minibatch) for minibatch in minibatches(steps, seed)]
        return np.array(values), self.state()

    def ops(self, kind):
        return [node.op for node in self.function.maker.fgraph.toposort() if isinstance(node.op, kind)]


def minibatches(count, seed=0):
    rng = np.random.RandomState(seed)
    return [(rng.randint(VOCABULARY, size=(5, 7)).astype("int32"), rng.randint(3, size=5).astype("int32"))
            for _ in range(count)]


TRAININGS = {}


def training(*arguments):
    """Return a `Training`, which is compiled once."""
    if arguments not in TRAININGS:
        TRAININGS[arguments] = Training(*arguments)
    return TRAININGS[arguments]


def assert_same(a, b, tolerance):
    for name in a:
        assert a[name].dtype == b[name].dtype and a[name].shape == b[name].shape
        np.testing.assert_allclose(a[name], b[name], rtol=tolerance, atol=tolerance * max(1e-3, abs(b[name]).max()),
                                   err_msg=name)


@needs_fused
@pytest.mark.parametrize("kinds, clip, dtype", [("LLL", None, "float32"), ("LLL", 0.5, "float64"),
                                                ("NNN", 0.5, "float32"), ("NLD", None, "float64"),
                                                ("DCL", None, "float32"), ("DDN", 0.5, "float64")])
def test_fused_equals_reference(kinds, clip, dtype):
    fused, reference = training(kinds, clip, dtype, "fused"), training(kinds, clip, dtype, "reference")
    assert not reference.ops((VariationalNorms, VariationalAdam))
    (values, state), (expected_values, expected) = fused.run(4), reference.run(4)
    assert set(state) == set(expected)
    np.testing.assert_allclose(values, expected_values, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert_same(state, expected, TOLERANCE[dtype])
    assert not any(np.array_equal(state[name], fused.initial[name]) for name in state)


@both
def test_the_weight_of_the_divergence_grows_linearly_from_zero(backend):
    """The loss is data loss + min(1, (t - 1) / 3) * KL / train_size in step t; the state alone determines t."""
    growing, complete = training("LLL", None, "float64", backend, 3), training("LLL", None, "float64", backend)
    growing.set_state(growing.initial)
    for step, minibatch in enumerate(minibatches(5)):
        state = growing.state()
        complete.set_state(state)
        whole_loss, _, embedding_kl, dense_kl = complete.function(*minibatch)[:4]
        expected = whole_loss + (min(1, step / 3.) - 1) * (embedding_kl + dense_kl) / TRAIN_SIZE
        np.testing.assert_allclose(growing.function(*minibatch)[0], expected, rtol=1e-10)
        after = growing.state()
        growing.set_state(state)
        growing.function(*minibatch)
        for name, array in growing.state().items():
            np.testing.assert_array_equal(array, after[name], err_msg=name)


@needs_fused
def test_fused_equals_reference_while_the_weight_grows():
    (values, state), (expected_values, expected) = [training("LLL", None, "float64", backend, 3).run(4)
                                                    for backend in ("fused", "reference")]
    np.testing.assert_allclose(values, expected_values, rtol=1e-8, atol=1e-8)
    assert_same(state, expected, 1e-8)


@needs_fused
def test_the_gradient_of_an_embedding_is_not_scattered_and_no_parameter_is_copied():
    operations = training("LLL", None, "float32", "fused").ops((VariationalNorms, VariationalAdam))
    assert [op.rows for op in operations].count(True) == 2
    assert all(op.inplace for op in operations if isinstance(op, VariationalAdam))


@both
def test_adam_is_the_one_of_lasagne(backend):
    mine = training("DCD", None, "float64", backend)
    network = mine.network
    parameters = list(network.parameters().values())
    updates = adam(T.grad(network.data_loss, parameters), parameters, LEARNING_RATE)
    assert set(variable.name for variable in updates) == set(mine.state())
    _, state = mine.run(3)
    mine.set_state(mine.initial)
    lasagnes = theano.function([network.tokens, network.targets], [], updates=updates,
                                mode=UNOPTIMISED)
    rng = np.random.RandomState(0)
    for _ in range(3):
        lasagnes(rng.randint(VOCABULARY, size=(5, 7)).astype("int32"), rng.randint(3, size=5).astype("int32"))
    assert_same(state, {variable.name: variable.get_value() for variable in updates}, 1e-10)


@both
def test_the_rate_follows_the_schedule_and_log_sigma_has_a_rate_of_its_own(backend):
    pairs, log_sigma_rate = [(1, 2.), (3, 0.5)], 0.25
    mine = Training("LND", 0.5, "float64", backend, rate_schedule=pairs, log_sigma_rate=log_sigma_rate)
    for steps in range(1, 6):
        before = mine.run(steps - 1)[1] if steps > 1 else mine.initial
        _, after = mine.run(steps)
        rate = LEARNING_RATE * np.interp(steps - 1, *zip(*pairs)) * np.sqrt(1 - 0.999 ** steps) / (1 - 0.9 ** steps)
        for name in mine.network.parameters():
            own_rate = rate * log_sigma_rate if name.endswith(".log_sigma") else rate
            move = own_rate * after["adam.%s.mean" % name] / (np.sqrt(after["adam.%s.square" % name]) + 1e-8)
            np.testing.assert_allclose(before[name] - after[name], move, rtol=1e-6, atol=1e-12, err_msg=name)


@both
def test_the_norm_is_that_of_the_whole_gradient_and_clipping_shrinks_the_step(backend):
    free, clipped = training("LLL", None, "float64", backend), training("LLL", 0.5, "float64", backend)
    values, state = free.run(1)
    clipped_values, clipped_state = clipped.run(1)
    np.testing.assert_allclose(values, clipped_values, rtol=1e-10)
    loss, norm, squares = values[0, 0], values[0, 1], values[0, 4:]
    np.testing.assert_allclose(norm, np.sqrt(squares.sum()), rtol=1e-10)
    assert norm > 0.5
    for name in free.network.parameters():
        moment = "adam.%s.mean" % name
        np.testing.assert_allclose(clipped_state[moment], state[moment] * 0.5 / norm, rtol=1e-6, atol=1e-12)
    gradient = np.concatenate([state["adam.%s.mean" % name].ravel() * 10 for name in free.network.parameters()])
    np.testing.assert_allclose(np.linalg.norm(gradient), norm, rtol=1e-8)
    assert np.isfinite(loss)


@both
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_changes_nothing(backend, value):
    mine = training("LLL", None, "float32", backend)
    _, before = mine.run(2)
    mine.spoiled.set_value(np.float32(value))
    try:
        values = mine.function(np.zeros((1, 1), "int32"), np.zeros(1, "int32"))
    finally:
        mine.spoiled.set_value(np.float32(0))
    assert not np.isfinite(values[0])
    for name, array in mine.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@both
def test_a_gradient_that_is_not_finite_changes_nothing_and_is_named(backend):
    mine = training("LLL", None, "float32", backend)
    _, before = mine.run(1)
    before["embedding.W.log_sigma"][7, 3] = np.nan
    mine.set_state(before)
    values = mine.function(np.zeros((1, 1), "int32"), np.zeros(1, "int32"))
    assert np.isnan(values[1])
    squares = dict(zip(mine.step.squares, values[4:]))
    assert np.isnan(squares["embedding.W.log_sigma"]) and np.isfinite(squares["dense.W"])
    for name, array in mine.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


class NoParameters(object):
    """A network for the choice of the backend."""

    layers = {}


def test_unknown_backend():
    with pytest.raises(ValueError, match="backend must be None, 'reference' or 'fused', got 'quick'"):
        training_step(NoParameters(), None, 1, 0.1, backend="quick")


@needs_fused
@pytest.mark.parametrize("choice, fused", [("reference", False), ("fused", True)])
def test_the_environment_variable_selects_the_backend(choice, fused, monkeypatch):
    monkeypatch.setenv("THEANO_RNN_BACKEND", choice)
    network = Network("DCD")
    step = training_step(network, network.data_loss, TRAIN_SIZE, LEARNING_RATE)
    assert any(isinstance(new.owner.op, VariationalAdam) for new in step.updates.values()) == fused
