"""Configures Theano for all tests as the experiments do, before anything imports it."""

import os

import pytest

from Experiments.shared import theano_setup

theano_setup.configure()


def pytest_addoption(parser):
    parser.addoption("--golden-dir", default=os.path.join(os.path.dirname(__file__), "golden"),
                     help="folder with bayes_rnn/*.npz and other golden values (default: tests/golden)")


@pytest.fixture
def float64():
    """Double precision, for comparisons with exact values."""
    import theano
    before = theano.config.floatX
    theano.config.floatX = "float64"
    yield
    theano.config.floatX = before
