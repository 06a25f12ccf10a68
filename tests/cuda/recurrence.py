"""Compute the recurrence of an LSTM and its gradient on the device in THEANO_FLAGS, in a separate process.

    python tests/cuda/recurrence.py FILE [LIBRARY ...]

FILE, an npz, gets the states and all gradients of every case, ``operations``, the names of the compiled operations, and
``refusal``, the error message for an array of a wrong shape. The libraries are loaded before anything else.
"""

import sys
from collections import OrderedDict, namedtuple

import numpy as np
from run_scripts import begin

#: sizes: units of each component. z_gates, z_hid: their rows, or 0 for none.
Case = namedtuple("Case", "sizes steps rows mask z_gates z_hid nonlinearity backwards")
CASES = OrderedDict([
    ("everything", Case([5], 7, 3, True, 3, 3, "hard_sigmoid", False)),
    ("components", Case([5, 3, 4], 6, 4, False, 0, 0, "sigmoid", True)),
    ("many components", Case([1, 2] * 3 + [1], 3, 2, True, 0, 2, "hard_sigmoid", False)),
    ("one row of z", Case([6, 2], 6, 4, True, 1, 1, "sigmoid", False)),
    ("more than a block of threads", Case([70], 9, 9, True, 0, 1, "hard_sigmoid", True)),
    ("one of each", Case([4], 1, 1, False, 1, 0, "hard_sigmoid", False)),
    # Up to 128 units, one kernel computes all time steps, with up to 64 weights of a thread in registers.
    ("more than the registers hold", Case([128, 90, 80], 5, 3, True, 3, 1, "hard_sigmoid", False)),
    # Components 0 and 2, and 1 and 4, which are at other distances, have their products in one call each.
    ("one step after the other", Case([130, 5, 130, 130, 5], 4, 3, True, 3, 3, "sigmoid", False)),
    ("backwards, one step after the other", Case([3, 129], 4, 2, False, 1, 0, "hard_sigmoid", True)),
    ("no steps", Case([4], 0, 2, False, 2, 2, "sigmoid", False)),
])


def outputs_of(case, seed):
    """Return names and symbolic variables: hid, cell, and the gradients of a sum of both with respect to all inputs."""
    from theano_rnn.ops.lstm import lstm_recurrence

    import theano
    import theano.tensor as T
    random, units = np.random.RandomState(seed), sum(case.sizes)
    given = OrderedDict()

    def make(name, *shape):
        # Small values keep the states from being chaotic; otherwise no two devices would agree.
        values = (random.randn(*shape) / np.sqrt(case.sizes[0])).astype("float32")
        given[name] = theano.shared(values, name, broadcastable=[size == 1 and name[0] == "z" for size in shape])
        return given[name]

    preactivations = [make("preactivation_%d" % c, case.steps, case.rows, 4 * n) for c, n in enumerate(case.sizes)]
    W_hid = [make("W_hid_%d" % c, n, 4 * n) for c, n in enumerate(case.sizes)]
    b, states = make("b", 4 * units), [make(name, case.rows, units) for name in ("hid_init", "cell_init")]
    z_gates = make("z_gates", case.z_gates, 4 * units) if case.z_gates else None
    z_hid = make("z_hid", case.z_hid, units) if case.z_hid else None
    mask = theano.shared((random.rand(case.steps, case.rows) < 0.7).astype("float32")) if case.mask else None
    hid, cell = lstm_recurrence(preactivations, W_hid, b, states[0], states[1], mask, z_gates, z_hid,
                                case.nonlinearity, case.backwards)
    weights = [theano.shared(random.randn(case.steps, case.rows, units).astype("float32")) for _ in range(2)]
    gradients = theano.grad(T.sum(hid * weights[0]) + T.sum(cell * weights[1]), list(given.values()))
    return ["hid", "cell"] + list(given), [hid, cell] + gradients


def refusal():
    """Return the error message for a W_hid that does not fit the states."""
    from theano_rnn.ops.lstm import lstm_recurrence

    import theano
    import theano.tensor as T
    x, W = theano.shared(np.zeros((2, 3, 8), "float32")), theano.shared(np.zeros((2, 7), "float32"))
    b, state = T.zeros((8,)), T.zeros((3, 2))
    hid, _ = lstm_recurrence(x, W, b, state, state)
    try:
        theano.function([], hid)()
    except ValueError as error:
        return str(error).split("\n")[0]
    return "none"


def main(path, *libraries):
    """Run the command line."""
    begin(libraries)
    import theano
    if theano.config.device != "cpu":
        # Three components take two launches here, as 129 do otherwise, whose C++ takes minutes to compile.
        from theano_rnn.ops.lstm import gpu
        gpu.COMPONENTS_OF_LAUNCH = 2
    arrays, operations = OrderedDict(), set()
    for seed, (title, case) in enumerate(CASES.items()):
        names, outputs = outputs_of(case, seed)
        function = theano.function([], outputs)
        arrays.update(("%s: %s" % (title, name), np.asarray(array)) for name, array in zip(names, function()))
        # Without a gradient, nothing is stored for it.
        alone = theano.function([], outputs[0])
        arrays["%s: hid alone" % title] = np.asarray(alone())
        operations.update(type(node.op).__name__ for node in function.maker.fgraph.toposort())
    np.savez(path, operations=sorted(operations), refusal=refusal(), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
