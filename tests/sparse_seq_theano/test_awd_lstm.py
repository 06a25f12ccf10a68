"""The language model: position and shared masks of each dropout, penalties, mixture, carried state.

Most dropouts are observed in a network whose LSTMs pass on each number of their input; see `pass_through`.
"""

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.dropouts import assert_fraction, pass_through, passed
from helpers.networks import compiled, randomise

from sparse_seq_theano.architecture import SPARSE_MODES, language_model_architecture
from sparse_seq_theano.awd_lstm import AWDLanguageModel
from sparse_seq_theano.dropout import DropoutNoise

NONE = dict(dropout=0., dropouth=0., dropouti=0., dropoute=0., wdrop=0., dropoutl=0.)
V, E, P = 12, 20, 0.4
TOKENS = np.random.RandomState(0).randint(0, V, (6, 7)).astype("int32")
TARGETS = np.random.RandomState(1).randint(0, V, (6, 7)).astype("int32")


pytestmark = pytest.mark.usefixtures("only_fused_in_c", "seeded")


def with_dropouts(architecture, **dropouts):
    """Return a network with these dropouts only."""
    return AWDLanguageModel(architecture, noise=DropoutNoise(5), **dict(NONE, **dropouts))


def assert_locked(pattern):
    """Check that a pattern ``(batch, time, units)`` is the same at all time steps, but not for all examples."""
    np.testing.assert_array_equal(pattern, np.broadcast_to(pattern[:, :1], pattern.shape))
    assert len(np.unique(pattern[:, 0], axis=0)) == len(pattern)


# -- dropouts ----------------------------------------------------------------------------------------------------------

def kept(values, expected):
    """Return which values are equal to the expected one. The others must be 0."""
    pattern = values > 0.01
    np.testing.assert_allclose(values, np.where(pattern, expected, 0), rtol=1e-4, atol=1e-6)
    return pattern


def transparent(nlayers, **dropouts):
    """Return (raw, output) of a minibatch for LSTMs that pass on their input, with an embedding of ones."""
    network = with_dropouts(language_model_architecture(V, emsize=E, nhid=E, nlayers=nlayers), **dropouts)
    network.encoder.blocks[0].set_value(np.ones((V, E), dtype=theano.config.floatX))
    for lstm in network.lstms:
        pass_through(lstm)
    outputs = network.outputs()
    function = compiled(network.inputs, [outputs.raw, outputs.output])
    return lambda: function(TOKENS, *network.initial_state(len(TOKENS)))


def test_dropoute_drops_words_wherever_they_stand():
    draw = transparent(1, dropoute=P)
    fractions = []
    for _ in range(8):
        raw, output = draw()
        np.testing.assert_array_equal(raw, output)
        pattern = kept(raw, passed(1 / (1 - P), 1))
        by_word = [np.unique(pattern[TOKENS == word]) for word in np.unique(TOKENS)]
        assert all(len(values) == 1 for values in by_word)             # all dimensions of all occurrences together
        fractions.append(np.concatenate(by_word))
    assert not np.all(fractions[0] == fractions[1])
    assert_fraction(np.array(fractions), 1 - P, np.size(fractions))


def test_dropouti_drops_dimensions_of_an_example():
    raw, output = transparent(1, dropouti=P)()
    np.testing.assert_array_equal(raw, output)
    pattern = kept(raw, passed(1 / (1 - P), 1))
    assert_locked(pattern)
    assert_fraction(pattern, 1 - P, len(TOKENS) * E)


@pytest.mark.parametrize("nlayers", [1, 2, 3])
def test_dropouth_stands_between_lstms_only(nlayers):
    raw, output = transparent(nlayers, dropouth=P)()
    np.testing.assert_array_equal(raw, output)
    expected = passed(1., 1)
    for _ in range(nlayers - 1):
        expected = passed(expected / (1 - P), 1)
    pattern = kept(raw, expected)
    if nlayers == 1:
        assert pattern.all()
    else:
        assert_locked(pattern)
        assert_fraction(pattern, (1 - P) ** (nlayers - 1), len(TOKENS) * E)


