"""Sparse LSTM layer: in networks of other layers, compared to dense LSTMs, state, parameters, weight drop."""

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.networks import compiled
from helpers.recurrent import (
    OPTIONS,
    check_backwards_is_forwards_on_the_reversed_input,
    check_final_is_the_last_of_all,
    masked_outputs,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparse_seq_theano.dropout import DropoutNoise
from sparse_seq_theano.geometry import GeometryError, lstm_geometry
from sparse_seq_theano.layers import SparseLSTMLayer

layers = lasagne.layers
NAMES = ("W_in", "W_hid", "b_in", "b_hid")
INPUTS, UNITS = 6, 7
SPARSE = dict(blocks=3, density=0.5)
MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [1, 1, 1, 1, 1]], dtype="uint8")
X = np.random.RandomState(2).randn(3, 5, INPUTS)


pytestmark = pytest.mark.usefixtures("only_fused_in_c", "double_precision", "seeded")


def input_layer(features=INPUTS):
    return layers.InputLayer((None, None, features), T.tensor3("input"))


def copy_parameters(source, target):
    for parameter, original in zip(target.get_params(), source.get_params()):
        parameter.set_value(original.get_value())


# -- in networks of other layers --------------------------------------------------------------------------------------

def test_a_network_of_other_layers_learns():
    """The class is the sign of the first of six time steps; the other steps are noise."""
    x, labels = input_layer(4), T.ivector()
    below = layers.dropout(SparseLSTMLayer(x, 8, blocks=2, density=0.75, name="first"), 0.1)
    final = SparseLSTMLayer(below, 6, reduce_in=0.9, reduce_out=0.8, only_return_final=True, name="second")
    network = layers.DenseLayer(final, 2, nonlinearity=lasagne.nonlinearities.softmax, name="out")
    parameters = layers.get_all_params(network, trainable=True)
    loss = lasagne.objectives.categorical_crossentropy(layers.get_output(network), labels).mean()
    step = compiled([x.input_var, labels], loss, updates=lasagne.updates.adam(loss, parameters, learning_rate=0.02))
    predict = compiled([x.input_var], layers.get_output(network, deterministic=True))

    rng = np.random.RandomState(0)
    inputs = 0.3 * rng.randn(40, 6, 4)
    wanted = (np.arange(40) % 2).astype("int32")
    inputs[:, 0] += 2. * wanted[:, np.newaxis] - 1
    losses = [float(step(inputs, wanted)) for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    assert np.mean(predict(inputs).argmax(axis=1) == wanted) > 0.95


def test_lasagne_knows_parameters_and_shapes():
    x = input_layer()
    lstm = SparseLSTMLayer(x, UNITS, name="lstm", **SPARSE)
    network = layers.DenseLayer(layers.ReshapeLayer(lstm, (-1, [2])), 2, name="out")
    names = ["lstm.component%d.%s" % (number, name) for number in range(3) for name in NAMES]
    assert [p.name for p in layers.get_all_params(network)] == names + ["out.W", "out.b"]
    assert layers.get_all_params(network, trainable=True) == layers.get_all_params(network)
    weights = [p.name for p in layers.get_all_params(lstm, regularizable=True)]
    assert weights == [name for name in names if ".W_" in name]
    assert layers.get_output_shape(network) == (None, 2)
    assert layers.get_output_shape(lstm, {x: (4, 9, INPUTS)}) == (4, 9, UNITS)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("options", [{}, dict(only_return_final=True), dict(backwards=True),
                                     dict(backwards=True, only_return_final=True)], ids=str)
def test_symbolic_shape_is_the_actual_shape(options, deterministic):
    layer = SparseLSTMLayer((None, 5, INPUTS), UNITS, weight_drop=0.5, **dict(SPARSE, **options))
    x = T.tensor3()
    output = compiled([x], layer.get_output_for([x], deterministic=deterministic))(X)
    assert output.shape == layer.get_output_shape_for([X.shape])
    assert [expected in (None, actual) for expected, actual in zip(layer.output_shape, output.shape)] == [
        True] * output.ndim
    assert output.dtype == "float64"


# -- equivalences ------------------------------------------------------------------------------------------------------

@st.composite
def geometries(draw):
    """Strategy of sizes and valid arguments of both kinds; few components, because each number of them is compiled."""
    inputs, units = draw(st.integers(2, 9)), draw(st.integers(1, 9))
    if draw(st.booleans()):
        blocks = draw(st.integers(1, min(4, units, inputs)))
        return inputs, units, dict(blocks=blocks, density=draw(st.integers(-(-100 // blocks), 100)) / 100.)
    inputs, units = 2 * inputs, units + 6
    for fraction in (draw(st.integers(60, 100)) / 100., 1.):
        try:
            reductions = dict(reduce_in=draw(st.sampled_from([1., fraction])), reduce_out=fraction)
            if lstm_geometry(inputs, units, **reductions).components <= 4:
                return inputs, units, reductions
        except GeometryError:
            pass
    return inputs, units, dict(blocks=1)


@settings(deadline=None, max_examples=8)
@given(geometries(), st.integers(0, 2 ** 31 - 1))
@example((5, 4, dict(blocks=1)), 0)                         # dense
@example((5, 4, dict(blocks=4, density=0.25)), 0)           # nothing overlaps; components of one unit
@example((5, 7, dict(blocks=3, density=1.)), 0)             # all components read all inputs
@example((8, 12, dict(reduce_in=1., reduce_out=0.7)), 0)
def test_equals_its_dense_components_side_by_side(arguments, seed):
    inputs, units, options = arguments
    rng = np.random.RandomState(seed)
    x = T.tensor3()
    whole = SparseLSTMLayer((None, None, inputs), units, **options)
    for parameter in whole.get_params():
        parameter.set_value(rng.uniform(-1, 1, parameter.get_value().shape))
    parts = []
    geometry = whole.geometry
    assert len(whole.components) == geometry.components
    for component, (input_begin, input_end), (begin, end) in zip(
            whole.components, geometry.input_segments, geometry.hidden_segments):
        part = SparseLSTMLayer((None, None, input_end - input_begin), end - begin, blocks=1, density=1)
        for name in NAMES:
            part.components[0][name].set_value(component[name].get_value())
        parts.append(T.concatenate(part.get_sequences_for([x[:, :, input_begin:input_end]]), axis=0))
    sequences = T.concatenate(whole.get_sequences_for([x]), axis=0)
    got, wanted = compiled([x], [sequences, T.concatenate(parts, axis=2)])(rng.randn(2, 3, inputs))
    assert got.shape == (2 * 3, 2, units)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def masked(double_precision):
    """Layers with equal parameters on one masked input, all compiled together."""
    x, mask = input_layer(), layers.InputLayer((None, None), T.matrix(dtype="uint8"))
    made = {name: SparseLSTMLayer(x, UNITS, mask_input=mask, **dict(SPARSE, **options))
            for name, options in OPTIONS.items()}
    for layer in made.values():
        copy_parameters(made["all"], layer)
    return masked_outputs(made, x, mask)


def test_final_is_the_last_of_all(masked):
    check_final_is_the_last_of_all(masked, X, MASK)


def test_backwards_is_forwards_on_the_reversed_input(masked):
    check_backwards_is_forwards_on_the_reversed_input(masked, X, MASK)


def test_the_mask_carries_the_state(masked):
    """A masked step does not change the state, for any input, and does not affect the other steps."""
    out = masked(X, MASK)
    noisy = masked(np.where(MASK[:, :, np.newaxis], X, 100.), MASK)
    for name in out:
        np.testing.assert_array_equal(out[name], noisy[name])
    np.testing.assert_array_equal(out["all"][0, 3:], out["all"][0, [2, 2]])
    np.testing.assert_array_equal(out["all"][1, 1], out["all"][1, 0])
    np.testing.assert_array_equal(out["back"][1, 1], out["back"][1, 2])
    np.testing.assert_array_equal(out["back"][0, 3:], np.zeros((2, UNITS)))
    for row, mask in enumerate(MASK.astype(bool)):
        cut = masked(X[row:row + 1, mask], np.ones((1, mask.sum()), "uint8"))
        np.testing.assert_allclose(out["all"][row, mask], cut["all"][0], rtol=1e-12)
        np.testing.assert_allclose(out["back"][row, mask], cut["back"][0], rtol=1e-12)
    assert np.all(out["all"][2, 1:] != out["all"][2, :-1])


def test_two_halves_with_the_state_carried_are_the_whole():
    state = [layers.InputLayer((None, UNITS), T.matrix()) for _ in range(2)]
    layer = SparseLSTMLayer(input_layer(), UNITS, hid_init=state[0], cell_init=state[1], **SPARSE)
    plain = SparseLSTMLayer(input_layer(), UNITS, **SPARSE)
    copy_parameters(layer, plain)
    inputs = [T.tensor3()] + [one.input_var for one in state]
    run = compiled(inputs, list(layer.get_sequences_for(inputs)) + [plain.get_output_for(inputs[:1])])
    zeros = np.zeros((len(X), UNITS))
    hid, cell, from_zeros = run(X, zeros, zeros)
    np.testing.assert_allclose(hid.transpose(1, 0, 2), from_zeros, rtol=1e-12)
    first = run(X[:, :2], zeros, zeros)
    second = run(X[:, 2:], first[0][-1], first[1][-1])
    np.testing.assert_allclose(np.concatenate([first[0], second[0]]), hid, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate([first[1], second[1]]), cell, rtol=1e-12)
    for carried in ((first[0][-1], zeros), (zeros, first[1][-1])):          # each half of the state matters
        assert not np.allclose(run(X[:, 2:], *carried)[0], second[0])


# -- parameters --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [dict(blocks=1), dict(blocks=3, density=0.5), dict(reduce_in=1, reduce_out=0.6)],
                         ids=str)
def test_components_have_the_sizes_of_the_geometry(options):
    layer = SparseLSTMLayer((None, None, 30), 40, name="lstm", **options)
    assert layer.geometry == lstm_geometry(30, 40, **options)
    assert layers.count_params(layer) == layer.geometry.parameters
    for component, (input_begin, input_end), (begin, end) in zip(
            layer.components, layer.geometry.input_segments, layer.geometry.hidden_segments):
        inputs, units = input_end - input_begin, end - begin
        assert {name: parameter.get_value().shape for name, parameter in component.items()} == {
            "W_in": (inputs, 4 * units), "W_hid": (units, 4 * units), "b_in": (4 * units,), "b_hid": (4 * units,)}


def test_default_initialisation():
    """The weights are uniform within 1/sqrt(h), where h is the number of units of the component, not of the layer."""
    layer = SparseLSTMLayer((None, None, 40), 100, blocks=4, density=0.5)
    limit = 25 ** -0.5
    for component in layer.components:
        for parameter in component.values():
            values = parameter.get_value()
            assert 0.9 * limit < abs(values).max() <= limit
            # Uniform: of a mean and a variance that may be off by 5 standard deviations.
            assert abs(values.mean()) < 5 * limit / np.sqrt(3 * values.size)
            assert abs((values ** 2).mean() - limit ** 2 / 3) < 5 * limit ** 2 * np.sqrt(4. / 45 / values.size)
    assert not np.array_equal(layer.components[0]["b_in"].get_value(), layer.components[0]["b_hid"].get_value())
    assert not np.array_equal(layer.components[0]["W_hid"].get_value(), layer.components[1]["W_hid"].get_value())


def test_initializers_of_ones_own():
    constant = lasagne.init.Constant
    layer = SparseLSTMLayer((None, None, 4), 6, W_in=constant(1.), W_hid=lambda shape: np.full(shape, 2.),
                            b=constant(3.), blocks=2, density=0.5)
    for component in layer.components:
        assert {name: set(np.unique(parameter.get_value())) for name, parameter in component.items()} == {
            "W_in": {1.}, "W_hid": {2.}, "b_in": {3.}, "b_hid": {3.}}


# -- weight drop -------------------------------------------------------------------------------------------------------

P_DROP = 0.3


@pytest.fixture(scope="module")
def weight_drop(double_precision):
    """Return a layer with weight drop, and a function: output, gradients, and the output without weight drop."""
    x = T.tensor3()
    layer = SparseLSTMLayer((None, None, 4), 24, blocks=2, density=0.75, weight_drop=P_DROP, noise=DropoutNoise(3))
    rng = np.random.RandomState(8)
    for parameter in layer.get_params():
        parameter.set_value(rng.uniform(-0.3, 0.3, parameter.get_value().shape))
    output = layer.get_output_for([x])
    weighted = T.sum(output * np.random.RandomState(4).randn(24))
    function = compiled([x], [output, layer.get_output_for([x], deterministic=True)]
                        + theano.grad(weighted, layer.get_params()))

    def call(inputs):
        values = function(inputs)
        return values[0], values[1], dict(zip(layer.get_params(), values[2:]))
    return layer, call


def recurrent(layer):
    return [component["W_hid"] for component in layer.components]


def test_weight_drop_is_one_mask_per_minibatch(weight_drop):
    """A recurrent weight without a gradient is dropped at all steps of all examples. The others are scaled.

    With these weights, the layer without weight drop has the same output.
    """
    layer, call = weight_drop
    x = np.random.RandomState(5).randn(4, 5, 4)
    output, _, gradients = call(x)
    for parameter, gradient in gradients.items():
        if parameter not in recurrent(layer):
            assert np.all(gradient != 0), parameter.name
    weights = [W_hid.get_value() for W_hid in recurrent(layer)]
    kept = [gradients[W_hid] != 0 for W_hid in recurrent(layer)]
    for mask in kept:
        assert 0.55 < mask.mean() < 0.85                    # 576 weights: 7 standard deviations
        np.testing.assert_allclose(mask.reshape((12, 4, 12)).mean(axis=(0, 2)), 1 - P_DROP, atol=0.2)     # all gates
    assert not np.array_equal(*kept)
    try:
        for W_hid, value, mask in zip(recurrent(layer), weights, kept):
            W_hid.set_value(value * mask / (1 - P_DROP))
        _, expected, _ = call(x)
    finally:
        for W_hid, value in zip(recurrent(layer), weights):
            W_hid.set_value(value)
    np.testing.assert_allclose(output, expected, rtol=1e-10, atol=1e-12)


def test_weight_drop_is_drawn_anew_and_spares_the_first_step(weight_drop):
    """From a state of zeros, the first step does not depend on the recurrent weights.

    Its output is not random, because neither the input weights nor the biases are dropped.
    """
    layer, call = weight_drop
    x = np.random.RandomState(6).randn(4, 2, 4)
    (first, plain, gradients), (second, plain_again, more_gradients) = call(x), call(x)
    np.testing.assert_array_equal(plain, plain_again)
    for output in (first, second):
        np.testing.assert_allclose(output[:, 0], plain[:, 0], rtol=1e-12)
        assert not np.any(np.isclose(output[:, 1], plain[:, 1], rtol=1e-9))
    assert not np.any(np.isclose(first[:, 1], second[:, 1], rtol=1e-9))
    for W_hid in recurrent(layer):
        both = (gradients[W_hid] != 0) & (more_gradients[W_hid] != 0)
        assert abs(both.mean() - (1 - P_DROP) ** 2) < 0.12         # independent: 576 weights, 5 standard deviations


def test_weight_drop_is_as_frequent_as_asked(weight_drop):
    layer, call = weight_drop
    x = np.random.RandomState(7).randn(1, 2, 4)
    kept = [np.concatenate([(gradient != 0).ravel() for parameter, gradient in call(x)[2].items()
                            if parameter in recurrent(layer)]) for _ in range(20)]
    size = np.size(kept)
    assert abs(np.mean(kept) - (1 - P_DROP)) < 5 * np.sqrt(P_DROP * (1 - P_DROP) / size)


def test_no_weight_drop():
    """No mask is drawn for evaluation or with probability 0."""
    x = T.tensor3()
    for weight_drop, options in ((0.5, dict(deterministic=True)), (0., {})):
        layer = SparseLSTMLayer((None, None, INPUTS), UNITS, weight_drop=weight_drop, **SPARSE)
        layer.get_output_for([x], **options)
        assert layer.noise.states() == []
    layer.weight_drop = 0.5
    layer.get_output_for([x])
    assert len(layer.noise.states()) == 3                       # of each component


# -- errors and info ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, message", [
    ({}, "expected either blocks and density (1 and 1 for a dense LSTM) or reduce_in and reduce_out, got neither"),
    (dict(blocks=1, reduce_in=1, reduce_out=1),
     "expected either blocks and density (1 and 1 for a dense LSTM) or reduce_in and reduce_out, got both"),
    (dict(density=0.5, reduce_out=0.5),
     "expected either blocks and density (1 and 1 for a dense LSTM) or reduce_in and reduce_out, got both"),
    (dict(reduce_in=0.5), "reduce_in and reduce_out must be given together, but reduce_out is missing"),
    (dict(blocks=8), "blocks must be at most the number of hidden units, 7, got 8"),
    (dict(blocks=2, density=0.4), "density 0.4 is too small with 2 blocks; expected density at least 0.5"),
    (dict(reduce_in=0.1, reduce_out=0.1), "reduce_in 0.1 and reduce_out 0.1 with 6 inputs and 7 hidden units"),
])
def test_refusals(options, message):
    with pytest.raises(GeometryError) as refusal:
        SparseLSTMLayer((None, None, INPUTS), UNITS, **options)
    assert str(refusal.value).startswith(message) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("probability", [1., 1.5, -0.1])
def test_probabilities_that_are_none(probability):
    with pytest.raises(ReportedError, match=r"^weight_drop must be in \[0, 1\), got %s$" % probability):
        SparseLSTMLayer((None, None, INPUTS), UNITS, weight_drop=probability, **SPARSE)


def test_info():
    layer = SparseLSTMLayer((None, None, 60), 90, reduce_in=1, reduce_out=2 / 3.)
    assert layer.info == lstm_geometry(60, 90, reduce_in=1, reduce_out=2 / 3.).info()
    assert layer.info["parameters"] == layers.count_params(layer)
    assert layer.info["components"] == 2 and layer.info["reduced_hidden_size"] == pytest.approx(60)
