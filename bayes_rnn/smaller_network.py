"""Conversion of a pruned Lasagne network to a smaller Lasagne network without random variables.

It is for your own networks. The networks of `bayes_rnn.models` also have a compressed form for NumPy, C and ONNX
(`bayes_rnn.export`).
"""

import copy
from collections import namedtuple

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne
from theano_rnn.network import output_layers

import numpy as np
import theano.tensor as T

from .connections import concatenates_units, input_layers, passes_units
from .layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer, OneHotLayer
from .layers.lstm import GATES
from .pruning import network_masks

__all__ = ["smaller_network", "KeptTokensLayer"]

#: A layer of the smaller network. units: the unit of the original layer for each of its units, int ``(units,)``, -1 for
#: a unit that is always zero. scale: factor by which the original unit is larger, ``(units,)``.
_Smaller = namedtuple("_Smaller", ["layer", "units", "scale"])


class KeptTokensLayer(lasagne.layers.Layer):
    """Conversion of token ids to the rows of an embedding that has the kept words only.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Token ids, integers in [0, V).
    kept : numpy.ndarray
        Bool ``(V,)``: which words are kept.
    **kwargs
        `name`.

    Attributes
    ----------
    rows : numpy.ndarray
        int32 ``(V,)``: row of each word. The kept words have the first rows, in the order of their ids. All pruned
        words share the last row.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_rnn.smaller_network import KeptTokensLayer
    >>> KeptTokensLayer((None, 7), np.array([False, True, True, False])).rows.tolist()
    [2, 0, 1, 2]
    """

    def __init__(self, incoming, kept, **kwargs):
        super(KeptTokensLayer, self).__init__(incoming, **kwargs)
        self.rows = np.where(kept, np.cumsum(kept) - 1, kept.sum()).astype("int32")

    def get_output_for(self, input, **kwargs):
        return T.constant(self.rows)[T.cast(input, "int32")]


def smaller_network(network):
    """Return a small network that predicts what a pruned network predicts.

    Pruned words and units are removed, group variables are multiplied into the weights, and every layer is
    deterministic. It has the same inputs, layer names and layer classes (Bayesian layers of kind D), so
    ``lasagne.layers.get_all_params`` and the other functions of Lasagne apply to it. The original network does not
    change. ``pickle`` stores the small network in a file. Import `theano_rnn.lasagne_compat` before you load it: by
    itself, Lasagne cannot be imported with Theano 1.0.5. Load only files that you trust.

    Parameters
    ----------
    network : lasagne.layers.Layer or bayes_rnn.models network
        A Lasagne network is given by its output layer. Its layers may be Bayesian layers, one-hot layers, fully
        connected layers on ``(batch, units)``, and layers that pass or concatenate units (`bayes_rnn.connections`):
        dropout, reshaping, slicing and concatenation.

    Returns
    -------
    lasagne.layers.Layer
        Output layer. If words are pruned, a `KeptTokensLayer` is below the embedding; its row of zeros stands for them.

    Raises
    ------
    ReportedError
        If there are several output layers, or another kind of layer; the message names the layer.
        `bayes_rnn.pruning.prune` works for any network.

    References
    ----------
    Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, arXiv:1810.10927, section 3.

    Lobacheva, Chirkova, Vetrov: Bayesian Sparsification of Gated Recurrent Neural Networks, arXiv:1812.05692,
    section 3, for the gates. A gate without inputs is constant, activation(bias).

    Examples
    --------
    >>> import numpy as np
    >>> from theano_rnn.lasagne_compat import lasagne
    >>> from bayes_rnn.layers import BayesianDenseLayer, BayesianLSTMLayer
    >>> from bayes_rnn.smaller_network import smaller_network
    >>> lstm = BayesianLSTMLayer(lasagne.layers.InputLayer((None, 7, 5)), 3, hid_kind="L", only_return_final=True)
    >>> lstm.z_hid.log_sigma.set_value(np.array([-3, 4, -3], dtype=lstm.z_hid.log_sigma.dtype))
    >>> small = smaller_network(BayesianDenseLayer(lstm, num_units=2))
    >>> small.input_layer.num_units
    2
    """
    outputs = output_layers(network)
    if len(outputs) != 1:
        raise ReportedError("the network must have one output layer, got %d" % len(outputs))
    units, smaller = network_masks(network).units, {}
    for layer in lasagne.layers.get_all_layers(outputs):
        below = [smaller.get(incoming) for incoming in input_layers(layer)]
        smaller[layer] = _convert(layer, below, units[layer])
    result = smaller[outputs[0]]
    if len(result.units) != units[outputs[0]].size or not np.all(result.scale == 1):
        raise _refusal(outputs[0], "no layer above it can take over the group variables of its units")
    return result.layer


def _refusal(layer, reason):
    """Return the error for a layer that cannot be made smaller."""
    return ReportedError(
        "the network cannot be made smaller: layer %s is a %s, and %s; use bayes_rnn.pruning.prune, which sets all "
        "pruned weights to zero" % (layer.name or "without a name", type(layer).__name__, reason))


