"""Classification of own texts: ``python main.py LLLCCL``; see ``python main.py --help``."""

from Experiments.shared.bayesian_experiments import bayesian_experiment
from Experiments.shared.cli import main

EXPERIMENT = bayesian_experiment(
    name="Text",
    kind="text",
    hyperparameters=dict(
        embedding_units=100, hidden_units=32, words_kept=5000, length=100,
        batch_size=32, learning_rate=2e-3, clip=1., epochs=40, evaluate_every=1, save_every=1000,
        checkpoint_minutes=5.),
    # Few texts: with the full weight of the KL divergence from the first epochs, words are pruned before they are
    # learned (the README has the numbers).
    defaults=dict(kl_warmup=30, rate_schedule="0:1,30:1,40:0.2"),
    demo=dict(embedding_units=32, hidden_units=16, epochs=10, kl_warmup=5, rate_schedule=None),
    vectors_norm=4.,
    examples=(),
)

if __name__ == "__main__":
    main(EXPERIMENT)
