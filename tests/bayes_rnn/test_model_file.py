"""Files of compressed models: precision, pruned words, size, and what is refused."""

import os

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays
from theano_rnn.numpy_predictor import _Damaged, _front_decoded, _rice_decoded, fingerprint

import numpy as np
import pytest
from helpers.compressed_models import CHARACTERS, CLASSIFIER, WORDS, random_arrays
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_rnn import export, model_file
from bayes_rnn.model_file import (
    _front_coded,
    _rice_coded,
    save_model,
    with_fingerprints,
    with_precision,
    without_pruned_words,
)
from bayes_rnn.predictor import ClassPredictor, load_model

WITH_OUTSIDE = dict(CLASSIFIER, words=["good", "<outside>", "<start>"],
                    pruned_words=["film", "films", "filming", "bad", "\u00e9t\u00e9", "</s>"])
TEXTS = ["good film", "good book", "films filming \u00e9t\u00e9 bad ET", "", "filming " * 9]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "model.npz")


@pytest.fixture(scope="module")
def large():
    """A classifier that is large enough for int8."""
    rng = np.random.RandomState(1)
    words = ["w%d" % k for k in range(60)] + ["<start>"]
    arrays = random_arrays(20, 1, embedding=61)
    arrays["embedding"] *= np.exp(3 * rng.randn(61, 1)).astype("float32")           # rows of different sizes
    arrays["embedding"][3] = 0
    arrays["W_in"] *= rng.rand(*arrays["W_in"].shape) < 0.3                          # stored sparsely
    return ClassPredictor(arrays, dict(CLASSIFIER, words=words))


def test_front_coding_keeps_the_predictions(path):
    model = ClassPredictor(random_arrays(2, 1, embedding=3), WITH_OUTSIDE)
    save_model(path, model.arrays, model.metadata)
    loaded = load_model(path)
    assert sorted(loaded.metadata["pruned_words"]) == sorted(WITH_OUTSIDE["pruned_words"])
    assert dict(loaded.metadata, pruned_words=None, format=None) == dict(WITH_OUTSIDE, pruned_words=None, format=None)
    np.testing.assert_array_equal(loaded.predict(TEXTS), model.predict(TEXTS))
    assert not np.allclose(model.predict(["good film"]), model.predict(["good book"]))


def test_front_coding_is_smaller_than_a_list(path, tmp_path):
    words = sorted("%s%s" % (stem, end) for stem in ("act", "film", "play", "watch", "direct", "enjoy", "perform")
                   for end in ("", "s", "ed", "ing", "er", "ers", "able", "ance", "ably"))
    model = ClassPredictor(random_arrays(2, 1, embedding=3), dict(WITH_OUTSIDE, pruned_words=words))
    save_model(path, model.arrays, model.metadata)
    content, metadata = load_arrays(path)
    assert "pruned_words" not in metadata
    assert len(content["pruned_words.shared"]) + len(content["pruned_words.rest"]) < 0.7 * len(" ".join(words))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(blacklist_characters="\n", blacklist_categories=[]), max_size=4), max_size=12))
def test_any_words_in_front_coding(words):
    assert _front_decoded(*_front_coded(words)) == sorted(set(words))


def test_words_with_line_feeds(path):
    words = ["a\nb", "a", "\n"]
    save_model(path, random_arrays(2, 1, embedding=3), dict(WITH_OUTSIDE, pruned_words=words))
    assert load_model(path).metadata["pruned_words"] == words


def test_without_pruned_words_a_word_outside_the_vocabulary_counts_as_pruned(path):
    model = ClassPredictor(random_arrays(2, 1, embedding=3), WITH_OUTSIDE)
    save_model(path, model.arrays, model.metadata, pruned_words="none")
    loaded = load_model(path)
    assert loaded.metadata["words"] == ["good", "<start>"] and "pruned_words" not in loaded.metadata
    np.testing.assert_allclose(loaded.predict(["good book", "good film"]), model.predict(["good film"] * 2), rtol=1e-6)
    # Models of which the word outside the vocabulary is pruned, and language models, have no such list.
    for metadata in (CLASSIFIER, WORDS):
        arrays = random_arrays(2, 5)
        assert without_pruned_words(arrays, metadata) == (arrays, metadata)