def _convert(layer, below, mask):
    """Return the smaller form of a layer: a `_Smaller`.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    below : list of _Smaller or None
        The smaller forms of its input layers; None for an input that is only a shape.
    mask : numpy.ndarray or None
        Which of its units are kept, bool ``(units,)``; None if the number of units is not known.
    """
    if None in below:
        raise _refusal(layer, "its input is a shape, not a layer")
    kept = np.zeros(0, dtype=int) if mask is None else np.flatnonzero(mask)
    if mask is not None and not len(kept):
        kept = np.zeros(1, dtype=int)                  # a layer without units would be an edge case of every operation
    if isinstance(layer, lasagne.layers.InputLayer):
        return _every_unit(layer, mask)
    if isinstance(layer, (BayesianEmbeddingLayer, OneHotLayer)):
        return _smaller_words(layer, below[0].layer, kept)
    if isinstance(layer, BayesianLSTMLayer):
        return _smaller_lstm(layer, below, kept)
    if isinstance(layer, BayesianDenseLayer):
        return _smaller_dense(layer, below[0], layer.W.pruned_value(), kept)
    if isinstance(layer, lasagne.layers.DenseLayer) and len(layer.input_shape) == 2:
        return _smaller_dense(layer, below[0], layer.W.get_value(), kept)
    if concatenates_units(layer):
        return _concatenated(layer, below)
    if passes_units(layer) and mask is not None:
        return _passed(layer, below[0])
    raise _refusal(layer, "this class of layers is not supported")


def _every_unit(layer, mask):
    units = 0 if mask is None else len(mask)
    return _Smaller(layer, np.arange(units), np.ones(units))


def _rows(W, below):
    """Return the rows of a matrix that belong to the units of the smaller layer below it, times their factors."""
    return (np.where(below.units[:, None] >= 0, W[below.units], 0) * below.scale[:, None]).astype(W.dtype)


def _smaller_words(layer, tokens, kept):
    """Return the smaller form of an embedding or one-hot layer, with the kept words and a row for the pruned ones."""
    one_hot = isinstance(layer, OneHotLayer)
    if one_hot:
        words, W = np.isin(np.arange(layer.input_size), kept), None
    else:
        W = layer.W.pruned_value() * layer.z_voc.pruned_value()[:, None]
        words = W.any(axis=1)
    pruned = int(not words.all())
    if pruned:
        tokens = KeptTokensLayer(tokens, words, name=layer.name and layer.name + ".kept_tokens")
    count = int(words.sum()) + pruned
    if one_hot:
        units = np.concatenate([np.flatnonzero(words), np.full(pruned, -1)]).astype(int)
        return _Smaller(OneHotLayer(tokens, count, name=layer.name), units, np.ones(count))
    W = np.concatenate([W[words][:, kept], np.zeros((pruned, len(kept)))]).astype(W.dtype)
    return _Smaller(BayesianEmbeddingLayer(tokens, count, len(kept), W=W, kind="D", name=layer.name), kept,
                    np.ones(len(kept)))


def _smaller_lstm(lstm, below, kept):
    """Return the smaller form of an LSTM; its hidden units are larger than the original ones by z_hid."""
    if set(lstm.optional_inputs) - {"mask"}:
        raise _refusal(lstm, "its initial state has the original number of units")
    columns = np.concatenate([gate * lstm.num_units + kept for gate in range(len(GATES))])
    z_in, z_hid, z_gates = [variable.pruned_value() for variable in (lstm.z_in, lstm.z_hid, lstm.z_gates)]
    W_in = lstm.W_in.pruned_value() * z_in[:, None] * z_gates
    W_hid = lstm.W_hid.pruned_value() * z_hid[:, None] * z_gates
    layer = BayesianLSTMLayer(
        below[0].layer, len(kept), W_in=_rows(W_in[:, columns], below[0]), W_hid=W_hid[kept][:, columns],
        b=lstm.b.get_value()[columns], kind="D", gate_nonlinearity=lstm.gate_nonlinearity,
        mask_input=below[1].layer if lstm.optional_inputs else None, only_return_final=lstm.only_return_final,
        backwards=lstm.backwards, name=lstm.name)
    return _Smaller(layer, kept, z_hid[kept])


def _smaller_dense(dense, below, W, kept):
    """Return the smaller form of a Bayesian or ordinary fully connected layer. `W`: its pruned weights."""
    options = {"kind": "D"} if isinstance(dense, BayesianDenseLayer) else {}
    layer = type(dense)(below.layer, len(kept), W=_rows(W, below)[:, kept], nonlinearity=dense.nonlinearity,
                        b=None if dense.b is None else dense.b.get_value()[kept], name=dense.name, **options)
    return _Smaller(layer, kept, np.ones(len(kept)))


def _concatenated(layer, below):
    """Return the smaller form of a layer that concatenates units."""
    begins = np.cumsum([0] + [shape[-1] for shape in layer.input_shapes])
    units = [np.where(part.units >= 0, part.units + begin, -1) for part, begin in zip(below, begins)]
    smaller = lasagne.layers.ConcatLayer([part.layer for part in below], axis=layer.axis, name=layer.name)
    return _Smaller(smaller, np.concatenate(units), np.concatenate([part.scale for part in below]))


def _passed(layer, below):
    """Return the smaller form of a layer that passes units on: a copy with another input."""
    smaller = copy.copy(layer)
    smaller.input_layer, smaller.input_shape = below.layer, below.layer.output_shape
    if isinstance(layer, lasagne.layers.ReshapeLayer) and layer.shape[-1] == layer.input_shape[-1]:
        smaller.shape = tuple(layer.shape[:-1]) + (below.layer.output_shape[-1],)
    return _Smaller(smaller, below.units, below.scale)
