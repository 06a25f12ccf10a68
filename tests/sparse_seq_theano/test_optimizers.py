"""The optimisers against every key of the golden `optimizer_*.npz`, and their other properties."""

import glob
import os

from theano_rnn.errors import ReportedError
from theano_rnn.ops.backend import BACKEND_VARIABLE

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import needs_fused
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sparse_seq_theano.optimizers import (
    adam,
    average,
    clip_by_total_norm,
    make_averages,
    sgd,
    squared_norms,
    total_norm,
)

CHEAP = theano.Mode(linker="py", optimizer=None)


def pytest_generate_tests(metafunc):
    if "path" in metafunc.fixturenames:
        folder = os.path.join(metafunc.config.getoption("--golden-dir"), "sparse_seq")
        files = sorted(glob.glob(os.path.join(folder, "optimizer_*.npz")))
        assert files, "no golden files in %s" % folder
        metafunc.parametrize("path", files, ids=[os.path.basename(file)[:-4] for file in files])


#: Name of a file to the optimiser and the arguments that the file lacks. The file with momentum was computed without
#: weight decay, although it contains a value.
OPTIMIZERS = {"sgd": (sgd, {}), "sgd_momentum": (sgd, {"momentum": 0.9, "weight_decay": 0.}), "asgd": (sgd, {}),
              "adam_l2": (adam, {})}


