"""The Bayesian fully connected layer."""

import theano.tensor as T

from theano_rnn.lasagne_compat import lasagne

from .base import BayesianLayer

__all__ = ["BayesianDenseLayer"]


class BayesianDenseLayer(BayesianLayer, lasagne.layers.Layer):
    """Fully connected layer with probabilistic weights, applied to the last axis of its input.

    With local reparametrisation, the preactivation is sampled instead of the weights: mean ``x W``, standard deviation
    ``sqrt(x^2 sigma^2 + 1e-8)``, one noise number per object and output unit, shared by the time steps of a sequence.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        (batch, features) or (batch, time, features).
    num_units : int
    W, b : Theano shared variable, expression, numpy array or callable
        (features, num_units) and (num_units,).
    kind : {"L", "N", "D"}
        Of the weights.
    local_reparametrisation : bool
        If False, the weights are sampled once per minibatch.
    nonlinearity : callable or None
    **kwargs
        `name`, `noise`.

    References
    ----------
    Kingma, Salimans, Welling: Variational Dropout and the Local Reparameterization Trick, NIPS 2015, section 2.

    Examples
    --------
    >>> from bayes_rnn.layers import BayesianDenseLayer
    >>> BayesianDenseLayer((None, 20, 5), num_units=3).output_shape
    (None, 20, 3)
    """

    def __init__(self, incoming, num_units, W=lasagne.init.GlorotUniform(), b=lasagne.init.Constant(0.), kind="L",
                 local_reparametrisation=True, nonlinearity=None, **kwargs):
        super(BayesianDenseLayer, self).__init__(incoming, **kwargs)
        self.num_units, self.local_reparametrisation = num_units, local_reparametrisation
        self.nonlinearity = nonlinearity or lasagne.nonlinearities.identity
        self.W = self.add_weights(kind, W, (self.input_shape[-1], num_units), "W")
        self.b = self.add_param(b, (num_units,), "b", regularizable=False)

    def get_output_shape_for(self, input_shape):
        return tuple(input_shape[:-1]) + (self.num_units,)

    def get_product_for(self, input, deterministic=False, pruned=False, **kwargs):
        """``x W``, before the bias and the nonlinearity; for a loss that adds the bias itself."""
        mode = {"deterministic": deterministic, "pruned": pruned}
        if self.local_reparametrisation and not deterministic and not pruned:
            return self.W.sample_product(input, self.noise)
        return T.dot(input, self.W.value(self.noise, **mode))

    def get_output_for(self, input, deterministic=False, pruned=False, **kwargs):
        product = self.get_product_for(input, deterministic=deterministic, pruned=pruned)
        return self.nonlinearity(product + self.b)
