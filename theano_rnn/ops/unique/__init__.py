"""Distinct values of an integer matrix: the tokens that occur in a minibatch.

Both backends run on the host on every device, because the tokens of a minibatch come from the host.
"""

import theano.tensor as T

from ..backend import use_fused
from .fused import fused_unique
from .reference import reference_unique

__all__ = ["unique"]


def unique(values, backend=None):
    """Return the distinct values of a symbolic integer tensor, and the position of each element among them.

    Parameters
    ----------
    values : symbolic int
        Of any shape.
    backend : {None, 'reference', 'fused'}
        None for the result of `theano_rnn.ops.backend.select_backend`.

    Returns
    -------
    distinct : symbolic vector ``(U,)``
        In increasing order.
    index : symbolic int64, of the shape of `values`
        ``distinct[index] == values``.

    Raises
    ------
    TypeError
        If `values` are not integers.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.unique import unique
    >>> distinct, index = unique(T.constant([[7, 3], [7, 9]]))
    >>> distinct.eval().tolist()
    [3, 7, 9]
    """
    values = T.as_tensor_variable(values)
    if values.dtype not in T.integer_dtypes:
        raise TypeError("unique() expected integers, got {}: convert them with T.cast(values, 'int64')".format(
            values.dtype))
    operation = fused_unique if use_fused(backend, serves_gpu=True) else reference_unique
    dtype = values.dtype if values.dtype in ("int32", "int64") else "int64"
    distinct, index = operation(T.cast(values.flatten(), dtype))
    return distinct, index.reshape(values.shape)
