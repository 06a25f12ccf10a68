"""Pruning of a trained network: keep masks, the compression report, the kept words, and permanent pruning.

The networks are those of `bayes_rnn.models`, and any Lasagne network with layers of `bayes_rnn.layers`, given by its
output layer or layers. Individual weights and whole units are pruned together. A unit is pruned if its group variable
is pruned, or if no weight to it or from it is kept (`bayes_rnn.connections`). A weight is pruned if one of the units it
connects is pruned.

References
----------
Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, EMNLP 2018, arXiv:1810.10927,
section 3.
Lobacheva, Chirkova, Vetrov: Bayesian Sparsification of Gated Recurrent Neural Networks, 2018, arXiv:1812.05692,
section 3.
"""

from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne
from theano_rnn.network import named_layers, output_layers

import numpy as np

from .connections import input_layers, kept_units
from .layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer, OneHotLayer
from .layers.base import BayesianLayer, bayesian_layers
from .layers.lstm import GATES

__all__ = ["KeepMasks", "keep_masks", "NetworkMasks", "network_masks", "CompressionReport", "compression_report",
           "prune", "word_importance", "kept_words"]

#: Bool arrays with gates as separate axes, for V words, E embedding units, H hidden units and C outputs.
#:
#: vocabulary ``(V,)``, embedding_units ``(E,)`` or None, hidden ``(H,)``, gates ``(4, H)``, embedding_W ``(V, E)`` or
#: None, lstm_W_in ``(4, inputs, H)``, lstm_W_hid ``(4, H, H)``, dense_W ``(H, C)``
KeepMasks = namedtuple("KeepMasks", ["vocabulary", "embedding_units", "hidden", "gates", "embedding_W",
                                     "lstm_W_in", "lstm_W_hid", "dense_W"])

#: Keep masks of a network with any layers.
#:
#: layers: OrderedDict of layer name (`theano_rnn.network.named_layers`) to an OrderedDict of part to bool array. Parts:
#: ``w`` ``(V, E)`` and ``z_voc`` ``(V,)`` of an embedding; ``w_x`` ``(inputs, 4H)``, ``w_h`` ``(H, 4H)``, ``z_x``
#: ``(inputs,)``, ``z_h`` ``(H,)`` and ``gates`` ``(4H,)`` of an LSTM; ``w`` ``(inputs, units)`` of a fully connected
#: layer; the weights of other layers, by name.
#:
#: units: dict of Lasagne layer to bool ``(units,)`` or None; see `bayes_rnn.connections.kept_units`.
#:
#: connected: bool, whether kept weights connect the inputs of the network to its output.
NetworkMasks = namedtuple("NetworkMasks", ["layers", "units", "connected"])

#: Parts of `NetworkMasks` that are units, not individual weights.
UNIT_PARTS = ("z_voc", "z_x", "z_h", "gates")


def network_masks(network):
    """Return which weights and units of any network are kept.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or bayes_rnn.models network
        A Lasagne network is given by its output layer or layers.

    Returns
    -------
    NetworkMasks

    Raises
    ------
    ReportedError
        If there is no Bayesian layer, or two layers have the same name.

    Examples
    --------
    >>> from bayes_rnn.layers import BayesianDenseLayer, BayesianLSTMLayer
    >>> from bayes_rnn.pruning import network_masks
    >>> lstm = BayesianLSTMLayer((None, 7, 5), num_units=4, only_return_final=True, name="lstm")
    >>> masks = network_masks(BayesianDenseLayer(lstm, num_units=3, name="dense"))
    >>> masks.layers["lstm"]["w_x"].shape, masks.connected
    ((5, 16), True)
    """
    bayesian_layers(network)                        # refuses a network without any
    layers, outputs = named_layers(network), output_layers(network)
    units = kept_units(outputs)
    parts = OrderedDict((name, _parts(layer, units)) for name, layer in layers.items())
    of_layer = {layer: parts[name] for name, layer in layers.items()}
    reached = {}
    for layer in lasagne.layers.get_all_layers(outputs):
        reached[layer] = _is_reached(layer, of_layer.get(layer), reached)
    return NetworkMasks(parts, units, any(reached[layer] for layer in outputs))


