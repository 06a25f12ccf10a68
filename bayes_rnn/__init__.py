"""Bayesian compression of LSTMs, as Lasagne layers.

Importing the package is instant: no Theano, no file is read, no global configuration is touched. The parts:

* `bayes_rnn.config`: CONFIG strings such as ``LLLCCL``;
* `bayes_rnn.variational`: one object per random variable;
* `theano_rnn.ops.lstm`: the LSTM recurrence;
* `bayes_rnn.layers`: embedding, one-hot, LSTM and dense layers for any Lasagne network;
* `bayes_rnn.models`: the text classifier and the language model built from them;
* `bayes_rnn.pruning`: keep masks, the printed report, the small network;
* `bayes_rnn.predictor`: prediction with the small network, NumPy only.
"""

__version__ = "0.1.0"
