"""Base class of the tasks that train a Theano network."""

import itertools
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

import numpy as np
import theano

from ..checkpoints import load_checkpoint
from ..interruption import shielded_children
from ..monitoring import displayed
from .base import Task

__all__ = ["NetworkTask", "LABELS"]

#: Names of the parts of the data in the log and in ``metrics.csv``.
LABELS = OrderedDict([("train", "train"), ("valid", "val"), ("test", "test")])


class NetworkTask(Task):
    """A network whose parameters, optimiser, random streams and carried state are addressed by name.

    Subclasses set `network` in their constructor and define ``_make_step(profile)`` and ``_make_evaluation()``, which
    compile functions when they are first needed.

    Attributes
    ----------
    network : theano_rnn.network.Network
    vocabulary : list of str
        One entry for each vocabulary element of the network.
    """

    def __init__(self, settings, data):
        super(NetworkTask, self).__init__(settings, data)
        lasagne.random.set_rng(np.random.RandomState(settings.seed))
        self._optimiser_state = OrderedDict()
        self._functions = {}
        self._carried = OrderedDict()

    # -- state ---------------------------------------------------------------------------------------------------------

    def state(self):
        return OrderedDict((name, np.asarray(value.get_value(borrow=True))) for name, value in self._shared().items())

    def set_state(self, arrays):
        _set_values(self._shared(), arrays)

    def state_shapes(self):
        return _shapes(self._shared())

    def parameter_shapes(self):
        return _shapes(self.network.parameters())

    def set_parameters(self, arrays):
        _set_values(self.network.parameters(), arrays)

    def restore(self, checkpoint):
        arrays, _ = load_checkpoint(checkpoint, self.parameter_shapes(), self._title(), training_state=True,
                                    network=self.network_name())
        self.set_parameters(arrays)

    def network_name(self):
        return {"experiment": self.settings.experiment.name}

    def _title(self):
        """Return the name of the network for error messages."""
        return self.settings.experiment.name

    def _shared(self):
        self.compile()      # the states of optimiser and noise are created with the training graph
        variables = OrderedDict(self.network.parameters())
        variables.update(self._optimiser_state)
        variables.update(("noise.%d" % index, state) for index, state in enumerate(self.network.noise.states()))
        variables.update((state.name, state) for state in self._carried.values())
        return variables

    def _carry(self, names, streams):
        """Keep the state of the network from minibatch to minibatch, in shared variables ``"carried.<name>"``."""
        self._carried = OrderedDict(
            (variable, theano.shared(array, "carried." + name, broadcastable=(False, False)))
            for name, variable, array in zip(names, self.network.state, self.network.initial_state(streams)))

    def _reset_carried(self):
        """Set the carried state to zero."""
        for state in self._carried.values():
            state.set_value(np.zeros_like(state.get_value(borrow=True)))

    # -- training ------------------------------------------------------------------------------------------------------

    def compile(self, profile=False):
        """Compile the training step, so that its time does not count as training time.

        Parameters
        ----------
        profile : bool
            Compile it again, with Theano's profiler.

        Returns
        -------
        callable
            A `theano.function`, or a function that calls several.
        """
        if profile:
            self._functions["step"] = self._make_step(profile=True)
        return self._function("step")

    def step(self, minibatch):
        loss, norm, diagnostics = self._run_step(minibatch)
        return float(loss), float(norm), lambda: self._diagnose(diagnostics)

    def _run_step(self, minibatch):
        """Return the loss, the norm of the gradient and the diagnostics, whose names are `_diagnostic_names`."""
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
        """Return the names of the values in `diagnostics`."""
        return ["the loss"] + ["the gradient of " + name for name in self.network.parameters()]

    def _keep_optimiser_state(self, updates):
        """Keep the variables of the optimiser, by name: those of the updates that are not parameters."""
        parameters = set(self.network.parameters().values())
        self._optimiser_state = OrderedDict(
            (variable.name, variable) for variable in updates if variable not in parameters)

    # -- functions, evaluation -----------------------------------------------------------------------------------------

    def _function(self, name):
        """Return a function, compiled when it is first needed."""
        if name not in self._functions:
            with shielded_children():
                self._functions[name] = getattr(self, "_make_" + name)()
        return self._functions[name]

    def _with_progress(self, part, minibatches=None):
        """Return the minibatches of a part, or the first few, with a `ProgressDisplay`."""
        return displayed(itertools.islice(self.evaluation_minibatches(part), minibatches), "Testing")

    def _mean_nats(self, part, minibatches=None, function=None):
        """Return the mean loss of a language model on a part; the state is carried from minibatch to minibatch."""
        function = function or self._function("evaluation")
        total, count, state = 0., 0, None
        for tokens, targets in self._with_progress(part, minibatches):
            state = self.network.initial_state(len(tokens)) if state is None else state
            nats, predictions, *state = function(*([tokens] + state + [targets]))
            total, count = total + float(nats), count + int(predictions)
        return total / count


def _set_values(variables, arrays):
    for name, variable in variables.items():
        expected = variable.get_value(borrow=True).dtype
        if arrays[name].dtype != expected:
            raise ReportedError("%s of the checkpoint must be an array of %s, got %s"
                                % (name, expected, arrays[name].dtype))
    for name, variable in variables.items():
        variable.set_value(arrays[name])


def _shapes(variables):
    return OrderedDict((name, tuple(variable.get_value(borrow=True).shape)) for name, variable in variables.items())
