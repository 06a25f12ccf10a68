"""Bayesian language models of characters and of words."""

import abc

from theano_rnn.errors import ReportedError

import numpy as np

from bayes_rnn.models import LanguageModel
from bayes_rnn.predictor import log_softmax

from ..data import minibatches as batches
from .base import perplexity
from .bayesian_base import BayesianTask

__all__ = ["CharacterTask", "WordTask"]


class _LanguageTask(BayesianTask):
    """Common part of both language models.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    data : LanguageData
    """

    #: Tokens of the sample in the log, and the setting that determines how long a part must be.
    sample_length = least_setting = None

    def __init__(self, settings, data):
        super(_LanguageTask, self).__init__(settings, data)
        self.vocabulary = data.vocabulary
        self.parts = {"train": data.train, "valid": data.valid, "test": data.test}
        self.network = LanguageModel(self.config, len(self.vocabulary), settings.hidden_units, settings.kind)

    @staticmethod
    @abc.abstractmethod
    def metric_of(nats):
        """Return the metric of a mean loss in nats."""

    def _check_parts(self):
        """Raise a `ReportedError` now, not after an epoch, if a part is too short for the settings."""
        for part in self.parts:
            try:
                next(self.evaluation_minibatches(part))
            except ReportedError as error:
                raise ReportedError("the %s part: %s; use more text, or a smaller value with --set %s=N"
                                    % (part, error, self.least_setting)) from None

    def _training_loss(self):
        return self.network.data_loss_and_state()

    def evaluate(self, part, minibatches=None, function=None):
        return self.metric_of(self._mean_nats(part, minibatches, function))

    def _with_initial_state(self, minibatch):
        tokens, targets = minibatch
        return [tokens] + self.network.initial_state(len(tokens)) + [targets]

    def model_details(self):
        return {}

    def compressed_evaluation(self, model):
        """Return the `function` with which `evaluate` evaluates a `NextTokenPredictor` of this network.

        It maps tokens, state and targets to the summed loss in nats, the number of predictions and the state, which is
        the one of the compressed model.
        """
        row = model.rows(self.vocabulary)

        def function(tokens, *rest):
            state, targets = rest[:-1], rest[-1]
            if state and state[0].shape[1] != model.num_units:      # the zeros of the network in the first minibatch
                state = [np.zeros((len(tokens), model.num_units), dtype=state[0].dtype)] * 2
            total, final = 0., None
            for step, final in enumerate(model.run(row[tokens], state=state or None)):
                chosen = log_softmax(model.scores(final[0]))[np.arange(len(tokens)), targets[:, step]]
                total -= float(chosen.sum(dtype=np.float64))
            return [total, targets.size] + (list(final) if state else [])
        return function

    def largest_difference(self, model, part="test"):
        tokens, _ = next(self.evaluation_minibatches(part))
        expected = self._function("prediction")(*([tokens] + self.network.initial_state(len(tokens))))
        hidden = [h for h, _ in model.run(model.rows(self.vocabulary)[tokens])]
        found = np.exp(log_softmax(np.stack([model.scores(h) for h in hidden], axis=1)))
        return float(np.abs(found.reshape(expected.shape) - expected).max())

    def finish(self, run):
        """Write and log the results of `BayesianTask.finish`, and log a sample of the compressed model."""
        model = super(_LanguageTask, self).finish(run)
        run.log("A sample of what it writes:\n" + model.sample(self.sample_length))


class CharacterTask(_LanguageTask):
    """Character-level language model: the metric is bits per character, examples are predicted characters."""

    metric = "bits per character"
    sample_length, least_setting = 400, "length"

    def __init__(self, settings, data):
        super(CharacterTask, self).__init__(settings, data)
        length = settings.length
        self.train_size = batches.character_sequence_count(len(self.parts["train"]), length) * (length - 1)
        if length < 2:
            raise ReportedError("length must be at least 2, got %d: the first character of a sequence is not predicted"
                                % length)
        self._check_parts()

    def minibatch_count(self, epoch):
        return batches.character_minibatch_count(len(self.parts["train"]), self.settings.batch_size,
                                                 self.settings.length)

    def minibatches(self, epoch, first=0):
        return batches.character_minibatches(self.parts["train"], self.settings.batch_size, self.settings.seed, epoch,
                                             self.settings.length, first)

    def evaluation_minibatches(self, part):
        return batches.character_minibatches(self.parts[part], self.settings.batch_size, length=self.settings.length)

    @staticmethod
    def metric_of(nats):
        return nats / np.log(2)


class WordTask(_LanguageTask):
    """Word-level language model: the metric is the perplexity; the state of the streams is carried over."""

    metric = "perplexity"
    sample_length, least_setting = 80, "streams"

    def __init__(self, settings, data):
        super(WordTask, self).__init__(settings, data)
        self.train_size = len(self.parts["train"]) - settings.streams
        self._carry(("hid", "cell"), settings.streams)
        self._check_parts()

    def minibatch_count(self, epoch):
        return len(batches.fixed_lengths(len(self.parts["train"]) // self.settings.streams, self.settings.length))

    def minibatches(self, epoch, first=0):
        if first == 0:
            self._reset_carried()
        return self._windows("train", first)

    def evaluation_minibatches(self, part):
        return self._windows(part)

    def _windows(self, part, first=0):
        table = batches.stream_table(self.parts[part], self.settings.streams, shortest=2)
        return batches.windows(table, batches.fixed_lengths(table.shape[1], self.settings.length), first)

    @staticmethod
    def metric_of(nats):
        return perplexity(nats)
