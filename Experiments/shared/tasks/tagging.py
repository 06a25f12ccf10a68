"""Part-of-speech tagging."""

import time
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.ops.finite_guard import guarded, is_finite
from theano_rnn.step_function import stacked, step_function

import numpy as np
import theano

from sparse_seq_theano.optimizers import adam, sgd, squared_norms, total_norm
from sparse_seq_theano.tagger import Tagger

from ..checkpoints import check_rows, load_checkpoint
from ..data.minibatches import epoch_order, sentence_minibatches
from ..data.tagged_sentences import TaggedPart
from ..sparse_experiments import architecture_of_tagger
from .network_task import LABELS, NetworkTask

__all__ = ["TaggingTask"]

DROPOUTS = ("dropouti", "dropoute", "wdrop", "dropouth")


class TaggingTask(NetworkTask):
    """Tagging of sentences; the metric is the share of words with the correct tag.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
        The options of ``main.py``.
    data : TaggedData
    """

    metric, higher_is_better = "accuracy", True
    finishes_early = True

    def __init__(self, settings, data):
        super(TaggingTask, self).__init__(settings, data)
        self.network = Tagger(architecture_of_tagger(settings, data), **settings.select(DROPOUTS))
        self.vocabulary, self.tags = data.vocabulary, data.tags
        self.parts = {"train": data.train, "valid": data.valid, "test": data.test}
        self.sentences = len(data.train.offsets) - 1
        if self.sentences < settings.batch_size:
            raise ReportedError("batch_size must be at most %d, the number of training sentences, got %d; training "
                                "leaves out an incomplete minibatch" % (self.sentences, settings.batch_size))

    def describe(self):
        counts = self.network.architecture.parameter_counts()
        return ["%d parameters (%s), %d words, %d tags, %d sentences; compiling ..." % (
            counts["total"], ", ".join("%s %d" % (name, counts[name]) for name in ("embedding", "lstms", "dense")),
            len(self.vocabulary), len(self.tags), self.sentences)]

    def finish(self, run):
        """Log the results of the best epoch."""
        if not run.has("best.npz"):
            run.log("No epoch is complete, so there is no result")
            return
        _, progress = load_checkpoint(run.file("best.npz"), self.state_shapes(), run.path)
        check_rows(progress, self.row_columns(), run.file("best.npz"), run.path)
        if not progress.rows:
            raise ReportedError("checkpoint %s has no metrics; remove it, or use another copy" % run.file("best.npz"))
        best = progress.rows[-1]
        run.log("Best epoch %d: validation accuracy %.4f, test accuracy %.4f" % tuple(
            best[name] for name in ("epoch", "val", "test")))

    def minibatch_count(self, epoch):
        return self.sentences // self.settings.batch_size

    def minibatches(self, epoch, first=0):
        order = epoch_order(self.settings.seed, epoch, self.sentences)
        return sentence_minibatches(self.parts["train"], self.settings.batch_size, order, drop_last=True,
                                    first=first)

    def evaluation_minibatches(self, part):
        return sentence_minibatches(self.parts[part], self.settings.batch_size)

    def _make_step(self, profile=False):
        loss = self.network.loss(self.network.scores())
        parameters = list(self.network.parameters().values())
        gradients = theano.grad(loss, parameters)
        rate, decay = self.settings.lr, self.settings.l2
        norm = total_norm(gradients)
        finite = is_finite(loss, norm)
        if self.settings.optimizer == "adam":
            updates = adam(gradients, parameters, rate, decay, finite)
        else:
            updates = guarded(sgd(gradients, parameters, rate, decay, self.settings.momentum), finite)
        self._keep_optimiser_state(updates)
        diagnostics = stacked([loss] + squared_norms(gradients))
        return step_function([self.network.tokens, self.network.tags, self.network.mask], [loss, norm, diagnostics],
                             updates, profile=profile)

    def _make_evaluation(self):
        return theano.function([self.network.tokens, self.network.tags, self.network.mask], self.network.evaluation())

    def evaluate(self, part):
        """Return the accuracy and the mean cross-entropy in nats on a part.

        Parameters
        ----------
        part : {"train", "valid", "test"}
        """
        return self._results(self._with_progress(part))

    def evaluate_sentences(self, sentences):
        """Return the accuracy and the mean cross-entropy in nats on a `TaggedPart`."""
        return self._results(sentence_minibatches(sentences, self.settings.batch_size))

    def _results(self, minibatches):
        right, tokens, nats = sum(np.array([float(value) for value in self._function("evaluation")(*minibatch)])
                                  for minibatch in minibatches)
        return right / tokens, nats / tokens

    def _make_prediction(self):
        return theano.function(self.network.inputs, self.network.scores(deterministic=True).argmax(axis=1))

    def tag(self, sentences):
        """Return the most probable tags of sentences.

        Parameters
        ----------
        sentences : list of list of str
            Words; unknown ones become ``<unk>``.

        Returns
        -------
        list of list of str
        """
        words = self.vocabulary.encode(word for sentence in sentences for word in sentence)
        offsets = np.cumsum([0] + [len(sentence) for sentence in sentences])
        found = []
        for tokens, _, mask in sentence_minibatches(TaggedPart(words, words, offsets), self.settings.batch_size):
            tags = self._function("prediction")(tokens, mask).reshape(tokens.shape)
            found += [[self.tags[tag] for tag in row[real]] for row, real in zip(tags, mask != 0)]
        return found

    def evaluate_epoch(self, run, progress):
        columns = OrderedDict()
        started = time.time()
        for part in ("valid", "test"):
            label = LABELS[part]
            columns[label], columns[label + "_loss"] = self.evaluate(part)
            run.log("%s: accuracy %.4f, loss %.4f" % (label.capitalize(), columns[label], columns[label + "_loss"]))
        columns["test_seconds"] = round(time.time() - started, 3)
        return columns, columns["val"]