def test_dropout_stands_after_the_last_lstm():
    raw, output = transparent(2, dropout=P)()
    np.testing.assert_allclose(raw, passed(1., 2), rtol=1e-5)
    pattern = kept(output, passed(1., 2) / (1 - P))
    assert_locked(pattern)
    assert_fraction(pattern, 1 - P, len(TOKENS) * E)


@pytest.mark.parametrize("dropouts", [dict(dropoutl=P), dict(dropoutl=-1., dropouth=P)], ids=str)
def test_dropoutl_stands_after_the_latent_layer(dropouts):
    """An embedding of unit vectors makes the latent layer's outputs, here all 1, the scores of the words.

    There is one LSTM, so dropouth acts only as the default of dropoutl.
    """
    network = with_dropouts(language_model_architecture(E, emsize=E, nlayers=1, nhidlast=3), **dropouts)
    for parameter, value in ((network.encoder.blocks[0], np.eye(E)), (network.latent.W, np.zeros((3, E))),
                             (network.latent.b, np.full(E, np.arctanh(0.9)))):
        parameter.set_value(value.astype(theano.config.floatX))
    outputs = network.outputs()
    log_probabilities, raw, output = compiled(
        network.inputs, [network.log_probabilities(outputs), outputs.raw, outputs.output])(
            TOKENS, *network.initial_state(len(TOKENS)))
    np.testing.assert_array_equal(raw, output)
    scores = (log_probabilities - log_probabilities.min(axis=1, keepdims=True)).reshape(TOKENS.shape + (E,))
    pattern = kept(scores, 0.9 / (1 - P))
    assert_locked(pattern)
    assert_fraction(pattern, 1 - P, len(TOKENS) * E)


def test_without_latent_layer_dropoutl_drops_nothing():
    network = with_dropouts(language_model_architecture(V, emsize=E, nhid=9), dropoutl=0.9)
    network.outputs()
    assert network.noise.states() == []


def test_wdrop_drops_recurrent_weights_of_every_lstm():
    """A weight that is dropped at all steps of all examples has no gradient."""
    architecture = language_model_architecture(V, emsize=14, nhid=18, sparse_mode="sparse_hidden", sparse_fract=0.7)
    assert [lstm.components for lstm in architecture.lstms] == [2, 3, 2]
    network = with_dropouts(architecture, wdrop=P)
    parameters = network.parameters()
    gradients = dict(zip(parameters, compiled(
        network.inputs, theano.grad(T.sum(network.outputs().raw ** 2), list(parameters.values()),
                                    disconnected_inputs="ignore"))(TOKENS, *network.initial_state(len(TOKENS)))))
    recurrent = [name for name in parameters if name.endswith("W_hid")]
    assert len(recurrent) == 2 + 3 + 2
    for name in recurrent:
        assert_fraction(gradients[name] != 0, 1 - P, gradients[name].size)
    for name in parameters:
        if name.startswith("rnn") and name not in recurrent:
            assert np.all(gradients[name] != 0), name


@pytest.mark.parametrize("name", sorted(NONE))
def test_probabilities_that_are_none(name):
    with pytest.raises(ReportedError, match=r"^%s must be in \[0, 1\), got 1.5$" % name):
        with_dropouts(language_model_architecture(V, emsize=4, nhid=5, n_experts=2), **{name: 1.5})


# -- two networks with everything in them ------------------------------------------------------------------------------

