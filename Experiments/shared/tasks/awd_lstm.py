"""The AWD-LSTM: training, fine-tuning with averaged SGD, learning to recite."""

import contextlib
import time
from collections import OrderedDict

import numpy as np
import theano
import theano.tensor as T

from sparse_seq_theano.awd_lstm import AWDLanguageModel
from sparse_seq_theano.dropout import DropoutNoise
from sparse_seq_theano.optimizers import average, clip_by_total_norm, make_averages, sgd
from theano_rnn.errors import ReportedError
from theano_rnn.step_function import stacked, step_function

from ..data.sequences import fixed_lengths, stream_table, window_lengths, windows
from .base import Job, perplexity

__all__ = ["AWDJob", "PARTS"]

#: Streams in which a part is evaluated; training takes ``batch_size``.
PARTS = OrderedDict([("val", 10), ("test", 1)])
#: Averaged training ends when the validation loss has risen in so many epochs in a row.
RISING_EPOCHS = 20
#: Learning to recite ends when so many predictions of training tokens are right.
RECITED = 0.9999
DROPOUTS = ("dropout", "dropouth", "dropouti", "dropoute", "wdrop", "dropoutl")


class AWDJob(Job):
    """Word-level language model; the metric is the mean validation loss in nats.

    Parameters
    ----------
    data : Experiments.shared.data.corpus.Corpus
    structure : sparse_seq_theano.architecture.LanguageModelArchitecture
    settings : dict
        The options of ``main.py`` by name, and of the entry point: ``average_from_start``, ``fewest_epochs`` (before an
        early end), ``recite``, ``momentum``, ``learning_rate_decay`` (per epoch).
    seed : int

    Attributes
    ----------
    averaging : bool
        Whether the weights are averaged, and the averages evaluated and saved.
    """

    metric = "loss"

    def __init__(self, data, structure, settings, seed):
        super(AWDJob, self).__init__(settings, seed)
        self.noise = DropoutNoise()
        self.network = AWDLanguageModel(structure, noise=self.noise, **{name: settings[name] for name in DROPOUTS})
        self.vocabulary = data.vocabulary
        self.train_table = stream_table(data.train, settings["batch_size"])
        self.tables = {"val": stream_table(data.valid, PARTS["val"]), "test": stream_table(data.test, PARTS["test"])}
        self._refuse_short_parts(data)
        self._carry([variable.name for variable in self.network.state], settings["batch_size"])
        self._recited = np.zeros(2, dtype=np.int64)        # right predictions and all, in this epoch
        self._averages, self._averaged_steps = None, 0
        if settings["average_from_start"]:
            self._start_averaging()

    def _refuse_short_parts(self, data):
        parts = [("train", self.train_table, data.train), ("valid", self.tables["val"], data.valid),
                 ("test", self.tables["test"], data.test)]
        for name, table, tokens in parts:
            if table.shape[1] < 3:
                raise ReportedError("%s.txt has %d words, too few for %d streams: expected at least %d"
                                    % (name, len(tokens), len(table), 3 * len(table)))

    # -- minibatches -------------------------------------------------------------------------------------------------

    def _lengths(self, epoch):
        return window_lengths(self.train_table.shape[1], self.settings["bptt"], self.settings["max_seq_len_delta"],
                              self.seed, epoch)

    def learning_rate(self, epoch):
        """Of an epoch, for a window of ``bptt`` tokens."""
        return self.settings["lr"] * self.settings["learning_rate_decay"] ** (epoch - 1)

    def minibatch_count(self, epoch):
        return len(self._lengths(epoch))

    def minibatches(self, epoch, first=0):
        """Yields tokens, targets (streams, time) and the learning rate, which is proportional to the length."""
        if first == 0:
            self._carry_nothing()
            self._recited[:] = 0
        for tokens, targets in windows(self.train_table, self._lengths(epoch), first):
            yield tokens, targets, self.learning_rate(epoch) * tokens.shape[1] / self.settings["bptt"]

    # -- training ----------------------------------------------------------------------------------------------------

    def _gradients(self):
        outputs = self.network.outputs()
        loss = self.network.training_loss(outputs, self.settings["alpha"], self.settings["beta"])
        raw_loss = self.network.token_losses(outputs).mean()
        right = self.network.correct_predictions(outputs) if self.settings["recite"] else T.constant(0)
        gradients = theano.grad(loss, list(self.network.parameters().values()))
        return gradients, loss, [raw_loss, right], outputs.final_state

    def _updates(self, gradients, loss, learning_rate, final_state):
        parameters = list(self.network.parameters().values())
        clipped, norm = clip_by_total_norm(gradients, self.settings["clip"])
        updates = sgd(clipped, parameters, learning_rate, self.settings["wdecay"], self.settings["momentum"])
        self._keep_optimiser_state(updates)
        updates.update(zip(self._carried.values(), final_state))
        diagnostics = stacked([loss] + [T.sum(gradient ** 2) for gradient in gradients])
        return [norm, diagnostics], self._guarded(updates, loss, norm)

    def _make_step(self, profile=False):
        if self.accumulates:
            return self._make_accumulated_step(profile)
        learning_rate = T.scalar("learning_rate")
        gradients, loss, results, final_state = self._gradients()
        outputs, updates = self._updates(gradients, loss, learning_rate, final_state)
        return step_function([self.network.tokens, self.network.targets, learning_rate], outputs + results, updates,
                             givens=self._carried, profile=profile)

    @property
    def accumulates(self):
        """Whether the streams of a minibatch are taken a few at a time and their gradients added up."""
        return 0 < self.settings["small_batch_size"] < self.settings["batch_size"]

    def _make_accumulated_step(self, profile):
        """A function with the same inputs and outputs, made of two: one part's gradients, and the update."""
        share, learning_rate, total_loss = T.scalar("share"), T.scalar("learning_rate"), T.scalar("loss")
        begin = T.iscalar("begin")
        end = begin + self.network.tokens.shape[0]
        gradients, loss, results, final_state = self._gradients()
        sums = [theano.shared(np.zeros_like(parameter.get_value(borrow=True)), broadcastable=parameter.broadcastable)
                for parameter in self.network.parameters().values()]
        # The streams' state must stay as it is where the whole minibatch turns out not to be finite.
        after = [theano.shared(state.get_value(), broadcastable=(False, False)) for state in self._carried.values()]
        additions = OrderedDict((total, total + share * gradient) for total, gradient in zip(sums, gradients))
        additions.update((state, T.set_subtensor(state[begin:end], final)) for state, final in zip(after, final_state))
        add = step_function([self.network.tokens, self.network.targets, share, begin], [loss] + results, additions,
                            givens={variable: state[begin:end] for variable, state in self._carried.items()},
                            profile=profile)
        outputs, updates = self._updates(sums, total_loss, learning_rate, after)
        updates.update((total, T.zeros_like(total)) for total in sums)
        update = theano.function([total_loss, learning_rate], outputs, updates=updates, profile=profile)

        def step(*arguments):
            arrays, rate = arguments[:-1], arguments[-1]
            streams, size = len(arrays[0]), self.settings["small_batch_size"]
            loss, raw_loss, right = 0., 0., 0
            for first in range(0, streams, size):
                part = [array[first:first + size] for array in arrays]
                weight = len(part[0]) / float(streams)
                values = add(*(part + [weight, first]))
                loss, raw_loss = loss + weight * values[0], raw_loss + weight * values[1]
                right += values[2]
            return update(float(loss), rate) + [raw_loss, right]
        return step

    def _make_average(self):
        step = T.scalar("step")
        parameters = list(self.network.parameters().values())
        return theano.function([step], updates=average(parameters, list(self._averages.values()), step))

    def _run_step(self, minibatch):
        norm, diagnostics, raw_loss, right = self._function("step")(*minibatch)
        if np.isfinite(raw_loss) and np.isfinite(norm):
            self._recited += [int(right), minibatch[1].size]
            if self.averaging:
                self._averaged_steps += 1
                self._function("average")(self._averaged_steps)
        return [raw_loss, norm, diagnostics]

    def after_step(self, run, progress):
        interval = self.settings["log_interval"]
        if progress.minibatch % interval == 0:
            loss = np.mean(progress.losses[-interval:])
            run.log("| epoch %3d | %5d/%5d batches | lr %g | ms/batch %.1f | loss %5.2f | ppl %8.2f" % (
                progress.epoch, progress.minibatch, self.minibatch_count(progress.epoch),
                self.learning_rate(progress.epoch), 1000 * progress.seconds / progress.minibatch, loss,
                perplexity(loss)))

    # -- averaged weights --------------------------------------------------------------------------------------------

    @property
    def averaging(self):
        return self._averages is not None

    def _start_averaging(self):
        parameters = self.network.parameters()
        self._averages = OrderedDict(zip(parameters, make_averages(list(parameters.values()))))
        self._averaged_steps = 0
        self._functions.pop("average", None)        # it is of the averages before these

    @contextlib.contextmanager
    def _evaluated_weights(self):
        """While this lasts, the parameters have the values that count: the averages, if there are any."""
        if not self._averaged_steps:
            yield
            return
        pairs = [(parameter, self._averages[name]) for name, parameter in self.network.parameters().items()]
        trained = [parameter.get_value(borrow=True) for parameter, _ in pairs]
        for parameter, mean in pairs:
            parameter.set_value(mean.get_value(borrow=True), borrow=True)
        try:
            yield
        finally:
            for (parameter, _), value in zip(pairs, trained):
                parameter.set_value(value, borrow=True)

    # -- evaluation --------------------------------------------------------------------------------------------------

    def _make_evaluation(self):
        return theano.function(self.network.inputs + [self.network.targets], self.network.evaluation())

    def evaluation_minibatches(self, part):
        """The minibatches of a part, in order."""
        table = self.tables[part]
        return windows(table, fixed_lengths(table.shape[1], self.settings["bptt"]))

    def evaluate(self, part):
        """Mean loss in nats of a part, "val" or "test"."""
        total, count, state = 0., 0, self.network.initial_state(PARTS[part])
        with self._evaluated_weights():
            for tokens, targets in self._watched(part):
                values = self._function("evaluation")(*([tokens] + state + [targets]))
                total, count, state = total + float(values[0]), count + int(values[1]), values[2:]
        return total / count

    def evaluate_epoch(self, run, progress):
        columns = OrderedDict([("learning_rate", self.learning_rate(progress.epoch)),
                               ("averaged", int(self.averaging))])
        if self.settings["recite"]:
            columns["train_accuracy"] = self._recited[0] / float(self._recited[1])
            run.log("Recited: %.4f %% of the training words" % (100 * columns["train_accuracy"]))
        started = time.time()
        loss = columns["val"] = self.evaluate("val")
        columns["val_perplexity"] = perplexity(loss)
        columns["test_seconds"] = round(time.time() - started, 3)
        run.log("| end of epoch %3d | time: %.2fs | valid loss %5.4f | valid ppl %8.2f%s" % (
            progress.epoch, progress.seconds, loss, columns["val_perplexity"],
            " (averaged weights)" if self.averaging else ""))
        if self._should_average(progress.rows, loss):
            self._start_averaging()
            run.log("Switching to averaged SGD")
        return columns, (-columns["train_accuracy"] if self.settings["recite"] else loss)

    def _should_average(self, rows, loss):
        """Merity et al., arXiv 1708.02182, algorithm 1: the loss is above the best of all but the last few epochs."""
        losses = [row["val"] for row in rows]
        nonmono = self.settings["nonmono"]
        return (not self.averaging and not self.settings["recite"] and len(losses) > nonmono
                and loss > min(losses[:-nonmono]))

    def finished(self, rows):
        if not rows or len(rows) < self.settings["fewest_epochs"]:
            return False
        if self.settings["recite"]:
            return rows[-1]["train_accuracy"] > RECITED
        losses = [row["val"] for row in rows if row["averaged"]][-RISING_EPOCHS - 1:]
        return len(losses) > RISING_EPOCHS and all(after > before for before, after in zip(losses, losses[1:]))

    def figures(self):
        figures = [("loss", "loss (nats)", ("train_loss", "val"), "linear"),
                   ("perplexity", "validation perplexity", ("val_perplexity",), "log")]
        if self.settings["recite"]:
            figures.append(("recited", "training words recited", ("train_accuracy",), "linear"))
        return figures

    # -- state -------------------------------------------------------------------------------------------------------

    def notes(self):
        return {"averaged_steps": self._averaged_steps if self.averaging else None}

    def set_notes(self, notes):
        steps = notes.get("averaged_steps")
        self._averages = None
        if steps is not None:
            self._start_averaging()
            self._averaged_steps = steps

    def best_state(self):
        with self._evaluated_weights():
            return OrderedDict((name, np.array(parameter.get_value(borrow=True)))
                               for name, parameter in self.network.parameters().items())

    def load_best(self, arrays):
        """Take over the parameters that `best_state` returned, and no averages."""
        for name, parameter in self.network.parameters().items():
            parameter.set_value(arrays[name])
        self._averages = None
        self._averaged_steps = 0
        if self.settings["average_from_start"]:
            self._start_averaging()

    def parameter_shapes(self):
        """OrderedDict of name to shape of what `best_state` returns."""
        return OrderedDict((name, parameter.get_value(borrow=True).shape)
                           for name, parameter in self.network.parameters().items())

    def _shared(self):
        variables = super(AWDJob, self)._shared()
        if self.averaging:
            variables.update((variable.name, variable) for variable in self._averages.values())
        return variables

    def state(self):
        arrays = super(AWDJob, self).state()
        arrays["recited"] = self._recited
        return arrays

    def set_state(self, arrays):
        super(AWDJob, self).set_state(arrays)
        self._recited = np.array(arrays["recited"])

    def state_shapes(self):
        shapes = super(AWDJob, self).state_shapes()
        shapes["recited"] = self._recited.shape
        return shapes
