"""The sparse embedding and its tied decoder: golden values, equivalence to the assembled matrix, dropouts, networks."""

import glob
import os

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import UNOPTIMISED
from helpers.networks import token_input
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparse_seq_theano.geometry import GeometryError
from sparse_seq_theano.layers import SparseDecoderLayer, SparseEmbeddingLayer

layers = lasagne.layers
PYTHON = theano.Mode(linker="py", optimizer=None)


def pytest_generate_tests(metafunc):
    if "path" in metafunc.fixturenames:
        folder = os.path.join(metafunc.config.getoption("--golden-dir"), "sparse_seq")
        files = sorted(glob.glob(os.path.join(folder, "sparse_embedding_*.npz")))
        assert files, "no golden files in %s" % folder
        metafunc.parametrize("path", files, ids=[os.path.basename(file)[:-4] for file in files])


pytestmark = pytest.mark.usefixtures("only_fused_in_c", "double_precision", "seeded")


@pytest.mark.core
def test_golden(path):
    with np.load(path) as archive:
        golden = {key: archive[key] for key in archive.files}
    tokens = token_input()
    embedding = SparseEmbeddingLayer(tokens, int(golden["vocabulary"]), int(golden["dimensions"]),
                                     int(golden["blocks"]), float(golden["density"]))
    hidden = T.dmatrix("hidden")
    decoder = SparseDecoderLayer(layers.InputLayer((None, int(golden["dimensions"])), hidden), embedding)
    variables = dict(("block%d" % number, block) for number, block in enumerate(embedding.blocks))
    assert set(golden) == {"vocabulary", "dimensions", "blocks", "density", "tokens", "embedded", "hidden", "logits",
                           "embedded_weight", "logits_weight", "loss", "grad_hidden", "decoder_bias",
                           "grad_decoder_bias"}.union(*[{"param." + name, "grad." + name} for name in variables])
    for name, block in variables.items():
        assert block.get_value().shape == golden["param." + name].shape
        block.set_value(golden["param." + name])
    decoder.b.set_value(golden["decoder_bias"])

    embedded, logits = layers.get_output([embedding, decoder])
    loss = T.sum(embedded * golden["embedded_weight"]) + T.sum(logits * golden["logits_weight"])
    names = sorted(variables)
    # A block without rows does not affect the loss.
    gradients = T.grad(loss, [hidden, decoder.b] + [variables[name] for name in names], disconnected_inputs="ignore")
    values = theano.function([tokens.input_var, hidden], [embedded, logits, loss] + gradients, mode=UNOPTIMISED)(
        golden["tokens"].astype("int32"), golden["hidden"])
    keys = ["embedded", "logits", "loss", "grad_hidden", "grad_decoder_bias"] + ["grad." + name for name in names]
    for key, value in zip(keys, values):
        assert np.shape(value) == golden[key].shape
        np.testing.assert_allclose(value, golden[key], rtol=1e-6, atol=1e-6, err_msg=key)


# -- the blocks and the matrix that they represent ---------------------------------------------------------------------

