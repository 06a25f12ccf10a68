"""The tagger: no effect of padding and of other sentences, position of each dropout, evaluation counts."""

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.dropouts import assert_fraction, pass_through, passed
from helpers.networks import compiled, randomise

from sparse_seq_theano.architecture import tagger_architecture
from sparse_seq_theano.dropout import DropoutNoise
from sparse_seq_theano.tagger import Tagger

V, TAGS, P = 15, 4, 0.4
LENGTHS = np.array([3, 5, 1, 4])
REAL = np.arange(5) < LENGTHS[:, np.newaxis]
TOKENS = np.where(REAL, np.random.RandomState(0).randint(0, V, REAL.shape), 0).astype("int32")
TAG_IDS = np.where(REAL, np.random.RandomState(1).randint(0, TAGS, REAL.shape), 0).astype("int32")


pytestmark = pytest.mark.usefixtures("only_fused_in_c", "double_precision", "seeded")


def architecture(**options):
    return tagger_architecture(V, **dict(dict(tags=TAGS, emsize=6, nhid=5, emb_blocks=3, emb_density=0.6), **options))


# -- padding and neighbours --------------------------------------------------------------------------------------------

class Compiled(object):
    """A tagger without dropout, and its results for a minibatch, by name."""

    def __init__(self, layers):
        self.network = network = randomise(Tagger(architecture(layers=layers)), seed=2)
        scores = network.scores()
        loss = network.loss(scores)
        parameters = network.parameters()
        function = compiled(network.inputs + [network.tags], [scores, loss] + network.evaluation()
                            + theano.grad(loss, list(parameters.values())))
        names = ["scores", "loss", "right", "count", "summed"] + list(parameters)

        def call(tokens, real, tags):
            values = dict(zip(names, function(tokens, real.astype("uint8"), tags)))
            assert values["scores"].shape == (tokens.size, TAGS)
            values["scores"] = values["scores"].reshape(tokens.shape + (TAGS,))
            return values
        self.call, self.parameters = call, parameters


@pytest.fixture(scope="module", params=[1, 2])
def tagger(request, double_precision):
    return Compiled(request.param)


def test_padding_never_matters(tagger):
    """Neither the amount nor the content of the padding changes a result."""
    expected = tagger.call(TOKENS, REAL, TAG_IDS)
    rng = np.random.RandomState(3)
    for extra in (0, 3):
        wide = [np.pad(array, [(0, 0), (0, extra)], mode="constant") for array in (TOKENS, REAL, TAG_IDS)]
        tokens = np.where(wide[1], wide[0], rng.randint(0, V, wide[1].shape)).astype("int32")
        tags = np.where(wide[1], wide[2], rng.randint(0, TAGS, wide[1].shape)).astype("int32")
        values = tagger.call(tokens, wide[1], tags)
        np.testing.assert_allclose(values["scores"][wide[1]], expected["scores"][REAL], rtol=1e-10)
        for name in ["loss", "right", "count", "summed"] + list(tagger.parameters):
            np.testing.assert_allclose(values[name], expected[name], rtol=1e-9, atol=1e-13, err_msg=name)