def _parts(layer, units):
    """Return the keep masks of a layer: OrderedDict of part to bool array; see `NetworkMasks`."""
    if isinstance(layer, BayesianEmbeddingLayer):
        W = layer.W.keep_mask()
        vocabulary = layer.z_voc.keep_mask() if layer.z_voc.prunable else W.any(axis=1)
        return OrderedDict([("w", W & vocabulary[:, None] & units[layer]), ("z_voc", vocabulary)])
    if isinstance(layer, BayesianLSTMLayer):
        return _lstm_parts(layer, _units_below(layer, units), units[layer])
    if isinstance(layer, BayesianDenseLayer):
        return OrderedDict([("w", layer.W.keep_mask() & _units_below(layer, units)[:, None] & units[layer])])
    parts = OrderedDict()
    for parameter in layer.get_params(trainable=True, regularizable=True):
        mask = np.ones(parameter.get_value(borrow=True).shape, dtype=bool)
        if isinstance(layer, lasagne.layers.DenseLayer) and len(layer.input_shape) == 2 and parameter is layer.W:
            mask &= _units_below(layer, units)[:, None] & units[layer]
        name, prefix = parameter.name or "w", "%s." % layer.name
        name = (name[len(prefix):] if name.startswith(prefix) else name).replace(".", "_")
        parts["%s_%d" % (name, len(parts) + 1) if name in parts else name] = mask
    return parts


def _lstm_parts(lstm, below, hidden):
    """Return the keep masks of an LSTM. `below`, `hidden`: kept units of its input and its own."""
    W_in, W_hid = lstm.W_in.keep_mask(), lstm.W_hid.keep_mask()
    inputs = below & lstm.z_in.keep_mask() & W_in.any(axis=1)
    columns = np.tile(hidden, len(GATES))
    W_in, W_hid = W_in & inputs[:, None] & columns, W_hid & hidden[:, None] & columns
    gates = lstm.z_gates.keep_mask() & (W_in.any(axis=0) | W_hid.any(axis=0))
    return OrderedDict([("w_x", W_in), ("w_h", W_hid), ("z_x", inputs), ("z_h", hidden), ("gates", gates)])


def _units_below(layer, units):
    """Return the kept units of the (first) input of a layer."""
    below = input_layers(layer)[0]
    if below is None or units[below] is None:
        shape = layer.input_shapes[0] if hasattr(layer, "input_shapes") else layer.input_shape
        return np.ones(shape[-1], dtype=bool)
    return units[below]


def _is_reached(layer, parts, reached):
    """Return whether a kept weight of each layer on some path connects the inputs of the network to a layer."""
    below = [layer for layer in input_layers(layer) if layer is not None]
    if isinstance(layer, BayesianLSTMLayer):
        return (not below or reached[below[0]]) and bool(parts["w_x"].any())
    if isinstance(layer, (BayesianEmbeddingLayer, BayesianDenseLayer)) and not parts["w"].any():
        return False
    return not below or any(reached[layer] for layer in below)


def _split_gates(stacked):
    """Return ``(4, rows, H)`` for ``(rows, 4H)``, or ``(4, H)`` for ``(4H,)``, in the order of `GATES`."""
    return np.stack(np.split(stacked, len(GATES), axis=-1))


def keep_masks(network):
    """Return which weights and units of a network of `bayes_rnn.models` are kept.

    Parameters
    ----------
    network : bayes_rnn.models.TextClassifier or LanguageModel

    Returns
    -------
    KeepMasks
        The masks of `network_masks` in another form.

    Examples
    --------
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.models import TextClassifier
    >>> from bayes_rnn.pruning import keep_masks
    >>> network = TextClassifier(parse_config("DCDCCD", "classification"), 50, 4, 3, classes=2)
    >>> keep_masks(network).lstm_W_in.shape
    (4, 4, 3)
    """
    masks = network_masks(network).layers
    lstm, embedding = masks["lstm"], masks.get("embedding")
    vocabulary, units, W = (lstm["z_x"], None, None) if embedding is None else (
        embedding["z_voc"], lstm["z_x"], embedding["w"])
    return KeepMasks(vocabulary, units, lstm["z_h"], _split_gates(lstm["gates"]), W, _split_gates(lstm["w_x"]),
                     _split_gates(lstm["w_h"]), masks["dense"]["w"])


