"""Classification of AG's News by topic: ``python main.py LLLCCL``; see ``python main.py --help``."""

from Experiments.shared.bayesian_experiments import bayesian_experiment
from Experiments.shared.cli import main

EXPERIMENT = bayesian_experiment(
    name="AGNews",
    kind="text",
    hyperparameters=dict(
        embedding_units=300, hidden_units=512, words_kept=20000, length=100,
        batch_size=128, learning_rate=5e-4, clip=None, validation_fraction=0.05,
        epochs=150, evaluate_every=5, save_every=50, checkpoint_minutes=5.),
    demo=dict(embedding_units=32, hidden_units=16, length=60, batch_size=32, learning_rate=1e-3, clip=1., epochs=40,
              evaluate_every=1),
    # 0.45 per element of 300: the elements of GloVe's vectors have a standard deviation of 0.4 to 0.5.
    vectors_norm=7.8,
    examples=("The team won the final game of the season.", "Stocks fell as oil prices rose."),
)

if __name__ == "__main__":
    main(EXPERIMENT)
