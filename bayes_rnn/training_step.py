"""One step of training a Bayesian network: objective, its gradient, clipping, Adam, and a guard.

`training_step` builds the step by one of two formulations that compute the same: ``"plain"``, Theano's own gradient and
elementwise operations, which runs everywhere and is the oracle of the tests; and ``"fused"``, two passes over the
parameters of each random variable (:mod:`theano_rnn.ops.variational_adam.fused`).
`theano_rnn.ops.backend.select_backend` chooses for the recurrence and for this.
"""

from collections import OrderedDict, namedtuple

import numpy as np
import theano
import theano.tensor as T

from theano_rnn.ops.backend import use_fused
from theano_rnn.ops.variational_adam.fused import BETA_1, BETA_2, EPSILON, VariationalAdam, VariationalNorms

__all__ = ["training_step", "TrainingStep"]

#: Added to the norm by which clipping divides.
CLIP_EPSILON = 1e-7

#: loss and norm (of the gradient, before clipping): symbolic scalars. kl: OrderedDict of layer name to symbolic scalar.
#: squares: OrderedDict of parameter name to the squared norm of its gradient. updates: OrderedDict of shared variables
#: to new values, for `theano.function`; those that are no parameters are the state of Adam, named after the parameters.
TrainingStep = namedtuple("TrainingStep", ["loss", "norm", "kl", "squares", "updates"])


def training_step(network, data_loss, train_size, learning_rate, clip=None, backend=None):
    r"""A step of Adam [1]_ that minimises ``data_loss + KL / train_size``.

    With :math:`g` the gradient, scaled to a total norm of at most `clip`, and t the number of the step:

    .. math::

        m_t &= 0.9 m_{t-1} + 0.1 g, \qquad v_t = 0.999 v_{t-1} + 0.001 g^2 \\
        \theta_t &= \theta_{t-1} - \eta \frac{\sqrt{1 - 0.999^t}}{1 - 0.9^t} \frac{m_t}{\sqrt{v_t} + 10^{-8}}

    Where the loss or the norm of the gradient is not finite, the parameters and the state of Adam stay as they are.

    Parameters
    ----------
    network : bayes_rnn.models.TextClassifier or LanguageModel
    data_loss : symbolic scalar
        Mean loss of the minibatch, in nats; of the network's output, without the KL divergence.
    train_size : int
        Number of training objects.
    learning_rate : float
        :math:`\eta`.
    clip : float, optional
        Bound of the total norm of the gradient.
    backend : {None, 'reference', 'fused'}
        None for the result of `theano_rnn.ops.backend.select_backend`.

    Returns
    -------
    TrainingStep

    References
    ----------
    .. [1] D. P. Kingma and J. Ba (2015): Adam: A method for stochastic optimization. ICLR, arXiv:1412.6980,
       algorithm 1, in the order of computation of the end of section 2.

    Examples
    --------
    >>> import theano
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.models import TextClassifier
    >>> from bayes_rnn.training_step import training_step
    >>> network = TextClassifier(parse_config("LLLCCL", "classification"), 1000, 16, 8, classes=2)
    >>> step = training_step(network, network.data_loss(), train_size=500, learning_rate=1e-3)
    >>> train = theano.function(network.inputs + [network.targets], step.loss, updates=step.updates)
    """
    parameters = list(network.parameters().values())
    formulation = (_Fused if use_fused(backend, parameters) else _Plain)(network, data_loss, train_size)
    kl = formulation.kl()
    loss = data_loss + sum(kl.values()) * formulation.kl_weight
    squares = OrderedDict((parameter.name, formulation.squares[parameter]) for parameter in parameters)
    norm = T.sqrt(sum(squares.values()))
    factor = None if clip is None else T.minimum(1, _like(clip, norm) / (norm + _like(CLIP_EPSILON, norm)))
    finite = T.le(T.abs_(loss) + norm, np.finfo("float32").max)
    state = _AdamState(parameters)
    updates = formulation.updates(state, state.step_size(learning_rate), factor, finite)
    updates[state.step] = T.switch(finite, state.step + 1, state.step)
    return TrainingStep(loss, norm, kl, squares, updates)


def _like(number, variable):
    """A number in the precision of a variable."""
    return np.asarray(number, dtype=variable.dtype)


