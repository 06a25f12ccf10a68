"""The command line ``python -m bayes_rnn.predict`` and its former names."""

import codecs
import io
import json
import os
import subprocess
import sys

from theano_rnn import numpy_predictor
from theano_rnn.npz_store import save_arrays

import numpy as np
import pytest
from helpers.compressed_models import CLASSIFIER

from bayes_rnn import predict
from bayes_rnn.export import save_model
from bayes_rnn.predictor import model_names


def run(*arguments, **options):
    """Return status, output and errors; options: how (arguments of Python), text (standard input, bytes)."""
    command = [sys.executable] + options.get("how", ["-m", "bayes_rnn.predict"]) + list(arguments)
    # Text that is not ASCII must arrive unchanged in every locale.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=dict(os.environ, PYTHONIOENCODING="utf-8"))
    out, err = process.communicate(options.get("text", b""))
    return process.returncode, out.decode("utf-8"), err.decode("utf-8")


def called(capsys, *arguments):
    """Call the command line in this process; return what it prints. Faster than `run`."""
    predict.main(list(arguments))
    return capsys.readouterr().out


def test_command_line_classifies(models, paths):
    probabilities = models["text"].predict(["a good film"])[0]
    name = CLASSIFIER["classes"][int(probabilities.argmax())]
    found = "%s (negative %.3f, positive %.3f)" % (name, probabilities[0], probabilities[1])
    status, out, errors = run(paths["text"], "a good film")
    assert (status, errors) == (0, "") and out.startswith(found + "; words that count: ")


def test_words_that_count_change_the_prediction(models, paths, capsys, monkeypatch):
    text, model = "good film good bad a", models["text"]
    changes = model.influence(text)
    monkeypatch.setattr(numpy_predictor, "SMALLEST_CHANGE", abs(changes[1][1]))
    expected = ", ".join("%s %+.3f" % change for change in changes[:2])
    assert called(capsys, paths["text"], text).endswith("; words that count: %s\n" % expected)
    monkeypatch.setattr(numpy_predictor, "SMALLEST_CHANGE", 2)
    assert called(capsys, paths["text"], text).endswith("; words that count: none\n")


def test_a_terminal_without_the_letters_of_a_class(models, tmp_path, monkeypatch):
    path, model = str(tmp_path / "model.npz"), models["text"]
    save_model(path, model.arrays, dict(model.metadata, classes=[u"na\u00efve \u65e5", u"\u00e9t\u00e9"]))
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="ascii"))
    predict.main([path, "a good film"])
    assert b"na\\xefve \\u65e5 0." in output.getvalue()


def test_an_empty_text_is_a_text(paths, capsys):
    assert "words that count: none" in called(capsys, paths["text"], "")


TEXTS = [u"a good film", u"", u"\u00e9t\u00e9 bad", u"good " * 20]


def test_texts_of_a_file_and_of_standard_input(models, paths, tmp_path, capsys):
    """One text per line, with either end of line; the last line may have none."""
    content = (TEXTS[0] + "\r\n" + "\n".join(TEXTS[1:])).encode("utf-8")
    (tmp_path / "texts.txt").write_bytes(content)
    expected = "".join(models["text"].describe_prediction(row) + "\n" for row in models["text"].predict(TEXTS))
    assert called(capsys, paths["text"], "--input", str(tmp_path / "texts.txt")) == expected
    assert run("--input", "-", paths["text"], text=content) == (0, expected, "")
    assert run("--input", "-", paths["text"], text=codecs.BOM_UTF8 + content) == (0, expected, "")
    explained = called(capsys, paths["text"], "--input", str(tmp_path / "texts.txt"), "--explain").splitlines()
    assert explained == [models["text"].describe(text) for text in TEXTS]


