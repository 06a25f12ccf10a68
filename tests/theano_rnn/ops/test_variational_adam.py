"""Divergences and Adam: the formulas, and the fused operations against the reference implementation.

The whole step is tested in tests/bayes_rnn/test_training_step.py.
"""

from theano_rnn.ops.variational_adam import log_alpha, log_uniform_kl, normal_kl
from theano_rnn.ops.variational_adam.fused import VariationalAdam, VariationalNorms

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import OPTIMISED, UNOPTIMISED, needs_fused
from helpers.networks import compiled
from helpers.variational import reference_kl
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

quickly = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
# Not st.floats: it insists on denormal numbers, which are switched off here (theano_rnn.runtime.configuration).
means = st.builds(lambda sign, exponent: sign * 10. ** (exponent / 100.),
                  st.sampled_from([-1, 0, 1]), st.integers(-600, 100))
log_sigmas = st.integers(-12000, 3000).map(lambda thousandths: thousandths / 1000.)
# Where log alpha reaches its limits of -8 and 8: log sigma = -+4 at mu = 1.
AT_THE_LIMITS = [(1., side * (4 + offset)) for side in (-1, 1) for offset in (-1e-6, 0., 1e-6)]


pytestmark = pytest.mark.usefixtures("double_precision")


# -- formulas ----------------------------------------------------------------------------------------------------------

def reference_slope(mean, log_sigma):
    """Return the derivative of `reference_kl` with respect to log alpha."""
    with np.errstate(divide="ignore"):
        a = 2 * log_sigma - np.log(np.square(mean))
    s = 1 / (1 + np.exp(-1.5 * (np.clip(a, -8, 8) + 1.3)))
    return np.where(abs(a) < 8, -0.5 / (1 + np.exp(np.clip(a, -8, 8))) - 0.64 * 1.5 * s * (1 - s), 0)


class KLFunctions(object):
    """Functions of the KL divergence of vectors and its gradients: `python` (float64), `c64` and `c32` (C code)."""

    def __init__(self):
        self.python = self.build("float64", UNOPTIMISED)
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


code = pytest.mark.parametrize(
    "name, tolerance", [("python", 1e-9), pytest.param("c64", 1e-9, marks=needs_fused),
                        pytest.param("c32", 2e-4, marks=needs_fused)])


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


# -- fused operations --------------------------------------------------------------------------------------------------

@needs_fused
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    rng = np.random.RandomState(0)
    values = [rng.randn(700, 999).astype("float32") for _ in range(2)]          # many blocks, the last one not full
    gradients = [rng.randn(700, 999).astype("float32") for _ in range(2)]
    norms, step, shared = parameters_function("log_uniform", values, gradients)
    results = []
    for threads in "123":
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        for variable, value in zip(shared, values + 4 * [np.zeros_like(values[0])]):
            variable.set_value(value)
        numbers = norms()
        step()
        results.append(numbers + [variable.get_value() for variable in shared])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


def parameters_function(prior, values, gradients):
    """Return compiled `VariationalNorms` and `VariationalAdam` with their shared variables."""
    dtype = values[0].dtype
    shared = [theano.shared(value) for value in values + [np.zeros_like(value) for _ in range(2) for value in values]]
    weight = np.asarray(0.5, dtype)
    norms = theano.function([], VariationalNorms(prior)(*(shared[:len(values)] + gradients + [weight])), mode=OPTIMISED)
    scalars = [weight, np.asarray(1, dtype), np.asarray(0.1, dtype), np.int8(1)]
    new = VariationalAdam(prior)(*(shared + gradients + scalars))
    return norms, theano.function([], [], updates=list(zip(shared, new)), mode=OPTIMISED), shared


