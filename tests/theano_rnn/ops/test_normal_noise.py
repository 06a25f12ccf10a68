"""Normal noise: the fused backend against Theano's generator, and both against the normal distribution."""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.normal_noise import NormalNoise
from theano_rnn.ops.normal_noise.fused import MRGNormal

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import OPTIMISED, both, needs_fused
from helpers.networks import compiled
from scipy import stats
from theano.sandbox.rng_mrg import MRG_RandomStreams

pytestmark = pytest.mark.usefixtures("restored_precision")


def state_of(streams, seed=5):
    return MRG_RandomStreams(seed).get_substream_rstates(streams, "float32")


@needs_fused
@pytest.mark.parametrize("dtype, tolerance", [("float32", 5e-6), ("float64", 1e-12)])
# Fewer numbers than streams and many times more; odd numbers of numbers; more and fewer streams than a block has.
@pytest.mark.parametrize("streams, shape", [(200, (7,)), (200, (3, 5)), (1, (11,)), (130, (41, 33)), (64, (128,)),
                                            (130, (50, 1, 101))])
def test_same_numbers_and_states_as_theano(streams, shape, dtype, tolerance):
    generator = MRG_RandomStreams(5)
    numbers = generator.normal(shape, dtype=dtype, nstreams=streams)
    state, update = generator.state_updates[0][:2]
    start = state.get_value()
    reference = theano.function([], [numbers, update], no_default_updates=True)
    ours = theano.shared(start)
    new_state, normal = MRGNormal(dtype, (False,) * len(shape))(ours, *shape)
    fused = theano.function([], normal, updates=[(ours, new_state)], mode=OPTIMISED)
    for _ in range(3):
        expected, expected_state = reference()
        state.set_value(expected_state)
        actual = fused()
        assert actual.dtype == dtype and actual.shape == shape
        np.testing.assert_array_equal(ours.get_value(), expected_state)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


@needs_fused
def test_numbers_do_not_depend_on_the_number_of_threads(monkeypatch):
    state = theano.shared(state_of(150))
    new_state, normal = MRGNormal("float32", (False,))(state, 400001)
    function = theano.function([], [normal, new_state], mode=OPTIMISED)
    results = []
    for threads in "123":
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        results.append(function())
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


@both
def test_distribution(backend, monkeypatch):
    monkeypatch.setenv("THEANO_RNN_BACKEND", backend)
    theano.config.floatX = "float32"
    draw = theano.function([], NormalNoise(1).normal((T.constant(1000), T.constant(1000))))
    assert any(isinstance(node.op, MRGNormal) for node in draw.maker.fgraph.toposort()) == (backend == "fused")
    first, second = draw().astype("float64").ravel(), draw().astype("float64").ravel()
    n = len(first)
    for moment, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((first ** moment).mean() - expected) < 5 * np.sqrt(variance / float(n))
    assert stats.kstest(first, "norm")[1] > 1e-3
    for sigmas in (3, 4, 4.5):                          # both tails, to five standard errors of a Poisson number
        for tail in ((first > sigmas).sum(), (first < -sigmas).sum()):
            expected = n * stats.norm.sf(sigmas)
            assert abs(tail - expected) < 5 * np.sqrt(expected)
    # Between calls, neighbours, rows, and the two numbers that Box-Muller makes of one pair.
    half = n // 2
    for a, b in ((first, second), (first[1:], first[:-1]), (first[1000:], first[:-1000]), (first[half:], first[:half]),
                 (first[half:] ** 2, first[:half] ** 2)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(half)


@needs_fused
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_tail_reaches_six_sigma(dtype):
    # Two streams whose next numbers are 1 / 2^31, the smallest there is, and 1/2: half a turn.
    state = np.array([[0, 512, 0, 0, 0, 0], [0, 256, 0, 0, 0, 0]], dtype="int32")
    numbers = theano.function([], MRGNormal(dtype, (False,))(state, 2)[1])()
    np.testing.assert_allclose(numbers, [-np.sqrt(62 * np.log(2)), 0], atol=2e-6)


@needs_fused
@pytest.mark.parametrize("choices", [("reference", "fused"), ("fused", "reference")])
def test_either_backend_continues_the_stream_of_the_other(choices, monkeypatch):
    theano.config.floatX = "float64"
    functions, noises = [], []
    for choice in choices:
        monkeypatch.setenv("THEANO_RNN_BACKEND", choice)
        noises.append(NormalNoise(3))
        functions.append(theano.function([], noises[-1].normal((T.constant(6), T.constant(7)))))
    first, other = functions
    first()
    for mine, its in zip(noises[0].states(), noises[1].states()):
        its.set_value(mine.get_value())
    np.testing.assert_allclose(other(), first(), rtol=1e-10)


@needs_fused
@pytest.mark.parametrize("state, shape, message", [
    (np.ones((3, 6), "int32"), (-1,), "axis lengths must be at least 0, got -1"),
    (np.ones((3, 5), "int32"), (4,), "6 columns"),
    (np.ones((0, 6), "int32"), (4,), "at least one row")])
def test_invalid_states_and_shapes(state, shape, message):
    with pytest.raises(ValueError, match=message):
        theano.function([], MRGNormal("float32", (False,))(state, *shape)[1])()


@pytest.mark.parametrize("make", [
    lambda: MRGNormal("float32", (False,))(np.ones((3, 6), "int64"), 4),
    lambda: MRGNormal("float32", (False,))(np.ones(6, "int32"), 4),
    lambda: MRGNormal("float32", (False, False))(np.ones((3, 6), "int32"), 4)])
def test_invalid_inputs_of_the_operations(make):
    with pytest.raises((TypeError, ValueError)):
        make()


@needs_fused
def test_no_numbers():
    assert theano.function([], MRGNormal("float32", (False, False))(state_of(3), 0, 5)[1])().shape == (0, 5)


def test_noise_with_restored_states_repeats_itself(float64):
    noise = NormalNoise(3)
    draw = compiled([], [noise.normal((T.constant(3), T.constant(2))), noise.normal([T.constant(5)])])
    assert len(noise.states()) == 2
    draw()
    saved = [state.get_value() for state in noise.states()]
    expected = draw() + draw()
    for state, value in zip(noise.states(), saved):
        state.set_value(value)
    again = draw() + draw()
    for a, b in zip(again, expected):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(expected[0], expected[2])


def test_noise_is_determined_by_its_seed(float64):
    def sample(noise):
        return compiled([], noise.normal([T.constant(4)]))()

    np.testing.assert_array_equal(sample(NormalNoise(3)), sample(NormalNoise(3)))
    assert not np.array_equal(sample(NormalNoise(3)), sample(NormalNoise(4)))
    before = lasagne.random.get_rng()
    try:
        drawn = []
        for _ in range(2):
            lasagne.random.set_rng(np.random.RandomState(7))
            drawn.append(sample(NormalNoise()))
        np.testing.assert_array_equal(*drawn)
        assert not np.array_equal(drawn[1], sample(NormalNoise()))
    finally:
        lasagne.random.set_rng(before)
    assert sample(NormalNoise(3)).dtype == theano.config.floatX
