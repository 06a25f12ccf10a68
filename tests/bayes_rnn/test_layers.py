"""Bayesian layers in networks with other layers, and alone: shapes, parameters, equivalences."""

import gc

from theano_rnn.lasagne_compat import lasagne

import numpy as np
import pytest
import theano.tensor as T
from helpers.networks import Ones, compiled, randomise, token_input
from helpers.recurrent import (
    OPTIONS,
    check_backwards_is_forwards_on_the_reversed_input,
    check_final_is_the_last_of_all,
    masked_outputs,
)

from bayes_rnn.layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer, OneHotLayer, PerGate
from bayes_rnn.layers.embedding import GatheredRows, OneHotTokens, find_factors

layers = lasagne.layers
V, E, H = 9, 3, 2
TOKENS = np.array([[1, 5, 5, 2, 0], [8, 8, 1, 8, 3], [4, 0, 2, 1, 1]], dtype="int32")
LEFT_PADDED = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]], dtype="uint8")


pytestmark = pytest.mark.usefixtures("only_fused_in_c", "double_precision", "seeded")


def mask_input():
    return layers.InputLayer((None, None), T.matrix("mask", dtype="uint8"), name="mask")


def forgetful(layer):
    """Return a layer with the same output, which is a different variable and has no factors."""
    return layers.NonlinearityLayer(layer, lambda x: x + 0)


#: Argument of `randomise`: about half of the elements that can be pruned are pruned.
HALF = {"log_sigma": (0.5, -2., 5.)}


def names_and_counts(layer, **tags):
    return layers.count_params(layer, **tags), sorted(p.name for p in layers.get_all_params(layer, **tags))


# -- networks of other layers ------------------------------------------------------------------------------------------

def train(network, inputs, targets, prediction, arrays, wanted, steps=40):
    """Train with the functions of Lasagne; return the losses."""
    bayesian = [layer for layer in layers.get_all_layers(network) if hasattr(layer, "kl")]
    loss = lasagne.objectives.categorical_crossentropy(prediction, targets).mean() + \
        sum(layer.kl() for layer in bayesian) / 1000.
    parameters = layers.get_all_params(network, trainable=True)
    step = compiled(inputs + [targets], loss, updates=lasagne.updates.adam(loss, parameters, learning_rate=0.05))
    return [float(step(*(arrays + [wanted]))) for _ in range(steps)]


def test_classifier_with_dropout_and_reshape_between():
    tokens = token_input()
    embedding = BayesianEmbeddingLayer(tokens, V, E, group_kind="L", name="embedding")
    dropout = layers.DropoutLayer(embedding, 0.2)
    doubled = layers.ReshapeLayer(dropout, ([0], -1, [2]))
    lstm = BayesianLSTMLayer(doubled, H, gates_kind="L", in_kind="N", hid_kind="L", only_return_final=True,
                             name="lstm")
    network = layers.DenseLayer(lstm, 2, nonlinearity=lasagne.nonlinearities.softmax, name="out")
    assert network.output_shape == (None, 2)

    rng = np.random.RandomState(0)
    x = rng.randint(2, V, (40, 4)).astype("int32")
    labels = (np.arange(40) % 2).astype("int32")
    x[labels == 1, rng.randint(4)] = 1              # texts with token 1 are of class 1
    losses = train(network, [tokens.input_var], T.ivector(), layers.get_output(network), [x], labels)
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
    predict = compiled([tokens.input_var], layers.get_output(network, deterministic=True))
    assert np.mean(predict(x).argmax(axis=1) == labels) > 0.8
    np.testing.assert_array_equal(predict(x), predict(x))