class _AdamState(object):
    """The shared variables of Adam: ``means`` and ``squares`` by parameter, and ``step``, the steps taken so far."""

    def __init__(self, parameters):
        self.means = OrderedDict((parameter, self._zeros(parameter, "mean")) for parameter in parameters)
        self.squares = OrderedDict((parameter, self._zeros(parameter, "square")) for parameter in parameters)
        self.step = theano.shared(np.asarray(0, dtype=theano.config.floatX), "adam.step")

    @staticmethod
    def _zeros(parameter, moment):
        return theano.shared(np.zeros_like(parameter.get_value(borrow=True)), "adam.%s.%s" % (parameter.name, moment),
                             broadcastable=parameter.broadcastable)

    def step_size(self, learning_rate):
        """The learning rate with the correction for moments that start at zero."""
        number = self.step + 1
        return _like(learning_rate, number) * T.sqrt(1 - _like(BETA_2, number) ** number) \
            / (1 - _like(BETA_1, number) ** number)


class _Plain(object):
    """The step as Theano makes it of the formulas."""

    def __init__(self, network, data_loss, train_size):
        parameters = list(network.parameters().values())
        self.network, self.kl_weight = network, _like(1. / train_size, parameters[0])
        gradients = T.grad(data_loss + sum(network.kl().values()) * self.kl_weight, parameters)
        self.gradients = OrderedDict(zip(parameters, gradients))
        self.squares = {parameter: T.sum(gradient ** 2) for parameter, gradient in self.gradients.items()}

    def kl(self):
        return self.network.kl()

    def updates(self, state, step_size, factor, finite):
        updates = OrderedDict()
        for parameter, gradient in self.gradients.items():
            gradient = gradient if factor is None else gradient * factor
            mean, square = state.means[parameter], state.squares[parameter]
            updates[mean] = _like(BETA_1, mean) * mean + _like(1 - BETA_1, mean) * gradient
            updates[square] = _like(BETA_2, square) * square + _like(1 - BETA_2, square) * gradient ** 2
            updates[parameter] = parameter - step_size * updates[mean] / (
                T.sqrt(updates[square]) + _like(EPSILON, square))
        return OrderedDict((variable, T.switch(finite, new, variable)) for variable, new in updates.items())


class _Fused(object):
    """The step in two passes over the parameters of each random variable."""

    def __init__(self, network, data_loss, train_size):
        parameters = list(network.parameters().values())
        self.network, self.kl_weight = network, _like(1. / train_size, parameters[0])
        self.gradients = dict(zip(parameters, T.grad(data_loss, parameters)))
        self.groups = _groups(network)
        self.squares, self.divergences = {}, {}
        for name, (prior, group) in self.groups.items():
            gradients = [self.gradients[parameter] for parameter in group]
            self.divergences[name], squares = VariationalNorms(prior)(*(group + gradients + [self.kl_weight]))
            self.squares.update((parameter, squares[index]) for index, parameter in enumerate(group))

    def kl(self):
        """As `network.kl`, of the divergences that are computed anyway."""
        zero = T.constant(0, dtype=self.kl_weight.dtype)
        return OrderedDict(
            (layer_name, sum((self.divergences[group] for group, (prior, _) in self.groups.items()
                              if prior is not None and group[0] == layer_name), zero))
            for layer_name in self.network.layers)

    def updates(self, state, step_size, factor, finite):
        scalars = [self.kl_weight] + [T.cast(number, self.kl_weight.dtype.name)
                                      for number in (1 if factor is None else factor, step_size)]
        updates = OrderedDict()
        for prior, group in self.groups.values():
            old = group + [state.means[parameter] for parameter in group] \
                + [state.squares[parameter] for parameter in group]
            new = VariationalAdam(prior)(*(old + [self.gradients[parameter] for parameter in group] + scalars
                                           + [T.cast(finite, "int8")]))
            updates.update(zip(old, new))
        return updates


def _groups(network):
    """Parameters that one pass takes together: OrderedDict of (layer name, name) to (prior, list of parameters)."""
    groups = OrderedDict()
    for layer_name, layer in network.layers.items():
        left = list(layer.get_params())
        for variable in layer.random_variables:
            if variable.parameters():
                groups[layer_name, variable.name] = (variable.prior, variable.parameters())
        taken = set(parameter for variable in layer.random_variables for parameter in variable.parameters())
        groups.update(((layer_name, parameter.name), (None, [parameter]))
                      for parameter in left if parameter not in taken)
    return groups
