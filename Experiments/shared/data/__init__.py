"""Data of the experiments: from raw corpora to prepared folders to minibatches; never imports Theano."""
