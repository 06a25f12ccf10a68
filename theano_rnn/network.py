"""Base class of networks with named layers."""

from collections import OrderedDict

from theano_rnn.layers import LSTMState

import numpy as np
import theano.tensor as T

__all__ = ["Network"]


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
        return OrderedDict((parameter.name, parameter)
                           for layer in self.layers.values() for parameter in layer.get_params())
