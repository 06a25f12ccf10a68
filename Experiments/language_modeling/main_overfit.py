"""Train a language model to recite its training text; see ``python main_overfit.py --help``."""

from main import EXPERIMENT

from Experiments.shared.cli import main

NO_REGULARISATION = dict.fromkeys(
    ("dropout", "dropouth", "dropouti", "dropoute", "dropoutl", "wdrop", "alpha", "beta", "wdecay"), 0.)

RECITING = EXPERIMENT.derive(
    description="Train a language model without regularisation until it recites its training text, with momentum 0.9 "
                "and a learning rate that falls by 3 % each epoch.",
    settings=[setting._replace(default=0) if setting.name == "seed" else setting for setting in EXPERIMENT.settings
              if setting.name not in NO_REGULARISATION],
    fixed=dict(EXPERIMENT.fixed, entry="main_overfit", recite=True, momentum=0.9, learning_rate_decay=0.97,
               **NO_REGULARISATION),
    demo=dict(emsize=32, nhid=64, epochs=15, lr=2., bptt=20, max_seq_len_delta=10, log_interval=50))

if __name__ == "__main__":
    main(RECITING)
