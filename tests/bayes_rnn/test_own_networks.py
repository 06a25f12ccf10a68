"""Objective, training step, report, pruning and compression of Lasagne networks that are not in bayes_rnn.models."""

import pickle
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne
from theano_rnn.network import named_layers, named_parameters
from theano_rnn.ops.variational_adam.fused import VariationalAdam, VariationalNorms

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import OPTIMISED, needs_fused
from helpers.networks import compiled, token_input
from helpers.variational import reference_kl

from bayes_rnn.config import parse_config
from bayes_rnn.layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer, OneHotLayer
from bayes_rnn.models import TextClassifier
from bayes_rnn.pruning import compression_report, kept_words, prune
from bayes_rnn.smaller_network import smaller_network
from bayes_rnn.training_step import kl, training_step
from sparse_seq_theano.layers import SparseLSTMLayer

layers = lasagne.layers
V, E, H, CLASSES, TRAIN_SIZE = 9, 4, 3, 3, 50
KEPT, PRUNED = -2., 6.                              # log sigma, for weights of about 1
TOKENS = np.array([[1, 5, 5, 2, 0], [8, 8, 1, 8, 3], [4, 0, 2, 7, 6]], dtype="int32")
MASK = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]], dtype="uint8")
WORDS = ["word %d" % number for number in range(V)]

pytestmark = pytest.mark.usefixtures("only_fused_in_c", "double_precision", "seeded")


class Noise(object):
    """A random number source that returns the same numbers at every call."""

    def normal(self, shape):
        size = shape[0]
        for length in shape[1:]:
            size = size * length
        return T.sin(T.arange(size) + 1.).reshape(shape, ndim=len(shape))


NOISE = Noise()
GROUPS = {"gates_kind": "L", "in_kind": "L", "hid_kind": "L"}


class Own(object):
    """A network with its inputs and the probabilities in a mode."""

    def __init__(self, inputs, output):
        self.inputs = [layer.input_var for layer in inputs]
        self.output = output

    def probabilities(self, output=None, **mode):
        return layers.get_output(output or self.output, **mode)

    def randomise(self, seed, density):
        """Set random parameters; about this fraction of each random variable is kept."""
        rng = np.random.RandomState(seed)
        for name, parameter in named_parameters(self.output).items():
            shape = parameter.get_value().shape
            if name.endswith("log_sigma"):
                values = np.where(rng.rand(*shape) < density, KEPT, PRUNED)
            else:
                values = rng.uniform(0.3, 1.5, shape) * rng.choice([-1, 1], shape)
            parameter.set_value(values.astype(parameter.dtype))


def tagger(depth=2, groups=GROUPS):
    """Bidirectional layers, dropout, concatenation, reshaping, and two fully connected layers."""
    tokens, mask = token_input(), layers.InputLayer((None, None), T.matrix("mask", dtype="uint8"), name="mask")
    below = layers.DropoutLayer(BayesianEmbeddingLayer(tokens, V, E, group_kind="L", noise=NOISE, name="embedding"), 0.)
    for number in range(depth):
        below = layers.ConcatLayer([
            BayesianLSTMLayer(below, H, mask_input=mask, backwards=backwards, name="%s%d" % (name, number), noise=NOISE,
                              **groups)
            for name, backwards in (("forwards", False), ("backwards", True))], axis=2)
    below = layers.ReshapeLayer(below, (-1, 2 * H))
    below = BayesianDenseLayer(below, 5, nonlinearity=T.tanh, noise=NOISE, name="dense")
    return Own([tokens, mask], layers.DenseLayer(below, CLASSES, nonlinearity=T.nnet.softmax, name="output"))


def classifier():
    """A one-hot layer with two readers, and weights of kinds N and D."""
    tokens = token_input()
    one_hot = OneHotLayer(tokens, V, name="one_hot")
    both = layers.ConcatLayer([
        BayesianLSTMLayer(one_hot, H, only_return_final=True, name="forwards", kind="N", in_kind="L", noise=NOISE),
        BayesianLSTMLayer(one_hot, H, only_return_final=True, backwards=True, name="backwards", in_kind="L",
                          hid_kind="N", noise=NOISE)])
    return Own([tokens], BayesianDenseLayer(both, CLASSES, nonlinearity=T.nnet.softmax, noise=NOISE, name="dense"))


