"""Bayesian fully connected layer."""

from theano_rnn.lasagne_compat import lasagne

import theano.tensor as T

from .base import BayesianLayer

__all__ = ["BayesianDenseLayer"]


class BayesianDenseLayer(BayesianLayer, lasagne.layers.Layer):
    """Fully connected layer with probabilistic weights, applied to the last axis of its input.

    With local reparametrisation, the preactivation is sampled instead of the weights. Its mean is ``x W`` and its
    standard deviation ``sqrt(x^2 sigma^2 + 1e-8)``. There is one noise number per example and output unit, shared by
    all time steps of a sequence.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Of shape ``(batch, features)`` or ``(batch, time, features)``.
    num_units : int
    W : Theano shared variable, numpy array or callable
        Initial weights, ``(features, num_units)``.
    b : Theano shared variable, numpy array or callable
        Biases, ``(num_units,)``.
    kind : {'L', 'N', 'D'}
        Kind of the weights; see `bayes_rnn.variational`.
    local_reparametrisation : bool
        If False, the weights are sampled once per minibatch.
    nonlinearity : callable or None
    **kwargs
        `name`, `noise`.

    Raises
    ------
    ValueError
        If the kind is invalid.

    References
    ----------
    Kingma, Salimans, Welling: Variational Dropout and the Local Reparameterization Trick, NIPS 2015, arXiv:1506.02557,
    section 2.

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
        """Return ``x W``, without bias and nonlinearity, for a loss function that adds the bias itself.

        Parameters
        ----------
        input : symbolic ``(batch, features)`` or ``(batch, time, features)``
        deterministic, pruned : bool

        Returns
        -------
        symbolic ``(batch, num_units)`` or ``(batch, time, num_units)``
        """
        mode = {"deterministic": deterministic, "pruned": pruned}
        if self.local_reparametrisation and not deterministic and not pruned:
            return self.W.sample_product(input, self.noise)
        return T.dot(input, self.W.value(self.noise, **mode))

    def get_output_for(self, input, deterministic=False, pruned=False, **kwargs):
        product = self.get_product_for(input, deterministic=deterministic, pruned=pruned)
        return self.nonlinearity(product + self.b)
