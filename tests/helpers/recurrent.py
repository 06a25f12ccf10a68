"""Helpers of tests that any recurrent layer passes."""

from theano_rnn.lasagne_compat import lasagne

import numpy as np

from helpers.networks import compiled

#: Options of the layers that `masked_outputs` compares, by the names of their outputs.
OPTIONS = {"all": {}, "final": {"only_return_final": True}, "back": {"backwards": True},
           "back final": {"backwards": True, "only_return_final": True}}


def masked_outputs(made, x, mask, **mode):
    """Compile layers with equal parameters on one masked input.

    Parameters
    ----------
    made : dict of str to layer
        A layer for each of `OPTIONS`.
    x, mask : lasagne.layers.InputLayer
    **mode
        Passed to `lasagne.layers.get_output`.

    Returns
    -------
    function of (x, mask) that returns a dict of str to numpy.ndarray
    """
    outputs = [lasagne.layers.get_output(layer, **mode) for layer in made.values()]
    function = compiled([x.input_var, mask.input_var], outputs)
    return lambda *arrays: dict(zip(made, function(*arrays)))


def check_final_is_the_last_of_all(outputs, x, mask):
    out = outputs(x, mask)
    np.testing.assert_array_equal(out["final"], out["all"][:, -1])
    np.testing.assert_array_equal(out["back final"], out["back"][:, 0])
    assert not np.allclose(out["final"], out["back final"])


def check_backwards_is_forwards_on_the_reversed_input(outputs, x, mask):
    there, back = outputs(x, mask), outputs(x[:, ::-1], mask[:, ::-1])
    np.testing.assert_allclose(there["back"], back["all"][:, ::-1], rtol=1e-12)
    np.testing.assert_allclose(there["back final"], back["final"], rtol=1e-12)
