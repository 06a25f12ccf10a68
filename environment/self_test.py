"""Verify an installation: compile a dense layer and the gradient of a scan, run them, and print the versions.

``setup_env.sh`` runs this file with the interpreter of a new virtualenv, from a folder outside the project, so that the
installed packages are tested.
"""

import os
import platform

from theano_rnn.errors import reported_errors
from theano_rnn.runtime import configure


def self_test():
    """Compile and run two small functions, and return a line with the versions.

    Raises
    ------
    RuntimeError
        If a result is wrong.
    """
    from theano_rnn.lasagne_compat import lasagne

    import numpy as np
    import theano
    import theano.tensor as T

    values = np.random.RandomState(1).randn(5, 3).astype("float32")
    inputs = T.matrix(dtype="float32")
    layer = lasagne.layers.DenseLayer(lasagne.layers.InputLayer((None, 3)), 4, nonlinearity=lasagne.nonlinearities.tanh)
    outputs = theano.function([inputs], lasagne.layers.get_output(layer, inputs))(values)
    if not np.allclose(outputs, np.tanh(values.dot(layer.W.get_value())), atol=1e-5):
        raise RuntimeError("self-test failed: the output of a dense layer differs from NumPy")

    sums, _ = theano.scan(lambda x, total: T.tanh(total + x), sequences=inputs, outputs_info=T.zeros((3,), "float32"))
    gradient = theano.function([inputs], T.grad(sums[-1].sum(), inputs))(values)
    if not np.allclose(gradient, scan_gradient(values), atol=1e-5):
        raise RuntimeError("self-test failed: the gradient of theano.scan differs from NumPy")

    return "Theano %s, Lasagne %s, numpy %s, CPython %s; BLAS: %s; threads: %s" % (
        theano.__version__, lasagne.__version__, np.__version__, platform.python_version(),
        theano.config.blas.ldflags or "numpy's own (slow)", os.environ.get("OMP_NUM_THREADS"))


def scan_gradient(values):
    """Return the gradient of the last ``s[t] = tanh(s[t - 1] + values[t])`` with respect to values, by NumPy."""
    import numpy as np
    total, slopes = np.zeros(values.shape[1]), []
    for row in values:
        total = np.tanh(total + row)
        slopes.append(1 - total ** 2)
    return np.cumprod(slopes[::-1], axis=0)[::-1]


if __name__ == "__main__":
    with reported_errors():
        configure()
        print(self_test())
