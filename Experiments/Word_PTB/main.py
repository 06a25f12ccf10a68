"""Word language model on Penn Treebank: ``python main.py LCIL``; see ``python main.py --help``."""

from Experiments.shared.bayesian_experiments import bayesian_experiment
from Experiments.shared.cli import main

EXPERIMENT = bayesian_experiment(
    name="Word_PTB",
    kind="words",
    hyperparameters=dict(
        hidden_units=256, length=35, streams=32, learning_rate=2e-3, clip=10.,
        epochs=150, evaluate_every=1, save_every=50, checkpoint_minutes=5.),
    demo=dict(hidden_units=32, streams=16, learning_rate=1e-2, epochs=30),
    examples=("the company said it will",),
)

if __name__ == "__main__":
    main(EXPERIMENT)
