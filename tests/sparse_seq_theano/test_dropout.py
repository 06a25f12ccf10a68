"""Keep masks: distribution, sharing, independent draws, saved and restored state."""

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

import numpy as np
import pytest
import theano
import theano.tensor as T
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_seq_theano.dropout import DropoutNoise, _random_bits, check_probability, dropped
from sparse_seq_theano.layers import LockedDropoutLayer

PYTHON = theano.Mode(linker="py", optimizer=None)
layers = lasagne.layers


def drawer(shape, probability=0.5, seed=1, mode=PYTHON):
    """Return a function that draws masks, and the noise."""
    noise = DropoutNoise(seed)
    return theano.function([], noise.keep_mask(shape, probability), mode=mode), noise


@pytest.mark.parametrize("probability,mode", [(0.4, None), (0.05, PYTHON), (0.5, PYTHON), (0.95, PYTHON)],
                         ids=["0.4, compiled", "0.05", "0.5", "0.95"])
def test_distribution(probability, mode):
    """Zeros have the given probability, and the mean is 1. The bounds are five standard deviations."""
    mask = drawer((250, 400), probability, mode=mode)[0]()
    assert mask.dtype == theano.config.floatX and mask.shape == (250, 400)
    np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - probability)], rtol=1e-6)
    deviation = np.sqrt(probability / (1 - probability))        # of one number, whose mean is 1
    assert abs(mask.mean() - 1) < 5 * deviation / np.sqrt(mask.size)
    for axis in (0, 1):
        means = mask.mean(axis=axis)
        assert abs(means - 1).max() < 5 * deviation / np.sqrt(mask.shape[axis])
        # Nor are they more alike than chance makes them.
        assert np.std(means) == pytest.approx(deviation / np.sqrt(mask.shape[axis]), rel=0.25)


def test_neighbours_calls_and_streams_are_independent():
    noise = DropoutNoise(3)
    function = theano.function([], [noise.keep_mask((100, 150), 0.5), noise.keep_mask((100, 150), 0.5)], mode=PYTHON)
    (first, other), (second, _) = function(), function()
    pairs = [(first, other), (first, second), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1]),
             (first[:, 2:], first[:, :-2])]
    for a, b in pairs:
        assert abs(np.mean((a - 1) * (b - 1))) < 5 / np.sqrt(a.size)


def test_the_generator_is_splitmix64():
    """The first three numbers for seed 0 are those of other implementations, in C and in Python."""
    positions = T.lvector()
    in_c, in_python = [theano.function([positions], _random_bits(positions), mode=mode) for mode in (None, PYTHON)]
    assert in_c([1, 2, 3]).tolist() == [0xE220A839, 0x6E789E6A, 0x06C45D18]
    many = np.random.RandomState(0).randint(2 ** 63 - 1, size=1003, dtype="int64")
    many[:3] = 1, 2, 3
    np.testing.assert_array_equal(in_c(many), in_python(many))


@pytest.fixture(scope="module")
def cheap():
    """Return functions that draw a matrix and a vector of given lengths, and the state of each."""
    noises, lengths = [DropoutNoise(5), DropoutNoise(5)], T.lvector()
    matrix = theano.function([lengths], noises[0].keep_mask((lengths[0], lengths[1]), 0.5), mode=PYTHON)
    vector = theano.function([lengths], noises[1].keep_mask((lengths[0],), 0.5), mode=PYTHON)
    return matrix, vector, [noise.states()[0] for noise in noises]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=4))
def test_a_mask_goes_on_where_the_last_one_ended(cheap, shapes):
    """No number is used twice, for any shapes."""
    matrix, vector, states = cheap
    states[1].set_value(states[0].get_value())
    drawn = [matrix(shape) for shape in shapes]
    assert [mask.shape for mask in drawn] == shapes
    expected = vector([sum(mask.size for mask in drawn)])
    np.testing.assert_array_equal(np.concatenate([mask.ravel() for mask in drawn]), expected)
    assert states[0].get_value() == states[1].get_value()


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 1), (4, 1, 5), (1, 4, 5), (2, 3, 1, 4)])
def test_any_shape(shape):
    noise = DropoutNoise(1)
    mask = noise.keep_mask(shape, 0.5)
    assert mask.broadcastable == tuple(length == 1 for length in shape)
    start = int(noise.states()[0].get_value())
    assert theano.function([], mask, mode=PYTHON)().shape == shape
    assert noise.states()[0].get_value() - start == int(np.prod(shape))


