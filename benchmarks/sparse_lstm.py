"""Seconds per training step of sparse LSTMs and of the dense LSTMs that they replace, interleaved in one process.

    python benchmarks/sparse_lstm.py
    python benchmarks/sparse_lstm.py --only lstm --steps 40 --json sparse.json

Three networks of three layers at the shapes of the language model (20 streams, 70 steps, 400 embedding units): dense
LSTMs with 1150 hidden units, sparse LSTMs with 1725 hidden units and the same number of parameters (sparse_hidden,
fraction 0.66666), dense LSTMs with 1725. The middle layer and all three layers are measured alone (forward, backward,
SGD step), then the step of the whole AWD-LSTM with embedding, dropouts, softmax over 10,000 words and clipped gradient,
on words with the frequencies of natural text (Zipf).
"""

import statistics
from collections import OrderedDict
from functools import partial

from benchmarks.command_line import add_device_option, new_parser, run_configured
from benchmarks.report import table
from benchmarks.results_file import Results
from benchmarks.timing import interleaved, timed
from benchmarks.training_runs import AWD, AWD_NETWORKS, training_run
from sparse_seq_theano.architecture import language_model_architecture

STREAMS, STEPS, WORDS, WARM_UP_STEPS = 20, 70, 10000, 2


def main():
    """Run the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--steps", type=int, default=20, help="measured steps of each, after %d others" % WARM_UP_STEPS)
    parser.add_argument("--only", choices=("lstm", "model"), help="the LSTMs alone, or the whole model")
    add_device_option(parser)
    run_configured(parser, run)


def run(arguments):
    """Measure, print and record."""
    architectures = OrderedDict((name, language_model_architecture(WORDS, **options))
                             for name, options in AWD_NETWORKS.items())
    results = Results(arguments.json)
    for part, whole, counted in (("middle LSTM", False, lambda architecture: architecture.lstms[1:2]),
                                 ("three LSTMs", False, lambda architecture: architecture.lstms),
                                 ("AWD-LSTM", True, None)):
        if arguments.only == ("lstm" if whole else "model"):
            continue
        steps = OrderedDict((name, training_run(AWD, name, "zipf").step if whole else lstm_step(counted(architecture)))
                            for name, architecture in architectures.items())
        seconds = measure(steps, arguments.steps)
        median = {name: statistics.median(values) for name, values in seconds.items()}
        for name, architecture in architectures.items():
            parameters = (architecture.parameter_counts()["total"] if whole
                          else sum(lstm.parameters for lstm in counted(architecture)))
            results.record("sparse_lstm", "%s %s" % (part, name), OrderedDict([
                ("parameters", parameters), ("median_step_seconds", median[name]),
                ("fastest_step_seconds", min(seconds[name])), ("to dense-1150", median[name] / median["dense-1150"]),
                ("to dense-1725", median[name] / median["dense-1725"]), ("step_seconds", seconds[name])]))
    print(table("sparse_lstm", results.parts["sparse_lstm"]))


def measure(steps, count):
    """Return the seconds of `count` interleaved calls of each function after a warm-up."""
    candidates = OrderedDict((name, partial(timed, step)) for name, step in steps.items())
    interleaved(candidates, WARM_UP_STEPS, 1)
    return interleaved(candidates, count, 1)


def lstm_step(geometries):
    """Return a function that trains a stack of LSTMs with these geometries for one step."""
    from theano_rnn.lasagne_compat import lasagne

    import numpy as np
    import theano
    import theano.tensor as T

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


if __name__ == "__main__":
    main()
