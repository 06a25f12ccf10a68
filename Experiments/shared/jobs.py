"""What is trained: a network, its data and its compiled functions, behind the few methods the training loop calls.

A job is a pure function of its settings: minibatch k of epoch e can be made again from the seed alone, so a training
run is resumed from the arrays of `state` and the two numbers e and k.
"""

import itertools
import sys
import time
from collections import OrderedDict

import numpy as np
import theano
import theano.tensor as T
from tqdm import tqdm

from bayes_rnn.compressed import log_softmax
from bayes_rnn.compression import compression_report
from bayes_rnn.errors import ReportedError
from bayes_rnn.lasagne_compat import lasagne
from bayes_rnn.networks import LanguageModel, TextClassifier
from bayes_rnn.variational import NormalNoise

from .data import batches

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


class _Job(object):
    """A network with its training step; subclasses bring minibatches, evaluation and the metric.

    Attributes
    ----------
    network : bayes_rnn.networks.TextClassifier or LanguageModel
    vocabulary : list of str
        What each vocabulary element of the network stands for.
    metric : str
        Name of what `evaluate` returns; `better` says which direction is better.
    """

    def __init__(self, settings, seed):
        self.settings, self.seed = settings, seed
        lasagne.random.set_rng(np.random.RandomState(seed))
        self.noise = NormalNoise()
        self._optimiser_state = OrderedDict()
        self._functions = {}

    # -- state: everything that a checkpoint holds -------------------------------------------------------------------

    def state(self):
        """All numbers that training changes: OrderedDict of name to array (parameters, Adam, random states, carry)."""
        return OrderedDict((name, np.asarray(value.get_value(borrow=True))) for name, value in self._shared().items())

    def set_state(self, arrays):
        """Restore what `state` returned; names and shapes have been checked by the caller."""
        for name, variable in self._shared().items():
            variable.set_value(arrays[name])

    def state_shapes(self):
        """OrderedDict of name to shape of what `state` returns."""
        return OrderedDict((name, tuple(value.get_value(borrow=True).shape))
                           for name, value in self._shared().items())

    def _shared(self):
        self.compile()      # the states of Adam and of the noise come into being with the training graph
        variables = OrderedDict(self.network.parameters())
        variables.update(self._optimiser_state)
        variables.update(("noise.%d" % index, state) for index, state in enumerate(self.noise.states()))
        return variables

    # -- training ----------------------------------------------------------------------------------------------------

    def compile(self, profile=False):
        """Compile the training step now, so that its time is not counted as training.

        Parameters
        ----------
        profile : bool
            Compile it anew with Theano's profiler.

        Returns
        -------
        theano.compile.function_module.Function
        """
        if profile:
            self._functions["step"] = self._make_step(profile=True)
        return self._function("step")

    def step(self, minibatch):
        """One step of training.

        Parameters
        ----------
        minibatch : tuple of numpy arrays
            From `minibatches`.

        Returns
        -------
        loss, gradient_norm : float
            The norm before clipping.
        diagnosis : callable
            Names the first quantity that is not finite.
        """
        values = self._run_step(minibatch)
        diagnostics = values[2]
        return float(values[0]), float(values[1]), lambda: self._diagnose(diagnostics)

    def _run_step(self, minibatch):
        return self._function("step")(*minibatch)

    def _diagnose(self, diagnostics):
        for name, parameter in self.network.parameters().items():
            if not np.isfinite(parameter.get_value(borrow=True)).all():
                return "parameter " + name
        for name, value in zip(self._diagnostic_names(), diagnostics):
            if not np.isfinite(value):
                return name
        return "the norm of the gradient"

    def _diagnostic_names(self):
        return (["the data loss"] + ["the KL of layer " + name for name in self.network.layers]
                + ["the gradient of " + name for name in self.network.parameters()])

    def _make_step(self, profile=False):
        data_loss, state = self._training_loss()
        kl = list(self.network.kl().values())
        loss = data_loss + sum(kl) / np.asarray(self.train_size, dtype=theano.config.floatX)
        parameters = list(self.network.parameters().values())
        gradients = theano.grad(loss, parameters)
        squares = [T.sum(gradient ** 2) for gradient in gradients]
        norm = T.sqrt(sum(squares))
        if self.settings["clip"] is not None:
            scale = T.minimum(1, self.settings["clip"] / (norm + 1e-7))
            gradients = [gradient * scale for gradient in gradients]
        updates = lasagne.updates.adam(gradients, parameters, learning_rate=self.settings["learning_rate"])
        self._name_optimiser_state(updates)
        # A step that is not finite changes nothing: what can be diagnosed and saved is the state before it.
        finite = T.le(T.abs_(loss) + norm, np.finfo("float32").max)
        updates = OrderedDict((variable, T.switch(finite, new, variable)) for variable, new in updates.items())
        diagnostics = T.stack([data_loss] + kl + squares)
        return theano.function(self.network.inputs + [self.network.targets], [loss, norm, diagnostics] + state,
                               updates=updates, profile=profile)

    def _name_optimiser_state(self, updates):
        """Name what `lasagne.updates.adam` made: two moments per parameter, in order, and the step counter."""
        names = OrderedDict((parameter, name) for name, parameter in self.network.parameters().items())
        unnamed = [variable for variable in updates if variable not in names]
        expected = ["adam.%s.%s" % (name, moment) for name in names.values() for moment in ("mean", "square")]
        assert len(unnamed) == len(expected) + 1, "lasagne.updates.adam keeps another state than expected"
        self._optimiser_state = OrderedDict(zip(expected + ["adam.step"], unnamed))

    def _function(self, name):
        """Compiled when first needed, then kept."""
        if name not in self._functions:
            self._functions[name] = getattr(self, "_make_" + name)()
        return self._functions[name]

    def _make_evaluation(self):
        return theano.function(self.network.inputs + [self.network.targets], self.network.evaluation(pruned=True))

    def _make_prediction(self):
        return theano.function(self.network.inputs, self.network.prediction(pruned=True))

    def _watched(self, part, minibatches):
        """Minibatches to evaluate, with a progress bar if a person watches."""
        return tqdm(itertools.islice(self.evaluation_minibatches(part), minibatches), desc="Testing", leave=False,
                    disable=not sys.stderr.isatty(), file=sys.stderr)

    def time_evaluation(self, minibatch, function=None):
        """Median seconds to evaluate a minibatch, pruned or by another function (see `evaluate`)."""
        function = function or self._function("evaluation")
        arguments = self._with_initial_state(minibatch)
        return median_seconds(lambda: function(*arguments))

    def _with_initial_state(self, minibatch):
        return minibatch

    # -- what is printed ---------------------------------------------------------------------------------------------

    def report(self):
        """The `CompressionReport` of the network now."""
        return compression_report(self.network)

    def better(self, value, best):
        """Whether a metric improves on the best so far (None at first)."""
        return best is None or (value > best if self.higher_is_better else value < best)


