"""Web pages of compressed models in headless Chromium: keyboard, mouse, narrow and wide windows, no connections."""

import os

import numpy as np
import pytest
from helpers.chromium import NARROW, WIDE, checked_pages, chromium, focused, has_no_overflow, probabilities
from helpers.compressed_models import MODELS

from bayes_rnn.export_html import html_page
from bayes_rnn.predictor import ClassPredictor

pytest.importorskip("jinja2")

ATTACK = "</script><img src=x onerror=alert(1)>"


def attacked_model():
    """Return a classifier whose classes and words are HTML."""
    model = MODELS["reviews"]()
    return ClassPredictor(model.arrays, dict(model.metadata, dataset=ATTACK, classes=[ATTACK, "positive"],
                                             words=["good", ATTACK, "<start>"]))


def sensitive_model(**metadata):
    """Return a classifier in which single words matter."""
    model = MODELS["reviews"]()
    return ClassPredictor(dict(model.arrays, W_out=4 * model.arrays["W_out"], embedding=8 * model.arrays["embedding"],
                               b_out=0 * model.arrays["b_out"] - 1), dict(model.metadata, **metadata))


PAGES = dict({name: MODELS[name] for name in ("reviews", "news", "characters", "words", "strict")},
             attacked=attacked_model, sensitive=sensitive_model, patient=lambda: sensitive_model(length=5000))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, model in PAGES.items():
        (folder / (name + ".html")).write_bytes(html_page(model(), 1000))
    return str(folder)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser, folder):
    """A function of the name of a model and the width of the window."""
    with checked_pages(browser) as opened:
        yield lambda name, width=WIDE: opened(os.path.join(folder, name + ".html"), width)


@pytest.mark.parametrize("name, text, width", [("reviews", "Not good, a bad film!", NARROW),
                                               ("reviews", "Bad.", WIDE),
                                               ("news", u"GOOD \u0130 \u65e5\u672c stra\xdfe", WIDE)])
def test_probabilities_while_typing(open_page, name, text, width):
    """The keyboard alone: the first stop of the tab key is the text box."""
    model, page = PAGES[name](), open_page(name, width)
    page.keyboard.press("Tab")
    assert focused(page) == "text"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for typed in (text[:4], text):
        page.keyboard.insert_text(typed[len(page.input_value("#text")):])
        classes, values = probabilities(page)
        expected = model.predict([typed])[0]
        assert classes == model.metadata["classes"]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5)
        assert page.inner_text("#result") == "%s, %.1f %%" % (classes[expected.argmax()], 100 * expected.max())
    assert has_no_overflow(page)
    page.keyboard.press("Tab")
    assert focused(page) == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.locator("ul.kept li").count() == len(model.metadata["words"])
    assert page.locator("ul.kept").is_visible() and has_no_overflow(page)


def test_highlighted_words(open_page):
    """Every word that counts in Python is marked where it occurs, with its number and the sign of its change."""
    model, page = PAGES["sensitive"](), open_page("sensitive")
    words = "good nothing bad good other bad bad".split()
    page.fill("#text", " ".join(words))
    changes = dict(model.words_that_count(" ".join(words)))
    expected = [(word, "for" if changes[word] > 0 else "against",
                 "%s%.2f" % ("+" if changes[word] > 0 else u"\u2212", abs(changes[word])))
                for word in words if word in changes]
    page.wait_for_function("document.querySelectorAll('#reading mark').length === %d" % len(expected))
    assert {kind for _, kind, _ in expected} == {"for", "against"}
    marks = page.locator("#reading mark")
    assert [(mark.evaluate("node => node.firstChild.data"), mark.get_attribute("class"),
             mark.locator("sup").inner_text()) for mark in marks.all()] == expected
    style = "node => getComputedStyle(node).borderBottomStyle"
    assert {(mark.get_attribute("class"), mark.evaluate(style)) for mark in marks.all()} == {
        ("for", "solid"), ("against", "dashed")}
    assert page.locator("#influences th").all_inner_texts() == list(changes)
    page.fill("#text", "")
    page.wait_for_function("document.querySelectorAll('#reading mark').length === 0")
    assert not page.locator("#influence-table").is_visible()


