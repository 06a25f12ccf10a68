"""Pruning of a trained network: keep masks, the compression report, and the kept words.

Individual weights and whole units are pruned together. A unit is pruned if its group variable is pruned, or if no
weight to it or from it is kept. A weight is pruned if one of the units it connects is pruned.

References
----------
Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, EMNLP 2018, arXiv:1810.10927,
section 3.
Lobacheva, Chirkova, Vetrov: Bayesian Sparsification of Gated Recurrent Neural Networks, 2018, arXiv:1812.05692,
section 3.
"""

from collections import OrderedDict, namedtuple

import numpy as np

from .layers.lstm import GATES

__all__ = ["KeepMasks", "keep_masks", "CompressionReport", "compression_report", "word_importance", "kept_words"]

#: Bool arrays with gates as separate axes, for V words, E embedding units, H hidden units and C outputs.
#:
#: vocabulary ``(V,)``, embedding_units ``(E,)`` or None, hidden ``(H,)``, gates ``(4, H)``, embedding_W ``(V, E)`` or
#: None, lstm_W_in ``(4, inputs, H)``, lstm_W_hid ``(4, H, H)``, dense_W ``(H, C)``
KeepMasks = namedtuple("KeepMasks", ["vocabulary", "embedding_units", "hidden", "gates", "embedding_W",
                                     "lstm_W_in", "lstm_W_hid", "dense_W"])


def _split_gates(stacked):
    """Return ``(4, rows, H)`` for ``(rows, 4H)``, or ``(4, H)`` for ``(4H,)``, in the order of `GATES`."""
    return np.stack(np.split(stacked, len(GATES), axis=-1))


def keep_masks(network):
    """Return which weights and units of a network are kept.

    Parameters
    ----------
    network : bayes_rnn.models.TextClassifier or LanguageModel

    Returns
    -------
    KeepMasks

    Examples
    --------
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.models import TextClassifier
    >>> from bayes_rnn.pruning import keep_masks
    >>> network = TextClassifier(parse_config("DCDCCD", "classification"), 50, 4, 3, classes=2)
    >>> keep_masks(network).lstm_W_in.shape
    (4, 4, 3)
    """
    lstm, dense, embedding = (network.layers.get(name) for name in ("lstm", "dense", "embedding"))
    W_in, W_hid = _split_gates(lstm.W_in.keep_mask()), _split_gates(lstm.W_hid.keep_mask())
    W_out, gates = dense.W.keep_mask(), _split_gates(lstm.z_gates.keep_mask())
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
    """Counts of kept weights and units per layer, and the overall compression.

    Parameters
    ----------
    masks : KeepMasks

    Attributes
    ----------
    counts : OrderedDict
        Name such as ``"embedding.w"`` to (kept, total), in the order of the printed report.
    ratio : float
        Number of individual weights before pruning divided by that after pruning, without biases and group variables.
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
        # The published program adds 1e-8, so that the ratio is finite if nothing is kept.
        self.ratio = total / (kept + 1e-8)

    def text(self):
        """Return the lines of the published logs: str."""
        lines = ["Compression per layers:"]
        for layer, label in self.LABELS.items():
            counts = [(name.split(".")[1],) + pair for name, pair in self.counts.items() if name.startswith(layer)]
            if counts:
                lines.append("%s: %s " % (label, " ".join("(%s: %d/%d)" % count for count in counts)))
        return "\n".join(lines + ["Overall compression: %r" % self.ratio])

    def warning(self):
        """Return a line if no weight is left between the input tokens and the output, else None.

        This is so if all weights of the embedding, all weights from the inputs to the LSTM, or all weights of the fully
        connected layer are pruned. Without recurrent weights, the output still depends on the input.
        """
        empty = [name for name in self.WEIGHTS if name != "lstm.w_h" and self.counts.get(name, (1,))[0] == 0]
        if not empty:
            return None
        return ("Pruning has removed everything: no weight is left in %s, so the predictions do not depend on the "
                "input tokens" % ", ".join(empty))


def compression_report(network):
    """Return the `CompressionReport` of the current parameters of a network."""
    return CompressionReport(keep_masks(network))


def word_importance(network):
    """Return the signal-to-noise ratio of each vocabulary element.

    The ratio is |mu| / sigma of the element's group variable, which is z_voc of an embedding, or z_in of a language
    model. An element is pruned if its ratio is below about 0.22.

    Parameters
    ----------
    network : bayes_rnn.models.TextClassifier or LanguageModel

    Returns
    -------
    numpy.ndarray or None
        Of shape ``(V,)``, zero for pruned elements. None if the vocabulary has no group variable of kind L.
    """
    embedding = network.layers.get("embedding")
    variable = embedding.z_voc if embedding else network.layers["lstm"].z_in
    if not variable.prunable:
        return None
    return np.where(keep_masks(network).vocabulary, np.exp(-0.5 * variable.log_alpha()), 0)


def kept_words(network, vocabulary):
    """Return the words that are not pruned, most important first.

    Parameters
    ----------
    network : bayes_rnn.models.TextClassifier or LanguageModel
    vocabulary : sequence of str
        One word for each vocabulary element of the network.

    Returns
    -------
    list of (str, float) or None
        Words with their importance; see `word_importance`. None if the vocabulary has no group variable of kind L.
    """
    importance = word_importance(network)
    if importance is None:
        return None
    order = np.argsort(-importance, kind="mergesort")
    return [(vocabulary[index], float(importance[index])) for index in order if importance[index] > 0]
