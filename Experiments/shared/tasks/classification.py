"""Text classification with a Bayesian LSTM."""

from theano_rnn.errors import ReportedError

import numpy as np

from bayes_rnn.models import TextClassifier

from ..data import minibatches as batches
from ..data.prepare import find_data_set
from .bayesian_base import BayesianTask

__all__ = ["TextTask"]


class TextTask(BayesianTask):
    """Text classification: the metric is the accuracy, examples are texts.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    data : TextData
    """

    metric, higher_is_better = "accuracy", True

    def __init__(self, settings, data):
        super(TextTask, self).__init__(settings, data)
        self.class_names = data.class_names
        fraction = settings.validation_fraction if data.valid is None else None
        self.parts = batches.text_split(data, fraction, settings.words_kept, settings.length)
        if not len(self.parts["valid"].labels):
            raise ReportedError("validation_fraction %s leaves none of %d texts for validation; use a larger one"
                                % (settings.validation_fraction, len(data.train.labels)))
        self.vocabulary = batches.model_words(data.vocabulary, settings.words_kept)
        self.train_size = len(self.parts["train"].labels)
        self.network = TextClassifier(self.config, len(self.vocabulary), settings.embedding_units,
                                      settings.hidden_units, data.classes)

    def begin(self, run, initial):
        """Copy pretrained vectors to the embedding.

        Parameters
        ----------
        run : RunFolder
        initial : Experiments.shared.data.prepared_vectors.WordVectors or None
            The rows are ids of words.
        """
        if initial is None:
            return
        embedding = self.network.parameters()["embedding.W"]
        value = embedding.get_value()
        value[initial.rows + batches.FIRST_WORD] = initial.vectors
        embedding.set_value(value)
        run.log("%d of %d words have a pretrained vector (%s)"
                % (len(initial.rows), len(self.vocabulary) - batches.FIRST_WORD, initial.origin))

    def minibatch_count(self, epoch):
        return batches.minibatch_count(self.train_size, self.settings.batch_size)

    def minibatches(self, epoch, first=0):
        order = batches.epoch_order(self.settings.seed, epoch, self.train_size)
        return batches.text_minibatches(self.parts["train"], self.settings.batch_size, order, first)

    def evaluation_minibatches(self, part):
        return batches.text_minibatches(self.parts[part], self.settings.batch_size)

    def _training_loss(self):
        return self.network.data_loss(), []

    def evaluate(self, part, minibatches=None, function=None):
        function = function or self._function("evaluation")
        right = count = 0
        for minibatch in self._with_progress(part, minibatches):
            values = function(*minibatch)
            right, count = right + int(values[0]), count + int(values[1])
        return right / float(count)

    def model_details(self):
        data_set = find_data_set(self.settings.experiment.name)
        names = data_set.class_names if self.class_names is None else self.class_names
        return dict(classes=list(names), length=self.settings.length, lower_case=data_set.lower_case)

    def finish(self, run):
        """Also log the accuracy by class, if the classes are those of the user."""
        model = super(TextTask, self).finish(run)
        if self.class_names is not None:
            run.log("Test accuracy of the compressed model by class: " + ", ".join(
                "%s %.3f (%d texts)" % row for row in self._accuracy_by_class(model)))
        return model

    def _accuracy_by_class(self, model):
        """Return the name, the share of correct answers and the number of the test texts of each class that has any."""
        rows, counts = model.rows(self.vocabulary), np.zeros((2, len(self.class_names)), dtype=int)
        for tokens, mask, targets in self.evaluation_minibatches("test"):
            found = model.predict_rows(rows[tokens], mask).argmax(axis=1)
            np.add.at(counts, (0, targets[found == targets]), 1)
            np.add.at(counts, (1, targets), 1)
        return [(name, right / count, count) for name, right, count in zip(self.class_names, *counts) if count]

    def compressed_evaluation(self, model):
        """Return the `function` with which `evaluate` evaluates a `ClassPredictor` of this network.

        It maps a minibatch to [number of correct answers, number of texts].
        """
        row = model.rows(self.vocabulary)

        def function(tokens, mask, targets):
            probabilities = model.predict_rows(row[tokens], mask)
            return [(probabilities.argmax(axis=1) == targets).sum(), len(targets)]
        return function

    def largest_difference(self, model, part="test"):
        tokens, mask, _ = next(self.evaluation_minibatches(part))
        expected = self._function("prediction")(tokens, mask)
        found = model.predict_rows(model.rows(self.vocabulary)[tokens], mask)
        return float(np.abs(found[:, 1:] - expected).max() if expected.shape[1] == 1 else
                     np.abs(found - expected).max())
