"""Learning to recite: how much of the training text a model can learn by heart. ``python main_overfit.py --help``."""

from main import ENTRY

from Experiments.shared.sparse_command_line import language_model

NO_REGULARISATION = dict.fromkeys(
    ("dropout", "dropouth", "dropouti", "dropoute", "dropoutl", "wdrop", "alpha", "beta", "wdecay"), 0.)

RECITING = ENTRY._replace(
    description="Train a language model without regularisation until it recites its training text, with momentum 0.9 "
                "and a learning rate that falls by 3 % each epoch.",
    options={name: value for name, value in dict(ENTRY.options, seed=0).items() if name not in NO_REGULARISATION},
    fixed=dict(ENTRY.fixed, entry="main_overfit", recite=True, momentum=0.9, learning_rate_decay=0.97,
               **NO_REGULARISATION),
    demo=dict(emsize=32, nhid=64, epochs=15, lr=2., bptt=20, max_seq_len_delta=10, log_interval=50))

if __name__ == "__main__":
    language_model(RECITING)
