"""The base class of recurrent layers."""

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import RecurrentLayer

import pytest


@pytest.mark.parametrize("shape", [(None, 5), (None, None, 5, 2)])
def test_the_input_of_a_recurrent_layer_has_three_axes(shape):
    with pytest.raises(ReportedError) as caught:
        RecurrentLayer(lasagne.layers.InputLayer(shape), 3, name="lstm")
    assert str(caught.value) == "the input of lstm must have the shape (batch, time, features), got %s" % (shape,)
