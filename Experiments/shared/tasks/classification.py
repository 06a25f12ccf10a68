"""The four Bayesian experiments: text classification, character and word language models."""

import time
from collections import OrderedDict

import numpy as np
import theano

from bayes_rnn.models import LanguageModel, TextClassifier
from bayes_rnn.predictor import log_softmax
from bayes_rnn.pruning import compression_report
from bayes_rnn.training_step import training_step
from theano_rnn.errors import ReportedError
from theano_rnn.ops.normal_noise import NormalNoise
from theano_rnn.step_function import stacked, step_function

from ..data import minibatches as batches
from .base import Job, perplexity

TIMED_REPETITIONS = 5

__all__ = ["make_job", "TextJob", "CharacterJob", "WordJob"]


def make_job(kind, config, data, settings, seed, vectors=None):
    """The job for an experiment.

    Parameters
    ----------
    kind : {"text", "characters", "words"}
    config : bayes_rnn.config.Config
    data : TextData or LanguageData
    settings : dict
        Hyperparameters of the experiment.
    seed : int
    vectors : (numpy.ndarray, numpy.ndarray), optional
        Pretrained vectors (text only): words that have one, as ids, and the vectors, (words, embedding units).

    Raises
    ------
    ReportedError
        If the data are too small for the settings.
    """
    if kind == "text":
        return TextJob(config, data, settings, seed, vectors)
    return {"characters": CharacterJob, "words": WordJob}[kind](config, data, settings, seed)


def median_seconds(function):
    """Median time of a call, after one that does not count."""
    function()
    seconds = []
    for _ in range(TIMED_REPETITIONS):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


class _BayesianJob(Job):
    """Mean data loss + KL / training objects, minimised with Adam; pruned evaluation.

    Attributes
    ----------
    vocabulary : list of str
        What each vocabulary element of the network stands for.
    """

    def __init__(self, settings, seed):
        super(_BayesianJob, self).__init__(settings, seed)
        self.noise = NormalNoise()

    def _diagnostic_names(self):
        return (["the data loss"] + ["the KL of layer " + name for name in self.network.layers]
                + ["the gradient of " + name for name in self.network.parameters()])

    def _make_step(self, profile=False):
        data_loss, final_state = self._training_loss()
        step = training_step(self.network, data_loss, self.train_size, self.settings["learning_rate"],
                             clip=self.settings["clip"])
        self._keep_optimiser_state(step.updates)
        diagnostics = stacked([data_loss] + list(step.kl.values()) + list(step.squares.values()))
        updates = OrderedDict(step.updates)
        updates.update(self._guarded(OrderedDict(zip(self._carried.values(), final_state)), step.loss, step.norm))
        inputs = [variable for variable in self.network.inputs if variable not in self._carried]
        return step_function(inputs + [self.network.targets], [step.loss, step.norm, diagnostics], updates,
                             givens=self._carried, profile=profile)

    def _make_evaluation(self):
        return theano.function(self.network.inputs + [self.network.targets], self.network.evaluation(pruned=True))

    def _make_prediction(self):
        return theano.function(self.network.inputs, self.network.prediction(pruned=True))

    def evaluate_epoch(self, run, progress):
        columns = OrderedDict()
        started = time.time()
        # As in the published logs, "Train" is measured on one minibatch only.
        for part, minibatches in (("train", 1), ("val", None), ("test", None)):
            columns[part] = self.evaluate(part, minibatches=minibatches)
            run.log("%s (clip): %.4f" % (part.capitalize(), columns[part]))
        columns["test_seconds"] = round(time.time() - started, 3)
        run.log("Testing took %.3fs" % columns["test_seconds"])
        report = self.report()
        run.log(report.text())
        columns["compression"] = report.ratio
        for name, (kept, total) in report.counts.items():
            column = name.split(".")[1] if name.startswith("lstm") or name.endswith("voc") else name.replace(".", "_")
            columns["kept_" + column], columns["size_" + column] = kept, total
        return columns, columns["val"]

    def figures(self):
        return super(_BayesianJob, self).figures() + [
            ("compression", "compression (times)", ("compression",), "log")]

    def time_evaluation(self, minibatch, function=None):
        """Median seconds to evaluate a minibatch, pruned or by another function (see `evaluate`)."""
        function = function or self._function("evaluation")
        arguments = self._with_initial_state(minibatch)
        return median_seconds(lambda: function(*arguments))

    def _with_initial_state(self, minibatch):
        return minibatch

    def report(self):
        """The `CompressionReport` of the network now."""
        return compression_report(self.network)


