"""The base class of networks: names of layers and parameters, carried state."""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import LSTMState
from theano_rnn.network import Network

import numpy as np
import pytest
from helpers.networks import floatx


def dense(name, units):
    return lasagne.layers.DenseLayer((None, 3), units, name=name)


@pytest.fixture
def network(seeded):
    """A network of two layers. The names are not in alphabetical order."""
    made = Network(noise=None)
    made.add(dense("lower", 2))
    made.add(dense("above", 4))
    return made


def test_layers_are_named_in_the_order_of_registration(network):
    assert list(network.layers) == ["lower", "above"]
    layer = dense("top", 1)
    assert network.add(layer) is layer is network.layers["top"]
    assert list(network.layers) == ["lower", "above", "top"]


def test_a_name_that_is_taken(network):
    before = dict(network.layers)
    with pytest.raises(ValueError, match="^layer names must be different, got 'above' twice$"):
        network.add(dense("above", 4))
    assert dict(network.layers) == before


def test_parameters_are_in_the_order_of_the_layers(network):
    parameters = network.parameters()
    assert list(parameters) == ["lower.W", "lower.b", "above.W", "above.b"]
    assert parameters["above.W"] is network.layers["above"].W
    assert [parameter.get_value().shape for parameter in parameters.values()] == [(3, 2), (2,), (3, 4), (4,)]


def test_a_network_without_state(network):
    assert network.state == [] and network.initial_state(5) == [] and network.inputs == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_initial_state_is_zero(network, dtype):
    with floatx(dtype):
        first = network.add_state("hid", "cell", 2)
        second = network.add_state("hid above", "cell above", 4)
    assert isinstance(first, LSTMState) and isinstance(second, LSTMState)
    assert network.state == [first.hid, first.cell, second.hid, second.cell]
    assert [variable.name for variable in network.state] == ["hid", "cell", "hid above", "cell above"]
    arrays = network.initial_state(5)           # the types are those of the variables, and not of the moment
    assert [array.shape for array in arrays] == [(5, 2), (5, 2), (5, 4), (5, 4)]
    assert [array.dtype for array in arrays] == [dtype] * 4
    assert not any(np.any(array) for array in arrays)
