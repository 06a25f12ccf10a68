"""Pruning and export: a compressed model predicts the same as the pruned network; masks, counts and report."""

import numpy as np
import pytest
from helpers.networks import compiled, floatx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_rnn.config import parse_config
from bayes_rnn.export import compress, save_model
from bayes_rnn.models import LanguageModel, TextClassifier
from bayes_rnn.predictor import ClassPredictor, NextTokenPredictor, load_model, log_softmax
from bayes_rnn.pruning import compression_report, keep_masks, kept_words
from Experiments.shared.data import minibatches as batches
from Experiments.shared.data.text_classification import TextData, encode_documents

VOCABULARY = ["good", "bad", "film", "the", "a", "plot", "</s>"]
E, H, LENGTH = 3, 3, 7
TEXTS = ["", "good", "a good film", "the bad plot, the bad film", "zzz", "good zzz film: never seen", "bad bad bad bad",
         "the the the the the the the plot good good", "plot zzz zzz zzz zzz zzz zzz zzz bad"]
DETAILS = {"kind": "text", "dataset": "IMDB", "length": LENGTH, "lower_case": False}
# CONFIG, classes, words of the vocabulary that have a row (6: </s> is then out of the vocabulary), precision
CLASSIFIERS = {
    "LLLCCL": ("LLLCCL", 2, 20000, "float64"),
    "LLLLLL": ("LLLLLL", 4, 6, "float64"),
    "LCLCCL": ("LCLCCL", 2, 4, "float64"),
    "DCDCCD": ("DCDCCD", 2, 6, "float64"),
    "DLDCLD": ("DLDCLD", 3, 6, "float64"),
    "LDLLIL": ("LDLLIL", 2, 6, "float64"),
    "NNLNRN": ("NNLNRN", 2, 6, "float64"),
    "LLLLRL": ("LLLLRL", 2, 6, "float64"),
    "LLLCLL, float32": ("LLLCLL", 2, 6, "float32"),
}
LANGUAGE_MODELS = {
    "LCIL": ("LCIL", "characters", "float64"),
    "LLRL": ("LLRL", "words", "float64"),
    "LLLL": ("LLLL", "words", "float64"),
    "DCCD": ("DCCD", "characters", "float64"),
    "NDNN": ("NDNN", "characters", "float64"),
    "LCLL, float32": ("LCLL", "words", "float32"),
}
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
CHARACTERS = ["a", "b", "_", "\n", "c"]
WORDS = ["<eos>", "<unk>", "cat", "dog", "sat"]
KEPT, PRUNED = -2., 6.                              # log sigma, for weights of about 1


class Case(object):
    """A tiny network, compiled once, whose parameters the tests vary."""

    def prepare(self, network, outputs):
        self.network = network
        self.predict = compiled(network.inputs, outputs)
        self.variables = network.random_variables()

    def randomise(self, seed, densities):
        """Set random parameters; about this fraction of each random variable (in order) is kept."""
        rng = np.random.RandomState(seed)
        parameters = self.network.parameters()
        for (name, variable), density in zip(self.variables.items(), densities):
            if name in parameters:
                values = rng.uniform(0.3, 1.5, variable.shape) * rng.choice([-1, 1], variable.shape)
                parameters[name].set_value(values.astype(self.dtype))
            if name + ".log_sigma" in parameters:
                log_sigma = np.where(rng.rand(*variable.shape) < density, KEPT, PRUNED)
                parameters[name + ".log_sigma"].set_value(log_sigma.astype(self.dtype))
        for name in ("lstm.b", "dense.b"):
            shape = parameters[name].get_value().shape
            parameters[name].set_value(rng.uniform(-1, 1, shape).astype(self.dtype))

    def close(self, actual, expected):
        tolerance = TOLERANCE[self.dtype]
        assert actual.dtype == self.dtype
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