class TextJob(_BayesianJob):
    """Text classification: accuracy; objects are texts."""

    metric, higher_is_better = "accuracy", True

    def __init__(self, config, data, settings, seed, vectors=None):
        super(TextJob, self).__init__(settings, seed)
        parts = batches.text_split(data, settings["validation_fraction"], settings["words_kept"], settings["length"])
        self.parts = {"train": parts["train"], "val": parts["validation"], "test": parts["test"]}
        if not len(self.parts["val"].labels):
            raise ReportedError("validation_fraction %s leaves none of %d texts for validation"
                                % (settings["validation_fraction"], len(data.train.labels)))
        self.vocabulary = batches.model_words(data.vocabulary, settings["words_kept"])
        self.train_size = len(self.parts["train"].labels)
        self.network = TextClassifier(config, len(self.vocabulary), settings["embedding_units"],
                                      settings["hidden_units"], data.classes, self.noise)
        if vectors is not None:
            parameter = self.network.parameters()["embedding.W"]
            value = parameter.get_value()
            value[vectors[0] + batches.FIRST_WORD] = vectors[1]
            parameter.set_value(value)

    def minibatch_count(self, epoch):
        return batches.minibatch_count(self.train_size, self.settings["batch_size"])

    def minibatches(self, epoch, first=0):
        order = batches.epoch_order(self.seed, epoch, self.train_size)
        return batches.text_minibatches(self.parts["train"], self.settings["batch_size"], order, first)

    def _training_loss(self):
        return self.network.data_loss(), []

    def evaluate(self, part, minibatches=None, function=None):
        """Accuracy on a part.

        Parameters
        ----------
        part : {"train", "val", "test"}
        minibatches : int, optional
            Only so many minibatches.
        function : callable, optional
            Maps a minibatch to [right, count]; pruned evaluation if omitted, as all published numbers are.
        """
        function = function or self._function("evaluation")
        right = count = 0
        for minibatch in self._watched(part, minibatches):
            values = function(*minibatch)
            right, count = right + int(values[0]), count + int(values[1])
        return right / float(count)

    def evaluation_minibatches(self, part):
        """The minibatches of a part, in order."""
        return batches.text_minibatches(self.parts[part], self.settings["batch_size"])

    def compressed_evaluation(self, model):
        """What `evaluate` takes as `function`, for a `ClassPredictor` of this network."""
        row = model.rows(self.vocabulary)

        def function(tokens, mask, targets):
            probabilities = model.predict_rows(row[tokens], mask)
            return [(probabilities.argmax(axis=1) == targets).sum(), len(targets)]
        return function

    def largest_difference(self, model, part="test"):
        """Largest difference of probabilities, compressed against pruned, on one minibatch of a part."""
        tokens, mask, _ = next(self.evaluation_minibatches(part))
        expected = self._function("prediction")(tokens, mask)
        found = model.predict_rows(model.rows(self.vocabulary)[tokens], mask)
        return float(np.abs(found[:, 1:] - expected).max() if expected.shape[1] == 1 else
                     np.abs(found - expected).max())