def test_tagger_in_both_directions():
    tokens, mask = token_input(), mask_input()
    one_hot = OneHotLayer(tokens, V)
    forwards = BayesianLSTMLayer(one_hot, H, in_kind="L", mask_input=mask, name="forwards")
    backwards = BayesianLSTMLayer(one_hot, H, hid_kind="L", mask_input=mask, backwards=True, name="backwards")
    both = layers.ConcatLayer([forwards, backwards], axis=2)
    network = BayesianDenseLayer(both, 3, name="dense")
    assert both.output_shape == (None, None, 2 * H) and network.output_shape == (None, None, 3)

    scores = layers.get_output(network)
    rng = np.random.RandomState(0)
    x = rng.randint(0, V, (20, 6)).astype("int32")
    wanted = np.where(x == 0, 0, np.where(np.roll(x, -1, axis=1) % 2 == 1, 1, 2))   # depends on the next token
    losses = train(network, [tokens.input_var, mask.input_var], T.ivector(),
                   T.nnet.softmax(scores.reshape((-1, 3))), [x, np.ones(x.shape, "uint8")],
                   wanted.ravel().astype("int32"))
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


# -- shapes and parameters ---------------------------------------------------------------------------------------------

def dense_3d(**options):
    return BayesianLSTMLayer((None, None, E), H, **options)


SHAPES = {
    "embedding": (lambda: BayesianEmbeddingLayer((None, None), V, E, group_kind="L"), [(3, 5)]),
    "one hot": (lambda: OneHotLayer((None, None), V), [(3, 5)]),
    "lstm": (dense_3d, [(4, 5, E)]),
    "lstm, final": (lambda: dense_3d(only_return_final=True, gates_kind="N", in_kind="L", hid_kind="D"), [(4, 5, E)]),
    "lstm, backwards, final": (lambda: dense_3d(only_return_final=True, backwards=True), [(4, 5, E)]),
    "dense": (lambda: BayesianDenseLayer((None, E), 7), [(4, E)]),
    "dense, sequence": (lambda: BayesianDenseLayer((None, None, E), 7), [(4, 5, E)]),
}


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("mode", [{}, {"deterministic": True}, {"pruned": True}], ids=["train", "mean", "pruned"])
def test_symbolic_shape_is_actual_shape(name, mode):
    make, shapes = SHAPES[name]
    layer = make()
    is_merging = isinstance(layer, layers.MergeLayer)
    variables = [T.TensorType("int32" if len(shape) == 2 and "dense" not in name else "float64",
                              (False,) * len(shape))() for shape in shapes]
    arrays = [np.ones(shape, variable.dtype) for shape, variable in zip(shapes, variables)]
    output = compiled(variables, layer.get_output_for(variables if is_merging else variables[0], **mode))(*arrays)
    expected = layer.get_output_shape_for(shapes if is_merging else shapes[0])
    assert output.shape == expected and output.dtype == "float64"
    assert [a in (None, b) for a, b in zip(layer.output_shape, expected)] == [True] * len(expected)


def test_parameters_by_tag():
    embedding = BayesianEmbeddingLayer((None, None), V, E, group_kind="L", name="embedding")
    assert names_and_counts(embedding) == (2 * V * E + 2 * V, [
        "embedding.W", "embedding.W.log_sigma", "embedding.z_voc", "embedding.z_voc.log_sigma"])
    assert names_and_counts(embedding, variational=True) == (
        V * E + V, ["embedding.W.log_sigma", "embedding.z_voc.log_sigma"])
    assert names_and_counts(embedding, regularizable=True) == (V * E, ["embedding.W"])

    lstm = BayesianLSTMLayer((None, None, E), H, gates_kind="L", in_kind="D", hid_kind="N", name="lstm")
    weights = E * 4 * H + H * 4 * H
    assert names_and_counts(lstm, trainable=True) == names_and_counts(lstm) == (
        2 * weights + 4 * H + 2 * 4 * H + E + 2 * H,
        ["lstm.W_hid", "lstm.W_hid.log_sigma", "lstm.W_in", "lstm.W_in.log_sigma", "lstm.b", "lstm.z_gates",
         "lstm.z_gates.log_sigma", "lstm.z_hid", "lstm.z_hid.log_sigma", "lstm.z_in"])
    assert names_and_counts(lstm, regularizable=True) == (weights, ["lstm.W_hid", "lstm.W_in"])

    dense = BayesianDenseLayer((None, E), 7, kind="D", name="dense")
    assert names_and_counts(dense) == (E * 7 + 7, ["dense.W", "dense.b"])
    assert names_and_counts(dense, variational=True) == (0, [])
    assert names_and_counts(dense, regularizable=True) == (E * 7, ["dense.W"])


