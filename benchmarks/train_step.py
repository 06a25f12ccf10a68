"""Seconds per training step at the published shapes, what they are spent on, and minutes per epoch.

    python benchmarks/train_step.py IMDB LLLCCL
    python benchmarks/train_step.py Word_PTB LCCL --cold --json step.json

Generated minibatches of the published shapes; no data is needed. The parts are measured in the same process, by
Theano's profiler, on a second function whose profiling costs a few per cent.
"""

import argparse
import atexit
import importlib
import json
import os
import shutil
import tempfile
import time
from collections import OrderedDict

from Experiments.shared import theano_setup
from Experiments.shared.command_line import reported_errors

# Training objects of the real data: what fixes the number of minibatches in an epoch.
TRAINING_TEXTS = {"IMDB": 21250, "AGNews": 114000}
TRAINING_TOKENS = {"Char_PTB": 5017482, "Word_PTB": 929589}
VOCABULARY = {"IMDB": 20000, "AGNews": 20000, "Char_PTB": 50, "Word_PTB": 10000}
WARM_UP_STEPS = 2

PARTS = OrderedDict([
    ("recurrence", ("LSTMRecurrence", "LSTMRecurrenceGradient", "Scan")),
    ("products", ("Dot22", "Dot22Scalar", "Gemm", "Gemv", "CGemv", "Ger", "BatchedDot")),
    ("softmax", ("SoftmaxCrossEntropy", "SoftmaxCrossEntropyGradient", "Softmax", "SoftmaxGrad")),
    ("KL, Adam", ("VariationalNorms", "VariationalAdam")),
    ("noise", ("mrg_uniform", "MRGNormal")),
    ("look-ups", ("AdvancedSubtensor1", "AdvancedIncSubtensor1", "AdvancedSubtensor", "AdvancedIncSubtensor", "Unique",
                  "Subtensor", "IncSubtensor")),
    ("elementwise", ("Elemwise", "Sum", "CAReduce", "Alloc", "DimShuffle", "MaxAndArgmax")),
])


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=sorted(VOCABULARY))
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--steps", type=int, default=20, help="measured steps, after %d more" % WARM_UP_STEPS)
    parser.add_argument("--tokens", choices=("uniform", "zipf"), default="uniform",
                        help="uniform: as many distinct words as can be (as the peers do); zipf: as text has them")
    parser.add_argument("--cold", action="store_true", help="compile into an empty folder, as on a first start")
    parser.add_argument("--json", metavar="FILE", help="write the figures there instead of printing them as JSON")
    arguments = parser.parse_args()
    with reported_errors():
        run(arguments)


def run(arguments):
    """Measure and report."""
    experiment = importlib.import_module("Experiments.%s.main" % arguments.experiment).EXPERIMENT
    config = experiment.parse_config(arguments.config)
    if arguments.cold:
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)      # before Theano's own, so run after it
        os.environ["THEANO_FLAGS"] = "base_compiledir=%s,%s" % (folder, os.environ.get("THEANO_FLAGS", ""))
    report(arguments, measure(experiment, config, arguments))


def measure(experiment, config, arguments):
    """All figures: OrderedDict."""
    started = time.perf_counter()
    theano_setup.configure()
    import numpy as np
    import theano

    from bayes_rnn.implementation import select_implementation
    from Experiments.shared.jobs.bayesian import make_job
    job = make_job(experiment.kind, config, generated_data(experiment, arguments.tokens, np),
                   experiment.hyperparameters, seed=0)
    job.compile()
    first = next(iter(job.minibatches(1)))
    job.step(first)
    figures = OrderedDict([
        ("experiment", experiment.dataset), ("config", config.text), ("tokens", arguments.tokens),
        ("cold", arguments.cold), ("first_step_seconds", time.perf_counter() - started)])
    seconds = []
    minibatches = full_minibatches(job, first)
    for _ in range(WARM_UP_STEPS + arguments.steps):
        minibatch = next(minibatches)
        step_started = time.perf_counter()
        job.step(minibatch)
        seconds.append(time.perf_counter() - step_started)
    seconds = seconds[WARM_UP_STEPS:]
    figures["median_step_seconds"] = float(np.median(seconds))
    figures["fastest_step_seconds"] = min(seconds)
    figures["minutes_per_epoch"] = figures["median_step_seconds"] * minibatches_per_epoch(experiment) / 60
    figures["recurrence"] = select_implementation()
    figures["threads"] = os.environ["OMP_NUM_THREADS"]
    figures["openblas_coretype"] = os.environ.get("OPENBLAS_CORETYPE", "automatic")
    figures["theano"] = theano.__version__
    figures["parts"] = parts(job, minibatches)
    return figures