class ClassifierCase(Case):
    def __init__(self, config, classes, words_kept, dtype):
        self.words, self.dtype = batches.model_words(VOCABULARY, words_kept), dtype
        self.details = dict(DETAILS, classes=["class %d" % k for k in range(classes)])
        with floatx(dtype):
            network = TextClassifier(parse_config(config, "classification"), len(self.words), E, H, classes)
            self.prepare(network, network.prediction(pruned=True))
        documents = encode_documents(TEXTS, np.zeros(len(TEXTS)), VOCABULARY)
        data = TextData(VOCABULARY, documents, documents, classes)
        # The rows of the test part are shuffled; put them back in order.
        part = batches.text_split(data, 0., words_kept, LENGTH)["test"]
        order = np.argsort(np.random.RandomState(batches.SPLIT_SEED).permutation(len(TEXTS)))
        (self.tokens, self.mask, _), = batches.text_minibatches(part, len(TEXTS), order)

    def check(self):
        arrays, metadata = compress(self.network, self.words, self.details)
        model = ClassPredictor(arrays, metadata)
        pruned = self.predict(self.tokens, self.mask)
        if pruned.shape[1] == 1:
            pruned = np.concatenate([1 - pruned, pruned], axis=1)
        self.close(model.predict(TEXTS), pruned)
        rows = model.rows([self.words[token] for token in self.tokens.ravel()]).reshape(self.tokens.shape)
        self.close(model.predict_rows(rows, self.mask), pruned)
        return model


class LanguageModelCase(Case):
    def __init__(self, config, level, dtype):
        self.dtype, self.level = dtype, level
        self.words = CHARACTERS if level == "characters" else WORDS
        with floatx(dtype):
            network = LanguageModel(parse_config(config, "language model"), len(self.words), H, level)
            self.prepare(network, network.prediction(pruned=True))

    def check(self):
        arrays, metadata = compress(self.network, self.words, {"kind": self.level})
        model = NextTokenPredictor(arrays, metadata)
        tokens = np.random.RandomState(0).randint(0, len(self.words), (4, 6)).astype("int32")
        pruned = self.predict(tokens, *self.network.initial_state(4)).reshape(4, 6, -1)
        rows = model.rows([self.words[token] for token in tokens.ravel()]).reshape(tokens.shape)
        scores = np.stack([model.scores(h) for h, _ in model.run(rows)], axis=1)
        self.close(np.exp(log_softmax(scores)), pruned)
        return model


