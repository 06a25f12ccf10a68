"""The fused cross-entropy against the reference implementation, and both against the properties of a softmax."""

from theano_rnn.ops.backend import BACKEND_VARIABLE
from theano_rnn.ops.cross_entropy import softmax_cross_entropy
from theano_rnn.ops.cross_entropy.fused import SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import HAVE_FUSED, OPTIMISED, UNOPTIMISED, assert_close, both, needs_fused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparse_seq_theano.architecture import language_model_architecture
from sparse_seq_theano.awd_lstm import AWDLanguageModel

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
every_case = pytest.mark.parametrize("dtype, with_bias", [("float32", True), ("float32", False), ("float64", True)])
COMPILED = {}


def variables(dtype, with_bias):
    """Return scores, targets and, if `with_bias`, the bias, as symbolic variables."""
    return [T.matrix(dtype=dtype), T.ivector()] + ([T.vector(dtype=dtype)] if with_bias else [])


def loss_function(dtype, with_bias, backend):
    """Return a function of the arguments and the gradient of nll: nll, most_probable, the gradients. Compiled once."""
    key = (dtype, with_bias, backend)
    if key not in COMPILED:
        arguments, g = variables(dtype, with_bias), T.vector(dtype=dtype)
        nll, most_probable = softmax_cross_entropy(*arguments, backend=backend)
        gradients = T.grad(None, [arguments[0]] + arguments[2:], known_grads={nll: g})
        COMPILED[key] = theano.function(arguments + [g], [nll, most_probable] + gradients,
                                        mode=UNOPTIMISED if backend == "reference" else OPTIMISED)
    return COMPILED[key]


def values(dtype, with_bias, rows, columns, seed=0):
    """Return values of the arguments and of the gradient of nll. Some scores are equal."""
    rng = np.random.RandomState(seed)
    scores = np.round(3 * rng.randn(rows, columns), 1).astype(dtype)
    bias = [np.round(rng.randn(columns), 1).astype(dtype)] if with_bias else []
    return [scores, rng.randint(columns, size=rows).astype("int32")] + bias + [rng.randn(rows).astype(dtype)]


def assert_same_results(actual, expected, dtype):
    """Compare nll, most_probable and the gradients."""
    np.testing.assert_array_equal(actual[1], expected[1])
    assert actual[1].dtype == "int64"
    for a, e in zip(actual[:1] + actual[2:], expected[:1] + expected[2:]):
        assert_close(a, e, dtype, TOLERANCE[dtype])


@needs_fused
@every_case
def test_fused_equals_reference(dtype, with_bias):
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 2 ** 32 - 1))
    def check(rows, columns, seed):
        arguments = values(dtype, with_bias, rows, columns, seed)
        assert_same_results(loss_function(dtype, with_bias, "fused")(*arguments),
                            loss_function(dtype, with_bias, "reference")(*arguments), dtype)

    check()


@needs_fused
@every_case
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (3, 1024), (50, 2049)])
def test_fused_equals_reference_for_many_columns(dtype, with_bias, shape):
    arguments = values(dtype, with_bias, *shape)
    assert_same_results(loss_function(dtype, with_bias, "fused")(*arguments),
                        loss_function(dtype, with_bias, "reference")(*arguments), dtype)


@both
def test_formula(backend):
    scores, targets, bias, g = values("float64", True, 6, 37)
    nll, most_probable, d_scores, d_bias = loss_function("float64", True, backend)(scores, targets, bias, g)
    p = np.exp(scores + bias) / np.exp(scores + bias).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(nll, -np.log(p[np.arange(6), targets]), rtol=1e-12)
    np.testing.assert_array_equal(most_probable, p.argmax(axis=1))
    np.testing.assert_allclose(d_scores, g[:, None] * (p - np.eye(37)[targets]), rtol=0, atol=1e-14)
    np.testing.assert_allclose(d_bias, d_scores.sum(axis=0), rtol=0, atol=1e-14)


