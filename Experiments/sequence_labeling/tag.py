"""Tag sentences with a trained tagger: ``python tag.py RUN sentences.txt``; see ``python tag.py --help``."""

from main import EXPERIMENT

from Experiments.shared.trained_runs import tag

if __name__ == "__main__":
    tag(EXPERIMENT)
