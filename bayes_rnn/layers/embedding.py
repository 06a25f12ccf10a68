"""Layers that take token ids: Bayesian embedding and one-hot encoding.

Both attach to their symbolic output what it was made from: ``output.tag.gathered_rows`` (a `GatheredRows`) or
``output.tag.one_hot_tokens`` (the ids). A layer that begins with a matrix product (`BayesianLSTMLayer`) then multiplies
the few distinct rows of the minibatch once and gathers afterwards; one that does not know the tags takes the output as
it is, and Theano drops whichever form nobody uses.
"""

from collections import namedtuple

import theano
import theano.tensor as T

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.gather import gather
from theano_rnn.ops.unique import unique

from .base import BayesianLayer

__all__ = ["BayesianEmbeddingLayer", "OneHotLayer", "GatheredRows", "token_scale"]


class GatheredRows(namedtuple("GatheredRows", ["rows", "index", "scale"])):
    """An output (B, T, E) in factors: ``output[b, t] = rows[index[b, t]] * scale[b, t]``.

    Attributes
    ----------
    rows : symbolic (U, E)
        One for each distinct token of the minibatch.
    index : symbolic int (B, T)
    scale : symbolic (B, T), or None for 1
    """

    __slots__ = ()

    def output(self):
        """Symbolic (B, T, E)."""
        return gather(self.rows, self.index, self.scale)

    def time_first(self):
        """The factors of the transposed output, (T, B, E)."""
        return GatheredRows(self.rows, self.index.T, None if self.scale is None else self.scale.T)


def as_ids(tokens):
    """Token ids as integers: a Lasagne InputLayer made without a variable brings floats."""
    return tokens if tokens.dtype.startswith(("int", "uint")) else T.cast(tokens, "int32")


def token_scale(variable, tokens, vocabulary_size, noise, **mode):
    """The group variable of the token at each place: one sample per object and distinct token.

    All occurrences of a token in one text share their sample; noise is drawn for the pairs of text and token that the
    minibatch holds, never for the whole vocabulary.

    Parameters
    ----------
    variable : RandomVariable
        Of shape (vocabulary_size,).
    tokens : symbolic int matrix (B, T)
    vocabulary_size : int
    noise : NormalNoise
    **mode
        `deterministic`, `pruned`.

    Returns
    -------
    symbolic (B, T), or None if the variable is the constant 1
    """
    if variable.mean() is None:
        return None
    objects = T.arange(tokens.shape[0]).dimshuffle(0, "x")
    pairs, index = unique(tokens + vocabulary_size * objects)
    return variable.rows(pairs % vocabulary_size).value(noise, **mode)[index.flatten()].reshape(tokens.shape)


class BayesianEmbeddingLayer(BayesianLayer, lasagne.layers.Layer):
    """Embedding with probabilistic weights and one group variable per vocabulary element.

    Output for token w of object b: ``z_voc[b, w] * W[w]``. The weights are sampled once per minibatch, only the rows
    that it uses; the group variables once per object.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Token ids, (batch, time), integers in [0, input_size).
    input_size : int
        Vocabulary size V.
    output_size : int
        Embedding units E.
    W : Theano shared variable, expression, numpy array or callable
        Initial weights, (V, E).
    kind, group_kind : {"L", "N", "D", "C"}
        Of the weights (not C) and of z_voc.
    **kwargs
        `name`, `noise`.

    References
    ----------
    Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, arXiv 1810.10927, section 3.2.

    Examples
    --------
    >>> from bayes_rnn.layers import BayesianEmbeddingLayer
    >>> layer = BayesianEmbeddingLayer((None, 7), input_size=1000, output_size=16, group_kind="L")
    >>> layer.output_shape
    (None, 7, 16)
    """

    def __init__(self, incoming, input_size, output_size, W=lasagne.init.Uniform(0.05), kind="L", group_kind="C",
                 **kwargs):
        super(BayesianEmbeddingLayer, self).__init__(incoming, **kwargs)
        self.input_size, self.output_size = input_size, output_size
        self.W = self.add_weights(kind, W, (input_size, output_size), "W")
        self.z_voc = self.add_random_variable(group_kind, lasagne.init.Constant(1.), (input_size,), "z_voc",
                                              regularizable=False)

    def get_output_shape_for(self, input_shape):
        return tuple(input_shape) + (self.output_size,)

    def get_output_for(self, input, deterministic=False, pruned=False, **kwargs):
        mode = {"deterministic": deterministic, "pruned": pruned}
        input = as_ids(input)
        distinct, index = unique(input)
        rows = self.W.rows(distinct).value(self.noise, **mode)
        scale = token_scale(self.z_voc, input, self.input_size, self.noise, **mode)
        factors = GatheredRows(rows, index, scale)
        output = factors.output()
        output.tag.gathered_rows = factors
        return output


class OneHotLayer(lasagne.layers.Layer):
    """Token ids as one-hot vectors.

    The one-hot vectors themselves are computed only if a layer asks for them: `BayesianLSTMLayer` looks up rows of its
    weights instead of multiplying.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Token ids, (batch, time), integers in [0, input_size).
    input_size : int
        Vocabulary size V.

    Examples
    --------
    >>> from bayes_rnn.layers import OneHotLayer
    >>> OneHotLayer((None, 7), input_size=50).output_shape
    (None, 7, 50)
    """

    def __init__(self, incoming, input_size, **kwargs):
        super(OneHotLayer, self).__init__(incoming, **kwargs)
        self.input_size = input_size

    def get_output_shape_for(self, input_shape):
        return tuple(input_shape) + (self.input_size,)

    def get_output_for(self, input, **kwargs):
        input = as_ids(input)
        output = T.extra_ops.to_one_hot(input.flatten(), self.input_size, dtype=theano.config.floatX)
        output = output.reshape((input.shape[0], input.shape[1], self.input_size))
        output.tag.one_hot_tokens = input
        return output
