"""Former name of `bayes_rnn.predictor`, kept for ``python -m bayes_rnn.compressed MODEL TEXT``."""
from .predictor import main

if __name__ == "__main__":
    main()
