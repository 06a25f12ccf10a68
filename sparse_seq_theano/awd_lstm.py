"""AWD-LSTM language model with predefined sparseness.

References
----------
Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, CoNLL 2018, arXiv:1808.08720,
section 4.1.
Merity, Keskar, Socher: Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182 (AWD-LSTM).
Yang, Dai, Salakhutdinov, Cohen: Breaking the Softmax Bottleneck, arXiv:1711.03953 (Mixture of Softmaxes).
"""

from collections import namedtuple

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import LSTMState
from theano_rnn.network import Network
from theano_rnn.ops.cross_entropy import softmax_cross_entropy

import numpy as np
import theano.tensor as T

from .dropout import DropoutNoise, check_probability
from .layers import LockedDropoutLayer, SparseDecoderLayer, SparseEmbeddingLayer, SparseLSTMLayer, dense_layer

__all__ = ["AWDLanguageModel", "Outputs"]

#: Added to probabilities before the logarithm, as in the published program.
EPSILON = 1e-8


class Outputs(namedtuple("Outputs", ["output", "raw", "lstm_states", "logits", "prior"])):
    """Symbolic outputs of the network for a minibatch.

    Attributes
    ----------
    output, raw : symbolic ``(batch, time, units)``
        Output of the last LSTM with and without dropout.
    lstm_states : list of LSTMState of symbolic ``(batch, units)``
        State of each LSTM after the last time step.
    logits : symbolic ``(batch * time * n_experts, vocabulary)``
        Scores of the softmaxes, without the bias of the decoder.
    prior : symbolic ``(batch * time, n_experts)``
        Weights of the softmaxes.
    """

    __slots__ = ()

    @property
    def final_state(self):
        """list of symbolic ``(batch, units)`` : The states in `lstm_states`, in the order of `Network.state`."""
        return [part for state in self.lstm_states for part in state]


