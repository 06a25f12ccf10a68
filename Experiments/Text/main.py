"""Classification of own texts: ``python main.py LLLCCL``; see ``python main.py --help``."""

from Experiments.shared.bayesian_experiments import bayesian_experiment
from Experiments.shared.cli import main

EXPERIMENT = bayesian_experiment(
    name="Text",
    kind="text",
    hyperparameters=dict(
        embedding_units=100, hidden_units=32, words_kept=20000, length=100,
        batch_size=32, learning_rate=2e-3, clip=1., epochs=30, evaluate_every=1, save_every=1000,
        checkpoint_minutes=5.),
    demo=dict(vectors="none", embedding_units=32, hidden_units=16),
    vectors_norm=2.1,
    examples=(),
)

if __name__ == "__main__":
    main(EXPERIMENT)