ARGUMENTS = {"tagger": (tagger, [TOKENS, MASK]), "classifier": (classifier, [TOKENS])}


@pytest.fixture(scope="module")
def networks(double_precision):
    """The networks by name, each with its minibatch and the function (pruned, deterministic) of its predictions."""
    made = {}
    for name, (make, minibatch) in ARGUMENTS.items():
        own = make()
        predict = compiled(own.inputs, [own.probabilities(pruned=True), own.probabilities(deterministic=True)])
        made[name] = own, minibatch, predict
    return made


# -- objective and training step ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_the_divergence_is_the_sum_over_all_layers(networks, name):
    own, _, _ = networks[name]
    own.randomise(3, 0.5)
    expected = 0
    for layer in layers.get_all_layers(own.output):
        for variable in getattr(layer, "random_variables", []):
            if variable.prior is not None:
                mean, log_sigma = [parameter.get_value() for parameter in variable.parameters()]
                expected += np.sum(reference_kl(mean, log_sigma) if variable.prior == "log_uniform" else
                                   -log_sigma + 0.5 * (np.exp(2 * log_sigma) + mean ** 2) - 0.5)
    np.testing.assert_allclose(compiled([], kl(own.output))(), expected, rtol=1e-10)


def loss_of(own):
    targets = T.ivector("targets")
    return targets, T.nnet.categorical_crossentropy(own.probabilities(), targets).mean()


@needs_fused
def test_the_training_step_equals_adam_on_the_gradient_of_the_objective():
    """Three steps of the fused step, against Lasagne's Adam and Theano's gradient of data_loss + kl / train_size."""
    own = tagger(depth=1, groups={"hid_kind": "L"})     # in Python, a fused elementwise operation has at most 32 inputs
    own.randomise(1, 1.)
    parameters = named_parameters(own.output)
    before = {name: parameter.get_value() for name, parameter in parameters.items()}
    targets, data_loss = loss_of(own)
    step = training_step(own.output, data_loss, TRAIN_SIZE, 0.01, backend="fused")
    objective = data_loss + kl(own.output) / TRAIN_SIZE
    plain = lasagne.updates.adam(objective, list(parameters.values()), learning_rate=0.01)
    results = []
    for loss, updates, options in ((step.loss, step.updates, {"mode": OPTIMISED}), (objective, plain, {})):
        for name, value in before.items():
            parameters[name].set_value(value)
        train = theano.function(own.inputs + [targets], loss, updates=updates, **options) if options else \
            compiled(own.inputs + [targets], loss, updates=updates)
        if options:
            nodes = [node.op for node in train.maker.fgraph.toposort()]
            fused = [op for op in nodes if isinstance(op, (VariationalNorms, VariationalAdam))]
            # Both passes get only the embedding rows of the minibatch, and change the parameters in place.
            assert [op.rows for op in fused].count(True) == 2
            assert all(op.inplace for op in fused if isinstance(op, VariationalAdam))
        wanted = (np.arange(TOKENS.size) % CLASSES).astype("int32")
        losses = [train(TOKENS, MASK, wanted) for _ in range(3)]
        results.append(dict({name: parameter.get_value() for name, parameter in parameters.items()}, losses=losses))
    for name in results[0]:
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-7, atol=1e-9, err_msg=name)
    assert not any(np.array_equal(results[0][name], before[name]) for name in before)
    assert results[0]["losses"][2] < results[0]["losses"][0]


def test_a_network_of_the_papers_is_the_network_below_its_output_layer():
    network = TextClassifier(parse_config("LLLLLL", "classification"), V, E, H, CLASSES)
    assert named_layers(network) == named_layers(network.layers["dense"])
    assert list(named_parameters(network).items()) == list(named_parameters(network.layers["dense"]).items())
    assert compression_report(network).text() == compression_report(network.layers["dense"]).text()
    assert list(named_layers(smaller_network(network))) == ["embedding", "lstm", "dense"]