class _LanguageJob(_BayesianJob):
    def __init__(self, config, data, settings, seed):
        super(_LanguageJob, self).__init__(settings, seed)
        self.vocabulary = data.vocabulary
        self.parts = {"train": data.train, "val": data.valid, "test": data.test}
        self.network = LanguageModel(config, len(self.vocabulary), settings["hidden_units"], self.level, self.noise)

    def _check_parts(self):
        """Raise a `ReportedError` now, not after an epoch, if a part is too short for the settings."""
        for part in self.parts:
            next(self.evaluation_minibatches(part))

    def _training_loss(self):
        return self.network.data_loss_and_state()

    def evaluate(self, part, minibatches=None, function=None):
        """The metric on a part; see `TextJob.evaluate`. `function` maps tokens, state, targets to sum, count, state."""
        function = function or self._function("evaluation")
        total, count, state = 0., 0, None
        for tokens, targets in self._watched(part, minibatches):
            state = self.network.initial_state(len(tokens)) if state is None else state
            values = function(*([tokens] + state + [targets]))
            total, count, state = total + float(values[0]), count + int(values[1]), values[2:]
        return self.metric_of(total / count)

    def _with_initial_state(self, minibatch):
        tokens, targets = minibatch
        return [tokens] + self.network.initial_state(len(tokens)) + [targets]

    def compressed_evaluation(self, model):
        """What `evaluate` takes as `function`, for a `NextTokenPredictor` of this network.

        The state that goes in and comes out is the compressed model's.
        """
        row = model.rows(self.vocabulary)

        def function(tokens, *rest):
            state, targets = rest[:-1], rest[-1]
            if state and state[0].shape[1] != model.num_units:      # the first minibatch brings the network's zeros
                state = [np.zeros((len(tokens), model.num_units), dtype=state[0].dtype)] * 2
            total, final = 0., None
            for step, final in enumerate(model.run(row[tokens], state=state or None)):
                chosen = log_softmax(model.scores(final[0]))[np.arange(len(tokens)), targets[:, step]]
                total -= float(chosen.sum(dtype=np.float64))
            return [total, targets.size] + (list(final) if state else [])
        return function

    def largest_difference(self, model, part="test"):
        """Largest difference of probabilities, compressed against pruned, on one minibatch of a part."""
        tokens, _ = next(self.evaluation_minibatches(part))
        expected = self._function("prediction")(*([tokens] + self.network.initial_state(len(tokens))))
        hidden = [h for h, _ in model.run(model.rows(self.vocabulary)[tokens])]
        found = np.exp(log_softmax(np.stack([model.scores(h) for h in hidden], axis=1)))
        return float(np.abs(found.reshape(expected.shape) - expected).max())


class CharacterJob(_LanguageJob):
    """Character-level language model: bits per character; objects are the sequences of 100."""

    level, metric = "characters", "bits per character"

    def __init__(self, config, data, settings, seed):
        super(CharacterJob, self).__init__(config, data, settings, seed)
        length = settings["length"]
        self.train_size = batches.character_sequence_count(len(self.parts["train"]), length) * (length - 1)
        if length < 2:
            raise ReportedError("length is %d, expected at least 2: the first character of a sequence is not predicted"
                                % length)
        self._check_parts()

    def minibatch_count(self, epoch):
        return batches.character_minibatch_count(len(self.parts["train"]), self.settings["batch_size"],
                                                 self.settings["length"])

    def minibatches(self, epoch, first=0):
        return batches.character_minibatches(self.parts["train"], self.settings["batch_size"], self.seed, epoch,
                                             self.settings["length"], first)

    def evaluation_minibatches(self, part):
        return batches.character_minibatches(self.parts[part], self.settings["batch_size"],
                                             length=self.settings["length"])

    @staticmethod
    def metric_of(nats):
        return nats / np.log(2)


class WordJob(_LanguageJob):
    """Word-level language model: perplexity; objects are the streams, whose state is carried along."""

    level, metric = "words", "perplexity"

    def __init__(self, config, data, settings, seed):
        super(WordJob, self).__init__(config, data, settings, seed)
        self.train_size = len(self.parts["train"]) - settings["streams"]
        self._carry(("hid", "cell"), settings["streams"])
        self._check_parts()

    def minibatch_count(self, epoch):
        return batches.word_minibatch_count(len(self.parts["train"]), self.settings["streams"],
                                            self.settings["length"])

    def minibatches(self, epoch, first=0):
        if first == 0:
            self._carry_nothing()
        return batches.word_streams(self.parts["train"], self.settings["streams"], self.settings["length"], first)

    def evaluation_minibatches(self, part):
        return batches.word_streams(self.parts[part], self.settings["streams"], self.settings["length"])

    @staticmethod
    def metric_of(nats):
        return perplexity(nats)
