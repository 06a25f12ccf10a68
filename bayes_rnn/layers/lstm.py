"""Bayesian LSTM layer."""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import LSTMState, RecurrentLayer
from theano_rnn.ops.lstm import lstm_recurrence
from theano_rnn.ops.unique import unique

import numpy as np
import theano.tensor as T

from .base import BayesianLayer
from .embedding import GatheredRows, OneHotTokens, find_factors, token_scale

__all__ = ["BayesianLSTMLayer", "PerGate", "GATES"]

#: Order of the gates in stacked weights and biases.
GATES = ("input", "forget", "cell", "output")


class PerGate(lasagne.init.Initializer):
    """Initialise each of the four stacked gates separately.

    Parameters
    ----------
    *initializers : lasagne.init.Initializer
        One for all gates, or four in the order input, forget, cell, output.

    Raises
    ------
    ValueError
        If the number of initializers is neither 1 nor 4.

    Examples
    --------
    >>> from bayes_rnn.layers import PerGate
    >>> from theano_rnn.lasagne_compat import lasagne
    >>> PerGate(lasagne.init.Orthogonal()).sample((3, 8)).shape
    (3, 8)
    """

    def __init__(self, *initializers):
        if len(initializers) not in (1, len(GATES)):
            raise ValueError("PerGate takes 1 or %d initializers, got %d" % (len(GATES), len(initializers)))
        self.initializers = initializers if len(initializers) > 1 else initializers * len(GATES)

    def sample(self, shape):
        gate = tuple(shape[:-1]) + (shape[-1] // len(GATES),)
        return np.concatenate([initializer.sample(gate) for initializer in self.initializers], axis=-1)


class BayesianLSTMLayer(BayesianLayer, RecurrentLayer):
    """LSTM with probabilistic weights and group variables on gates, input neurons and hidden neurons.

    For each gate g of input, forget, cell, output::

        a_g = ((x * z_in) W_in,g + h W_hid,g) * z_gates,g + b_g
        i, f, o = gate(a_i), gate(a_f), gate(a_o)
        c' = f * c + i * tanh(a_c)
        h' = o * tanh(c') * z_hid

    The weights are sampled once per minibatch, the group variables once per example. All time steps share the samples.
    Where the mask is 0, c and h do not change.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Of shape ``(batch, time, features)``. If it is a `BayesianEmbeddingLayer` or `OneHotLayer`, its distinct rows
        are multiplied by W_in instead of its output.
    num_units : int
        Number of hidden units, H.
    W_in, W_hid, b : Theano shared variable, numpy array or callable
        Gates stacked in the last axis: ``(features, 4H)``, ``(H, 4H)``, ``(4H,)``. `PerGate` is such an initializer.
    kind : {'L', 'N', 'D'}
        Kind of the weights; see `bayes_rnn.variational`.
    gates_kind, in_kind, hid_kind : {'L', 'N', 'D', 'C'}
        Kinds of the group variables z_gates, ``(4H,)``, z_in, ``(features,)``, and z_hid, ``(H,)``.
    gate_nonlinearity : {'hard_sigmoid', 'sigmoid'}
        ``clip(0.2 x + 0.5, 0, 1)``, or the logistic function.
    **kwargs
        `noise`, and the arguments of `theano_rnn.layers.RecurrentLayer`: `hid_init`, `cell_init`, `mask_input`,
        `only_return_final`, `backwards`, `name`.

    Raises
    ------
    ValueError
        If a kind is invalid.

    References
    ----------
    Lobacheva, Chirkova, Vetrov: Bayesian Sparsification of Gated Recurrent Neural Networks, arXiv:1812.05692,
    section 3.

    Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, arXiv:1810.10927, section 3.

    Examples
    --------
    >>> from bayes_rnn.layers import BayesianLSTMLayer
    >>> layer = BayesianLSTMLayer((None, 20, 5), num_units=8, gates_kind="L", hid_kind="L")
    >>> layer.output_shape
    (None, 20, 8)
    """

    def __init__(self, incoming, num_units, W_in=PerGate(lasagne.init.GlorotUniform()),
                 W_hid=PerGate(lasagne.init.Orthogonal(1.1)),
                 b=PerGate(*[lasagne.init.Constant(value) for value in (0., 1., 0., 0.)]),
                 kind="L", gates_kind="C", in_kind="C", hid_kind="C", gate_nonlinearity="hard_sigmoid",
                 **kwargs):
        super(BayesianLSTMLayer, self).__init__(incoming, num_units, **kwargs)
        self.gate_nonlinearity = gate_nonlinearity
        num_inputs, stacked = self.num_inputs, len(GATES) * num_units
        one = lasagne.init.Constant(1.)
        self.W_in = self.add_weights(kind, W_in, (num_inputs, stacked), "W_in")
        self.W_hid = self.add_weights(kind, W_hid, (num_units, stacked), "W_hid")
        self.b = self.add_param(b, (stacked,), "b", regularizable=False)
        self.z_in = self.add_random_variable(in_kind, one, (num_inputs,), "z_in", regularizable=False)
        self.z_hid = self.add_random_variable(hid_kind, one, (num_units,), "z_hid", regularizable=False)
        self.z_gates = self.add_random_variable(gates_kind, one, (stacked,), "z_gates", regularizable=False)

    def get_sequences_for(self, inputs, deterministic=False, pruned=False, **kwargs):
        mode = {"deterministic": deterministic, "pruned": pruned}
        examples = inputs[0].shape[0]
        return LSTMState(*lstm_recurrence(
            self._project(inputs[0], examples, mode), self.W_hid.value(self.noise, **mode), self.b,
            z_gates=self.z_gates.value(self.noise, examples, **mode),
            z_hid=self.z_hid.value(self.noise, examples, **mode),
            gate_nonlinearity=self.gate_nonlinearity, backwards=self.backwards,
            **self.initial_state_and_mask(inputs)))

    def _project(self, input, examples, mode):
        """Return ``(x * z_in) W_in`` for all time steps: symbolic ``(time, batch, 4 num_units)``."""
        factors = find_factors(self.input_layers[0], input)
        if isinstance(factors, OneHotTokens):
            distinct, index = unique(factors.tokens)
            scale = token_scale(self.z_in, factors.tokens, self.num_inputs, self.noise, **mode)
            rows = self.W_in.rows(distinct).value(self.noise, **mode)
            return GatheredRows(rows, index, scale).time_first().output()
        W_in, z_in = self.W_in.value(self.noise, **mode), self.z_in.value(self.noise, examples, **mode)
        if factors is not None and z_in is None:
            # The scale is a scalar per token and example, so it commutes with the product.
            return factors._replace(rows=T.dot(factors.rows, W_in)).time_first().output()
        if z_in is not None:
            input = input * z_in.dimshuffle(0, "x", 1)
        return T.dot(input.dimshuffle(1, 0, 2), W_in)
