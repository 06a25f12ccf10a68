"""Base class of the Bayesian tasks: training by variational inference, pruned evaluation, the compressed model."""

import abc
import os
import tempfile
import time
import timeit
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import write_atomically
from theano_rnn.numpy_predictor import FINGERPRINT_BITS
from theano_rnn.ops.finite_guard import guarded_updates
from theano_rnn.step_function import stacked, step_function

import numpy as np
import theano

from bayes_rnn.config import parse_config
from bayes_rnn.export import compress
from bayes_rnn.model_file import PRECISIONS, PRUNED_WORDS, save_model
from bayes_rnn.predictor import load_model
from bayes_rnn.pruning import compression_report, kept_words
from bayes_rnn.training_step import training_step

from ..bayesian_experiments import NETWORKS
from .network_task import LABELS, NetworkTask

__all__ = ["BayesianTask"]

TIMED_REPETITIONS = 5
#: Kept words in the log; ``kept_words.txt`` has all.
LOGGED_WORDS = 50


class BayesianTask(NetworkTask):
    """Minimise mean data loss + KL / training examples with Adam; evaluate the pruned network.

    Subclasses set `network`, `vocabulary` and `train_size`, the number of training examples.
    """

    def __init__(self, settings, data):
        super(BayesianTask, self).__init__(settings, data)
        self.config = parse_config(settings.config, NETWORKS[settings.kind])

    def network_name(self):
        return dict(super(BayesianTask, self).network_name(), config=self.settings.config)

    def _title(self):
        return "%s %s" % (self.settings.experiment.name, self.settings.config)

    def describe(self):
        return ["%s: %d parameters, %d minibatches per epoch, %d vocabulary elements; compiling ..." % (
            self._title(),
            sum(parameter.get_value(borrow=True).size for parameter in self.network.parameters().values()),
            self.minibatch_count(1), len(self.vocabulary))]

    # -- training ------------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _training_loss(self):
        """Return the data loss of the minibatch and the list of the carried state after it, symbolic."""

    def _diagnostic_names(self):
        return (["the data loss"] + ["the KL of layer " + name for name in self.network.layers]
                + ["the gradient of " + name for name in self.network.parameters()])

    def _make_step(self, profile=False):
        data_loss, final_state = self._training_loss()
        schedule, steps = self.settings.rate_schedule, self.minibatch_count(1)
        step = training_step(
            self.network, data_loss, self.train_size, self.settings.learning_rate, clip=self.settings.clip,
            kl_warmup=self.settings.kl_warmup * steps,
            rate_schedule=schedule and [(epoch * steps, factor) for epoch, factor in schedule],
            log_sigma_rate=self.settings.log_sigma_rate)
        self._keep_optimiser_state(step.updates)
        diagnostics = stacked([data_loss] + list(step.kl.values()) + list(step.squares.values()))
        updates = OrderedDict(step.updates)
        updates.update(guarded_updates(OrderedDict(zip(self._carried.values(), final_state)), step.loss, step.norm))
        inputs = [variable for variable in self.network.inputs if variable not in self._carried]
        return step_function(inputs + [self.network.targets], [step.loss, step.norm, diagnostics], updates,
                             givens=self._carried, profile=profile)

    # -- evaluation ----------------------------------------------------------------------------------------------------

    def _make_evaluation(self):
        return theano.function(self.network.inputs + [self.network.targets], self.network.evaluation(pruned=True))

    def _make_prediction(self):
        return theano.function(self.network.inputs, self.network.prediction(pruned=True))

    @abc.abstractmethod
    def evaluate(self, part, minibatches=None, function=None):
        """Return the metric on a part.

        Parameters
        ----------
        part : {"train", "valid", "test"}
        minibatches : int, optional
            Only the first minibatches.
        function : callable, optional
            From `compressed_evaluation`. The pruned network if omitted, as for all published numbers.
        """

    def evaluate_epoch(self, run, progress):
        columns = OrderedDict()
        started = time.time()
        # As in the published logs, "Train" is measured on one minibatch only.
        for part, label in LABELS.items():
            columns[label] = self.evaluate(part, minibatches=1 if part == "train" else None)
            run.log("%s (clip): %.4f" % (label.capitalize(), columns[label]))
        columns["test_seconds"] = round(time.time() - started, 3)
        run.log("Testing took %.3fs" % columns["test_seconds"])
        report = self.report()
        run.log(report.text())
        if report.warning():
            run.log(report.warning())
        columns["compression"] = report.ratio
        for name, (kept, total) in report.counts.items():
            column = name.split(".")[1] if name.startswith("lstm") or name.endswith("voc") else name.replace(".", "_")
            columns["kept_" + column], columns["size_" + column] = kept, total
        return columns, columns["val"]

    def figures(self):
        return super(BayesianTask, self).figures() + [
            ("compression", "compression (times)", ("compression",), "log")]

    def report(self):
        """Return the `CompressionReport` of the network."""
        return compression_report(self.network)

    def print_evaluation(self):
        """Print the metric of the pruned network and its compression report."""
        for part in ("valid", "test"):
            print("%s (clip): %.4f" % (LABELS[part].capitalize(), self.evaluate(part)))
        report = self.report()
        print("\n".join(filter(None, [report.text(), report.warning()])))

    # -- the compressed model ------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def model_details(self):
        """Return the metadata of the compressed model: dict; see `bayes_rnn.predictor`."""

    @abc.abstractmethod
    def compressed_evaluation(self, model):
        """Return the `function` with which `evaluate` evaluates a compressed model of this network."""

    @abc.abstractmethod
    def largest_difference(self, model, part="test"):
        """Return the largest difference of probabilities, compressed against pruned, on one minibatch of a part."""

    def finish(self, run):
        """Write ``kept_words.txt`` and ``compressed.npz``, and log predictions of the compressed model."""
        words = kept_words(self.network, self.vocabulary)
        if words is not None:
            lines = ["%s\t%.3f" % (_printable(word), importance) for word, importance in words]
            write_atomically(run.file("kept_words.txt"), "".join(line + "\n" for line in lines))
            run.log("%d of %d vocabulary elements kept (%s): %s%s" % (
                len(words), len(self.vocabulary), run.file("kept_words.txt"),
                " ".join(_printable(word) for word, _ in words[:LOGGED_WORDS]),
                " ..." if len(words) > LOGGED_WORDS else ""))
        model = self.write_compressed(run)
        run.log("Compressed model: %s, %d bytes; the parameters it came from: %d bytes"
                % (run.file("compressed.npz"), os.path.getsize(run.file("compressed.npz")), self._parameter_bytes()))
        for example in self.settings.experiment.examples:
            try:
                description = model.describe(example)
            except ReportedError as error:              # the user's corpus may lack a character of the example
                description = str(error)
            run.log("%s\n  -> %s" % (example, description))
        return model

    def write_compressed(self, run, name="compressed.npz"):
        """Compress the network, save it in the folder of the run, and return the model loaded from there."""
        save_model(run.file(name), *self.compressed_model())
        return load_model(run.file(name))

    def compressed_model(self):
        """Return the arrays and the metadata of the compressed network; see `bayes_rnn.export.compress`."""
        details = dict(self.model_details(), kind=self.settings.kind, dataset=self.settings.experiment.name)
        return compress(self.network, self.vocabulary, details)

    def compare_compressed(self, run, checkpoint):
        """Write the compressed model of a trained run, compare it with the pruned network, and print the result.

        Parameters
        ----------
        run : RunFolder
        checkpoint : str
            Name of the checkpoint that was restored: ``"last"`` makes ``compressed.npz``, ``"best"``
            ``compressed-best.npz``.
        """
        print("%s\n%s" % (run.path, self.report().text()))
        name = "compressed.npz" if checkpoint == "last" else "compressed-%s.npz" % checkpoint
        model, path = self.write_compressed(run, name), run.file(name)
        function = self.compressed_evaluation(model)
        print("Largest difference of predictions, compressed against pruned (first test minibatch): %.2g"
              % self.largest_difference(model))
        print("%-12s %12s %16s %16s" % ("", "test " + self.metric, "bytes (*)", "ms per example"))
        minibatch = next(self.evaluation_minibatches("test"))
        rows = [("pruned", self.evaluate("test"), self._parameter_bytes(), self.time_evaluation(minibatch)),
                ("compressed", self.evaluate("test", function=function), os.path.getsize(path),
                 self.time_evaluation(minibatch, function))]
        for name, metric, size, seconds in rows:
            print("%-12s %12.4f %16d %16.4f" % (name, metric, size, 1000 * seconds / len(minibatch[0])))
        print("(*) pruned: its means, in float32; compressed: the file\nSaved %s" % path)

    def print_variants(self):
        """Print the test metric and the bytes of the file of the compressed network for each precision.

        For classifiers also with fingerprints of the pruned words, and without pruned words; see
        `bayes_rnn.model_file.save_model`.
        """
        arrays, metadata = self.compressed_model()
        print("%-10s %-13s %24s %10s" % ("precision", "pruned words", "test " + self.metric, "bytes"))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.npz")
            for pruned_words in PRUNED_WORDS if "pruned_words" in metadata else PRUNED_WORDS[:1]:
                for precision in PRECISIONS:
                    save_model(path, arrays, metadata, precision, pruned_words)
                    metric = self.evaluate("test", function=self.compressed_evaluation(load_model(path)))
                    print("%-10s %-13s %24.4f %10d" % (precision, pruned_words, metric, os.path.getsize(path)))
        if "pruned_words" in metadata:
            print("With fingerprints, about 1 of %d words outside the vocabulary is taken for a pruned word. The "
                  "metric does not count this: prepared data lack these words" % 2 ** FINGERPRINT_BITS)

    def time_evaluation(self, minibatch, function=None):
        """Return the median seconds to evaluate a minibatch, pruned or by another function (see `evaluate`)."""
        function = function or self._function("evaluation")
        arguments = self._with_initial_state(minibatch)
        # The first call does not count.
        seconds = timeit.repeat(lambda: function(*arguments), number=1, repeat=1 + TIMED_REPETITIONS)[1:]
        return float(np.median(seconds))

    def _with_initial_state(self, minibatch):
        return minibatch

    def _parameter_bytes(self):
        """Return the bytes of the posterior means, which an uncompressed network needs for prediction."""
        return sum(parameter.get_value(borrow=True).nbytes for name, parameter in self.network.parameters().items()
                   if not name.endswith("log_sigma"))


def _printable(word):
    return word.replace("\n", "<newline>")