def test_layers_without_a_name():
    lstm = BayesianLSTMLayer(layers.InputLayer((None, 5, E)), H, kind="D", only_return_final=True)
    output = BayesianDenseLayer(BayesianDenseLayer(lstm, 4), 2)
    assert list(named_layers(output)) == ["BayesianLSTMLayer1", "BayesianDenseLayer1", "BayesianDenseLayer2"]
    step = training_step(output, layers.get_output(output).mean(), TRAIN_SIZE, 0.01, backend="reference")
    names = [variable.name for variable in step.updates if variable.name.startswith("adam.")]
    assert len(set(names)) == len(names) == 1 + 2 * (3 + 3 + 3)
    assert "adam.BayesianDenseLayer2.W.log_sigma.mean" in names
    assert "BayesianLSTMLayer1: (w_x: " in compression_report(output).text()


def test_a_parameter_of_two_layers_is_trained_once():
    input = layers.InputLayer((None, E))
    below = layers.DenseLayer(input, E, name="below")
    output = BayesianDenseLayer(layers.DenseLayer(below, E, W=below.W, name="above"), 2, name="dense")
    step = training_step(output, layers.get_output(output).mean(), TRAIN_SIZE, 0.01, backend="reference")
    assert list(step.squares) == ["below.W", "below.b", "above.b", "dense.W", "dense.W.log_sigma", "dense.b"]


# -- report, pruning, compression --------------------------------------------------------------------------------------

def keep_only(variable, *indices):
    """Prune all elements of a random variable but some."""
    value = np.full(variable.shape, PRUNED)
    for index in indices:
        value[index] = KEPT
    variable.log_sigma.set_value(value)


def test_the_report_equals_the_count_by_hand(networks):
    own, _, _ = networks["tagger"]
    own.randomise(0, 1.)
    named = named_layers(own.output)
    embedding, first, second = named["embedding"], named["forwards0"], named["backwards1"]
    keep_only(embedding.z_voc, 3, 4)
    keep_only(embedding.W, (3, 0), (4, 0), (5, 0), (3, 1))          # word 5 is pruned; units 2 and 3 are zero
    keep_only(first.W_in, (0, 0), (1, 4), (2, 1))                   # unit 2 of the embedding is zero
    keep_only(first.W_hid, (0, 1))
    keep_only(first.z_hid, 0, 1)                                    # unit 2 of its output is zero
    keep_only(second.W_in, (1, 3), (2, 3), (3, 4))                  # reads units 1 and 2 of forwards0, 0 of backwards0
    keep_only(second.W_hid)
    keep_only(named["dense"].W, (0, 0), (5, 1))                     # reads forwards1.0 and backwards1.2
    report = compression_report(own.output)
    assert report.counts["embedding.w"] == (3, V * E) and report.counts["embedding.z_voc"] == (2, V)
    # forwards0: unit 1 is kept, read by the layer above; unit 0 by W_hid; inputs 0 and 1 of the embedding. Columns 0, 4
    # and 1 have weights: the input gates of units 0 and 1, and the forget gate of unit 1.
    assert [report.counts["forwards0." + part][0] for part in ("w_x", "w_h", "z_x", "z_h", "gates")] == [2, 1, 2, 2, 3]
    # backwards1: nothing reads its units but unit 2, whose columns (2, 5, 8, 11) have no weight; it is constant.
    assert [report.counts["backwards1." + part][0] for part in ("w_x", "w_h", "z_x", "z_h", "gates")] == [0, 0, 2, 1, 0]
    # The ordinary layer at the output reads every unit of the fully connected layer below it.
    assert report.counts["dense.w"] == (2, 6 * 5) and report.counts["output.W"] == (15, 15)
    weights = [name for name in report.counts if name.split(".")[1] in ("w", "w_x", "w_h", "W")]
    kept, total = (sum(report.counts[name][index] for name in weights) for index in (0, 1))
    assert report.ratio == pytest.approx(total / float(kept))
    assert total == V * E + 2 * 4 * H * (E + H) + 2 * 4 * H * (2 * H + H) + 6 * 5 + 15
    assert report.warning() is None


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_pruning_for_good_leaves_the_reported_weights_and_does_not_change_predictions(networks, name):
    own, minibatch, predict = networks[name]
    for seed, density in enumerate([1., 0.6, 0.3, 0.]):
        own.randomise(seed, density)
        pruned, mean = predict(*minibatch)
        assert density == 1 or not np.allclose(pruned, mean)
        report = compression_report(own.output)
        prune(own.output)
        nonzero = [np.count_nonzero(variable.pruned_value()) for layer in named_layers(own.output).values()
                   for variable in getattr(layer, "random_variables", []) if not variable.name.startswith("z_")]
        assert nonzero == [kept for part, (kept, _) in report.counts.items()
                           if part.split(".")[1] in ("w", "w_x", "w_h")]
        pruned_again, mean = predict(*minibatch)
        np.testing.assert_allclose(pruned_again, pruned, rtol=1e-12)
        np.testing.assert_allclose(mean, pruned, rtol=1e-12)
        assert compression_report(own.output).ratio >= report.ratio


