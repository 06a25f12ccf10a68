"""Compressed models: the file and prediction."""

import os
from concurrent.futures import ThreadPoolExecutor

from theano_rnn import numpy_predictor
from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays

import numpy as np
import pytest
from helpers.compressed_models import CHARACTERS, CLASSIFIER, UNITS, WORDS, random_arrays

from bayes_rnn.export import save_model
from bayes_rnn.predictor import GATE_NONLINEARITIES, ClassPredictor, NextTokenPredictor, load_model, log_softmax

# -- numbers -----------------------------------------------------------------------------------------------------------

def test_log_softmax_of_any_size():
    values = log_softmax(np.array([[0., 0.], [1000., -1000.], [-1e5, -1e5 + np.log(3)]]))
    np.testing.assert_allclose(np.exp(values), [[0.5, 0.5], [1, 0], [0.25, 0.75]], atol=1e-9)
    assert np.isfinite(values).all()


# -- the file ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["text", "characters", "words"])
def test_round_trip(models, paths, kind):
    loaded = load_model(paths[kind])
    assert type(loaded) is type(models[kind])
    assert sorted(loaded.arrays) == sorted(models[kind].arrays)
    for name, array in models[kind].arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.arrays[name], array)
    assert dict(loaded.metadata, format=None) == dict(models[kind].metadata, format=None)


def test_files_of_version_1(models, paths, tmp_path):
    """Files of earlier versions list all words and store positions instead of gaps."""
    path, model = str(tmp_path / "model.npz"), models["text"]
    arrays = dict(model.arrays)
    embedding = arrays.pop("embedding") * [[1, 0], [0, 0], [0, 0]]
    positions = np.flatnonzero(embedding)
    arrays.update({"embedding.positions": positions.astype(np.uint32), "embedding.values": embedding.flat[positions],
                   "embedding.shape": np.array(embedding.shape)})
    arrays["embedding.values"] = arrays["embedding.values"].astype(np.float32)
    metadata = dict(CLASSIFIER, pruned_words=["film", "a"], format="bayes_rnn compressed model, version 1")
    save_arrays(path, arrays, metadata, compress=True)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.arrays["embedding"], embedding.astype(np.float32))
    assert loaded.metadata["pruned_words"] == ["film", "a"]
    save_arrays(path, arrays, dict(metadata, format="bayes_rnn compressed model, version 3"))
    with pytest.raises(ReportedError, match="or an earlier version, got 'bayes_rnn compressed model, version 3'"):
        load_model(path)


def test_mostly_zero_matrices_are_stored_sparsely(tmp_path):
    rng = np.random.RandomState(0)
    W = rng.randn(200, 200).astype("float32")
    sizes = []
    for name, fraction in (("dense", 0.6), ("sparse", 0.02)):
        path, arrays = str(tmp_path / name), random_arrays(200, 1, embedding=200)
        arrays["embedding"] = W * (rng.rand(200, 200) < fraction)
        save_model(path, arrays, dict(CLASSIFIER, words=[str(word) for word in range(200)]))
        sizes.append(os.path.getsize(path))
        stored, _ = load_arrays(path)
        assert ("embedding.gaps" in stored) == (name == "sparse")
        assert ("embedding" in stored) == (name == "dense")
        loaded = load_model(path).arrays["embedding"]
        np.testing.assert_array_equal(loaded, arrays["embedding"])
        assert loaded.dtype == np.float32
    assert sizes[1] < sizes[0] / 5


def test_all_zero_and_empty_matrices(tmp_path):
    path, arrays = str(tmp_path / "model.npz"), random_arrays(2, 1, embedding=3)
    arrays["embedding"][:] = 0
    for name in ("W_in", "W_hid", "b"):             # all gates are constant
        arrays[name] = arrays[name][..., :0]
    arrays["gate_is_computed"][:] = False
    save_model(path, arrays, CLASSIFIER)
    loaded = load_model(path).arrays
    np.testing.assert_array_equal(loaded["embedding"], np.zeros((3, 2)))
    assert loaded["W_hid"].shape == (UNITS, 0)


class Changed(object):
    """A compressed model with one part changed: a function of the parts to replace; None removes one."""

    def __init__(self, path, good):
        self.path, self.arrays, self.metadata = path, *load_arrays(good)

    def __call__(self, arrays=(), **metadata):
        content = {name: array for name, array in dict(self.arrays, **dict(arrays)).items() if array is not None}
        save_arrays(self.path, content, dict(self.metadata, **metadata), compress=True)
        with pytest.raises(ReportedError) as caught:
            load_model(self.path)
        message = str(caught.value)
        assert message.startswith("compressed model %s is damaged" % self.path) and "\n" not in message
        return message


@pytest.fixture
def changed(paths, tmp_path):
    return Changed(str(tmp_path / "changed.npz"), paths["text"])


