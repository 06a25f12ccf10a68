"""What the two networks share: named layers, their parameters, their state."""

from collections import OrderedDict

from .lasagne_compat import lasagne

__all__ = ["Network", "dense_layer"]


class Network(object):
    """A network made of named layers.

    Attributes
    ----------
    layers : list of lasagne.layers.Layer
        All layers with parameters, bottom first.
    noise : DropoutNoise
        The one stream that all layers draw from.
    """

    def __init__(self, noise):
        self.noise = noise
        self.layers = []

    def add(self, layer):
        """Register a layer with parameters; returns it."""
        self.layers.append(layer)
        return layer

    def parameters(self):
        """OrderedDict of name (``"rnn0.component0.W_hid"``) to shared variable; all of them are trained."""
        return OrderedDict((parameter.name, parameter) for layer in self.layers for parameter in layer.get_params())


def dense_layer(incoming, num_units, name, num_leading_axes=1, b=True, nonlinearity=None):
    """A fully connected layer, initialised uniform(-1/sqrt(inputs), 1/sqrt(inputs)) as in the originals' framework."""
    inputs = incoming.output_shape[-1]
    init = lasagne.init.Uniform(inputs ** -0.5)
    flat = lasagne.layers.ReshapeLayer(incoming, (-1, inputs)) if len(incoming.output_shape) > 2 else incoming
    return lasagne.layers.DenseLayer(flat, num_units, W=init, b=init if b else None, nonlinearity=nonlinearity,
                                     name=name)