@pytest.mark.parametrize("name, densities", [("tagger", [0.7, 0.4]), ("classifier", [0.6])])
def test_the_smaller_network_predicts_what_the_pruned_one_does(networks, name, densities):
    own, minibatch, predict = networks[name]
    for seed, density in enumerate(densities + [0.]):
        own.randomise(seed, density)
        pruned, _ = predict(*minibatch)
        small = smaller_network(own.output)
        actual = compiled(own.inputs, own.probabilities(small))(*minibatch)
        np.testing.assert_allclose(actual, pruned, rtol=1e-10)
        assert layers.count_params(small) < layers.count_params(own.output)
        assert not layers.get_all_params(small, variational=True)
    assert name == "classifier" or named_layers(small)["forwards0"].num_units == 1      # with nothing kept


def test_a_smaller_network_has_the_kept_words_and_units_only(networks):
    own, minibatch, predict = networks["tagger"]
    own.randomise(0, 1.)
    named = named_layers(own.output)
    keep_only(named["embedding"].z_voc, 1, 5, 8)
    keep_only(named["forwards0"].z_hid, 0)
    keep_only(named["dense"].W, *[(unit, column) for unit in (0, 2, 4) for column in range(5)])
    for lstm in ("forwards1", "backwards1"):
        keep_only(named[lstm].W_hid)
    small = smaller_network(own.output)
    shapes = OrderedDict((name, parameter.get_value().shape) for name, parameter in named_parameters(small).items())
    assert shapes["embedding.W"] == (4, E)                          # and a row of zeros
    assert shapes["forwards0.W_in"] == (E, 4) and shapes["backwards0.W_hid"] == (H, 4 * H)
    assert shapes["forwards1.W_in"] == (1 + H, 4 * 2) and shapes["backwards1.W_hid"] == (1, 4)
    assert shapes["dense.W"] == (3, 5) and shapes["output.W"] == (5, CLASSES)
    small = pickle.loads(pickle.dumps(small))                       # as it is stored in a file
    inputs = [layer.input_var for layer in layers.get_all_layers(small) if isinstance(layer, layers.InputLayer)]
    inputs.sort(key=lambda variable: variable.name != "tokens")
    np.testing.assert_allclose(compiled(inputs, own.probabilities(small))(*minibatch), predict(*minibatch)[0],
                               rtol=1e-10)


def test_a_network_without_connection_from_input_to_output_has_a_warning(networks):
    own, _, _ = networks["tagger"]
    own.randomise(0, 1.)
    named = named_layers(own.output)
    keep_only(named["forwards1"].W_in)
    assert compression_report(own.output).warning() is None         # the other direction is left
    keep_only(named["backwards1"].W_in)
    assert "no weight is left in forwards1.w_x, backwards1.w_x" in compression_report(own.output).warning()


# -- words -------------------------------------------------------------------------------------------------------------

