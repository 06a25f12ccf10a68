"""A step whose loss or gradient is not finite changes nothing."""

from theano_rnn.ops.finite_guard import guarded_updates, is_finite

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.networks import compiled

LARGEST = float(np.finfo("float32").max)


@pytest.fixture(scope="module")
def check():
    loss, norm = T.dscalars(2)
    return compiled([loss, norm], is_finite(loss, norm))


@pytest.mark.parametrize("loss, norm, finite", [
    (0., 0., True), (-3., 2., True), (LARGEST, 0., True), (-LARGEST, 0., True), (0., LARGEST, True),
    (2 * LARGEST, 0., False), (-2 * LARGEST, 0., False), (0., 2 * LARGEST, False),
    (np.nan, 1., False), (1., np.nan, False), (np.inf, 1., False), (-np.inf, 1., False), (1., np.inf, False),
    (-np.inf, np.inf, False),
])
def test_is_finite(check, loss, norm, finite):
    assert bool(check(loss, norm)) is finite


def test_all_variables_change_or_none():
    matrix, number = theano.shared(np.ones((2, 3)), "matrix"), theano.shared(np.float32(5), "number")
    loss, norm = T.dscalars(2)
    updates = guarded_updates({matrix: matrix * loss, number: number + np.float32(1)}, loss, norm)
    assert set(updates) == {matrix, number}
    step = compiled([loss, norm], loss, updates=updates)
    for bad in ((np.nan, 1.), (2., np.inf)):
        step(*bad)
        np.testing.assert_array_equal(matrix.get_value(), np.ones((2, 3)))
        assert number.get_value() == 5
    step(2., 1.)
    np.testing.assert_array_equal(matrix.get_value(), np.full((2, 3), 2.))
    assert number.get_value() == 6 and number.get_value().dtype == "float32"
