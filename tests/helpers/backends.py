"""Marks and modes for tests of operations that have a fused backend and a reference implementation."""

import contextlib
from unittest import mock

from theano_rnn.ops.compiled_op import CompiledOp

import numpy as np
import pytest
import theano
from theano.sandbox import rng_mrg

HAVE_FUSED = bool(theano.config.cxx)

needs_fused = pytest.mark.skipif(not HAVE_FUSED, reason="no C++ compiler")
both = pytest.mark.parametrize("backend", ["reference", pytest.param("fused", marks=needs_fused)])

#: All graph rewrites, but Theano's own operations run in Python: only ours, which have no Python code, are compiled.
OPTIMISED = theano.Mode(linker="py", optimizer="fast_run")

#: No graph rewrites, all operations run in Python: a function is made in less than half the time of FAST_COMPILE.
UNOPTIMISED = theano.Mode(linker=theano.gof.vm.VM_Linker(use_cloop=False, c_thunks=False), optimizer=None)


def compile_random_streams():
    """Let Theano compile the function that initialises its random streams, which it does once per process.

    In a mode that computes in Python, it would keep a function that takes a second for each random variable.
    """
    if HAVE_FUSED:
        rng_mrg.multMatVect(np.zeros(6, "int32"), rng_mrg.A1p72, rng_mrg.M1, rng_mrg.A2p72, rng_mrg.M2)


@contextlib.contextmanager
def theano_in_python():
    """Run Theano's own operations in Python, also in constant folding: nothing but our fused operations is compiled."""
    compile_random_streams()
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
