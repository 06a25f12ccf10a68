"""Random variables of a Bayesian network: one object each, and one place that knows what L, N, D and C mean.

A layer asks its variables for a sample, a mean, a pruned mean, a Kullback-Leibler divergence or a keep mask, and never
looks at the letter. Formulas: Molchanov, Ashukha, Vetrov, *Variational Dropout Sparsifies Deep Neural Networks*,
ICML 2017 (section 4), used for recurrent networks by Chirkova et al. (arXiv 1810.10927, sections 2 and 3).
"""

import numpy as np
import theano
import theano.tensor as T

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.variational_adam import log_alpha, log_uniform_kl, normal_kl

__all__ = ["KINDS", "random_variable", "LOG_ALPHA_THRESHOLD", "INITIAL_LOG_SIGMA"]

#: A weight is pruned where log_alpha = log(sigma^2 / mu^2) reaches this: a signal-to-noise ratio of about 0.05.
LOG_ALPHA_THRESHOLD = 3.0
INITIAL_LOG_SIGMA = -3.0
# Keeps the gradient of the square root finite where an input is all zero.
LOCAL_VARIANCE_FLOOR = 1e-8


class RandomVariable(object):
    """One random variable: the individual weights of one matrix, or one family of group variables.

    Attributes
    ----------
    name : str
        As its parameters are named in the layer: ``"W_hid"``, ``"z_gates"``.
    shape : tuple of int
    prunable : bool
        Whether elements can be pruned (kind L).
    prior : {None, "normal", "log_uniform"}
        What `kl` measures the distance to; None where there is no posterior.
    """

    prunable, prior = False, None

    def __init__(self, name, shape):
        self.name, self.shape = name, shape

    def value(self, noise, objects=None, deterministic=False, pruned=False):
        """Sample, mean or pruned mean, as Lasagne's ``deterministic`` and our ``pruned`` ask.

        Parameters
        ----------
        noise : NormalNoise
        objects : symbolic int, optional
            Draw one independent sample per object of the minibatch (group variables) instead of one for all.
        deterministic, pruned : bool
            The mean; the mean with pruned elements zero (`pruned` implies `deterministic`).

        Returns
        -------
        symbolic tensor or None
            Of the variable's shape, with a leading axis of length `objects` if given (length 1 where all objects
            share the value). None stands for the constant 1.
        """
        if pruned or deterministic:
            value = self.pruned_mean() if pruned else self.mean()
            return value if objects is None or value is None else T.shape_padleft(value)
        return self.sample(noise, objects)

    def sample(self, noise, objects=None):
        """A sample for training; see `value`."""
        value = self.mean()
        return value if objects is None or value is None else T.shape_padleft(value)

    def mean(self):
        """The posterior mean, of the variable's shape; None for a constant."""
        raise AssertionError("to be defined by the kind")

    def pruned_mean(self):
        """The mean with pruned elements zero."""
        return self.mean()

    def sample_product(self, input, noise):
        """A sample of ``input . theta`` for a matrix of weights, by local reparametrisation.

        Parameters
        ----------
        input : symbolic (B, features) or (B, time, features)
        noise : NormalNoise

        Returns
        -------
        symbolic (B, units) or (B, time, units)
            One noise number per object and unit, shared by the time steps.
        """
        return T.dot(input, self.mean())

    def kl(self):
        """KL divergence to the prior, summed over all elements: symbolic scalar."""
        return T.constant(0, dtype=theano.config.floatX)

    def keep_mask(self):
        """What pruning keeps: numpy array of bool, of the variable's shape."""
        return np.ones(self.shape, dtype=bool)

    def pruned_value(self):
        """The pruned mean as it is now: numpy array of the variable's shape."""
        return np.ones(self.shape, dtype=theano.config.floatX)

    def parameters(self):
        """What is learned: a list of mean and log_sigma, of the value alone, or of nothing."""
        return []

    def rows(self, index):
        """The variable restricted to some rows (first axis): samples and means of only those are computed.

        Parameters
        ----------
        index : symbolic vector of int

        Returns
        -------
        RandomVariable
        """
        return self


class Constant(RandomVariable):
    """C: equal to 1, not learned."""

    def mean(self):
        return None


class Deterministic(RandomVariable):
    """D: its value, learned."""

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
    def __init__(self, name, shape, mean, log_sigma):
        super(_Probabilistic, self).__init__(name, shape, mean)
        self.log_sigma = log_sigma

    def parameters(self):
        return [self._mean, self.log_sigma]

    def sample(self, noise, objects=None):
        shape = self._mean.shape if objects is None else T.concatenate([[objects], self._mean.shape])
        ndim = self._mean.ndim + (objects is not None)
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
    """N: normal posterior, standard normal prior; never pruned."""

    prior = "normal"

    def kl(self):
        return normal_kl(self._mean, self.log_sigma).sum()


class LogUniform(_Probabilistic):
    """L: normal posterior, log-uniform prior; pruned where log alpha >= 3."""

    prunable, prior = True, "log_uniform"

    def pruned_mean(self):
        return T.switch(log_alpha(self._mean, self.log_sigma) < LOG_ALPHA_THRESHOLD, self._mean, 0)

    def kl(self):
        return log_uniform_kl(self._mean, self.log_sigma).sum()

    def keep_mask(self):
        mean, log_sigma = self._mean.get_value(), self.log_sigma.get_value()
        with np.errstate(divide="ignore"):
            return log_alpha(mean, log_sigma) < LOG_ALPHA_THRESHOLD

    def log_alpha(self):
        """log alpha of every element now: numpy array."""
        with np.errstate(divide="ignore"):
            return log_alpha(self._mean.get_value(), self.log_sigma.get_value())


KINDS = {"L": LogUniform, "N": Normal, "D": Deterministic, "C": Constant}


def random_variable(layer, kind, spec, shape, name, **tags):
    """Make a random variable whose parameters are registered with a Lasagne layer.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Gets the parameters ``name`` (the mean) and, for L and N, ``name.log_sigma``, tagged ``variational``.
    kind : {"L", "N", "D", "C"}
    spec : theano shared variable, expression, numpy array or callable
        Initial mean, as for `lasagne.layers.Layer.add_param`.
    shape : tuple of int
    name : str
    **tags
        Passed to `add_param`.

    Returns
    -------
    RandomVariable

    Raises
    ------
    ValueError
        For an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError("unknown kind of random variable %r; known: %s" % (kind, ", ".join(sorted(KINDS))))
    if kind == "C":
        return Constant(name, shape)
    parameters = [layer.add_param(spec, shape, name, **tags)]
    if issubclass(KINDS[kind], _Probabilistic):
        parameters.append(layer.add_param(lasagne.init.Constant(INITIAL_LOG_SIGMA), shape, name + ".log_sigma",
                                          variational=True, regularizable=False))
    return KINDS[kind](name, shape, *parameters)
