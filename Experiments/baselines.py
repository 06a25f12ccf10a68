"""Baselines of the text classifiers: ``python baselines.py IMDB``; see ``python baselines.py --help``."""

import os

from theano_rnn.errors import ArgumentParser, ReportedError, reported_errors

from Experiments.shared.baselines import (
    EXPERIMENTS,
    baselines,
    default_words,
    read_texts,
    require_packages,
    write_baselines,
)
from Experiments.shared.readers import argument, positive_integer
from Experiments.shared.reproduction.results import baselines_path
from Experiments.shared.run_folder import make_folder


def main(argv=None):
    """Run the command line."""
    parser = ArgumentParser(
        description="Train Bernoulli naive Bayes, L1-regularised logistic regression and fastText on the tokens, the "
                    "vocabulary and the split of a text classifier, and write their accuracies and sizes to a csv "
                    "file, which reproduce.py adds to its tables. Needs: pip install --require-hashes -r "
                    "requirements/baselines.txt")
    parser.add_argument("experiment", metavar="EXPERIMENT", choices=EXPERIMENTS, help=" or ".join(EXPERIMENTS))
    parser.add_argument("--words", metavar="N", nargs="+", type=argument(positive_integer),
                        help="limits of the number of words of logistic regression (default: as many words as LSTMs "
                             "kept, in the paper and in the runs in Results)")
    parser.add_argument("--data-dir", metavar="DIR", help="prepared data (default: data/prepared of the experiment)")
    parser.add_argument("--out", metavar="FILE", help="the csv file (default: EXPERIMENT/Results/baselines.csv)")
    arguments = parser.parse_args(argv)
    with reported_errors():
        require_packages()
        out = arguments.out or baselines_path(arguments.experiment)
        make_folder(os.path.dirname(os.path.abspath(out)), "the folder of the csv file", "--out")     # before training
        if os.path.isdir(out):
            raise ReportedError("--out must be a file, but %s is a folder" % out)
        texts = read_texts(arguments.experiment, arguments.data_dir)
        rows = baselines(texts, sorted(set(arguments.words or default_words(arguments.experiment))))
        write_baselines(out, rows)
        print("wrote " + out)


if __name__ == "__main__":
    main()
