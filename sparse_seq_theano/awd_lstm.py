"""AWD-LSTM with predefined sparseness: a word-level language model.

Demeester, Deleu, Godin, Develder, arXiv 1808.08720, section 4.1; Merity, Keskar, Socher: Regularizing and Optimizing
LSTM Language Models, arXiv 1708.02182 (AWD-LSTM); Yang, Dai, Salakhutdinov, Cohen: Breaking the Softmax Bottleneck,
arXiv 1711.03953 (Mixture of Softmaxes).
"""

from collections import namedtuple

import numpy as np
import theano
import theano.tensor as T

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.network import Network
from theano_rnn.ops.cross_entropy import softmax_cross_entropy

from .dropout import DropoutNoise, check_probability
from .layers import LockedDropoutLayer, SparseDecoderLayer, SparseEmbeddingLayer, SparseLSTMLayer, dense_layer

__all__ = ["AWDLanguageModel", "Outputs"]

#: Added to probabilities before the logarithm.
EPSILON = 1e-8

#: What a minibatch goes through, symbolic: the last LSTM's output with and without dropout, (batch, time, units); the
#: state after the last time step, as `AWDLanguageModel.state`; the softmaxes' logits without the decoder's bias,
#: (batch * time * n_experts, vocabulary), and their weights, (batch * time, n_experts).
Outputs = namedtuple("Outputs", ["output", "raw", "final_state", "logits", "prior"])


