"""Base class of networks with named layers; layers and parameters of any Lasagne network by name."""

from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import LSTMState

import numpy as np
import theano.tensor as T

__all__ = ["Network", "named_layers", "named_parameters", "output_layers"]


class Network(object):
    """A network made of named layers.

    Parameters
    ----------
    noise : object
        Random number source of all layers. Its method ``states()`` returns the shared variables that hold its state.

    Attributes
    ----------
    layers : OrderedDict of str to lasagne.layers.Layer
        The layers that have parameters, by name, bottom first.
    noise : object
        Random number source.
    inputs : list of symbolic variables
        The inputs without the targets. They include the variables in `state`.
    state : list of symbolic ``(streams, units)``
        The carried state: inputs whose values come from the preceding minibatch. May be empty.
    """

    def __init__(self, noise):
        self.layers, self.noise, self.inputs, self.state = OrderedDict(), noise, [], []
        self._state_units = []

    def add(self, layer):
        """Register a layer that has parameters, and return it.

        Parameters
        ----------
        layer : lasagne.layers.Layer
            It must have a name.

        Returns
        -------
        lasagne.layers.Layer

        Raises
        ------
        ValueError
            If there is already a layer with this name.
        """
        if layer.name in self.layers:
            raise ValueError("layer names must be different, got %r twice" % (layer.name,))
        self.layers[layer.name] = layer
        return layer

    def add_state(self, hid_name, cell_name, units):
        """Register the carried state of an LSTM: two inputs, appended to `state`.

        Parameters
        ----------
        hid_name, cell_name : str
            Names of the symbolic variables.
        units : int
            Number of hidden units.

        Returns
        -------
        LSTMState of symbolic ``(streams, units)``
        """
        state = LSTMState(T.matrix(hid_name), T.matrix(cell_name))
        self.state += state
        self._state_units += [units] * len(state)
        return state

    def initial_state(self, streams):
        """Return the state at the start of an epoch or an evaluation.

        Parameters
        ----------
        streams : int
            Number of parallel sequences in a minibatch.

        Returns
        -------
        list of numpy.ndarray
            Zeros of shape ``(streams, units)``, in the order of `state`.
        """
        return [np.zeros((streams, units), dtype=variable.dtype)
                for variable, units in zip(self.state, self._state_units)]

    def parameters(self):
        """Return all parameters: OrderedDict of name, such as ``"lstm.W_hid"``, to shared variable."""
        return named_parameters(self)


def output_layers(network):
    """Return the output layers of a network.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or Network
        The output layer or layers; the output layer of a `Network` is the last one that was added.

    Returns
    -------
    list of lasagne.layers.Layer
    """
    if isinstance(network, lasagne.layers.Layer):
        return [network]
    return list(network) if isinstance(network, (list, tuple)) else list(network.layers.values())[-1:]


def named_layers(network):
    """Return the layers that have parameters, by name.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or Network
        A Lasagne network is given by its output layer or layers.

    Returns
    -------
    OrderedDict of str to lasagne.layers.Layer
        Bottom first. A layer without a name gets the name of its class and a number.

    Raises
    ------
    ReportedError
        If two layers have the same name.

    Examples
    --------
    >>> from theano_rnn.lasagne_compat import lasagne
    >>> from theano_rnn.network import named_layers
    >>> hidden = lasagne.layers.DenseLayer((None, 4), 3, name="hidden")
    >>> output = lasagne.layers.DenseLayer(lasagne.layers.DropoutLayer(hidden), 2)
    >>> list(named_layers(output))
    ['hidden', 'DenseLayer2']
    """
    if not isinstance(network, (lasagne.layers.Layer, list, tuple)):
        return network.layers
    named, counts = OrderedDict(), {}
    for layer in lasagne.layers.get_all_layers(output_layers(network)):
        if not layer.params:
            continue
        kind = type(layer).__name__
        counts[kind] = counts.get(kind, 0) + 1
        name = layer.name or "%s%d" % (kind, counts[kind])
        if name in named:
            raise ReportedError("layer names must be different, got %r twice" % name)
        named[name] = layer
    return named


def named_parameters(network):
    """Return the parameters that are trained, by name.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or Network
        A Lasagne network is given by its output layer or layers.

    Returns
    -------
    OrderedDict of str to shared variable
        Bottom first. Names begin with the name of the layer (`named_layers`): ``"lstm.W_hid"``. A parameter that
        several layers share has the name that it has in the first one.

    Raises
    ------
    ReportedError
        If two layers, or two parameters of a layer, have the same name.
    """
    parameters, taken = OrderedDict(), set()
    for layer_name, layer in named_layers(network).items():
        for parameter in layer.get_params(trainable=True):
            if parameter in taken:
                continue
            taken.add(parameter)
            name = parameter.name or "parameter"
            if layer.name is None or not name.startswith(layer.name + "."):
                name = "%s.%s" % (layer_name, name)
            if name in parameters:
                raise ReportedError("the parameters of a layer must have different names, got %r twice" % name)
            parameters[name] = parameter
    return parameters
