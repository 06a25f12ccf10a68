"""Look-up of rows of a matrix: of embeddings, or of embeddings multiplied by the weights of the next layer."""

import theano.tensor as T

from ..backend import use_fused
from .fused import fused_gather
from .reference import reference_gather

__all__ = ["gather", "one_per_row"]


def gather(rows, index, scale=None, backend=None):
    """Return rows of a matrix, each multiplied by a scalar: ``output[a, b] = rows[index[a, b]] * scale[a, b]``.

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
        When the compiled function is called, for an index outside [0, U). (In the reference implementation, negative
        indices count from the end.)
    TypeError
        If `index` is not an integer tensor.

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
        raise TypeError("index is {}, but integers were expected: give row indices".format(index.dtype))
    return (fused_gather if use_fused(backend, [rows, scale]) else reference_gather)(rows, index, scale)


def one_per_row(matrix, columns):
    """Return one element of each row: ``output[n] = matrix[n, columns[n]]``.

    Theano computes the gradient of an index of two vectors on the host, even if its device is a GPU. This function uses
    one vector of indices into the flattened matrix, which is as fast on the CPU and stays on the GPU.

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
        When the compiled function is called, for a column outside [0, V).

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.gather import one_per_row
    >>> one_per_row(T.constant([[1., 2.], [3., 4.]]), T.constant([1, 0])).eval().tolist()
    [2.0, 3.0]
    """
    rows, width, columns = matrix.shape[0], matrix.shape[1], T.cast(columns, "int64")
    inside = T.and_(T.ge(columns, 0), T.lt(columns, width))
    # An invalid column must not select an element of another row, so its index is past the end.
    return matrix.flatten()[T.switch(inside, T.arange(rows) * width + columns, rows * width)]
