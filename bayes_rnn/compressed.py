"""Former name of `bayes_rnn.predict`, kept for ``python -m bayes_rnn.compressed MODEL TEXT``."""
from .predict import main

if __name__ == "__main__":
    main()
