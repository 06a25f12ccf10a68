"""Which units of each layer a pruned network needs, for any Lasagne network with Bayesian layers.

A unit is an element of the last axis of a layer's output. It is kept if it can differ from zero, and a weight that is
kept reads it (arXiv:1810.10927, section 3; arXiv:1812.05692, section 3):

* A unit of an embedding is zero if all its weights are pruned; a unit of an LSTM, if its group variable z_hid is.
* An LSTM reads an input if its group variable z_in and a weight of W_in are kept, and its own hidden unit if a weight
  of W_hid is kept. A fully connected layer reads an input if one of its weights is kept.
* Dropout, reshaping, slicing and concatenation pass units on if they leave the last axis as it is.
* Every other layer counts as one that reads all units and whose units are all needed. This also applies to
  the output layers.

A layer of your own whose unit k depends on unit k of its input only, and linearly, such as the mean over time, can say
so by an attribute ``passes_units = True``.
"""

from theano_rnn.lasagne_compat import lasagne

import numpy as np

from .layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer

__all__ = ["input_layers", "passes_units", "concatenates_units", "number_of_units", "kept_units"]


def input_layers(layer):
    """Return the layers whose outputs a layer reads: list, with None for an input that is only a shape."""
    if hasattr(layer, "input_layers"):
        return list(layer.input_layers)
    return [layer.input_layer] if hasattr(layer, "input_layer") else []


def number_of_units(layer):
    """Return the length of the last axis of a layer's output; None if it is not known, as for token ids."""
    return layer.output_shape[-1] if layer.output_shape else None


def passes_units(layer):
    """Return whether unit k of a layer depends on unit k of its only input, linearly."""
    if len(input_layers(layer)) != 1:
        return False
    if getattr(layer, "passes_units", False):
        return True
    if isinstance(layer, lasagne.layers.ReshapeLayer):
        return number_of_units(layer) is not None and number_of_units(layer) == layer.input_shape[-1]
    if isinstance(layer, lasagne.layers.SliceLayer):
        return layer.axis not in (-1, len(layer.input_shape) - 1)
    return isinstance(layer, lasagne.layers.DropoutLayer)


def concatenates_units(layer):
    """Return whether the units of a layer are those of its inputs, one input after the other."""
    return (isinstance(layer, lasagne.layers.ConcatLayer) and layer.axis in (-1, len(layer.output_shape) - 1)
            and None not in [shape[-1] for shape in layer.input_shapes])


def kept_units(outputs):
    """Return which units of each layer are kept.

    Parameters
    ----------
    outputs : list of lasagne.layers.Layer
        The output layers of the network.

    Returns
    -------
    dict of lasagne.layers.Layer to numpy.ndarray
        For each layer of the network, bool ``(units,)``; None if the number of units is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_rnn.connections import kept_units
    >>> from bayes_rnn.layers import BayesianDenseLayer, BayesianLSTMLayer
    >>> lstm = BayesianLSTMLayer((None, 7, 5), num_units=3, hid_kind="L", only_return_final=True)
    >>> lstm.z_hid.log_sigma.set_value(np.array([-3, 4, -3], dtype=lstm.z_hid.log_sigma.dtype))
    >>> kept_units([BayesianDenseLayer(lstm, num_units=2)])[lstm].tolist()
    [True, False, True]
    """
    layers = lasagne.layers.get_all_layers(outputs)
    nonzero = {}
    for layer in layers:
        nonzero[layer] = _nonzero_units(layer, [nonzero.get(below) for below in input_layers(layer)])
    read = {layer: _all(layer, layer in outputs) for layer in layers}
    for layer in reversed(layers):
        if isinstance(layer, BayesianLSTMLayer):
            read[layer] = read[layer] | layer.W_hid.keep_mask().any(axis=1)
        for below, mask in zip(input_layers(layer), _units_read(layer, read[layer])):
            if below is not None and read[below] is not None:
                read[below] = read[below] | mask
    return {layer: None if read[layer] is None else read[layer] & nonzero[layer] for layer in layers}


def _all(layer, value):
    """Return ``(units,)`` of one value; None if the number of units is not known."""
    units = number_of_units(layer)
    return None if units is None else np.full(units, value)


def _nonzero_units(layer, below):
    """Return which units of a layer are not always zero. `below`: those of its inputs."""
    if isinstance(layer, BayesianEmbeddingLayer):
        return layer.W.keep_mask().any(axis=0)
    if isinstance(layer, BayesianLSTMLayer):
        return layer.z_hid.keep_mask()
    known = bool(below) and all(mask is not None for mask in below)
    if known and passes_units(layer):
        return below[0]
    if known and concatenates_units(layer):
        return np.concatenate(below)
    if known and isinstance(layer, lasagne.layers.ElemwiseSumLayer):
        return np.any(below, axis=0)
    return _all(layer, True)


def _units_read(layer, read):
    """Return which units a layer reads, for each input: list of bool ``(units,)``, or True for all.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    read : numpy.ndarray or None
        Which units of the layer itself are read.
    """
    count = len(input_layers(layer))
    if isinstance(layer, BayesianLSTMLayer):
        return [layer.z_in.keep_mask() & layer.W_in.keep_mask().any(axis=1)] + [True] * (count - 1)
    if isinstance(layer, BayesianDenseLayer):
        return [layer.W.keep_mask()[:, read].any(axis=1)]
    if passes_units(layer) and read is not None:
        return [read]
    if concatenates_units(layer):
        return np.split(read, np.cumsum([shape[-1] for shape in layer.input_shapes])[:-1])
    if isinstance(layer, lasagne.layers.ElemwiseSumLayer) and read is not None:
        return [read] * count
    return [True] * count
