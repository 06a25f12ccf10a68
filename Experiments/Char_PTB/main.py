"""Character language model on Penn Treebank: ``python main.py LCIL``; see ``python main.py --help``."""

from Experiments.shared.bayesian_experiments import bayesian_experiment
from Experiments.shared.cli import main

EXPERIMENT = bayesian_experiment(
    name="Char_PTB",
    kind="characters",
    hyperparameters=dict(
        hidden_units=1000, length=100, batch_size=64, learning_rate=2e-3, clip=1.,
        epochs=250, evaluate_every=1, save_every=50, checkpoint_minutes=5.),
    demo=dict(hidden_units=64, batch_size=32, learning_rate=5e-3, epochs=15),
    examples=("the company said",),
)

if __name__ == "__main__":
    main(EXPERIMENT)
