"""Helpers of tests of the position and the frequency of dropouts."""

import numpy as np
import theano


def assert_fraction(pattern, probability, independent):
    """Check the fraction of true elements to four standard deviations of `independent` draws."""
    assert abs(pattern.mean() - probability) < 4 * np.sqrt(probability * (1 - probability) / independent)


def pass_through(lstm):
    """Make a dense LSTM forget everything and pass on its first inputs: h = tanh(tanh(x)), unit by unit."""
    component, = lstm.components
    inputs, units = component["W_in"].get_value().shape[0], component["W_hid"].get_value().shape[0]
    zeros = np.zeros((inputs, units))
    cell_gate = [zeros, zeros, np.eye(inputs, units), zeros]
    for name, value in (("W_in", np.concatenate(cell_gate, axis=1)), ("W_hid", np.zeros((units, 4 * units))),
                        ("b_in", np.repeat([50., -50., 0., 50.], units)), ("b_hid", np.zeros(4 * units))):
        component[name].set_value(value.astype(theano.config.floatX))


def passed(values, lstms):
    """Return the outputs of a number of LSTMs changed by `pass_through`."""
    for _ in range(2 * lstms):
        values = np.tanh(values)
    return values
