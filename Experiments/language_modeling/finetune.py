"""Continue from the best model of ``main.py`` with averaged SGD: ``python finetune.py --save FOLDER_OF_THE_RUN``."""

from main import EXPERIMENT

from Experiments.shared.cli import fine_tune
from Experiments.shared.sparse_experiments import read_best_model

FINE_TUNING = EXPERIMENT.derive(
    description="Fine-tune a trained language model with averaged SGD; the results are written to the folder finetune "
                "inside the folder of the run. The sizes of the network and the data are those of the run.",
    fixed=dict(EXPERIMENT.fixed, entry="finetune", average_from_start=True, fewest_epochs=100),
    demo=dict(EXPERIMENT.demo, epochs=5),
    read_initial=read_best_model, begins_with=("best",))

if __name__ == "__main__":
    fine_tune(FINE_TUNING, EXPERIMENT)
