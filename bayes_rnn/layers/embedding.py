"""Layers whose input is token ids: Bayesian embedding and one-hot encoding.

The output of both is large, but it is the product of small factors. Each of these layers keeps the factors of its
output. `BayesianLSTMLayer`, which begins with a matrix product, uses them: it multiplies only the distinct rows of the
minibatch, and gathers afterwards. Other layers use the output. Theano computes only what is used.
"""

import weakref
from collections import namedtuple

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import check_tokens
from theano_rnn.ops.gather import gather
from theano_rnn.ops.unique import unique

import theano
import theano.tensor as T

from .base import BayesianLayer

__all__ = ["BayesianEmbeddingLayer", "OneHotLayer", "GatheredRows", "OneHotTokens", "find_factors", "token_scale"]


class GatheredRows(namedtuple("GatheredRows", ["rows", "index", "scale"])):
    """Factors of a tensor of shape ``(B, T, E)``: ``output[b, t] = rows[index[b, t]] * scale[b, t]``.

    Attributes
    ----------
    rows : symbolic ``(U, E)``
        One row for each distinct token of the minibatch.
    index : symbolic int ``(B, T)``
        Row indices.
    scale : symbolic ``(B, T)`` or None
        None represents 1.
    """

    __slots__ = ()

    def output(self):
        """Return the product: symbolic ``(B, T, E)``."""
        return gather(self.rows, self.index, self.scale)

    def time_first(self):
        """Return the factors of the transposed tensor, ``(T, B, E)``."""
        return GatheredRows(self.rows, self.index.T, None if self.scale is None else self.scale.T)


class OneHotTokens(namedtuple("OneHotTokens", ["tokens", "vocabulary_size"])):
    """Tokens that represent their one-hot vectors.

    Attributes
    ----------
    tokens : symbolic int ``(B, T)``
    vocabulary_size : int
    """

    __slots__ = ()

    def output(self):
        """Return the one-hot vectors: symbolic ``(B, T, vocabulary_size)``."""
        vectors = T.extra_ops.to_one_hot(self.tokens.flatten(), self.vocabulary_size, dtype=theano.config.floatX)
        return vectors.reshape((self.tokens.shape[0], self.tokens.shape[1], self.vocabulary_size))


class _FactoredLayer(lasagne.layers.Layer):
    """Base class of layers that keep the factors of their outputs. Subclasses define `get_factors_for`."""

    def __init__(self, incoming, **kwargs):
        super(_FactoredLayer, self).__init__(incoming, **kwargs)
        check_tokens(self)
        self._factors = weakref.WeakKeyDictionary()     # by output

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_factors"}    # cannot be pickled

    def __setstate__(self, state):
        vars(self).update(state, _factors=weakref.WeakKeyDictionary())

    def get_factors_for(self, input, **kwargs):
        """Return the factors of the output, a `GatheredRows` or `OneHotTokens`.

        Parameters
        ----------
        input : symbolic int ``(batch, time)``
            Token ids.
        """
        raise NotImplementedError("%s must define get_factors_for" % type(self).__name__)

    def get_output_for(self, input, **kwargs):
        # A Lasagne InputLayer without a given variable has floats.
        tokens = input if input.dtype.startswith(("int", "uint")) else T.cast(input, "int32")
        factors = self.get_factors_for(tokens, **kwargs)
        output = factors.output()
        self._factors[output] = factors
        return output

    def factors_of(self, output):
        """Return the factors of an output of this layer; None for any other variable."""
        return self._factors.get(output)


def find_factors(layer, output):
    """Return the factors of a symbolic output, if a layer keeps them.

    Parameters
    ----------
    layer : lasagne.layers.Layer or None
        The layer whose output it is. The layers below are searched as well, because a layer such as Lasagne's
        `DropoutLayer` with ``deterministic=True`` returns its input.
    output : symbolic tensor

    Returns
    -------
    GatheredRows, OneHotTokens or None
    """
    for below in lasagne.layers.get_all_layers(layer):
        factors = below.factors_of(output) if isinstance(below, _FactoredLayer) else None
        if factors is not None:
            return factors
    return None


def token_scale(variable, tokens, vocabulary_size, noise, **mode):
    """Return the group variable of each token of a minibatch, one sample per example and distinct token.

    All occurrences of a token in one text share their sample (arXiv:1810.10927, section 3.2). Samples are drawn for the
    pairs of text and token that occur in the minibatch, not for the whole vocabulary.

    Parameters
    ----------
    variable : RandomVariable
        Of shape ``(vocabulary_size,)``.
    tokens : symbolic int ``(B, T)``
    vocabulary_size : int
    noise : NormalNoise
        Random number source.
    **mode
        `deterministic`, `pruned`.

    Returns
    -------
    symbolic ``(B, T)``, or None if the variable is the constant 1
    """
    if variable.mean() is None:
        return None
    examples = T.arange(tokens.shape[0]).dimshuffle(0, "x")
    pairs, index = unique(tokens + vocabulary_size * examples)
    return variable.rows(pairs % vocabulary_size).value(noise, **mode)[index.flatten()].reshape(tokens.shape)


class BayesianEmbeddingLayer(BayesianLayer, _FactoredLayer):
    """Embedding with probabilistic weights and one group variable per vocabulary element.

    The output for token w of example b is ``z_voc[b, w] * W[w]``. The weights are sampled once per minibatch, only in
    the rows of its tokens. The group variables are sampled once per example.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Token ids of shape ``(batch, time)``, integers in [0, input_size).
    input_size : int
        Vocabulary size V.
    output_size : int
        Embedding units E.
    W : Theano shared variable, numpy array or callable
        Initial weights, ``(V, E)``.
    kind : {'L', 'N', 'D'}
        Kind of the weights; see `bayes_rnn.variational`.
    group_kind : {'L', 'N', 'D', 'C'}
        Kind of the group variables z_voc, ``(V,)``.
    **kwargs
        `name`, `noise`.

    Raises
    ------
    ValueError
        If a kind is invalid.

    References
    ----------
    Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, arXiv:1810.10927, section 3.2.

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

    def get_factors_for(self, input, deterministic=False, pruned=False, **kwargs):
        mode = {"deterministic": deterministic, "pruned": pruned}
        distinct, index = unique(input)
        rows = self.W.rows(distinct).value(self.noise, **mode)
        return GatheredRows(rows, index, token_scale(self.z_voc, input, self.input_size, self.noise, **mode))


class OneHotLayer(_FactoredLayer):
    """One-hot encoding of token ids.

    The one-hot vectors are computed only if the next layer uses them. `BayesianLSTMLayer` does not: it gathers rows of
    its weights instead of multiplying.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Token ids of shape ``(batch, time)``, integers in [0, input_size).
    input_size : int
        Vocabulary size V.
    **kwargs
        `name`.

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

    def get_factors_for(self, input, **kwargs):
        return OneHotTokens(input, self.input_size)