def test_words_after_the_length_of_the_model_are_grey(open_page):
    page = open_page("reviews")
    page.fill("#text", "good " * 20)
    assert "It reads the first 11 words only." in page.inner_text("#status")
    page.wait_for_function("document.querySelectorAll('#reading .ignored').length === 9")


def test_words_of_an_earlier_text_are_not_marked_in_a_long_one(open_page):
    """While the influences of the words of a text are computed, a text follows that is too long for that."""
    page = open_page("patient")
    page.evaluate("""texts => {
        const box = document.getElementById("text"), clock = Date.now;
        let time = 0;
        Date.now = () => time += 20;            // one word in each part of the computation
        for (const text of texts) {
            box.value = text;
            box.dispatchEvent(new Event("input"));
        }
        setTimeout(() => { Date.now = clock; }, 100);
    }""", ["good bad film other nothing", "film good " * 2500])
    assert "too long" in page.inner_text("#status")
    page.wait_for_timeout(200)
    assert page.locator("#reading mark").count() == 0
    assert page.inner_text("#reading").split() == ["film", "good"] * 2500


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("name, prompt", [("characters", "b a"), ("words", "cat dog")])
def test_scores_and_continuations(open_page, name, prompt, width):
    """The mouse for the first continuation, the keyboard for the second one; both are those of NumPy."""
    model, page = PAGES[name](), open_page(name, width)
    page.click("#text")
    page.keyboard.type(prompt)
    nats, count = model.cross_entropy(prompt)
    measure = {"characters": "%.3f bits per character" % (nats / np.log(2)), "words": "perplexity %.2f" % np.exp(nats)}
    assert measure[name] + " over %d " % count in page.inner_text("#result")
    assert "%.2f nats" % (nats * count) in page.inner_text("#result")
    tokens = model.tokens(prompt)[:None if name == "characters" else -1]
    for h, _ in model.run(model.rows(tokens)[None]):
        last = model.scores(h)[0]
    exponentials = np.exp(last - last.max())
    np.testing.assert_allclose(probabilities(page)[1], np.sort(exponentials / exponentials.sum())[::-1][:5], atol=1e-5)

    page.fill("#length", "30")
    page.click("#continue")
    expected = model.sample(30, 0, prompt, 1.0)
    page.wait_for_function("document.getElementById('continuation').textContent !== ''")
    assert page.text_content("#continuation") == expected
    page.focus("#length")
    for key, text in (("Tab", "0.5"), ("Tab", "7")):
        page.keyboard.press(key)
        page.keyboard.press("Control+A")
        page.keyboard.type(text)
    assert focused(page) == "seed"
    page.keyboard.press("Tab")
    assert focused(page) == "continue"
    page.keyboard.press("Enter")
    expected = model.sample(30, 7, prompt, 0.5)
    page.wait_for_function("expected => document.getElementById('continuation').textContent === expected", arg=expected)
    assert has_no_overflow(page)


def test_a_word_that_the_model_does_not_know(open_page):
    page = open_page("strict")
    page.fill("#text", "c1 c400")
    assert page.inner_text("#result") == u"\u201cc400\u201d is not in the vocabulary of the model."
    assert page.locator("#continue").is_disabled() and probabilities(page) == ([], [])


def test_a_setting_that_is_not_valid_starts_nothing(open_page):
    page = open_page("words")
    page.fill("#seed", "-1")
    page.click("#continue")
    assert focused(page) == "seed" and page.inner_text("#continuation") == ""


def test_texts_of_a_model_run_no_script(open_page):
    """No dialog opens, and the names are shown as they are."""
    page = open_page("attacked")
    page.fill("#text", "good")
    assert probabilities(page)[0] == [ATTACK, "positive"]
    assert page.locator("img").count() == 0 and page.inner_text("h1") == ATTACK + " compressed model"


def test_names_for_screen_readers(open_page):
    """Every field has a label, and the result is announced."""
    for name in ("reviews", "words"):
        page = open_page(name)
        labels = page.evaluate("Array.from(document.querySelectorAll('input, textarea'), field => field.labels.length)")
        assert labels and all(labels)
        assert page.get_attribute("#result", "aria-live") == "polite"
        assert page.get_attribute("html", "lang") == "en"
