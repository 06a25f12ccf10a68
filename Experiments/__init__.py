"""The experiments: one folder per data set or task, and `Experiments.shared` with their common code."""

import theano_rnn  # noqa: F401  (first: from now on, Ctrl-C shows no traceback)
