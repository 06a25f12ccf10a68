"""Prediction with the compressed model and with the dense network: texts per second, latency, start to answer.

    python benchmarks/prediction.py
    python benchmarks/prediction.py --rounds 10 --json prediction.json

The IMDB LLLCCL network has random parameters (with a fixed seed) of which pruning keeps as many as in our trained run
(Experiments/IMDB/README.md, epoch 20). Three predictors of `benchmarks/prediction_worker.py` are measured: the
compressed model in NumPy, the dense network compiled by Theano, and the dense network in PyTorch. Their probabilities
must agree. Each runs in a new process in each round. Measured are batches of 128 texts of 200 tokens, as token ids and
as raw text, a single text, and the time from the start of a process to its answer for one text (with a warm compile
cache).
"""

import json
import os
import statistics
import sys
import tempfile
from collections import OrderedDict
from functools import partial

from theano_rnn.errors import ReportedError

import numpy as np

from benchmarks.command_line import add_peers_option, new_parser, run_configured
from benchmarks.generated_data import generated_data, generated_tokens
from benchmarks.report import table
from benchmarks.results_file import Results
from benchmarks.timing import ROOT, output_of, timed
from benchmarks.training_runs import experiment_settings

__all__ = ["KEPT", "ROWS", "commands", "check_agreement"]

EXPERIMENT, SETTINGS = experiment_settings("IMDB", "LLLCCL")
WORDS, TEXTS, LENGTH = SETTINGS.words_kept, SETTINGS.batch_size, SETTINGS.length
#: Numbers of words, gates and weights that pruning kept in the trained run.
KEPT = {"words": 1288, "gates": 183, "embedding": 32492, "W_in": 7129, "W_hid": 2383, "dense": 103}
TOLERANCE = 1e-4

#: Measurement to its row in the table and a function that maps seconds to the value.
ROWS = OrderedDict([
    ("token ids", ("texts per second, token ids", lambda seconds: TEXTS / seconds)),
    ("raw text", ("texts per second, raw text", lambda seconds: TEXTS / seconds)),
    ("one text", ("latency of one text (ms)", lambda seconds: 1000 * seconds)),
    ("fresh process", ("fresh process, start to answer (s)", lambda seconds: seconds)),
])


