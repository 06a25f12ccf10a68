"""The AWD-LSTM: training, fine-tuning with averaged SGD, learning to recite."""

import contextlib
import json
import time
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import write_atomically
from theano_rnn.numpy_predictor import LOWEST_TEMPERATURE
from theano_rnn.ops.finite_guard import guarded_updates
from theano_rnn.step_function import stacked, step_function

import numpy as np
import theano
import theano.tensor as T

from sparse_seq_theano.awd_lstm import AWDLanguageModel
from sparse_seq_theano.optimizers import average, clip_by_total_norm, make_averages, sgd, squared_norms

from ..checkpoints import check_shapes, load_checkpoint
from ..data.minibatches import fixed_lengths, stream_table, window_lengths, windows
from ..readers import checked, non_negative_integer
from ..sparse_experiments import architecture_of_language_model
from .base import perplexity
from .network_task import NetworkTask

__all__ = ["AWDTask", "EVALUATION_STREAMS"]

#: Streams in which a part is evaluated; training has ``batch_size``.
EVALUATION_STREAMS = {"valid": 10, "test": 1}
#: Averaged training ends after this number of consecutive epochs with rising validation loss.
RISING_EPOCHS = 20
#: Learning to recite ends above this share of correct predictions of the training tokens.
RECITED = 0.9999
DROPOUTS = ("dropout", "dropouth", "dropouti", "dropoute", "wdrop", "dropoutl")