def test_kl_of_a_layer_is_that_of_its_variables():
    lstm = dense_3d(kind="N", gates_kind="L", in_kind="D", hid_kind="C")
    randomise(lstm, **HALF)
    assert [v.name for v in lstm.random_variables] == ["W_in", "W_hid", "z_in", "z_hid", "z_gates"]
    total, parts = compiled([], [lstm.kl(), T.stack([v.kl() for v in lstm.random_variables])])()
    np.testing.assert_allclose(total, parts.sum())
    assert np.all(parts[[0, 1, 4]] != 0) and np.all(parts[[2, 3]] == 0)
    assert dense_3d(kind="D").kl().eval() == 0


# -- equivalences ------------------------------------------------------------------------------------------------------

MODES = [{}, {"deterministic": True}, {"pruned": True}]


def embedded(**options):
    tokens = token_input()
    return tokens, BayesianEmbeddingLayer(tokens, V, E, name="embedding", noise=Ones(), **options)


def outputs_of(tokens, first, second, arrays=(TOKENS,), inputs=None):
    """Return the outputs of two layers in all modes: two lists of arrays."""
    outputs = [layers.get_output(layer, **mode) for layer in (first, second) for mode in MODES]
    values = compiled(inputs or [tokens.input_var], outputs)(*arrays)
    return values[:len(MODES)], values[len(MODES):]


class Copying(object):
    """Factory of LSTM layers with equal parameters."""

    def __init__(self, **options):
        self.options, self.made = dict(options, noise=Ones()), []

    def __call__(self, incoming, **more):
        layer = BayesianLSTMLayer(incoming, H, **dict(self.options, **more))
        randomise(layer, seed=5, low=-1.2, high=1.2, log_sigma=(0.6, -2., 5.))
        self.made.append(layer)
        return layer


def assert_equal_outputs(first, second):
    for a, b in zip(first, second):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    # the modes differ; otherwise the comparison would show little
    assert not np.allclose(first[0], first[1]) and not np.allclose(first[1], first[2])


@pytest.mark.parametrize("group_kind", "CL")
@pytest.mark.parametrize("in_kind", "CL")
def test_projecting_distinct_rows_first_changes_nothing(group_kind, in_kind):
    tokens, embedding = embedded(group_kind=group_kind)
    randomise(embedding, **HALF)
    make = Copying(in_kind=in_kind)
    output, other = layers.get_output(embedding), layers.get_output(forgetful(embedding))
    assert isinstance(embedding.factors_of(output), GatheredRows) and embedding.factors_of(other) is None
    assert_equal_outputs(*outputs_of(tokens, make(embedding), make(forgetful(embedding))))


@pytest.mark.parametrize("in_kind", "CL")
def test_looking_up_rows_of_a_one_hot_product_changes_nothing(in_kind):
    tokens = token_input()
    one_hot = OneHotLayer(tokens, V)
    make = Copying(in_kind=in_kind)
    output, other = layers.get_output(one_hot), layers.get_output(forgetful(one_hot))
    assert isinstance(one_hot.factors_of(output), OneHotTokens) and one_hot.factors_of(other) is None
    assert_equal_outputs(*outputs_of(tokens, make(one_hot), make(forgetful(one_hot))))


