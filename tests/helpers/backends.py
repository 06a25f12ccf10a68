"""Marks and modes for tests of operations that have a fused backend and a reference implementation."""

import contextlib
from unittest import mock

from theano_rnn.ops.compiled_op import CompiledOp

import numpy as np
import pytest
import theano

HAVE_FUSED = bool(theano.config.cxx)

needs_fused = pytest.mark.skipif(not HAVE_FUSED, reason="no C++ compiler")
both = pytest.mark.parametrize("backend", ["reference", pytest.param("fused", marks=needs_fused)])

#: All graph rewrites, but Theano's own operations run in Python: only ours, which have no Python code, are compiled.
OPTIMISED = theano.Mode(linker="py", optimizer="fast_run")


@contextlib.contextmanager
def theano_in_python():
    """Run Theano's own operations in Python, also in constant folding: nothing but our fused operations is compiled."""
    make_c_thunk = theano.gof.Op.make_c_thunk

    def only_ours(self, *arguments, **options):
        if not isinstance(self, CompiledOp):
            raise NotImplementedError("this operation runs in Python")
        return make_c_thunk(self, *arguments, **options)
    with mock.patch.object(theano.gof.Op, "make_c_thunk", only_ours):
        yield


def assert_close(actual, expected, dtype, tolerance):
    """Compare an array of a backend with the expected one; the tolerance is relative to the largest element."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype == dtype
    if expected.size:
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1, abs(expected).max()))
