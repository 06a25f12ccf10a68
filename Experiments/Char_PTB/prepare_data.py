"""Prepare the data of this experiment: see ``python prepare_data.py --help``."""

import sys

from Experiments.shared.data.prepare import main

if __name__ == "__main__":
    sys.exit(main("Char_PTB"))