def test_fingerprints_keep_the_predictions_of_known_words(path, tmp_path):
    """Pruned and kept words are treated as before, and few words outside the vocabulary count as pruned."""
    pruned = ["pruned%d" % k for k in range(2000)]
    model = ClassPredictor(random_arrays(2, 1, embedding=3), dict(WITH_OUTSIDE, pruned_words=pruned))
    save_model(path, model.arrays, model.metadata)
    smaller, again = str(tmp_path / "smaller.npz"), str(tmp_path / "again.npz")
    save_model(smaller, model.arrays, model.metadata, pruned_words="fingerprints")
    loaded = load_model(smaller)
    assert "pruned_words" not in loaded.metadata
    assert 8 * load_arrays(smaller)[0]["pruned_fingerprints"].nbytes < 7.6 * len(pruned)
    assert [loaded.row(word) for word in pruned] == [len(model.row_of_word)] * len(pruned)
    assert [loaded.row(word) for word in model.row_of_word] == list(range(len(model.row_of_word)))
    outside = ["outside%d" % k for k in range(6400)]
    wrong = sum(loaded.row(word) != model.row(word) for word in outside)
    assert 50 < wrong < 150
    save_model(again, loaded.arrays, loaded.metadata)
    with open(smaller, "rb") as first, open(again, "rb") as second:
        assert first.read() == second.read()
    save_model(again, loaded.arrays, loaded.metadata, pruned_words="none")
    assert load_model(again).metadata["words"] == ["good", "<start>"]


def test_the_end_of_a_text_has_no_fingerprint_of_a_pruned_word(path):
    """A large vocabulary ends before </s>; it then has the row of words outside the vocabulary."""
    pruned = ["w%d" % number for number in range(322)]
    assert fingerprint("</s>", 64 * len(pruned)) in {fingerprint(word, 64 * len(pruned)) for word in pruned}
    model = ClassPredictor(random_arrays(2, 1, embedding=3), dict(WITH_OUTSIDE, pruned_words=pruned))
    save_model(path, model.arrays, model.metadata, pruned_words="fingerprints")
    loaded = load_model(path)
    assert loaded.row("</s>") == loaded.row("<outside>")
    np.testing.assert_array_equal(loaded.predict(["good w1"]), model.predict(["good w1"]))


def test_fingerprints_are_those_of_the_format():
    """Files and exported code depend on these numbers: FNV-1a of the word in UTF-8."""
    assert [fingerprint(word, 2 ** 32) for word in ("", "a", "foobar", "\u00e9t\u00e9")] == [
        0x811c9dc5, 0xe40c292c, 0xbf9cf968, 0xffb58817]


def test_models_without_pruned_words_have_no_fingerprints():
    for metadata in (CLASSIFIER, WORDS, dict(CLASSIFIER, pruned_words=[])):
        assert with_fingerprints(metadata) == metadata


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 2 ** 14), min_size=1, max_size=40), st.integers(0, 9), st.binary(max_size=3))
def test_rice_coding(numbers, more, garbage):
    """The decoder inverts the coder, and accepts no other bytes for the same numbers."""
    numbers = sorted(numbers)
    code, limit = _rice_coded(numbers), numbers[-1] + 1 + more
    assert _rice_decoded(code, len(numbers), limit) == numbers
    other = np.frombuffer(code.tobytes()[:-len(garbage)] + garbage, dtype=np.uint8)
    try:
        assert _rice_coded(_rice_decoded(other, len(numbers), limit)).tobytes() == other.tobytes()
    except _Damaged:
        assert other.tobytes() != code.tobytes()
    for count, smaller in ((len(numbers) + 1, limit), (len(numbers) - 1, limit), (len(numbers), numbers[-1])):
        with pytest.raises(_Damaged):
            _rice_decoded(code, count, smaller)