class AWDLanguageModel(Network):
    """Embedding, LSTMs with dropouts between them, and a tied output layer with one or more softmaxes.

    Parameters
    ----------
    structure : sparse_seq_theano.architecture.LanguageModelStructure
        The sizes.
    dropout, dropouth, dropouti, dropoute, wdrop : float
        Probabilities: of the last LSTM's output, between LSTMs, of embedding dimensions (these three shared by all
        time steps), of words, of recurrent weights.
    dropoutl : float
        Of the layer before the softmaxes if there is one; `dropouth` if negative.
    noise : DropoutNoise, optional

    Attributes
    ----------
    tokens, targets : symbolic int (batch, time)
        The minibatch; targets are the next tokens.
    state : list of symbolic (batch, units)
        hid and cell of each LSTM before the first time step: hid0, cell0, hid1, ...
    inputs : list
        `tokens` and `state`.

    Examples
    --------
    >>> from sparse_seq_theano.awd_lstm import AWDLanguageModel
    >>> from sparse_seq_theano.architecture import language_model_structure
    >>> structure = language_model_structure(1000, emsize=20, nhid=30, sparse_mode="sparse_hidden", sparse_fract=0.5)
    >>> network = AWDLanguageModel(structure)
    >>> outputs = network.outputs()
    >>> loss = network.training_loss(outputs, alpha=2., beta=1.)
    """

    def __init__(self, structure, dropout=0.4, dropouth=0.25, dropouti=0.4, dropoute=0.1, wdrop=0.5, dropoutl=-1.,
                 noise=None):
        super(AWDLanguageModel, self).__init__(noise or DropoutNoise())
        dropoutl = dropouth if dropoutl < 0 else dropoutl
        for name, probability in (("dropout", dropout), ("dropouth", dropouth), ("dropouti", dropouti),
                                  ("dropoute", dropoute), ("wdrop", wdrop), ("dropoutl", dropoutl)):
            check_probability(probability, name)
        self.structure = structure
        self.tokens, self.targets = T.imatrix("tokens"), T.imatrix("targets")
        self.state, self.lstms, self.dropouts = [], [], []
        geometry = structure.embedding
        self.encoder = self.add(SparseEmbeddingLayer(
            lasagne.layers.InputLayer((None, None), self.tokens, name="tokens"), geometry.vocabulary_size,
            geometry.dimensions, geometry.blocks, geometry.density, word_dropout=dropoute, dimension_dropout=dropouti,
            name="encoder", noise=self.noise))
        below = self.encoder
        for number, lstm in enumerate(structure.lstms):
            probability = dropout if number == len(structure.lstms) - 1 else dropouth
            self.lstms.append(self.add(self._lstm(below, number, lstm, wdrop)))
            self.dropouts.append(LockedDropoutLayer(self.lstms[-1], probability, noise=self.noise))
            below = self.dropouts[-1]
        self._add_output(below, dropoutl)
        self.inputs = [self.tokens] + self.state

    def _lstm(self, below, number, geometry, weight_drop):
        state = {}
        for name in ("hid", "cell"):
            variable = T.matrix("%s%d" % (name, number))
            state[name + "_init"] = lasagne.layers.InputLayer((None, geometry.hidden_size), variable)
            self.state.append(variable)
        return SparseLSTMLayer(below, geometry.hidden_size, weight_drop=weight_drop, name="rnn%d" % number,
                               noise=self.noise, **dict(geometry.arguments(), **state))

    def _add_output(self, below, latent_dropout):
        dimensions, experts = self.structure.embedding.dimensions, self.structure.n_experts
        self.prior = self.add(dense_layer(below, experts, "prior", b=False))
        self.latent = None
        if self.structure.has_latent:
            self.latent = self.add(dense_layer(below, experts * dimensions, "latent",
                                               nonlinearity=lasagne.nonlinearities.tanh))
        self.latent_dropout = LockedDropoutLayer((None, None, experts * dimensions), latent_dropout, noise=self.noise)
        self.decoder = self.add(SparseDecoderLayer((None, dimensions), self.encoder, name="decoder"))

    def initial_state(self, streams):
        """The state at the start of an epoch or an evaluation: list of numpy arrays of zeros, as `state`."""
        return [np.zeros((streams, lstm.geometry.hidden_size), dtype=theano.config.floatX)
                for lstm in self.lstms for _ in ("hid", "cell")]

    # -- the computation ---------------------------------------------------------------------------------------------

    def outputs(self, deterministic=False):
        """The network on the minibatch.

        Parameters
        ----------
        deterministic : bool
            Without dropout, for evaluation.

        Returns
        -------
        Outputs
        """
        output = self.encoder.get_output_for(self.tokens, deterministic=deterministic)
        final_state = []
        for number, (lstm, dropout) in enumerate(zip(self.lstms, self.dropouts)):
            inputs = [output] + self.state[2 * number:2 * number + 2]
            hid, cell = lstm.get_sequences_for(inputs, deterministic=deterministic)
            final_state += [hid[-1], cell[-1]]
            raw = hid.dimshuffle(1, 0, 2)
            output = dropout.get_output_for(raw, deterministic=deterministic)

        count, dimensions = self.structure.n_experts, self.structure.embedding.dimensions
        rows = output.reshape((-1, self.structure.last_hidden_size))
        hidden = output
        if self.latent is not None:
            hidden = self.latent.get_output_for(rows).reshape((output.shape[0], output.shape[1], count * dimensions))
            hidden = self.latent_dropout.get_output_for(hidden, deterministic=deterministic)
        # Without the bias, which softmax_cross_entropy adds at no cost.
        logits = self.encoder.decode(hidden.reshape((-1, dimensions)))
        return Outputs(output, raw, final_state, logits, T.nnet.softmax(self.prior.get_output_for(rows)))

    def token_losses(self, outputs):
        """-log(p + 1e-8) for the probability p of each target: symbolic (batch * time,)."""
        nll = self._softmaxes(outputs)[0].reshape((-1, self.structure.n_experts))
        return -T.log(T.sum(outputs.prior * T.exp(-nll), axis=1) + np.asarray(EPSILON, dtype=nll.dtype))

    def _softmaxes(self, outputs):
        """nll of its target and most probable word of each softmax: symbolic (batch * time * n_experts,)."""
        targets = T.repeat(self.targets.flatten(), self.structure.n_experts)
        return softmax_cross_entropy(outputs.logits, targets, bias=self.decoder.b)

    def training_loss(self, outputs, alpha=2., beta=1.):
        """The objective of a minibatch: mean negative log likelihood and two penalties.

        Parameters
        ----------
        outputs : Outputs
        alpha : float
            Activation regularisation: weight of the mean square of the last LSTM's output after dropout.
        beta : float
            Temporal activation regularisation: weight of the mean square of the differences between consecutive
            outputs of the last LSTM before dropout. (Merity, McCann, Socher, arXiv 1708.01009.)

        Returns
        -------
        symbolic scalar
        """
        loss = self.token_losses(outputs).mean()
        if alpha:
            loss += np.asarray(alpha, dtype=loss.dtype) * T.mean(outputs.output ** 2)
        if beta:
            differences = outputs.raw[:, 1:] - outputs.raw[:, :-1]
            # A window of one time step has none, and no mean.
            count = T.cast(T.maximum(differences.size, 1), loss.dtype)
            loss += np.asarray(beta, dtype=loss.dtype) * T.sum(differences ** 2) / count
        return loss

    def log_probabilities(self, outputs):
        """log(p + 1e-8) for all words: symbolic (batch * time, vocabulary)."""
        softmaxes = T.nnet.softmax(outputs.logits + self.decoder.b).reshape(
            (-1, self.structure.n_experts, self.structure.embedding.vocabulary_size))
        mixed = T.sum(outputs.prior.dimshuffle(0, 1, "x") * softmaxes, axis=1)
        return T.log(mixed + np.asarray(EPSILON, dtype=mixed.dtype))

    def right_predictions(self, outputs):
        """How many targets were the most probable word: symbolic int."""
        if self.structure.n_experts == 1:
            # The operation of token_losses: Theano computes it once for both.
            _, most_probable = self._softmaxes(outputs)
        else:
            most_probable = T.argmax(self.log_probabilities(outputs), axis=1)
        return T.eq(most_probable, self.targets.flatten()).sum()

    def evaluation(self):
        """Without dropout: [summed loss in nats, number of predictions] and the final state, symbolic."""
        outputs = self.outputs(deterministic=True)
        return [self.token_losses(outputs).sum(), self.targets.size] + outputs.final_state