def parts(job, minibatches, steps=5):
    """Mean seconds per step of each group of operations, by Theano's profiler."""
    function = job.compile(profile=True)
    for _ in range(steps):
        job.step(next(minibatches))
    total = dict.fromkeys(list(PARTS) + ["other"], 0.)
    for node, spent in function.profile.apply_time.items():
        names = {type(node.op).__name__, type(getattr(node.op, "scalar_op", None)).__name__}
        part = next((part for part, members in PARTS.items() if names & set(members)), "other")
        total[part] += spent / steps
    return OrderedDict((part, total[part]) for part in list(PARTS) + ["other"])


def generated_data(experiment, tokens, np):
    """Random data with enough objects for a few full minibatches of the published shape."""
    from Experiments.shared.data.ptb import LanguageData
    from Experiments.shared.data.text import Documents, TextData
    random, settings = np.random.RandomState(0), experiment.hyperparameters
    vocabulary = ["word%d" % index for index in range(VOCABULARY[experiment.dataset])]

    def draw(count):
        if tokens == "uniform":
            return random.randint(0, len(vocabulary), count).astype(np.int32)
        ranks = np.exp(random.uniform(0, np.log(len(vocabulary)), count))       # frequency proportional to 1 / rank
        return np.minimum(ranks.astype(np.int32), len(vocabulary) - 1)

    if experiment.kind == "text":
        count = 4 * settings["batch_size"]
        classes = {"IMDB": 2, "AGNews": 4}[experiment.dataset]
        documents = Documents(draw(count * settings["length"]), np.arange(count + 1) * settings["length"],
                              random.randint(0, classes, count).astype(np.int32))
        return TextData(vocabulary, documents, documents, classes)
    streams = settings["batch_size"] if experiment.kind == "characters" else settings["streams"]
    text = draw(streams * settings["length"] * 6)
    return LanguageData(vocabulary, text, text, text)


def full_minibatches(job, first):
    """Minibatches of the full size, without end."""
    epoch = 0
    while True:
        epoch += 1
        for minibatch in job.minibatches(epoch):
            if minibatch[0].shape == first[0].shape:
                yield minibatch


def minibatches_per_epoch(experiment):
    """With the real data."""
    from Experiments.shared.data import batches
    settings = experiment.hyperparameters
    if experiment.kind == "text":
        return batches.minibatch_count(TRAINING_TEXTS[experiment.dataset], settings["batch_size"])
    count = TRAINING_TOKENS[experiment.dataset]
    if experiment.kind == "characters":
        return batches.character_minibatch_count(count, settings["batch_size"], settings["length"])
    return batches.word_minibatch_count(count, settings["streams"], settings["length"])


def report(arguments, figures):
    """Print a table, and write the JSON file if asked."""
    print("%(experiment)s %(config)s, %(tokens)s tokens, recurrence: %(recurrence)s, %(threads)s threads, "
          "OpenBLAS kernels: %(openblas_coretype)s, Theano %(theano)s" % figures)
    print("  from the start of the program to the end of the first step: %.1f s (%s compile cache)"
          % (figures["first_step_seconds"], "empty" if figures["cold"] else "warm"))
    print("  median of %d steps: %.3f s   fastest: %.3f s   an epoch: %.1f minutes"
          % (arguments.steps, figures["median_step_seconds"], figures["fastest_step_seconds"],
             figures["minutes_per_epoch"]))
    total = sum(figures["parts"].values())
    for part, seconds in figures["parts"].items():
        print("  %-34s %.3f s  %3.0f %%" % (part, seconds, 100 * seconds / total))
    text = json.dumps(figures, indent=1)
    if arguments.json:
        with open(arguments.json, "w") as stream:
            stream.write(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
