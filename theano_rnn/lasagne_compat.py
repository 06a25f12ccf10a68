"""Lasagne 0.1, the last release on PyPI, made importable with Theano 0.9 and later.

``lasagne.layers.pool`` imports ``theano.tensor.signal.downsample``, a module that Theano renamed to ``pool`` in 0.7
and removed in 0.9. Registering ``pool`` under the old name before the import is all that Lasagne needs. Every module
of the project that uses Lasagne takes it from here: ``from theano_rnn.lasagne_compat import lasagne``.
"""

import sys

from theano.tensor.signal import pool

sys.modules.setdefault("theano.tensor.signal.downsample", pool)

import lasagne  # noqa: E402  (the stand-in must be registered first)

__all__ = ["lasagne"]