def test_json_lines(models, paths, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    lines = called(capsys, "--json", paths["text"], "--input", str(tmp_path / "texts.txt")).splitlines()
    assert len(lines) == len(TEXTS)
    for text, line, probabilities in zip(TEXTS, lines, models["text"].predict(TEXTS)):
        record = json.loads(line)
        assert record["text"] == text and "words" not in record
        assert record["class"] == CLASSIFIER["classes"][int(probabilities.argmax())]
        np.testing.assert_allclose([record["probabilities"][name] for name in CLASSIFIER["classes"]], probabilities,
                                   atol=1e-6)
    record, = map(json.loads, called(capsys, paths["text"], "good bad", "--json").splitlines())
    assert record["words"] == {word: round(change, 6) for word, change in models["text"].words_that_count("good bad")}
    nats, count = models["words"].cross_entropy("sat cat", "dog")
    record, = map(json.loads, called(capsys, paths["words"], "--json", "--context", "dog", "sat cat").splitlines())
    assert record == {"text": "sat cat", "context": "dog", "tokens": count, "nats_per_token": round(nats, 6)}
    record, = map(json.loads, called(capsys, "--sample", "4", "--json", paths["words"], "cat").splitlines())
    assert record == {"prompt": "cat", "seed": 0, "temperature": 1.0, "sample": models["words"].sample(4, prompt="cat")}


@pytest.mark.skipif(sys.version_info < (3, 7), reason="CPython 3.6 has no parse_intermixed_args")
def test_options_and_texts_in_any_order(paths, capsys):
    expected = called(capsys, paths["text"], "good", "bad film", "--json", "--backend", "numpy")
    assert len(expected.splitlines()) == 2
    for order in (["--json", paths["text"], "good", "--backend", "numpy", "bad film"],
                  [paths["text"], "--backend", "numpy", "good", "bad film", "--json"]):
        assert called(capsys, *order) == expected


def test_a_language_model_reads_a_file_as_one_text(models, paths, tmp_path, capsys):
    (tmp_path / "text.txt").write_text("cat sat\ndog\n")
    expected = models["words"].describe("cat sat\ndog") + "\n"
    assert called(capsys, paths["words"], "--input", str(tmp_path / "text.txt")) == expected
    (tmp_path / "marked.txt").write_bytes(codecs.BOM_UTF8 + b"cat sat\ndog\n")
    assert called(capsys, paths["words"], "--input", str(tmp_path / "marked.txt")) == expected


def test_command_line_measures(models, paths, capsys):
    nats, count = models["characters"].cross_entropy("ab\na")
    assert count == 3
    assert called(capsys, paths["characters"], "ab\na") == (
        "%.3f bits per character over 3 characters, from an empty state: no context precedes the text\n"
        % (nats / np.log(2)))
    nats, count = models["words"].cross_entropy("cat sat", "dog")
    assert called(capsys, paths["words"], "cat sat", "--context", "dog") == (
        "perplexity %.2f over %d words, after the context\n" % (np.exp(nats), count))


def test_command_line_samples(models, paths, capsys):
    first = called(capsys, paths["words"], "--sample", "12", "--seed", "3")
    assert first == models["words"].sample(12, seed=3) + "\n"
    assert called(capsys, paths["words"], "--sample", "12", "--seed", "3") == first
    assert called(capsys, paths["words"], "cat", "--sample", "5", "--temperature", "0.5") == models["words"].sample(
        5, prompt="cat", temperature=0.5) + "\n"


def test_command_line_describes(models, paths, tmp_path, capsys):
    computed = models["text"].arrays["gate_is_computed"].sum()
    line = "IMDB LLLCCL, text: 3 words, 4 hidden units, %d computed gates\n" % computed
    assert called(capsys, paths["text"]) == line
    path = str(tmp_path / "with card.npz")
    save_model(path, models["text"].arrays, dict(CLASSIFIER, card={"limits": "few words", "data": "reviews"}))
    assert called(capsys, path) == line + "data: reviews\nlimits: few words\n"


def test_command_line_errors(paths, tmp_path, capsys):
    missing, other = str(tmp_path / "no.npz"), str(tmp_path / "other.npz")
    save_arrays(other, {"W": np.zeros(2)}, {"format": "checkpoint"})
    damaged = str(tmp_path / "damaged.npz")
    with open(paths["text"], "rb") as source, open(damaged, "wb") as target:
        target.write(source.read()[:-50])
    expected = "'bayes_rnn compressed model, version 2'"
    for arguments, message in (
            ([missing, "good"], "compressed model not found: " + missing),
            ([other, "good"], "%s is not a compressed model: its format must be %s or an earlier version, got "
                              "'checkpoint' (run_compressed.py creates compressed models)" % (other, expected)),
            ([damaged], "compressed model %s is damaged or of another format (File is not a zip file); "
                        "recreate it or use another copy" % damaged),
            ([paths["characters"], "abx"], "'x' is not in the vocabulary of the model, which has 4 characters"),
            ([paths["text"], "--sample", "3"],
             "--sample needs a language model, but %s is a classifier" % paths["text"]),
            ([paths["words"], "--sample", "0"], "--sample must be in [1, 1000000000], got 0"),
            ([paths["words"], "--sample", "1" + "0" * 400],
             "--sample must be in [1, 1000000000], got 1" + "0" * 39),
            ([paths["words"], "--sample", "3", "--seed", "-1"], "--seed must be in [0, 2^32 - 1], got -1"),
            ([paths["words"], "--sample", "3", "--temperature", "0"],
             "--temperature must be a positive number, got 0"),
            ([paths["words"], "--sample", "3", "--temperature", "nan"],
             "--temperature must be a positive number, got nan"),
            ([paths["text"], "good", "--context", "a"],
             "--context needs a language model, but %s is a classifier" % paths["text"]),
            ([paths["words"], "cat", "--explain"],
             "--explain needs a classifier, but %s is a language model" % paths["words"]),
            ([paths["text"], "--input", missing],
             "--input cannot be read: %s: No such file or directory" % missing),
            ([paths["text"], "--input", str(tmp_path)], "--input cannot be read: %s: Is a directory" % tmp_path),
            ([paths["text"], "--input", paths["text"]],
             "--input must be UTF-8, but line 1 of %s is not (invalid start byte)" % paths["text"]),
            (["poems", "good"], "compressed model not found: poems; the names are " + ", ".join(model_names())),
            ([paths["text"], "good", "--input", "-"], "give either TEXT or --input; see --help"),
            ([paths["words"], "--seed", "3"], "--seed and --temperature need --sample; see --help"),
            ([paths["words"], "--sample", "3", "cat", "--context", "dog"],
             "--sample continues one TEXT, without --input and --context; see --help"),
            (["--json"], "MODEL is required; see --help")):
        with pytest.raises(SystemExit) as caught:
            predict.main(arguments)
        assert caught.value.code == 2
        assert capsys.readouterr() == ("", "error: %s\n" % message)
    assert run(missing, "good") == (2, "", "error: compressed model not found: %s\n" % missing)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_reader_that_ends_early(paths, tmp_path):
    (tmp_path / "texts.txt").write_text("good film\n" * 20000)
    process = subprocess.Popen([sys.executable, "-m", "bayes_rnn.predict", paths["text"], "--input",
                                str(tmp_path / "texts.txt")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 2


def test_former_names(paths, capsys):
    expected = called(capsys, paths["text"], "a good film")
    for name in ("bayes_rnn.compressed", "bayes_rnn.predictor"):
        assert run(paths["text"], "a good film", how=["-m", name]) == (0, expected, "")


def test_numpy_is_all_it_needs(paths):
    code = ("import sys\n"
            "for name in ('theano', 'lasagne', 'scipy', 'matplotlib'):\n"
            "    sys.modules[name] = None\n"
            "from bayes_rnn.predict import main\n"
            "main(sys.argv[1:])\n")
    for arguments in ([paths["text"], "a good film"], [paths["words"], "cat sat"], [paths["words"], "--sample", "9"]):
        status, out, errors = run(*arguments, how=["-c", code])
        assert (status, errors) == (0, "") and out
