"""Go on from the best model of ``main.py`` with averaged SGD: ``python finetune.py --save FOLDER_OF_THE_RUN``."""

from main import ENTRY

from Experiments.shared.sparse_command_line import fine_tune

FINE_TUNING = ENTRY._replace(
    description="Fine-tune a trained language model with averaged SGD; the results go to its folder finetune. What "
                "decides the model and its data is taken from the run.",
    fixed=dict(ENTRY.fixed, entry="finetune", average_from_start=True, fewest_epochs=100),
    demo=dict(ENTRY.demo, epochs=5))

if __name__ == "__main__":
    fine_tune(FINE_TUNING)