@needs_fused
def test_gradient_of_the_bias_is_accurate_for_many_rows():
    rows = 200000
    scores, targets, bias, _ = values("float32", True, rows, 3)
    targets[:] = 0
    d_bias = loss_function("float32", True, "fused")(scores, targets, bias, np.ones(rows, "float32"))[3]
    p = np.exp(scores.astype("float64") + bias)
    p /= p.sum(axis=1, keepdims=True)
    # Row after row, the sums would be wrong by 6e-5.
    np.testing.assert_allclose(d_bias, p.sum(axis=0) - [rows, 0, 0], rtol=1e-5)


@both
def test_of_equal_scores_the_first_is_most_probable(backend):
    scores = np.zeros((4, 3000), "float32")
    scores[1, [1023, 1024, 2999]] = 1
    scores[2, [2500, 2501]] = 2
    scores[3, 17:] = -1e-3
    scores[3, :17] = -np.inf
    result = loss_function("float32", False, backend)(scores, np.zeros(4, "int32"), np.ones(4, "float32"))
    np.testing.assert_array_equal(result[1], [0, 1023, 2500, 17])


@both
@every_case
def test_extreme_scores(backend, dtype, with_bias):
    arguments = values(dtype, with_bias, 4, 50)
    arguments[0][0], arguments[0][0, 7] = -1e4, 1e4         # certain, and right or wrong
    arguments[0][1], arguments[0][1, 7] = -1e4, 1e4
    arguments[0][2] += 1e4                                  # far from 0, but close together
    arguments[0][3] -= 1e4
    arguments[1][:2] = 7, 8
    result = loss_function(dtype, with_bias, backend)(*arguments)
    scores = (arguments[0] + arguments[2] if with_bias else arguments[0]).astype("float64")
    scores -= scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    tolerance = 20 * TOLERANCE[dtype]
    np.testing.assert_allclose(result[0], -log_p[np.arange(4), arguments[1]], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        result[2], arguments[-1][:, None] * (np.exp(log_p) - np.eye(50)[arguments[1]]), rtol=0, atol=tolerance)


@both
@every_case
def test_not_finite_scores(backend, dtype, with_bias):
    arguments = values(dtype, with_bias, 5, 40)
    arguments[1][:] = 20
    expected = loss_function(dtype, with_bias, backend)(*arguments)
    arguments[0][0, 3] = np.nan
    arguments[0][1, 39] = np.inf
    arguments[0][2] = -np.inf                               # no distribution
    arguments[0][3, 20] = -np.inf                           # its own target is impossible
    result = loss_function(dtype, with_bias, backend)(*arguments)
    assert np.isnan(result[0][:3]).all() and result[0][3] == np.inf
    assert np.isnan(result[2][:3]).all() and np.isfinite(result[2][3]).all()
    assert result[2][3, 20] == -arguments[-1][3]
    assert list(result[1][:3]) == [3, 39, 0]
    np.testing.assert_array_equal(result[0][4], expected[0][4])     # rows do not touch each other
    np.testing.assert_array_equal(result[2][4], expected[2][4])
    if with_bias:
        assert np.isnan(result[3]).all()


@both
def test_impossible_words_change_nothing(backend):
    scores, targets, g = values("float64", False, 5, 40)
    expected = loss_function("float64", False, backend)(scores, targets, g)
    more = np.concatenate([scores, np.full((5, 30), -np.inf)], axis=1)
    nll, most_probable, d_scores = loss_function("float64", False, backend)(more, targets, g)
    np.testing.assert_allclose(nll, expected[0], rtol=1e-13)
    np.testing.assert_array_equal(most_probable, expected[1])
    np.testing.assert_allclose(d_scores[:, :40], expected[2], rtol=0, atol=1e-14)
    assert np.all(d_scores[:, 40:] == 0)


