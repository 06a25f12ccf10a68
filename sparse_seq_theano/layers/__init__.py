"""Lasagne layers with predefined sparseness, and dropout layers with shared masks."""

from theano_rnn import ops  # noqa: F401  (configures Theano)

from .dense import dense_layer
from .dropout import DropoutLayer, LockedDropoutLayer
from .embedding import SparseDecoderLayer, SparseEmbeddingLayer
from .lstm import SparseLSTMLayer

__all__ = ["DropoutLayer", "LockedDropoutLayer", "SparseDecoderLayer", "SparseEmbeddingLayer", "SparseLSTMLayer",
           "dense_layer"]