class Everything(object):
    """A randomised network with all dropouts, and its results for `TOKENS` and `TARGETS`, by name."""

    def __init__(self, **options):
        architecture = language_model_architecture(V, emsize=6, nhid=8, nlayers=2, emblocks=3, emdensity=0.6, **options)
        self.network = network = randomise(AWDLanguageModel(architecture, dropout=0.5, noise=DropoutNoise(2)), seed=3)
        self.plain = with_dropouts(architecture)
        for own, original in zip(self.plain.parameters().values(), network.parameters().values()):
            own.set_value(original.get_value())
        outputs, without = network.outputs(), self.plain.outputs()
        losses = [network.training_loss(outputs, alpha, beta) for alpha, beta in ((0., 0.), (2., 0.), (0., 3.),
                                                                                   (2., 3.))]
        function = compiled(
            network.inputs + [network.targets],
            [network.log_probabilities(outputs), network.token_losses(outputs),
             network.correct_predictions(outputs), outputs.output, outputs.raw, T.stack(losses)])
        names = ["log_probabilities", "token_losses", "right", "output", "raw", "losses"]
        self.call = lambda *arguments: dict(zip(names, function(*arguments)))
        self.without_dropouts = compiled(self.plain.inputs + [self.plain.targets],
                                         [self.plain.token_losses(without)] + without.final_state)
        self.evaluate = compiled(network.inputs + [network.targets], network.evaluation())

    def __call__(self, steps=slice(None)):
        return self.call(*self.arguments(steps))

    def arguments(self, steps=slice(None)):
        return [TOKENS[:, steps]] + self.network.initial_state(len(TOKENS)) + [TARGETS[:, steps]]


@pytest.fixture(scope="module")
def one_softmax():
    return Everything()


@pytest.fixture(scope="module")
def mixture():
    return Everything(n_experts=3)


@pytest.fixture(params=["one_softmax", "mixture"])
def everything(request):
    return request.getfixturevalue(request.param)


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_the_tied_decoder_sees_no_dropped_words(one_softmax):
    """If words are dropped in the encoder, the scores are products with the embedding without dropout."""
    values, network = one_softmax(), one_softmax.network
    assert network.encoder.word_dropout > 0
    scores = np.dot(values["output"].reshape((-1, 6)), network.encoder.assembled().eval().T)
    np.testing.assert_allclose(np.exp(values["log_probabilities"]), softmax(scores + network.decoder.b.get_value()),
                               rtol=1e-4, atol=1e-7)


def test_probabilities_sum_to_1_and_are_those_of_the_losses(everything):
    values = everything()
    assert values["log_probabilities"].shape == (TOKENS.size, V)
    np.testing.assert_allclose(np.exp(values["log_probabilities"]).sum(axis=1), 1, rtol=1e-5)
    of_targets = values["log_probabilities"][np.arange(TOKENS.size), TARGETS.ravel()]
    np.testing.assert_allclose(values["token_losses"], -of_targets, rtol=1e-4, atol=1e-6)


def test_mixture_of_softmaxes(mixture):
    """softmax(prior) weighs the softmaxes of the experts; the latent layer has no dropout."""
    network = mixture.plain
    outputs = network.outputs()
    log_probabilities, output = compiled(network.inputs, [network.log_probabilities(outputs), outputs.output])(
        *mixture.arguments()[:-1])
    rows = output.reshape((-1, 6))
    weights = softmax(rows.dot(network.prior.W.get_value()))
    hidden = np.tanh(rows.dot(network.latent.W.get_value()) + network.latent.b.get_value()).reshape((-1, 3, 6))
    experts = softmax(hidden.dot(network.encoder.assembled().eval().T) + network.decoder.b.get_value())
    np.testing.assert_allclose(np.exp(log_probabilities), np.einsum("nk,nkv->nv", weights, experts), rtol=1e-4,
                               atol=1e-7)


def test_correct_predictions(everything):
    values = everything()
    most_probable = values["log_probabilities"].argmax(axis=1)
    expected = np.sum(most_probable == TARGETS.ravel())
    assert values["right"] == expected
    outputs = everything.plain.outputs()
    count = compiled(everything.plain.inputs + [everything.plain.targets],
                     [everything.plain.correct_predictions(outputs), everything.plain.log_probabilities(outputs)])
    arguments = everything.arguments()
    best = count(*arguments)[1].argmax(axis=1).reshape(TOKENS.shape).astype("int32")
    assert count(*(arguments[:-1] + [best]))[0] == TOKENS.size
    assert count(*(arguments[:-1] + [(best + 1) % V]))[0] == 0


