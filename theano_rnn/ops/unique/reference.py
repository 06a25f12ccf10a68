"""Distinct values by Theano's own operation, which calls NumPy."""

from theano.tensor.extra_ops import Unique

__all__ = ["Unique", "reference_unique"]


def reference_unique(values):
    """Return the distinct values of a symbolic integer vector and the inverse index, int64."""
    return Unique(return_inverse=True)(values)
