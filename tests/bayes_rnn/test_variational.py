"""Random variables: parameters, divergence, distribution of samples, and which elements share a sample."""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.normal_noise import NormalNoise

import numpy as np
import pytest
import theano.tensor as T
from helpers.networks import Ones, compiled
from helpers.variational import reference_kl

from bayes_rnn.layers.embedding import token_scale
from bayes_rnn.variational import KINDS, random_variable

pytestmark = pytest.mark.usefixtures("double_precision")


# -- random variables --------------------------------------------------------------------------------------------------

def make(kind, mean, log_sigma=None, name="z"):
    """Return a random variable with given parameters, and the layer that has them."""
    mean = np.asarray(mean, dtype="float64")
    layer = lasagne.layers.InputLayer((None, 1), name="layer")
    variable = random_variable(layer, kind, mean, mean.shape, name, regularizable=False)
    if log_sigma is not None:
        layer.params_by_name = dict((p.name, p) for p in layer.params)
        layer.params_by_name["layer.%s.log_sigma" % name].set_value(
            np.broadcast_to(np.asarray(log_sigma, dtype="float64"), mean.shape).copy())
    return variable, layer


def test_parameters_of_the_kinds():
    names = {"L": ["layer.z", "layer.z.log_sigma"], "N": ["layer.z", "layer.z.log_sigma"], "D": ["layer.z"], "C": []}
    assert sorted(names) == sorted(KINDS)
    for kind, expected in names.items():
        variable, layer = make(kind, [1., 2.])
        assert [p.name for p in layer.get_params()] == expected
        assert [p.name for p in layer.get_params(variational=True)] == expected[1:]
        assert layer.get_params(regularizable=True) == []
        assert variable.prunable == (kind == "L")
        for p in layer.get_params(variational=True):
            np.testing.assert_array_equal(p.get_value(), [-3., -3.])


def test_unknown_kind():
    layer = lasagne.layers.InputLayer((None, 1))
    with pytest.raises(ValueError) as error:
        random_variable(layer, "X", lasagne.init.Constant(1.), (2,), "z")
    assert str(error.value) == "kind must be one of C, D, L, N, got 'X'"


def test_keep_rule_at_the_threshold():
    # log alpha = 2 log sigma at mu = 1; pruned from 3 on; mu = 0 is always pruned.
    mean = [1., 1., 1., 1., 0., -1.]
    log_sigma = [1.5 - 1e-9, 1.5, 1.5 + 1e-9, -3., -20., 1.4]
    keep = np.array([True, False, False, True, False, True])
    variable, _ = make("L", mean, log_sigma)
    np.testing.assert_array_equal(variable.keep_mask(), keep)
    np.testing.assert_array_equal(variable.pruned_value(), mean * keep)
    noise = NormalNoise(1)
    values = compiled([], [variable.value(noise, pruned=True), variable.value(noise, deterministic=True),
                           variable.value(noise, deterministic=True, pruned=True),
                           variable.value(noise, T.constant(7), pruned=True)])()
    np.testing.assert_array_equal(values[0], mean * keep)
    np.testing.assert_array_equal(values[1], mean)
    np.testing.assert_array_equal(values[2], mean * keep)
    np.testing.assert_array_equal(values[3], [mean * keep])     # one for all examples
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(variable.log_alpha(), 2 * np.array(log_sigma) - np.log(np.square(mean)))


@pytest.mark.parametrize("kind", ["N", "D"])
def test_kinds_that_are_never_pruned(kind):
    variable, _ = make(kind, [0., 1e-9, 2.], 5. if kind == "N" else None)
    assert variable.keep_mask().all()
    np.testing.assert_array_equal(variable.pruned_value(), [0., 1e-9, 2.])
    np.testing.assert_array_equal(compiled([], variable.value(NormalNoise(1), pruned=True))(), [0., 1e-9, 2.])


def test_constant():
    variable, _ = make("C", [3., 3.])
    assert variable.value(NormalNoise(1)) is variable.value(NormalNoise(1), T.constant(4), pruned=True) is None
    assert variable.rows(T.constant([0])) is variable
    np.testing.assert_array_equal(variable.pruned_value(), [1., 1.])
    assert variable.keep_mask().all() and variable.kl().eval() == 0


def test_kl_is_summed_over_elements():
    mean, log_sigma = np.array([[0.1, -2.], [0., 1.]]), np.array([[-1., 0.], [1., -5.]])
    kls = [make(kind, mean, None if kind == "D" else log_sigma)[0].kl() for kind in "LND"]
    log_uniform, normal, deterministic = compiled([], kls)()
    np.testing.assert_allclose(log_uniform, reference_kl(mean, log_sigma).sum())
    np.testing.assert_allclose(normal, (-log_sigma + 0.5 * (np.exp(2 * log_sigma) + mean ** 2) - 0.5).sum())
    assert deterministic == 0


