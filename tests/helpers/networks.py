"""Helpers of tests that compile functions of layers and networks."""

import contextlib

from theano_rnn.lasagne_compat import lasagne

import numpy as np
import theano
import theano.tensor as T

from .backends import UNOPTIMISED

__all__ = ["Ones", "compiled", "floatx", "randomise", "token_input"]


class Ones(object):
    """Random number source of ones: each sample is mean + sigma."""

    def normal(self, shape):
        return T.ones(shape)


def token_input():
    """Return the input layer of a network of token ids ``(batch, time)``."""
    return lasagne.layers.InputLayer((None, None), T.imatrix("tokens"), name="tokens")


def compiled(inputs, outputs, **options):
    """Compile a function with Python code only, because these tests check results and not speed."""
    options.setdefault("on_unused_input", "ignore")
    return theano.function(inputs, outputs, mode=UNOPTIMISED, **options)


def randomise(network, seed=0, low=-1., high=1., log_sigma=None):
    """Set all parameters of a network or layer to random values, and return it.

    Parameters
    ----------
    network : Network, lasagne.layers.Layer, or anything with ``parameters()`` or ``get_params()``
    seed : int
    low, high : float
        Values are uniform in this interval.
    log_sigma : (float, float, float), optional
        (probability, a, b): parameters named ``*.log_sigma`` are a with this probability, else b.
    """
    rng = np.random.RandomState(seed)
    parameters = network.parameters().values() if hasattr(network, "parameters") else network.get_params()
    for parameter in parameters:
        shape = parameter.get_value(borrow=True).shape
        if log_sigma and parameter.name.endswith("log_sigma"):
            probability, a, b = log_sigma
            values = np.where(rng.rand(*shape) < probability, a, b)
        else:
            values = rng.uniform(low, high, shape)
        parameter.set_value(values.astype(parameter.dtype))
    return network


@contextlib.contextmanager
def floatx(dtype):
    """Set `theano.config.floatX` within a with block."""
    before, theano.config.floatX = theano.config.floatX, dtype
    try:
        yield
    finally:
        theano.config.floatX = before
