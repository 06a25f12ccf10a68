"""Training of a Bayesian network: objective, gradient, clipping, and guarded updates by Adam.

The networks are those of `bayes_rnn.models`, and any Lasagne network with layers of `bayes_rnn.layers`.
"""

from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError
from theano_rnn.network import named_layers, named_parameters
from theano_rnn.ops.backend import use_fused
from theano_rnn.ops.expressions import clipping_factor, number_like, zeros_like
from theano_rnn.ops.finite_guard import guarded, is_finite
from theano_rnn.ops.variational_adam import AdamState, Group, adam_updates, corrected_learning_rate, objective_norms

import numpy as np
import theano
import theano.tensor as T
from theano.gof.graph import ancestors

from .layers.base import bayesian_layers

__all__ = ["kl", "training_step", "TrainingStep", "interpolated"]

#: Added to the norm in the denominator of clipping.
CLIP_EPSILON = 1e-7

#: loss and norm (of the gradient, before clipping): symbolic scalars. kl: OrderedDict of layer name to symbolic scalar.
#: squares: OrderedDict of parameter name to the squared norm of its gradient. updates: OrderedDict of shared variables
#: to new values, for `theano.function`. Keys that are not parameters are the state of Adam, named after parameters.
TrainingStep = namedtuple("TrainingStep", ["loss", "norm", "kl", "squares", "updates"])


def kl(network):
    """Return the KL divergence from the posteriors to the priors, summed over all Bayesian layers of a network.

    The training objective is ``data_loss + kl(network) / train_size``: the mean loss of the minibatch in nats, and the
    divergence divided by the number of training examples, not by that of the minibatch (arXiv:1810.10927, section 2).
    An example is what the mean is taken over: a text, or a predicted token of a tagger or language model.
    `training_step` has this objective.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or bayes_rnn.models network
        A Lasagne network is given by its output layer or layers.

    Returns
    -------
    symbolic scalar

    Raises
    ------
    ReportedError
        If there is no Bayesian layer, or two layers have the same name.

    Examples
    --------
    >>> from bayes_rnn.layers import BayesianDenseLayer, BayesianLSTMLayer
    >>> from bayes_rnn.training_step import kl
    >>> output = BayesianDenseLayer(BayesianLSTMLayer((None, 7, 5), num_units=4, only_return_final=True), num_units=3)
    >>> kl(output).ndim
    0
    """
    return sum(layer.kl() for layer in bayesian_layers(network))


def training_step(network, data_loss, train_size, learning_rate, clip=None, backend=None, kl_warmup=0,
                  rate_schedule=None, log_sigma_rate=1.):
    r"""Return a step of Adam [1]_ that minimises ``data_loss + KL / train_size``.

    With :math:`g` the gradient, scaled to a total norm of at most `clip`, and t the number of the step:

    .. math::

        m_t &= 0.9 m_{t-1} + 0.1 g, \qquad v_t = 0.999 v_{t-1} + 0.001 g^2 \\
        \theta_t &= \theta_{t-1} - \eta \frac{\sqrt{1 - 0.999^t}}{1 - 0.9^t} \frac{m_t}{\sqrt{v_t} + 10^{-8}}

    If the loss or the norm of the gradient is not finite, the parameters and the state of Adam do not change.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or bayes_rnn.models network
        A Lasagne network is given by its output layer or layers. All its trainable parameters are trained, those of
        layers that are not Bayesian too.
    data_loss : symbolic scalar
        Mean loss of the minibatch, in nats, without the KL divergence.
    train_size : int
        Number of training examples; see `kl`.
    learning_rate : float
        :math:`\eta`.
    clip : float, optional
        Upper bound of the total norm of the gradient.
    backend : {None, 'reference', 'fused'}
        Backend of :mod:`theano_rnn.ops.variational_adam`; None for the result of
        `theano_rnn.ops.backend.select_backend`.
    kl_warmup : int
        Number of steps in which the weight of the KL divergence grows linearly [2]_. The objective of step t, from 1,
        is ``data_loss + min(1, (t - 1) / kl_warmup) * KL / train_size``: the weight is 0 in the first step and complete
        from step ``kl_warmup + 1``. The number of the step is part of the state of Adam, so a resumed run continues
        where it was. With 0, the weight is always complete, as published.
    rate_schedule : sequence of (float, float), optional
        Pairs (number of steps taken, factor of the learning rate), the numbers increasing. Between them, the factor is
        interpolated linearly; before the first and after the last, it is constant. By default, it is 1.
    log_sigma_rate : float
        Factor of the learning rate of the log sigma of all random variables.

    Returns
    -------
    TrainingStep
        `loss` is the objective of the step, with the weight of the step.

    Raises
    ------
    ReportedError
        If `train_size` is not positive, or the loss does not depend on a parameter.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba (2015): Adam: A method for stochastic optimization. ICLR, arXiv:1412.6980,
       algorithm 1, in the order of computation of the end of section 2.
    .. [2] C. K. Sønderby, T. Raiko, L. Maaløe, S. K. Sønderby and O. Winther (2016): Ladder variational autoencoders.
       NIPS, arXiv:1602.02282, section 2.3.

    Examples
    --------
    >>> import theano
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.models import TextClassifier
    >>> from bayes_rnn.training_step import training_step
    >>> network = TextClassifier(parse_config("LLLCCL", "classification"), 1000, 16, 8, classes=2)
    >>> step = training_step(network, network.data_loss(), train_size=500, learning_rate=1e-3)
    >>> train = theano.function(network.inputs + [network.targets], step.loss, updates=step.updates)

    A Lasagne network:

    >>> from theano_rnn.lasagne_compat import lasagne
    >>> from theano_rnn.step_function import step_function
    >>> import theano.tensor as T
    >>> from bayes_rnn.layers import BayesianDenseLayer
    >>> features, targets = T.matrix(), T.ivector()
    >>> output = BayesianDenseLayer(lasagne.layers.InputLayer((None, 5), features), num_units=3,
    ...                             nonlinearity=lasagne.nonlinearities.softmax)
    >>> probabilities = lasagne.layers.get_output(output)
    >>> loss = lasagne.objectives.categorical_crossentropy(probabilities, targets).mean()
    >>> step = training_step(output, loss, train_size=500, learning_rate=1e-3)
    >>> train = step_function([features, targets], [step.loss], step.updates)
    """
    layers, parameters = named_layers(network), named_parameters(network)
    backend = "fused" if use_fused(backend, parameters.values(), serves_gpu=True) else "reference"
    if not train_size > 0:
        raise ReportedError("train_size must be the number of training examples, got %s" % (train_size,))
    _check_that_it_depends(data_loss, parameters)
    number = theano.shared(np.asarray(0, dtype=theano.config.floatX), "adam.step")
    kl_weight = number_like(1. / train_size, next(iter(parameters.values())))
    if kl_warmup:
        kl_weight = kl_weight * T.minimum(1, number_like(number / number_like(kl_warmup, number), kl_weight))
    groups = _named_groups(layers)
    passed = [group for _, group in groups]
    divergences, squares, gradients = objective_norms(data_loss, passed, kl_weight, backend)
    zero = T.constant(0, dtype=kl_weight.dtype)
    kl = OrderedDict(
        (layer_name, sum((divergence for (name, group), divergence in zip(groups, divergences)
                          if name == layer_name and group.prior is not None), zero))
        for layer_name in layers)
    loss = data_loss + sum(kl.values()) * kl_weight
    squares = OrderedDict((name, squares[parameter]) for name, parameter in parameters.items())
    norm = T.sqrt(sum(squares.values()))
    factor = None if clip is None else clipping_factor(norm, clip, CLIP_EPSILON)
    finite = is_finite(loss, norm)
    state = AdamState(*[OrderedDict((parameter, _moment(parameter, "adam.%s.%s" % (name, moment)))
                                    for name, parameter in parameters.items()) for moment in ("mean", "square")])
    step_size = corrected_learning_rate(learning_rate, number + 1)
    if rate_schedule is not None:
        step_size = step_size * interpolated(rate_schedule, number)
    updates = adam_updates(passed, gradients, state, kl_weight, factor, step_size, finite, backend, log_sigma_rate)
    updates.update(guarded({number: number + 1}, finite))
    return TrainingStep(loss, norm, kl, squares, updates)