# -- samples -----------------------------------------------------------------------------------------------------------

def assert_moments(samples, mean, deviation):
    """Check mean and standard deviation along the first axis to six standard errors. Seeds are fixed."""
    n = len(samples)
    mean, deviation = np.asarray(mean), np.asarray(deviation)
    assert np.all(abs(samples.mean(axis=0) - mean) < 6 * deviation / np.sqrt(n))
    assert np.all(abs(samples.std(axis=0) - deviation) < 6 * deviation / np.sqrt(2 * n))


def assert_independent(a, b):
    """Check that the correlation of two sequences of samples is below six standard errors."""
    assert abs(np.corrcoef(a, b)[0, 1]) < 6 / np.sqrt(len(a))


@pytest.mark.parametrize("kind", ["L", "N"])
def test_group_variables_are_sampled_per_example(kind):
    mean, log_sigma = np.array([1., -0.5, 0.]), np.array([-1., 0.5, 0.])
    variable, _ = make(kind, mean, log_sigma)
    samples = compiled([], variable.value(NormalNoise(11), T.constant(4000)))()
    assert samples.shape == (4000, 3)
    assert_moments(samples, mean, np.exp(log_sigma))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert_independent(samples[:, i], samples[:, j])        # elements of one example
    assert_independent(samples[:-1, 0], samples[1:, 0])         # consecutive examples
    assert_independent(samples[:2000, 0], samples[2000:, 0])


def test_individual_weights_are_sampled_once_per_call():
    variable, _ = make("L", np.full((2000, 2), 0.7), -1.)
    sample = compiled([], variable.value(NormalNoise(5)))
    first, second = sample(), sample()
    assert first.shape == (2000, 2)
    for part in (first[:, 0], second[:, 1]):
        assert_moments(part, 0.7, np.exp(-1))
    assert_independent(first[:, 0], first[:, 1])
    assert_independent(first[:, 0], second[:, 0])               # drawn anew at every call


def test_deterministic_variables_have_no_noise():
    variable, _ = make("D", [1., 2.])
    noise = NormalNoise(1)
    values = compiled([], [variable.value(noise), variable.value(noise, T.constant(3))])()
    np.testing.assert_array_equal(values[0], [1., 2.])
    np.testing.assert_array_equal(values[1], [[1., 2.]])
    assert noise.states() == []


@pytest.mark.parametrize("kind", "LND")
def test_rows_are_those_of_the_whole(kind):
    mean, log_sigma = np.array([[1., 0.], [2., -1.], [0.5, 3.]]), np.array([[-3., -3.], [3., 0.], [-1., 4.]])
    variable, _ = make(kind, mean, None if kind == "D" else log_sigma)
    index = T.ivector()
    rows, noise = variable.rows(index), NormalNoise(1)
    got = compiled([index], [rows.value(noise, deterministic=True), rows.value(noise, pruned=True)])([2, 0, 2])
    np.testing.assert_array_equal(got[0], mean[[2, 0, 2]])
    np.testing.assert_array_equal(got[1], variable.pruned_value()[[2, 0, 2]])


def test_rows_are_sampled_with_their_own_parameters():
    variable, _ = make("L", np.repeat([[5.], [-5.]], 2000, axis=1), [[-1.], [-4.]])
    index = T.ivector()
    sample, = compiled([index], [variable.rows(index).value(NormalNoise(3))])([1])
    assert_moments(sample[0], -5., np.exp(-4.))


def test_rows_that_the_minibatch_does_not_touch_get_no_gradient_from_the_data():
    variable, layer = make("L", np.full((4, 2), 0.5), -1.)
    index = T.ivector()
    loss = (variable.rows(index).value(Ones()) ** 2).sum()
    parameters = layer.get_params()
    data, kl = T.grad(loss, parameters), T.grad(variable.kl(), parameters)
    by_data = compiled([index], data)([2, 0])
    by_kl = compiled([], kl)()
    for gradient in by_data:
        assert np.all(gradient[[0, 2]] != 0) and np.all(gradient[[1, 3]] == 0)
    for gradient in by_kl:
        assert np.all(gradient != 0)
    sample = 0.5 + np.exp(-1)
    np.testing.assert_allclose(by_data[0][0], 2 * sample)
    np.testing.assert_allclose(by_data[1][0], 2 * sample * np.exp(-1))


