"""The models of the project: each has a card, and predicts as the card says."""

import math
import os
import re
import shutil

from theano_rnn.numpy_predictor import load_model

import numpy as np
import pytest

from bayes_rnn.predictor import find_model, model_names
from Experiments.shared import model_cards
from Experiments.shared.data.synthetic import generate_language, generate_news, generate_reviews

#: Examples for models of real data, written for this test; any model that is worth its bytes gets most of them right.
SENTENCES = {
    "IMDB": [
        ("A wonderful film. The acting is superb and the story is touching, one of the best of the year.", "positive"),
        ("I loved every minute. Great cast, beautiful music, and a perfect ending. Highly recommended!", "positive"),
        ("An excellent and moving story that is brilliantly directed. My favorite film.", "positive"),
        ("Funny, charming and very well written. The whole family enjoyed it.", "positive"),
        ("Awful. The plot is boring, the acting is terrible, and I want my money back.", "negative"),
        ("This is the worst film that I have ever seen. A complete waste of time.", "negative"),
        ("Dull and predictable, with poor dialogue. Avoid this mess.", "negative"),
        ("What a disappointment: a stupid script, bad effects and a lame ending.", "negative"),
    ],
    "AGNews": [
        ("Oil prices rise to record high as stocks fall on Wall Street; investors fear inflation", "business"),
        ("Bank reports quarterly profit, shares rise after merger with rival company", "business"),
        ("Team wins the final game of the season as coach praises quarterback", "sports"),
        ("Olympic champion wins gold medal in Athens, second in the league cup", "sports"),
        ("Microsoft releases security update for Windows software, computer users warned of internet virus",
         "science/technology"),
        ("NASA scientists launch space telescope to study planets", "science/technology"),
        ("Troops kill militants in Iraq; president calls for peace talks and election", "world"),
        ("Bomb explodes near UN embassy, police say rebels killed soldiers", "world"),
    ],
}


@pytest.fixture(scope="module", params=model_names())
def model(request):
    return load_model(find_model(request.param))


@pytest.fixture(scope="module")
def language():
    return generate_language()


def metric_of_file(card):
    return float(re.search(r"test .*?([\d.]+)( %)?$", card["file"]).group(1))


def test_a_model_predicts_as_its_card_says(model, language):
    card, kind, dataset = model.metadata["card"], model.metadata["kind"], model.metadata["dataset"]
    is_generated = card["data"] == model_cards.GENERATED[0]
    if kind == "text":
        if is_generated:
            generate = {"IMDB": generate_reviews, "AGNews": generate_news}[dataset]
            texts, labels = generate(documents=1200)[2:]
        else:
            texts, names = zip(*SENTENCES[dataset])
            labels = [model.metadata["classes"].index(name) for name in names]
        accuracy = np.mean(model.predict(texts).argmax(axis=1) == np.array(labels))
        assert 100 * accuracy >= (metric_of_file(card) - 3 if is_generated else 75)
        return
    sentences = language[2].strip().split("\n") if is_generated else [
        "the company said it expects to report a loss for the third quarter", "a spokesman said the price of the stock "
        "rose N N to $ N a share", "analysts said the bank will sell the unit to a group of investors"]
    text, context = "\n".join(sentences[1:20]), sentences[0]
    nats, _ = model.cross_entropy(text, context)
    found = nats / math.log(2) if kind == "characters" else math.exp(nats)
    assert found < metric_of_file(card) * (1.15 if is_generated else 2)


def test_a_model_has_a_complete_card(model):
    assert sorted(model.metadata["card"]) == sorted(model_cards.CARD_KEYS)
    assert all(model.metadata["card"].values())


def test_the_command_of_a_card_does_not_depend_on_recipes(model):
    command = model.metadata["card"]["command"]
    assert "--recipe" not in command and ("--epochs" in command or "--set" in command)


def test_a_classifier_reads_as_many_words_as_its_card_says(model):
    if model.metadata["kind"] != "text":
        return
    count = int(re.search(r"reads the first (\d+) words of a text", model.metadata["card"]["limits"]).group(1))
    words = [word for word in model.metadata["words"] if word.isalpha()]
    text = [words[k % 7] for k in range(count)]
    assert (model.predict([" ".join(text)]) == model.predict([" ".join(text + words[7:])])).all()
    assert (model.predict([" ".join(text)]) != model.predict([" ".join(text[:-1])])).any()


def test_cards_and_tables_are_those_of_the_files(tmp_path):
    """add_model.py has written them, and nobody has changed them since."""
    assert model_names()
    for name in model_names():
        copy = shutil.copy(find_model(name), str(tmp_path / (name + ".npz")))
        model_cards.write_card(copy, load_model(copy))
        with open(find_model(name)[:-len(".npz")] + ".md") as card:
            assert card.read() == (tmp_path / (name + ".md")).read_text()
    readmes = [model_cards.README, os.path.join(model_cards.MODELS, "README.md")]
    before = []
    for readme in readmes:
        with open(readme, encoding="utf-8") as stream:
            before.append(stream.read())
        assert model_cards.BEGIN in before[-1]
    assert [model_cards.with_table(text, model_cards.MODELS, readme) for text, readme in zip(before, readmes)] == before
