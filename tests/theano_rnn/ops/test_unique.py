"""The distinct values of a vector, against NumPy's."""

from theano_rnn.ops.unique import unique as unique_of
from theano_rnn.ops.unique.fused import UniqueWithInverse, are_distinct, mark_distinct

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import needs_fused
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytestmark = needs_fused


@pytest.fixture(scope="module")
def unique():
    values = {"int32": T.ivector(), "int64": T.lvector()}
    return {dtype: theano.function([x], UniqueWithInverse()(x)) for dtype, x in values.items()}


def limits(dtype):
    """Strategy of integers of all sizes, so that the sort needs from one to all of its passes."""
    bits = np.iinfo(dtype).bits - 1
    return st.integers(0, bits).flatmap(lambda size: st.integers(-2 ** size, 2 ** size - 1))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_equals_numpy(unique, dtype, data):
    values = data.draw(arrays(dtype, st.integers(0, 30), elements=limits(dtype)))
    distinct, index = unique[dtype](values)
    assert (distinct.dtype, index.dtype) == (dtype, "int64")
    for found, expected in zip((distinct, index), np.unique(values, return_inverse=True)):
        np.testing.assert_array_equal(found, expected)


def test_many_values_of_which_most_occur_often(unique):
    values = np.random.RandomState(1).zipf(1.3, 50000) % 2000003
    distinct, index = unique["int64"](values)
    expected = np.unique(values, return_inverse=True)
    np.testing.assert_array_equal(distinct, expected[0])
    np.testing.assert_array_equal(index, expected[1])


def test_every_other_one(unique):
    values = np.array([5, 1, 4, 0, 5, 9], dtype=np.int32)
    np.testing.assert_array_equal(unique["int32"](values[::2])[0], [4, 5])


def test_the_next_process_need_not_compile_it_again():
    values = T.ivector()
    graph = theano.gof.FunctionGraph([values], UniqueWithInverse()(values))
    version, _ = theano.gof.CLinker().accept(graph).cmodule_key()
    assert version


@pytest.mark.parametrize("values", [T.vector(), T.imatrix(), T.bvector()])
def test_only_vectors_of_integers_are_accepted(values):
    with pytest.raises(TypeError, match="a vector of int32 or int64 was expected"):
        UniqueWithInverse()(values)


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_floats_are_refused_instead_of_truncated(backend):
    with pytest.raises(TypeError, match="expected integers, got float32: convert them"):
        unique_of(T.fmatrix(), backend)


def test_distinct_values_are_known_also_in_another_function():
    values = T.lvector()
    distinct, index = UniqueWithInverse()(values)
    assert are_distinct(distinct) and not are_distinct(index) and not are_distinct(values)
    given = distinct.type()
    mark_distinct(given)
    assert are_distinct(given.clone()) and not are_distinct(given + 1)
