"""A training step as a function of its minibatch; on a GPU, after what only the host can find in the minibatch."""

import theano
import theano.tensor as T
from theano.gof.graph import io_toposort

from theano_rnn.ops.backend import on_gpu
from theano_rnn.ops.unique.fused import UNIQUE_OPERATIONS

__all__ = ["step_function", "stacked"]


def step_function(inputs, outputs, updates, givens=(), profile=False):
    """`theano.function` for a training step.

    Which tokens a minibatch has, and where each stands among them, is found by sorting, for which Theano has no GPU
    operation. On a GPU it is a function of its own, on the host, whose results the step gets with the minibatch.

    Parameters
    ----------
    inputs, outputs, updates, givens, profile
        As for `theano.function`; updates and givens are dictionaries.

    Returns
    -------
    theano.compile.function_module.Function or _PreparedStep
    """
    givens = dict(givens)
    found = []
    if on_gpu():
        found = _found_by_host(inputs, list(outputs) + list(updates.values()))
    if not found:
        return theano.function(inputs, outputs, updates=updates, givens=givens, profile=profile)
    host = theano.compile.get_default_mode().excluding("gpuarray")
    prepare = theano.function(inputs, found, mode=host, on_unused_input="ignore")
    given = [variable.type("tokens found %d" % number) for number, variable in enumerate(found)]
    givens.update(zip(found, given))
    return _PreparedStep(prepare, theano.function(
        inputs + given, outputs, updates=updates, givens=givens, on_unused_input="ignore", profile=profile))


class _PreparedStep(object):
    """Calls a step with what another function finds in its arguments.

    Attributes
    ----------
    prepare, step : theano.compile.function_module.Function
    maker, profile
        Of the step.
    """

    def __init__(self, prepare, step):
        self.prepare, self.step = prepare, step
        self.maker, self.profile = step.maker, step.profile

    def __call__(self, *minibatch):
        return self.step(*(list(minibatch) + self.prepare(*minibatch)))


def _found_by_host(inputs, results):
    """The variables between the host's part and the step: distinct values, and what is made of them and of inputs."""
    of_inputs, of_host, wanted = set(inputs), set(), []
    for node in io_toposort(inputs, results):
        finds = bool(of_host.intersection(node.inputs))
        # The step can ask an array that it gets for its shape.
        if not (finds and isinstance(node.op, theano.compile.ops.Shape)) and all(
                variable in of_inputs or isinstance(variable, theano.Constant) for variable in node.inputs):
            of_inputs.update(node.outputs)
            if finds or isinstance(node.op, UNIQUE_OPERATIONS):
                of_host.update(node.outputs)
        else:
            wanted += [variable for variable in node.inputs if variable in of_host and variable not in wanted]
    return wanted


def stacked(scalars):
    """A vector of symbolic scalars; from a GPU it comes in one piece, where `T.stack` would fetch each by itself."""
    return T.concatenate([T.shape_padleft(scalar) for scalar in scalars])
