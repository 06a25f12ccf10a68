"""Generate text with a trained language model: ``python sample.py RUN``; see ``python sample.py --help``."""

from finetune import FINE_TUNING
from main import EXPERIMENT
from main_overfit import RECITING

from Experiments.shared.trained_runs import sample

if __name__ == "__main__":
    sample([EXPERIMENT, FINE_TUNING, RECITING])