class CompressionReport(object):
    """Counts of kept weights and units per layer, and the overall compression.

    Parameters
    ----------
    masks : NetworkMasks

    Attributes
    ----------
    counts : OrderedDict
        Name such as ``"embedding.w"`` to (kept, total), in the order of the printed report.
    ratio : float
        Number of individual weights before pruning divided by that after pruning, without biases and group variables.
        It includes the weights of layers that are not Bayesian.
    """

    #: Names of the layers of `bayes_rnn.models` in the published logs.
    LABELS = {"embedding": "Embedding", "lstm": "LSTM", "dense": "Dense"}

    def __init__(self, masks):
        self.counts = OrderedDict(("%s.%s" % (layer, part), (int(mask.sum()), mask.size))
                                  for layer, parts in masks.layers.items() for part, mask in parts.items())
        self._weights = ["%s.%s" % (layer, part) for layer, parts in masks.layers.items() for part in parts
                         if part not in UNIT_PARTS]
        self._connected = masks.connected
        kept, total = (sum(self.counts[name][index] for name in self._weights) for index in (0, 1))
        # The published program adds 1e-8, so that the ratio is finite if nothing is kept.
        self.ratio = total / (kept + 1e-8)

    def text(self):
        """Return the lines of the published logs: str."""
        lines = OrderedDict()
        for name, (kept, total) in self.counts.items():
            layer, _, part = name.rpartition(".")
            lines.setdefault(layer, []).append("(%s: %d/%d)" % (part, kept, total))
        return "\n".join(["Compression per layers:"]
                         + ["%s: %s " % (self.LABELS.get(layer, layer), " ".join(counts))
                            for layer, counts in lines.items()]
                         + ["Overall compression: %r" % self.ratio])

    def warning(self):
        """Return a line if no kept weights connect the input tokens to the output, else None.

        In a network of `bayes_rnn.models`, this is so if all weights of the embedding, all weights from the inputs to
        the LSTM, or all weights of the fully connected layer are pruned. Without recurrent weights, the output still
        depends on the input.
        """
        if self._connected:
            return None
        empty = [name for name in self._weights if not name.endswith(".w_h") and self.counts[name][0] == 0]
        return ("Pruning has removed everything: no weight is left in %s, so the predictions do not depend on the "
                "input tokens" % ", ".join(empty))


def compression_report(network):
    """Return the `CompressionReport` of the current parameters of a network.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or bayes_rnn.models network
        A Lasagne network is given by its output layer or layers.

    Returns
    -------
    CompressionReport

    Raises
    ------
    ReportedError
        If there is no Bayesian layer, or two layers have the same name.

    Examples
    --------
    >>> from bayes_rnn.layers import BayesianDenseLayer, BayesianLSTMLayer
    >>> from bayes_rnn.pruning import compression_report
    >>> lstm = BayesianLSTMLayer((None, 7, 5), num_units=4, kind="D", hid_kind="L", name="reader")
    >>> report = compression_report(BayesianDenseLayer(lstm, num_units=3, kind="D", name="dense"))
    >>> report.counts["reader.z_h"]
    (4, 4)
    >>> print(report.text())
    Compression per layers:
    reader: (w_x: 80/80) (w_h: 64/64) (z_x: 5/5) (z_h: 4/4) (gates: 16/16)
    Dense: (w: 12/12)
    Overall compression: 0.9999999999...
    """
    return CompressionReport(network_masks(network))


#: The part of `NetworkMasks` that belongs to a random variable.
_PARTS = {"W": "w", "z_voc": "z_voc", "W_in": "w_x", "W_hid": "w_h", "z_in": "z_x", "z_hid": "z_h", "z_gates": "gates"}