def test_kept_words_of_an_embedding_and_of_a_one_hot_layer(networks):
    own, _, _ = networks["tagger"]
    own.randomise(0, 1.)
    embedding = named_layers(own.output)["embedding"]
    keep_only(embedding.z_voc, 2, 7)
    embedding.z_voc.mean().set_value(np.arange(V, dtype="float64"))
    assert kept_words(own.output, WORDS) == [("word 7", pytest.approx(7 * np.exp(2))),
                                             ("word 2", pytest.approx(2 * np.exp(2)))]

    own, _, _ = networks["classifier"]
    own.randomise(0, 1.)
    named = named_layers(own.output)
    keep_only(named["forwards"].z_in, 2, 3)
    keep_only(named["backwards"].z_in, 3, 5)
    for direction, scale in (("forwards", 1.), ("backwards", 2.)):
        named[direction].z_in.mean().set_value(np.full(V, scale))
    assert [word for word, _ in kept_words(own.output, WORDS)] == ["word 3", "word 5", "word 2"]
    small = smaller_network(own.output)                             # the words that one of the two directions reads
    assert layers.get_all_layers(small)[1].rows.tolist() == [3, 3, 0, 1, 3, 2, 3, 3, 3]


def test_the_layer_must_be_chosen_if_two_have_words():
    embeddings = [BayesianEmbeddingLayer((None, 4), V, E, group_kind="L", name=name) for name in ("words", "tags")]
    output = BayesianDenseLayer(layers.ConcatLayer(embeddings, axis=2), 2)
    with pytest.raises(ReportedError) as error:
        kept_words(output, WORDS)
    assert str(error.value) == "2 layers have group variables of words (words, tags): choose one by the argument layer"
    assert len(kept_words(output, WORDS, layer=embeddings[1])) == V


# -- errors ------------------------------------------------------------------------------------------------------------

def lstm_with_state():
    state = layers.InputLayer((None, H))
    lstm = BayesianLSTMLayer(layers.InputLayer((None, 5, E)), H, hid_init=state, name="carrying")
    return BayesianDenseLayer(lstm, 2)


def mean_over_time(**attributes):
    lstm = BayesianLSTMLayer(layers.InputLayer((None, 5, E)), H, name="lstm", hid_kind="L")

    class Mean(layers.Layer):
        def get_output_shape_for(self, input_shape):
            return input_shape[0], input_shape[2]

        def get_output_for(self, input, **kwargs):
            return input.mean(axis=1)
    mean = Mean(lstm, name="mean")
    vars(mean).update(attributes)
    return BayesianDenseLayer(mean, 2)