def test_alpha_acts_on_the_dropped_output_and_beta_on_the_raw_one(everything):
    values = everything()
    output, raw = values["output"], values["raw"]
    plain, with_alpha, with_beta, with_both = values["losses"]
    np.testing.assert_allclose(plain, values["token_losses"].mean(), rtol=1e-5)
    alpha, beta = 2 * np.mean(output ** 2), 3 * np.mean(np.diff(raw, axis=1) ** 2)
    np.testing.assert_allclose([with_alpha, with_beta, with_both], [plain + alpha, plain + beta, plain + alpha + beta],
                               rtol=1e-5)
    # It would show if one acted where the other does.
    assert abs(2 * np.mean(raw ** 2) - alpha) > 0.1 * alpha
    assert abs(3 * np.mean(np.diff(output, axis=1) ** 2) - beta) > 0.1 * beta


def test_a_minibatch_of_one_step_has_no_differences(one_softmax):
    """The penalty with beta is 0 (as with bptt 1), not NaN, the mean of an empty array."""
    plain, _, with_beta, _ = one_softmax(slice(0, 1))["losses"]
    assert np.isfinite(plain) and with_beta == plain


def test_evaluation_is_deterministic_and_that_of_a_network_without_dropouts(everything):
    first, second = [everything.evaluate(*everything.arguments()) for _ in range(2)]
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one, other)
    expected = everything.without_dropouts(*everything.arguments())
    np.testing.assert_allclose(first[0], expected[0].sum(), rtol=1e-5)
    assert first[1] == TOKENS.size
    assert len(first[2:]) == len(expected[1:]) == 2 * 2
    for state, wanted in zip(first[2:], expected[1:]):
        np.testing.assert_allclose(state, wanted, rtol=1e-5, atol=1e-6)
    # In training every minibatch is another.
    losses = [everything()["token_losses"] for _ in range(2)]
    assert not np.allclose(*losses) and not np.allclose(losses[0], expected[0])


def test_no_dropout_draws_nothing():
    network = AWDLanguageModel(language_model_architecture(V, emsize=4, nhid=5, n_experts=2))
    network.evaluation()
    assert network.noise.states() == []
    network.outputs()
    assert len(network.noise.states()) == 1 + 1 + 3 + 2 + 1 + 1      # words, dimensions, 3 wdrop, between, last, latent


def test_two_windows_with_the_state_carried_are_one(everything):
    loss, count = everything.evaluate(*everything.arguments())[:2]
    whole = everything.evaluate(*everything.arguments())[2:]
    state, halves = everything.network.initial_state(len(TOKENS)), []
    for window in (slice(0, 3), slice(3, None)):
        values = everything.evaluate(*([TOKENS[:, window]] + state + [TARGETS[:, window]]))
        halves.append(values[:2])
        state = values[2:]
    np.testing.assert_allclose(np.sum(halves, axis=0), [loss, count], rtol=1e-5)
    for carried, wanted in zip(state, whole):
        np.testing.assert_allclose(carried, wanted, rtol=1e-4, atol=1e-6)
    forgotten = everything.evaluate(*everything.arguments(slice(3, None)))
    assert not np.isclose(forgotten[0], halves[1][0], rtol=1e-4)


# -- sizes and initial weights -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("nhidlast, n_experts, has_latent", [
    (-1, 1, False), (6, 1, False), (7, 1, True), (-1, 2, True), (12, 2, False)])
def test_the_latent_layer(nhidlast, n_experts, has_latent):
    architecture = language_model_architecture(V, emsize=6, nhid=9, nhidlast=nhidlast, n_experts=n_experts)
    network = AWDLanguageModel(architecture)
    assert (network.latent is not None) == has_latent
    sizes = {name: parameter.get_value().size for name, parameter in network.parameters().items()}
    assert ("latent.W" in sizes) == has_latent
    by_part = {"encoder": 0, "rnns": 0, "prior": 0, "latent": 0}
    for name, size in sizes.items():
        part = name.split(".")[0]
        by_part["rnns" if part.startswith("rnn") else "encoder" if part == "decoder" else part] += size
    assert dict(by_part, total=sum(sizes.values())) == architecture.parameter_counts()


