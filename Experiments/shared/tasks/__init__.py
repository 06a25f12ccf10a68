"""What is trained: a network, its data and its compiled functions, behind the few methods the training loop calls.

`base` says which; `bayesian` has the four Bayesian experiments, `language_modeling` the AWD-LSTM, `sequence_labeling`
the tagger.
"""
