"""Base class of Bayesian layers, and the Bayesian layers of a network."""

from theano_rnn.errors import ReportedError
from theano_rnn.network import named_layers
from theano_rnn.ops.normal_noise import NormalNoise

import theano
import theano.tensor as T

from ..variational import random_variable

__all__ = ["BayesianLayer", "bayesian_layers"]


class BayesianLayer(object):
    """Mixin for a Lasagne layer whose parameters are random variables.

    Its ``get_output_for`` takes two options: Lasagne's ``deterministic`` (posterior means instead of samples), and
    ``pruned`` (means with the pruned elements set to zero, which implies ``deterministic``). Other layers know
    ``deterministic`` only: in a network with dropout, give both.

    Parameters
    ----------
    *args, **kwargs
        Passed to the Lasagne layer.
    noise : NormalNoise, optional
        Random number source. By default, the layer has its own source, seeded by Lasagne's random state.

    Attributes
    ----------
    random_variables : list of RandomVariable
    """

    def __init__(self, *args, **kwargs):
        noise = kwargs.pop("noise", None)
        super(BayesianLayer, self).__init__(*args, **kwargs)
        self.noise = noise or NormalNoise()
        self.random_variables = []

    def add_random_variable(self, kind, spec, shape, name, **tags):
        """Register a random variable and return it; see `bayes_rnn.variational.random_variable`."""
        variable = random_variable(self, kind, spec, shape, name, **tags)
        self.random_variables.append(variable)
        return variable

    def add_weights(self, kind, spec, shape, name):
        """Register individual weights, a random variable that cannot be constant, and return it.

        Raises
        ------
        ValueError
            If the kind is C.
        """
        if kind == "C":
            raise ValueError("kind of the weights %s of a %s must be L, D or N, got 'C': constant weights cannot be "
                             "trained" % (name, type(self).__name__))
        return self.add_random_variable(kind, spec, shape, name)

    def kl(self):
        """Return the KL divergence from the posteriors to the priors, summed over the layer: symbolic scalar.

        The training objective is the mean data loss plus the KL divergence of all layers divided by the number of
        training examples (arXiv:1810.10927, section 2).
        """
        return sum((variable.kl() for variable in self.random_variables), T.constant(0, dtype=theano.config.floatX))


def bayesian_layers(network):
    """Return the Bayesian layers of a network.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or bayes_rnn.models network
        A Lasagne network is given by its output layer or layers.

    Returns
    -------
    list of BayesianLayer
        Bottom first, at least one.

    Raises
    ------
    ReportedError
        If there is no Bayesian layer, or two layers have the same name.
    """
    found = [layer for layer in named_layers(network).values() if isinstance(layer, BayesianLayer)]
    if not found:
        raise ReportedError("the network has no Bayesian layer; use the layers of bayes_rnn.layers")
    return found
