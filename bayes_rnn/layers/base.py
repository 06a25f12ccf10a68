"""What all Bayesian layers share: random variables, a noise source, the KL of the layer."""

import theano
import theano.tensor as T

from theano_rnn.ops.normal_noise import NormalNoise

from ..variational import random_variable

__all__ = ["BayesianLayer"]


class BayesianLayer(object):
    """Mixin for a Lasagne layer whose parameters are random variables.

    Its ``get_output_for`` takes Lasagne's ``deterministic`` (posterior means instead of samples) and ``pruned`` (means
    with the pruned elements zero, which implies ``deterministic``).

    Parameters
    ----------
    *args, **kwargs
        For the Lasagne layer.
    noise : NormalNoise, optional
        Where samples come from; by default a stream of this layer's own, seeded by Lasagne's random state.

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
        """Register a random variable; see `bayes_rnn.variational.random_variable`."""
        variable = random_variable(self, kind, spec, shape, name, **tags)
        self.random_variables.append(variable)
        return variable

    def add_weights(self, kind, spec, shape, name):
        """Register individual weights: a random variable that cannot be constant.

        Raises
        ------
        ValueError
            For kind C: weights that are constant cannot learn.
        """
        if kind == "C":
            raise ValueError("%s of a %s cannot be of kind 'C' (constant 1): choose L, D or N"
                             % (name, type(self).__name__))
        return self.add_random_variable(kind, spec, shape, name)

    def kl(self):
        """KL divergence of all random variables of the layer to their priors: symbolic scalar.

        Add the sum over all layers, divided by the number of training objects, to the mean data loss.
        """
        return sum((variable.kl() for variable in self.random_variables), T.constant(0, dtype=theano.config.floatX))
