"""Bayesian layers for any Lasagne network."""

from theano_rnn import ops  # noqa: F401  (configures Theano)

from .dense import BayesianDenseLayer
from .embedding import BayesianEmbeddingLayer, OneHotLayer
from .lstm import BayesianLSTMLayer, PerGate

__all__ = ["BayesianEmbeddingLayer", "OneHotLayer", "BayesianLSTMLayer", "PerGate", "BayesianDenseLayer"]