class AWDLanguageModel(Network):
    """Embedding, LSTMs with dropout between them, and a tied output layer with one or more softmaxes.

    Parameters
    ----------
    architecture : sparse_seq_theano.architecture.LanguageModelArchitecture
        Sizes of the layers.
    dropout, dropouth, dropouti : float
        Dropout probabilities of the output of the last LSTM, of the outputs of the other LSTMs, and of embedding
        dimensions. All time steps share these masks.
    dropoute, wdrop : float
        Dropout probabilities of words and of recurrent weights.
    dropoutl : float
        Dropout probability of the latent layer, if there is one; `dropouth` if negative.
    noise : DropoutNoise, optional
        Random number source.

    Attributes
    ----------
    tokens, targets : symbolic int32 ``(batch, time)``
        The minibatch; targets are the next tokens.
    inputs : list
        `tokens`, followed by `state`.
    state : list of symbolic ``(batch, units)``
        Initial state: hid0, cell0, hid1, cell1 and so on.
    lstm_states : list of LSTMState
        The same variables by LSTM.

    Raises
    ------
    ReportedError
        If a probability is not in [0, 1).

    Examples
    --------
    >>> from sparse_seq_theano.architecture import language_model_architecture
    >>> from sparse_seq_theano.awd_lstm import AWDLanguageModel
    >>> network = AWDLanguageModel(
    ...     language_model_architecture(1000, emsize=20, nhid=30, sparse_mode="sparse_hidden", sparse_fract=0.5))
    >>> outputs = network.outputs()
    >>> loss = network.training_loss(outputs, alpha=2., beta=1.)
    >>> [state.hid.name for state in network.lstm_states]
    ['hid0', 'hid1', 'hid2']
    """

    def __init__(self, architecture, dropout=0.4, dropouth=0.25, dropouti=0.4, dropoute=0.1, wdrop=0.5, dropoutl=-1.,
                 noise=None):
        super(AWDLanguageModel, self).__init__(noise or DropoutNoise())
        dropoutl = dropouth if dropoutl < 0 else dropoutl
        for name, probability in (("dropout", dropout), ("dropouth", dropouth), ("dropouti", dropouti),
                                  ("dropoute", dropoute), ("wdrop", wdrop), ("dropoutl", dropoutl)):
            check_probability(probability, name)
        self.architecture = architecture
        self.tokens, self.targets = T.imatrix("tokens"), T.imatrix("targets")
        self.lstms, self.dropouts, self.lstm_states = [], [], []
        geometry = architecture.embedding
        self.encoder = self.add(SparseEmbeddingLayer(
            lasagne.layers.InputLayer((None, None), self.tokens, name="tokens"), geometry.vocabulary_size,
            geometry.dimensions, geometry.blocks, geometry.density, word_dropout=dropoute, dimension_dropout=dropouti,
            name="encoder", noise=self.noise))
        below = self.encoder
        for number, lstm in enumerate(architecture.lstms):
            probability = dropout if number == len(architecture.lstms) - 1 else dropouth
            self.lstms.append(self.add(self._lstm(below, number, lstm, wdrop)))
            self.dropouts.append(LockedDropoutLayer(self.lstms[-1], probability, noise=self.noise))
            below = self.dropouts[-1]
        self._add_output(below, dropoutl)
        self.inputs = [self.tokens] + self.state

    def _lstm(self, below, number, geometry, weight_drop):
        self.lstm_states.append(self.add_state("hid%d" % number, "cell%d" % number, geometry.hidden_size))
        state = {name + "_init": lasagne.layers.InputLayer((None, geometry.hidden_size), variable)
                 for name, variable in self.lstm_states[-1]._asdict().items()}
        return SparseLSTMLayer(below, geometry.hidden_size, weight_drop=weight_drop, name="rnn%d" % number,
                               noise=self.noise, **dict(geometry.arguments(), **state))

    def _add_output(self, below, latent_dropout):
        dimensions, experts = self.architecture.embedding.dimensions, self.architecture.n_experts
        self.prior = self.add(dense_layer(below, experts, "prior", b=False))
        self.latent = None
        if self.architecture.has_latent:
            self.latent = self.add(dense_layer(below, experts * dimensions, "latent",
                                               nonlinearity=lasagne.nonlinearities.tanh))
        self.latent_dropout = LockedDropoutLayer((None, None, experts * dimensions), latent_dropout, noise=self.noise)
        self.decoder = self.add(SparseDecoderLayer((None, dimensions), self.encoder, name="decoder"))

    # -- the computation ---------------------------------------------------------------------------------------------

    def outputs(self, deterministic=False):
        """Return the outputs of the network for the minibatch.

        Parameters
        ----------
        deterministic : bool
            Compute without dropout, for evaluation.

        Returns
        -------
        Outputs
        """
        output = self.encoder.get_output_for(self.tokens, deterministic=deterministic)
        final = []
        for lstm, dropout, state in zip(self.lstms, self.dropouts, self.lstm_states):
            hid, cell = lstm.get_sequences_for([output, state.hid, state.cell], deterministic=deterministic)
            final.append(LSTMState(hid[-1], cell[-1]))
            raw = hid.dimshuffle(1, 0, 2)
            output = dropout.get_output_for(raw, deterministic=deterministic)

        count, dimensions = self.architecture.n_experts, self.architecture.embedding.dimensions
        rows = output.reshape((-1, self.architecture.last_hidden_size))
        hidden = output
        if self.latent is not None:
            hidden = self.latent.get_output_for(rows).reshape((output.shape[0], output.shape[1], count * dimensions))
            hidden = self.latent_dropout.get_output_for(hidden, deterministic=deterministic)
        # The bias is added by softmax_cross_entropy, which reads all scores anyway.
        logits = self.encoder.decode(hidden.reshape((-1, dimensions)))
        return Outputs(output, raw, final, logits, T.nnet.softmax(self.prior.get_output_for(rows)))

    def token_losses(self, outputs):
        """Return ``-log(p + 1e-8)`` for the probability p of each target: symbolic ``(batch * time,)``."""
        nll = self._softmaxes(outputs)[0].reshape((-1, self.architecture.n_experts))
        return -T.log(T.sum(outputs.prior * T.exp(-nll), axis=1) + np.asarray(EPSILON, dtype=nll.dtype))

    def _softmaxes(self, outputs):
        """Return cross-entropy and most probable word of each softmax: symbolic ``(batch * time * n_experts,)``."""
        targets = T.repeat(self.targets.flatten(), self.architecture.n_experts)
        return softmax_cross_entropy(outputs.logits, targets, bias=self.decoder.b)

    def training_loss(self, outputs, alpha=2., beta=1.):
        """Return the training objective: the mean of `token_losses` and two penalties.

        Parameters
        ----------
        outputs : Outputs
        alpha : float
            Activation regularisation: weight of the mean square of the last LSTM's output, with dropout.
        beta : float
            Temporal activation regularisation: weight of the mean square of the differences of consecutive outputs of
            the last LSTM, without dropout.

        Returns
        -------
        symbolic scalar

        References
        ----------
        Merity, McCann, Socher: Revisiting Activation Regularization for Language RNNs, arXiv:1708.01009.
        """
        loss = self.token_losses(outputs).mean()
        if alpha:
            loss += np.asarray(alpha, dtype=loss.dtype) * T.mean(outputs.output ** 2)
        if beta:
            differences = outputs.raw[:, 1:] - outputs.raw[:, :-1]
            # A window of one time step has no differences, whose mean would not be a number.
            count = T.cast(T.maximum(differences.size, 1), loss.dtype)
            loss += np.asarray(beta, dtype=loss.dtype) * T.sum(differences ** 2) / count
        return loss

    def log_probabilities(self, outputs):
        """Return ``log(p + 1e-8)`` for all words: symbolic ``(batch * time, vocabulary)``."""
        softmaxes = T.nnet.softmax(outputs.logits + self.decoder.b).reshape(
            (-1, self.architecture.n_experts, self.architecture.embedding.vocabulary_size))
        mixed = T.sum(outputs.prior.dimshuffle(0, 1, "x") * softmaxes, axis=1)
        return T.log(mixed + np.asarray(EPSILON, dtype=mixed.dtype))

    def correct_predictions(self, outputs):
        """Return the number of targets that are the most probable word: symbolic int scalar."""
        if self.architecture.n_experts == 1:
            # The same operation as in token_losses, so Theano merges them.
            _, most_probable = self._softmaxes(outputs)
        else:
            most_probable = T.argmax(self.log_probabilities(outputs), axis=1)
        return T.eq(most_probable, self.targets.flatten()).sum()

    def evaluation(self):
        """Return the values from which the metric is computed, and the final state, without dropout.

        Returns
        -------
        list of symbolic variables
            ``[nats, predictions] + final state``: sum of `token_losses` (scalar), number of predictions (int scalar),
            and the states after the last time step, ``(batch, units)``, in the order of `state`.
        """
        outputs = self.outputs(deterministic=True)
        return [self.token_losses(outputs).sum(), self.targets.size] + outputs.final_state
