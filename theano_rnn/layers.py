"""Base class of recurrent layers, and a check of layers that read token ids."""

from collections import namedtuple

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

import theano.tensor as T

__all__ = ["LSTMState", "RecurrentLayer", "check_tokens"]

#: Hidden and cell state of an LSTM, at one or at all time steps.
LSTMState = namedtuple("LSTMState", ["hid", "cell"])


class RecurrentLayer(lasagne.layers.MergeLayer):
    """Base class of layers that run over the time axis of a ``(batch, time, features)`` input.

    Subclasses define `get_sequences_for`.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Of shape ``(batch, time, features)``.
    num_units : int
        Number of hidden units, H.
    hid_init, cell_init : lasagne.layers.Layer, optional
        Initial state, ``(batch, H)``; zeros by default.
    mask_input : lasagne.layers.Layer, optional
        ``(batch, time)``, 1 where there is a token. Where it is 0, the state does not change.
    only_return_final : bool
        Return the hidden state of the last time step only, ``(batch, H)``.
    backwards : bool
        Run from the last time step to the first.
    **kwargs
        Passed to `lasagne.layers.MergeLayer`: `name`.
    """

    def __init__(self, incoming, num_units, hid_init=None, cell_init=None, mask_input=None, only_return_final=False,
                 backwards=False, **kwargs):
        optional = [("mask", mask_input), ("hid_init", hid_init), ("cell_init", cell_init)]
        self.optional_inputs = [name for name, layer in optional if layer is not None]
        incomings = [incoming] + [layer for _, layer in optional if layer is not None]
        super(RecurrentLayer, self).__init__(incomings, **kwargs)
        self._check_shapes(num_units)
        self.num_units, self.num_inputs = num_units, self.input_shapes[0][2]
        self.only_return_final, self.backwards = only_return_final, backwards

    def _check_shapes(self, num_units):
        """Raise a `ReportedError` if the input, the mask or an initial state has another shape than expected."""
        name, shape = _title(self), self.input_shapes[0]
        if len(shape) != 3:
            raise ReportedError("the input of %s must have the shape (batch, time, features), got %s" % (name, shape))
        if shape[2] is None:
            raise ReportedError("the number of features of the input of %s must be known, got the shape %s"
                                % (name, shape))
        for option, shape in zip(self.optional_inputs, self.input_shapes[1:]):
            if option == "mask" and len(shape) != 2:
                raise ReportedError("the mask of %s must have the shape (batch, time), got %s" % (name, shape))
            if option != "mask" and (len(shape) != 2 or shape[1] not in (None, num_units)):
                raise ReportedError("%s of %s must have the shape (batch, %d), got %s"
                                    % (option, name, num_units, shape))

    def get_output_shape_for(self, input_shapes):
        batch, time = input_shapes[0][:2]
        return (batch, self.num_units) if self.only_return_final else (batch, time, self.num_units)

    def get_output_for(self, inputs, **kwargs):
        hid = self.get_sequences_for(inputs, **kwargs).hid
        if self.only_return_final:
            return hid[0 if self.backwards else -1]
        return hid.dimshuffle(1, 0, 2)

    def get_sequences_for(self, inputs, **kwargs):
        """Return the states at all time steps.

        Parameters
        ----------
        inputs : list of symbolic tensors
            As for `get_output_for`: the input, followed by those of mask, hid_init and cell_init that the layer has.

        Returns
        -------
        LSTMState of symbolic ``(time, batch, num_units)``
        """
        raise NotImplementedError("%s must define get_sequences_for" % type(self).__name__)

    def initial_state_and_mask(self, inputs):
        """Return the arguments of `theano_rnn.ops.lstm.lstm_recurrence` that come from other layers.

        Parameters
        ----------
        inputs : list of symbolic tensors
            As for `get_sequences_for`.

        Returns
        -------
        dict
            ``hid_init`` and ``cell_init``, ``(batch, num_units)``; ``mask``, ``(time, batch)``, or None.
        """
        given = dict(zip(self.optional_inputs, inputs[1:]))
        zeros = T.zeros((inputs[0].shape[0], self.num_units))
        return {"hid_init": given.get("hid_init", zeros), "cell_init": given.get("cell_init", zeros),
                "mask": given["mask"].dimshuffle(1, 0) if "mask" in given else None}


def check_tokens(layer):
    """Raise a `ReportedError` if the input of a layer cannot be token ids of shape ``(batch, time)``."""
    if len(layer.input_shape) != 2:
        raise ReportedError("the input of %s must be token ids of the shape (batch, time), got %s"
                            % (_title(layer), layer.input_shape))


def _title(layer):
    """Return the name of a layer for messages."""
    return layer.name or type(layer).__name__
