"""The fused look-up of scaled rows against the reference implementation, and both against the formula."""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.backend import BACKEND_VARIABLE
from theano_rnn.ops.gather import gather, one_per_row
from theano_rnn.ops.gather.fused import Gather

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import OPTIMISED, UNOPTIMISED, assert_close, both, needs_fused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_rnn.layers import BayesianEmbeddingLayer, BayesianLSTMLayer

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
every_case = pytest.mark.parametrize("dtype, scaled", [("float32", True), ("float32", False), ("float64", True)])
COMPILED = {}


def gather_function(dtype, scaled, backend):
    """Return a function of rows, index, the scale if `scaled`, and the output's gradient: output, gradients."""
    key = (dtype, scaled, backend)
    if key not in COMPILED:
        arguments = [T.matrix(dtype=dtype), T.imatrix()] + ([T.matrix(dtype=dtype)] if scaled else [])
        g = T.tensor3(dtype=dtype)
        output = gather(*arguments, **dict(backend=backend))
        gradients = T.grad(None, [arguments[0]] + arguments[2:], known_grads={output: g})
        COMPILED[key] = theano.function(arguments + [g], [output] + gradients,
                                        mode=UNOPTIMISED if backend == "reference" else OPTIMISED)
    return COMPILED[key]


def values(dtype, scaled, rows, shape, columns, seed=0):
    """Return values of the arguments and of the gradient of the output."""
    rng = np.random.RandomState(seed)
    return ([rng.randn(rows, columns).astype(dtype), rng.randint(rows, size=shape).astype("int32")]
            + ([rng.randn(*shape).astype(dtype)] if scaled else []) + [rng.randn(*(shape + (columns,))).astype(dtype)])


def assert_same_results(actual, expected, dtype):
    for a, e in zip(actual, expected):
        assert_close(a, e, dtype, TOLERANCE[dtype])


@both
def test_formula(backend):
    rows, index, scale, g = values("float64", True, 7, (3, 4), 5)
    output, d_rows, d_scale = gather_function("float64", True, backend)(rows, index, scale, g)
    np.testing.assert_allclose(output, rows[index] * scale[:, :, None], rtol=1e-14)
    one_hot = np.eye(7)[index]
    np.testing.assert_allclose(d_rows, np.einsum("abu,ab,abn->un", one_hot, scale, g), atol=1e-13)
    np.testing.assert_allclose(d_scale, np.einsum("abn,abn->ab", rows[index], g), atol=1e-13)


@needs_fused
@every_case
def test_fused_equals_reference(dtype, scaled):
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(1, 30), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(1, 70),
           st.integers(0, 2 ** 32 - 1))
    def check(rows, shape, columns, seed):
        arguments = values(dtype, scaled, rows, shape, columns, seed)
        assert_same_results(gather_function(dtype, scaled, "fused")(*arguments),
                            gather_function(dtype, scaled, "reference")(*arguments), dtype)

    check()


@needs_fused
@every_case
@pytest.mark.parametrize("rows, shape, columns", [(3, (40, 6), 1024), (40, (5, 6), 2600), (500, (2, 3), 1025)])
def test_fused_equals_reference_for_many_columns(dtype, scaled, rows, shape, columns):
    arguments = values(dtype, scaled, rows, shape, columns)
    assert_same_results(gather_function(dtype, scaled, "fused")(*arguments),
                        gather_function(dtype, scaled, "reference")(*arguments), dtype)


@needs_fused
@every_case
def test_no_places(dtype, scaled):
    results = gather_function(dtype, scaled, "fused")(*values(dtype, scaled, 4, (0, 3), 5))
    assert results[0].shape == (0, 3, 5)
    assert results[1].shape == (4, 5) and not results[1].any()


