"""Embedding with predefined sparseness, and the decoder that shares its weights."""

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import check_tokens
from theano_rnn.ops.expressions import concatenate

import numpy as np
import theano
import theano.tensor as T

from ..dropout import DropoutNoise, check_probability, dropped
from ..geometry import embedding_geometry

__all__ = ["SparseEmbeddingLayer", "SparseDecoderLayer"]


class SparseEmbeddingLayer(lasagne.layers.Layer):
    """Embedding matrix composed of column blocks that store only their last rows.

    Block j stores the rows from ``geometry.start_rows[j]`` on. The rows above them are zero. The length of a word's
    vector increases with its id, so the vocabulary must be sorted from the least to the most frequent word.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Token ids of shape ``(batch, time)``, integers in [0, vocabulary_size).
    vocabulary_size : int
        Rows V of the matrix.
    dimensions : int
        Columns d of the matrix.
    blocks : int
        Column blocks.
    density : float
        Fraction of the V * d entries that are stored, in [1/blocks, 1].
    W : lasagne.init.Initializer or callable
        Called once per block that has rows. With one block, also a Theano shared variable or numpy array, ``(V, d)``.
    word_dropout : float
        Probability of dropping a word, with one mask over the vocabulary per minibatch (``dropoute``).
    dimension_dropout : float
        Probability of dropping an embedding dimension of an example at all time steps (``dropouti``).
    noise : DropoutNoise, optional
        Random number source. By default, the layer has its own source, seeded by Lasagne's random state.
    **kwargs
        `name`.

    Attributes
    ----------
    geometry : sparse_seq_theano.geometry.EmbeddingGeometry
    blocks : list of Theano shared variables
        ``blocks[j]`` has shape ``(V - start_rows[j], widths[j])`` and is the parameter ``"block<j>"``. A block without
        rows is not a parameter of the layer.

    Raises
    ------
    ReportedError
        If the sizes are invalid (`GeometryError`), or a probability is not in [0, 1).

    References
    ----------
    Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, arXiv:1808.08720, section 3.

    Merity, Keskar, Socher: Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182, sections 4.2 and 4.3,
    for the dropouts.

    Examples
    --------
    >>> from sparse_seq_theano.layers import SparseEmbeddingLayer
    >>> layer = SparseEmbeddingLayer((None, 7), 15, 9, blocks=5, density=0.5, name="encoder")
    >>> layer.output_shape
    (None, 7, 9)
    >>> [block.get_value().shape for block in layer.blocks]
    [(15, 1), (9, 1), (7, 1), (6, 1), (6, 5)]
    """

    def __init__(self, incoming, vocabulary_size, dimensions, blocks=1, density=1., W=lasagne.init.Uniform(0.1),
                 word_dropout=0., dimension_dropout=0., noise=None, **kwargs):
        super(SparseEmbeddingLayer, self).__init__(incoming, **kwargs)
        check_tokens(self)
        self.geometry = embedding_geometry(vocabulary_size, dimensions, blocks, density)
        self.word_dropout = check_probability(word_dropout, "word_dropout")
        self.dimension_dropout = check_probability(dimension_dropout, "dimension_dropout")
        self.noise = noise or DropoutNoise()
        self.blocks = []
        for number, (start, width) in enumerate(zip(self.geometry.start_rows, self.geometry.widths)):
            shape = (vocabulary_size - start, width)
            self.blocks.append(self.add_param(W, shape, "block%d" % number) if shape[0]
                               else theano.shared(np.zeros(shape, dtype=theano.config.floatX)))

    def get_output_shape_for(self, input_shape):
        return tuple(input_shape) + (self.geometry.dimensions,)

    def get_output_for(self, input, deterministic=False, **kwargs):
        tokens = T.cast(input, "int32").flatten()
        output = concatenate([self._look_up(number, tokens) for number in range(len(self.blocks))], axis=1)
        if self.word_dropout and not deterministic:
            keep = self.noise.keep_mask((self.geometry.vocabulary_size,), self.word_dropout)
            output = output * keep[tokens].dimshuffle(0, "x")
        output = output.reshape((input.shape[0], input.shape[1], self.geometry.dimensions))
        return dropped(output, 0. if deterministic else self.dimension_dropout, self.noise,
                       (input.shape[0], 1, self.geometry.dimensions))

    def _look_up(self, number, tokens):
        """Return the columns of one block for a vector of tokens: symbolic ``(len(tokens), width)``."""
        block, start, width = self.blocks[number], self.geometry.start_rows[number], self.geometry.widths[number]
        if start == 0:
            return block[tokens]
        if start == self.geometry.vocabulary_size:
            return T.zeros((tokens.shape[0], width), dtype=block.dtype)
        stored = T.cast(T.ge(tokens, start), block.dtype)
        return block[T.maximum(tokens - start, 0)] * stored.dimshuffle(0, "x")

    def assembled(self):
        """Return the full matrix, symbolic ``(V, d)``, for inspection. Computations use the stored entries only."""
        return T.concatenate([T.concatenate([T.zeros((start, width), dtype=block.dtype), block]) for block, start, width
                              in zip(self.blocks, self.geometry.start_rows, self.geometry.widths)], axis=1)

    def decode(self, hidden, bias=None):
        """Return ``dot(hidden, matrix.T) + bias``, computed from the stored entries only.

        Between two start rows, all rows are stored in the same blocks, so this part of the matrix is dense. Word
        dropout does not apply here.

        Parameters
        ----------
        hidden : symbolic ``(N, d)``
        bias : symbolic ``(V,)``, optional

        Returns
        -------
        symbolic ``(N, V)``
        """
        segments = self.geometry.row_segments
        hidden_parts, matrices = [[] for _ in segments], [[] for _ in segments]
        for block, start, (left, right) in zip(self.blocks, self.geometry.start_rows, self.geometry.block_columns):
            first = sum(begin < start for begin, _, _ in segments)
            lengths = [end - begin for begin, end, _ in segments[first:]]
            # The gradient of each slice would be as large as the block. The gradient of a split is not.
            pieces = T.split(block, lengths, len(lengths)) if len(lengths) > 1 else [block]
            for segment, piece in zip(range(first, len(segments)), pieces):
                matrices[segment].append(piece)
                hidden_parts[segment].append((left, right))
        logits = [T.dot(_columns(hidden, columns), concatenate(pieces, axis=1).T)
                  for columns, pieces in zip(hidden_parts, matrices)]
        logits = concatenate(logits, axis=1)
        if bias is None:
            return logits
        # The gradient of this product is a product as well, which is faster than Theano's sum over rows.
        ones = T.ones((hidden.shape[0], 1), dtype=bias.dtype)
        return logits + T.dot(ones, bias.dimshuffle("x", 0))


