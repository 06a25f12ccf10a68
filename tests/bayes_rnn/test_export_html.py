"""Compressed models as web pages: predict.js in Node against NumPy, the escaping of foreign words, the command line."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import tokenize

import numpy as np
import pytest
from helpers.compressed_models import CLASSIFIERS, LANGUAGE_MODELS, MODELS, NEWS_WORDS, texts
from helpers.javascript import javascript_models, needs_node
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_rnn.export import main, save_model
from bayes_rnn.export_html import describe_model, html_page
from bayes_rnn.predictor import ClassPredictor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
examples = settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))


# -- predict.js --------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def call():
    """A function that calls a model in Node; see `javascript_models`."""
    with javascript_models({name: model() for name, model in MODELS.items()}) as call:
        yield call


@needs_node
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_probabilities(call, name):
    model = MODELS[name]()

    @examples
    @given(texts)
    def check(text):
        np.testing.assert_allclose(call(name, "classify", text=text)["probabilities"], model.predict([text])[0],
                                   rtol=0, atol=1e-5)
    check()


@needs_node
def test_words_of_all_characters(call):
    """The tokenizers agree on each character alone, between letters, and beside a capital sigma."""
    characters = [chr(code) for code in range(0x20000)] + [chr(code) for code in range(0x20000, 0x110000, 61)]
    for pattern in ("%s ", u"\u03b1%s\u03a3 ", u"\u03b1\u03a3%s\u03b1 "):
        text = "".join(pattern % character for character in characters)
        assert [word for word, _, _ in call("news", "classify", text=text)["words"]] == tokenize(text.lower())


@needs_node
def test_positions_of_words(call):
    """Positions count UTF-16 units of the text before it was lower-cased."""
    text = u"\U0001f600 GOOD \u0130stanbul, \U0001d400b"
    units = text.encode("utf-16-le")
    found = call("news", "classify", text=text)["words"]
    assert [(word, units[2 * begin:2 * end].decode("utf-16-le")) for word, begin, end in found] == [
        ("good", "GOOD"), ("i", u"\u0130"), ("stanbul", "stanbul"), (u"\U0001d400b", u"\U0001d400b")]


@needs_node
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_influences_of_words_are_those_of_python(call, name):
    model = MODELS[name]()

    @examples
    @given(st.one_of(texts, st.lists(st.sampled_from(["good", "bad", "GOOD", "nothing", NEWS_WORDS[9]]),
                                     max_size=30).map(" ".join)))
    def check(text):
        got, expected = call(name, "classify", text=text, influences=True)["influences"], dict(model.influence(text))
        assert [word for word, _ in got] == list(OrderedDict.fromkeys(
            word for word in model._words(text)[:model.metadata["length"] - 1] if word != "</s>"))
        np.testing.assert_allclose([change for _, change in got], [expected[word] for word, _ in got], atol=2e-5)
    check()


@needs_node
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_log_probabilities(call, name):
    model = MODELS[name]()

    @examples
    @given(texts)
    def check(text):
        got = call(name, "score", text=text)
        try:
            nats, count = model.cross_entropy(text)
        except ReportedError as error:
            if "vocabulary" in str(error):
                assert "is not in the vocabulary of the model" in got
            else:
                assert got["count"] == 0 and got["sum"] == 0
        else:
            assert got["count"] == count
            np.testing.assert_allclose(got["sum"] / count, nats, rtol=0, atol=1e-5)
    check()


@needs_node
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_samples_are_those_of_numpy(call, name):
    """Also the random numbers are those of NumPy."""
    model = MODELS[name]()
    prompts = {"characters": ["b a\n", u"\xe9_"], "strict": []}.get(name, ["cat bird", "sat\n\ncat\n"])
    for seed, prompt in enumerate(["", " "] + prompts + [""]):
        for temperature in (0.5, 1.0, 1e-300):
            tokens = model.tokens(prompt) if prompt else []
            tokens = tokens if name == "characters" else tokens[:-1]
            expected = model.sample(40, 2 ** 32 - 1 - seed, prompt, temperature)
            got = call(name, "sample", text=prompt, count=40, seed=2 ** 32 - 1 - seed, temperature=temperature)
            if not tokens:
                assert got == expected
            else:
                assert expected.endswith(got)


# -- the page ----------------------------------------------------------------------------------------------------------

needs_jinja2 = pytest.mark.skipif(importlib.util.find_spec("jinja2") is None, reason="jinja2 is not installed")
ATTACK = "</script><img src=x onerror=alert(1)>"


def attacked(kind):
    """Return a model in which every text that comes from outside is an attempt to run a script."""
    model = MODELS["reviews" if kind == "text" else kind]()
    words = [ATTACK + str(k) for k in range(len(model.metadata["words"]))]
    metadata = dict(model.metadata, dataset=ATTACK, config="<b>", card={ATTACK: ATTACK}, words=words)
    others = [ATTACK + "x%d" % k for k in range(len(model.metadata.get("vocabulary", "ab")) - 1)]
    metadata["classes" if kind == "text" else "vocabulary"] = words[:1] + others
    if kind == "text":
        metadata["pruned_words"] = [ATTACK]
    return type(model)(model.arrays, metadata)


@needs_jinja2
@pytest.mark.parametrize("kind", ["text", "characters", "words"])
def test_texts_of_a_model_are_escaped(kind):
    model = attacked(kind)
    page = html_page(model, 10).decode("utf-8")
    assert "<img" not in page and "<b>" not in page and "Model card" in page
    assert page.count("</script>") == page.count("<script") == 3
    data = re.search('<script type="application/json" id="model-data">(.*)</script>', page).group(1)
    assert json.loads(data) == describe_model(model)


@needs_jinja2
def test_the_page_has_its_policy_and_no_address():
    page = html_page(MODELS["news"](), 4872).decode("utf-8")
    assert "default-src &#39;none&#39;" in page and "connect-src" not in page
    assert not re.findall(r"https?:|url\(|@import|<link|<iframe|\ssrc=", page)
    assert "<dd>4,872 bytes</dd>" in page
    assert "<dt>kept words</dt><dd>{:,}</dd>".format(len(NEWS_WORDS)) in page


@needs_jinja2
def test_a_surrogate_in_a_word_does_not_prevent_the_page():
    model = MODELS["reviews"]()
    model = ClassPredictor(model.arrays, dict(model.metadata, words=["good", u"\ud800", "<start>"]))
    assert b"&#55296;" in html_page(model, 1)


def test_weights_must_be_finite():
    model = MODELS["reviews"]()
    model.arrays["b"][0] = np.nan
    with pytest.raises(ReportedError, match="the model cannot be exported: b contains a value that is not finite"):
        describe_model(model)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ReportedError, match="HTML pages need the package jinja2; install it with: pip install jinja2"):
        html_page(MODELS["reviews"](), 1)


@needs_jinja2
def test_command_line(tmp_path, without_theano, capsys):
    path, model = str(tmp_path / "model.npz"), MODELS["words"]()
    save_model(path, model.arrays, model.metadata)
    page = str(tmp_path / "model.html")
    output = subprocess.check_output([sys.executable, "-m", "bayes_rnn.export", path, "--to", "html"], cwd=ROOT,
                                     env=dict(os.environ, PYTHONPATH=without_theano))
    assert output.decode("utf-8") == "%s: %d bytes\n" % (page, os.path.getsize(page))
    other = str(tmp_path / "other.html")
    main([path, "--to", "html", "--out", other])
    assert capsys.readouterr().out.startswith(other + ": ")
    with open(page, "rb") as first, open(other, "rb") as second:
        assert first.read() == second.read()
