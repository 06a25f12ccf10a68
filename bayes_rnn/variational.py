"""Random variables of a Bayesian network. This module defines the meaning of the kinds L, N, D and C.

A layer asks its random variables for a sample, a mean, a pruned mean, a Kullback-Leibler (KL) divergence or a keep
mask. It does not depend on their kind.

References
----------
Molchanov, Ashukha, Vetrov: Variational Dropout Sparsifies Deep Neural Networks, ICML 2017, arXiv:1701.05369, section 4.
Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, EMNLP 2018, arXiv:1810.10927,
sections 2 and 3, for recurrent networks.
"""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.variational_adam import log_alpha, log_uniform_kl, normal_kl

import numpy as np
import theano
import theano.tensor as T

__all__ = ["KINDS", "random_variable", "RandomVariable", "Constant", "Deterministic", "Normal", "LogUniform",
           "LOG_ALPHA_THRESHOLD", "INITIAL_LOG_SIGMA"]

#: A weight is pruned if log_alpha = log(sigma^2 / mu^2) is at least this, a signal-to-noise ratio of about 0.22.
LOG_ALPHA_THRESHOLD = 3.0
#: Initial log sigma of all probabilistic variables.
INITIAL_LOG_SIGMA = -3.0
#: Added to a variance, so that the gradient of its square root is finite even if all inputs are zero.
LOCAL_VARIANCE_FLOOR = 1e-8


class RandomVariable(object):
    """A random variable: the individual weights of one matrix, or one family of group variables.

    Parameters
    ----------
    name : str
        Name within the layer: ``"W_hid"``, ``"z_gates"``. The parameters are named after it.
    shape : tuple of int

    Attributes
    ----------
    name : str
    shape : tuple of int
    prunable : bool
        Whether elements can be pruned (kind L).
    prior : {None, 'normal', 'log_uniform'}
        The prior in the KL divergence; None if the variable has no posterior distribution.
    """

    prunable, prior = False, None

    def __init__(self, name, shape):
        self.name, self.shape = name, shape

    def value(self, noise, examples=None, deterministic=False, pruned=False):
        """Return a sample, the mean, or the pruned mean.

        Parameters
        ----------
        noise : NormalNoise
            Random number source.
        examples : symbolic int, optional
            Draw one independent sample per example of the minibatch, for group variables. By default, draw one sample
            for all examples.
        deterministic : bool
            Return the mean.
        pruned : bool
            Return the mean with the pruned elements set to zero. Implies `deterministic`.

        Returns
        -------
        symbolic tensor or None
            Of shape `shape`. If `examples` is given, there is a leading axis of length `examples`, or of length 1 if
            all examples share the value. None represents the constant 1.
        """
        if pruned or deterministic:
            value = self.pruned_mean() if pruned else self.mean()
            return value if examples is None or value is None else T.shape_padleft(value)
        return self.sample(noise, examples)

    def sample(self, noise, examples=None):
        """Return a sample for training; see `value`."""
        value = self.mean()
        return value if examples is None or value is None else T.shape_padleft(value)

    def mean(self):
        """Return the symbolic posterior mean, of shape `shape`; None for a constant."""
        raise NotImplementedError("%s must define mean" % type(self).__name__)

    def pruned_mean(self):
        """Return the symbolic mean with the pruned elements set to zero."""
        return self.mean()

    def sample_product(self, input, noise):
        """Return a sample of ``dot(input, weights)`` by local reparametrisation.

        The product is sampled instead of the weights (Kingma, Salimans, Welling, arXiv:1506.02557, section 2.3). All
        time steps of an example share the noise.

        Parameters
        ----------
        input : symbolic ``(B, features)`` or ``(B, time, features)``
        noise : NormalNoise
            Random number source.

        Returns
        -------
        symbolic ``(B, units)`` or ``(B, time, units)``
        """
        return T.dot(input, self.mean())

    def kl(self):
        """Return the KL divergence from the posterior to the prior, summed over all elements: symbolic scalar."""
        return T.constant(0, dtype=theano.config.floatX)

    def keep_mask(self):
        """Return which elements are not pruned: bool array of shape `shape`."""
        return np.ones(self.shape, dtype=bool)

    def pruned_value(self):
        """Return the current pruned mean: numpy array of shape `shape`."""
        return np.ones(self.shape, dtype=theano.config.floatX)

    def parameters(self):
        """Return the trained shared variables: [mean, log_sigma], [mean] or []."""
        return []

    def rows(self, index):
        """Return the random variable restricted to some rows, so that only these are sampled.

        Parameters
        ----------
        index : symbolic vector of int
            Row indices.

        Returns
        -------
        RandomVariable
        """
        return self