def test_numbers_that_are_not_finite(changed):
    for name in ("W_in", "b_out", "gate_constants"):
        for value in (np.nan, np.inf):
            array = changed.arrays[name].copy()
            array[0] = value
            assert changed({name: array}).endswith(": %s has a number that is not finite" % name)


@pytest.mark.parametrize("name", ["W_in", "W_hid", "b", "W_out", "b_out", "gate_is_computed", "gate_constants",
                                  "embedding"])
def test_arrays_of_another_kind(name, changed):
    array = changed.arrays[name]
    assert "it lacks the array " + name in changed({name: None})
    for wrong in (array.astype("int16"), array.astype("S3"), array[None], array.ravel()[0]):
        assert "%s must be an array of " % name in changed({name: wrong})
    assert "must have shape" in changed({name: array[:-1]})


def test_other_arrays_than_a_model_has(changed):
    assert "it has the unknown array more" in changed({"more": np.zeros(3)})
    parts = {"W_in": None, "W_in.positions": np.array([0, 9 ** 9], dtype=np.uint32),
             "W_in.values": np.ones(2, dtype=np.float32), "W_in.shape": np.array(changed.arrays["W_in"].shape)}
    assert "the positions of W_in are not those of its values" in changed(parts)
    assert "it lacks the array W_in.shape" in changed(dict(parts, **{"W_in.shape": None}))
    assert "W_in.shape must be two sizes" in changed(dict(parts, **{"W_in.shape": np.array([-1, 3])}))
    assert "W_hid must have shape" in changed({"W_hid": changed.arrays["W_hid"].T})
    assert "its arrays must have one dtype" in changed({"b": changed.arrays["b"].astype("float64")})


def test_a_sparse_matrix_of_a_huge_shape(changed):
    computed = int(changed.arrays["gate_is_computed"].sum())
    parts = {}
    for name, shape in (("W_in", (10 ** 9, computed)), ("embedding", (3, 10 ** 9))):
        parts.update({name: None, name + ".positions": np.zeros(1, dtype=np.uint32),
                      name + ".values": np.ones(1, dtype=np.float32), name + ".shape": np.array(shape)})
    assert "has 1 values in a matrix of shape" in changed(parts)


@pytest.mark.parametrize("metadata, message", [
    (dict(kind="poems"), "kind must be text, characters or words, got 'poems'"),
    (dict(config=None), "config must be te"),
    (dict(gate_nonlinearity=[]), "gate_nonlinearity must be one of hard_sigmoid, sigmoid"),
    (dict(words=3), "words must be a list of different words"),
    (dict(words=["a", "a", "b"]), "words must be a list of "),
    (dict(words=["a"]), "embedding must have shape (1, 2), got (3, 2)"),
    (dict(classes=[1]), "classes must be a list of"),
    (dict(classes=["a"]), "classes must be at least two"),
    (dict(classes=list("abc")), "one output needs two classes"),
    (dict(length=-1), "length must be a positive integer, got -1"),
    (dict(length="8"), "length must be a positive integer"),
    (dict(lower_case="no"), "lower_case must be true or false"),
    (dict(pruned_words={}), "pruned_words must be a list"),
    (dict(kind="words"), "vocabulary must be a list of different words"),
])
def test_metadata_of_another_kind(metadata, message, changed):
    assert message in changed(**metadata)


# -- prediction --------------------------------------------------------------------------------------------------------

def test_classifier_encodes_texts(models):
    rows, mask = models["text"].encode(["good", "bad film, good bad good good good good bad"])
    end = outside = 3                               # "</s>" and "film" were pruned
    np.testing.assert_array_equal(rows, [[0, 0, 0, 0, 0, 2, 0, end], [2, 1, outside, 0, 1, 0, 0, 0]])
    np.testing.assert_array_equal(mask, [[0, 0, 0, 0, 0, 1, 1, 1], [1] * 8])


def test_classifier_predicts_each_text_by_itself(models):
    texts = ["good", "", "bad film", "good bad good bad good bad good bad good bad"]
    together = models["text"].predict(texts)
    assert together.shape == (4, 2) and together.dtype == np.float32
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-6)
    for text, row in zip(texts, together):
        np.testing.assert_allclose(models["text"].predict([text])[0], row, rtol=1e-5)
    assert not np.allclose(together[0], together[2])


