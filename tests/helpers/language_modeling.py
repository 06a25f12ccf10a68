"""A tiny corpus and tiny tasks of Experiments/language_modeling."""

import os

from Experiments.shared import train_and_evaluate as training
from Experiments.shared.data.synthetic import generate_language
from Experiments.shared.tasks import build_task

from . import running

EXPERIMENT = "language_modeling"
MAIN = running.load_script(EXPERIMENT).EXPERIMENT
FINE_TUNING = running.load_script(EXPERIMENT, "finetune.py").FINE_TUNING
RECITING = running.load_script(EXPERIMENT, "main_overfit.py").RECITING
# Settings that finetune.py takes from the run, and those that it does not.
SIZES = dict(emsize=8, nhid=10, nlayers=1)
TRAINING = dict(bptt=10, max_seq_len_delta=5, batch_size=4, log_interval=5)
NO_DROPOUT = dict.fromkeys(("dropout", "dropouth", "dropouti", "dropoute", "wdrop"), 0.)


def write_corpus(folder, tokens=(900, 200, 150), more=""):
    os.makedirs(str(folder))
    for part, text in zip(("train", "valid", "test"), generate_language(0, tokens)):
        with open(os.path.join(str(folder), part + ".txt"), "w") as stream:
            stream.write(text + more)
    return str(folder)


def make_task(folder, **changed):
    settings = MAIN.make_settings(**dict(dict(SIZES, data=folder, **TRAINING), **changed))
    return build_task(MAIN, settings, training.load_data(settings))