class TextJob(_Job):
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
        """What `evaluate` takes as `function`, for a `CompressedClassifier` of this network."""
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


class _LanguageJob(_Job):
    higher_is_better = False

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
        """What `evaluate` takes as `function`, for a `CompressedLanguageModel` of this network.

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
        self._carried = self.network.initial_state(settings["streams"])
        self._check_parts()

    def minibatch_count(self, epoch):
        return batches.word_minibatch_count(len(self.parts["train"]), self.settings["streams"],
                                            self.settings["length"])

    def minibatches(self, epoch, first=0):
        if first == 0:
            self._carried = self.network.initial_state(self.settings["streams"])
        return batches.word_streams(self.parts["train"], self.settings["streams"], self.settings["length"], first)

    def _run_step(self, minibatch):
        tokens, targets = minibatch
        values = self._function("step")(*([tokens] + self._carried + [targets]))
        self._carried = values[3:]
        return values

    def evaluation_minibatches(self, part):
        return batches.word_streams(self.parts[part], self.settings["streams"], self.settings["length"])

    def state(self):
        arrays = super(WordJob, self).state()
        arrays.update(zip(("carried.hid", "carried.cell"), self._carried))
        return arrays

    def set_state(self, arrays):
        super(WordJob, self).set_state(arrays)
        self._carried = [arrays["carried.hid"], arrays["carried.cell"]]

    def state_shapes(self):
        shapes = super(WordJob, self).state_shapes()
        shapes.update(("carried." + name, array.shape) for name, array in zip(("hid", "cell"), self._carried))
        return shapes

    @staticmethod
    def metric_of(nats):
        return float(np.exp(min(nats, 700.)))
