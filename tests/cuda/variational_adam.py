"""Take steps of `theano_rnn.ops.variational_adam` on the device in THEANO_FLAGS, in a separate process.

    python tests/cuda/variational_adam.py FILE [LIBRARY ...]

FILE, an npz, gets the divergences, the squared norms, the parameters and the moments after each step; the arrays after
the first step of a function that copies them; and ``operations``, the names of the operations of the step. The
libraries are loaded before anything else.
"""

import sys
from collections import OrderedDict, namedtuple

import numpy as np
from run_scripts import begin

#: rows: number of rows of the gradient that are given, or None. transposed: its array is not in C order.
Parameters = namedtuple("Parameters", "prior shape rows transposed")
#: A block of threads processes 2048 elements.
GROUPS = [
    Parameters("log_uniform", (700, 30), 40, False), Parameters("normal", (50, 300), 50, False),
    Parameters("normal", (9, 7), 0, False), Parameters("log_uniform", (5000,), 1500, False),
    Parameters(None, (5000,), None, False), Parameters("log_uniform", (64, 64), None, True),
    Parameters("normal", (3, 4, 5), None, False), Parameters(None, (40, 50), 7, True),
    Parameters("log_uniform", (0, 3), None, False), Parameters(None, (1,), None, False)]
#: Of each step: kl_weight, factor, step size, and whether the loss and the gradient are finite.
SCALARS = [(0.01, 0.5, 0.01, 1), (0.02, 1, 0.02, 1), (0.03, np.nan, 0.02, 0)]
#: Several kernels are needed for the arguments of all groups.
MOST_ARGUMENT_BYTES = 800


def make_functions():
    """Return functions of the scalars of Adam, and the arrays that the first one changes, by name.

    The first function takes a step and returns divergences and squared norms. The second one only returns new arrays.
    """
    from theano_rnn.ops.variational_adam.fused import VariationalAdam, VariationalNorms

    import theano
    import theano.tensor as T
    random, scalars = np.random.RandomState(1), [T.fscalar() for _ in range(3)] + [T.bscalar()]
    arrays, outputs, updates = OrderedDict(), [], OrderedDict()

    def shared(values, name=None):
        arrays[name] = theano.shared(values.astype("float32"), name)
        return arrays[name]

    for number, (prior, shape, rows, transposed) in enumerate(GROUPS):
        names = ["mean", "log_sigma"][:1 if prior is None else 2]
        values = [random.randn(*shape) * 10. ** random.uniform(-4, 1, shape) * (random.rand(*shape) < 0.9),
                  random.uniform(-9, 2, shape)]
        state = [shared(value, "%d %s" % (number, name)) for value, name in zip(values, names)]
        state += [shared(np.zeros(shape), "%d %s of %s" % (number, moment, name))
                  for moment in ("mean", "square") for name in names]
        shape = shape if rows is None else (rows,) + shape[1:]
        gradients = [shared(random.randn(*(shape[::-1] if transposed else shape))) for _ in names]
        gradients = [gradient.T if transposed else gradient for gradient in gradients]
        if rows is not None:
            gradients.append(theano.shared(np.sort(random.permutation(GROUPS[number].shape[0])[:rows])))
        outputs += VariationalNorms(prior, rows is not None)(*(state[:len(names)] + gradients + scalars[:1]))
        new = VariationalAdam(prior, rows is not None, log_sigma_rate=2.)(*(state + gradients + scalars))
        updates.update(zip(state, new))
    del arrays[None]
    new = [updates[array] for array in arrays.values()]
    return theano.function(scalars, outputs, updates=updates), theano.function(scalars, new), arrays


def main(path, *libraries):
    """Run the command line."""
    begin(libraries)
    from theano_rnn.ops.backend import on_gpu
    if on_gpu():
        from theano_rnn.ops.variational_adam import gpu
        gpu.MOST_ARGUMENT_BYTES = MOST_ARGUMENT_BYTES
    function, new_arrays, arrays = make_functions()
    found = OrderedDict(("new: " + name, array) for name, array in zip(arrays, new_arrays(*SCALARS[0])))
    for step, scalars in enumerate(SCALARS):
        results = function(*scalars)
        found.update(("step %d: divergence %d" % (step, k), array) for k, array in enumerate(results[::2]))
        found.update(("step %d: squared norms %d" % (step, k), array) for k, array in enumerate(results[1::2]))
        found.update(("step %d: %s" % (step, name), array.get_value()) for name, array in arrays.items())
    operations = [type(node.op).__name__ for node in function.maker.fgraph.toposort()
                  if "Variational" in type(node.op).__name__]
    np.savez(path, operations=operations, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
