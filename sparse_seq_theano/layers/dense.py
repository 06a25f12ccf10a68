"""Fully connected layer with the initialisation of the published programs."""

from theano_rnn.lasagne_compat import lasagne

__all__ = ["dense_layer"]


def dense_layer(incoming, num_units, name, b=True, nonlinearity=None):
    """Create a fully connected layer over the last axis, initialised with uniform(-1/sqrt(inputs), 1/sqrt(inputs)).

    Parameters
    ----------
    incoming : lasagne.layers.Layer
        Of shape ``(..., inputs)``.
    num_units : int
    name : str
    b : bool
        Whether the layer has biases.
    nonlinearity : callable, optional

    Returns
    -------
    lasagne.layers.DenseLayer
        Its output is ``(rows, num_units)``, with one row for each element of the leading axes.
    """
    inputs = incoming.output_shape[-1]
    init = lasagne.init.Uniform(inputs ** -0.5)
    flat = lasagne.layers.ReshapeLayer(incoming, (-1, inputs)) if len(incoming.output_shape) > 2 else incoming
    return lasagne.layers.DenseLayer(flat, num_units, W=init, b=init if b else None, nonlinearity=nonlinearity,
                                     name=name)