@needs_fused
def test_impossible_words_get_no_gradient_in_float32():
    scores, targets, g = values("float32", False, 5, 40)
    scores[:, 30:], targets[:] = -np.inf, 3
    assert np.all(loss_function("float32", False, "fused")(scores, targets, g)[2][:, 30:] == 0)


@needs_fused
@pytest.mark.parametrize("shape", [(601, 1001), (7, 100003), (100003, 7)])
def test_fused_does_not_depend_on_threads_or_memory_order(monkeypatch, shape):
    scores, targets, bias, g = values("float32", True, *shape)
    function, results = loss_function("float32", True, "fused"), []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        results.append(function(scores, targets, bias, g))
    results.append(function(np.asfortranarray(scores), np.repeat(targets, 2)[::2], np.repeat(bias, 2)[::2], g))
    for result in results[1:]:
        for actual, expected in zip(result, results[0]):
            np.testing.assert_array_equal(actual, expected)


def gradient_op(function):
    op, = [node.op for node in function.maker.fgraph.toposort() if isinstance(node.op, SoftmaxCrossEntropyGradient)]
    return op


@needs_fused
def test_the_gradient_is_written_over_the_scores_where_nobody_needs_them():
    scores, targets, bias, _ = values("float32", True, 30, 45)
    x, y, b = variables("float32", True)
    doubled = 2 * x
    nll, _ = softmax_cross_entropy(doubled, y, b, backend="fused")
    d_scores = T.grad(nll.sum(), doubled)
    alone = theano.function([x, y, b], d_scores, mode=OPTIMISED)
    beside = theano.function([x, y, b], [d_scores, doubled, T.exp(doubled)], mode=OPTIMISED)
    assert gradient_op(alone).inplace
    assert not gradient_op(beside).inplace and not gradient_op(loss_function("float32", True, "fused")).inplace
    before = scores.copy()
    expected = loss_function("float32", True, "fused")(2 * scores, targets, bias, np.ones(30, "float32"))[2]
    np.testing.assert_array_equal(alone(scores, targets, bias), expected)
    actual, kept, exponentials = beside(scores, targets, bias)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(kept, 2 * before)
    np.testing.assert_allclose(exponentials, np.exp(2 * before), rtol=1e-5)
    np.testing.assert_array_equal(scores, before)


@needs_fused
def test_loss_and_accuracy_of_the_language_model_are_one_operation():
    network = AWDLanguageModel(language_model_architecture(20, emsize=4, nhid=6))
    outputs = network.outputs(deterministic=True)
    results = [network.token_losses(outputs).mean(), network.correct_predictions(outputs)]
    gradients = T.grad(network.training_loss(outputs), [network.decoder.b])
    function = theano.function(network.inputs + [network.targets], results + gradients, mode=OPTIMISED)
    nodes = function.maker.fgraph.toposort()
    assert sum(isinstance(node.op, SoftmaxCrossEntropy) for node in nodes) == 1
    assert gradient_op(function).inplace
    assert not any(isinstance(node.op, T.MaxAndArgmax) for node in nodes)
    tokens, targets = np.random.RandomState(0).randint(20, size=(2, 3, 5)).astype("int32")
    loss, right, d_bias = function(*([tokens] + network.initial_state(3) + [targets]))
    log_p = theano.function(network.inputs, network.log_probabilities(outputs), mode=UNOPTIMISED,
                            on_unused_input="ignore")(*([tokens] + network.initial_state(3)))
    assert abs(loss + log_p[np.arange(15), targets.ravel()].mean()) < 1e-5
    assert right == (log_p.argmax(axis=1) == targets.ravel()).sum()
    np.testing.assert_allclose(d_bias, (np.exp(log_p) - np.eye(20)[targets.ravel()]).mean(axis=0), atol=1e-5)


