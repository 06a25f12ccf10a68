"""Compute the recurrence of an LSTM and its gradient once, on the device in THEANO_FLAGS, in a separate process.

    python tests/cuda/launches.py UNITS STEPS [LIBRARY ...]

The stand-in for the driver counts the kernels that this launches. The libraries are loaded before anything else.
"""

import sys

import numpy as np
from run_scripts import begin


def main(units, steps, *libraries):
    """Run the command line."""
    begin(libraries)
    from theano_rnn.ops.lstm import lstm_recurrence

    import theano
    units, rows = int(units), 2
    given = [theano.shared(np.zeros(shape, "float32")) for shape in (
        (int(steps), rows, 4 * units), (units, 4 * units), (4 * units,), (rows, units), (rows, units))]
    hid, _ = lstm_recurrence(*given)
    theano.function([], theano.grad(hid.sum(), given))()


if __name__ == "__main__":
    main(*sys.argv[1:])
