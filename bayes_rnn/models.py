"""The two networks of the papers, built from the layers: a text classifier and a language model.

Both offer the same to a training loop: symbolic inputs, a loss, per-minibatch results for the metric, random variables
and parameters by name. Chirkova et al., arXiv 1810.10927, section 4; Lobacheva et al., arXiv 1812.05692, section 4.
"""

from collections import OrderedDict

import numpy as np
import theano.tensor as T

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.cross_entropy import softmax_cross_entropy
from theano_rnn.ops.gather import one_per_row
from theano_rnn.ops.normal_noise import NormalNoise

from .layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer, OneHotLayer, PerGate

__all__ = ["TextClassifier", "LanguageModel"]

#: Classification clips predicted probabilities to this distance from 0 and 1 before the logarithm.
PROBABILITY_CLIP = 1e-6


def _forget_bias(value):
    return PerGate(*[lasagne.init.Constant(v) for v in (0., value, 0., 0.)])


class _Network(object):
    """Named layers on top of each other, from `self.layers`; subclasses say what they predict.

    Attributes
    ----------
    config : bayes_rnn.config.Config
    layers : OrderedDict of str to lasagne.layers.Layer
        The Bayesian layers, bottom first.
    tokens, targets : symbolic
    noise : NormalNoise
        The one stream that all layers draw from.
    """

    def data_loss(self, **mode):
        """Mean cross-entropy of the minibatch: symbolic scalar. `mode`: ``deterministic``, ``pruned``."""
        raise AssertionError("to be defined by the network")

    def kl(self):
        """KL divergence of each layer: OrderedDict of layer name to symbolic scalar."""
        return OrderedDict((name, layer.kl()) for name, layer in self.layers.items())

    def loss(self, train_size, **mode):
        """The training objective: mean cross-entropy + sum of all KL / train_size."""
        return self.data_loss(**mode) + sum(self.kl().values()) / train_size

    def random_variables(self):
        """OrderedDict of name (``"lstm.z_gates"``) to `RandomVariable`, constants included."""
        return OrderedDict(("%s.%s" % (layer_name, variable.name), variable)
                           for layer_name, layer in self.layers.items() for variable in layer.random_variables)

    def parameters(self):
        """OrderedDict of name (``"lstm.z_gates.log_sigma"``) to shared variable; all of them are trained."""
        return OrderedDict((parameter.name, parameter) for layer in self.layers.values()
                           for parameter in layer.get_params())


class TextClassifier(_Network):
    """Embedding, LSTM, fully connected layer on the last hidden state.

    Parameters
    ----------
    config : Config
        From `bayes_rnn.config.parse_config`.
    vocabulary_size, embedding_units, hidden_units : int
    classes : int
        2 gives one sigmoid unit, more a softmax.
    noise : NormalNoise, optional
    embedding_init : numpy.ndarray, optional
        (vocabulary_size, embedding_units), for pretrained vectors.

    Examples
    --------
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.models import TextClassifier
    >>> network = TextClassifier(parse_config("LLLCCL", "classification"), 1000, 16, 8, classes=2)
    >>> loss = network.loss(train_size=500)
    """

    kind = "text classifier"

    def __init__(self, config, vocabulary_size, embedding_units, hidden_units, classes, noise=None,
                 embedding_init=None):
        self.config, self.classes, self.noise = config, classes, noise or NormalNoise()
        self.vocabulary_size = vocabulary_size
        self.tokens, self.targets = T.imatrix("tokens"), T.ivector("targets")
        self.mask = T.matrix("mask", dtype="uint8")
        self.inputs = [self.tokens, self.mask]
        tokens = lasagne.layers.InputLayer((None, None), self.tokens, name="tokens")
        mask = lasagne.layers.InputLayer((None, None), self.mask, name="mask")
        embedding = BayesianEmbeddingLayer(
            tokens, vocabulary_size, embedding_units, kind=config.embedding, group_kind=config.z_voc,
            W=lasagne.init.Uniform(0.05) if embedding_init is None else embedding_init,
            name="embedding", noise=self.noise)
        lstm = BayesianLSTMLayer(
            embedding, hidden_units, kind=config.lstm, gates_kind=config.z_gates, in_kind=config.z_in,
            hid_kind=config.z_hid, W_in=PerGate(lasagne.init.GlorotUniform()),
            W_hid=PerGate(lasagne.init.Orthogonal(1.1)), b=_forget_bias(1.), gate_nonlinearity="hard_sigmoid",
            mask_input=mask, only_return_final=True, name="lstm", noise=self.noise)
        dense = BayesianDenseLayer(
            lstm, 1 if classes == 2 else classes, W=lasagne.init.GlorotUniform(), kind=config.dense,
            nonlinearity=lasagne.nonlinearities.sigmoid if classes == 2 else lasagne.nonlinearities.softmax,
            name="dense", noise=self.noise)
        self.layers = OrderedDict([("embedding", embedding), ("lstm", lstm), ("dense", dense)])

    def prediction(self, **mode):
        """Probabilities: symbolic (batch, 1) for two classes (of class 1), else (batch, classes)."""
        return lasagne.layers.get_output(self.layers["dense"], **mode)

    def data_loss(self, **mode):
        return self._cross_entropy(self.prediction(**mode))

    def _cross_entropy(self, prediction):
        prediction = T.clip(prediction, PROBABILITY_CLIP, 1 - PROBABILITY_CLIP)
        if self.classes == 2:
            # With integers Theano would go on in double precision.
            targets = T.cast(self.targets, prediction.dtype)
            return T.nnet.binary_crossentropy(prediction[:, 0], targets).mean()
        return -T.log(one_per_row(prediction, self.targets)).mean()

    def evaluation(self, **mode):
        """What the metric is made of: [number of right answers, number of texts], symbolic."""
        prediction = self.prediction(**mode)
        guess = T.gt(prediction[:, 0], 0.5) if self.classes == 2 else T.argmax(prediction, axis=1)
        return [T.eq(guess, self.targets).sum(), self.targets.shape[0]]


