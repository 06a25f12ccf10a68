"""Small symbolic expressions and shared variables that operations, layers and optimisers have in common."""

import numpy as np
import theano
import theano.tensor as T

__all__ = ["number_like", "shared_like", "zeros_like", "clipping_factor", "concatenate"]


def number_like(number, variable):
    """Return a number in the precision of a variable, so that a product with the variable has its type.

    Parameters
    ----------
    number : float or symbolic scalar
    variable : symbolic tensor

    Returns
    -------
    numpy array without axes or symbolic scalar

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.expressions import number_like
    >>> (number_like(0.1, T.fvector()) * T.fvector()).dtype
    'float32'
    """
    if isinstance(number, theano.Variable):
        return T.cast(number, variable.dtype)
    return np.asarray(number, dtype=variable.dtype)


def shared_like(parameter, value, name):
    """Return a shared variable of the type of a parameter.

    Parameters
    ----------
    parameter : shared variable
    value : numpy.ndarray
        Of the shape of the parameter.
    name : str
        Name of the result, with ``%s`` for the name of the parameter.

    Returns
    -------
    shared variable
    """
    return theano.shared(value, name % parameter.name, broadcastable=parameter.broadcastable)


def zeros_like(parameter, name):
    """Return `shared_like` with zeros as its value."""
    return shared_like(parameter, np.zeros_like(parameter.get_value(borrow=True)), name)


def clipping_factor(norm, max_norm, epsilon):
    """Return the factor ``min(1, max_norm / (norm + epsilon))`` of gradients that are clipped by their total norm.

    Parameters
    ----------
    norm : symbolic scalar
        Total norm of the gradients.
    max_norm, epsilon : float

    Returns
    -------
    symbolic scalar
    """
    return T.minimum(1, number_like(max_norm, norm) / (norm + number_like(epsilon, norm)))


def concatenate(parts, axis):
    """Return the tensors of a list, concatenated along an axis. A single tensor is returned as it is.

    Parameters
    ----------
    parts : list of symbolic tensors
    axis : int

    Returns
    -------
    symbolic tensor
    """
    return parts[0] if len(parts) == 1 else T.concatenate(parts, axis=axis)
