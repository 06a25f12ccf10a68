"""Architectures of the language model and of the tagger: the sizes of their layers, and parameter counts.

The module does not import Theano, so that the options of a command line are checked before anything is compiled.

References
----------
Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, CoNLL 2018, arXiv:1808.08720,
section 4.
"""

from collections import namedtuple

from theano_rnn.errors import ReportedError

from .geometry import embedding_geometry, lstm_geometry

__all__ = ["SPARSE_MODES", "LanguageModelArchitecture", "language_model_architecture", "TaggerArchitecture",
           "tagger_architecture"]

#: For each mode, whether the reduction applies to sizes that equal the embedding dimensions, and to sizes that equal
#: the number of hidden units (arXiv:1808.08720, section 4.1).
SPARSE_MODES = {"direct": (False, False), "sparse_hidden": (False, True), "sparse_emb": (True, False),
                "sparse_all": (True, True)}


class LanguageModelArchitecture(namedtuple("LanguageModelArchitecture", ["embedding", "lstms", "n_experts"])):
    """Architecture of an AWD-LSTM language model. Created by `language_model_architecture`.

    Attributes
    ----------
    embedding : EmbeddingGeometry
    lstms : tuple of LSTMGeometry
        Bottom first.
    n_experts : int
        Number of softmaxes in the mixture.
    """

    __slots__ = ()

    @property
    def last_hidden_size(self):
        """int : Hidden units of the last LSTM."""
        return self.lstms[-1].hidden_size

    @property
    def has_latent(self):
        """bool : Whether there is a tanh layer, the latent layer, between the last LSTM and the decoder."""
        return self.last_hidden_size != self.n_experts * self.embedding.dimensions

    def parameter_counts(self):
        """Return the number of parameters by part: dict of ``encoder``, ``rnns``, ``prior``, ``latent``, ``total``."""
        latent_size = self.n_experts * self.embedding.dimensions
        counts = {"encoder": self.embedding.parameters + self.embedding.vocabulary_size,
                  "rnns": sum(lstm.parameters for lstm in self.lstms),
                  "prior": self.n_experts * self.last_hidden_size,
                  "latent": (self.last_hidden_size + 1) * latent_size if self.has_latent else 0}
        counts["total"] = sum(counts.values())
        return counts


def language_model_architecture(vocabulary_size, emsize=400, nhid=1150, nhidlast=-1, nlayers=3, n_experts=1, emblocks=1,
                                emdensity=1., sparse_mode="direct", sparse_fract=1.):
    """Return the architecture of an AWD-LSTM with predefined sparseness (arXiv:1808.08720, section 4.1).

    Parameters
    ----------
    vocabulary_size : int
    emsize : int
        Embedding dimensions.
    nhid : int
        Hidden units of each LSTM except the last.
    nhidlast : int
        Hidden units of the last LSTM; -1 for `emsize`.
    nlayers : int
        Number of LSTMs.
    n_experts : int
        Number of softmaxes in the mixture.
    emblocks : int
        Blocks of the embedding; see `sparse_seq_theano.geometry.embedding_geometry`.
    emdensity : float
        Density of the embedding.
    sparse_mode : {'direct', 'sparse_hidden', 'sparse_emb', 'sparse_all'}
        Sizes that are reduced by `sparse_fract`: none (dense LSTMs), those of the hidden state, those of the embedding,
        or all.
    sparse_fract : float
        Factor of these sizes, in (0, 1].

    Returns
    -------
    LanguageModelArchitecture

    Raises
    ------
    ReportedError
        If an option is invalid. The message names the option.

    Examples
    --------
    >>> from sparse_seq_theano.architecture import language_model_architecture
    >>> language_model_architecture(10000).parameter_counts()["total"]
    24222000
    """
    _check_positive(nlayers=nlayers, n_experts=n_experts, emsize=emsize, nhid=nhid, emblocks=emblocks)
    if nhidlast != -1:
        _check_positive(nhidlast=nhidlast)
    if sparse_mode not in SPARSE_MODES:
        raise ReportedError("sparse_mode must be one of %s, got %r" % (", ".join(sorted(SPARSE_MODES)), sparse_mode))
    if not 0 < sparse_fract <= 1:
        raise ReportedError("sparse_fract must be in (0, 1], got %s" % sparse_fract)
    if sparse_mode == "direct" and sparse_fract != 1:
        raise ReportedError("sparse_fract %s has no effect with sparse_mode direct; expected one of %s"
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
    return LanguageModelArchitecture(embedding, tuple(lstms), n_experts)


class TaggerArchitecture(namedtuple("TaggerArchitecture", ["embedding", "nhid", "layers", "tags"])):
    """Architecture of a tagger. Created by `tagger_architecture`.

    Attributes
    ----------
    embedding : EmbeddingGeometry
    nhid : int
        Hidden units of each direction of each LSTM, and units of the layer between the last LSTM and the tags.
    layers : int
        Number of bidirectional LSTMs.
    tags : int
        Number of tags.
    """

    __slots__ = ()

    def parameter_counts(self):
        """Return the number of parameters by part: dict of ``embedding``, ``lstms``, ``dense`` and ``total``."""
        sizes = [self.embedding.dimensions] + [2 * self.nhid] * (self.layers - 1)
        counts = {"embedding": self.embedding.parameters,
                  "lstms": sum(2 * lstm_geometry(size, self.nhid, blocks=1).parameters for size in sizes),
                  "dense": (2 * self.nhid + 1) * self.nhid + (self.nhid + 1) * self.tags}
        counts["total"] = sum(counts.values())
        return counts


def tagger_architecture(vocabulary_size, tags, emsize=100, nhid=50, layers=1, emb_blocks=1, emb_density=1.):
    """Return the architecture of the tagger (arXiv:1808.08720, section 4.2).

    Parameters
    ----------
    vocabulary_size, tags : int
    emsize : int
        Embedding dimensions.
    nhid : int
        Hidden units of each direction.
    layers : int
        Number of bidirectional LSTMs.
    emb_blocks : int
        Blocks of the embedding; see `sparse_seq_theano.geometry.embedding_geometry`.
    emb_density : float
        Density of the embedding.

    Returns
    -------
    TaggerArchitecture

    Raises
    ------
    ReportedError
        If an option is invalid. The message names the option.

    Examples
    --------
    >>> from sparse_seq_theano.architecture import tagger_architecture
    >>> tagger_architecture(5000, tags=45).parameter_counts()["lstms"]
    60800
    """
    _check_positive(emsize=emsize, nhid=nhid, layers=layers, emb_blocks=emb_blocks, tags=tags)
    embedding = _named("emb_blocks, emb_density", embedding_geometry, vocabulary_size, emsize, emb_blocks, emb_density)
    return TaggerArchitecture(embedding, nhid, layers, tags)


def _check_positive(**sizes):
    for name in sorted(sizes):
        if sizes[name] < 1:
            raise ReportedError("%s must be at least 1, got %s" % (name, sizes[name]))


def _named(option, function, *arguments, **options):
    """Call a function of `geometry`, and prefix its errors with the option of the network."""
    try:
        return function(*arguments, **options)
    except ReportedError as error:
        raise ReportedError("%s: %s" % (option, error)) from error
