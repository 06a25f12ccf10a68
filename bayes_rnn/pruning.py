"""What pruning leaves of a trained network: keep masks, the printed report, the small network, the kept words.

Individual weights and whole units are pruned together: a unit goes if its group variable is pruned or nothing that
enters or leaves it is kept, and a weight goes if either of its ends does. Chirkova et al., arXiv 1810.10927,
section 3; Lobacheva et al., arXiv 1812.05692, section 3.
"""

from collections import OrderedDict, namedtuple

import numpy as np

from theano_rnn.tokens import OUTSIDE_WORD

from .layers.lstm import GATES
from .predictor import GATE_NONLINEARITIES

__all__ = ["KeepMasks", "keep_masks", "CompressionReport", "compression_report", "word_importance",
           "kept_words", "compress"]

#: Bool arrays; gates are separate axes here. V vocabulary, E embedding units, H hidden units, C outputs.
#:
#: vocabulary (V,), embedding_units (E,) or None, hidden (H,), gates (4, H), embedding_W (V, E) or None,
#: lstm_W_in (4, inputs, H), lstm_W_hid (4, H, H), dense_W (H, C)
KeepMasks = namedtuple("KeepMasks", ["vocabulary", "embedding_units", "hidden", "gates", "embedding_W",
                                     "lstm_W_in", "lstm_W_hid", "dense_W"])


def split_gates(stacked):
    """(rows, 4H) to (4, rows, H), or (4H,) to (4, H): gates in the order input, forget, cell, output."""
    return np.stack(np.split(stacked, len(GATES), axis=-1))


def keep_masks(network):
    """Which weights and units of a network pruning keeps.

    Parameters
    ----------
    network : bayes_rnn.models.TextClassifier or LanguageModel

    Returns
    -------
    KeepMasks
    """
    lstm, dense, embedding = (network.layers.get(name) for name in ("lstm", "dense", "embedding"))
    W_in, W_hid = split_gates(lstm.W_in.keep_mask()), split_gates(lstm.W_hid.keep_mask())
    W_out, gates = dense.W.keep_mask(), split_gates(lstm.z_gates.keep_mask())
    inputs = lstm.z_in.keep_mask() & W_in.any(axis=(0, 2))
    hidden = lstm.z_hid.keep_mask() & (W_hid.any(axis=(0, 2)) | W_out.any(axis=1))
    if embedding is None:
        vocabulary, embedding_units, W_embedding = inputs, None, None
    else:
        W_embedding = embedding.W.keep_mask()
        vocabulary = embedding.z_voc.keep_mask() if embedding.z_voc.prunable else W_embedding.any(axis=1)
        inputs = embedding_units = inputs & W_embedding.any(axis=0)
        W_embedding = W_embedding & vocabulary[:, None] & embedding_units
    W_in = W_in & inputs[None, :, None] & hidden
    W_hid = W_hid & hidden[None, :, None] & hidden
    gates = gates & (W_in.any(axis=1) | W_hid.any(axis=1))
    return KeepMasks(vocabulary, embedding_units, hidden, gates, W_embedding, W_in, W_hid, W_out & hidden[:, None])


class CompressionReport(object):
    """How much of a network is kept: counts per layer and the overall compression.

    Parameters
    ----------
    masks : KeepMasks

    Attributes
    ----------
    counts : OrderedDict
        ``"embedding.w"`` and so on to (kept, of), in the order of the printed report.
    ratio : float
        Individual weights before / after pruning; no biases, no group variables.
    """

    LABELS = OrderedDict([("embedding", "Embedding"), ("lstm", "LSTM"), ("dense", "Dense")])
    WEIGHTS = ("embedding.w", "lstm.w_x", "lstm.w_h", "dense.w")

    def __init__(self, masks):
        inputs = masks.vocabulary if masks.embedding_units is None else masks.embedding_units
        parts = [("lstm.w_x", masks.lstm_W_in), ("lstm.w_h", masks.lstm_W_hid), ("lstm.z_x", inputs),
                 ("lstm.z_h", masks.hidden), ("lstm.gates", masks.gates), ("dense.w", masks.dense_W)]
        if masks.embedding_W is not None:
            parts = [("embedding.w", masks.embedding_W), ("embedding.z_voc", masks.vocabulary)] + parts
        self.counts = OrderedDict((name, (int(mask.sum()), mask.size)) for name, mask in parts)
        kept, total = (sum(self.counts[name][index] for name in self.WEIGHTS if name in self.counts)
                       for index in (0, 1))
        # The published figures are computed so: a network of which nothing is left has a finite compression.
        self.ratio = total / (kept + 1e-8)

    def text(self):
        """The lines of the published logs: str."""
        lines = ["Compression per layers:"]
        for layer, label in self.LABELS.items():
            counts = [(name.split(".")[1],) + pair for name, pair in self.counts.items() if name.startswith(layer)]
            if counts:
                lines.append("%s: %s " % (label, " ".join("(%s: %d/%d)" % count for count in counts)))
        return "\n".join(lines + ["Overall compression: %r" % self.ratio])


