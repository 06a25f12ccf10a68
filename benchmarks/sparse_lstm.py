"""Is a sparse LSTM faster than the dense one it replaces? Seconds per training step, measured in turn in one process.

    python benchmarks/sparse_lstm.py
    python benchmarks/sparse_lstm.py --only lstm --steps 40 --json sparse.json

Three networks of three layers at the shapes of the language model (20 streams, 70 steps, 400 embedding units): dense
LSTMs of 1150 hidden units, sparse ones of 1725 with as many parameters (sparse_hidden, fraction 0.66666), dense ones
of 1725. First the LSTMs alone, forward, backward and SGD step, as a stack and the middle layer by itself; then the step
of the whole AWD-LSTM, with embedding, dropouts, softmax over 10,000 words and clipped gradients, on words with the
frequencies of text (Zipf).
"""

import statistics
from collections import OrderedDict
from functools import partial

from benchmarks.command_line import new_parser, run_configured
from benchmarks.measure import Results, in_turn, timed
from benchmarks.networks import AWD, AWD_NETWORKS, training_run
from benchmarks.report import table
from sparse_seq_theano.architecture import language_model_architecture

STREAMS, STEPS, WORDS, WARM_UP_STEPS = 20, 70, 10000, 2


def main():
    """The command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--steps", type=int, default=20, help="measured steps of each, after %d more" % WARM_UP_STEPS)
    parser.add_argument("--only", choices=("lstm", "model"), help="the LSTMs alone, or the whole model")
    run_configured(parser, run)


def run(arguments):
    """Measure, print and record."""
    structures = OrderedDict((name, language_model_architecture(WORDS, **options))
                             for name, options in AWD_NETWORKS.items())
    results = Results(arguments.json)
    for what, whole, counted in (("middle LSTM", False, lambda structure: structure.lstms[1:2]),
                                 ("three LSTMs", False, lambda structure: structure.lstms),
                                 ("AWD-LSTM", True, None)):
        if arguments.only == ("lstm" if whole else "model"):
            continue
        steps = OrderedDict((name, training_run(AWD, name, "zipf").step if whole else lstm_step(counted(structure)))
                            for name, structure in structures.items())
        seconds = measure(steps, arguments.steps)
        median = {name: statistics.median(values) for name, values in seconds.items()}
        for name, structure in structures.items():
            parameters = (structure.parameter_counts()["total"] if whole
                          else sum(lstm.parameters for lstm in counted(structure)))
            results.record("sparse_lstm", "%s %s" % (what, name), OrderedDict([
                ("parameters", parameters), ("median_step_seconds", median[name]),
                ("fastest_step_seconds", min(seconds[name])), ("to dense-1150", median[name] / median["dense-1150"]),
                ("to dense-1725", median[name] / median["dense-1725"]), ("step_seconds", seconds[name])]))
    print(table("sparse_lstm", results.parts["sparse_lstm"]))


def measure(steps, count):
    """Seconds of `count` calls of each function, taken in turn, after a warm-up."""
    contestants = OrderedDict((name, partial(timed, step)) for name, step in steps.items())
    in_turn(contestants, WARM_UP_STEPS, 1)
    return in_turn(contestants, count, 1)


def lstm_step(geometries):
    """A function that makes one training step of a stack of LSTMs with these geometries."""
    import numpy as np
    import theano
    import theano.tensor as T

    from sparse_seq_theano.layers import SparseLSTMLayer
    from sparse_seq_theano.optimizers import sgd
    from theano_rnn.lasagne_compat import lasagne
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


if __name__ == "__main__":
    main()
