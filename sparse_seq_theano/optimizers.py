"""SGD with weight decay and momentum, averaged SGD and Adam, as Theano update dictionaries.

As in `lasagne.updates`, each function returns an OrderedDict of shared variable to new value. Keys that are not
parameters are the state of the optimiser. They are named after their parameter (``"sgd.decoder.b.velocity"``).

The norms and Adam are those of :mod:`theano_rnn.ops.variational_adam` for parameters without a prior: one operation for
each parameter and, on a GPU, for all of them.
"""

from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.ops.backend import use_fused
from theano_rnn.ops.expressions import clipping_factor, number_like, shared_like, zeros_like
from theano_rnn.ops.finite_guard import guarded
from theano_rnn.ops.variational_adam import AdamState, Group, adam_updates, corrected_learning_rate
from theano_rnn.ops.variational_adam.fused import VariationalNorms

import numpy as np
import theano
import theano.tensor as T

__all__ = ["squared_norms", "total_norm", "clip_by_total_norm", "sgd", "average", "make_averages", "adam"]

#: Added to the norm in the denominator of `clip_by_total_norm`.
CLIP_EPSILON = 1e-6


def squared_norms(gradients):
    """Return the sum of the squared elements of each gradient.

    Parameters
    ----------
    gradients : list of symbolic tensors

    Returns
    -------
    list of symbolic scalars

    Examples
    --------
    >>> import theano
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.optimizers import squared_norms
    >>> squares = squared_norms([T.constant([3., 0.]), T.constant(4.)])
    >>> [float(square) for square in theano.function([], squares, mode="FAST_COMPILE")()]
    [9.0, 16.0]
    """
    if not use_fused(None, gradients, serves_gpu=True):
        return [T.sum(gradient ** 2) for gradient in gradients]
    # Without a prior, the operation reads no parameters: the gradients stand in for them.
    norms = VariationalNorms(prior=None)
    return [norms(gradient, gradient, number_like(0, gradient))[1][0] for gradient in gradients]


def total_norm(gradients):
    """Return the Euclidean norm of all elements of all gradients.

    Parameters
    ----------
    gradients : list of symbolic tensors

    Returns
    -------
    symbolic scalar

    Examples
    --------
    >>> import theano
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.optimizers import total_norm
    >>> norm = total_norm([T.constant([3., 0.]), T.constant(4.)])
    >>> float(theano.function([], norm, mode="FAST_COMPILE")())
    5.0
    """
    return T.sqrt(sum(squared_norms(gradients)))


def clip_by_total_norm(gradients, max_norm):
    """Multiply all gradients by ``min(1, max_norm / (norm + 1e-6))``, where norm is their total norm.

    Parameters
    ----------
    gradients : list of symbolic tensors
    max_norm : float
        Upper bound of the total norm; 0 for no bound.

    Returns
    -------
    gradients : list of symbolic tensors
    norm : symbolic scalar
        Total norm before clipping.

    Raises
    ------
    ReportedError
        If `max_norm` is negative.

    References
    ----------
    Pascanu, Mikolov, Bengio: On the difficulty of training recurrent neural networks, arXiv 1211.5063, section 3.2.

    Examples
    --------
    >>> import theano
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.optimizers import clip_by_total_norm
    >>> (clipped,), norm = clip_by_total_norm([T.constant([3., 4.])], max_norm=1.)
    >>> values = theano.function([], [clipped, norm], mode="FAST_COMPILE")()
    >>> values[0].round(3).tolist(), float(values[1])
    ([0.6, 0.8], 5.0)
    """
    if not max_norm >= 0:
        raise ReportedError("max_norm must be positive, or 0 for no bound, got %s" % max_norm)
    norm = total_norm(gradients)
    if max_norm == 0:
        return list(gradients), norm
    scale = clipping_factor(norm, max_norm, CLIP_EPSILON)
    return [gradient * scale for gradient in gradients], norm


def sgd(gradients, parameters, learning_rate, weight_decay=0., momentum=0.):
    """Return the updates of a step of stochastic gradient descent.

    ::

        velocity = momentum * velocity + gradient + weight_decay * parameter
        parameter = parameter - learning_rate * velocity

    Weight decay is added to the given gradients, so they must be clipped before.

    Parameters
    ----------
    gradients : list of symbolic tensors
    parameters : list of shared variables
    learning_rate : float or symbolic scalar
    weight_decay : float
    momentum : float
        If it is 0, there is no state.

    Returns
    -------
    OrderedDict
        Updates of the parameters and, with momentum, of the velocities ``"sgd.<parameter>.velocity"``, which are
        initially zero.

    Raises
    ------
    ReportedError
        If the numbers of gradients and parameters differ.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton: On the importance of initialization and momentum in deep learning, ICML 2013,
    section 2. There the learning rate scales the gradient, here it scales the velocity.

    Examples
    --------
    >>> import theano
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.optimizers import sgd
    >>> p = theano.shared(1.)
    >>> step = theano.function([], updates=sgd([2 * p], [p], learning_rate=0.25), mode="FAST_COMPILE")
    >>> _ = step()
    >>> float(p.get_value())
    0.5
    """
    updates = OrderedDict()
    for gradient, parameter in _pairs(gradients, parameters):
        step = _with_weight_decay(gradient, parameter, weight_decay)
        if momentum:
            velocity = zeros_like(parameter, "sgd.%s.velocity")
            step = number_like(momentum, parameter) * velocity + step
            updates[velocity] = step
        updates[parameter] = parameter - number_like(learning_rate, parameter) * step
    return updates


