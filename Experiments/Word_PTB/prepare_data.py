"""Prepare the words of the Penn Treebank: see ``python prepare_data.py --help``."""

from Experiments.shared.data.penn_treebank import PennTreebank
from Experiments.shared.data.prepare import main

DATA_SET = PennTreebank("Word_PTB", "words")

if __name__ == "__main__":
    main(DATA_SET)