def test_tokens_share_a_sample_within_an_example():
    # Vocabulary of 5; every example has the tokens 3 0 3 4 3.
    tokens = np.tile(np.array([3, 0, 3, 4, 3], dtype="int32"), (2000, 1))
    mean, log_sigma = np.array([2., 9., 9., -1., 0.5]), np.array([-2., 0., 0., -1., 0.])
    variable, _ = make("L", mean, log_sigma)
    symbol = T.imatrix()
    scale = compiled([symbol], token_scale(variable, symbol, 5, NormalNoise(8)))(tokens)
    assert scale.shape == tokens.shape
    np.testing.assert_array_equal(scale[:, 0], scale[:, 2])
    np.testing.assert_array_equal(scale[:, 0], scale[:, 4])
    assert_moments(scale[:, [0, 1, 3]], mean[[3, 0, 4]], np.exp(log_sigma[[3, 0, 4]]))
    assert_independent(scale[:, 0], scale[:, 1])
    assert_independent(scale[:, 1], scale[:, 3])
    assert_independent(scale[:-1, 0], scale[1:, 0])             # the same token in different examples
    assert len(np.unique(scale)) == 3 * len(tokens)


def test_token_scale_of_means():
    variable, _ = make("L", [1., 2., 3.], [-3., 3., -3.])
    symbol = T.imatrix()
    tokens = np.array([[2, 1], [0, 0]], dtype="int32")
    full, pruned = compiled([symbol], [token_scale(variable, symbol, 3, Ones(), deterministic=True),
                                       token_scale(variable, symbol, 3, Ones(), pruned=True)])(tokens)
    np.testing.assert_array_equal(full, [[3., 2.], [1., 1.]])
    np.testing.assert_array_equal(pruned, [[3., 0.], [1., 1.]])
    assert token_scale(make("C", [1., 1., 1.])[0], symbol, 3, Ones()) is None


# -- local reparametrisation -------------------------------------------------------------------------------------------

WEIGHTS = np.array([[0.5, -1.], [2., 0.], [0.1, 0.3]])
LOG_SIGMAS = np.array([[-1., 0.], [-2., -3.], [0.5, -1.]])


def test_sample_product_has_the_distribution_of_the_product():
    variable, _ = make("L", WEIGHTS, LOG_SIGMAS)
    x = np.array([1., -0.5, 2.])
    symbol = T.matrix()
    product = compiled([symbol], variable.sample_product(symbol, NormalNoise(4)))(np.tile(x, (4000, 1)))
    deviation = np.sqrt((x ** 2).dot(np.exp(2 * LOG_SIGMAS)))
    assert_moments(product, x.dot(WEIGHTS), deviation)
    assert_independent(product[:, 0], product[:, 1])            # units
    assert_independent(product[:-1, 0], product[1:, 0])         # examples
    # The same distribution as with sampled weights.
    weights = WEIGHTS + np.exp(LOG_SIGMAS) * np.random.RandomState(0).randn(4000, 3, 2)
    assert_moments(x.dot(weights), x.dot(WEIGHTS), deviation)


def test_sample_product_shares_noise_between_time_steps():
    variable, _ = make("L", WEIGHTS, LOG_SIGMAS)
    x = np.random.RandomState(0).randn(6, 5, 3)
    symbol = T.tensor3()
    product = compiled([symbol], variable.sample_product(symbol, NormalNoise(4)))(x)
    noise = (product - x.dot(WEIGHTS)) / np.sqrt((x ** 2).dot(np.exp(2 * LOG_SIGMAS)) + 1e-8)
    np.testing.assert_allclose(noise, np.broadcast_to(noise[:, :1], noise.shape), rtol=1e-6)
    assert len(np.unique(noise[:, 0])) == 6 * 2                 # a different one for each example and unit


def test_sample_product_of_zeros_has_a_finite_gradient():
    variable, layer = make("L", WEIGHTS, LOG_SIGMAS)
    symbol = T.matrix()
    product = variable.sample_product(symbol, Ones())
    value, gradient = compiled([symbol], [product, T.grad(product.sum(), symbol)])(np.zeros((2, 3)))
    np.testing.assert_allclose(value, np.full((2, 2), 1e-4))    # the floor of the variance, 1e-8
    np.testing.assert_allclose(gradient, np.tile(WEIGHTS.sum(axis=1), (2, 1)))


def test_sample_product_of_deterministic_weights():
    variable, _ = make("D", WEIGHTS)
    symbol = T.matrix()
    x = np.eye(3)
    np.testing.assert_allclose(compiled([symbol], variable.sample_product(symbol, NormalNoise(1)))(x), WEIGHTS)
