"""Prediction with small networks: latency, throughput, start to answer and bytes of each implementation.

    python benchmarks/predict.py
    python benchmarks/predict.py --networks demo --rounds 2
    python benchmarks/predict.py --python torch=venv-peers/bin/python --json predict.json

The networks have the published sizes: 1 input and 8 hidden units (IMDB SparseVD-Voc), 16 and 17 (IMDB SparseVD), 127
and 32 (AGNews SparseVD-Voc). They have random weights (with a fixed seed), of which as many are not zero as were kept.
The fourth network is the model imdb-demo. The candidates are

    numpy     the compressed model in theano_rnn.numpy_predictor
    c         a C program with the exported code (benchmarks/predict_worker.c), compiled for this processor, as the
              functions of Theano are (CFLAGS, default -march=native)
    ctypes    the same code as a shared library, called from Python
    onnx      the exported graph in ONNX Runtime, with the tokenizer in Python
    theano    the network before compression, compiled by Theano; its pruned weights are zeros
    torch     the same in PyTorch
    fasttext  fastText, trained on the predictions of the compressed model and quantised to as many words

Each candidate is in processes of its own, which all wait while another one is measured; the candidates take turns in
each round. One text: one call per text, in one process with one thread. Throughput: all cores; ctypes has as many
threads as cores, of all other candidates as many processes with one thread compute at once. Start to answer: a new
process, with a warm compile cache. Candidates whose package is missing are left out. All but fastText must predict the
same probabilities.
"""

import collections
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import OrderedDict
from functools import partial

from theano_rnn.errors import ReportedError, reported_errors

import numpy as np

from bayes_rnn.c_compiler import compiler
from bayes_rnn.export import main as export
from bayes_rnn.export import save_model
from bayes_rnn.predictor import ClassPredictor, find_model, load_model
from benchmarks.command_line import add_peers_option, new_parser
from benchmarks.generated_data import generated_tokens
from benchmarks.report import table
from benchmarks.results_file import Results
from benchmarks.timing import ROOT, output_of, timed, why_unusable

__all__ = ["CANDIDATES", "NETWORKS", "Worker", "check_agreement", "compressed_model", "dense_model", "measure"]

#: Sizes before and after compression: classes, words, inputs, hidden units, length; kept words, inputs, hidden units;
#: compression. From tables 1 of arXiv 1810.10927.
Network = collections.namedtuple("Network", "classes words inputs units length kept_words kept_inputs kept_units ratio")
NETWORKS = OrderedDict([
    ("1-8", Network(2, 20000, 300, 128, 200, 292, 1, 8, 18792)),
    ("16-17", Network(2, 20000, 300, 128, 200, 4611, 16, 17, 1135)),
    ("127-32", Network(4, 20000, 300, 512, 100, 2444, 127, 32, 469)),
    ("demo", None),
])
CANDIDATES = ("numpy", "c", "ctypes", "onnx", "theano", "torch", "fasttext")
TEXTS, TOLERANCE = 256, 1e-4
HERE = os.path.join(ROOT, "benchmarks")