@st.composite
def embeddings(draw):
    """Strategy of valid arguments: (vocabulary_size, dimensions, blocks, density)."""
    vocabulary_size, dimensions = draw(st.integers(1, 30)), draw(st.integers(1, 12))
    blocks = draw(st.integers(1, dimensions))
    return vocabulary_size, dimensions, blocks, 1 if blocks == 1 else draw(st.integers(-(-100 // blocks), 100)) / 100.


#: Rows whose columns have a gap, because the last block starts above another one; blocks without rows.
SPECIAL = [(25, 14, 3, 0.352), (40, 10, 10, 0.1)]


@settings(deadline=None, max_examples=25)
@given(embeddings())
@example(SPECIAL[0])
@example(SPECIAL[1])
def test_look_up_and_decoder_are_products_with_the_matrix(arguments):
    """Values and gradients of look-up and decoder are compared together."""
    vocabulary_size, dimensions, blocks, density = arguments
    tokens, hidden, bias = T.imatrix("tokens"), T.dmatrix("hidden"), T.dvector("bias")
    layer = SparseEmbeddingLayer((None, None), *arguments)
    matrix = layer.assembled()
    trained = layer.get_params()
    results = []
    for embedded, logits in ((layer.get_output_for(tokens), layer.decode(hidden, bias)),
                             (matrix[tokens], T.dot(hidden, matrix.T) + bias)):
        loss = T.sum(T.sin(embedded)) + T.sum(T.sin(logits))
        results.append([embedded, logits] + T.grad(loss, [hidden, bias] + trained))
    rng = np.random.RandomState(0)
    sample = [rng.randint(vocabulary_size, size=(3, 4)).astype("int32"), rng.randn(2, dimensions),
              rng.randn(vocabulary_size)]
    values = theano.function([tokens, hidden, bias], results[0] + results[1] + [matrix], mode=PYTHON)(*sample)
    full = values.pop()
    for ours, plain in zip(values[:len(results[0])], values[len(results[0]):]):
        assert ours.shape == plain.shape
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-12)

    assert values[0].shape == (3, 4, dimensions) and values[1].shape == (2, vocabulary_size)
    assert full.shape == (vocabulary_size, dimensions)
    stored = np.concatenate([np.repeat(np.arange(vocabulary_size)[:, np.newaxis] >= start, width, axis=1)
                             for start, width in zip(layer.geometry.start_rows, layer.geometry.widths)], axis=1)
    np.testing.assert_array_equal(full != 0, stored)
    assert layers.count_params(layer) == layer.geometry.parameters == stored.sum()
    assert abs(full).max() <= 0.1


def intermediate_sizes(inputs, output):
    """Return the sizes of all intermediate results of a symbolic result, without parameters."""
    computed = [variable for variable in theano.gof.graph.ancestors([output]) if variable.owner is not None
                and isinstance(variable, T.TensorVariable)]
    values = theano.function(list(inputs), computed, mode=PYTHON, on_unused_input="ignore")(*inputs.values())
    return [value.size for value in values]


def test_neither_look_up_nor_decoder_make_more_than_they_need():
    V, d = 500, 20
    layer = SparseEmbeddingLayer((None, None), V, d, blocks=10, density=0.3, word_dropout=0.1, dimension_dropout=0.1)
    tokens, hidden, bias = T.imatrix(), T.dmatrix(), T.dvector()
    look_up = {tokens: np.arange(6, dtype="int32").reshape(2, 3) * 99}
    plain = layer.get_output_for(tokens, deterministic=True)
    assert max(intermediate_sizes(look_up, plain)) == 2 * 3 * d
    assert max(intermediate_sizes(look_up, layer.get_output_for(tokens))) == V              # the mask of words
    sizes = intermediate_sizes({hidden: np.ones((2, d)), bias: np.zeros(V)}, layer.decode(hidden, bias))
    assert max(sizes) <= layer.geometry.parameters


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
def test_any_type_of_token_ids(dtype):
    tokens = T.TensorType(dtype, (False, False))()
    layer = SparseEmbeddingLayer((None, None), 15, 9, blocks=5, density=0.5)
    ids = np.array([[0, 14, 7]])
    values, matrix = theano.function([tokens], [layer.get_output_for(tokens), layer.assembled()], mode=PYTHON)(
        ids.astype(dtype))
    np.testing.assert_array_equal(values, matrix[ids])


# -- dropouts ----------------------------------------------------------------------------------------------------------

def dropping(**dropouts):
    """Return a function of tokens: the output of a layer whose matrix entries are all 1; V = 40, d = 12."""
    tokens = token_input()
    layer = SparseEmbeddingLayer(tokens, 40, 12, blocks=3, density=0.9, W=lasagne.init.Constant(1.), **dropouts)
    outputs = [layers.get_output(layer), layers.get_output(layer, deterministic=True)]
    return layer, theano.function([tokens.input_var], outputs, mode=PYTHON)


TOKENS = np.random.RandomState(0).randint(40, size=(8, 50)).astype("int32")


def test_word_dropout_is_shared_by_all_occurrences_and_all_blocks():
    layer, function = dropping(word_dropout=0.25)
    (output, plain), (again, _) = function(TOKENS), function(TOKENS)
    kept = output[:, :, 0]
    np.testing.assert_allclose(np.unique(kept), [0, 1 / 0.75])
    np.testing.assert_allclose(output, plain * kept[:, :, np.newaxis])
    for word in range(40):
        assert len(np.unique(kept[TOKENS == word])) <= 1
    assert not np.array_equal(output, again)
    np.testing.assert_array_equal(np.unique(plain), [0, 1])


def test_word_dropout_is_as_frequent_as_asked():
    layer, function = dropping(word_dropout=0.25)
    means = [function(np.arange(40, dtype="int32")[np.newaxis])[0][0, :, 0].mean() for _ in range(50)]
    assert abs(np.mean(means) - 1) < 5 * np.sqrt(0.25 / 0.75 / 40 / 50)


def test_dimension_dropout_is_shared_by_time_and_not_by_examples():
    layer, function = dropping(dimension_dropout=0.25)
    output, plain = function(np.full((200, 5), 39, dtype="int32"))
    np.testing.assert_array_equal(plain, np.ones_like(plain))
    np.testing.assert_allclose(np.unique(output), [0, 1 / 0.75])
    np.testing.assert_array_equal(output, np.broadcast_to(output[:, :1], output.shape))
    assert len(np.unique(output[:, 0], axis=0)) > 100
    assert abs(output[:, 0].mean() - 1) < 5 * np.sqrt(0.25 / 0.75 / output[:, 0].size)
    assert not np.array_equal(output, function(np.full((200, 5), 39, dtype="int32"))[0])


def test_both_dropouts_multiply_and_none_draws_nothing():
    layer, function = dropping(word_dropout=0.5, dimension_dropout=0.5)
    output, plain = function(TOKENS)
    assert set(np.unique(output)) == {0., 4.} and len(layer.noise.states()) == 2
    layer, function = dropping()
    output, plain = function(TOKENS)
    np.testing.assert_array_equal(output, plain)
    assert layer.noise.states() == []


# -- networks ----------------------------------------------------------------------------------------------------------

def test_parameters_are_listed_once():
    embedding = SparseEmbeddingLayer(token_input(), 15, 6, blocks=3, density=0.7, name="encoder")
    decoder = SparseDecoderLayer(layers.NonlinearityLayer(embedding, T.tanh), embedding, name="decoder")
    names = ["encoder.block0", "encoder.block1", "encoder.block2", "decoder.b"]
    assert [parameter.name for parameter in layers.get_all_params(decoder, trainable=True)] == names
    assert [parameter.name for parameter in layers.get_all_params(decoder, regularizable=True)] == names[:3]
    assert layers.count_params(decoder) == embedding.geometry.parameters + 15
    assert decoder.get_params() == [decoder.b] and embedding.get_params() == embedding.blocks


def test_blocks_without_rows_are_no_parameters():
    layer = SparseEmbeddingLayer((None, 3), 40, 10, blocks=10, density=0.1, name="encoder")
    assert [parameter.name for parameter in layer.get_params()] == ["encoder.block0"]
    assert [block.get_value().shape for block in layer.blocks] == [(40, 1)] + [(0, 1)] * 9


@pytest.mark.parametrize("dropouts", [{}, {"word_dropout": 0.1, "dimension_dropout": 0.1}], ids=["plain", "dropouts"])
def test_a_network_of_other_layers_learns(dropouts):
    """The network predicts the next token of a cycle. It has a layer of Lasagne and the tied output layer."""
    V, tokens, targets = 15, token_input(), T.ivector("targets")
    embedding = SparseEmbeddingLayer(tokens, V, 8, blocks=4, density=0.6, name="encoder", **dropouts)
    hidden = layers.DenseLayer(layers.ReshapeLayer(embedding, (-1, 8)), 8, name="hidden")
    decoder = SparseDecoderLayer(hidden, embedding, name="decoder")
    assert decoder.output_shape == (None, V)
    parameters = layers.get_all_params(decoder, trainable=True)

    def mean_loss(**mode):
        probabilities = T.nnet.softmax(layers.get_output(decoder, **mode))
        return lasagne.objectives.categorical_crossentropy(probabilities, targets).mean()

    step = theano.function([tokens.input_var, targets], mean_loss(), mode=PYTHON,
                           updates=lasagne.updates.adam(mean_loss(), parameters, learning_rate=0.05))
    text = (np.arange(4)[:, np.newaxis] + np.arange(7)) % V
    batch = text[:, :-1].astype("int32"), text[:, 1:].astype("int32").ravel()
    losses = [float(step(*batch)) for _ in range(60)]
    assert losses[0] == pytest.approx(np.log(V), rel=0.1)
    evaluate = theano.function([tokens.input_var, targets], mean_loss(deterministic=True), mode=PYTHON)
    assert evaluate(*batch) < 0.5 * losses[0] and evaluate(*batch) == evaluate(*batch)


@pytest.mark.parametrize("leading", [(4,), (4, 3)])
def test_decoder_for_rows_and_for_sequences(leading):
    embedding = SparseEmbeddingLayer((None, None), 15, 6, blocks=3, density=0.7)
    hidden = T.TensorType("float64", (False,) * (len(leading) + 1))()
    decoder = SparseDecoderLayer(layers.InputLayer(leading + (6,), hidden), embedding,
                                 b=lasagne.init.Uniform(1.))
    value = np.random.RandomState(0).randn(*(leading + (6,)))
    logits, matrix = theano.function([hidden], [layers.get_output(decoder), embedding.assembled()], mode=PYTHON)(value)
    assert decoder.output_shape == logits.shape == leading + (15,)
    np.testing.assert_allclose(logits, value.dot(matrix.T) + decoder.b.get_value(), rtol=1e-9)


def test_symbolic_shape_is_the_actual_shape():
    for shape in ((2, 3), (1, 1), (4, None)):
        layer = SparseEmbeddingLayer(shape, 15, 9, blocks=5, density=0.5)
        tokens = T.imatrix()
        value = theano.function([tokens], layer.get_output_for(tokens), mode=PYTHON)(
            np.zeros([length or 5 for length in shape], dtype="int32"))
        assert layer.output_shape == shape + (9,)
        assert value.shape == tuple(length or 5 for length in shape) + (9,)


def test_errors():
    with pytest.raises(GeometryError):
        SparseEmbeddingLayer((None, None), 15, 9, blocks=5, density=0.1)
    with pytest.raises(ReportedError, match=r"^word_dropout must be in \[0, 1\), got 1$"):
        SparseEmbeddingLayer((None, None), 15, 9, word_dropout=1)
    with pytest.raises(ReportedError, match=r"^dimension_dropout must be in \[0, 1\), got -0.5$"):
        SparseEmbeddingLayer((None, None), 15, 9, dimension_dropout=-0.5)
    embedding = SparseEmbeddingLayer((None, None), 15, 9)
    with pytest.raises(ReportedError, match="^the decoder's input must have as many features as the embedding has "
                                            "dimensions, 9, got 8$"):
        SparseDecoderLayer((None, 8), embedding)
    tokens = T.imatrix()
    with pytest.raises(IndexError):
        theano.function([tokens], embedding.get_output_for(tokens), mode=PYTHON)([[15]])