@needs_fused
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("prior, kl", [("log_uniform", log_uniform_kl), ("normal", normal_kl)])
def test_divergence_and_its_gradient(prior, kl, dtype):
    mean, log_sigma, zero = T.vector(dtype=dtype), T.vector(dtype=dtype), T.vector(dtype=dtype)
    divergence = kl(mean, log_sigma).sum()
    gradients = T.grad(divergence, [mean, log_sigma])
    plain = theano.function([mean, log_sigma], [divergence] + gradients)
    # One step of Adam from zero moments leaves 0.1 times the gradient in the means.
    new = VariationalAdam(prior)(*([mean, log_sigma] + 4 * [zero] + 2 * [zero]
                                   + [np.asarray(number, dtype) for number in (1, 1, 0)] + [np.int8(1)]))
    fused = theano.function([mean, log_sigma, zero], [
        VariationalNorms(prior)(mean, log_sigma, zero, zero, np.asarray(1, dtype))[0]] + new[2:4])
    numbers = st.integers(-8000, 8000)
    tolerance = 2e-5 if dtype == "float32" else 1e-10

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), numbers, numbers), min_size=1, max_size=40))
    @example([(0, 0, -3000), (0, 0, 3000), (1, 0, -4001), (1, 0, -3999), (1, 0, 3999), (1, 0, 4001)])
    def check(triples):
        sign, log_size, log_s = np.array(triples).T
        if prior == "normal":
            log_size, log_s = log_size / 4., log_s / 4.
        mu, log_s = (sign * np.exp(log_size / 1000.)).astype(dtype), (log_s / 1000.).astype(dtype)
        with np.errstate(divide="ignore"):
            log_alpha = 2. * log_s - 2 * np.log(np.abs(mu, dtype="float64"))
        sure = abs(abs(log_alpha) - 8) > 1e-4            # which side of the limit it is on may be a matter of rounding
        found, expected = fused(mu, log_s, np.zeros_like(mu)), plain(mu, log_s)
        np.testing.assert_allclose(found[0], expected[0], rtol=tolerance, atol=tolerance)
        for a, b in zip(found[1:], expected[1:]):
            np.testing.assert_allclose(10 * a[sure], b[sure], rtol=tolerance, atol=tolerance)
            assert np.isfinite(a).all()

    check()
    for mu, log_s in ((np.nan, 0), (1, np.nan)):
        found = fused(np.asarray([1, mu], dtype), np.asarray([0, log_s], dtype), np.zeros(2, dtype))
        assert np.isnan(found[0]) and np.isnan(found[1][1] + found[2][1]) and np.isfinite(found[1][0])


@needs_fused
@pytest.mark.parametrize("rows", [[1, 3, 1], [0, 4], [-1]])
def test_rows_that_are_not_there_once(rows):
    value = np.ones((4, 2))
    gradient = np.ones((len(rows), 2))
    norms = theano.function([], VariationalNorms(None, rows=True)(value, gradient, np.array(rows), np.float64(1)))
    with pytest.raises(IndexError, match="check the ids"):
        norms()


@needs_fused
def test_a_gradient_of_another_shape():
    norms = theano.function([], VariationalNorms(None)(np.ones((4, 2)), np.ones((4, 3)), np.float64(1)))
    with pytest.raises(ValueError, match=r"gradient has shape \(4, 3\), but \(4, 2\)"):
        norms()


@pytest.mark.parametrize("make", [
    lambda: VariationalNorms("uniform"),
    lambda: VariationalNorms(None)(T.matrix(dtype="float32"), T.matrix(dtype="float64"), np.float32(1)),
    lambda: VariationalNorms("normal")(T.fvector(), T.fvector(), np.float32(1)),
    lambda: VariationalNorms(None)(T.vector(dtype="float32"), T.vector(dtype="float32"), np.float64(1)),
    lambda: VariationalAdam(None)(*(4 * [T.fvector()] + 4 * [np.float32(1)])),
])
def test_invalid_inputs_of_the_operations(make):
    with pytest.raises((TypeError, ValueError)):
        make()
