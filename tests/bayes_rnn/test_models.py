"""The text classifier and the language model: parameters, objective, carried state, padding."""

from theano_rnn.ops.normal_noise import NormalNoise

import numpy as np
import pytest
import theano.tensor as T
from helpers.networks import compiled, randomise

from bayes_rnn.config import parse_config
from bayes_rnn.models import LanguageModel, TextClassifier

V, E, H = 7, 3, 2


pytestmark = pytest.mark.usefixtures("only_fused_in_c", "double_precision")


def classifier(config="LLLCCL", classes=2, **options):
    return TextClassifier(parse_config(config, "classification"), V, E, H, classes, **options)


def language_model(config="LCIL", level="words", **options):
    return LanguageModel(parse_config(config, "language model"), V, H, level, **options)


def shapes(network):
    return [(name, p.get_value().shape) for name, p in network.parameters().items()]


def both(name, *shape):
    return [(name, shape), (name + ".log_sigma", shape)]


# Checkpoints contain these names. With other names, old checkpoints could not be read.
NAMES = {
    "LLLLLL": both("embedding.W", V, E) + both("embedding.z_voc", V) + both("lstm.W_in", E, 4 * H) +
    both("lstm.W_hid", H, 4 * H) + [("lstm.b", (4 * H,))] + both("lstm.z_in", E) + both("lstm.z_hid", H) +
    both("lstm.z_gates", 4 * H) + both("dense.W", H, 1) + [("dense.b", (1,))],
    "DCDCCD": [("embedding.W", (V, E)), ("lstm.W_in", (E, 4 * H)), ("lstm.W_hid", (H, 4 * H)), ("lstm.b", (4 * H,)),
               ("dense.W", (H, 1)), ("dense.b", (1,))],
    "LLRL": both("lstm.W_in", V, 4 * H) + both("lstm.W_hid", H, 4 * H) + [("lstm.b", (4 * H,))] +
    both("lstm.z_hid", H) + both("lstm.z_gates", 4 * H) + both("dense.W", H, V) + [("dense.b", (V,))],
}


@pytest.mark.parametrize("config", sorted(NAMES))
def test_names_and_shapes_of_parameters(config):
    network = classifier(config) if len(config) == 6 else language_model(config)
    assert shapes(network) == NAMES[config]
    names = [name for name, _ in NAMES[config]]
    expected = ["lstm.W_in", "lstm.W_hid", "lstm.z_in", "lstm.z_hid", "lstm.z_gates", "dense.W"]
    if len(config) == 6:
        expected = ["embedding.W", "embedding.z_voc"] + expected
    assert list(network.random_variables()) == expected         # constants included
    assert set(names) - set(expected) - set(n + ".log_sigma" for n in expected) == {"lstm.b", "dense.b"}


def test_initial_values():
    forget = np.repeat([0., 1., 0., 0.], H)
    for network, bias, gain in ((classifier(), forget, 1.1), (language_model(level="words"), forget, 1.),
                                (language_model(level="characters"), 0 * forget, 1.)):
        p = dict((name, parameter.get_value()) for name, parameter in network.parameters().items())
        np.testing.assert_array_equal(p["lstm.b"], bias)
        for gate in np.split(p["lstm.W_hid"], 4, axis=1):
            np.testing.assert_allclose(gate.T.dot(gate), gain ** 2 * np.eye(H), atol=1e-10)
        assert np.all(p["lstm.W_in.log_sigma"] == -3) and np.all(p["dense.b"] == 0)
    np.testing.assert_array_equal(p["lstm.z_in"], np.ones(V))
    vectors = np.random.RandomState(0).randn(V, E)
    np.testing.assert_array_equal(
        classifier(embedding_init=vectors).parameters()["embedding.W"].get_value(), vectors)


#: Argument of `randomise`: about 30 % of the elements that can be pruned are pruned.
MOST = {"log_sigma": (0.7, -2., 4.)}


TOKENS = np.array([[0, 0, 1, 5, 2], [1, 4, 5, 3, 6], [0, 1, 2, 2, 6]], dtype="int32")
MASK = (TOKENS != 0).astype("uint8")


def test_padding_on_the_left_changes_no_prediction():
    network = randomise(classifier("LLLLLL"), **MOST)
    predict = compiled(network.inputs, [network.prediction(deterministic=True), network.prediction(pruned=True)])
    together = predict(TOKENS, MASK)
    for row, mask in enumerate(MASK):
        first = mask.argmax()
        alone = predict(TOKENS[row:row + 1, first:], MASK[row:row + 1, first:])
        for a, b in zip(together, alone):
            np.testing.assert_allclose(a[row], b[0], rtol=1e-12)
    other = TOKENS.copy()
    other[MASK == 0] = 3                            # the tokens of the padding have no effect
    for a, b in zip(together, predict(other, MASK)):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(together[0], together[1])


