"""Evaluate a trained tagger: ``python evaluate.py RUN``; see ``python evaluate.py --help``."""

from main import EXPERIMENT

from Experiments.shared.trained_runs import evaluate_tagger

if __name__ == "__main__":
    evaluate_tagger(EXPERIMENT)
