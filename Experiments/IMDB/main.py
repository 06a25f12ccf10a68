"""Classification of IMDB film reviews by sentiment: ``python main.py LLLCCL``; see ``python main.py --help``."""

from Experiments.shared.bayesian_experiments import bayesian_experiment
from Experiments.shared.cli import main

EXPERIMENT = bayesian_experiment(
    name="IMDB",
    kind="text",
    hyperparameters=dict(
        embedding_units=300, hidden_units=128, words_kept=20000, length=200,
        batch_size=128, learning_rate=5e-4, clip=None, validation_fraction=0.15,
        epochs=800, evaluate_every=20, save_every=200, checkpoint_minutes=5.),
    # Without kl_warmup, "not" and "critics" are often pruned before the LSTM learns their effect on later words.
    demo=dict(embedding_units=32, hidden_units=16, length=60, batch_size=32, learning_rate=1e-3, clip=1., kl_warmup=5,
              rate_schedule="0:1,10:1,14:3,30:3,40:0.3", epochs=40, evaluate_every=1),
    # 0.12 per element, the size of Google's vectors: their norms are 1.3 to 3, and random rows of U(-0.25, 0.25), which
    # programs of that time used for missing words, have a norm of 2.5.
    vectors_norm=2.1,
    recipes={
        "quick": dict(words_kept=3000, embedding_units=100, hidden_units=32, length=60, vectors="none", epochs=15,
                      evaluate_every=5),
        "fast": dict(clip=5., rate_schedule="0:1,5:1,10:5,60:5,80:0.3", epochs=80, evaluate_every=2),
    },
    examples=("A wonderful film, the best I have seen this year.",
              "What a boring film. The plot is dull and the ending is terrible."),
)

if __name__ == "__main__":
    main(EXPERIMENT)