@pytest.mark.parametrize("change", [
    dict(pruned_fingerprints=[3, 4]), dict(pruned_fingerprints={"count": 3}),
    dict(pruned_fingerprints={"count": 3, "range": 2 ** 32}), dict(pruned_fingerprints={"count": 9, "range": 8}),
    dict(pruned_fingerprints={"count": True, "range": 8}), dict(pruned_words=["bad"]), dict(kind="words"),
    dict(pruned_fingerprints={"count": 10 ** 6, "range": 10 ** 7}), dict(pruned_fingerprints=None)])
def test_damaged_fingerprints(change, path):
    save_model(path, random_arrays(2, 1, embedding=3), WITH_OUTSIDE, pruned_words="fingerprints")
    arrays, metadata = load_arrays(path)
    save_arrays(path, arrays, dict(dict(metadata, vocabulary=metadata["words"]), **change))
    with pytest.raises(ReportedError, match="is damaged: .*pruned_fingerprints"):
        load_model(path)


@pytest.mark.parametrize("metadata", [CHARACTERS, WORDS, dict(WORDS, words=["cat", "<eos>"])])
def test_words_of_language_models(metadata, path):
    save_model(path, random_arrays(2, len(metadata["vocabulary"])), metadata)
    assert load_model(path).metadata["words"] == metadata["words"]
    assert ("words" in load_arrays(path)[1]) == (metadata["words"] == ["cat", "<eos>"])     # in another order


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_precisions(precision, large, path):
    save_model(path, large.arrays, large.metadata, precision)
    loaded = load_model(path)
    for name, array in with_precision(large.arrays, precision).items():
        assert loaded.arrays[name].dtype == array.dtype == large.arrays[name].dtype
        np.testing.assert_array_equal(loaded.arrays[name], array)
    for name, array in large.arrays.items():
        rows = np.abs(array).max(axis=-1, keepdims=True) if array.ndim == 2 else np.abs(array)
        bound = {"float32": 0, "float16": 2. ** -11, "int8": 0.5 / 127 + 2. ** -10}[precision] * rows
        assert (np.abs(loaded.arrays[name].astype(float) - array) <= bound + 1e-7).all(), name
    texts = ["w%d w%d w%d" % (k, k + 7, 3 * k) for k in range(10)]
    np.testing.assert_allclose(loaded.predict(texts), large.predict(texts), atol={"float32": 0, "float16": 0.02,
                                                                                  "int8": 0.1}[precision])


def test_lower_precisions_are_smaller(large, tmp_path):
    sizes = []
    for precision in ("float32", "float16", "int8"):
        path = str(tmp_path / precision)
        save_model(path, large.arrays, large.metadata, precision)
        sizes.append(os.path.getsize(path))
        stored = load_arrays(path)[0]
        assert ("embedding.scales" in stored) == (precision == "int8") and "W_out.scales" not in stored
    assert sizes[0] > 1.2 * sizes[1] > 1.2 * 1.1 * sizes[2]


def test_a_file_of_a_precision_has_the_same_bytes_when_it_is_saved_again(large, path, tmp_path):
    again = str(tmp_path / "again.npz")
    for precision in ("float16", "int8"):
        save_model(path, large.arrays, large.metadata, precision)
        model = load_model(path)
        save_model(again, model.arrays, model.metadata, precision)
        if precision == "float16":
            with open(path, "rb") as first, open(again, "rb") as second:
                assert first.read() == second.read()
        assert os.path.getsize(again) <= 1.02 * os.path.getsize(path)


def test_numbers_that_are_too_large_for_float16(large, path):
    arrays = dict(large.arrays, b=large.arrays["b"] + 1e6)
    for precision in ("float16", "int8"):
        with pytest.raises(ReportedError, match="b has the value 1e.06, but the largest float16 is 65504; use"):
            save_model(path, arrays, large.metadata, precision)
    assert not os.path.exists(path)


