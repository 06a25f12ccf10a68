"""Marks and modes for tests of operations that have a fused backend and a reference implementation."""

import numpy as np
import pytest
import theano

HAVE_FUSED = bool(theano.config.cxx)

needs_fused = pytest.mark.skipif(not HAVE_FUSED, reason="no C++ compiler")
both = pytest.mark.parametrize("backend", ["reference", pytest.param("fused", marks=needs_fused)])

#: All graph rewrites, but Theano's own operations run in Python: only ours, which have no Python code, are compiled.
OPTIMISED = theano.Mode(linker="py", optimizer="fast_run")


def assert_close(actual, expected, dtype, tolerance):
    """Compare an array of a backend with the expected one; the tolerance is relative to the largest element."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype == dtype
    if expected.size:
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1, abs(expected).max()))
