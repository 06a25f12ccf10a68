"""Lasagne 0.1, the last release on PyPI, importable with Theano 0.9 and later.

``lasagne.layers.pool`` imports ``theano.tensor.signal.downsample``, a module that Theano renamed to ``pool`` in 0.7
and removed in 0.9. Lasagne can be imported when ``pool`` is registered under the old name. Every module of the project
that uses Lasagne imports it from here: ``from theano_rnn.lasagne_compat import lasagne``. This also configures Theano,
unless that has been done (`theano_rnn.runtime.ensure_configured`).
"""

import sys

from theano_rnn.runtime import ensure_configured

ensure_configured()

from theano.tensor.signal import pool  # noqa: E402  (Theano must be configured first)

sys.modules.setdefault("theano.tensor.signal.downsample", pool)

import lasagne  # noqa: E402  (needs the module registered above)

__all__ = ["lasagne"]