@pytest.mark.parametrize("name, change, message", [
    ("W_in.gaps", lambda gaps: gaps.astype(np.int16), "W_in.gaps must be an array of uint8, uint16 or uint32"),
    ("W_in.gaps", lambda gaps: gaps + np.uint8(200), "the positions of W_in are not those of its values"),
    ("embedding.scales", lambda scales: scales[:-1], "embedding.scales must have shape (61,), got (60,)"),
    ("embedding.scales", lambda scales: scales * np.float16(np.inf), "embedding has a number that is not finite"),
    ("embedding", lambda values: values.astype(np.float16), "embedding must be an array of int8"),
    ("b_out", lambda values: values.astype(np.float32), "its arrays must have one dtype, got float16 and float32"),
])
def test_damaged_parts(name, change, message, large, path):
    save_model(path, large.arrays, large.metadata, "int8")
    arrays, metadata = load_arrays(path)
    save_arrays(path, dict(arrays, **{name: change(arrays[name])}), metadata)
    with pytest.raises(ReportedError) as error:
        load_model(path)
    assert message in str(error.value)


def test_damaged_words(path):
    save_model(path, random_arrays(2, 5), WORDS)
    arrays, metadata = load_arrays(path)
    save_arrays(path, dict(arrays, **{"words.are_kept": arrays["words.are_kept"][1:]}), metadata)
    with pytest.raises(ReportedError, match=r"words.are_kept must have shape \(5,\), got \(4,\)"):
        load_model(path)
    save_arrays(path, random_arrays(2, 1, embedding=3), dict(CLASSIFIER, format=model_file.FORMAT, card={"data": 3}))
    with pytest.raises(ReportedError, match="card must be an object of texts"):
        load_model(path)


def test_command_line_writes_a_smaller_file(path, tmp_path, capsys):
    model = ClassPredictor(random_arrays(2, 1, embedding=3), WITH_OUTSIDE)
    save_model(path, model.arrays, model.metadata)
    out = str(tmp_path / "small")
    export.main([path, "--to", "npz", "--out", out, "--precision", "float16", "--pruned-words", "none"])
    assert capsys.readouterr().out == "%s.npz: %d bytes\n" % (out, os.path.getsize(out + ".npz"))
    assert os.path.getsize(out + ".npz") < os.path.getsize(path)
    np.testing.assert_allclose(load_model(out + ".npz").predict(TEXTS[:1]), model.predict(TEXTS[:1]), atol=0.01)


def test_an_export_does_not_replace_the_model(path, capsys):
    save_model(path, random_arrays(2, 1, embedding=3), WITH_OUTSIDE)
    before = open(path, "rb").read()
    with pytest.raises(SystemExit):
        export.main([path, "--to", "npz", "--out", path[:-len(".npz")], "--pruned-words", "none"])
    assert "--out must be another file than the model" in capsys.readouterr().err
    assert open(path, "rb").read() == before


@pytest.mark.parametrize("to, files", [("npz", ["small.npz"]), ("c", ["small.c", "small.h"]), ("html", ["small.html"])])
def test_the_name_of_an_export_may_have_the_extension(path, tmp_path, to, files):
    save_model(path, random_arrays(2, 1, embedding=3), WITH_OUTSIDE)
    export.main([path, "--to", to, "--out", str(tmp_path / ("small." + to))])
    assert sorted(os.listdir(str(tmp_path))) == ["model.npz"] + files


def test_without_a_name_an_export_is_beside_the_model(tmp_path):
    path = str(tmp_path / "words.c.npz")
    save_model(path, random_arrays(2, 1, embedding=3), WITH_OUTSIDE)
    export.main([path, "--to", "c"])
    assert sorted(os.listdir(str(tmp_path))) == ["words.c.c", "words.c.h", "words.c.npz"]


@pytest.mark.parametrize("arguments, message", [
    (["--to", "npz"], "--to npz needs --out"),
    (["--to", "c", "--precision", "int8"], "--precision and --pruned-words need --to npz; export the resulting file"),
    (["--to", "npz", "--build", "--out", "x"], "--build needs --to c"),
])
def test_command_line_errors(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        export.main(["model.npz"] + arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err
