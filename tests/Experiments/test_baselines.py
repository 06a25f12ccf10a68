"""Baselines of the text classifiers, on tiny data."""

import csv
import sys

from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from helpers import running

from Experiments.shared import baselines
from Experiments.shared.baselines import Texts, default_words, logistic_regressions, naive_bayes, presence, read_texts
from Experiments.shared.data.minibatches import TextPart

WORDS = ["<padding>", "<start>", "<outside>"] + ["w%d" % number for number in range(300)]


@pytest.fixture(scope="module")
def texts():
    """Texts in which words 3, 4 and 5 tell the class, with noise."""
    generator = np.random.RandomState(0)
    parts = {}
    for name, count in (("train", 400), ("valid", 100), ("test", 200)):
        labels = generator.randint(2, size=count).astype(np.int32)
        tokens = generator.randint(6, len(WORDS), size=(count, 12)).astype(np.int32)
        tokens[:, 0] = 0
        tokens[:, 1] = 1
        for word, share in ((3, 0.8), (4, 0.7), (5, 0.6)):
            has = generator.rand(count) < np.where(labels == 1, share, 1 - share)
            tokens[has, word] = word
        parts[name] = TextPart(tokens, tokens > 0, labels)
    return Texts("IMDB", parts, WORDS)


@pytest.fixture(scope="module")
def matrices(texts):
    return {name: presence(part, len(WORDS)) for name, part in texts.parts.items()}


def test_presence_counts_each_word_once_and_no_padding(texts):
    part = TextPart(np.array([[0, 1, 2, 5, 5], [1, 7, 5, 2, 2]], dtype=np.int32), None, np.zeros(2))
    matrix = presence(part, 8).toarray()
    assert matrix.tolist() == [[0, 0, 1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 1, 0, 1]]


def test_the_texts_are_those_of_the_lstm(data):
    texts = read_texts("IMDB", data("IMDB"))
    settings = running.load_experiment("IMDB").make_settings(config="LLLCCL", data_dir=data("IMDB"))
    assert {name: len(part.labels) for name, part in texts.parts.items()} == {"train": 1700, "valid": 300, "test": 400}
    assert texts.parts["train"].tokens.shape[1] == settings.length and texts.words[:3] == WORDS[:3]


def test_default_numbers_of_words(tmp_path):
    for name, count in (("a", 3), ("b", 0), ("c", 4611)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kept_words.txt").write_text("word\t1.0\n" * count)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "kept_words.txt").write_text("word\t1.0\n" * 60)
    (tmp_path / "demo" / "config.json").write_text('{"demo": true, "settings": {}}')
    assert default_words("IMDB", [str(tmp_path / "*")]) == [3, 292, 4611]
    assert default_words("AGNews", ()) == [2444, 5727]


def test_naive_bayes_has_the_weights_of_the_formula(texts, matrices, monkeypatch):
    pytest.importorskip("sklearn")
    saved = []
    monkeypatch.setattr(baselines, "save_arrays", lambda path, arrays, details, compress: (
        saved.append((arrays, details)), open(path, "wb").close()))
    row = naive_bayes(texts, matrices)
    arrays, details = saved[0]
    occurs, labels = matrices["train"].toarray(), texts.parts["train"].labels
    share = [(occurs[labels == label].sum(axis=0) + 1.) / ((labels == label).sum() + 2.) for label in (0, 1)]
    log_odds = np.log(share[1] / (1 - share[1])) - np.log(share[0] / (1 - share[0]))
    used = np.flatnonzero(occurs.any(axis=0))
    np.testing.assert_allclose(arrays["weights"][0], log_odds[used], rtol=1e-5)
    score = matrices["test"].toarray()[:, used].dot(arrays["weights"][0]) + arrays["bias"][0]
    assert np.mean((score > 0) == texts.parts["test"].labels) == pytest.approx(float(row["test"]))
    assert row["words"] == len(used) == len(details["words"]) and float(row["test"]) > 0.7


def test_logistic_regression_has_at_most_the_given_words(texts, matrices):
    pytest.importorskip("sklearn")
    rows = logistic_regressions(texts, matrices, [3, 40])
    assert [row["name"].split(" ")[0] for row in rows] == ["L1", "L2", "L1", "L2"]
    assert rows[0]["words"] == rows[1]["words"] == 3 and 20 < rows[2]["words"] == rows[3]["words"] <= 40
    for row in rows:
        assert float(row["test"]) > 0.75 and 100 < row["bytes"] < 5000 and tuple(row) == baselines.COLUMNS
    assert rows[0]["bytes"] < rows[2]["bytes"]


def test_no_model_with_so_few_words(texts, matrices, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(baselines._Path, "FIRST", 1.)
    with pytest.raises(ReportedError, match="^no L1-regularised model has 1 to 1 words"):
        logistic_regressions(texts, matrices, [1])


def test_fast_text_fits_in_the_given_sizes(texts):
    pytest.importorskip("fasttext")
    candidates = [dict(wordNgrams=ngrams, lr=0.5, epoch=10) for ngrams in (1, 2)]
    full, small, smaller = baselines.fast_texts(texts, (16, 11), candidates)
    assert float(full["test"]) > 0.6 and full["bytes"] > 10000
    assert 11 * 1024 < small["bytes"] <= 16 * 1024 and smaller["bytes"] <= 11 * 1024
    assert smaller["words"] <= small["words"] <= 301 and float(small["valid"]) >= 0.5
    with pytest.raises(ReportedError, match="^no fastText model fits in 1 KiB$"):
        baselines.fast_texts(texts, [1], candidates[:1])


def test_the_command_writes_the_file_that_the_tables_read(data, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("fasttext")
    monkeypatch.setattr(baselines, "fast_texts", lambda texts: [])
    from Experiments import baselines as program
    from Experiments.shared.reproduction import results
    out = tmp_path / "IMDB" / "baselines.csv"
    program.main(["IMDB", "--words", "2", "--data-dir", data("IMDB"), "--out", str(out)])
    with open(str(out)) as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["Bernoulli naive Bayes", "L1 logistic regression, at most 2 words",
                                             "L2 logistic regression on the words of the L1 model, at most 2 words"]
    assert [found.name for found in results.baselines("IMDB", str(tmp_path))] == [row["name"] for row in rows]


@pytest.mark.parametrize("out, message", [("", "--out must be a file, but "),
                                          ("file/new.csv", "cannot create the folder of the csv file: ")])
def test_a_file_that_cannot_be_written_is_reported_before_training(out, message, tmp_path, monkeypatch, capsys):
    from Experiments import baselines as program
    monkeypatch.setattr(program, "require_packages", lambda: None)
    monkeypatch.setattr(program, "read_texts", lambda *arguments: pytest.fail("trains"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        program.main(["IMDB", "--out", str(tmp_path / out)])
    assert capsys.readouterr().err.startswith("error: " + message)


def test_missing_packages_are_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ReportedError, match="^the baselines need the package scikit-learn .* requirements/baselines"):
        baselines.require_packages()