def plainly(model, rows, mask):
    """Return the last h by the formulas, text by text, token by token: float64 ``(B, H)``."""
    arrays = dict((name, array.astype("float64")) for name, array in model.arrays.items())
    computed, gate = model.arrays["gate_is_computed"], GATE_NONLINEARITIES[model.metadata["gate_nonlinearity"]]
    table, result = arrays["embedding"].dot(arrays["W_in"]), []
    for words, seen in zip(rows, mask):
        h = c = np.zeros(UNITS)
        for word in words[seen != 0]:
            a = np.zeros(4 * UNITS)
            a[computed] = (table[word] if word < len(table) else 0) + h.dot(arrays["W_hid"]) + arrays["b"]
            values = np.split(gate(a), 4)
            values[2] = np.tanh(np.split(a, 4)[2])
            values = np.where(computed, np.concatenate(values), arrays["gate_constants"])
            i, f, g, o = np.split(values, 4)
            c = f * c + i * g
            h = o * np.tanh(c)
        result.append(h)
    return np.array(result)


@pytest.mark.parametrize("gate_nonlinearity", ["hard_sigmoid", "sigmoid"])
@pytest.mark.parametrize("size", [1, 30])
def test_formulas(gate_nonlinearity, size):
    for seed in range(5):
        rng, arrays = np.random.RandomState(seed), random_arrays(2, 1, seed, embedding=3)
        arrays["gate_constants"][rng.rand(4 * UNITS) < 0.4] = rng.randint(2)        # saturated
        arrays["W_hid"] *= size                                                     # far into the ends
        model = ClassPredictor(arrays, dict(CLASSIFIER, gate_nonlinearity=gate_nonlinearity))
        rows = rng.randint(4, size=(6, 7))
        for mask in (np.ones((6, 7)), rng.randint(2, size=(6, 7)), np.zeros((6, 7))):
            h, _ = model.final_state(rows, mask)
            assert h.dtype == np.float32
            np.testing.assert_allclose(h, plainly(model, rows, mask), atol=1e-5 * size)


def test_no_texts(models):
    assert models["text"].predict([]).shape == (0, 2)


def test_one_text_or_other_things_are_not_a_list_of_texts(models):
    for text in ("good", b"good"):
        with pytest.raises(TypeError, match=r"got one text: use predict\(\[text\]\)"):
            models["text"].predict(text)
    with pytest.raises(TypeError, match="texts must be a list of str, got int in it"):
        models["text"].predict(["good", 3])


def test_more_texts_than_a_batch(models, monkeypatch):
    texts = ["good " * (k % 3) + "bad " * (k % 5) for k in range(11)]
    expected = models["text"].predict(texts)
    monkeypatch.setattr(numpy_predictor, "BATCH", 4)
    np.testing.assert_allclose(models["text"].predict(iter(texts)), expected, rtol=1e-5)


def test_threads_share_a_model(models):
    texts = [["good bad film " * k, "bad " * k] for k in range(40)]
    expected = [models["text"].predict(pair) for pair in texts]
    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(pool.map(models["text"].predict, texts), expected):
            np.testing.assert_array_equal(found, alone)


def test_influence_leaves_words_out(models, monkeypatch):
    model = models["text"]
    text = "good film bad, film"
    whole = model.predict([text])[0]
    best = int(whole.argmax())
    without = {"good": "film bad film", "film": "good bad", "bad": "good film film"}
    changes = dict(model.influence(text))
    assert sorted(changes) == sorted(without)
    for word, rest in without.items():
        np.testing.assert_allclose(changes[word], whole[best] - model.predict([rest])[0][best], atol=1e-6)
    sizes = [abs(change) for _, change in model.influence(text)]
    assert sizes == sorted(sizes, reverse=True)
    monkeypatch.setattr(numpy_predictor, "BATCH", 2)
    for word, change in model.influence(text):
        np.testing.assert_allclose(change, changes[word], atol=1e-6)
    assert model.influence("") == []
    monkeypatch.setattr(numpy_predictor, "SMALLEST_CHANGE", sizes[1])
    assert model.words_that_count(text) == model.influence(text)[:2]


def test_influence_does_not_read_the_whole_of_a_long_text_for_each_word(models, monkeypatch):
    class Words(list):
        read = 0

        def __iter__(self):
            for word in list.__iter__(self):
                Words.read += 1
                yield word

    words = Words(["good", "bad"] + ["film"] * 1000)
    monkeypatch.setattr(models["text"], "_words", lambda text: words)
    assert len(models["text"].influence("")) == 3
    assert Words.read < 1500                            # only without "film", it looks at all of them


def test_words_beyond_the_length_have_no_influence(models):
    """But they are read when words before them are left out."""
    model, text = models["text"], "bad " * 6 + "good film"
    changes = dict(model.influence(text))
    assert sorted(changes) == ["bad", "good"]
    probabilities = model.predict([text, "good film"])
    best = probabilities[0].argmax()
    np.testing.assert_allclose(changes["bad"], probabilities[0][best] - probabilities[1][best], atol=1e-6)