REFUSED = {
    "another layer": (mean_over_time, "layer mean is a Mean, and this class of layers is not supported"),
    "initial state": (lstm_with_state, "layer carrying is a BayesianLSTMLayer, and its initial state has the original "
                                       "number of units"),
    "shape": (lambda: BayesianDenseLayer((None, E), 2),
              "layer without a name is a BayesianDenseLayer, and its input is a shape, not a layer"),
    "LSTM at the output": (
        lambda: BayesianLSTMLayer(layers.InputLayer((None, 5, E)), H, name="last", hid_kind="N",
                                  W_hid=lasagne.init.Normal(1.)),
        "layer last is a BayesianLSTMLayer, and no layer above it can take over the group variables of its units"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_cannot_be_made_smaller_is_named(case):
    make, reason = REFUSED[case]
    output = make()
    if case == "LSTM at the output":
        output.z_hid.mean().set_value(np.array([1., 2., 3.]))
    with pytest.raises(ReportedError) as error:
        smaller_network(output)
    assert str(error.value) == ("the network cannot be made smaller: %s; use bayes_rnn.pruning.prune, which sets all "
                                "pruned weights to zero" % reason)
    prune(output)


def test_a_layer_of_ones_own_can_pass_units():
    output = mean_over_time(passes_units=True)
    lstm = named_layers(output)["lstm"]
    keep_only(lstm.z_hid, 1)
    keep_only(output.W, (0, 0), (1, 0))
    small = smaller_network(output)
    assert named_layers(small)["lstm"].num_units == 1 and compression_report(output).counts["lstm.z_h"] == (1, H)
    x = np.random.RandomState(0).randn(2, 5, E)
    input = layers.get_all_layers(output)[0].input_var
    expected, actual = compiled([input], [layers.get_output(output, pruned=True), layers.get_output(small)])(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-10)


def test_a_recurrent_layer_of_lasagne_without_mask_reads_all_units():
    lstm = layers.LSTMLayer(layers.InputLayer((None, 5, E)), H, name="reader")
    report = compression_report(BayesianDenseLayer(lstm, CLASSES, name="dense", W=lasagne.init.Constant(1.)))
    assert report.counts["reader.W_in_to_cell"] == (E * H, E * H) and report.counts["dense.w"] == (H * CLASSES,) * 2


def test_weights_of_all_parts_of_a_layer_count():
    """Their names have several words, or are equal."""
    input = layers.InputLayer((None, 5, E))
    counts = compression_report(BayesianDenseLayer(SparseLSTMLayer(input, 4, blocks=2, name="sparse"), 2)).counts
    assert counts["sparse.component0_W_in"] == counts["sparse.component1_W_in"] == (E * 8, E * 8)
    assert counts["sparse.component1_W_hid"] == (2 * 8, 2 * 8)
    counts = compression_report(BayesianDenseLayer(layers.RecurrentLayer(input, H, name="reader"), 2)).counts
    assert [count for name, count in counts.items() if name.startswith("reader")] == [(E * H,) * 2, (H * H,) * 2]


def test_prune_also_removes_weights_of_layers_that_are_not_bayesian():
    lstm = BayesianLSTMLayer((None, 5, E), H, hid_kind="L", only_return_final=True, W_in=np.ones((E, 4 * H)))
    keep_only(lstm.z_hid, 1)
    output = layers.DenseLayer(lstm, CLASSES, name="output", W=lasagne.init.Constant(1.))
    report = compression_report(output)
    prune(output)
    assert report.counts["output.W"] == (CLASSES, H * CLASSES)
    np.testing.assert_array_equal(output.W.get_value(), [[0] * CLASSES, [1] * CLASSES, [0] * CLASSES])


def test_prune_keeps_shared_weights_that_one_layer_needs():
    shared, input = theano.shared(np.ones((H, 2))), layers.InputLayer((None, 5, E))
    below = [BayesianLSTMLayer(input, H, hid_kind="L", only_return_final=True, name=name) for name in ("a", "b")]
    for lstm, unit in zip(below, (0, 1)):
        keep_only(lstm.z_hid, unit)
    prune(layers.ElemwiseSumLayer([BayesianDenseLayer(lstm, 2, W=shared, kind="D") for lstm in below]))
    np.testing.assert_array_equal(shared.get_value(), [[1, 1], [1, 1], [0, 0]])


def test_errors_of_objective_and_training_step():
    plain = layers.DenseLayer((None, E), 2)
    for function in (kl, compression_report, prune, smaller_network):
        with pytest.raises(ReportedError, match="the network has no Bayesian layer; use the layers of bayes_rnn"):
            function(plain)
    input = layers.InputLayer((None, E))
    with pytest.raises(ReportedError, match="the network must have one output layer, got 2"):
        smaller_network([BayesianDenseLayer(input, 2), BayesianDenseLayer(input, 2)])
    output = BayesianDenseLayer(BayesianDenseLayer(input, 4, name="dense"), 2, name="dense")
    with pytest.raises(ReportedError, match="layer names must be different, got 'dense' twice"):
        kl(output)
    output = BayesianDenseLayer(input, 2, name="dense")
    loss = layers.get_output(output, deterministic=True).mean()
    with pytest.raises(ReportedError) as error:
        training_step(output, loss, TRAIN_SIZE, 0.01)
    assert str(error.value) == ("data_loss does not depend on dense.W.log_sigma; compute it from "
                                "lasagne.layers.get_output of the same network, without deterministic=True and "
                                "pruned=True")
    with pytest.raises(ReportedError, match="train_size must be the number of training examples, got 0"):
        training_step(output, layers.get_output(output).mean(), 0, 0.01)
    above = BayesianDenseLayer(output, 2, W=output.W.mean(), name="above")
    with pytest.raises(ReportedError, match="layer above shares the parameter dense.W of a random variable with"):
        training_step(above, layers.get_output(above).mean(), TRAIN_SIZE, 0.01)
    with pytest.raises(ReportedError, match="the vocabulary must have as many words as the network, 9, got 2"):
        embedding = BayesianEmbeddingLayer((None, 4), V, E, group_kind="L")
        kept_words(BayesianDenseLayer(embedding, 2), ["a", "b"])
