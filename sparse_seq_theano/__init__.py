"""Predefined sparseness for recurrent sequence models, in Theano and Lasagne.

Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, CoNLL 2018, arXiv 1808.08720.

=================  ==================================================================================
geometry           which inputs, hidden units and rows are connected; pure functions, no Theano
structure          the sizes of the two networks below, layer by layer, and their parameter counts
layers             SparseLSTMLayer, SparseEmbeddingLayer, SparseDecoderLayer, LockedDropoutLayer
dropout            keep masks from one seeded stream: locked, weight drop, words, embedding dimensions
optimizers         SGD with weight decay and momentum, averaged SGD, Adam
language_model     AWD-LSTM with predefined sparseness, and Mixture of Softmaxes
tagger             bidirectional LSTM tagger
=================  ==================================================================================
"""