def test_state_is_carried(models):
    model = models["characters"]
    rows = model.rows(["a", "b", "\n", "a", "_"])[None]
    whole = list(model.run(rows))
    state = model.final_state(rows[:, :2])
    for a, b in zip(model.run(rows[:, 2:], state=state), whole[2:]):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_samples_go_by_seed_prompt_and_temperature(models):
    model = models["characters"]
    assert model.sample(40, seed=1) == model.sample(40, seed=1) != model.sample(40, seed=2)
    text = model.sample(40, seed=1)
    assert len(text) == 40 and set(text) <= set("ab \n")
    assert model.sample(5, prompt="ab a").startswith("ab a") and len(model.sample(5, prompt="ab a")) == 9
    cold = model.sample(20, seed=1, temperature=1e-4)
    assert cold == model.sample(20, seed=2, temperature=1e-4)
    # The coldest sample takes the likeliest token at every step.
    tokens, written = ["\n"], []
    for _ in range(20):
        scores = model.scores(model.final_state(model.rows(tokens)[None])[0])
        tokens.append(CHARACTERS["vocabulary"][int(scores.argmax())])
        written.append(tokens[-1])
    assert cold == "".join(written).replace("_", " ")


def test_the_lowest_temperature_always_draws_the_most_probable_token(models):
    assert models["words"].sample(20, temperature=1e-320) == models["words"].sample(20, temperature=1e-6)


def test_samples_follow_the_predicted_distribution(models):
    model, n = models["words"], 400
    h, _ = model.final_state(model.rows(["<eos>"])[None])
    probabilities = dict(zip(WORDS["vocabulary"], np.exp(log_softmax(model.scores(h)))[0]))
    samples = [model.sample(1, seed=seed) for seed in range(n)]
    for word, p in probabilities.items():
        share = samples.count("\n" if word == "<eos>" else word) / float(n)
        assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / n), word


def test_samples_of_words(models):
    model = models["words"]
    assert model.sample(6, seed=3, prompt="cat bird").startswith("cat <unk>")
    assert len(model.sample(12, seed=1, prompt="cat").replace("\n", " \n ").split(" ")) == 13
    assert set(model.sample(40, seed=3).split()) <= {"cat", "sat", "<unk>", "dog"}


@pytest.mark.parametrize("kind", ["characters", "words"])
@pytest.mark.parametrize("prompt", [" ", "  \t", ""])
def test_a_prompt_without_tokens_is_none(models, kind, prompt):
    assert models[kind].sample(7, seed=1, prompt=prompt) == models[kind].sample(7, seed=1)


@pytest.mark.parametrize("kind, context, text", [("characters", "ab", "ba b"), ("words", "cat sat\ndog", "sat cat")])
def test_cross_entropy_after_a_context(models, kind, context, text):
    """The context is the lines before the text: nats of both = nats of the context + nats of the text after it."""
    model = models[kind]
    (before, m), (both, n) = model.cross_entropy(context + "\n"), model.cross_entropy(context + "\n" + text)
    for given in (context, context + "\n"):
        nats, count = model.cross_entropy(text, given)
        assert count == n - m
        np.testing.assert_allclose(nats * count, both * n - before * m, rtol=1e-5)
    assert model.cross_entropy(text, "") == model.cross_entropy(text)
    assert model.cross_entropy("a" if kind == "characters" else "cat", context)[1] == (1 if kind == "characters" else 2)
    assert model.describe(text, context).endswith(", after the context")
    assert model.describe(text).endswith(", from an empty state: no context precedes the text")


def test_a_context_of_a_model_without_lines(models):
    model = NextTokenPredictor(models["characters"].arrays, dict(CHARACTERS, vocabulary=["a", "b", "_", "c"],
                                                                 words=["a", "_"]))
    (before, m), (both, n) = model.cross_entropy("ab_"), model.cross_entropy("ab ba")
    nats, count = model.cross_entropy("ba", "ab")
    assert count == n - m == 2
    np.testing.assert_allclose(nats * count, both * n - before * m, rtol=1e-5)
    with pytest.raises(ReportedError, match="the text must have at least 1 tokens, got 0"):
        model.cross_entropy("", "ab")


def test_cross_entropy_errors(models):
    with pytest.raises(ReportedError) as error:
        models["characters"].cross_entropy("a")
    assert str(error.value) == "the text must have at least 2 tokens, got 1"
    with pytest.raises(ReportedError) as error:
        models["characters"].cross_entropy("abxa")
    assert str(error.value) == "'x' is not in the vocabulary of the model, which has 4 characters"
    without_unk = dict(WORDS, vocabulary=["<eos>", "cat", "sat", "dog", "bird"])
    model = NextTokenPredictor(models["words"].arrays, without_unk)
    with pytest.raises(ReportedError) as error:
        model.cross_entropy("cat fish")
    assert str(error.value) == "'fish' is not in the vocabulary of the model, which has 5 words"
