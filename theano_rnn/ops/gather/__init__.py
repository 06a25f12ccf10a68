"""Looking up rows for the tokens of a minibatch, written once for embeddings and for projected embeddings.

Two formulations compute the same: ``"plain"``, Theano's own indexing and gradient, which runs everywhere and is the
oracle of the tests; and ``"fused"``, one operation in C++ with its gradient as a second one
(:mod:`theano_rnn.ops.gather.fused`). `theano_rnn.ops.backend.select_backend` chooses between them.
"""

import theano.tensor as T

from ..backend import use_fused
from .fused import fused_gather

__all__ = ["gather", "one_per_row"]


def gather(rows, index, scale=None, backend=None):
    """Rows of a matrix, each multiplied by a number: ``output[a, b] = rows[index[a, b]] * scale[a, b]``.

    Parameters
    ----------
    rows : symbolic ``(U, n)``
    index : symbolic int ``(A, B)``
        From 0 to U - 1.
    scale : symbolic ``(A, B)``, optional
        1 by default.
    backend : {None, 'reference', 'fused'}
        None for the result of `theano_rnn.ops.backend.select_backend`.

    Returns
    -------
    symbolic ``(A, B, n)``

    Raises
    ------
    IndexError
        When the compiled function is called, for an index that is no row. (Plain counts negative ones from the end.)

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.gather import gather
    >>> gather(T.fmatrix("rows"), T.imatrix("index")).ndim
    3
    """
    rows, index = T.as_tensor_variable(rows), T.as_tensor_variable(index)
    scale = None if scale is None else T.as_tensor_variable(scale)
    if "int" not in index.dtype:
        raise TypeError("index is {}, but integers were expected: give the numbers of the rows".format(index.dtype))
    return (fused_gather if use_fused(backend, [rows, scale]) else _plain_gather)(rows, index, scale)


def _plain_gather(rows, index, scale):
    """`gather`, differentiated by Theano."""
    output = rows[index.flatten()].reshape((index.shape[0], index.shape[1], rows.shape[1]))
    return output if scale is None else output * scale.dimshuffle(0, 1, "x")


def one_per_row(matrix, columns):
    """One element of each row: ``output[n] = matrix[n, columns[n]]``.

    Theano leaves the gradient of an index of two vectors to the host, also where it compiles for a GPU; one vector that
    counts the elements of all rows is the same to the CPU and stays on the GPU.

    Parameters
    ----------
    matrix : symbolic ``(N, V)``
    columns : symbolic int ``(N,)``
        From 0 to V - 1.

    Returns
    -------
    symbolic ``(N,)``

    Raises
    ------
    IndexError
        When the compiled function is called, for an element that is no column.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.gather import one_per_row
    >>> one_per_row(T.constant([[1., 2.], [3., 4.]]), T.constant([1, 0])).eval().tolist()
    [2.0, 3.0]
    """
    rows, width, columns = matrix.shape[0], matrix.shape[1], T.cast(columns, "int64")
    inside = T.and_(T.ge(columns, 0), T.lt(columns, width))
    # What is outside must not become an element of another row, so it goes past the end.
    return matrix.flatten()[T.switch(inside, T.arange(rows) * width + columns, rows * width)]