@needs_fused
@pytest.mark.parametrize("bad", [-1, 45, 2 ** 40])
def test_a_target_that_is_no_column_is_named(bad):
    scores, targets, g = values("float32", False, 30, 45)
    x, y = T.fmatrix(), T.lvector()
    function = theano.function([x, y], softmax_cross_entropy(x, y, backend="fused")[0], mode=UNOPTIMISED)
    targets = targets.astype("int64")
    targets[12] = bad
    with pytest.raises(IndexError, match=r"target 12 must be in \[0, 45\), the columns of the scores, got %d" % bad):
        function(scores, targets)


@needs_fused
def test_wrong_shapes_are_named():
    for position, message in ((1, r"targets has shape \(60\), but \(30\) was expected"),
                              (2, r"bias has shape \(90\), but \(45\) was expected"),
                              (3, r"the gradient of nll has shape \(60\), but \(30\) was expected")):
        arguments = values("float32", True, 30, 45)
        arguments[position] = np.concatenate([arguments[position]] * 2)
        with pytest.raises(ValueError, match=message):
            loss_function("float32", True, "fused")(*arguments)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64"])
@both
def test_integers_of_any_type(backend, dtype):
    scores, targets, g = values("float64", False, 5, 9)
    x, y = T.dmatrix(), T.vector(dtype=dtype)
    nll, _ = softmax_cross_entropy(x, y, backend=backend)
    function = theano.function([x, y], nll, mode=UNOPTIMISED)
    expected = loss_function("float64", False, "reference")(scores, targets, g)[0]
    np.testing.assert_allclose(function(scores, targets.astype(dtype)), expected, rtol=1e-12)


@both
def test_no_rows(backend):
    results = loss_function("float32", True, backend)(*values("float32", True, 0, 5))
    assert [result.shape for result in results] == [(0,), (0,), (0, 5), (5,)]
    np.testing.assert_array_equal(results[3], 0)


@needs_fused
def test_symbolic_shape_is_actual_shape():
    arguments = variables("float32", True)
    nll, most_probable = softmax_cross_entropy(*arguments, backend="fused")
    gradients = T.grad(nll.sum(), [arguments[0], arguments[2]])
    function = theano.function(arguments, [x.shape for x in [nll, most_probable] + gradients],
                               on_unused_input="ignore", mode=OPTIMISED)
    nodes = function.maker.fgraph.toposort()
    assert not any(isinstance(node.op, (SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient)) for node in nodes)
    assert [tuple(shape) for shape in function(*values("float32", True, 6, 7)[:3])] == [(6,), (6,), (6, 7), (7,)]


def test_errors_in_the_arguments():
    x, y, b = variables("float32", True)
    with pytest.raises(ValueError, match="backend must be None, 'reference' or 'fused', got 'fast'"):
        softmax_cross_entropy(x, y, backend="fast")
    with pytest.raises(TypeError, match="targets is float32, but integers were expected"):
        softmax_cross_entropy(x, b)
    with pytest.raises(TypeError, match="bias is float64, but all arguments must be float32 or all float64"):
        softmax_cross_entropy(x, y, T.dvector(), backend="fused")
    with pytest.raises(TypeError, match="scores has 3 dimensions, but 2 were expected"):
        softmax_cross_entropy(T.ftensor3(), y, backend="fused")


def test_the_environment_variable_selects_the_backend(monkeypatch):
    def chosen(*arguments):
        nll, _ = softmax_cross_entropy(*arguments)
        return "fused" if isinstance(nll.owner.op, SoftmaxCrossEntropy) else "reference"

    x, y, b = variables("float32", True)
    monkeypatch.delenv(BACKEND_VARIABLE, raising=False)
    assert chosen(x, y, b) == chosen(x, y) == ("fused" if HAVE_FUSED else "reference")
    assert chosen(x, y, T.dvector()) == "reference"
    monkeypatch.setenv(BACKEND_VARIABLE, "reference")
    assert chosen(x, y, b) == "reference"
