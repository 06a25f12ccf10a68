"""Looking up rows for the tokens of a minibatch, written once for embeddings and for projected embeddings.

Two formulations compute the same: ``"plain"``, Theano's own indexing and gradient, which runs everywhere and is the
oracle of the tests; and ``"fused"``, one operation in C++ with its gradient as a second one
(:mod:`bayes_rnn.gather_op`). `bayes_rnn.implementation.select_implementation` chooses between them.
"""

import theano.tensor as T

from .gather_op import fused_gather
from .implementation import use_fused

__all__ = ["gather"]


def gather(rows, index, scale=None, implementation=None):
    """Rows of a matrix, each multiplied by a number: ``output[a, b] = rows[index[a, b]] * scale[a, b]``.

    Parameters
    ----------
    rows : symbolic ``(U, n)``
    index : symbolic int ``(A, B)``
        From 0 to U - 1.
    scale : symbolic ``(A, B)``, optional
        1 by default.
    implementation : {None, 'plain', 'fused'}
        None for what `select_implementation` says, with plain where that is ``scan``.

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
    >>> from bayes_rnn.gather import gather
    >>> gather(T.fmatrix("rows"), T.imatrix("index")).ndim
    3
    """
    rows, index = T.as_tensor_variable(rows), T.as_tensor_variable(index)
    scale = None if scale is None else T.as_tensor_variable(scale)
    if "int" not in index.dtype:
        raise TypeError("index is {}, but integers were expected: give the numbers of the rows".format(index.dtype))
    return (fused_gather if use_fused(implementation, [rows, scale]) else _plain_gather)(rows, index, scale)


def _plain_gather(rows, index, scale):
    """`gather`, differentiated by Theano."""
    output = rows[index.flatten()].reshape((index.shape[0], index.shape[1], rows.shape[1]))
    return output if scale is None else output * scale.dimshuffle(0, 1, "x")
