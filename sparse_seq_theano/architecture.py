"""The sizes of the language model and of the tagger, layer by layer: pure functions, no Theano.

What a command line asks for is checked here, and its parameters are counted, before anything is compiled.
"""

from collections import namedtuple

from theano_rnn.errors import ReportedError

from .geometry import embedding_geometry, lstm_geometry

__all__ = ["SPARSE_MODES", "LanguageModelStructure", "language_model_structure", "TaggerStructure",
           "tagger_structure"]

#: For each mode: whether the reduction applies to what is as wide as the embedding, and to what is as wide as the
#: hidden state (arXiv 1808.08720, section 4.1).
SPARSE_MODES = {"direct": (False, False), "sparse_hidden": (False, True), "sparse_emb": (True, False),
                "sparse_all": (True, True)}


class LanguageModelStructure(namedtuple("LanguageModelStructure", ["embedding", "lstms", "n_experts"])):
    """What an AWD-LSTM is made of.

    Attributes
    ----------
    embedding : EmbeddingGeometry
    lstms : tuple of LSTMGeometry
        Bottom first.
    n_experts : int
        Softmaxes in the mixture.
    """

    __slots__ = ()

    @property
    def last_hidden_size(self):
        """Hidden units of the last LSTM."""
        return self.lstms[-1].hidden_size

    @property
    def has_latent(self):
        """Whether tanh(linear) stands between the last LSTM and the decoder."""
        return self.last_hidden_size != self.n_experts * self.embedding.dimensions

    def parameter_counts(self):
        """Trained numbers by part: dict of ``encoder``, ``rnns``, ``prior``, ``latent`` and ``total``."""
        latent_size = self.n_experts * self.embedding.dimensions
        counts = {"encoder": self.embedding.parameters + self.embedding.vocabulary_size,
                  "rnns": sum(lstm.parameters for lstm in self.lstms),
                  "prior": self.n_experts * self.last_hidden_size,
                  "latent": (self.last_hidden_size + 1) * latent_size if self.has_latent else 0}
        counts["total"] = sum(counts.values())
        return counts


def language_model_structure(vocabulary_size, emsize=400, nhid=1150, nhidlast=-1, nlayers=3, n_experts=1, emblocks=1,
                             emdensity=1., sparse_mode="direct", sparse_fract=1.):
    """The structure of an AWD-LSTM with predefined sparseness (arXiv 1808.08720, section 4.1).

    Parameters
    ----------
    vocabulary_size : int
    emsize, nhid : int
        Units of the embedding and of each LSTM but the last.
    nhidlast : int
        Units of the last LSTM; `emsize` if -1.
    nlayers, n_experts : int
    emblocks : int
    emdensity : float
        Of the embedding; see `sparse_seq_theano.geometry.embedding_geometry`.
    sparse_mode : {"direct", "sparse_hidden", "sparse_emb", "sparse_all"}
        Dense LSTMs, or which sizes are reduced by `sparse_fract`: the hidden ones, those of the embedding, or all.
    sparse_fract : float
        In (0, 1].

    Returns
    -------
    LanguageModelStructure

    Raises
    ------
    ReportedError
        If no network of these sizes exists; it names the option.

    Examples
    --------
    >>> from sparse_seq_theano.architecture import language_model_structure
    >>> language_model_structure(10000).parameter_counts()["total"]
    24222000
    """
    _check_positive(nlayers=nlayers, n_experts=n_experts, emsize=emsize, nhid=nhid, emblocks=emblocks)
    if nhidlast != -1:
        _check_positive(nhidlast=nhidlast)
    if sparse_mode not in SPARSE_MODES:
        raise ReportedError("sparse_mode is '%s', expected one of %s" % (sparse_mode, ", ".join(sorted(SPARSE_MODES))))
    if not 0 < sparse_fract <= 1:
        raise ReportedError("sparse_fract is %s, expected a number above 0, at most 1" % sparse_fract)
    if sparse_mode == "direct" and sparse_fract != 1:
        raise ReportedError("sparse_fract %s has no effect with sparse_mode direct; choose one of %s"
                            % (sparse_fract, ", ".join(sorted(set(SPARSE_MODES) - {"direct"}))))
    embedding = _named("emblocks, emdensity", embedding_geometry, vocabulary_size, emsize, emblocks, emdensity)
    reduce_embedding, reduce_hidden = [sparse_fract if reduced else 1. for reduced in SPARSE_MODES[sparse_mode]]
    lstms = []
    for layer in range(nlayers):
        first, last = layer == 0, layer == nlayers - 1
        reductions = {"reduce_in": reduce_embedding if first else reduce_hidden,
                      "reduce_out": reduce_embedding if last else reduce_hidden}
        lstms.append(_named(
            "layer %d with sparse_mode %s, sparse_fract %s" % (layer, sparse_mode, sparse_fract), lstm_geometry,
            emsize if first else nhid, (emsize if nhidlast == -1 else nhidlast) if last else nhid,
            **({"blocks": 1} if set(reductions.values()) == {1.} else reductions)))
    return LanguageModelStructure(embedding, tuple(lstms), n_experts)


class TaggerStructure(namedtuple("TaggerStructure", ["embedding", "nhid", "layers", "tags"])):
    """What a tagger is made of.

    Attributes
    ----------
    embedding : EmbeddingGeometry
    nhid : int
        Hidden units of each direction of each LSTM, and of the layer between the last LSTM and the tags.
    layers : int
        Bidirectional LSTMs.
    tags : int
    """

    __slots__ = ()

    def parameter_counts(self):
        """Trained numbers by part: dict of ``embedding``, ``lstms``, ``dense`` and ``total``."""
        sizes = [self.embedding.dimensions] + [2 * self.nhid] * (self.layers - 1)
        counts = {"embedding": self.embedding.parameters,
                  "lstms": sum(2 * lstm_geometry(size, self.nhid, blocks=1).parameters for size in sizes),
                  "dense": (2 * self.nhid + 1) * self.nhid + (self.nhid + 1) * self.tags}
        counts["total"] = sum(counts.values())
        return counts


def tagger_structure(vocabulary_size, tags, emsize=100, nhid=50, layers=1, emb_blocks=1, emb_density=1.):
    """The structure of the tagger (arXiv 1808.08720, section 4.2).

    Parameters
    ----------
    vocabulary_size, tags : int
    emsize, nhid, layers : int
        Units of the embedding; hidden units of each direction; bidirectional LSTMs.
    emb_blocks : int
    emb_density : float
        Of the embedding; see `sparse_seq_theano.geometry.embedding_geometry`.

    Returns
    -------
    TaggerStructure

    Raises
    ------
    ReportedError
        If no network of these sizes exists; it names the option.
    """
    _check_positive(emsize=emsize, nhid=nhid, layers=layers, emb_blocks=emb_blocks, tags=tags)
    embedding = _named("emb_blocks, emb_density", embedding_geometry, vocabulary_size, emsize, emb_blocks, emb_density)
    return TaggerStructure(embedding, nhid, layers, tags)


def _check_positive(**sizes):
    for name in sorted(sizes):
        if sizes[name] < 1:
            raise ReportedError("%s is %s, expected at least 1" % (name, sizes[name]))


def _named(what, function, *arguments, **options):
    """Call a function of `geometry`; its error says which option of the network led to it."""
    try:
        return function(*arguments, **options)
    except ReportedError as error:
        raise ReportedError("%s: %s" % (what, error)) from error