def test_each_sentence_is_tagged_as_if_alone(tagger):
    together = tagger.call(TOKENS, REAL, TAG_IDS)
    alone = [tagger.call(TOKENS[row:row + 1, :length], REAL[row:row + 1, :length], TAG_IDS[row:row + 1, :length])
             for row, length in enumerate(LENGTHS)]
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(together["scores"][row, :length], alone[row]["scores"][0], rtol=1e-10)
    for name in ("right", "count", "summed"):
        np.testing.assert_allclose(together[name], sum(values[name] for values in alone), rtol=1e-10)
    # Each token counts as much as another, and not each sentence.
    weights = LENGTHS / float(LENGTHS.sum())
    for name in ["loss"] + list(tagger.parameters):
        np.testing.assert_allclose(together[name], sum(weight * values[name] for weight, values
                                                       in zip(weights, alone)), rtol=1e-9, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("position", [0, 4])
def test_every_score_depends_on_every_token_of_its_sentence(tagger, position):
    """The forward LSTM carries the first word to the end, the backward LSTM the last word to the beginning."""
    tokens = TOKENS.copy()
    tokens[1, position] = V - 1 - tokens[1, position]
    before, after = [tagger.call(array, REAL, TAG_IDS)["scores"] for array in (TOKENS, tokens)]
    assert np.all(before[1] != after[1])
    np.testing.assert_array_equal(np.delete(before, 1, axis=0)[np.delete(REAL, 1, axis=0)],
                                  np.delete(after, 1, axis=0)[np.delete(REAL, 1, axis=0)])


def test_evaluation_counts(tagger):
    values = tagger.call(TOKENS, REAL, TAG_IDS)
    scores = values["scores"]
    assert values["count"] == LENGTHS.sum()
    assert values["right"] == np.sum((scores.argmax(axis=2) == TAG_IDS)[REAL])
    log_probabilities = scores - np.log(np.exp(scores).sum(axis=2, keepdims=True))
    of_tags = np.sum(log_probabilities * np.eye(TAGS)[TAG_IDS], axis=2)
    np.testing.assert_allclose(values["summed"], -of_tags[REAL].sum(), rtol=1e-10)
    np.testing.assert_allclose(values["loss"], -of_tags[REAL].mean(), rtol=1e-10)
    best = scores.argmax(axis=2).astype("int32")
    assert tagger.call(TOKENS, REAL, best)["right"] == LENGTHS.sum()
    assert tagger.call(TOKENS, REAL, (best + 1) % TAGS)["right"] == 0


def test_parameters(tagger):
    counts = tagger.network.architecture.parameter_counts()
    sizes = {name: parameter.get_value().size for name, parameter in tagger.parameters.items()}
    assert sum(sizes.values()) == counts["total"]
    assert sum(size for name, size in sizes.items() if name.startswith("lstm")) == counts["lstms"]
    directions = {name.rsplit(".", 2)[0] for name in sizes if name.startswith("lstm")}
    assert directions == {"lstm%d.%s" % (layer, direction) for layer in range(tagger.network.architecture.layers)
                          for direction in ("forwards", "backwards")}


def test_gradient_steps_learn_the_tags():
    network = Tagger(architecture(), dropouti=0.1, dropoute=0.1, wdrop=0.1, dropouth=0.1, noise=DropoutNoise(4))
    parameters = network.parameters()
    loss = network.loss(network.scores())
    updates = lasagne.updates.adam(loss, list(parameters.values()), learning_rate=0.05)
    step = compiled(network.inputs + [network.tags], loss, updates=updates)
    evaluate = compiled(network.inputs + [network.tags], network.evaluation())
    before = {name: parameter.get_value() for name, parameter in parameters.items()}
    tags = np.where(REAL, TOKENS % TAGS, 0).astype("int32")
    for _ in range(80):
        assert np.isfinite(step(TOKENS, REAL.astype("uint8"), tags))
    right, count, _ = evaluate(TOKENS, REAL.astype("uint8"), tags)
    assert right == count
    for name, parameter in parameters.items():
        assert not np.array_equal(parameter.get_value(), before[name]), name


# -- dropouts ----------------------------------------------------------------------------------------------------------

UNITS = 20
WORDS = np.random.RandomState(5).randint(0, V, (6, 7)).astype("int32")


def pattern_of_scores(expected, layers=1, **dropouts):
    """Return which scores ``(batch, time, units)`` were kept in a tagger that passes on an embedding of ones.

    The kept scores must have the expected values; the others must be 0.
    """
    network = Tagger(tagger_architecture(V, tags=UNITS, emsize=UNITS, nhid=UNITS, layers=layers), noise=DropoutNoise(6),
                     **dropouts)
    parameters = network.parameters()
    parameters["embedding.block0"].set_value(np.ones((V, UNITS)))
    for layer in network.layers.values():
        if layer.name.startswith("lstm"):
            pass_through(layer)
    for name, layer_inputs in (("intermediate", 2 * UNITS), ("output", UNITS)):
        parameters[name + ".W"].set_value(np.eye(layer_inputs, UNITS))
        parameters[name + ".b"].set_value(np.zeros(UNITS))
    scores = compiled(network.inputs, network.scores())(WORDS, np.ones(WORDS.shape, "uint8"))
    scores = scores.reshape(WORDS.shape + (UNITS,))
    pattern = scores > 0.01
    np.testing.assert_allclose(scores, np.where(pattern, expected, 0), rtol=1e-9, atol=1e-12)
    return pattern


def test_dropoute_drops_words_wherever_they_stand():
    pattern = pattern_of_scores(np.tanh(passed(1 / (1 - P), 1)), dropoute=P)
    by_word = [np.unique(pattern[WORDS == word]) for word in np.unique(WORDS)]
    assert all(len(values) == 1 for values in by_word)
    assert 0 < np.mean(by_word) < 1


def test_dropouti_drops_dimensions_of_a_sentence():
    pattern = pattern_of_scores(np.tanh(passed(1 / (1 - P), 1)), dropouti=P)
    np.testing.assert_array_equal(pattern, np.broadcast_to(pattern[:, :1], pattern.shape))
    assert len(np.unique(pattern[:, 0], axis=0)) == len(WORDS)
    assert_fraction(pattern, 1 - P, len(WORDS) * UNITS)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_dropouth_drops_single_numbers_between_lstms_and_before_the_tags(layers):
    expected = passed(1., 1)
    for _ in range(layers - 1):
        expected = passed(expected / (1 - P), 1)
    pattern = pattern_of_scores(np.tanh(expected) / (1 - P), layers=layers, dropouth=P)
    assert_fraction(pattern, (1 - P) ** layers, pattern.size)
    for axis in range(3):                       # nothing shares a mask
        pairs = np.moveaxis(pattern, axis, 0)
        assert_fraction(pairs[1:] & pairs[:-1], (1 - P) ** (2 * layers), pairs[1:].size)


def test_wdrop_drops_recurrent_weights_of_the_first_lstms_only():
    """A weight that is dropped at all steps of all sentences has no gradient."""
    network = Tagger(architecture(layers=2, nhid=12), wdrop=P, noise=DropoutNoise(7))
    parameters = network.parameters()
    gradients = dict(zip(parameters, compiled(
        network.inputs, theano.grad(T.sum(network.scores() ** 2), list(parameters.values())))(
            WORDS, np.ones(WORDS.shape, "uint8"))))
    dropped = ["lstm0.%s.component0.W_hid" % direction for direction in ("forwards", "backwards")]
    for name in dropped:
        assert_fraction(gradients[name] != 0, 1 - P, gradients[name].size)
    assert not np.array_equal(*[gradients[name] != 0 for name in dropped])
    for name in parameters:
        if name not in dropped and not name.startswith("embedding"):
            assert np.all(gradients[name] != 0), name


def test_evaluation_is_without_dropouts():
    with_all = randomise(Tagger(architecture(layers=2), dropouti=P, dropoute=P, wdrop=P, dropouth=P))
    outputs = with_all.evaluation() + [with_all.scores(deterministic=True)]
    assert with_all.noise.states() == []
    plain = randomise(Tagger(architecture(layers=2)))
    scores = plain.scores()
    expected = compiled(plain.inputs + [plain.tags], plain.evaluation() + [scores])(
        TOKENS, REAL.astype("uint8"), TAG_IDS)
    evaluate = compiled(with_all.inputs + [with_all.tags], outputs + [with_all.scores()])
    first, second = [evaluate(TOKENS, REAL.astype("uint8"), TAG_IDS) for _ in range(2)]
    for value, again, wanted in zip(first[:-1], second, expected):
        np.testing.assert_array_equal(value, again)
        np.testing.assert_allclose(value, wanted, rtol=1e-10)
    assert not np.allclose(first[-1], second[-1])                       # in training


@pytest.mark.parametrize("name", ["dropouti", "dropoute", "wdrop", "dropouth"])
def test_probabilities_that_are_none(name):
    with pytest.raises(ReportedError, match=r"^%s must be in \[0, 1\), got 1.5$" % name):
        Tagger(architecture(), **{name: 1.5})
