"""LSTM with predefined sparseness."""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import LSTMState, RecurrentLayer
from theano_rnn.ops.expressions import concatenate
from theano_rnn.ops.lstm import lstm_recurrence

import numpy as np
import theano.tensor as T

from ..dropout import DropoutNoise, check_probability, dropped
from ..geometry import lstm_geometry

__all__ = ["SparseLSTMLayer"]


class SparseLSTMLayer(RecurrentLayer):
    """LSTM composed of dense LSTMs that are not connected.

    Each component reads a segment of the input, which overlaps the segments of its neighbours, and has a segment of the
    hidden state. All components are computed in one recurrence. With one component, this is a dense LSTM. Within a
    component, for each gate g of input, forget, cell, output::

        a_g = x W_in,g + b_in,g + h W_hid,g + b_hid,g
        i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)
        c' = f * c + i * tanh(a_c)
        h' = o * tanh(c')

    The sizes are given either by `blocks` and `density` (1 and 1 for a dense LSTM), or by `reduce_in` and `reduce_out`.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Of shape ``(batch, time, features)``.
    num_units : int
        Number of hidden units of all components together, H.
    blocks : int, optional
        Number of components.
    density : float, optional
        Fraction of the input that each component reads, in [1/blocks, 1].
    reduce_in, reduce_out : float, optional
        In (0, 1]. The LSTM has as many parameters as a dense LSTM of reduce_in * features inputs and reduce_out * H
        units.
    weight_drop : float
        Probability of dropping a recurrent weight, with one mask per minibatch.
    W_in, W_hid, b : callable or lasagne.init.Initializer, optional
        Initial values of each component, with gates stacked in the last axis: ``(inputs, 4h)``, ``(h, 4h)``, ``(4h,)``
        for h hidden units of the component. By default uniform(-1/sqrt(h), 1/sqrt(h)).
    noise : DropoutNoise, optional
        Random number source. By default, the layer has its own source, seeded by Lasagne's random state.
    **kwargs
        Passed to `theano_rnn.layers.RecurrentLayer`: `hid_init`, `cell_init`, `mask_input`, `only_return_final`,
        `backwards`, `name`.

    Attributes
    ----------
    geometry : sparse_seq_theano.geometry.LSTMGeometry
    components : list of dict
        ``W_in``, ``W_hid``, ``b_in``, ``b_hid`` of each component. There are two bias vectors, as in cuDNN. Only their
        sum has an effect, but both are trained, and the parameter counts of the papers include both.

    Raises
    ------
    ReportedError
        If the sizes are invalid (`GeometryError`), or `weight_drop` is not in [0, 1).

    References
    ----------
    Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, arXiv:1808.08720, section 2.

    Merity, Keskar, Socher: Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182, section 2, for
    `weight_drop`.

    Examples
    --------
    >>> from sparse_seq_theano.layers import SparseLSTMLayer
    >>> layer = SparseLSTMLayer((None, 35, 60), num_units=90, reduce_in=1, reduce_out=2 / 3.)
    >>> layer.output_shape
    (None, 35, 90)
    >>> layer.geometry.components
    2
    """

    def __init__(self, incoming, num_units, blocks=None, density=None, reduce_in=None, reduce_out=None,
                 weight_drop=0., W_in=None, W_hid=None, b=None, noise=None, **kwargs):
        super(SparseLSTMLayer, self).__init__(incoming, num_units, **kwargs)
        self.geometry = lstm_geometry(self.num_inputs, num_units, blocks, density, reduce_in, reduce_out)
        self.weight_drop = check_probability(weight_drop, "weight_drop")
        self.noise = noise or DropoutNoise()
        self.components = []
        segments = zip(self.geometry.input_segments, self.geometry.hidden_segments)
        for number, ((input_begin, input_end), (begin, end)) in enumerate(segments):
            inputs, units = input_end - input_begin, end - begin
            default = lasagne.init.Uniform(1 / np.sqrt(units))
            shapes = [("W_in", W_in, (inputs, 4 * units)), ("W_hid", W_hid, (units, 4 * units)),
                      ("b_in", b, (4 * units,)), ("b_hid", b, (4 * units,))]
            self.components.append({
                name: self.add_param(spec or default, shape, "component%d.%s" % (number, name),
                                     regularizable=len(shape) > 1)
                for name, spec, shape in shapes})

    @property
    def info(self):
        """OrderedDict : Sizes, segments and parameter counts; see `LSTMGeometry.info`."""
        return self.geometry.info()

    def get_sequences_for(self, inputs, deterministic=False, **kwargs):
        probability = 0. if deterministic else self.weight_drop
        W_hid = [dropped(component["W_hid"], probability, self.noise) for component in self.components]
        b = [component["b_in"] + component["b_hid"] for component in self.components]
        return LSTMState(*lstm_recurrence(
            self._project(inputs[0].dimshuffle(1, 0, 2)), W_hid, concatenate(b, axis=0),
            gate_nonlinearity="sigmoid", backwards=self.backwards, **self.initial_state_and_mask(inputs)))

    def _project(self, input):
        """Return ``x W_in`` of each component: list of ``(time, batch, 4h)`` from ``(time, batch, features)``."""
        rows = input.reshape((-1, self.num_inputs))
        products = [T.dot(rows if (begin, end) == (0, self.num_inputs) else rows[:, begin:end], component["W_in"])
                    for (begin, end), component in zip(self.geometry.input_segments, self.components)]
        return [product.reshape((input.shape[0], input.shape[1], 4 * (end - begin)))
                for product, (begin, end) in zip(products, self.geometry.hidden_segments)]
