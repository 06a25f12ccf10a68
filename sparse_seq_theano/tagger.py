"""A bidirectional LSTM tagger on a sparse embedding.

Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, arXiv 1808.08720, section 4.2.
"""

import theano.tensor as T

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.network import Network
from theano_rnn.ops.cross_entropy import softmax_cross_entropy

from .dropout import DropoutNoise, check_probability
from .layers import DropoutLayer, SparseEmbeddingLayer, SparseLSTMLayer, dense_layer

__all__ = ["Tagger"]


class Tagger(Network):
    """Embedding, bidirectional LSTMs, linear to nhid units, tanh, linear to the tags.

    Parameters
    ----------
    structure : sparse_seq_theano.architecture.TaggerStructure
        The sizes.
    dropouti, dropoute, wdrop, dropouth : float
        Probabilities: of embedding dimensions, of words, of recurrent weights of the first bidirectional LSTM; between
        bidirectional LSTMs and before the tags.
    noise : DropoutNoise, optional

    Attributes
    ----------
    tokens, tags : symbolic int (batch, time)
    mask : symbolic uint8 (batch, time)
        1 where there is a token; sentences are padded at the end.

    Examples
    --------
    >>> from sparse_seq_theano.architecture import tagger_structure
    >>> from sparse_seq_theano.tagger import Tagger
    >>> network = Tagger(tagger_structure(5000, tags=45, emsize=20, nhid=10, emb_blocks=20, emb_density=0.25))
    >>> loss = network.loss(network.scores())
    """

    def __init__(self, structure, dropouti=0., dropoute=0., wdrop=0., dropouth=0., noise=None):
        super(Tagger, self).__init__(noise or DropoutNoise())
        for name, probability in (("dropouti", dropouti), ("dropoute", dropoute), ("wdrop", wdrop),
                                  ("dropouth", dropouth)):
            check_probability(probability, name)
        self.structure = structure
        self.tokens, self.tags = T.imatrix("tokens"), T.imatrix("tags")
        self.mask = T.matrix("mask", dtype="uint8")
        self.inputs = [self.tokens, self.mask]
        mask = lasagne.layers.InputLayer((None, None), self.mask, name="mask")
        geometry = structure.embedding
        below = self.add(SparseEmbeddingLayer(
            lasagne.layers.InputLayer((None, None), self.tokens, name="tokens"), geometry.vocabulary_size,
            geometry.dimensions, geometry.blocks, geometry.density, word_dropout=dropoute, dimension_dropout=dropouti,
            name="embedding", noise=self.noise))
        for number in range(structure.layers):
            if number:
                below = DropoutLayer(below, dropouth, noise=self.noise)
            directions = [self.add(SparseLSTMLayer(
                below, structure.nhid, blocks=1, weight_drop=0. if number else wdrop, mask_input=mask,
                backwards=backwards, name="lstm%d.%s" % (number, "backwards" if backwards else "forwards"),
                noise=self.noise))
                for backwards in (False, True)]
            below = lasagne.layers.ConcatLayer(directions, axis=2)
        intermediate = self.add(dense_layer(below, structure.nhid, "intermediate",
                                            nonlinearity=lasagne.nonlinearities.tanh))
        self.output = self.add(dense_layer(
            DropoutLayer(intermediate, dropouth, noise=self.noise), structure.tags, "output"))

    def scores(self, deterministic=False):
        """Unnormalised log probabilities of the tags: symbolic (batch * time, tags)."""
        return lasagne.layers.get_output(self.output, deterministic=deterministic)

    def loss(self, scores):
        """Mean cross-entropy over the real tokens, in nats: symbolic scalar."""
        losses, _ = softmax_cross_entropy(scores, self.tags.flatten())
        real = T.cast(self.mask.flatten(), losses.dtype)
        # Padding would count as 0 * loss; a switch keeps out even a loss that is not finite.
        return T.sum(T.switch(real, losses, 0)) / T.sum(real)

    def evaluation(self):
        """Without dropout: [right tags, tokens, summed cross-entropy in nats], symbolic."""
        scores = self.scores(deterministic=True)
        real = T.neq(self.mask.flatten(), 0)
        losses, most_probable = softmax_cross_entropy(scores, self.tags.flatten())
        right = T.eq(most_probable, self.tags.flatten())
        return [T.sum(right * real), T.sum(real), T.sum(T.switch(real, losses, 0))]
