"""Evaluate a trained language model: ``python evaluate.py RUN``; see ``python evaluate.py --help``."""

from finetune import FINE_TUNING
from main import EXPERIMENT
from main_overfit import RECITING

from Experiments.shared.trained_runs import evaluate_language_model

if __name__ == "__main__":
    evaluate_language_model([EXPERIMENT, FINE_TUNING, RECITING])