@needs_fused
def test_fused_does_not_depend_on_threads_or_memory_order(monkeypatch):
    rows, index, scale, g = values("float32", True, 60, (70, 50), 1500)
    function, results = gather_function("float32", True, "fused"), []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        results.append(function(rows, index, scale, g))
    results.append(function(np.asfortranarray(rows), np.asfortranarray(index), scale.T.copy().T, g[::-1].copy()[::-1]))
    for result in results[1:]:
        for actual, expected in zip(result, results[0]):
            np.testing.assert_array_equal(actual, expected)


@needs_fused
@pytest.mark.parametrize("bad", [-1, 7])
def test_an_index_that_is_no_row_is_named(bad):
    rows, index, scale, g = values("float32", True, 7, (3, 4), 5)
    index[2, 1] = bad
    message = r"index \(2, 1\) must be in \[0, 7\), got %d" % bad
    with pytest.raises(IndexError, match=message):
        gather_function("float32", True, "fused")(rows, index, scale, g)


@needs_fused
def test_wrong_shapes_are_named():
    for position, message in ((2, r"scale has shape \(6, 4\), but \(3, 4\) was expected"),
                              (3, r"the gradient of the output has shape \(6, 4, 5\), but \(3, 4, 5\) was expected")):
        arguments = values("float32", True, 7, (3, 4), 5)
        arguments[position] = np.concatenate([arguments[position]] * 2)
        with pytest.raises(ValueError, match=message):
            gather_function("float32", True, "fused")(*arguments)


@pytest.mark.parametrize("arguments, message", [
    ((T.fmatrix(), T.fmatrix()), "index is float32, but integers were expected"),
    ((T.fmatrix(), T.imatrix(), None, "quick"), "backend must be None, 'reference' or 'fused', got 'quick'"),
])
def test_wrong_arguments(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        gather(*arguments)


@needs_fused
@pytest.mark.parametrize("arguments, message", [
    ((T.fmatrix(), T.ivector()), "gather: index has 1 dimensions, but 2 were expected"),
    ((T.fmatrix(), T.imatrix(), T.dmatrix()), "gather: scale is float64, but all arguments must be float32"),
])
def test_wrong_arguments_of_the_operation(arguments, message):
    with pytest.raises(TypeError, match=message):
        gather(*arguments, **dict(backend="fused"))


@needs_fused
@pytest.mark.parametrize("choice, count", [("fused", 1), ("reference", 0)])
def test_the_lstm_looks_up_projected_rows(monkeypatch, choice, count):
    monkeypatch.setenv(BACKEND_VARIABLE, choice)
    tokens = T.imatrix()
    embedding = BayesianEmbeddingLayer(lasagne.layers.InputLayer((None, 6), tokens), 20, 4, group_kind="L")
    output = lasagne.layers.get_output(BayesianLSTMLayer(embedding, 3), deterministic=True)
    function = theano.function([tokens], output, mode=OPTIMISED if choice == "fused" else UNOPTIMISED)
    # Only the projected rows: the output of the embedding itself, which has the shape too, is not computed.
    assert sum(isinstance(node.op, Gather) for node in function.maker.fgraph.toposort()) == count
    assert function(np.arange(12, dtype="int32").reshape(2, 6)).shape == (2, 6, 3)


def test_one_per_row():
    matrix, columns, g = T.dmatrix(), T.ivector(), T.dvector()
    picked = one_per_row(matrix, columns)
    function = theano.function([matrix, columns, g], [picked, T.grad(None, matrix, known_grads={picked: g})])
    values, chosen, gradient = np.random.RandomState(0).randn(4, 3), np.array([2, 0, 2, 1], "int32"), np.arange(1., 5)
    output, matrix_gradient = function(values, chosen, gradient)
    np.testing.assert_array_equal(output, values[np.arange(4), chosen])
    np.testing.assert_array_equal(matrix_gradient, np.eye(3)[chosen] * gradient[:, None])
    for bad in (-1, 3):
        # As an index into all elements, both would be one of another row.
        chosen[1] = bad
        with pytest.raises(IndexError):
            function(values, chosen, gradient)