def test_initial_weights():
    network = AWDLanguageModel(language_model_architecture(200, emsize=30, nhid=50, nhidlast=40, n_experts=2))
    limits = {"encoder.block0": 0.1, "prior.W": 40 ** -0.5, "latent.W": 40 ** -0.5, "latent.b": 40 ** -0.5}
    for number, units in enumerate((50, 50, 40)):
        limits.update(("rnn%d.component0.%s" % (number, name), units ** -0.5)
                      for name in ("W_in", "W_hid", "b_in", "b_hid"))
    parameters = network.parameters()
    assert set(parameters) == set(limits) | {"decoder.b"}
    for name, limit in limits.items():
        values = parameters[name].get_value()
        assert 0.9 * limit < abs(values).max() <= limit * (1 + 1e-6), name
        assert abs(values.mean()) < 5 * limit / np.sqrt(3 * values.size), name
    assert not parameters["decoder.b"].get_value().any()


def test_initial_state():
    network = AWDLanguageModel(language_model_architecture(V, emsize=6, nhid=9))
    state = network.initial_state(4)
    assert [(array.shape, array.dtype) for array in state] == [
        ((4, units), theano.config.floatX) for units in (9, 9, 9, 9, 6, 6)]
    assert not any(array.any() for array in state)
    assert [variable.name for variable in network.inputs] == [
        "tokens", "hid0", "cell0", "hid1", "cell1", "hid2", "cell2"]
    assert network.state == [part for lstm in network.lstm_states for part in (lstm.hid, lstm.cell)]
    outputs = network.outputs()
    assert outputs.final_state == [part for lstm in outputs.lstm_states for part in (lstm.hid, lstm.cell)]


@pytest.mark.parametrize("mode", sorted(SPARSE_MODES))
@pytest.mark.parametrize("sizes", [dict(emsize=20, nhid=40), dict(emsize=30, nhid=60, nlayers=2),
                                   dict(emsize=20, nhid=40, nlayers=1)], ids=str)
def test_the_layers_are_those_of_the_architecture(mode, sizes):
    architecture = language_model_architecture(
        50, sparse_mode=mode, sparse_fract=1. if mode == "direct" else 0.6, emblocks=5, emdensity=0.4, **sizes)
    network = AWDLanguageModel(architecture)
    assert network.encoder.geometry == architecture.embedding
    assert len(network.lstms) == len(architecture.lstms)
    for lstm, geometry in zip(network.lstms, architecture.lstms):
        assert (lstm.geometry.input_segments, lstm.geometry.hidden_segments) == (
            geometry.input_segments, geometry.hidden_segments)
    sizes = [parameter.get_value().size for parameter in network.parameters().values()]
    assert sum(sizes) == architecture.parameter_counts()["total"]


@pytest.mark.parametrize("mode", sorted(SPARSE_MODES))
def test_gradient_steps_reach_every_parameter(mode):
    """All dropouts are active."""
    architecture = language_model_architecture(V, emsize=6, nhid=8, nlayers=2, n_experts=2, emblocks=3, emdensity=0.6,
                                         sparse_mode=mode, sparse_fract=1. if mode == "direct" else 0.7)
    network = AWDLanguageModel(architecture, dropout=0.1, dropouth=0.1, dropouti=0.1, dropoute=0.1, wdrop=0.1,
                               noise=DropoutNoise(4))
    parameters = network.parameters()
    loss = network.training_loss(network.outputs(), alpha=2., beta=1.)
    updates = lasagne.updates.sgd(loss, list(parameters.values()), learning_rate=0.5)
    step = compiled(network.inputs + [network.targets], loss, updates=updates)
    before = {name: parameter.get_value() for name, parameter in parameters.items()}
    arguments = [TOKENS] + network.initial_state(len(TOKENS)) + [TOKENS]
    losses = [float(step(*arguments)) for _ in range(30)]
    assert np.isfinite(losses).all() and np.mean(losses[-5:]) < np.mean(losses[:5])
    for name, parameter in parameters.items():
        assert not np.array_equal(parameter.get_value(), before[name]), name