def test_state_and_seed():
    draw, noise = drawer((5, 6))
    draw()
    saved = [state.get_value() for state in noise.states()]
    assert len(saved) == 1 and saved[0].shape == () and saved[0].dtype == "int64"
    expected = [draw(), draw()]
    assert not np.array_equal(*expected)
    for state, value in zip(noise.states(), saved):
        state.set_value(value)
    np.testing.assert_array_equal([draw(), draw()], expected)

    def first(seed):
        return drawer((5, 6), seed=seed)[0]()

    np.testing.assert_array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))
    before = lasagne.random.get_rng()
    try:
        lasagne.random.set_rng(np.random.RandomState(4))
        by_lasagne, another = first(None), first(None)
        lasagne.random.set_rng(np.random.RandomState(4))
        np.testing.assert_array_equal(first(None), by_lasagne)
        assert not np.array_equal(another, by_lasagne)
    finally:
        lasagne.random.set_rng(before)


# -- dropped -----------------------------------------------------------------------------------------------------------

def test_dropped_multiplies_by_a_mask_as_does_its_gradient():
    W = theano.shared(np.random.RandomState(0).uniform(1, 2, (30, 40)).astype(theano.config.floatX))
    noise = DropoutNoise(1)
    weights = dropped(W, 0.5, noise)
    values, gradient = theano.function([], [weights, T.grad(weights.sum(), W)], mode=PYTHON)()
    assert set(np.unique(gradient)) == {0., 2.}
    np.testing.assert_allclose(values, W.get_value() * gradient)
    assert weights.type == W.type and len(noise.states()) == 1


def test_a_mask_is_shared_where_its_shape_says_1():
    x = T.tensor3()
    y = theano.function([x], dropped(x, 0.5, DropoutNoise(1), (x.shape[0], 1, x.shape[2])), mode=PYTHON)(
        np.ones((6, 4, 30), dtype=theano.config.floatX))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert len(np.unique(y[:, 0], axis=0)) == 6 and len(np.unique(y[:, 0], axis=1).T) > 6


def test_nothing_dropped_is_the_variable_itself():
    x = T.matrix()
    assert dropped(x, 0., None) is x and dropped(x, 0, None, x.shape) is x


@pytest.mark.parametrize("probability", [1, 1.5, -0.1, float("nan"), float("inf")])
def test_probabilities_that_are_none(probability):
    def refused(name):
        return pytest.raises(ReportedError, match=r"^%s must be in \[0, 1\), got %s$" % (name, probability))
    with refused("wdrop"):
        check_probability(probability, "wdrop")
    with refused("dropout probability"):
        dropped(T.matrix(), probability, DropoutNoise(1))
    with refused("dropout probability"):
        DropoutNoise(1).keep_mask((3,), probability)
    with refused("p"):
        LockedDropoutLayer((None, 3, 4), probability)
    assert check_probability(0.25, "wdrop") == 0.25


# -- layer -------------------------------------------------------------------------------------------------------------

def test_locked_dropout_layer():
    incoming = layers.InputLayer((None, None, 30), T.tensor3())
    layer = LockedDropoutLayer(incoming, p=0.25, noise=DropoutNoise(1), name="locked")
    none = LockedDropoutLayer(incoming, p=0.)
    assert layer.output_shape == (None, None, 30) and layers.get_all_params(layer) == []
    assert layers.get_output(layer, deterministic=True) is layers.get_output(none) is incoming.input_var
    function = theano.function([incoming.input_var], layers.get_output(layer), mode=PYTHON)
    x = np.random.RandomState(0).uniform(1, 2, (5, 4, 30)).astype(theano.config.floatX)
    y, again = function(x), function(x)
    np.testing.assert_allclose(y / x, np.broadcast_to((y / x)[:, :1], x.shape), rtol=1e-5)     # over time
    np.testing.assert_allclose(np.unique((y / x).round(5)), [0, (1 / 0.75)], rtol=1e-4)
    assert len(np.unique(y[:, 0] > 0, axis=0)) == 5                                             # not over examples
    assert not np.array_equal(y, again)
    assert len(LockedDropoutLayer(incoming).noise.states()) == 0                    # a stream of its own, not yet used