def main():
    """Run the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=5,
                        help="measured calls and answers of each predictor in a round")
    add_peers_option(parser)
    run_configured(parser, run)


def run(arguments):
    """Measure, print and record."""
    os.environ["PYTHONPATH"] = ROOT         # the project is not installed in the environment of the peers
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, folder)


def measure(arguments, folder):
    """Measure with models and texts in a folder."""
    print(write_models(folder).text() + "\n")
    texts = generated_texts()
    with open(os.path.join(folder, "texts.json"), "w") as stream:
        json.dump(texts, stream)
    seconds = OrderedDict((quantity, OrderedDict()) for quantity in ROWS)
    predictors = commands(folder, arguments.peers_python, texts[0])
    for _ in range(arguments.rounds):
        probabilities = {}
        for name, (classify, answer) in predictors.items():
            found = json.loads(output_of(classify + ["--repetitions", str(arguments.repetitions)]))
            probabilities[name] = np.array(found["probabilities"])
            found["seconds"]["fresh process"] = timed(partial(output_of, answer), arguments.repetitions)
            for quantity, values in found["seconds"].items():
                seconds[quantity].setdefault(name, []).extend(values)
        check_agreement(probabilities)
    results = Results(arguments.json)
    for quantity, (label, figure) in ROWS.items():
        medians = [(name, figure(statistics.median(values))) for name, values in seconds[quantity].items()]
        results.record("predict", label, OrderedDict(medians + [("seconds", seconds[quantity])]))
    print(table("predict", results.parts["predict"]))


def write_models(folder):
    """Write ``compressed.npz``, and ``dense.npz`` with all weights; return the CompressionReport of the network."""
    from bayes_rnn.export import compress, save_model
    from Experiments.shared.tasks import build_task
    task = build_task(EXPERIMENT, SETTINGS, generated_data(SETTINGS))
    network = task.network
    draw_parameters(network, np.random.RandomState(0))
    details = dict(task.model_details(), kind=SETTINGS.kind)
    save_model(os.path.join(folder, "compressed.npz"), *compress(network, task.vocabulary, details))
    embedding, lstm, dense = network.layers.values()
    gates = np.ones(4 * SETTINGS.hidden_units, dtype=bool)
    arrays = {"embedding": embedding.W.pruned_value() * embedding.z_voc.pruned_value()[:, None],
              "W_in": lstm.W_in.pruned_value(), "W_hid": lstm.W_hid.pruned_value(), "b": lstm.b.get_value(),
              "W_out": dense.W.pruned_value(), "b_out": dense.b.get_value(),
              "gate_is_computed": gates, "gate_constants": np.zeros(len(gates), dtype="float32")}
    # With a list of pruned words, although it is empty, unknown words become OUTSIDE_WORD.
    save_model(os.path.join(folder, "dense.npz"), arrays, dict(
        details, words=task.vocabulary, pruned_words=[], gate_nonlinearity=lstm.gate_nonlinearity,
        config=SETTINGS.config))
    return task.report()


def draw_parameters(network, random):
    """Set random parameters of which pruning keeps about as many as `KEPT` has."""
    from Experiments.shared.data.minibatches import OUTSIDE, START
    words, units = network.layers["embedding"].W.keep_mask().shape
    hidden_units, gates = SETTINGS.hidden_units, 4 * SETTINGS.hidden_units
    kept_gates = random.permutation(gates) < KEPT["gates"]
    keep = {"embedding.W": random.rand(words, units) < KEPT["embedding"] / float(KEPT["words"] * units),
            "embedding.z_voc": random.permutation(words) < KEPT["words"],
            "lstm.W_in": (random.rand(units, gates) < KEPT["W_in"] / float(units * KEPT["gates"])) & kept_gates,
            "lstm.W_hid": (random.rand(hidden_units, gates) < KEPT["W_hid"] / float(hidden_units * KEPT["gates"]))
            & kept_gates,
            "dense.W": random.rand(hidden_units, 1) < KEPT["dense"] / float(hidden_units)}
    keep["embedding.z_voc"][[START, OUTSIDE]] = True        # as in the trained run
    parameters = network.parameters()
    for name, mask in keep.items():
        mean = random.normal(size=mask.shape).astype("float32")
        parameters[name].set_value(mean)
        # log alpha = 2 log sigma - log mean^2 is -4 if kept, and 6 if pruned; the threshold is 3.
        parameters[name + ".log_sigma"].set_value(np.log(np.abs(mean)) + np.where(mask, -2, 3).astype("float32"))


def generated_texts():
    """Return texts of `LENGTH` words with the frequencies of natural text: list of str."""
    words = generated_tokens(np.random.RandomState(1), TEXTS * LENGTH, WORDS, "zipf").reshape(TEXTS, LENGTH)
    return [" ".join("word%d" % word for word in text) for text in words]


def commands(folder, peers_python, text):
    """Return the commands of each predictor; PyTorch is left out if it is not installed.

    Parameters
    ----------
    folder : str
        With both models and ``texts.json``.
    peers_python : str
        The interpreter with PyTorch.
    text : str

    Returns
    -------
    OrderedDict of str to (list of str, list of str)
        Predictor to the command that measures, and the command that prints the answer for one text.
    """
    compressed, dense, texts = (os.path.join(folder, name) for name in ("compressed.npz", "dense.npz", "texts.json"))
    worker = os.path.join(ROOT, "benchmarks", "prediction_worker.py")
    found = OrderedDict([("numpy", ([sys.executable, worker, "numpy", compressed, texts],
                                    [sys.executable, "-m", "bayes_rnn.predictor", compressed, text]))])
    for name, python in (("theano", sys.executable), ("torch", peers_python)):
        found[name] = ([python, worker, name, dense, texts], [python, worker, name, dense, "--answer", text])
    if not os.path.exists(peers_python):
        print("left out: PyTorch: %s does not exist" % os.path.normpath(peers_python))
        del found["torch"]
    return found


def check_agreement(probabilities):
    """Raise a `ReportedError` if the probabilities of two predictors differ."""
    for name, values in probabilities.items():
        difference = np.abs(values - probabilities["numpy"]).max()
        if not difference <= TOLERANCE:
            raise ReportedError("the probabilities of %s and numpy must differ by at most %.0e, got a difference of "
                                "%.2g" % (name, TOLERANCE, difference))


if __name__ == "__main__":
    main()