def main():
    """Run the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement in a round")
    parser.add_argument("--python", action="append", default=[], metavar="CANDIDATE=FILE",
                        help="an interpreter with the packages of a candidate (default: this one)")
    add_peers_option(parser)
    arguments = parser.parse_args()
    with reported_errors():
        os.environ["PYTHONPATH"] = ROOT         # the project is not installed in other environments
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.environ.setdefault("CFLAGS", "-march=native")
        pythons = dict({"torch": arguments.peers_python}, **dict(pair.partition("=")[::2] for pair in arguments.python))
        results = Results(arguments.json)
        for name in arguments.networks:
            with tempfile.TemporaryDirectory() as folder:
                files = Files(folder, name)
                candidates = files.available(arguments.candidates, pythons)
                for label, figures in measure(files, candidates, arguments.rounds, arguments.seconds).items():
                    results.record("predict", "%s: %s" % (name, label), figures)
        print(table("predict", results.parts["predict"]))


# -- networks ----------------------------------------------------------------------------------------------------------

def compressed_model(network, seed=0):
    """Return a compressed classifier with random weights: `ClassPredictor`.

    Parameters
    ----------
    network : Network
    seed : int
    """
    rng, outputs = np.random.RandomState(seed), 1 if network.classes == 2 else network.classes
    gates = 4 * network.kept_units
    shapes = OrderedDict([("embedding", (network.kept_words, network.kept_inputs)),
                          ("W_in", (network.kept_inputs, gates)), ("W_hid", (network.kept_units, gates)),
                          ("W_out", (network.kept_units, outputs))])
    dense = network.words * network.inputs + 4 * network.units * (network.inputs + network.units)
    dense += network.units * outputs
    density = min(1, dense / network.ratio / sum(rows * columns for rows, columns in shapes.values()))
    arrays = {name: rng.randn(*shape) * (rng.rand(*shape) < density) / np.sqrt(shape[0] * density)
              for name, shape in shapes.items()}
    arrays["embedding"] *= np.sqrt(network.kept_words * density)
    arrays.update(b=rng.randn(gates), b_out=rng.randn(outputs), gate_constants=np.zeros(gates))
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    arrays["gate_is_computed"] = np.ones(gates, dtype=bool)
    return ClassPredictor(arrays, {
        "kind": "text", "dataset": "random", "config": "LLLCCL", "gate_nonlinearity": "hard_sigmoid",
        "classes": ["class%d" % label for label in range(network.classes)], "length": network.length,
        "lower_case": False, "words": ["<start>"] + ["word%d" % word for word in range(network.kept_words - 1)]})


def dense_model(model, words, inputs, units):
    """Return the network before compression, with zeros for pruned weights: `ClassPredictor` with equal predictions.

    Parameters
    ----------
    model : ClassPredictor
    words : list of str
        All words.
    inputs, units : int
    """
    old, kept_inputs, kept_units = model.arrays, len(model.arrays["W_in"]), model.num_units
    outputs = old["W_out"].shape[1]
    shapes = {"embedding": (len(words), inputs), "W_in": (inputs, 4, units), "W_hid": (units, 4, units),
              "b": (4, units), "W_out": (units, outputs)}
    new = {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}
    row = {word: index for index, word in enumerate(words)}
    new["embedding"][[row[word] for word in model.metadata["words"]], :kept_inputs] = old["embedding"]
    computed = np.unravel_index(np.flatnonzero(old["gate_is_computed"]), (4, kept_units))
    for name in ("W_in", "W_hid"):
        rows = np.arange(len(old[name]))[:, None]
        new[name][(rows,) + computed] = old[name]
    new["b"][:, :kept_units] = _bias_of(old["gate_constants"].reshape(4, kept_units))
    new["b"][computed] = old["b"]
    new["W_out"][:kept_units] = old["W_out"]
    arrays = {name: array.reshape(array.shape[:-2] + (4 * units,)) if name in ("W_in", "W_hid", "b") else array
              for name, array in new.items()}
    arrays.update(b_out=old["b_out"], gate_is_computed=np.ones(4 * units, dtype=bool),
                  gate_constants=np.zeros(4 * units, dtype=np.float32))
    return ClassPredictor(arrays, dict(model.metadata, words=list(words)))


def _bias_of(constants):
    """Return the biases of gates with constant values ``(4, H)``: the inverse of the nonlinearities."""
    bias = (constants - 0.5) / 0.2
    bias[2] = np.arctanh(np.clip(constants[2], -1 + 1e-6, 1 - 1e-6))
    return bias


def generated_texts(words, length, count=TEXTS):
    """Return texts of words with the frequencies of natural text, most frequent first: list of str."""
    ids = generated_tokens(np.random.RandomState(1), count * length, len(words), "zipf").reshape(count, length)
    return [" ".join(words[index] for index in text) for text in ids]


# -- files and commands ------------------------------------------------------------------------------------------------

class Files(object):
    """The model, the dense network and the texts in a folder, and what the candidates need of them.

    Parameters
    ----------
    folder : str
    name : str
        A key of `NETWORKS`.
    """

    def __init__(self, folder, name):
        self.folder, network = folder, NETWORKS[name]
        self.model, self.texts = self.path("model.npz"), self.path("texts.txt")
        if network is None:
            from Experiments.shared.data.synthetic import generate_reviews
            shutil.copy(find_model("imdb-demo"), self.model)
            small = load_model(self.model)
            texts = generate_reviews(documents=4 * TEXTS)[2]
            words = small.metadata["words"] + ["unused%d" % word for word in range(4130 - len(small.row_of_word))]
            dense = dense_model(small, words, 32, 16)
        else:
            small = compressed_model(network)
            save_model(self.model, small.arrays, small.metadata)
            names = small.metadata["words"] + ["pruned%d" % word for word in range(network.words - network.kept_words)]
            texts = generated_texts([word for word in names if word != "<start>"], network.length)
            dense = dense_model(small, names, network.inputs, network.units)
        save_model(self.path("dense.npz"), dense.arrays, dense.metadata)
        self.dense_bytes = sum(array.nbytes for name, array in dense.arrays.items() if not name.startswith("gate"))
        self.dense_bytes += len(" ".join(dense.metadata["words"]))
        self.first_text = texts[0]
        with open(self.texts, "w") as stream:
            stream.write("".join(text.replace("\n", " ") + "\n" for text in texts))
        with open(self.path("one.txt"), "w") as stream:
            stream.write(texts[0] + "\n")

    def path(self, name):
        """Return the path of a file in the folder."""
        return os.path.join(self.folder, name)

    def available(self, names, pythons):
        """Return the candidates that can run: OrderedDict of str to `Candidate`. Print the reason for the others."""
        found = OrderedDict()
        for name in names:
            try:
                found[name] = getattr(self, "_prepare_" + name)(pythons.get(name, sys.executable))
            except ReportedError as error:
                print("left out: %s: %s" % (name, error))
        return found

    def _worker(self, name, python, model, size):
        self._require(python)
        command = [python, os.path.join(HERE, "predict_worker.py"), name, model]
        return Candidate(command + [self.texts], command + ["--answer", self.first_text], size)

    def _prepare_numpy(self, python):
        candidate = self._worker("numpy", python, self.model, os.path.getsize(self.model))
        return candidate._replace(answer=self._command_line(python, "numpy"))

    def _prepare_ctypes(self, python):
        self._export("c", "--build")
        candidate = self._worker("c", python, self.model, os.path.getsize(self.path("model.so")))
        return candidate._replace(answer=self._command_line(python, "c"), threads=True)

    def _command_line(self, python, backend):
        return [python, "-m", "bayes_rnn.predict", self.model, "--input", self.path("one.txt"), "--backend", backend]

    def _prepare_c(self, python):
        self._export("c")
        program = self.path("program")
        command = compiler() + ["-I", self.folder, "-o", program, os.path.join(HERE, "predict_worker.c"),
                                self.path("model.c"), "-lm"]
        try:
            subprocess.check_output(command, stderr=subprocess.STDOUT)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ReportedError("the C program cannot be compiled (%s)" % error) from None
        return Candidate([program, self.texts], [program, "--answer", self.first_text], os.path.getsize(program))

    def _prepare_onnx(self, python):
        self._require(python, "onnxruntime", "onnx")
        output_of([python, "-m", "bayes_rnn.export", self.model, "--to", "onnx"])
        return self._worker("onnx", python, self.model, os.path.getsize(self.path("model.onnx")))

    def _prepare_theano(self, python):
        self._require(python, "theano")
        return self._worker("theano", python, self.path("dense.npz"), self.dense_bytes)

    def _prepare_torch(self, python):
        self._require(python, "torch")
        return self._worker("torch", python, self.path("dense.npz"), self.dense_bytes)

    def _prepare_fasttext(self, python):
        self._require(python, "fasttext")
        output_of([python, os.path.join(HERE, "predict_worker.py"), "fasttext", self.model, self.texts, "--train",
                   self.path("model.ftz")])
        return self._worker("fasttext", python, self.path("model.ftz"), os.path.getsize(self.path("model.ftz")))

    def _export(self, *arguments):
        with open(os.devnull, "w") as nowhere:
            before, sys.stdout = sys.stdout, nowhere
            try:
                export([self.model, "--to"] + list(arguments))
            finally:
                sys.stdout = before

    @staticmethod
    def _require(python, *packages):
        reason = why_unusable(python, *packages)
        if reason:
            raise ReportedError("%s; choose an interpreter with --python" % reason)


#: Command of a worker, command that prints the answer for one text, bytes, and whether it has threads of its own.
Candidate = collections.namedtuple("Candidate", "worker answer size threads")
Candidate.__new__.__defaults__ = (False,)


class Worker(object):
    """A process that measures on request: ``predict_worker.py`` or the program of ``predict_worker.c``.

    Parameters
    ----------
    command : list of str
    threads : int
    """

    def __init__(self, command, threads=1):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         universal_newlines=True, env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
        self._command = command
        self.probabilities = np.array(self.answer())

    def ask(self, what, seconds=0):
        """Ask for a measurement ("one" or "many") of about a number of seconds, without waiting for the answer."""
        self._process.stdin.write("%s %g\n" % (what, seconds))
        self._process.stdin.flush()

    def answer(self):
        """Wait for the answer to `ask` and return it."""
        line = self._process.stdout.readline()
        if not line:
            message = self._process.stderr.read().strip().split("\n")[-1]
            raise ReportedError("%s failed: %s" % (" ".join(self._command[:4]), message or "no message"))
        return json.loads(line)

    def close(self):
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()
        self._process.wait()


# -- measurement -------------------------------------------------------------------------------------------------------

def measure(files, candidates, rounds, seconds):
    """Measure all candidates.

    Parameters
    ----------
    files : Files
    candidates : dict of str to Candidate
    rounds : int
    seconds : float
        Of each measurement.

    Returns
    -------
    OrderedDict of str to OrderedDict
        Label of a row to the figure of each candidate: the median over all rounds.
    """
    cores = len(os.sched_getaffinity(0))
    workers = OrderedDict()
    figures = OrderedDict((label, OrderedDict((name, []) for name in candidates)) for label in (
        "one text (µs)", "texts per second, %d cores" % cores, "start to answer (s)"))
    one, many, start = figures.values()
    try:
        for name, candidate in candidates.items():
            single = Worker(candidate.worker)
            several = [Worker(candidate.worker, cores)] if candidate.threads else [single] + [
                Worker(candidate.worker) for _ in range(cores - 1)]
            workers[name] = single, several
        check_agreement({name: single.probabilities for name, (single, _) in workers.items()})
        for _ in range(rounds):
            for name, (single, several) in workers.items():
                single.ask("one", seconds)
                one[name].append(1e6 * statistics.median(single.answer()))
                for worker in several:
                    worker.ask("many", seconds)
                many[name].append(sum(TEXTS / statistics.median(worker.answer()) for worker in several))
                start[name] += timed(partial(output_of, candidates[name].answer))
    finally:
        for single, several in workers.values():
            for worker in {single, *several}:
                worker.close()
    rows = OrderedDict((label, OrderedDict((name, statistics.median(values)) for name, values in row.items()))
                       for label, row in figures.items())
    rows["bytes"] = OrderedDict((name, candidate.size) for name, candidate in candidates.items())
    return rows


def check_agreement(probabilities):
    """Raise a `ReportedError` if the probabilities of two candidates differ; fastText is another model."""
    reference = next(iter(probabilities))
    for name, values in probabilities.items():
        difference = np.abs(values - probabilities[reference]).max() if name != "fasttext" else 0
        if not difference <= TOLERANCE:
            raise ReportedError("the probabilities of %s and %s must differ by at most %.0e, got a difference of %.2g"
                                % (name, reference, TOLERANCE, difference))


if __name__ == "__main__":
    main()