def test_factors_are_found_below_layers_that_return_their_input():
    """Lasagne's DropoutLayer returns its input if deterministic. The rows are then projected first, as without it."""
    tokens, embedding = embedded(group_kind="L")
    dropout = layers.DropoutLayer(embedding, 0.5)
    output = layers.get_output(dropout, deterministic=True)
    factors = find_factors(dropout, output)
    assert factors is embedding.factors_of(output) and isinstance(factors, GatheredRows)
    assert find_factors(dropout, layers.get_output(dropout)) is None
    assert find_factors(None, output) is None               # a layer made with a shape instead of a layer


def test_outputs_that_are_not_used_are_not_kept():
    _, embedding = embedded()
    output = layers.get_output(embedding)
    assert list(embedding._factors) == [output]
    del output
    gc.collect()
    assert list(embedding._factors) == []


def test_one_hot_vectors():
    tokens = token_input()
    output = compiled([tokens.input_var], layers.get_output(OneHotLayer(tokens, V)))(TOKENS)
    np.testing.assert_array_equal(output, np.eye(V)[TOKENS])


def test_embedding_is_a_scaled_look_up():
    tokens, embedding = embedded(group_kind="L")
    randomise(embedding, **HALF)
    W, W_log_sigma, z, z_log_sigma = [p.get_value() for p in embedding.get_params()]
    values = [layers.get_output(embedding, **mode) for mode in MODES]
    sample, mean, pruned = compiled([tokens.input_var], values)(TOKENS)
    np.testing.assert_allclose(sample, ((W + np.exp(W_log_sigma)) * (z + np.exp(z_log_sigma))[:, None])[TOKENS])
    np.testing.assert_allclose(mean, (W * z[:, None])[TOKENS])
    np.testing.assert_allclose(pruned, (W * (W_log_sigma < 0) * (z * (z_log_sigma < 0))[:, None])[TOKENS])
    assert (pruned == 0).any() and (pruned != 0).any()


def test_embedding_rows_share_their_sample_between_examples():
    tokens = token_input()
    embedding = BayesianEmbeddingLayer(tokens, V, E, name="embedding")
    output = compiled([tokens.input_var], layers.get_output(embedding))(TOKENS)
    for token in (0, 1, 8):
        rows = output[TOKENS == token]
        assert len(rows) > 1
        np.testing.assert_array_equal(rows, np.broadcast_to(rows[:1], rows.shape))
    assert not np.allclose(output[TOKENS == 0][0], embedding.W.mean().get_value()[0])


@pytest.fixture(scope="module")
def masked(double_precision):
    """LSTM layers with equal parameters on one masked input, all compiled together."""
    x, mask = layers.InputLayer((None, None, E), T.tensor3()), mask_input()
    make = Copying(hid_kind="L", gates_kind="L", mask_input=mask)
    made = {name: make(x, **options) for name, options in OPTIONS.items()}
    return masked_outputs(made, x, mask, deterministic=True)


X = np.random.RandomState(2).randn(3, 5, E)


def test_final_is_the_last_of_all(masked):
    check_final_is_the_last_of_all(masked, X, LEFT_PADDED)


def test_backwards_is_forwards_on_the_reversed_input(masked):
    check_backwards_is_forwards_on_the_reversed_input(masked, X, LEFT_PADDED)


def test_padding_on_the_left_changes_nothing(masked):
    padded = masked(X, LEFT_PADDED)
    for row, mask in enumerate(LEFT_PADDED):
        cut = masked(X[row:row + 1, mask.argmax():], np.ones((1, mask.sum()), "uint8"))
        np.testing.assert_allclose(padded["final"][row], cut["final"][0], rtol=1e-12)
        np.testing.assert_allclose(padded["back final"][row], cut["back final"][0], rtol=1e-12)


