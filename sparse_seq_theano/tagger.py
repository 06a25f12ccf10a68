"""Bidirectional LSTM tagger with a sparse embedding.

References
----------
Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, CoNLL 2018, arXiv:1808.08720,
section 4.2.
"""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.network import Network
from theano_rnn.ops.cross_entropy import softmax_cross_entropy

import theano.tensor as T

from .dropout import DropoutNoise, check_probability
from .layers import DropoutLayer, SparseEmbeddingLayer, SparseLSTMLayer, dense_layer

__all__ = ["Tagger"]


class Tagger(Network):
    """Embedding, bidirectional LSTMs, tanh layer of `nhid` units, and linear layer with one output per tag.

    Parameters
    ----------
    architecture : sparse_seq_theano.architecture.TaggerArchitecture
        Sizes of the layers.
    dropouti, dropoute, wdrop : float
        Dropout probabilities of embedding dimensions, of words, and of the recurrent weights of the first bidirectional
        LSTM.
    dropouth : float
        Dropout probability between bidirectional LSTMs and before the output layer.
    noise : DropoutNoise, optional
        Random number source.

    Attributes
    ----------
    tokens, tags : symbolic int32 ``(batch, time)``
    mask : symbolic uint8 ``(batch, time)``
        1 where there is a token. Sentences are padded on the right.
    inputs : list
        `tokens` and `mask`.

    Raises
    ------
    ReportedError
        If a probability is not in [0, 1).

    Examples
    --------
    >>> from sparse_seq_theano.architecture import tagger_architecture
    >>> from sparse_seq_theano.tagger import Tagger
    >>> network = Tagger(tagger_architecture(5000, tags=45, emsize=20, nhid=10, emb_blocks=20, emb_density=0.25))
    >>> list(network.layers)
    ['embedding', 'lstm0.forwards', 'lstm0.backwards', 'intermediate', 'output']
    >>> loss = network.loss(network.scores())
    """

    def __init__(self, architecture, dropouti=0., dropoute=0., wdrop=0., dropouth=0., noise=None):
        super(Tagger, self).__init__(noise or DropoutNoise())
        for name, probability in (("dropouti", dropouti), ("dropoute", dropoute), ("wdrop", wdrop),
                                  ("dropouth", dropouth)):
            check_probability(probability, name)
        self.architecture = architecture
        self.tokens, self.tags = T.imatrix("tokens"), T.imatrix("tags")
        self.mask = T.matrix("mask", dtype="uint8")
        self.inputs = [self.tokens, self.mask]
        mask = lasagne.layers.InputLayer((None, None), self.mask, name="mask")
        geometry = architecture.embedding
        below = self.add(SparseEmbeddingLayer(
            lasagne.layers.InputLayer((None, None), self.tokens, name="tokens"), geometry.vocabulary_size,
            geometry.dimensions, geometry.blocks, geometry.density, word_dropout=dropoute, dimension_dropout=dropouti,
            name="embedding", noise=self.noise))
        for number in range(architecture.layers):
            if number:
                below = DropoutLayer(below, dropouth, noise=self.noise)
            directions = [self.add(SparseLSTMLayer(
                below, architecture.nhid, blocks=1, weight_drop=0. if number else wdrop, mask_input=mask,
                backwards=backwards, name="lstm%d.%s" % (number, "backwards" if backwards else "forwards"),
                noise=self.noise))
                for backwards in (False, True)]
            below = lasagne.layers.ConcatLayer(directions, axis=2)
        intermediate = self.add(dense_layer(below, architecture.nhid, "intermediate",
                                            nonlinearity=lasagne.nonlinearities.tanh))
        self.output = self.add(dense_layer(
            DropoutLayer(intermediate, dropouth, noise=self.noise), architecture.tags, "output"))

    def scores(self, deterministic=False):
        """Return unnormalised log probabilities of the tags: symbolic ``(batch * time, tags)``."""
        return lasagne.layers.get_output(self.output, deterministic=deterministic)

    def loss(self, scores):
        """Return the mean cross-entropy of the tokens that are not padding, in nats.

        Parameters
        ----------
        scores : symbolic ``(batch * time, tags)``
            From `scores`.

        Returns
        -------
        symbolic scalar
        """
        losses, _ = softmax_cross_entropy(scores, self.tags.flatten())
        real = T.cast(self.mask.flatten(), losses.dtype)
        # A switch and not a product, because 0 * loss is NaN if the loss of the padding is not finite.
        return T.sum(T.switch(real, losses, 0)) / T.sum(real)

    def evaluation(self):
        """Return the values from which the metric is computed, without dropout.

        Returns
        -------
        list of symbolic scalars
            ``[correct, tokens, nats]``: number of correct tags (int), number of tokens (int), and summed cross-entropy,
            all without padding.
        """
        scores = self.scores(deterministic=True)
        real = T.neq(self.mask.flatten(), 0)
        losses, most_probable = softmax_cross_entropy(scores, self.tags.flatten())
        correct = T.eq(most_probable, self.tags.flatten())
        return [T.sum(correct * real), T.sum(real), T.sum(T.switch(real, losses, 0))]