class AWDTask(NetworkTask):
    """Word-level language model; the metric is the mean validation loss in nats.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
        The options of ``main.py``, and the fixed settings ``average_from_start``, ``fewest_epochs`` (before an early
        end), ``recite``, ``momentum`` and ``learning_rate_decay`` (factor per epoch).
    data : LanguageData

    Attributes
    ----------
    averaging : bool
        Whether the weights are averaged. Then the averages are evaluated and saved as the best state.
    """

    finishes_early = True

    def __init__(self, settings, data):
        super(AWDTask, self).__init__(settings, data)
        self.network = AWDLanguageModel(architecture_of_language_model(settings, data), **settings.select(DROPOUTS))
        self.vocabulary = data.vocabulary
        self.tables = {"train": stream_table(data.train, settings.batch_size)}
        for part, tokens in (("valid", data.valid), ("test", data.test)):
            self.tables[part] = stream_table(tokens, EVALUATION_STREAMS[part])
        self._refuse_short_parts(data)
        self._carry([variable.name for variable in self.network.state], settings.batch_size)
        self._recited = np.zeros(2, dtype=np.int64)        # correct and all predictions of this epoch
        self._averages, self._averaged_steps = None, 0
        if settings.average_from_start:
            self._start_averaging()

    def _refuse_short_parts(self, data):
        for part, table in self.tables.items():
            if table.shape[1] < 3:
                raise ReportedError("%s.txt has %d words, too few for %d streams: expected at least %d"
                                    % (part, len(getattr(data, part)), len(table), 3 * len(table)))

    # -- start and end of a run ----------------------------------------------------------------------------------------

    def begin(self, run, initial):
        """Continue another run from its best parameters.

        Parameters
        ----------
        run : RunFolder
        initial : Experiments.shared.sparse_experiments.BestModel or None

        Returns
        -------
        float or None
            The best validation loss of the other run.
        """
        if initial is None:
            return None
        check_shapes(initial.arrays, self.parameter_shapes(), initial.path, initial.run)
        self.load_best(initial.arrays)
        best = initial.progress.best
        if best is None:
            raise ReportedError("checkpoint %s has no validation loss; fine-tune a run of main.py" % initial.path)
        run.save_checkpoint("best", initial.arrays, initial.progress.to_dict())
        run.log("Going on from %s, epoch %d, validation loss %.4f" % (initial.run, initial.progress.epoch, best))
        return best

    def describe(self):
        architecture = self.network.architecture
        counts = architecture.parameter_counts()
        lines = ["%d parameters (%s), %d words; compiling ..." % (
            counts["total"], ", ".join("%s %d" % (name, counts[name])
                                       for name in ("encoder", "rnns", "prior", "latent")), len(self.vocabulary))]
        return lines + ["LSTM %d: %s" % (number, ", ".join("%s %s" % item for item in lstm.info().items()))
                        for number, lstm in enumerate(architecture.lstms)]

    def finish(self, run):
        """Test the best parameters and write ``test.json``."""
        epoch = None
        if run.has("best.npz"):
            arrays, progress = load_checkpoint(run.file("best.npz"), self.parameter_shapes(), run.path)
            self.load_best(arrays)
            epoch = progress.epoch
        run.log("Testing %s ..." % ("the parameters of now: no epoch is complete" if epoch is None
                                    else "the best parameters, of epoch %d" % epoch))
        loss = self.evaluate("test")
        result = OrderedDict([("epoch", epoch), ("test_loss", loss), ("test_perplexity", perplexity(loss))])
        write_atomically(run.file("test.json"), json.dumps(result, indent=2) + "\n")
        run.log("=" * 89)
        run.log("| End of training | test loss %5.4f | test ppl %8.2f" % (loss, result["test_perplexity"]))
        run.log("=" * 89)

    # -- minibatches -------------------------------------------------------------------------------------------------

    def _lengths(self, epoch):
        return window_lengths(self.tables["train"].shape[1], self.settings.bptt, self.settings.max_seq_len_delta,
                              self.settings.seed, epoch)

    def learning_rate(self, epoch):
        """Return the learning rate of an epoch, for a window of ``bptt`` tokens."""
        return self.settings.lr * self.settings.learning_rate_decay ** (epoch - 1)

    def minibatch_count(self, epoch):
        return len(self._lengths(epoch))

    def minibatches(self, epoch, first=0):
        """Yield tokens, targets ``(streams, time)`` and the learning rate, which is proportional to the length."""
        if first == 0:
            self._reset_carried()
            self._recited[:] = 0
        for tokens, targets in windows(self.tables["train"], self._lengths(epoch), first):
            yield tokens, targets, self.learning_rate(epoch) * tokens.shape[1] / self.settings.bptt

    # -- training ----------------------------------------------------------------------------------------------------

    def _gradients(self):
        outputs = self.network.outputs()
        loss = self.network.training_loss(outputs, self.settings.alpha, self.settings.beta)
        raw_loss = self.network.token_losses(outputs).mean()
        right = self.network.correct_predictions(outputs) if self.settings.recite else T.constant(0)
        gradients = theano.grad(loss, list(self.network.parameters().values()))
        return gradients, loss, [raw_loss, right], outputs.final_state

    def _updates(self, gradients, loss, learning_rate, final_state):
        parameters = list(self.network.parameters().values())
        clipped, norm = clip_by_total_norm(gradients, self.settings.clip)
        updates = sgd(clipped, parameters, learning_rate, self.settings.wdecay, self.settings.momentum)
        self._keep_optimiser_state(updates)
        updates.update(zip(self._carried.values(), final_state))
        diagnostics = stacked([loss] + squared_norms(gradients))
        return [norm, diagnostics], guarded_updates(updates, loss, norm)

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
        """bool: whether gradients of a few streams at a time are accumulated for each minibatch."""
        return 0 < self.settings.small_batch_size < self.settings.batch_size

    def _make_accumulated_step(self, profile):
        """Return a step made of two functions: the gradients of some streams, and the update."""
        share, learning_rate, total_loss = T.scalar("share"), T.scalar("learning_rate"), T.scalar("loss")
        begin = T.iscalar("begin")
        end = begin + self.network.tokens.shape[0]
        gradients, loss, results, final_state = self._gradients()
        sums = [theano.shared(np.zeros_like(parameter.get_value(borrow=True)), broadcastable=parameter.broadcastable)
                for parameter in self.network.parameters().values()]
        # If the whole minibatch turns out not to be finite, the state of the streams must not change.
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
            streams, size = len(arrays[0]), self.settings.small_batch_size
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
        return raw_loss, norm, diagnostics

    def after_step(self, run, progress):
        interval = self.settings.log_interval
        if progress.minibatch % interval == 0:
            loss = np.mean(progress.losses[-interval:])
            run.log("| epoch %3d | %5d/%5d batches | lr %g | ms/batch %.1f | loss %5.2f | ppl %8.2f" % (
                progress.epoch, progress.minibatch, self.minibatch_count(progress.epoch),
                self.learning_rate(progress.epoch), 1000 * progress.seconds / progress.minibatch, loss,
                perplexity(loss)))

    # -- averaged weights --------------------------------------------------------------------------------------------

    @property
    def averaging(self):
        """bool: whether the weights are averaged."""
        return self._averages is not None

    def _start_averaging(self):
        parameters = self.network.parameters()
        self._averages = OrderedDict(zip(parameters, make_averages(list(parameters.values()))))
        self._averaged_steps = 0
        self._functions.pop("average", None)        # compiled for other variables

    @contextlib.contextmanager
    def _evaluated_weights(self):
        """Return a context in which the parameters have the values that are evaluated: the averages, if any."""
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
        table = self.tables[part]
        return windows(table, fixed_lengths(table.shape[1], self.settings.bptt))

    def evaluate(self, part):
        """Return the mean loss of a part in nats.

        Parameters
        ----------
        part : {"valid", "test"}
        """
        with self._evaluated_weights():
            return self._mean_nats(part)

    def evaluate_part(self, part):
        """Return the mean loss of a part in nats, and the number of predicted words."""
        table = self.tables[part]
        return self.evaluate(part), table.size - len(table)

    def evaluate_tokens(self, tokens):
        """Return the mean loss of a text in nats, read from a state of zeros, and the number of predicted words.

        Parameters
        ----------
        tokens : int32 ``(N,)``
            The first token is not predicted.
        """
        self.tables["text"] = stream_table(tokens, 1)
        return self.evaluate_part("text")

    def _make_prediction(self):
        outputs = self.network.outputs(deterministic=True)
        return theano.function(self.network.inputs,
                               [self.network.log_probabilities(outputs)[-1]] + outputs.final_state)

    def sample(self, count, seed, tokens, temperature=1.):
        """Generate text.

        Parameters
        ----------
        count : int
            Number of tokens to generate.
        seed : int
        tokens : sequence of int
            Beginning of the text, at least one token.
        temperature : float
            Divisor of the log probabilities.

        Returns
        -------
        list of int
            The generated tokens.
        """
        random, generated, latest = np.random.RandomState(seed), [], np.array([tokens], dtype=np.int32)
        state = self.network.initial_state(1)
        for _ in range(count):
            scores, *state = self._function("prediction")(latest, *state)
            scores = (scores.astype(np.float64) - scores.max()) / max(temperature, LOWEST_TEMPERATURE)
            cumulative = np.cumsum(np.exp(scores))
            generated.append(int(np.searchsorted(cumulative, random.rand() * cumulative[-1], side="right")))
            latest = np.array([generated[-1:]], dtype=np.int32)
        return generated

    def evaluate_epoch(self, run, progress):
        columns = OrderedDict([("learning_rate", self.learning_rate(progress.epoch)),
                               ("averaged", int(self.averaging))])
        if self.settings.recite:
            columns["train_accuracy"] = self._recited[0] / float(self._recited[1])
            run.log("Recited: %.4f %% of the training words" % (100 * columns["train_accuracy"]))
        started = time.time()
        loss = columns["val"] = self.evaluate("valid")
        columns["val_perplexity"] = perplexity(loss)
        columns["test_seconds"] = round(time.time() - started, 3)
        run.log("| end of epoch %3d | time: %.2fs | valid loss %5.4f | valid ppl %8.2f%s" % (
            progress.epoch, progress.seconds, loss, columns["val_perplexity"],
            " (averaged weights)" if self.averaging else ""))
        if self._should_average(progress.rows, loss):
            self._start_averaging()
            run.log("Switching to averaged SGD")
        return columns, (-columns["train_accuracy"] if self.settings.recite else loss)

    def _should_average(self, rows, loss):
        """Return whether the loss is above the best of all but the last few epochs: arXiv 1708.02182, algorithm 1."""
        losses = [row["val"] for row in rows]
        nonmono = self.settings.nonmono
        return (not self.averaging and not self.settings.recite and len(losses) > nonmono
                and loss > min(losses[:-nonmono]))

    def finished(self, rows):
        if not rows or len(rows) < self.settings.fewest_epochs:
            return False
        if self.settings.recite:
            return rows[-1]["train_accuracy"] > RECITED
        losses = [row["val"] for row in rows if row["averaged"]][-RISING_EPOCHS - 1:]
        return len(losses) > RISING_EPOCHS and all(after > before for before, after in zip(losses, losses[1:]))

    def row_columns(self):
        return super(AWDTask, self).row_columns() | {"averaged"}

    def figures(self):
        figures = [("loss", "loss (nats)", ("train_loss", "val"), "linear"),
                   ("perplexity", "validation perplexity", ("val_perplexity",), "log")]
        if self.settings.recite:
            figures.append(("recited", "training words recited", ("train_accuracy",), "linear"))
        return figures

    # -- state -------------------------------------------------------------------------------------------------------

    def notes(self):
        return {"averaged_steps": self._averaged_steps if self.averaging else None}

    def set_notes(self, notes):
        steps = notes.get("averaged_steps")
        if steps is not None:
            steps = checked("averaged_steps of the checkpoint", non_negative_integer, steps)
        self._averages = None
        if steps is not None:
            self._start_averaging()
            self._averaged_steps = steps

    def best_state(self):
        with self._evaluated_weights():
            return OrderedDict((name, np.array(parameter.get_value(borrow=True)))
                               for name, parameter in self.network.parameters().items())

    def restore(self, checkpoint):
        """Load the parameters of a checkpoint for evaluation: the averages, if it has them."""
        shapes = self.parameter_shapes()
        arrays, _ = load_checkpoint(checkpoint, shapes, self._title(), training_state=True, network=self.network_name())
        if all("average." + name in arrays for name in shapes):
            arrays = {name: arrays["average." + name] for name in shapes}
        self.load_best(arrays)

    def load_best(self, arrays):
        """Set the parameters that `best_state` returned, and discard the averages."""
        self.set_parameters(arrays)
        self._averages = None
        self._averaged_steps = 0
        if self.settings.average_from_start:
            self._start_averaging()

    def _shared(self):
        variables = super(AWDTask, self)._shared()
        if self.averaging:
            variables.update((variable.name, variable) for variable in self._averages.values())
        return variables

    def state(self):
        arrays = super(AWDTask, self).state()
        arrays["recited"] = self._recited
        return arrays

    def set_state(self, arrays):
        super(AWDTask, self).set_state(arrays)
        self._recited = np.array(arrays["recited"])

    def state_shapes(self):
        shapes = super(AWDTask, self).state_shapes()
        shapes["recited"] = self._recited.shape
        return shapes