@pytest.mark.core
def test_golden(path, float64):
    with np.load(path) as archive:
        golden = {key: archive[key] for key in archive.files}
    optimizer, special = OPTIMIZERS[os.path.basename(path)[len("optimizer_"):-len(".npz")]]
    names = sorted(key[len("start_"):] for key in golden if key.startswith("start_"))
    assert set(golden) - {"average_" + name for name in names} == {"learning_rate", "weight_decay", "clip"}.union(
        *[{name, "start_" + name, "grad_" + name} for name in names])
    options = dict({"weight_decay": float(golden["weight_decay"])}, **special)
    parameters = [theano.shared(golden["start_" + name], name) for name in names]
    given_gradients = [parameter.type() for parameter in parameters]
    gradients, norm = clip_by_total_norm(given_gradients, float(golden["clip"]))
    learning_rate, number = T.dscalar(), T.iscalar()
    step = theano.function(given_gradients + [learning_rate], norm, mode=CHEAP, on_unused_input="ignore",
                           updates=optimizer(gradients, parameters, learning_rate, **options))
    averages = make_averages(parameters)
    take_average = theano.function([number], updates=average(parameters, averages, number), mode=CHEAP)
    for index in range(len(golden[names[0]])):
        values = [golden["grad_" + name][index] for name in names]
        step(*(values + [golden["learning_rate"]]))
        take_average(index + 1)
        for name, parameter, mean in zip(names, parameters, averages):
            np.testing.assert_allclose(parameter.get_value(), golden[name][index], rtol=1e-6, atol=1e-6)
            if "average_" + name in golden:
                np.testing.assert_allclose(mean.get_value(), golden["average_" + name][index], rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def clipping():
    """Return a function that clips two gradients to 1.5 and returns both and the norm."""
    gradients = [T.dvector(), T.dmatrix()]
    clipped, norm = clip_by_total_norm(gradients, 1.5)
    return theano.function(gradients, clipped + [norm, total_norm(gradients)], mode=CHEAP)


numbers = st.integers(-1000, 1000).map(lambda n: n / 10.)


@settings(deadline=None)
@given(arrays("float64", array_shapes(min_dims=1, max_dims=1), elements=numbers),
       arrays("float64", array_shapes(min_dims=2, max_dims=2), elements=numbers))
def test_clipping_bounds_the_total_norm_and_keeps_the_direction(clipping, p, q):
    clipped_p, clipped_q, norm, same_norm = clipping(p, q)
    assert norm == same_norm == pytest.approx(np.sqrt((p ** 2).sum() + (q ** 2).sum()), rel=1e-9)
    clipped_norm = np.sqrt((clipped_p ** 2).sum() + (clipped_q ** 2).sum())
    assert clipped_norm <= 1.5 * (1 + 1e-9)
    if norm < 1.499:
        np.testing.assert_array_equal(clipped_p, p)
        np.testing.assert_array_equal(clipped_q, q)
    else:
        assert clipped_norm == pytest.approx(min(norm, 1.5), abs=1e-5)
        np.testing.assert_allclose(clipped_p * norm, p * clipped_norm, rtol=1e-9, atol=1e-300)
        np.testing.assert_allclose(clipped_q * norm, q * clipped_norm, rtol=1e-9, atol=1e-300)


def test_no_bound_clips_nothing():
    gradients = [T.dvector(), T.dmatrix()]
    clipped, norm = clip_by_total_norm(gradients, 0)
    assert clipped == gradients and norm.ndim == 0


def train(optimizer, steps, **options):
    """Minimise the distance of two named parameters from 3; returns parameters and updates."""
    parameters = [theano.shared(np.zeros(2, "float32"), "encoder.block0"),
                  theano.shared(np.ones((2, 3), "float32"), "decoder.b")]
    loss = sum(T.sum((parameter - 3) ** 2) for parameter in parameters)
    updates = optimizer(T.grad(loss, parameters), parameters, **options)
    function = theano.function([], loss, updates=updates, mode=CHEAP)
    losses = [float(function()) for _ in range(steps)]
    assert losses[-1] < 0.1 * losses[0]
    return parameters, updates


@pytest.mark.parametrize("optimizer,options,state", [
    (sgd, {"learning_rate": 0.1}, []),
    (sgd, {"learning_rate": 0.05, "momentum": 0.5, "weight_decay": 0.01},
     ["sgd.encoder.block0.velocity", "sgd.decoder.b.velocity"]),
    (adam, {"learning_rate": 0.5, "weight_decay": 0.01},
     ["adam.encoder.block0.mean", "adam.encoder.block0.square", "adam.decoder.b.mean", "adam.decoder.b.square",
      "adam.step"]),
], ids=["sgd", "momentum", "adam"])
def test_optimizers_learn_and_name_their_state(optimizer, options, state):
    """The parameters are float32, as in the experiments; a learning rate of another precision does not change this."""
    parameters, updates = train(optimizer, 20, **options)
    assert [variable.name for variable in updates if variable not in parameters] == state
    shared = theano.shared(np.float64(0.1))
    for variable, value in sgd([T.fvector(), T.fmatrix()], parameters, shared, 0.1, 0.9).items():
        assert value.type == variable.type and variable.dtype == "float32"


def take_steps():
    """Take steps of Adam, of which the third changes nothing; return the squared norms and the states after each."""
    random, finite = np.random.RandomState(2), T.bscalar()
    parameters = [theano.shared(random.randn(*shape).astype("float32"), name)
                  for name, shape in (("encoder.W", (3, 4)), ("decoder.b", (5,)))]
    gradients = [parameter.type() for parameter in parameters]
    updates = adam(gradients, parameters, 0.1, 0.01, finite)
    step = theano.function(gradients + [finite], squared_norms(gradients), updates=updates, mode=CHEAP)
    norms, states = [], []
    for wanted in (1, 1, 0):
        norms += step(*([random.randn(*p.get_value().shape).astype("float32") for p in parameters] + [wanted]))
        states.append([(variable.name, variable.get_value().copy()) for variable in updates])
    return norms, states


@needs_fused
def test_both_backends_take_the_same_steps(monkeypatch):
    monkeypatch.setenv(BACKEND_VARIABLE, "reference")
    norms, states = take_steps()
    monkeypatch.setenv(BACKEND_VARIABLE, "fused")
    found_norms, found_states = take_steps()
    np.testing.assert_allclose(found_norms, norms, rtol=1e-6)
    for found, expected in zip(found_states, states):
        expected = dict(expected)
        assert set(expected) == {name for name, _ in found}
        for name, array in found:
            np.testing.assert_allclose(array, expected[name], rtol=0, atol=1e-6, err_msg=name)
    for (_, before), (name, after) in zip(found_states[1], found_states[2]):
        np.testing.assert_array_equal(after, before, err_msg=name)


def test_momentum_with_weight_decay(float64):
    """The momentum accumulates the weight decay, too."""
    parameter, gradient = theano.shared(np.array([1., -2.]), "p"), T.dvector()
    step = theano.function([gradient], updates=sgd([gradient], [parameter], 0.1, 0.2, 0.5), mode=CHEAP)
    value, velocity = parameter.get_value(), 0
    for g in np.random.RandomState(0).randn(3, 2):
        step(g)
        velocity = 0.5 * velocity + g + 0.2 * value
        value = value - 0.1 * velocity
        np.testing.assert_allclose(parameter.get_value(), value, rtol=1e-12)


def test_averages():
    p = theano.shared(np.array([1., 2.], "float32"), "rnn.W")
    averages = make_averages([p])
    assert [mean.name for mean in averages] == ["average.rnn.W"]
    np.testing.assert_array_equal(averages[0].get_value(), p.get_value())
    step = T.iscalar()
    take = theano.function([step], updates=average([p], averages, step), mode=CHEAP)
    values = np.random.RandomState(0).randn(6, 2).astype("float32")
    for number, value in enumerate(values, start=1):
        p.set_value(value)
        take(number)
        np.testing.assert_allclose(averages[0].get_value(), values[min(number - 1, 1):number].mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(p.get_value(), values[-1])


def test_errors():
    p = theano.shared(np.zeros(2), "p")
    with pytest.raises(ReportedError, match="^max_norm must be positive, or 0 for no bound, got -1$"):
        clip_by_total_norm([T.dvector()], -1)
    with pytest.raises(ReportedError, match="must be positive, or 0 for no bound, got nan"):
        clip_by_total_norm([T.dvector()], float("nan"))
    for optimizer in (sgd, adam):
        with pytest.raises(ReportedError, match="^expected one gradient for each of the 1 parameters, got 2$"):
            optimizer([T.dvector()] * 2, [p], learning_rate=0.1)
