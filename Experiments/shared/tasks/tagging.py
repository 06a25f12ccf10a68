"""The part-of-speech tagger."""

import time
from collections import OrderedDict

import numpy as np
import theano
import theano.tensor as T

from sparse_seq_theano.dropout import DropoutNoise
from sparse_seq_theano.optimizers import adam, sgd, total_norm
from sparse_seq_theano.tagger import Tagger
from theano_rnn.errors import ReportedError
from theano_rnn.step_function import stacked, step_function

from ..data.minibatches import epoch_order
from ..data.sequences import sentence_minibatches
from .base import Job

__all__ = ["TaggerJob"]

DROPOUTS = ("dropouti", "dropoute", "wdrop", "dropouth")


class TaggerJob(Job):
    """Sentences of tagged words; the metric is the share of words with the right tag.

    Parameters
    ----------
    data : Experiments.shared.data.tagging.TaggedData
    structure : sparse_seq_theano.architecture.TaggerArchitecture
    settings : dict
        The options of ``main.py`` by name.
    seed : int
    """

    metric, higher_is_better = "accuracy", True

    def __init__(self, data, structure, settings, seed):
        super(TaggerJob, self).__init__(settings, seed)
        self.noise = DropoutNoise()
        self.network = Tagger(structure, noise=self.noise, **{name: settings[name] for name in DROPOUTS})
        self.vocabulary = data.vocabulary
        self.parts = {"train": data.train, "val": data.valid, "test": data.test}
        self.sentences = len(data.train.offsets) - 1
        if self.sentences < settings["batch_size"]:
            raise ReportedError("batch_size is %d, but train has %d sentences: the incomplete last minibatch is not "
                                "trained on; choose a smaller one" % (settings["batch_size"], self.sentences))

    def minibatch_count(self, epoch):
        return self.sentences // self.settings["batch_size"]

    def minibatches(self, epoch, first=0):
        order = epoch_order(self.seed, epoch, self.sentences)
        return sentence_minibatches(self.parts["train"], self.settings["batch_size"], order, drop_last=True,
                                    first=first)

    def evaluation_minibatches(self, part):
        """The minibatches of a part, in order."""
        return sentence_minibatches(self.parts[part], self.settings["batch_size"])

    def _make_step(self, profile=False):
        loss = self.network.loss(self.network.scores())
        parameters = list(self.network.parameters().values())
        gradients = theano.grad(loss, parameters)
        rate, decay = self.settings["lr"], self.settings["l2"]
        if self.settings["optimizer"] == "adam":
            updates = adam(gradients, parameters, rate, decay)
        else:
            updates = sgd(gradients, parameters, rate, decay, self.settings["momentum"])
        self._keep_optimiser_state(updates)
        norm = total_norm(gradients)
        diagnostics = stacked([loss] + [T.sum(gradient ** 2) for gradient in gradients])
        return step_function([self.network.tokens, self.network.tags, self.network.mask], [loss, norm, diagnostics],
                             self._guarded(updates, loss, norm), profile=profile)

    def _make_evaluation(self):
        return theano.function([self.network.tokens, self.network.tags, self.network.mask], self.network.evaluation())

    def evaluate(self, part):
        """Accuracy and mean cross-entropy in nats on a part, "train", "val" or "test"."""
        totals = sum(np.array([float(value) for value in self._function("evaluation")(*minibatch)])
                     for minibatch in self._watched(part))
        return totals[0] / totals[1], totals[2] / totals[1]

    def evaluate_epoch(self, run, progress):
        columns = OrderedDict()
        started = time.time()
        for part in ("val", "test"):
            columns[part], columns[part + "_loss"] = self.evaluate(part)
            run.log("%s: accuracy %.4f, loss %.4f" % (part.capitalize(), columns[part], columns[part + "_loss"]))
        columns["test_seconds"] = round(time.time() - started, 3)
        return columns, columns["val"]