def compression_report(network):
    """The `CompressionReport` of a network as it is now."""
    return CompressionReport(keep_masks(network))


def word_importance(network):
    """How far each kept vocabulary element is from being pruned.

    The measure is the signal-to-noise ratio |mu| / sigma of its group variable (z_voc of an embedding, z_in of a
    language model): pruning removes what falls below about 0.22.

    Returns
    -------
    numpy.ndarray or None
        (V,), zero for what is pruned; None where the vocabulary has no group variable of kind L.
    """
    embedding = network.layers.get("embedding")
    variable = embedding.z_voc if embedding else network.layers["lstm"].z_in
    if not variable.prunable:
        return None
    return np.where(keep_masks(network).vocabulary, np.exp(-0.5 * variable.log_alpha()), 0)


def kept_words(network, vocabulary):
    """The words that pruning keeps, most important first.

    Parameters
    ----------
    network : TextClassifier or LanguageModel
    vocabulary : sequence of str
        One word for each vocabulary element of the network.

    Returns
    -------
    list of (str, float) or None
        Words with their importance; None where the vocabulary cannot be pruned as such.
    """
    importance = word_importance(network)
    if importance is None:
        return None
    order = np.argsort(-importance, kind="mergesort")
    return [(vocabulary[index], float(importance[index])) for index in order if importance[index] > 0]


def compress(network, vocabulary, details):
    """Build the small network: only kept words, units and gates, group variables multiplied into the weights.

    Its predictions equal those of the pruned network. A gate that is not kept does not depend on anything: it is
    stored as the constant activation(bias) and never computed.

    Parameters
    ----------
    network : TextClassifier or LanguageModel
    vocabulary : sequence of str
        One word for each vocabulary element of the network.
    details : dict
        More to store: how text becomes tokens, names of the classes; see `bayes_rnn.predictor`.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
    metadata : dict
        For `bayes_rnn.predictor.save_model`.
    """
    masks = keep_masks(network)
    lstm, dense, embedding = (network.layers.get(name) for name in ("lstm", "dense", "embedding"))
    hidden, rows = masks.hidden, masks.vocabulary
    inputs = rows if embedding is None else masks.embedding_units
    computed = (masks.gates & hidden).ravel()                               # (4H,)
    of_kept_units = np.tile(hidden, len(GATES))                             # (4H,)
    z_gates, z_hid, z_in = (variable.pruned_value() for variable in (lstm.z_gates, lstm.z_hid, lstm.z_in))
    bias = lstm.b.get_value()
    W_in = lstm.W_in.pruned_value() * z_in[:, None] * z_gates
    W_hid = lstm.W_hid.pruned_value() * z_hid[:, None] * z_gates
    W_out = dense.W.pruned_value() * z_hid[:, None]
    arrays = {
        "W_in": W_in[inputs][:, computed], "W_hid": W_hid[hidden][:, computed], "b": bias[computed],
        "W_out": W_out[hidden], "b_out": dense.b.get_value(),
        "gate_is_computed": computed[of_kept_units], "gate_constants": _activated_bias(lstm, bias)[of_kept_units]}
    if embedding is not None:
        arrays["embedding"] = (embedding.W.pruned_value() * embedding.z_voc.pruned_value()[:, None])[rows][:, inputs]
    metadata = dict(details, gate_nonlinearity=lstm.gate_nonlinearity, config=network.config.text,
                    words=[vocabulary[index] for index in np.flatnonzero(rows)])
    if embedding is None:
        metadata["vocabulary"] = list(vocabulary)       # a language model predicts every word, kept as an input or not
    elif OUTSIDE_WORD in metadata["words"]:
        # A word outside the vocabulary differs from one that was pruned: both must be known.
        metadata["pruned_words"] = [vocabulary[index] for index in np.flatnonzero(~rows)]
    return arrays, metadata


def _activated_bias(lstm, bias):
    input_forget_output = GATE_NONLINEARITIES[lstm.gate_nonlinearity](bias)
    is_cell = np.repeat(np.arange(len(GATES)) == GATES.index("cell"), lstm.num_units)
    return np.where(is_cell, np.tanh(bias), input_forget_output).astype(bias.dtype)
