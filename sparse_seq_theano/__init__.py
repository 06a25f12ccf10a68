"""Predefined sparseness for recurrent sequence models, in Theano and Lasagne.

Importing this package imports no other module. Its modules:

=================  ==================================================================================
geometry           connected inputs, hidden units and rows of sparse layers; integers only
architecture       sizes of the layers of both networks, and their parameter counts
layers             sparse LSTM, embedding and decoder, and dropout layers for any Lasagne network
dropout            random number source of dropout masks
optimizers         SGD with weight decay and momentum, averaged SGD, Adam
awd_lstm           AWD-LSTM language model with predefined sparseness and Mixture of Softmaxes
tagger             bidirectional LSTM tagger
=================  ==================================================================================

References
----------
Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, CoNLL 2018, arXiv:1808.08720.
"""
