"""Prepare the characters of the Penn Treebank or of own text: see ``python prepare_data.py --help``."""

from Experiments.shared.data.penn_treebank import PennTreebank
from Experiments.shared.data.prepare import main

DATA_SET = PennTreebank("Char_PTB", "characters")

if __name__ == "__main__":
    main(DATA_SET)
