"""Guarded updates: a step whose loss or gradient is not finite changes nothing."""

from collections import OrderedDict

import numpy as np
import theano.tensor as T

__all__ = ["is_finite", "guarded", "guarded_updates"]


def is_finite(loss, norm):
    """Return whether the loss and the norm of the gradient are finite and do not exceed the largest float32.

    Parameters
    ----------
    loss, norm : symbolic scalars

    Returns
    -------
    symbolic bool scalar
    """
    return T.le(T.abs_(loss) + norm, np.finfo("float32").max)


def guarded_updates(updates, loss, norm):
    """Return updates that leave all variables as they are if the loss or the norm of the gradient is not finite.

    After such a step, the state before it can be diagnosed and saved.

    Parameters
    ----------
    updates : dict of shared variable to symbolic new value
    loss, norm : symbolic scalars

    Returns
    -------
    OrderedDict of shared variable to symbolic new value

    Examples
    --------
    >>> import numpy as np
    >>> import theano
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.finite_guard import guarded_updates
    >>> p, loss = theano.shared(1.), T.dscalar()
    >>> step = theano.function([loss], updates=guarded_updates({p: p - loss}, loss, norm=0.))
    >>> _ = step(np.nan)
    >>> float(p.get_value())
    1.0
    """
    return guarded(updates, is_finite(loss, norm))


def guarded(updates, finite):
    """Return updates that leave all variables as they are if a condition is false.

    Parameters
    ----------
    updates : dict of shared variable to symbolic new value
    finite : symbolic bool scalar

    Returns
    -------
    OrderedDict of shared variable to symbolic new value
    """
    return OrderedDict((variable, T.switch(finite, new, variable)) for variable, new in updates.items())