class SparseDecoderLayer(lasagne.layers.Layer):
    """Tied output layer: the scores of all words, ``dot(input, matrix.T) + b`` with the matrix of an embedding.

    The only parameter of the layer is the bias. The matrix belongs to the embedding.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Of shape ``(N, dimensions)`` or ``(batch, time, dimensions)``.
    embedding : SparseEmbeddingLayer
    b : Theano shared variable, numpy array or callable
        Biases of the scores, ``(V,)``.
    **kwargs
        `name`.

    Raises
    ------
    ReportedError
        If the number of features of the input differs from the embedding dimensions.

    References
    ----------
    Press, Wolf: Using the Output Embedding to Improve Language Models, arXiv:1608.05859.

    Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, arXiv:1808.08720,
    section 4.1, for the sparse form.

    Examples
    --------
    >>> from sparse_seq_theano.layers import SparseDecoderLayer, SparseEmbeddingLayer
    >>> embedding = SparseEmbeddingLayer((None, 7), 15, 9, blocks=5, density=0.5)
    >>> SparseDecoderLayer(embedding, embedding).output_shape
    (None, 7, 15)
    """

    def __init__(self, incoming, embedding, b=lasagne.init.Constant(0.), **kwargs):
        super(SparseDecoderLayer, self).__init__(incoming, **kwargs)
        self.embedding = embedding
        if self.input_shape[-1] != embedding.geometry.dimensions:
            raise ReportedError("the decoder's input must have as many features as the embedding has dimensions, %d, "
                                "got %s" % (embedding.geometry.dimensions, self.input_shape[-1]))
        self.b = self.add_param(b, (embedding.geometry.vocabulary_size,), "b", regularizable=False)

    def get_output_shape_for(self, input_shape):
        return tuple(input_shape[:-1]) + (self.embedding.geometry.vocabulary_size,)

    def get_output_for(self, input, **kwargs):
        geometry = self.embedding.geometry
        logits = self.embedding.decode(input.reshape((-1, geometry.dimensions)), self.b)
        return logits.reshape([input.shape[axis] for axis in range(input.ndim - 1)] + [geometry.vocabulary_size])


def _columns(matrix, ranges):
    """Return columns of a matrix, given by (begin, end) from left to right, as one slice if there is no gap."""
    begin, end = ranges[0][0], ranges[-1][1]
    if sum(right - left for left, right in ranges) == end - begin:
        return matrix[:, begin:end]
    return concatenate([matrix[:, left:right] for left, right in ranges], axis=1)
