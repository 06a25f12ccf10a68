"""Random variables: formulas, gradients, distribution of samples, and which elements share a sample."""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.normal_noise import NormalNoise
from theano_rnn.ops.variational_adam import log_alpha, log_uniform_kl, normal_kl

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.networks import Ones, compiled
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bayes_rnn.layers.embedding import token_scale
from bayes_rnn.variational import KINDS, random_variable

quickly = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
# Not st.floats: it insists on denormal numbers, which are switched off here (theano_rnn.runtime.configuration).
means = st.builds(lambda sign, exponent: sign * 10. ** (exponent / 100.),
                  st.sampled_from([-1, 0, 1]), st.integers(-600, 100))
log_sigmas = st.integers(-12000, 3000).map(lambda thousandths: thousandths / 1000.)
# Where log alpha reaches its limits of -8 and 8: log sigma = -+4 at mu = 1.
AT_THE_LIMITS = [(1., side * (4 + offset)) for side in (-1, 1) for offset in (-1e-6, 0., 1e-6)]


pytestmark = pytest.mark.usefixtures("double_precision")


# -- formulas ----------------------------------------------------------------------------------------------------------

def reference_kl(mean, log_sigma):
    """Return the KL divergence by the formula of the paper."""
    with np.errstate(divide="ignore"):
        a = np.clip(2 * log_sigma - np.log(np.square(mean)), -8, 8)
    return 0.5 * np.log(1 + np.exp(-a)) - (0.03 + 0.64 / (1 + np.exp(-1.5 * (a + 1.3))))


def reference_slope(mean, log_sigma):
    """Return the derivative of `reference_kl` with respect to log alpha."""
    with np.errstate(divide="ignore"):
        a = 2 * log_sigma - np.log(np.square(mean))
    s = 1 / (1 + np.exp(-1.5 * (np.clip(a, -8, 8) + 1.3)))
    return np.where(abs(a) < 8, -0.5 / (1 + np.exp(np.clip(a, -8, 8))) - 0.64 * 1.5 * s * (1 - s), 0)


class KLFunctions(object):
    """Functions of the KL divergence of vectors and its gradients: `python` (float64), `c64` and `c32` (C code)."""

    def __init__(self):
        self.python = self.build("float64", "FAST_COMPILE")
        if theano.config.cxx:
            self.c64, self.c32 = self.build("float64", "FAST_RUN"), self.build("float32", "FAST_RUN")

    @staticmethod
    def build(dtype, mode):
        mean, log_sigma = T.vector(dtype=dtype), T.vector(dtype=dtype)
        kl = log_uniform_kl(mean, log_sigma)
        return theano.function([mean, log_sigma], [kl] + T.grad(kl.sum(), [mean, log_sigma]), mode=mode)


@pytest.fixture(scope="module")
def kl_functions(double_precision):
    return KLFunctions()


needs_c = pytest.mark.skipif(not theano.config.cxx, reason="no C++ compiler")
code = pytest.mark.parametrize(
    "name, tolerance", [("python", 1e-9), pytest.param("c64", 1e-9, marks=needs_c),
                        pytest.param("c32", 2e-4, marks=needs_c)])


@code
def test_log_uniform_kl_and_gradient(kl_functions, name, tolerance):
    function = getattr(kl_functions, name)

    @quickly
    @given(st.lists(st.tuples(means, log_sigmas), min_size=1, max_size=8))
    @example([(0., -3.), (0., 3.), (-0., 0.)])
    def check(pairs):
        mean, log_sigma = np.array(pairs).T
        if name == "c32":
            mean, log_sigma = mean.astype("float32"), log_sigma.astype("float32")
        value, by_mean, by_log_sigma = function(mean, log_sigma)
        mean, log_sigma = mean.astype("float64"), log_sigma.astype("float64")
        np.testing.assert_allclose(value, reference_kl(mean, log_sigma), rtol=tolerance, atol=tolerance)
        slope = reference_slope(mean, log_sigma)
        with np.errstate(divide="ignore"):
            distance = abs(abs(2 * log_sigma - np.log(np.square(mean))) - 8)
        sure = distance > 1e-4                      # nearer to the limit, the side depends on rounding
        np.testing.assert_allclose(by_log_sigma[sure], 2 * slope[sure], rtol=tolerance, atol=tolerance)
        expected = np.where(slope == 0, 0, -2 * slope / np.where(mean == 0, 1, mean))
        np.testing.assert_allclose(by_mean[sure], expected[sure], rtol=tolerance, atol=tolerance)
        assert np.all(np.isfinite(by_mean)) and np.all(np.isfinite(by_log_sigma))

    check()


