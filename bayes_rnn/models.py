"""The two networks of the papers: a text classifier and a language model.

Both have the same interface for a training loop: symbolic inputs, a loss, the values from which the metric is computed,
and random variables and parameters by name.

References
----------
Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, EMNLP 2018, arXiv:1810.10927,
section 4.
Lobacheva, Chirkova, Vetrov: Bayesian Sparsification of Gated Recurrent Neural Networks, 2018, arXiv:1812.05692,
section 4.
"""

from collections import OrderedDict

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import LSTMState
from theano_rnn.network import Network
from theano_rnn.ops.cross_entropy import softmax_cross_entropy
from theano_rnn.ops.gather import one_per_row
from theano_rnn.ops.normal_noise import NormalNoise

import theano.tensor as T

from .layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer, OneHotLayer, PerGate

__all__ = ["TextClassifier", "LanguageModel"]

#: The classifier clips probabilities to [1e-6, 1 - 1e-6] before the logarithm.
PROBABILITY_CLIP = 1e-6


def _forget_bias(value):
    return PerGate(*[lasagne.init.Constant(bias) for bias in (0., value, 0., 0.)])


class _BayesianNetwork(Network):
    """Base class of networks whose layers are Bayesian. Subclasses define the layers and the prediction.

    Parameters
    ----------
    config : bayes_rnn.config.Config
    vocabulary_size : int
    noise : NormalNoise or None
        Random number source of all layers.

    Attributes
    ----------
    config : bayes_rnn.config.Config
    vocabulary_size : int
    tokens, targets : symbolic int
    """

    def __init__(self, config, vocabulary_size, noise):
        super(_BayesianNetwork, self).__init__(noise or NormalNoise())
        self.config, self.vocabulary_size = config, vocabulary_size

    def data_loss(self, **mode):
        """Return the mean cross-entropy in nats: symbolic scalar. Options: `deterministic`, `pruned`."""
        raise NotImplementedError("%s must define data_loss" % type(self).__name__)

    def kl(self):
        """Return the KL divergence of each layer: OrderedDict of layer name to symbolic scalar."""
        return OrderedDict((name, layer.kl()) for name, layer in self.layers.items())

    def loss(self, train_size, **mode):
        """Return the training objective, mean cross-entropy + sum of KL divergences / train_size: symbolic scalar."""
        return self.data_loss(**mode) + sum(self.kl().values()) / train_size

    def random_variables(self):
        """Return all random variables, constants included: OrderedDict of ``"lstm.z_gates"`` to `RandomVariable`."""
        return OrderedDict(("%s.%s" % (layer_name, variable.name), variable)
                           for layer_name, layer in self.layers.items() for variable in layer.random_variables)


class TextClassifier(_BayesianNetwork):
    """Embedding, LSTM, and fully connected layer on the last hidden state.

    Parameters
    ----------
    config : Config
        From `bayes_rnn.config.parse_config`.
    vocabulary_size, embedding_units, hidden_units : int
    classes : int
        Two classes have one sigmoid unit, more classes have a softmax.
    noise : NormalNoise, optional
        Random number source.
    embedding_init : numpy.ndarray, optional
        Pretrained vectors, ``(vocabulary_size, embedding_units)``.

    Attributes
    ----------
    tokens : symbolic int32 ``(batch, time)``
    mask : symbolic uint8 ``(batch, time)``
        1 where there is a token. Texts are padded on the left.
    targets : symbolic int32 ``(batch,)``
        Classes.
    inputs : list
        `tokens` and `mask`.

    Examples
    --------
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.models import TextClassifier
    >>> network = TextClassifier(parse_config("LLLCCL", "classification"), 1000, 16, 8, classes=2)
    >>> list(network.layers)
    ['embedding', 'lstm', 'dense']
    >>> loss = network.loss(train_size=500)
    """

    def __init__(self, config, vocabulary_size, embedding_units, hidden_units, classes, noise=None,
                 embedding_init=None):
        super(TextClassifier, self).__init__(config, vocabulary_size, noise)
        self.classes = classes
        self.tokens, self.targets = T.imatrix("tokens"), T.ivector("targets")
        self.mask = T.matrix("mask", dtype="uint8")
        self.inputs = [self.tokens, self.mask]
        embedding = self.add(BayesianEmbeddingLayer(
            lasagne.layers.InputLayer((None, None), self.tokens, name="tokens"), vocabulary_size, embedding_units,
            kind=config.embedding, group_kind=config.z_voc,
            W=lasagne.init.Uniform(0.05) if embedding_init is None else embedding_init,
            name="embedding", noise=self.noise))
        lstm = self.add(BayesianLSTMLayer(
            embedding, hidden_units, kind=config.lstm, gates_kind=config.z_gates, in_kind=config.z_in,
            hid_kind=config.z_hid, W_in=PerGate(lasagne.init.GlorotUniform()),
            W_hid=PerGate(lasagne.init.Orthogonal(1.1)), b=_forget_bias(1.), gate_nonlinearity="hard_sigmoid",
            mask_input=lasagne.layers.InputLayer((None, None), self.mask, name="mask"), only_return_final=True,
            name="lstm", noise=self.noise))
        self.add(BayesianDenseLayer(
            lstm, 1 if classes == 2 else classes, W=lasagne.init.GlorotUniform(), kind=config.dense,
            nonlinearity=lasagne.nonlinearities.sigmoid if classes == 2 else lasagne.nonlinearities.softmax,
            name="dense", noise=self.noise))

    def prediction(self, **mode):
        """Return probabilities: symbolic ``(batch, 1)``, of class 1, for two classes, else ``(batch, classes)``."""
        return lasagne.layers.get_output(self.layers["dense"], **mode)

    def data_loss(self, **mode):
        prediction = T.clip(self.prediction(**mode), PROBABILITY_CLIP, 1 - PROBABILITY_CLIP)
        if self.classes == 2:
            # Theano would convert integer targets to double precision.
            targets = T.cast(self.targets, prediction.dtype)
            return T.nnet.binary_crossentropy(prediction[:, 0], targets).mean()
        return -T.log(one_per_row(prediction, self.targets)).mean()

    def evaluation(self, **mode):
        """Return the values from which the metric is computed.

        Returns
        -------
        list of symbolic int scalars
            ``[correct, texts]``: number of correct predictions, and number of texts.
        """
        prediction = self.prediction(**mode)
        predicted = T.gt(prediction[:, 0], 0.5) if self.classes == 2 else T.argmax(prediction, axis=1)
        return [T.eq(predicted, self.targets).sum(), self.targets.shape[0]]