def test_the_formulas_of_the_lstm():
    """(x z_in W_in + h W_hid) z_gates + b, gates input, forget, cell, output; h' = o tanh(c') z_hid."""
    x = layers.InputLayer((None, None, E), T.tensor3())
    layer = Copying(in_kind="L", hid_kind="L", gates_kind="L", gate_nonlinearity="sigmoid")(x)
    sample, mean, pruned = compiled([x.input_var], [layers.get_output(layer, **mode) for mode in MODES])(X)
    b = layer.b.get_value()
    names = [v.name for v in layer.random_variables]

    def run(values):
        h, c, hs = np.zeros((len(X), H)), np.zeros((len(X), H)), []
        for t in range(X.shape[1]):
            a = ((X[:, t] * values["z_in"]).dot(values["W_in"]) + h.dot(values["W_hid"])) * values["z_gates"] + b
            i, f, g, o = np.split(a, 4, axis=1)
            i, f, o = [1 / (1 + np.exp(-v)) for v in (i, f, o)]
            c = f * c + i * np.tanh(g)
            h = o * np.tanh(c) * values["z_hid"]
            hs.append(h)
        return np.stack(hs, axis=1)

    means = dict((v.name, v.mean().get_value()) for v in layer.random_variables)
    sigmas = dict((v.name, np.exp(v.log_sigma.get_value())) for v in layer.random_variables)
    np.testing.assert_allclose(sample, run(dict((n, means[n] + sigmas[n]) for n in names)), rtol=1e-9)
    np.testing.assert_allclose(mean, run(means), rtol=1e-9)
    kept = dict((v.name, v.keep_mask()) for v in layer.random_variables)
    np.testing.assert_allclose(pruned, run(dict((n, means[n] * kept[n]) for n in names)), rtol=1e-9, atol=1e-12)


def test_initial_state_is_carried():
    x = layers.InputLayer((None, None, E), T.tensor3())
    state = [layers.InputLayer((None, H), T.matrix()) for _ in range(2)]
    make = Copying()
    without, carrying = make(x), make(x, hid_init=state[0], cell_init=state[1])
    inputs = [x.input_var] + [layer.input_var for layer in state]
    sequences = carrying.get_sequences_for(inputs, deterministic=True)
    run = compiled(inputs, list(sequences) + [layers.get_output(without, deterministic=True)])
    zeros = np.zeros((3, H))
    hid, cell, expected = run(X, zeros, zeros)
    np.testing.assert_allclose(hid.transpose(1, 0, 2), expected, rtol=1e-12)
    first = run(X[:, :2], zeros, zeros)
    second = run(X[:, 2:], first[0][-1], first[1][-1])
    np.testing.assert_allclose(np.concatenate([first[0], second[0]]), hid, rtol=1e-12)
    np.testing.assert_allclose(second[1][-1], cell[-1], rtol=1e-12)


def test_group_variables_of_the_lstm_are_sampled_per_example_and_shared_by_steps():
    x = layers.InputLayer((None, None, E), T.tensor3())
    layer = BayesianLSTMLayer(x, H, kind="D", hid_kind="N", name="lstm")
    hid, cell = layer.get_sequences_for([x.input_var])
    hid, cell = compiled([x.input_var], [hid, cell])(np.repeat(0.3 * X[:1], 4, axis=0))
    # At the first step h = 0, so examples with the same input differ by z_hid only.
    ratio = hid[0] / hid[0, 0]
    np.testing.assert_allclose(cell[0], np.broadcast_to(cell[0, :1], cell[0].shape), rtol=1e-12)
    assert np.all(ratio[1:] != 1) and len(np.unique(ratio[1:])) == 3 * H

    # Zero recurrent weights: z_hid is the same number at every step.
    layer.W_hid.mean().set_value(np.zeros((H, 4 * H)))
    hid, cell = layer.get_sequences_for([x.input_var])
    hid = compiled([x.input_var], hid)(np.repeat(0.3 * X[:1], 4, axis=0))
    ratio = hid / hid[:, :1]
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-9)