@pytest.mark.parametrize("classes", [2, 4])
def test_objective_of_the_classifier(classes):
    network = randomise(classifier("LLLCCL", classes), **MOST)
    targets = np.array([1, 0, classes - 1], dtype="int32")
    mode = {"deterministic": True}
    prediction, data_loss, loss, kl, right, count = compiled(
        network.inputs + [network.targets],
        [network.prediction(**mode), network.data_loss(**mode), network.loss(50, **mode),
         T.stack(list(network.kl().values()))] + network.evaluation(**mode))(TOKENS, MASK, targets)
    probabilities = np.concatenate([1 - prediction, prediction], axis=1) if classes == 2 else prediction
    assert probabilities.shape == (3, classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(data_loss, -np.log(probabilities[np.arange(3), targets]).mean())
    np.testing.assert_allclose(loss, data_loss + kl.sum() / 50)
    assert list(network.kl()) == ["embedding", "lstm", "dense"] and np.all(kl != 0)
    assert (right, count) == ((probabilities.argmax(axis=1) == targets).sum(), 3)

    # The loss of a prediction that is certain and wrong is limited to log 10^6.
    network.parameters()["dense.b"].set_value(np.array([1000.] + [0.] * (classes - 1))[:1 if classes == 2 else classes])
    wrong = np.array([0 if classes == 2 else 1] * 3, dtype="int32")
    worst = compiled(network.inputs + [network.targets], network.data_loss(**mode))(TOKENS, MASK, wrong)
    np.testing.assert_allclose(worst, np.log(1e6), rtol=1e-6)


@pytest.mark.parametrize("level", ["characters", "words"])
def test_objective_of_the_language_model(level):
    network = randomise(language_model("LCIL", level), **MOST)
    inputs = [TOKENS] + [np.zeros((3, H))] * (2 if level == "words" else 0)
    targets = np.roll(TOKENS, -1, axis=1)
    mode = {"deterministic": True}
    prediction, data_loss, loss, total, count, kl = compiled(
        network.inputs + [network.targets],
        [network.prediction(**mode), network.data_loss(**mode), network.loss(50, **mode)] +
        network.evaluation(**mode)[:2] + [sum(network.kl().values())])(*(inputs + [targets]))
    np.testing.assert_allclose(prediction.sum(axis=1), np.ones(15))
    np.testing.assert_allclose(data_loss, -np.log(prediction[np.arange(15), targets.ravel()]).mean())
    np.testing.assert_allclose(loss, data_loss + kl / 50)
    np.testing.assert_allclose(total, 15 * data_loss)
    assert count == 15 and list(network.kl()) == ["lstm", "dense"]
    assert len(network.evaluation()) == (4 if level == "words" else 2)


def test_scores_of_any_size_have_a_finite_loss():
    network = randomise(language_model("DCCD", "characters"), **MOST)
    network.parameters()["dense.b"].set_value(np.linspace(-1000, 1000, V))
    loss = network.data_loss()
    gradients = T.grad(loss, list(network.parameters().values()))
    values = compiled(network.inputs + [network.targets], [loss] + gradients)(TOKENS, np.roll(TOKENS, -1, axis=1))
    assert values[0] > 100 and all(np.isfinite(value).all() for value in values)


@pytest.mark.parametrize("mode", [{"deterministic": True}, {"pruned": True}], ids=["mean", "pruned"])
def test_two_halves_with_the_state_carried_are_one_whole(mode):
    network = randomise(language_model("LLLL", "words"), **MOST)
    scores, state = network.scores(**mode)
    run = compiled(network.inputs, [scores] + list(state))
    start = network.initial_state(3)
    assert [array.shape for array in start] == [(3, H)] * 2 and not np.any(start)
    whole = run(TOKENS, *start)
    first = run(TOKENS[:, :2], *start)
    second = run(TOKENS[:, 2:], *first[1:])
    np.testing.assert_allclose(np.concatenate([first[0], second[0]], axis=1), whole[0], rtol=1e-12)
    for a, b in zip(second[1:], whole[1:]):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert not np.allclose(run(TOKENS[:, 2:], *start)[0], second[0])
    assert language_model(level="characters").initial_state(3) == []


def test_a_training_step_touches_only_the_rows_it_uses_beside_the_kl():
    network = classifier("LLLCCL", noise=NormalNoise(1))
    names = ["embedding.W", "embedding.W.log_sigma", "embedding.z_voc", "embedding.z_voc.log_sigma"]
    parameters = [network.parameters()[name] for name in names]
    gradients = compiled(network.inputs + [network.targets], T.grad(network.data_loss(), parameters))(
        TOKENS[:, 2:], MASK[:, 2:], np.array([0, 1, 0], dtype="int32"))
    used = np.zeros(V, dtype=bool)
    used[TOKENS[:, 2:]] = True
    assert not used.all()
    for gradient in gradients:
        assert np.all(gradient[used] != 0) and np.all(gradient[~used] == 0)


def test_all_layers_draw_from_one_noise_that_can_be_restored():
    noise = NormalNoise(5)
    network = classifier("LLLLLL", noise=noise)
    assert all(layer.noise is noise for layer in network.layers.values())
    loss = compiled(network.inputs + [network.targets], network.data_loss())
    arguments = (TOKENS, MASK, np.array([0, 1, 0], dtype="int32"))
    loss(*arguments)
    saved = [state.get_value() for state in noise.states()]
    assert len(saved) == 8                          # one for each of W and z of the embedding, the LSTM's 5, dense
    expected = [float(loss(*arguments)) for _ in range(3)]
    for state, value in zip(noise.states(), saved):
        state.set_value(value)
    assert [float(loss(*arguments)) for _ in range(3)] == expected
    assert len(set(expected)) == 3
