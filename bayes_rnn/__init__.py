"""Bayesian compression of LSTMs, as Lasagne layers.

Importing this package imports no other module. Its modules:

===================  ==================================================================================
config               CONFIG strings such as ``LLLCCL``
variational          random variables: sample, mean, pruned mean, KL divergence, keep mask
layers               embedding, one-hot, LSTM and dense layers for any Lasagne network
models               the text classifier and the language model of the papers
training_step        objective of any network with these layers, and a step of Adam
connections          which units of each layer a pruned network needs
pruning              keep masks, compression report, kept words, permanent pruning
smaller_network      a small Lasagne network of the kept words and units
export               conversion of a pruned network to a compressed model, one small file; command line of all exports
model_file           writes that file, on request with fewer bytes; needs NumPy only
predictor            prediction with a compressed model or a model of the project; needs NumPy only
predict              command line of prediction; needs NumPy only
characters           tables of word characters, white space and lower case, for the exports
export_c             a compressed model as C code; needs NumPy only
c_tables             tables of that code: matrices, characters, words
c_compiler           the compiler of that code
c_library            prediction with the compiled C code
export_html          a compressed model as a web page
export_onnx          a compressed model as an ONNX graph
===================  ==================================================================================

References
----------
Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, EMNLP 2018, arXiv:1810.10927.
Lobacheva, Chirkova, Vetrov: Bayesian Sparsification of Gated Recurrent Neural Networks, 2018, arXiv:1812.05692.
"""

__version__ = "0.1.0"