class Constant(RandomVariable):
    """Kind C: the constant 1, not trained."""

    def mean(self):
        return None


class Deterministic(RandomVariable):
    """Kind D: a trained value without a distribution."""

    def __init__(self, name, shape, mean):
        super(Deterministic, self).__init__(name, shape)
        self._mean = mean

    def mean(self):
        return self._mean

    def parameters(self):
        return [self._mean]

    def pruned_value(self):
        return np.where(self.keep_mask(), self._mean.get_value(), 0).astype(self._mean.dtype)

    def rows(self, index):
        return type(self)(self.name, self.shape, self._mean[index])


class _Probabilistic(Deterministic):
    """A normal posterior distribution with trained mean and log_sigma."""

    def __init__(self, name, shape, mean, log_sigma):
        super(_Probabilistic, self).__init__(name, shape, mean)
        self.log_sigma = log_sigma

    def parameters(self):
        return [self._mean, self.log_sigma]

    def sample(self, noise, examples=None):
        shape = self._mean.shape if examples is None else T.concatenate([[examples], self._mean.shape])
        ndim = self._mean.ndim + (examples is not None)
        return self._mean + T.exp(self.log_sigma) * noise.normal([shape[axis] for axis in range(ndim)])

    def sample_product(self, input, noise):
        epsilon = noise.normal((input.shape[0], self._mean.shape[1]))
        if input.ndim == 3:
            epsilon = epsilon.dimshuffle(0, "x", 1)
        deviation = T.sqrt(T.dot(input ** 2, T.exp(2 * self.log_sigma)) + LOCAL_VARIANCE_FLOOR)
        return T.dot(input, self._mean) + deviation * epsilon

    def rows(self, index):
        return type(self)(self.name, self.shape, self._mean[index], self.log_sigma[index])


class Normal(_Probabilistic):
    """Kind N: normal posterior, standard normal prior, never pruned."""

    prior = "normal"

    def kl(self):
        return normal_kl(self._mean, self.log_sigma).sum()


class LogUniform(_Probabilistic):
    """Kind L: normal posterior, log-uniform prior, pruned if log alpha is at least `LOG_ALPHA_THRESHOLD`."""

    prunable, prior = True, "log_uniform"

    def pruned_mean(self):
        return T.switch(log_alpha(self._mean, self.log_sigma) < LOG_ALPHA_THRESHOLD, self._mean, 0)

    def kl(self):
        return log_uniform_kl(self._mean, self.log_sigma).sum()

    def keep_mask(self):
        return self.log_alpha() < LOG_ALPHA_THRESHOLD

    def log_alpha(self):
        """Return the current log alpha of all elements: numpy array of shape `shape`."""
        with np.errstate(divide="ignore"):
            return log_alpha(self._mean.get_value(), self.log_sigma.get_value())


#: The class of each kind.
KINDS = {"L": LogUniform, "N": Normal, "D": Deterministic, "C": Constant}


def random_variable(layer, kind, spec, shape, name, **tags):
    """Create a random variable and register its parameters with a Lasagne layer.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Gets the parameter ``name`` (the mean) and, for kinds L and N, ``name.log_sigma``, tagged ``variational``.
    kind : {'L', 'N', 'D', 'C'}
    spec : Theano shared variable, numpy array or callable
        Initial mean, as for `lasagne.layers.Layer.add_param`.
    shape : tuple of int
    name : str
        Name within the layer.
    **tags
        Passed to `add_param`.

    Returns
    -------
    RandomVariable

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> from theano_rnn.lasagne_compat import lasagne
    >>> from bayes_rnn.variational import random_variable
    >>> layer = lasagne.layers.InputLayer((None, 3), name="layer")
    >>> z = random_variable(layer, "L", lasagne.init.Constant(1.), (3,), "z")
    >>> [parameter.name for parameter in z.parameters()]
    ['layer.z', 'layer.z.log_sigma']
    >>> z.keep_mask().tolist()
    [True, True, True]
    """
    if kind not in KINDS:
        raise ValueError("kind must be one of %s, got %r" % (", ".join(sorted(KINDS)), kind))
    if kind == "C":
        return Constant(name, shape)
    parameters = [layer.add_param(spec, shape, name, **tags)]
    if issubclass(KINDS[kind], _Probabilistic):
        parameters.append(layer.add_param(lasagne.init.Constant(INITIAL_LOG_SIGMA), shape, name + ".log_sigma",
                                          variational=True, regularizable=False))
    return KINDS[kind](name, shape, *parameters)
