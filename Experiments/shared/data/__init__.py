"""Data of the experiments: raw corpus, prepared folder, minibatches. Nothing here imports Theano.

Each ``Experiments/<experiment>/prepare_data.py`` describes a data set (`prepare`) that is read from `archives` and
written as a prepared folder (`prepared_folder`). `text_classification`, `language_modeling` and `tagged_sentences` load
it as ids of a `vocabulary`, and `minibatches` cuts it. `demo` prepares a generated corpus (`synthetic`) instead.
"""
