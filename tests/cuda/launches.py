"""Compute the recurrence of an LSTM and its gradient once, on the device in THEANO_FLAGS, in a separate process.

    python tests/cuda/launches.py UNITS STEPS [LIBRARY ...]

UNITS: of each component, separated by commas. The stand-ins for the driver and for cuBLAS count the kernels that this
launches and record the products. The libraries are loaded before anything else.
"""

import sys

import numpy as np
from run_scripts import begin


def main(units, steps, *libraries):
    """Run the command line."""
    begin(libraries)
    from theano_rnn.ops.lstm import lstm_recurrence

    import theano
    sizes, rows = [int(number) for number in units.split(",")], 2

    def zeros(*shape):
        return theano.shared(np.zeros(shape, "float32"))

    preactivations, W_hid = [zeros(int(steps), rows, 4 * H) for H in sizes], [zeros(H, 4 * H) for H in sizes]
    rest = [zeros(4 * sum(sizes)), zeros(rows, sum(sizes)), zeros(rows, sum(sizes))]
    hid, _ = lstm_recurrence(preactivations, W_hid, *rest)
    theano.function([], theano.grad(hid.sum(), preactivations + W_hid + rest))()


if __name__ == "__main__":
    main(*sys.argv[1:])
