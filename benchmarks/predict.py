"""Prediction with the compressed model against the dense network: texts per second, latency, start to answer.

    python benchmarks/predict.py
    python benchmarks/predict.py --rounds 10 --json predict.json

An IMDB LLLCCL network whose parameters are drawn (seeded) so that pruning leaves as much as of our trained run
(Experiments/IMDB/README.md, epoch 20). Three ways, see `benchmarks/classify.py`: the compressed model in NumPy, the
dense one compiled by Theano, the dense one in PyTorch; their probabilities must agree. In rounds, each in a fresh
process: batches of 128 texts of 200 tokens, as ids and as raw text, and a single text; and the time from the start of a
process to its answer for one text, with Theano's cache warm.
"""

import json
import os
import statistics
import sys
import tempfile
from collections import OrderedDict
from functools import partial

import numpy as np

from benchmarks.command_line import new_parser
from benchmarks.measure import ROOT, Results, timed
from benchmarks.networks import generated_tokens
from benchmarks.peers import add_torch_option, output_of
from benchmarks.report import table
from theano_rnn.errors import ReportedError, reported_errors
from theano_rnn.runtime import configuration

__all__ = ["KEPT", "ROWS", "commands", "check_agreement"]

WORDS, EMBEDDING_UNITS, HIDDEN_UNITS, TEXTS, LENGTH = 20000, 300, 128, 128, 200
#: What pruning kept of the trained run: words; gates; weights of the embedding, of W_in and W_hid, of the output layer.
KEPT = {"words": 1288, "gates": 183, "embedding": 32492, "W_in": 7129, "W_hid": 2383, "dense": 103}
TOLERANCE = 1e-4

#: What `benchmarks/classify.py` measures, and the start to answer: its row in the table, from seconds.
ROWS = OrderedDict([
    ("token ids", ("texts per second, token ids", lambda seconds: TEXTS / seconds)),
    ("raw text", ("texts per second, raw text", lambda seconds: TEXTS / seconds)),
    ("one text", ("latency of one text (ms)", lambda seconds: 1000 * seconds)),
    ("fresh process", ("fresh process, start to answer (s)", lambda seconds: seconds)),
])


def main():
    """The command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=5, help="measured calls of each in a round, and answers")
    add_torch_option(parser)
    arguments = parser.parse_args()
    with reported_errors():
        configuration.configure()
        os.environ["PYTHONPATH"] = ROOT         # the interpreter with PyTorch does not have the project installed
        with tempfile.TemporaryDirectory() as folder:
            run(arguments, folder)


def run(arguments, folder):
    """Measure, print and record."""
    print(write_models(folder).text() + "\n")
    texts = generated_texts()
    with open(os.path.join(folder, "texts.json"), "w") as stream:
        json.dump(texts, stream)
    seconds = OrderedDict((what, OrderedDict()) for what in ROWS)
    predictors = commands(folder, arguments.torch_python, texts[0])
    for _ in range(arguments.rounds):
        probabilities = {}
        for name, (classify, answer) in predictors.items():
            found = json.loads(output_of(classify + ["--repetitions", str(arguments.repetitions)]))
            probabilities[name] = np.array(found["probabilities"])
            found["seconds"]["fresh process"] = timed(partial(output_of, answer), arguments.repetitions)
            for what, values in found["seconds"].items():
                seconds[what].setdefault(name, []).extend(values)
        check_agreement(probabilities)
    results = Results(arguments.json)
    for what, (label, figure) in ROWS.items():
        medians = [(name, figure(statistics.median(values))) for name, values in seconds[what].items()]
        results.record("predict", label, OrderedDict(medians + [("seconds", seconds[what])]))
    print(table("predict", results.parts["predict"]))


def write_models(folder):
    """Write ``compressed.npz`` and, with all weights, ``dense.npz``; returns the network's CompressionReport."""
    from bayes_rnn.config import parse_config
    from bayes_rnn.models import TextClassifier
    from bayes_rnn.export import compress, save_model
    from bayes_rnn.pruning import compression_report
    from Experiments.shared.data.minibatches import model_words
    vocabulary = model_words(["word%d" % word for word in range(WORDS)], WORDS)
    network = TextClassifier(parse_config("LLLCCL", "classification"), len(vocabulary), EMBEDDING_UNITS, HIDDEN_UNITS,
                             classes=2)
    draw_parameters(network, np.random.RandomState(0))
    details = dict(kind="text", classes=["negative", "positive"], length=LENGTH, lower_case=False)
    save_model(os.path.join(folder, "compressed.npz"), *compress(network, vocabulary, details))
    embedding, lstm, dense = network.layers.values()
    gates = np.ones(4 * HIDDEN_UNITS, dtype=bool)
    arrays = {"embedding": embedding.W.pruned_value() * embedding.z_voc.pruned_value()[:, None],
              "W_in": lstm.W_in.pruned_value(), "W_hid": lstm.W_hid.pruned_value(), "b": lstm.b.get_value(),
              "W_out": dense.W.pruned_value(), "b_out": dense.b.get_value(),
              "gate_is_computed": gates, "gate_constants": np.zeros(len(gates), dtype="float32")}
    # No word is pruned; that this is said lets unknown words stand for OUTSIDE_WORD.
    save_model(os.path.join(folder, "dense.npz"), arrays, dict(
        details, words=vocabulary, pruned_words=[], gate_nonlinearity=lstm.gate_nonlinearity, config="LLLCCL"))
    return compression_report(network)


