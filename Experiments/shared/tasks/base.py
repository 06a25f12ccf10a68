"""What every job has: parameters and their optimiser's state by name, a training step, functions compiled once."""

import itertools
import math
import sys
from collections import OrderedDict

import numpy as np
import theano
import theano.tensor as T
from tqdm import tqdm

from theano_rnn.lasagne_compat import lasagne

__all__ = ["Job", "perplexity"]


def perplexity(nats):
    """exp of a mean loss, without overflow."""
    return math.exp(min(nats, 700.))


class Job(object):
    """A network with its training step; subclasses bring the loss, minibatches, evaluation and the metric.

    A job is a pure function of its settings: minibatch k of epoch e can be made again from the seed alone, so a
    training run is resumed from the arrays of `state`, from `notes`, and the two numbers e and k.

    Attributes
    ----------
    network
        Has ``inputs`` and ``parameters()``, an OrderedDict of name to shared variable; if it carries a state, also
        ``state``, the inputs that hold it, and ``initial_state(streams)``.
    noise
        Has ``states()``, the shared variables of the random streams. Subclasses set both.
    metric : str
        Name of the quantity by which checkpoints are compared; `higher_is_better` says which direction is better.
    """

    higher_is_better = False

    def __init__(self, settings, seed):
        self.settings, self.seed = settings, seed
        lasagne.random.set_rng(np.random.RandomState(seed))
        self._optimiser_state = OrderedDict()
        self._functions = {}
        self._carried = OrderedDict()

    # -- state: everything that a checkpoint holds -------------------------------------------------------------------

    def state(self):
        """All numbers that training changes: OrderedDict of name to array (parameters, optimiser, random states)."""
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
        self.compile()      # the states of optimiser and noise come into being with the training graph
        variables = OrderedDict(self.network.parameters())
        variables.update(self._optimiser_state)
        variables.update(("noise.%d" % index, state) for index, state in enumerate(self.noise.states()))
        variables.update((state.name, state) for state in self._carried.values())
        return variables

    def _carry(self, names, streams):
        """Keep the network's state, by these names, from minibatch to minibatch: on the device, where steps need it."""
        self._carried = OrderedDict(
            (variable, theano.shared(array, "carried." + name, broadcastable=(False, False)))
            for name, variable, array in zip(names, self.network.state, self.network.initial_state(streams)))

    def _carry_nothing(self):
        """Start the streams anew."""
        for state in self._carried.values():
            state.set_value(np.zeros_like(state.get_value(borrow=True)))

    def notes(self):
        """What else a checkpoint must hold: dict for JSON. It is restored, by `set_notes`, before the arrays."""
        return {}

    def set_notes(self, notes):
        """Restore what `notes` returned."""

    def best_state(self):
        """What ``best.npz`` holds; `state` unless the job evaluates something else than it trains."""
        return self.state()

    # -- training ----------------------------------------------------------------------------------------------------

    def compile(self, profile=False):
        """Compile the training step now, so that its time is not counted as training.

        Parameters
        ----------
        profile : bool
            Compile it anew with Theano's profiler.

        Returns
        -------
        callable
            A `theano.function`, or, where a step is made of several functions, what calls them.
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
        """Returns [loss, gradient norm, diagnostics, ...]."""
        return self._function("step")(*minibatch)

    def after_step(self, run, progress):
        """Called after every minibatch; may log."""

    def evaluate_epoch(self, run, progress):
        """Evaluate after an epoch, and log it.

        Parameters
        ----------
        run : RunFolder
        progress : training.Progress

        Returns
        -------
        columns : OrderedDict
            For ``metrics.csv``.
        value : float
            What decides whether this is the best epoch so far.
        """
        raise AssertionError("to be defined by the job")

    def finished(self, rows):
        """Whether training should end before the last epoch, after the evaluations in `rows`."""
        return False

    def _diagnose(self, diagnostics):
        for name, parameter in self.network.parameters().items():
            if not np.isfinite(parameter.get_value(borrow=True)).all():
                return "parameter " + name
        for name, value in zip(self._diagnostic_names(), diagnostics):
            if not np.isfinite(value):
                return name
        return "the norm of the gradient"

    def _diagnostic_names(self):
        """Names of the values in `diagnostics`."""
        return ["the loss"] + ["the gradient of " + name for name in self.network.parameters()]

    @staticmethod
    def _guarded(updates, loss, norm):
        """The updates, if loss and norm are finite: what can be diagnosed and saved is the state before a bad step."""
        finite = T.le(T.abs_(loss) + norm, np.finfo("float32").max)
        return OrderedDict((variable, T.switch(finite, new, variable)) for variable, new in updates.items())

    def _keep_optimiser_state(self, updates):
        """Note the variables of the optimiser, which are those of the updates that are no parameters, by name."""
        parameters = set(self.network.parameters().values())
        self._optimiser_state = OrderedDict(
            (variable.name, variable) for variable in updates if variable not in parameters)

    # -- functions, evaluation ---------------------------------------------------------------------------------------

    def _function(self, name):
        """Compiled when first needed, then kept."""
        if name not in self._functions:
            self._functions[name] = getattr(self, "_make_" + name)()
        return self._functions[name]

    def _watched(self, part, minibatches=None):
        """Minibatches to evaluate, with a progress bar if a person watches."""
        return tqdm(itertools.islice(self.evaluation_minibatches(part), minibatches), desc="Testing", leave=False,
                    disable=not sys.stderr.isatty(), file=sys.stderr)

    def better(self, value, best):
        """Whether a metric improves on the best so far (None at first)."""
        return best is None or (value > best if self.higher_is_better else value < best)

    def figures(self):
        """What to plot against epochs: list of (file name, label, columns of the metrics, scale of the axis)."""
        return [("metric", self.metric, ("val", "test"), "linear")]