@code
def test_at_the_limits_of_log_alpha(kl_functions, name, tolerance):
    mean, log_sigma = np.array(AT_THE_LIMITS).T.astype("float32" if name == "c32" else "float64")
    value, by_mean, by_log_sigma = getattr(kl_functions, name)(mean, log_sigma)
    np.testing.assert_allclose(value, reference_kl(mean, log_sigma), rtol=1e-5)
    if name != "c32":
        assert by_log_sigma[2] == by_log_sigma[5] == by_mean[2] == by_mean[5] == 0      # outside
        assert by_log_sigma[0] < -0.9 and by_log_sigma[3] < -1e-4                       # inside: about -1, -3e-4
        np.testing.assert_allclose(by_mean[[0, 3]], -by_log_sigma[[0, 3]])


def test_the_gradient_is_that_of_finite_differences(kl_functions):
    function = kl_functions.python
    mean, log_sigma = np.array([0.3, -2., 1e-3, 5.]), np.array([-2., 1., -6., -1.])
    _, by_mean, by_log_sigma = function(mean, log_sigma)
    step = 1e-6
    np.testing.assert_allclose(
        by_mean, (function(mean * (1 + step), log_sigma)[0] - function(mean * (1 - step), log_sigma)[0])
        / (2 * step * mean), rtol=1e-6)
    np.testing.assert_allclose(
        by_log_sigma, (function(mean, log_sigma + step)[0] - function(mean, log_sigma - step)[0]) / (2 * step),
        rtol=1e-6)


@code
def test_not_a_number_is_not_hidden(kl_functions, name, tolerance):
    dtype = "float32" if name == "c32" else "float64"
    mean, log_sigma = np.array([np.nan, 1, 1], dtype=dtype), np.array([0, np.nan, 0], dtype=dtype)
    for result in getattr(kl_functions, name)(mean, log_sigma):
        assert np.isnan(result[:2]).all() and np.isfinite(result[2])


def test_kl_of_extreme_posteriors(kl_functions):
    value = kl_functions.python(np.array([1., 1.]), np.array([-30., 30.]))[0]
    # Small sigma: 0.5 log(1 + e^8) - 0.03. Pruned: -0.67, which is negative.
    np.testing.assert_allclose(value, [3.97016, -0.66983], atol=1e-4)


def test_normal_kl():
    mean, log_sigma = T.vectors(2)
    function = compiled([mean, log_sigma], normal_kl(mean, log_sigma))

    @quickly
    @given(st.lists(st.tuples(means, log_sigmas), min_size=1, max_size=8))
    def check(pairs):
        mu, log_s = np.array(pairs).T
        sigma = np.exp(log_s)
        np.testing.assert_allclose(function(mu, log_s), -np.log(sigma) + 0.5 * (sigma ** 2 + mu ** 2) - 0.5,
                                   rtol=1e-9, atol=1e-9)

    check()
    np.testing.assert_allclose(function([0.], [0.]), [0.])      # the prior itself


def test_log_alpha_of_numpy_and_theano():
    mean, log_sigma = np.array([0.5, -2., 1.]), np.array([-3., 0., 1.5])
    np.testing.assert_allclose(log_alpha(mean, log_sigma), np.log(np.exp(log_sigma) ** 2 / mean ** 2))
    symbols = T.vectors(2)
    np.testing.assert_allclose(compiled(symbols, log_alpha(*symbols))(mean, log_sigma), log_alpha(mean, log_sigma))


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


# -- noise -------------------------------------------------------------------------------------------------------------

def test_noise_with_restored_states_repeats_itself():
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


def test_noise_is_determined_by_its_seed():
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