def _check_that_it_depends(data_loss, parameters):
    """Raise an error that names the parameters on which the data loss does not depend."""
    used = set(ancestors([data_loss]))
    missing = [name for name, parameter in parameters.items() if parameter not in used]
    if missing:
        raise ReportedError("data_loss does not depend on %s; compute it from lasagne.layers.get_output of the same "
                            "network, without deterministic=True and pruned=True" % ", ".join(missing))


def _named_groups(layers):
    """Return the trained parameters as pairs of the name of the layer and a `Group`, each parameter once."""
    groups, taken = [], set()
    for name, layer in layers.items():
        for group in _groups(layer):
            shared = taken.intersection(group.parameters)
            taken.update(group.parameters)
            if shared and group.prior is not None:
                raise ReportedError("layer %s shares the parameter %s of a random variable with another layer, so its "
                                    "divergence would count twice" % (name, shared.pop().name))
            if not shared:
                groups.append((name, group))
    return groups


def _groups(layer):
    """Return the parameters of a layer: a `Group` of each random variable, then one of each other parameter."""
    groups = [Group(variable.prior, variable.parameters()) for variable in getattr(layer, "random_variables", [])
              if variable.parameters()]
    taken = set(parameter for group in groups for parameter in group.parameters)
    return groups + [Group(None, [parameter]) for parameter in layer.get_params(trainable=True)
                     if parameter not in taken]


def _moment(parameter, name):
    """Return a moment of Adam, initially zero. A parameter of a layer without a name has no unique name itself."""
    moment = zeros_like(parameter, "%s")
    moment.name = name
    return moment


def interpolated(pairs, position):
    """Return the value at a position of a function that is linear between given points.

    Parameters
    ----------
    pairs : sequence of (float, float)
        Positions, increasing, and the values there. Outside, the function is constant.
    position : symbolic scalar

    Returns
    -------
    symbolic scalar
        In the precision of `position`.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from bayes_rnn.training_step import interpolated
    >>> position = T.dscalar()
    >>> value = interpolated([(0, 1), (10, 5)], position)
    >>> [float(value.eval({position: number})) for number in (-1., 5., 20.)]
    [1.0, 3.0, 5.0]
    """
    value = number_like(pairs[0][1], position)
    for (begin, low), (end, high) in zip(pairs, pairs[1:]):
        share = T.clip((position - number_like(begin, position)) / number_like(end - begin, position), 0, 1)
        value = value + share * number_like(high - low, position)
    return value