def make_averages(parameters):
    """Create shared variables ``"average.<parameter>"`` for `average`, with the current values of the parameters.

    Parameters
    ----------
    parameters : list of shared variables

    Returns
    -------
    list of shared variables
    """
    return [shared_like(parameter, parameter.get_value(), "average.%s") for parameter in parameters]


def average(parameters, averages, step):
    """Return the updates of the running means of averaged SGD after a step of `sgd`.

    The update is ``average = average + (parameter - average) / max(1, step - 1)``. After step 1, the average equals the
    parameter. Later, it is the mean of the parameter after steps 2, ..., `step`.

    Parameters
    ----------
    parameters : list of shared variables
    averages : list of shared variables
        From `make_averages`, in the same order.
    step : symbolic int scalar
        Number of steps since averaging began, at least 1.

    Returns
    -------
    OrderedDict
        Updates of `averages` only, for a separate function that is called after each step.

    References
    ----------
    Polyak, Juditsky: Acceleration of Stochastic Approximation by Averaging, SIAM J. Control Optim. 30(4), 1992.

    Merity, Keskar, Socher: Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182, section 3, for the step
    count, with t0 = 0 and lambd = 0.

    Examples
    --------
    >>> import theano
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.optimizers import average, make_averages
    >>> p, number = theano.shared(1.), T.iscalar()
    >>> means = make_averages([p])
    >>> update = theano.function([number], updates=average([p], means, number), mode="FAST_COMPILE")
    >>> for step, value in enumerate([5., 2., 4.]):
    ...     p.set_value(value)
    ...     _ = update(step + 1)
    >>> float(means[0].get_value())
    3.0
    """
    updates = OrderedDict()
    for parameter, mean in zip(parameters, averages):
        updates[mean] = mean + (parameter - mean) / number_like(T.maximum(1, step - 1), parameter)
    return updates


def adam(gradients, parameters, learning_rate=0.001, weight_decay=0., finite=None):
    """Return the updates of a step of Adam with an L2 penalty: weight decay is added to the gradient.

    Parameters
    ----------
    gradients : list of symbolic tensors
    parameters : list of shared variables
    learning_rate : float or symbolic scalar
    weight_decay : float
    finite : symbolic bool scalar, optional
        If it is false, nothing changes; see `theano_rnn.ops.finite_guard.is_finite`.

    Returns
    -------
    OrderedDict
        Updates of the parameters, their moments ``"adam.<parameter>.mean"`` and ``"adam.<parameter>.square"``, and
        ``"adam.step"``.

    Raises
    ------
    ReportedError
        If the numbers of gradients and parameters differ.

    References
    ----------
    Kingma, Ba: Adam: A Method for Stochastic Optimization, arXiv 1412.6980, algorithm 1, as in `lasagne.updates.adam`.

    Examples
    --------
    >>> import theano
    >>> from sparse_seq_theano.optimizers import adam
    >>> p = theano.shared(1., "p")
    >>> sorted(variable.name for variable in adam([2 * p], [p]))
    ['adam.p.mean', 'adam.p.square', 'adam.step', 'p']
    """
    decayed = [_with_weight_decay(gradient, parameter, weight_decay)
               for gradient, parameter in _pairs(gradients, parameters)]
    state = AdamState(*[OrderedDict((parameter, zeros_like(parameter, "adam.%s." + moment)) for parameter in parameters)
                        for moment in ("mean", "square")])
    number = theano.shared(np.asarray(0, dtype=theano.config.floatX), "adam.step")
    finite = np.int8(1) if finite is None else finite
    updates = adam_updates([Group(None, [parameter]) for parameter in parameters],
                           OrderedDict(zip(parameters, decayed)), state, number_like(0, parameters[0]), None,
                           corrected_learning_rate(learning_rate, number + 1), finite)
    updates.update(guarded(OrderedDict([(number, number + 1)]), finite))
    return updates


def _pairs(gradients, parameters):
    if len(gradients) != len(parameters):
        raise ReportedError("expected one gradient for each of the %d parameters, got %d"
                            % (len(parameters), len(gradients)))
    return zip(gradients, parameters)


def _with_weight_decay(gradient, parameter, weight_decay):
    return gradient + number_like(weight_decay, parameter) * parameter if weight_decay else gradient
