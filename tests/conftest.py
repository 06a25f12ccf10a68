"""Configures Theano for all tests as the experiments do, before anything imports it."""

import contextlib
import os

import pytest

from theano_rnn.runtime import configuration

configuration.configure()


def pytest_addoption(parser):
    parser.addoption("--golden-dir", default=os.path.join(os.path.dirname(__file__), "golden"),
                     help="folder with bayes_rnn/*.npz and other golden values (default: tests/golden)")


@contextlib.contextmanager
def _in_float64():
    import theano
    before = theano.config.floatX
    theano.config.floatX = "float64"
    yield
    theano.config.floatX = before


@pytest.fixture
def float64():
    """Double precision, for comparisons with exact values."""
    with _in_float64():
        yield


@pytest.fixture(scope="module")
def double_precision():
    """The same for all tests of a module, and for what its module fixtures compile."""
    with _in_float64():
        yield


@pytest.fixture
def seeded():
    """Lasagne's initialisers draw the same numbers in every test."""
    import numpy as np

    from theano_rnn.lasagne_compat import lasagne
    before = lasagne.random.get_rng()
    lasagne.random.set_rng(np.random.RandomState(1))
    yield
    lasagne.random.set_rng(before)
