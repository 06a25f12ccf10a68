r"""Training of the parameters of random variables: Kullback-Leibler divergence, gradient norms, and Adam [1]_.

The objective is ``data_loss + kl_weight * KL``. A training step takes two passes over the parameters. The first pass,
`objective_norms`, computes the divergence and the norm of the gradient, which are needed before any parameter changes.
The second pass, `adam_updates`, takes a step of Adam. With :math:`g` the gradient multiplied by `factor`
(the step size of log sigma is also multiplied by `log_sigma_rate`):

.. math::

    m_t &= 0.9 m_{t-1} + 0.1 g, \qquad v_t = 0.999 v_{t-1} + 0.001 g^2 \\
    \theta_t &= \theta_{t-1} - \mathrm{step\_size} \frac{m_t}{\sqrt{v_t} + 10^{-8}}

The reference implementation consists of Theano's own gradient and elementwise operations. The fused implementation
recomputes the gradient of the divergence in the second pass, and updates the parameters in place. On a GPU, each pass
is one operation on all parameters (:mod:`theano_rnn.ops.variational_adam.gpu`).

References
----------
.. [1] D. P. Kingma and J. Ba (2015): Adam: A method for stochastic optimization. ICLR, arXiv:1412.6980,
   algorithm 1, in the order of computation of the end of section 2.
"""

from collections import namedtuple

import theano.tensor as T

from ..backend import use_fused
from ..expressions import number_like
from .fused import fused_norms, fused_updates
from .reference import BETA_1, BETA_2, log_alpha, log_uniform_kl, normal_kl, reference_norms, reference_updates

__all__ = ["BETA_1", "BETA_2", "AdamState", "Group", "adam_updates", "corrected_learning_rate", "log_alpha",
           "log_uniform_kl", "normal_kl", "objective_norms"]

#: Parameters that are processed together: mean and log sigma of a random variable with its prior (``"normal"`` or
#: ``"log_uniform"``), or one deterministic parameter with prior None. `parameters` is a list.
Group = namedtuple("Group", ["prior", "parameters"])

#: The moments of Adam: two dicts of parameter to shared variable of the same shape.
AdamState = namedtuple("AdamState", ["means", "squares"])


def objective_norms(data_loss, groups, kl_weight, backend=None):
    """Return the divergences and the squared norms of the objective's gradient.

    Parameters
    ----------
    data_loss : symbolic scalar
    groups : list of Group
    kl_weight : numpy scalar array or symbolic scalar
        In the precision of the parameters.
    backend : {None, 'reference', 'fused'}
        None for the result of `theano_rnn.ops.backend.select_backend`.

    Returns
    -------
    divergences : list of symbolic scalars
        Divergence of each group; 0 for a group without a prior.
    squares : dict of parameter to symbolic scalar
        Squared norm of the gradient.
    gradients : OrderedDict of parameter to symbolic tensor
        Gradients, to be passed to `adam_updates` with the same backend.
    """
    return (fused_norms if _use_fused(backend, groups) else reference_norms)(data_loss, groups, kl_weight)


def adam_updates(groups, gradients, state, kl_weight, factor, step_size, finite, backend=None, log_sigma_rate=1.):
    """Return the updates of a step of Adam.

    Parameters
    ----------
    groups, kl_weight, backend
        As for `objective_norms`.
    gradients : OrderedDict
        From `objective_norms`.
    state : AdamState
        Moments.
    factor : symbolic scalar or None
        Factor of the gradient of the objective; None for 1.
    step_size : symbolic scalar
    finite : symbolic bool scalar
        If false, nothing changes.
    log_sigma_rate : float
        Factor of the step size for the log sigma of a random variable.

    Returns
    -------
    OrderedDict of shared variable to symbolic new value
    """
    updates = fused_updates if _use_fused(backend, groups) else reference_updates
    return updates(groups, gradients, state, kl_weight, factor, step_size, finite, log_sigma_rate)


def corrected_learning_rate(learning_rate, number):
    r"""Return the step size of `adam_updates`: the learning rate, corrected for moments that start at zero.

    It is :math:`\eta \sqrt{1 - 0.999^t} / (1 - 0.9^t)`.

    Parameters
    ----------
    learning_rate : float or symbolic scalar
        :math:`\eta`.
    number : symbolic scalar
        Number t of the step, from 1.

    Returns
    -------
    symbolic scalar
        In the precision of `number`.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.variational_adam import corrected_learning_rate
    >>> number = T.dscalar()
    >>> round(float(corrected_learning_rate(0.1, number).eval({number: 1.})), 5)
    0.03162
    """
    return number_like(learning_rate, number) * T.sqrt(1 - number_like(BETA_2, number) ** number) \
        / (1 - number_like(BETA_1, number) ** number)


def _use_fused(backend, groups):
    return use_fused(backend, [parameter for group in groups for parameter in group.parameters], serves_gpu=True)