def test_dense_layer():
    x = layers.InputLayer((None, None, E), T.tensor3())
    local = BayesianDenseLayer(x, 4, noise=Ones(), nonlinearity=lasagne.nonlinearities.tanh, name="dense")
    randomise(local, **HALF)
    local.b.set_value(np.array([0.1, -0.2, 0.3, 0.]))
    sampled = BayesianDenseLayer(x, 4, noise=Ones(), local_reparametrisation=False, W=local.W.mean(), b=local.b)
    sampled.W.log_sigma.set_value(local.W.log_sigma.get_value())
    values = compiled([x.input_var], [layers.get_output(layer, **mode) for layer in (local, sampled)
                                      for mode in MODES])(X)
    W, sigma, b = local.W.mean().get_value(), np.exp(local.W.log_sigma.get_value()), local.b.get_value()
    deviation = np.sqrt((X ** 2).dot(sigma ** 2) + 1e-8)
    mean, pruned = X.dot(W) + b, X.dot(W * local.W.keep_mask()) + b
    expected = [np.tanh(mean + deviation), np.tanh(mean), np.tanh(pruned), X.dot(W + sigma) + b, mean, pruned]
    for value, wanted in zip(values, expected):
        np.testing.assert_allclose(value, wanted, rtol=1e-9)
    assert not local.W.keep_mask().all() and local.W.keep_mask().any()


# -- initialisation ----------------------------------------------------------------------------------------------------

def test_per_gate_initialises_gates_one_by_one():
    W = PerGate(lasagne.init.Orthogonal()).sample((6, 12))
    assert W.shape == (6, 12)
    gates = np.split(W, 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate.T.dot(gate), np.eye(3), atol=1e-10)
    assert not np.allclose(gates[0], gates[1])
    bias = PerGate(*[lasagne.init.Constant(value) for value in (0., 1., 2., 3.)]).sample((8,))
    np.testing.assert_array_equal(bias, [0, 0, 1, 1, 2, 2, 3, 3])


@pytest.mark.parametrize("count", [0, 2, 3, 5])
def test_per_gate_takes_one_or_four(count):
    with pytest.raises(ValueError) as error:
        PerGate(*[lasagne.init.Constant(0.)] * count)
    assert str(error.value) == "PerGate takes 1 or 4 initializers, got %d" % count


def test_default_initialisation():
    lstm = dense_3d()
    np.testing.assert_array_equal(lstm.b.get_value(), np.repeat([0., 1., 0., 0.], H))
    for gate in np.split(lstm.W_hid.mean().get_value(), 4, axis=1):
        np.testing.assert_allclose(gate.T.dot(gate), 1.1 ** 2 * np.eye(H), atol=1e-10)
    limit = np.sqrt(6. / (E + H))                   # Glorot's, for one gate and not for four
    assert 0.5 * limit < abs(lstm.W_in.mean().get_value()).max() <= limit
    embedding = BayesianEmbeddingLayer((None, None), 200, E, group_kind="L")
    assert 0.045 < abs(embedding.W.mean().get_value()).max() <= 0.05
    np.testing.assert_array_equal(embedding.z_voc.mean().get_value(), np.ones(200))
    np.testing.assert_array_equal(embedding.W.log_sigma.get_value(), np.full((200, E), -3.))


def test_unknown_options():
    with pytest.raises(ValueError, match="kind must be one of C, D, L, N, got 'X'"):
        dense_3d(gates_kind="X")
    x = layers.InputLayer((None, None, E), T.tensor3())
    with pytest.raises(ValueError, match="gate_nonlinearity must be one of hard_sigmoid, sigmoid, got 'tanh'"):
        layers.get_output(BayesianLSTMLayer(x, H, gate_nonlinearity="tanh"))


@pytest.mark.parametrize("make", [
    lambda: BayesianEmbeddingLayer((None, 4), 10, 3, kind="C"),
    lambda: BayesianLSTMLayer((None, 4, 3), 5, kind="C"),
    lambda: BayesianDenseLayer((None, 3), 2, kind="C"),
])
def test_constant_weights_are_refused(make):
    with pytest.raises(ValueError, match="must be L, D or N, got 'C': constant weights cannot be trained"):
        make()