class LanguageModel(_Network):
    """LSTM on one-hot words or characters, fully connected layer, softmax over the vocabulary.

    Parameters
    ----------
    config : Config
    vocabulary_size, hidden_units : int
    level : {"characters", "words"}
        Characters: every sequence starts from a zero state; local reparametrisation in the fully connected layer.
        Words: the state is carried from minibatch to minibatch (`hid_state`, `cell_state`), the forget gate's bias
        starts at 1, and the weights of the fully connected layer are sampled.
    noise : NormalNoise, optional

    Examples
    --------
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.models import LanguageModel
    >>> network = LanguageModel(parse_config("LCIL", "language model"), 50, 16, level="characters")
    >>> loss = network.loss(train_size=500)
    """

    kind = "language model"

    def __init__(self, config, vocabulary_size, hidden_units, level, noise=None):
        self.config, self.level, self.noise = config, level, noise or NormalNoise()
        self.vocabulary_size, self.hidden_units = vocabulary_size, hidden_units
        self.carries_state = level == "words"
        self.tokens, self.targets = T.imatrix("tokens"), T.imatrix("targets")
        self.hid_state, self.cell_state = T.matrix("hid_state"), T.matrix("cell_state")
        self.state = [self.hid_state, self.cell_state] if self.carries_state else []
        self.inputs = [self.tokens] + self.state
        tokens = lasagne.layers.InputLayer((None, None), self.tokens, name="tokens")
        one_hot = OneHotLayer(tokens, vocabulary_size, name="one_hot")
        state = {}
        if self.carries_state:
            state = {name: lasagne.layers.InputLayer((None, hidden_units), variable, name=name)
                     for name, variable in (("hid_init", self.hid_state), ("cell_init", self.cell_state))}
        orthogonal = lasagne.init.Orthogonal(1.)
        lstm = BayesianLSTMLayer(
            one_hot, hidden_units, kind=config.lstm, gates_kind=config.z_gates, in_kind=config.z_in,
            hid_kind=config.z_hid, W_in=PerGate(orthogonal), W_hid=PerGate(orthogonal),
            b=_forget_bias(1. if self.carries_state else 0.), gate_nonlinearity="sigmoid",
            name="lstm", noise=self.noise, **state)
        dense = BayesianDenseLayer(lstm, vocabulary_size, W=orthogonal, kind=config.dense,
                                   local_reparametrisation=not self.carries_state, name="dense", noise=self.noise)
        self.layers = OrderedDict([("lstm", lstm), ("dense", dense)])

    def initial_state(self, streams):
        """The state at the start of an epoch or an evaluation: list of numpy arrays, empty if none is carried."""
        zeros = np.zeros((streams, self.hidden_units), dtype=self.layers["lstm"].b.dtype)
        return [zeros, zeros] if self.carries_state else []

    def scores(self, **mode):
        """Unnormalised log probabilities (batch, time, vocabulary) and the final state [hid, cell], symbolic."""
        scores, state = self._scores_without_bias(**mode)
        return scores + self.layers["dense"].b, state

    def _scores_without_bias(self, **mode):
        lstm, dense = self.layers["lstm"], self.layers["dense"]
        inputs = lasagne.layers.get_output(lstm.input_layers, **mode)
        hid, cell = lstm.get_sequences_for(inputs, **mode)
        scores = dense.get_product_for(hid.dimshuffle(1, 0, 2), **mode)
        return scores, ([hid[-1], cell[-1]] if self.carries_state else [])

    def prediction(self, **mode):
        """Probabilities of the next token: symbolic (batch * time, vocabulary)."""
        scores, _ = self.scores(**mode)
        return T.nnet.softmax(scores.reshape((-1, self.vocabulary_size)))

    def data_loss(self, **mode):
        return self.data_loss_and_state(**mode)[0]

    def data_loss_and_state(self, **mode):
        """Mean cross-entropy in nats, and the final state."""
        nll, state = self._cross_entropy(**mode)
        return nll.mean(), state

    def _cross_entropy(self, **mode):
        """Of each prediction, (batch * time,) in nats, and the final state."""
        scores, state = self._scores_without_bias(**mode)
        # softmax_cross_entropy adds the bias in a pass over the scores that it makes anyway.
        nll, _ = softmax_cross_entropy(scores.reshape((-1, self.vocabulary_size)), self.targets.flatten(),
                                       bias=self.layers["dense"].b)
        return nll, state

    def evaluation(self, **mode):
        """What the metric is made of: [summed cross-entropy in nats, number of predictions] and the final state."""
        nll, state = self._cross_entropy(**mode)
        return [nll.sum(), self.targets.size] + state
