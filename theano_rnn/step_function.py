"""Compilation of a training step. On a GPU, operations that need the host run before the step."""

from theano_rnn.ops.backend import on_gpu
from theano_rnn.ops.unique.fused import UNIQUE_OPERATIONS, are_distinct, mark_distinct

import theano
import theano.tensor as T
from theano.gof.graph import io_toposort

__all__ = ["TwoStageFunction", "host_results", "stacked", "step_function"]


def step_function(inputs, outputs, updates, givens=(), profile=False, host_operations=UNIQUE_OPERATIONS):
    """Compile a training step: `theano.function`, in two stages if Theano's device is a GPU.

    The distinct tokens of a minibatch are found by sorting, for which Theano has no GPU operation. On a GPU, these
    operations become a separate function, which runs on the host. The step gets its results together with the
    minibatch, so that it does not wait for the host.

    Parameters
    ----------
    inputs, outputs, updates, givens, profile
        As for `theano.function`; updates and givens are dictionaries.
    host_operations : tuple of types
        Operations that run on the host if they depend only on `inputs`.

    Returns
    -------
    theano.compile.function_module.Function or TwoStageFunction
    """
    givens = dict(givens)
    results = []
    if on_gpu():
        results = host_results(inputs, list(outputs) + list(updates.values()), host_operations)
    if not results:
        return theano.function(inputs, outputs, updates=updates, givens=givens, profile=profile)
    host = theano.compile.get_default_mode().excluding("gpuarray")
    prepare = theano.function(inputs, results, mode=host, on_unused_input="ignore")
    given = [variable.type("host result %d" % number) for number, variable in enumerate(results)]
    for result, variable in zip(results, given):
        if are_distinct(result):
            mark_distinct(variable)
    givens.update(zip(results, given))
    return TwoStageFunction(prepare, theano.function(
        inputs + given, outputs, updates=updates, givens=givens, on_unused_input="ignore", profile=profile))


class TwoStageFunction(object):
    """A function whose second stage gets the arguments and the results of the first stage.

    Attributes
    ----------
    prepare, step : theano.compile.function_module.Function
        The first stage, on the host, and the second stage.
    maker, profile
        Attributes of the second stage.
    """

    def __init__(self, prepare, step):
        self.prepare, self.step = prepare, step
        self.maker, self.profile = step.maker, step.profile

    def __call__(self, *minibatch):
        return self.step(*(list(minibatch) + self.prepare(*minibatch)))


def host_results(inputs, outputs, host_operations):
    """Return the variables at the border between the host's part of a graph and the rest.

    The host's part consists of `host_operations` and of the operations on their results, if they depend only on
    `inputs` and constants.

    Parameters
    ----------
    inputs, outputs : lists of variables
    host_operations : tuple of types

    Returns
    -------
    list of variables
        Computed by the host's part and used by the rest.
    """
    of_inputs, of_host, border = set(inputs), set(), []
    for node in io_toposort(inputs, outputs):
        continues = bool(of_host.intersection(node.inputs))
        # The rest computes the shapes of the arrays that it gets.
        if not (continues and isinstance(node.op, theano.compile.ops.Shape)) and all(
                variable in of_inputs or isinstance(variable, theano.Constant) for variable in node.inputs):
            of_inputs.update(node.outputs)
            if continues or isinstance(node.op, host_operations):
                of_host.update(node.outputs)
        else:
            border += [variable for variable in node.inputs if variable in of_host and variable not in border]
    return border


def stacked(scalars):
    """Return a vector of symbolic scalars.

    A GPU transfers it at once, whereas it transfers the arguments of `T.stack` one by one.

    Parameters
    ----------
    scalars : sequence of n symbolic scalars

    Returns
    -------
    symbolic ``(n,)``
    """
    return T.concatenate([T.shape_padleft(scalar) for scalar in scalars])