def prune(network):
    """Set all pruned weights and group variables of a network to zero permanently.

    The means of the pruned elements become exactly zero: as many weights are left as `compression_report` counts. Of
    weights that several layers share, those are left that one of the layers needs. The predictions stay those of the
    pruned network (``pruned=True``), and ``deterministic=True`` then has the same result. A report made afterwards can
    count fewer weights, because a unit whose last weight has become zero is pruned too.

    The arrays keep their sizes; `bayes_rnn.smaller_network` makes them smaller. Training moves the weights away from
    zero again.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or bayes_rnn.models network
        A Lasagne network is given by its output layer or layers.

    Raises
    ------
    ReportedError
        If there is no Bayesian layer, or two layers have the same name.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_rnn.layers import BayesianDenseLayer
    >>> from bayes_rnn.pruning import prune
    >>> dense = BayesianDenseLayer((None, 2), num_units=1, W=np.ones((2, 1)))
    >>> dense.W.log_sigma.set_value(np.array([[-3], [4]], dtype=dense.W.log_sigma.dtype))
    >>> prune(dense)
    >>> dense.W.mean().get_value().tolist()
    [[1.0], [0.0]]
    """
    masks, kept = network_masks(network).layers, OrderedDict()
    for name, layer in named_layers(network).items():
        if isinstance(layer, BayesianLayer):
            parameters = [(variable.parameters()[0], masks[name][_PARTS[variable.name]])
                          for variable in layer.random_variables
                          if variable.parameters() and (variable.prunable or not variable.name.startswith("z_"))]
        else:
            parameters = zip(layer.get_params(trainable=True, regularizable=True), masks[name].values())
        for parameter, mask in parameters:              # layers that share a parameter need what one of them needs
            kept[parameter] = kept.get(parameter, False) | mask
    for parameter, mask in kept.items():
        parameter.set_value(np.where(mask, parameter.get_value(), 0).astype(parameter.dtype))


def word_importance(network, layer=None):
    """Return the signal-to-noise ratio of each vocabulary element.

    The ratio is |mu| / sigma of the element's group variable, which is z_voc of an embedding, or z_in of the LSTM above
    a one-hot layer (of several LSTMs, the largest ratio). An element is pruned if its ratio is below about 0.22.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or bayes_rnn.models network
        A Lasagne network is given by its output layer or layers.
    layer : BayesianEmbeddingLayer or OneHotLayer, optional
        The layer, if the network has several of them with group variables of kind L.

    Returns
    -------
    numpy.ndarray or None
        Of shape ``(V,)``, zero for pruned elements. None if the vocabulary has no group variable of kind L.

    Raises
    ------
    ReportedError
        If several layers have such variables, and none is chosen.
    """
    importances = _importances(network)
    if layer is None:
        if len(importances) > 1:
            raise ReportedError("%d layers have group variables of words (%s): choose one by the argument layer" % (
                len(importances), ", ".join(below.name or type(below).__name__ for below in importances)))
        return next(iter(importances.values()), None)
    return importances.get(layer)


def _importances(network):
    """Return the importance of the words, for each embedding or one-hot layer with group variables of kind L."""
    masks, importances = network_masks(network).layers, OrderedDict()
    for name, layer in named_layers(network).items():
        if isinstance(layer, BayesianEmbeddingLayer) and layer.z_voc.prunable:
            importances[layer] = _ratio(layer.z_voc, masks[name]["z_voc"])
        below = layer.input_layers[0] if isinstance(layer, BayesianLSTMLayer) else None
        if isinstance(below, OneHotLayer) and layer.z_in.prunable:
            ratio = _ratio(layer.z_in, masks[name]["z_x"])
            importances[below] = np.maximum(ratio, importances.get(below, ratio))
    return importances


def _ratio(variable, mask):
    """Return the signal-to-noise ratios of group variables, zero where they are pruned."""
    return np.where(mask, np.exp(-0.5 * variable.log_alpha()), 0)


def kept_words(network, vocabulary, layer=None):
    """Return the words that are not pruned, most important first.

    Parameters
    ----------
    network : lasagne.layers.Layer, list of lasagne.layers.Layer, or bayes_rnn.models network
        A Lasagne network is given by its output layer or layers.
    vocabulary : sequence of str
        One word for each vocabulary element of the network.
    layer : BayesianEmbeddingLayer or OneHotLayer, optional
        The layer, if the network has several of them with group variables of kind L.

    Returns
    -------
    list of (str, float) or None
        Words with their importance; see `word_importance`. None if the vocabulary has no group variable of kind L.

    Raises
    ------
    ReportedError
        If the vocabulary does not have as many words as the network, or the layer must be chosen.
    """
    importance = word_importance(network, layer)
    if importance is None:
        return None
    if len(vocabulary) != len(importance):
        raise ReportedError("the vocabulary must have as many words as the network, %d, got %d"
                            % (len(importance), len(vocabulary)))
    order = np.argsort(-importance, kind="mergesort")
    return [(vocabulary[index], float(importance[index])) for index in order if importance[index] > 0]
