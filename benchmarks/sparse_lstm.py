"""Is a sparse LSTM faster than the dense one it replaces? Seconds per training step, measured in turn in one process.

    python benchmarks/sparse_lstm.py
    python benchmarks/sparse_lstm.py --only lstm --steps 40 --json sparse.json

Three networks of three layers at the shapes of the language model (20 streams, 70 steps, 400 embedding units): dense
LSTMs of 1150 hidden units, sparse ones of 1725 with as many parameters (sparse_hidden, fraction 0.66666), dense ones
of 1725. First the LSTMs alone, forward, backward and SGD step, as a stack and the middle layer by itself; then the step
of the whole AWD-LSTM, with embedding, dropouts, softmax over 10,000 words and clipped gradients, on words with the
frequencies of text (Zipf).
"""

import argparse
import json
import os
import time
from collections import OrderedDict

from Experiments.shared import theano_setup
from sparse_seq_theano.structure import language_model_structure

STREAMS, STEPS, WORDS, WARM_UP_STEPS = 20, 70, 10000, 2
NETWORKS = OrderedDict([
    ("dense 1150", dict(nhid=1150)),
    ("sparse 1725", dict(nhid=1725, sparse_mode="sparse_hidden", sparse_fract=0.66666)),
    ("dense 1725", dict(nhid=1725)),
])


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="measured steps of each, after %d more" % WARM_UP_STEPS)
    parser.add_argument("--only", choices=("lstm", "model"), help="the LSTMs alone, or the whole model")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    theano_setup.configure()
    structures = OrderedDict((name, language_model_structure(WORDS, **options)) for name, options in NETWORKS.items())
    figures = OrderedDict()
    if arguments.only != "model":
        figures["middle LSTM"] = in_turn({name: lstm_step([structure.lstms[1]])
                                          for name, structure in structures.items()}, arguments.steps)
        figures["three LSTMs"] = in_turn({name: lstm_step(structure.lstms)
                                          for name, structure in structures.items()}, arguments.steps)
    if arguments.only != "lstm":
        figures["AWD-LSTM"] = in_turn({name: model_step(structure) for name, structure in structures.items()},
                                      arguments.steps)
    report(figures, structures, arguments)


def lstm_step(geometries):
    """A function that makes one training step of a stack of LSTMs with these geometries."""
    import numpy as np
    import theano
    import theano.tensor as T

    from bayes_rnn.lasagne_compat import lasagne
    from sparse_seq_theano.layers import SparseLSTMLayer
    from sparse_seq_theano.optimizers import sgd
    input, shape = T.tensor3(), (STREAMS, STEPS, geometries[0].input_size)
    layer = lasagne.layers.InputLayer(shape, input)
    for number, geometry in enumerate(geometries):
        layer = SparseLSTMLayer(layer, geometry.hidden_size, weight_drop=0.5, name="lstm%d" % number,
                                **geometry.arguments())
    loss = T.mean(lasagne.layers.get_output(layer) ** 2)
    parameters = lasagne.layers.get_all_params(layer)
    function = theano.function([input], loss, updates=sgd(theano.grad(loss, parameters), parameters, 1e-3))
    value = np.random.RandomState(0).normal(size=shape).astype(theano.config.floatX)
    return lambda: function(value)


def model_step(structure):
    """A function that makes one training step of the language model with its default settings."""
    import numpy as np

    from Experiments.language_modeling.main import ENTRY
    from Experiments.shared.data.corpus import Corpus
    from Experiments.shared.jobs.language_modeling import AWDJob
    random = np.random.RandomState(0)
    ranks = np.exp(random.uniform(0, np.log(WORDS), STREAMS * 4 * STEPS))       # frequency proportional to 1 / rank
    tokens = WORDS - 1 - np.minimum(ranks.astype(np.int32), WORDS - 1)
    settings = dict(ENTRY.options, **ENTRY.fixed)
    job = AWDJob(Corpus(["word%d" % word for word in range(WORDS)], tokens, tokens, tokens), structure, settings, 0)
    job.compile()
    minibatch = (job.train_table[:, :STEPS], job.train_table[:, 1:STEPS + 1], settings["lr"])
    return lambda: job.step(minibatch)


def in_turn(steps, count):
    """Call each function in turn, again and again: OrderedDict of name to list of seconds, without the warm-up."""
    seconds = OrderedDict((name, []) for name in steps)
    for _ in range(WARM_UP_STEPS + count):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    return OrderedDict((name, values[WARM_UP_STEPS:]) for name, values in seconds.items())


def report(figures, structures, arguments):
    """Print medians and their ratios to the dense LSTM of 1150, and write the JSON file if asked."""
    import numpy as np
    import theano
    print("float32, %s threads, OpenBLAS kernels: %s, Theano %s; medians of %d steps, taken in turn" % (
        os.environ["OMP_NUM_THREADS"], os.environ.get("OPENBLAS_CORETYPE", "automatic"), theano.__version__,
        arguments.steps))
    print("%-14s %-14s %12s %10s %10s %14s %14s" % ("", "", "parameters", "seconds", "fastest", "to dense 1150",
                                                    "to dense 1725"))
    for what, seconds in figures.items():
        median = {name: float(np.median(values)) for name, values in seconds.items()}
        for name in seconds:
            lstms = structures[name].lstms[1:2] if what == "middle LSTM" else structures[name].lstms
            parameters = (structures[name].parameter_counts()["total"] if what == "AWD-LSTM"
                          else sum(lstm.parameters for lstm in lstms))
            print("%-14s %-14s %12d %10.3f %10.3f %14.2f %14.2f" % (
                what, name, parameters, median[name], min(seconds[name]), median[name] / median["dense 1150"],
                median[name] / median["dense 1725"]))
    if arguments.json:
        with open(arguments.json, "w") as stream:
            stream.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