@pytest.fixture(scope="module")
def cases():
    """Return a function that maps a name to its case; a case is created when it is first used."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = (ClassifierCase(*CLASSIFIERS[name]) if name in CLASSIFIERS else
                          LanguageModelCase(*LANGUAGE_MODELS[name]))
        return made[name]

    return get


quickly = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
densities = st.lists(st.sampled_from([0., 0.3, 0.7, 1.]), min_size=8, max_size=8)
seeds = st.integers(0, 2 ** 32 - 1)
# Nothing pruned, everything pruned, and all of one random variable pruned.
EXTREMES = [[1.] * 8, [0.] * 8] + [[1.] * k + [0.] + [1.] * (7 - k) for k in range(8)]


@pytest.mark.parametrize("name", sorted(CLASSIFIERS) + sorted(LANGUAGE_MODELS))
def test_the_small_network_predicts_what_the_pruned_one_does(cases, name):
    case = cases(name)
    for seed, extreme in enumerate(EXTREMES):
        case.randomise(seed, extreme)
        case.check()

    @quickly
    @given(seeds, densities)
    def check(seed, fractions):
        case.randomise(seed, fractions)
        model = case.check()
        masks = keep_masks(case.network)
        check_masks(case.network, masks)
        assert model.num_units == masks.hidden.sum()
        assert model.metadata["words"] == [case.words[i] for i in np.flatnonzero(masks.vocabulary)]
        assert model.arrays["gate_is_computed"].sum() == (masks.gates & masks.hidden).sum()

    check()


def test_single_precision_is_stored_as_such(cases):
    case = cases("LLLCLL, float32")
    case.randomise(1, [0.7] * 8)
    arrays, _ = compress(case.network, case.words, case.details)
    assert set(str(array.dtype) for array in arrays.values()) == {"float32", "bool"}


# -- extremes by name --------------------------------------------------------------------------------------------------

def test_everything_pruned(cases):
    case = cases("LLLLLL")
    case.randomise(0, [0.] * 8)
    model = case.check()
    assert model.num_units == 0 and model.metadata["words"] == [] and model.arrays["embedding"].shape == (0, 0)
    scores = case.network.parameters()["dense.b"].get_value()
    np.testing.assert_allclose(model.predict(["good film"])[0], np.exp(log_softmax(scores)))    # the biases alone
    assert compression_report(case.network).ratio == pytest.approx((9 * E + 24 * H + H * 4) / 1e-8)


def test_no_word_kept(cases):
    case = cases("LLLCCL")
    case.randomise(0, [1., 0.] + [1.] * 6)
    model = case.check()
    assert model.metadata["words"] == [] and model.num_units == H
    np.testing.assert_array_equal(model.predict(["good"]), model.predict(["bad"]))
    assert not np.allclose(model.predict(["good"]), model.predict(["good film"]))   # length still counts


def test_gates_that_do_not_depend_on_anything_are_constants(cases):
    case = cases("LLLLRL")
    case.randomise(3, [1.] * 8)
    log_sigma = case.network.parameters()["lstm.z_gates.log_sigma"]
    pattern = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 1]], dtype=bool)     # gate, unit
    log_sigma.set_value(np.where(pattern.ravel(), KEPT, PRUNED))
    model = case.check()
    np.testing.assert_array_equal(model.arrays["gate_is_computed"], pattern.ravel())
    b = case.network.parameters()["lstm.b"].get_value().reshape(4, H)
    expected = np.clip(0.2 * b + 0.5, 0, 1)
    expected[2] = np.tanh(b[2])
    np.testing.assert_allclose(model.arrays["gate_constants"], expected.ravel())
    assert model.arrays["W_in"].shape == (E, 7) and model.arrays["W_hid"].shape == (H, 7)


def test_words_outside_the_vocabulary_and_pruned_words(cases):
    case = cases("LLLCCL")
    outside, good = 2, 3
    case.randomise(0, [1.] * 8)
    log_sigma = case.network.parameters()["embedding.z_voc.log_sigma"]
    value = log_sigma.get_value()

    value[good], value[outside] = PRUNED, KEPT
    log_sigma.set_value(value)
    model = case.check()
    assert model.metadata["pruned_words"] == ["good"]
    np.testing.assert_array_equal(model.predict(["zzz film"]), model.predict(["yyy film"]))
    assert not np.allclose(model.predict(["zzz film"]), model.predict(["good film"]))

    value[outside] = PRUNED                         # now both are zeros
    log_sigma.set_value(value)
    model = case.check()
    assert "pruned_words" not in model.metadata
    np.testing.assert_array_equal(model.predict(["zzz film"]), model.predict(["good film"]))
    assert not np.allclose(model.predict(["zzz film"]), model.predict(["bad film"]))


def test_lower_case_is_part_of_the_model(cases):
    case = cases("LLLCCL")
    case.randomise(4, [1.] * 8)
    arrays, metadata = compress(case.network, case.words, dict(case.details, lower_case=True))
    lower, exact = ClassPredictor(arrays, metadata), case.check()
    np.testing.assert_array_equal(lower.predict(["GOOD Film"]), exact.predict(["good film"]))
    np.testing.assert_array_equal(exact.predict(["GOOD Film"]), exact.predict(["zzz zzz"]))


@pytest.mark.parametrize("name, text, tokens", [
    ("LCIL", " ab c\na ", ["a", "b", "_", "c", "\n", "a"]),
    ("LLRL", "cat sat\nbird dog\n", ["cat", "sat", "<eos>", "<unk>", "dog", "<eos>"])])
def test_cross_entropy_of_a_text(cases, name, text, tokens):
    case = cases(name)
    case.randomise(2, [0.8] * 8)
    model = case.check()
    ids = np.array([[case.words.index(token) for token in tokens]], dtype="int32")
    probabilities = case.predict(ids[:, :-1], *case.network.initial_state(1))
    nats, count = model.cross_entropy(text)
    assert count == len(tokens) - 1
    np.testing.assert_allclose(nats, -np.log(probabilities[np.arange(count), ids[0, 1:]]).mean())


def test_through_a_file(cases, tmp_path):
    path = str(tmp_path / "compressed.npz")
    for name in ("LLLLLL", "LLRL"):
        case = cases(name)
        case.randomise(6, [0.5] * 8)
        model = case.check()
        save_model(path, model.arrays, model.metadata)
        loaded = load_model(path)
        if name == "LLLLLL":
            np.testing.assert_array_equal(loaded.predict(TEXTS), model.predict(TEXTS))
        else:
            assert loaded.cross_entropy("cat sat dog") == model.cross_entropy("cat sat dog")


# -- masks and counts --------------------------------------------------------------------------------------------------

def check_masks(network, masks):
    """Compare the masks with the definition, element by element."""
    keep = dict((name, variable.keep_mask()) for name, variable in network.random_variables().items())
    W_in, W_hid, W_out = keep["lstm.W_in"], keep["lstm.W_hid"], keep["dense.W"]
    units, inputs, outputs = len(W_hid), len(W_in), W_out.shape[1]
    text = "embedding.W" in keep
    kept_inputs = [any(W_in[e]) and keep["lstm.z_in"][e] for e in range(inputs)]
    hidden = [(any(W_hid[h]) or any(W_out[h])) and keep["lstm.z_hid"][h] for h in range(units)]
    if text:
        W = keep["embedding.W"]
        pruned_words = network.random_variables()["embedding.z_voc"].prunable
        vocabulary = [keep["embedding.z_voc"][w] if pruned_words else any(W[w]) for w in range(len(W))]
        kept_inputs = [kept_inputs[e] and any(W[:, e]) for e in range(inputs)]
        for w in range(len(W)):
            for e in range(inputs):
                assert masks.embedding_W[w, e] == (W[w, e] and vocabulary[w] and kept_inputs[e])
        assert masks.embedding_units.tolist() == kept_inputs
    else:
        vocabulary = kept_inputs
        assert masks.embedding_units is masks.embedding_W is None
    assert masks.vocabulary.tolist() == vocabulary and masks.hidden.tolist() == hidden
    for g in range(4):
        for h in range(units):
            column = g * units + h
            into = [W_in[e, column] and kept_inputs[e] and hidden[h] for e in range(inputs)]
            around = [W_hid[k, column] and hidden[k] and hidden[h] for k in range(units)]
            assert masks.lstm_W_in[g, :, h].tolist() == into
            assert masks.lstm_W_hid[g, :, h].tolist() == around
            assert masks.gates[g, h] == (keep["lstm.z_gates"][column] and (any(into) or any(around)))
    for h in range(units):
        for k in range(outputs):
            assert masks.dense_W[h, k] == (W_out[h, k] and hidden[h])


def test_counts_and_ratio(cases):
    case = cases("LLLLLL")
    case.randomise(0, [0.6] * 8)
    masks = keep_masks(case.network)
    report = compression_report(case.network)
    assert report.counts["embedding.w"] == (masks.embedding_W.sum(), 9 * E)
    assert report.counts["lstm.w_h"] == (masks.lstm_W_hid.sum(), 4 * H * H)
    kept = sum(masks[i].sum() for i in range(4, 8))
    assert 0 < kept < 9 * E + 4 * E * H + 4 * H * H + 4 * H
    assert report.ratio == pytest.approx((9 * E + 4 * E * H + 4 * H * H + 4 * H) / float(kept))
    # The small model stores the kept weights except those into constant gates.
    arrays, _ = compress(case.network, case.words, case.details)
    stored = [np.count_nonzero(arrays[name]) for name in ("embedding", "W_in", "W_hid", "W_out")]
    gates = masks.gates[:, None] & masks.hidden
    assert stored == [masks.embedding_W.sum(), (masks.lstm_W_in & gates).sum(), (masks.lstm_W_hid & gates).sum(),
                      masks.dense_W.sum()]


def test_report_of_a_known_classifier(cases):
    case = cases("LLLCCL")                          # 10 words, 3 embedding units, 3 hidden units, 1 output
    case.randomise(0, [1.] * 8)
    parameters = case.network.parameters()

    def keep(name, *indices):
        parameter = parameters[name + ".log_sigma"]
        value = np.full(parameter.get_value().shape, PRUNED)
        for index in indices:
            value[index] = KEPT
        parameter.set_value(value)

    keep("embedding.z_voc", 3, 4)
    keep("embedding.W", (3, 0), (4, 0), (5, 0), (3, 1), (4, 2))     # word 5 is pruned
    # Inputs 0 and 1 lead somewhere, 2 does not. Columns: gate * 3 + unit.
    keep("lstm.W_in", (0, 0), (0, 4), (1, 8))                       # into units 0, 1 and 2, and 2 is pruned
    keep("lstm.W_hid", (0, 10))                                     # from unit 0 to the output gate of unit 1
    keep("dense.W", (1, 0))
    assert compression_report(case.network).text() == "\n".join([
        "Compression per layers:",
        "Embedding: (w: 3/30) (z_voc: 2/10) ",
        "LSTM: (w_x: 2/36) (w_h: 1/36) (z_x: 2/3) (z_h: 2/3) (gates: 3/12) ",
        "Dense: (w: 1/3) ",
        "Overall compression: %r" % (105 / (7 + 1e-8))])
    case.check()


def test_report_of_a_language_model_has_no_embedding(cases):
    case = cases("LCIL")                            # 5 characters, 3 hidden units
    case.randomise(0, [1.] * 8)
    assert compression_report(case.network).text() == "\n".join([
        "Compression per layers:",
        "LSTM: (w_x: 60/60) (w_h: 36/36) (z_x: 5/5) (z_h: 3/3) (gates: 12/12) ",
        "Dense: (w: 15/15) ",
        "Overall compression: %r" % (111 / (111 + 1e-8))])


@pytest.mark.parametrize("name, pruned, layers", [
    ("LLLCCL", (), ""), ("LLLCCL", ("lstm.W_hid",), ""), ("DCDCCD", (), ""), ("LCIL", ("lstm.W_hid",), ""),
    ("LLLCCL", ("embedding.z_voc",), "embedding.w"), ("LLLCCL", ("embedding.W",), "embedding.w, lstm.w_x"),
    ("LLLCCL", ("lstm.W_in",), "embedding.w, lstm.w_x"), ("LCIL", ("lstm.z_in",), "lstm.w_x"),
    ("LLLCCL", ("dense.W",), "dense.w"), ("LCIL", ("dense.W",), "dense.w")])
def test_a_line_says_when_no_weight_is_left_between_input_and_output(cases, name, pruned, layers):
    case = cases(name)
    case.randomise(0, [float(variable not in pruned) for variable in case.variables])
    warning = compression_report(case.network).warning()
    assert warning == (layers and "Pruning has removed everything: no weight is left in %s, so the predictions do not "
                       "depend on the input tokens" % layers or None)


# -- kept words --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, variable", [("LLLCCL", "embedding.z_voc"), ("LCIL", "lstm.z_in")])
def test_kept_words_come_by_importance(cases, name, variable):
    case = cases(name)
    case.randomise(0, [1.] * 8)
    mean, log_sigma = [case.network.parameters()[variable + suffix] for suffix in ("", ".log_sigma")]
    count = len(case.words)
    mu, log_s = np.zeros(count), np.full(count, -1.)                # mu = 0 is pruned
    mu[[0, 1, 2, 4]], log_s[2] = [1., -3., 1., 1.], -2.
    log_s[4] = 1.6                                                  # over the threshold at mu = 1, 1.5
    mean.set_value(mu)
    log_sigma.set_value(log_s)
    words = kept_words(case.network, case.words)
    assert [word for word, _ in words] == [case.words[1], case.words[2], case.words[0]]
    np.testing.assert_allclose([importance for _, importance in words], [3 * np.e, np.e ** 2, np.e])

    mean.set_value(np.ones(count))
    log_sigma.set_value(np.full(count, -1.))
    assert [word for word, _ in kept_words(case.network, case.words)] == list(case.words)   # ties in order


@pytest.mark.parametrize("name", ["LCLCCL", "LDLLIL", "LLRL"])
def test_no_kept_words_without_group_variables_of_kind_L(cases, name):
    case = cases(name)
    assert kept_words(case.network, case.words) is None
