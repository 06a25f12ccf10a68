"""Compute the expressions of `theano_rnn.ops.gpu_rewrites` on the device in THEANO_FLAGS, in a separate process.

    python tests/cuda/gpu_rewrites.py FILE [LIBRARY ...]

FILE, an npz, gets an array for each, ``operations``, the names of the compiled operations, and ``refusal``, the error
message for an index outside of a matrix. The libraries are loaded before anything else.
"""

import sys
from collections import OrderedDict

import numpy as np
from run_scripts import begin


def expressions():
    """Return names and symbolic variables."""
    from theano_rnn.ops.normal_noise import NormalNoise
    from theano_rnn.step_function import stacked

    import theano
    import theano.tensor as T
    random = np.random.RandomState(1)

    def shared(*shape):
        return theano.shared(random.randn(*shape).astype("float32"))

    # On the host, as the tokens of a minibatch: 300 increments of 280 rows, a third of them of row 7.
    repeated = T._shared(np.where(np.arange(300) % 3, random.randint(-280, 280, size=300), 7))
    vector, index = shared(9), theano.shared(np.array([1, 1, 8, 3, 1], dtype="int32"))
    # A probability that vanishes in float32: only Theano's own gradient of the cross-entropy survives it.
    scores, target = theano.shared(np.array([[0, 200]], dtype="float32")), theano.shared(np.array([0], dtype="int32"))
    cross_entropy = T.nnet.categorical_crossentropy(T.nnet.softmax(scores), target).sum()
    logits, weights = shared(4, 5), shared(4, 5)
    return OrderedDict([
        ("sum of a matrix", shared(7, 300).sum()),
        ("sum of squares of an array", T.sum(shared(3, 4, 70) ** 2)),
        ("increments of a vector", theano.grad(T.sum(vector[index] ** 2), vector)),
        ("increments of elements", T.inc_subtensor(shared(280)[repeated], shared(300))),
        ("increments of rows", T.inc_subtensor(shared(280, 3)[repeated], shared(300, 3))),
        ("an increment of many rows", T.inc_subtensor(shared(280, 3)[repeated], theano.shared(
            random.randn(1, 3).astype("float32"), broadcastable=(True, False)))),
        ("elements set", T.set_subtensor(vector[index[2:4]], np.float32(7))),
        ("gradient of a cross-entropy", theano.grad(cross_entropy, scores)),
        ("gradient of a softmax", theano.grad(T.sum(T.nnet.softmax(logits) * weights), logits)),
        ("numbers from 0", T.arange(index.shape[0]) + index),
        ("numbers as a vector", stacked([shared(3, 4).sum(), shared(5).sum(), shared(2, 2).prod()])),
        ("an odd number of normal samples", NormalNoise(seed=1).normal((index.shape[0], T.constant(3)))),
    ])


def refusal():
    """Return the error message of an addition to a row that does not exist."""
    import theano
    import theano.tensor as T
    matrix, index, increments = (theano.shared(np.zeros((3, 1), "float32")), T.lvector(),
                                 theano.shared(np.zeros((2, 1), "float32")))
    function = theano.function([index], T.inc_subtensor(matrix[index], increments))
    function([2, -3])
    try:
        function([2, -4])
    except IndexError as error:
        return str(error).split("\n")[0]
    return "no error"


def main(path, *libraries):
    """Run the command line."""
    begin(libraries)
    import theano_rnn.ops.backend  # noqa: F401  (which has the rewriting imported on a GPU)

    import theano
    outputs = expressions()
    function = theano.function([], list(outputs.values()))
    operations = sorted(set(type(node.op).__name__ for node in function.maker.fgraph.toposort()))
    results = OrderedDict(zip(outputs, [np.asarray(array) for array in function()]))
    np.savez(path, operations=operations, refusal=refusal(), **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