class LanguageModel(_BayesianNetwork):
    """LSTM on one-hot words or characters, fully connected layer, and softmax over the vocabulary.

    Parameters
    ----------
    config : Config
        From `bayes_rnn.config.parse_config`.
    vocabulary_size, hidden_units : int
    level : {'characters', 'words'}
        Characters: each sequence starts from a zero state, and the fully connected layer uses local reparametrisation.
        Words: the state is carried from minibatch to minibatch, the bias of the forget gate starts at 1, and the
        weights of the fully connected layer are sampled.
    noise : NormalNoise, optional
        Random number source.

    Attributes
    ----------
    tokens, targets : symbolic int32 ``(batch, time)``
        Targets are the next tokens.
    inputs : list
        `tokens`, followed by `state`.
    state : list of symbolic ``(batch, hidden_units)``
        Carried hidden and cell state of the words level. Empty for the characters level.

    Examples
    --------
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.models import LanguageModel
    >>> network = LanguageModel(parse_config("LCIL", "language model"), 50, 16, level="words")
    >>> [variable.name for variable in network.inputs]
    ['tokens', 'hid_state', 'cell_state']
    >>> loss = network.loss(train_size=500)
    """

    def __init__(self, config, vocabulary_size, hidden_units, level, noise=None):
        super(LanguageModel, self).__init__(config, vocabulary_size, noise)
        self.carries_state = level == "words"
        self.tokens, self.targets = T.imatrix("tokens"), T.imatrix("targets")
        tokens = lasagne.layers.InputLayer((None, None), self.tokens, name="tokens")
        one_hot = OneHotLayer(tokens, vocabulary_size, name="one_hot")
        state = {}
        if self.carries_state:
            variables = self.add_state("hid_state", "cell_state", hidden_units)
            state = {name + "_init": lasagne.layers.InputLayer((None, hidden_units), variable, name=name + "_init")
                     for name, variable in variables._asdict().items()}
        self.inputs = [self.tokens] + self.state
        orthogonal = lasagne.init.Orthogonal(1.)
        lstm = self.add(BayesianLSTMLayer(
            one_hot, hidden_units, kind=config.lstm, gates_kind=config.z_gates, in_kind=config.z_in,
            hid_kind=config.z_hid, W_in=PerGate(orthogonal), W_hid=PerGate(orthogonal),
            b=_forget_bias(1. if self.carries_state else 0.), gate_nonlinearity="sigmoid",
            name="lstm", noise=self.noise, **state))
        self.add(BayesianDenseLayer(lstm, vocabulary_size, W=orthogonal, kind=config.dense,
                                    local_reparametrisation=not self.carries_state, name="dense", noise=self.noise))

    def scores(self, **mode):
        """Return the unnormalised log probabilities and the state after the last time step.

        Returns
        -------
        scores : symbolic ``(batch, time, vocabulary_size)``
        state : LSTMState of symbolic ``(batch, hidden_units)``, or empty tuple
            Empty if no state is carried.
        """
        scores, state = self._scores_without_bias(**mode)
        return scores + self.layers["dense"].b, state

    def _scores_without_bias(self, **mode):
        lstm, dense = self.layers["lstm"], self.layers["dense"]
        inputs = lasagne.layers.get_output(lstm.input_layers, **mode)
        hid, cell = lstm.get_sequences_for(inputs, **mode)
        scores = dense.get_product_for(hid.dimshuffle(1, 0, 2), **mode)
        return scores, LSTMState(hid[-1], cell[-1]) if self.carries_state else ()

    def prediction(self, **mode):
        """Return probabilities of the next token: symbolic ``(batch * time, vocabulary_size)``."""
        scores, _ = self.scores(**mode)
        return T.nnet.softmax(scores.reshape((-1, self.vocabulary_size)))

    def data_loss(self, **mode):
        return self.data_loss_and_state(**mode)[0]

    def data_loss_and_state(self, **mode):
        """Return the mean cross-entropy in nats, and the state after the last time step; see `scores`."""
        nll, state = self._cross_entropy(**mode)
        return nll.mean(), state

    def _cross_entropy(self, **mode):
        """Return the cross-entropy of each prediction in nats, ``(batch * time,)``, and the final state."""
        scores, state = self._scores_without_bias(**mode)
        # The bias is added by softmax_cross_entropy, which reads all scores anyway.
        nll, _ = softmax_cross_entropy(scores.reshape((-1, self.vocabulary_size)), self.targets.flatten(),
                                       bias=self.layers["dense"].b)
        return nll, state

    def evaluation(self, **mode):
        """Return the values from which the metric is computed, and the final state.

        Returns
        -------
        list of symbolic variables
            ``[nats, predictions] + final state``: summed cross-entropy (scalar), number of predictions (int scalar),
            and the states after the last time step, ``(batch, hidden_units)``, in the order of `state`.
        """
        nll, state = self._cross_entropy(**mode)
        return [nll.sum(), self.targets.size] + list(state)