def draw_parameters(network, random):
    """Give a network parameters of which pruning keeps what `KEPT` says, within chance."""
    from Experiments.shared.data.minibatches import OUTSIDE, START
    words, units, gates = len(network.layers["embedding"].W.keep_mask()), EMBEDDING_UNITS, 4 * HIDDEN_UNITS
    kept_gates = random.permutation(gates) < KEPT["gates"]
    keep = {"embedding.W": random.rand(words, units) < KEPT["embedding"] / float(KEPT["words"] * units),
            "embedding.z_voc": random.permutation(words) < KEPT["words"],
            "lstm.W_in": (random.rand(units, gates) < KEPT["W_in"] / float(units * KEPT["gates"])) & kept_gates,
            "lstm.W_hid": (random.rand(HIDDEN_UNITS, gates) < KEPT["W_hid"] / float(HIDDEN_UNITS * KEPT["gates"]))
            & kept_gates,
            "dense.W": random.rand(HIDDEN_UNITS, 1) < KEPT["dense"] / float(HIDDEN_UNITS)}
    keep["embedding.z_voc"][[START, OUTSIDE]] = True        # as in the run; words outside the vocabulary then matter
    parameters = network.parameters()
    for name, mask in keep.items():
        mean = random.normal(size=mask.shape).astype("float32")
        parameters[name].set_value(mean)
        # log alpha = 2 log sigma - log mean^2 becomes -4, and 6 where it is pruned: the threshold is 3.
        parameters[name + ".log_sigma"].set_value(np.log(np.abs(mean)) + np.where(mask, -2, 3).astype("float32"))


def generated_texts():
    """Texts of more than `LENGTH` words, as frequent as in text: list of str."""
    words = generated_tokens(np.random.RandomState(1), TEXTS * LENGTH, WORDS, "zipf").reshape(TEXTS, LENGTH)
    return [" ".join("word%d" % word for word in text) for text in words]


def commands(folder, torch_python, text):
    """Name to two command lines: measure, and answer for one text. Without PyTorch, what it would do is left out."""
    compressed, dense, texts = (os.path.join(folder, name) for name in ("compressed.npz", "dense.npz", "texts.json"))
    classify = os.path.join(ROOT, "benchmarks", "classify.py")
    found = OrderedDict([("numpy", ([sys.executable, classify, "numpy", compressed, texts],
                                    [sys.executable, "-m", "bayes_rnn.predictor", compressed, text]))])
    for name, python in (("theano", sys.executable), ("torch", torch_python)):
        found[name] = ([python, classify, name, dense, texts], [python, classify, name, dense, "--answer", text])
    if not os.path.exists(torch_python):
        print("left out: PyTorch: there is no %s" % os.path.normpath(torch_python))
        del found["torch"]
    return found


def check_agreement(probabilities):
    """Raise a `ReportedError` if two ways give other probabilities."""
    for name, values in probabilities.items():
        difference = np.abs(values - probabilities["numpy"]).max()
        if not difference <= TOLERANCE:
            raise ReportedError("probabilities of %s differ from those of numpy by %.2g, expected at most %.0e"
                                % (name, difference, TOLERANCE))


if __name__ == "__main__":
    main()
