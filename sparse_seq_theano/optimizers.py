"""SGD with weight decay and momentum, averaged SGD and Adam, as Theano update dictionaries.

As in `lasagne.updates`, a function returns an OrderedDict of shared variable to new value. Keys that are not parameters
are the optimiser's state, named after their parameter (``"sgd.decoder.b.velocity"``).
"""

from collections import OrderedDict

import numpy as np
import theano
import theano.tensor as T

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

__all__ = ["total_norm", "clip_by_total_norm", "sgd", "average", "make_averages", "adam"]

#: Added to the norm by which clipping divides.
CLIP_EPSILON = 1e-6


def total_norm(gradients):
    """The Euclidean norm of all gradients together: symbolic scalar.

    Parameters
    ----------
    gradients : list of symbolic tensors
    """
    return T.sqrt(sum(T.sum(gradient ** 2) for gradient in gradients))


def clip_by_total_norm(gradients, max_norm):
    """Shrink all gradients by one factor where their total norm is above a bound.

    The factor is ``min(1, max_norm / (norm + 1e-6))``: Pascanu, Mikolov, Bengio: On the difficulty of training
    recurrent neural networks, arXiv 1211.5063, section 3.2.

    Parameters
    ----------
    gradients : list of symbolic tensors
    max_norm : float
        0 for no bound.

    Returns
    -------
    gradients : list of symbolic tensors
    norm : symbolic scalar
        Before clipping.

    Raises
    ------
    ReportedError
        For a negative bound.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.optimizers import clip_by_total_norm
    >>> (clipped,), norm = clip_by_total_norm([T.constant([3., 4.])], max_norm=1.)
    >>> print("%.3f %.3f %.3f" % (tuple(clipped.eval()) + (norm.eval(),)))
    0.600 0.800 5.000
    """
    if not max_norm >= 0:
        raise ReportedError("bound of the gradient norm is %s, expected a positive number, or 0 for none" % max_norm)
    norm = total_norm(gradients)
    if max_norm == 0:
        return list(gradients), norm
    scale = T.minimum(1, np.asarray(max_norm, norm.dtype) / (norm + np.asarray(CLIP_EPSILON, norm.dtype)))
    return [gradient * scale for gradient in gradients], norm


def sgd(gradients, parameters, learning_rate, weight_decay=0., momentum=0.):
    """Stochastic gradient descent.

    ::

        velocity = momentum * velocity + gradient + weight_decay * parameter
        parameter = parameter - learning_rate * velocity

    Weight decay acts on the gradients as they are given: clip them before.

    Parameters
    ----------
    gradients : list of symbolic tensors
    parameters : list of shared variables
    learning_rate : float or symbolic scalar
    weight_decay : float
    momentum : float
        0 keeps no state.

    Returns
    -------
    OrderedDict
        Of parameters and, with momentum, of velocities ``"sgd.<parameter>.velocity"``, zero at first.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton: On the importance of initialization and momentum in deep learning, ICML 2013,
    section 2. Here the learning rate scales the velocity and not what is added to it.

    Examples
    --------
    >>> import theano
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.optimizers import sgd
    >>> p = theano.shared(1.)
    >>> step = theano.function([], updates=sgd([2 * p], [p], learning_rate=0.25))
    >>> _ = step()
    >>> float(p.get_value())
    0.5
    """
    updates = OrderedDict()
    for gradient, parameter in _pairs(gradients, parameters):
        step = _with_weight_decay(gradient, parameter, weight_decay)
        if momentum:
            velocity = _zeros_like(parameter, "sgd.%s.velocity")
            step = _like(momentum, parameter) * velocity + step
            updates[velocity] = step
        updates[parameter] = parameter - _like(learning_rate, parameter) * step
    return updates


def make_averages(parameters):
    """Shared variables for `average`, ``"average.<parameter>"``, with the parameters' values of now.

    Parameters
    ----------
    parameters : list of shared variables

    Returns
    -------
    list of shared variables
    """
    return [_shared_like(parameter, parameter.get_value(), "average.%s") for parameter in parameters]


def average(parameters, averages, step):
    """The running mean of averaged SGD, taken after each step of `sgd`.

    ``average = average + (parameter - average) / max(1, step - 1)``: the mean of the parameters after steps 2 to
    `step`, and after step 1 the parameters themselves. Polyak, Juditsky: Acceleration of Stochastic Approximation by
    Averaging, SIAM J. Control Optim. 30(4), 1992, with the step count of the AWD-LSTM (arXiv 1708.02182, section 3;
    t0 = 0, lambd = 0).

    Parameters
    ----------
    parameters : list of shared variables
    averages : list of shared variables
        From `make_averages`, in the same order.
    step : symbolic int scalar
        Steps since averaging began, with the one just taken: 1 for the first.

    Returns
    -------
    OrderedDict
        Of `averages` only. Compile it as a function of its own and call it after the step.

    Examples
    --------
    >>> import theano
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.optimizers import average, make_averages
    >>> p, number = theano.shared(1.), T.iscalar()
    >>> means = make_averages([p])
    >>> update = theano.function([number], updates=average([p], means, number))
    >>> for step, value in enumerate([5., 2., 4.]):
    ...     p.set_value(value)
    ...     _ = update(step + 1)
    >>> float(means[0].get_value())
    3.0
    """
    updates = OrderedDict()
    for parameter, mean in zip(parameters, averages):
        updates[mean] = mean + (parameter - mean) / _like(T.maximum(1, step - 1), parameter)
    return updates


def adam(gradients, parameters, learning_rate=0.001, weight_decay=0.):
    """Adam, with weight decay added to the gradient (an L2 penalty, not decoupled).

    Parameters
    ----------
    gradients : list of symbolic tensors
    parameters : list of shared variables
    learning_rate : float or symbolic scalar
    weight_decay : float

    Returns
    -------
    OrderedDict
        Of parameters, their moments ``"adam.<parameter>.mean"`` and ``...square``, and ``"adam.step"``.

    References
    ----------
    Kingma, Ba: Adam: A Method for Stochastic Optimization, arXiv 1412.6980, algorithm 1, as `lasagne.updates.adam`.
    """
    decayed = [_with_weight_decay(gradient, parameter, weight_decay)
               for gradient, parameter in _pairs(gradients, parameters)]
    updates = lasagne.updates.adam(decayed, parameters, learning_rate)
    unnamed = [variable for variable in updates if variable not in set(parameters)]
    names = ["adam.%s.%s" % (parameter.name, moment) for parameter in parameters for moment in ("mean", "square")]
    for variable, name in zip(unnamed, names + ["adam.step"]):
        variable.name = name
    return updates


def _pairs(gradients, parameters):
    if len(gradients) != len(parameters):
        raise ReportedError("%d gradients for %d parameters: give one gradient for each parameter, in the same order"
                            % (len(gradients), len(parameters)))
    return zip(gradients, parameters)


def _with_weight_decay(gradient, parameter, weight_decay):
    return gradient + _like(weight_decay, parameter) * parameter if weight_decay else gradient


def _like(value, parameter):
    """A number or symbolic scalar in the precision of the parameter, so that the update is of its type."""
    if isinstance(value, theano.Variable):
        return T.cast(value, parameter.dtype)
    return T.constant(value, dtype=parameter.dtype)


def _zeros_like(parameter, name):
    return _shared_like(parameter, np.zeros_like(parameter.get_value(borrow=True)), name)


def _shared_like(parameter, value, name):
    return theano.shared(value, name % parameter.name, broadcastable=parameter.broadcastable)
