"""The files of a finished run, for the four experiments with Bayesian compression."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays

import numpy as np
import pytest
from helpers import running
from helpers.prepared_corpora import OPINIONS

from bayes_rnn.predictor import load_model
from Experiments.shared import run_folder
from Experiments.shared.data import minibatches as batches
from Experiments.shared.data.vocabulary import Vocabulary
from Experiments.shared.run_folder import RunFolder

SECONDS = r"(\d+\.\d{3})s"
EPOCH = re.compile("Epoch (\\d+) took " + SECONDS +
                   " \t loss = (-?\\d+\\.\\d{3}), \t grad norm = (\\d+\\.\\d{3}),\t(\\d+\\.\\d{3})$")
METRIC = r"%s \(clip\): (\d+\.\d{4})$"
COUNT = r"\((\w+): (\d+)/(\d+)\) "
LAYERS = {"text": ["Embedding: " + COUNT * 2, "LSTM: " + COUNT * 5, "Dense: " + COUNT],
          "language": ["LSTM: " + COUNT * 5, "Dense: " + COUNT]}
COUNT_COLUMNS = ["embedding_w", "z_voc", "w_x", "w_h", "z_x", "z_h", "gates", "dense_w"]
# The columns of the published curves without data set and CONFIG.
PUBLISHED = (["epoch", "train_seconds", "train_loss", "max_grad_norm", "mean_grad_norm", "train", "val", "test",
              "compression"] + ["kept_" + name for name in COUNT_COLUMNS] + ["size_" + name for name in COUNT_COLUMNS])

each_experiment = pytest.mark.parametrize("dataset", [
    pytest.param(dataset, marks=[pytest.mark.core] if dataset == "IMDB" else []) for dataset in running.DATASETS])


def kind(dataset):
    return "language" if dataset.endswith("PTB") else "text"


def log_lines(finished_run):
    return running.read_text(os.path.join(finished_run.path, "log.txt")).splitlines()


def match(pattern, line):
    found = re.match(pattern + "$", line)
    assert found, "%r does not match %r" % (line, pattern)
    return found.groups()


def evaluations(lines, dataset):
    """Parse the printed evaluations in the format of the published logs: list of dict with the csv's columns."""
    found = []
    for index, line in enumerate(lines):
        if not line.startswith("Train (clip)"):
            continue
        epoch, seconds, loss, largest, mean = EPOCH.match(lines[index - 1]).groups()
        rest = iter(lines[index:])
        row = dict(epoch=epoch, train_seconds=seconds, train_loss=loss, max_grad_norm=largest, mean_grad_norm=mean)
        for part in ("Train", "Val", "Test"):
            row[part.lower()], = match(METRIC % part, next(rest))
        row["test_seconds"], = match("Testing took " + SECONDS, next(rest))
        assert next(rest) == "Compression per layers:"
        for pattern in LAYERS[kind(dataset)]:
            line = next(rest)
            groups = match(pattern, line)
            layer = line.split(":")[0].lower()
            for name, kept, size in zip(*[iter(groups)] * 3):
                column = layer + "_w" if name == "w" else name
                row["kept_" + column], row["size_" + column] = kept, size
        row["compression"], = match(r"Overall compression: (\d+\.\d+(?:e\+\d+)?)", next(rest))
        found.append(row)
    return found


@each_experiment
def test_files(dataset, finished):
    expected = {"config.json", "metrics.csv", "log.txt", "vocabulary.txt", "last.npz", "best.npz", "metric.png",
                "compression.png", "compressed.npz"}
    if dataset in ("IMDB", "Word_PTB"):     # CONFIGs with an L at the vocabulary
        expected.add("kept_words.txt")
    if dataset == "IMDB":
        expected |= {"epoch_25.npz", "epoch_50.npz"}
    if dataset == "Word_PTB":
        expected.add("epoch_50.npz")
    if importlib.util.find_spec("jinja2"):
        expected.add("report.html")
    assert set(os.listdir(finished(dataset).path)) == expected


@each_experiment
def test_config(dataset, finished):
    run = finished(dataset)
    config = running.read_json(os.path.join(run.path, "config.json"))
    assert (config["dataset"], config["config"], config["seed"]) == (dataset, running.CONFIGS[dataset], 0)
    assert config["data_dir"] == run.data and config["demo"] is False
    settings = dict(running.hyperparameters(running.load_experiment(dataset)), tensorboard=False,
                    **running.SETTINGS[dataset])
    assert config["settings"] == settings
    versions = config["versions"]
    assert versions["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert versions["numpy"] == np.__version__
    assert versions["lasagne"] and versions["theano"] and versions["bayes_rnn"]
    assert "floatX=float32" in versions["theano_flags"]
    # The commit itself may change while the tests run.
    in_repository = shutil.which("git") and not subprocess.call(["git", "-C", running.ROOT, "rev-parse", "HEAD"],
                                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (versions["git_commit"] != "unknown") == bool(in_repository)


@each_experiment
def test_log_is_what_was_printed(dataset, finished):
    run = finished(dataset)
    assert running.read_text(os.path.join(run.path, "log.txt")) == run.output


@each_experiment
def test_every_epoch_is_printed(dataset, finished):
    lines = [line for line in log_lines(finished(dataset)) if line.startswith("Epoch")]
    epochs = [int(EPOCH.match(line).group(1)) for line in lines]
    assert epochs == list(range(1, running.SETTINGS[dataset]["epochs"] + 1))
    assert all(float(EPOCH.match(line).group(4)) >= float(EPOCH.match(line).group(5)) for line in lines)


@each_experiment
def test_metrics_are_the_printed_numbers(dataset, finished):
    run = finished(dataset)
    header, _, content = running.read_text(os.path.join(run.path, "metrics.csv")).partition("\n")
    rows = [dict(zip(header.split(","), line.split(","))) for line in content.splitlines()]
    printed = evaluations(log_lines(run), dataset)
    expected = {"IMDB": [20, 40, 60], "AGNews": [2, 3], "Char_PTB": [1, 2], "Word_PTB": [20, 40, 60]}[dataset]
    assert [int(row["epoch"]) for row in rows] == expected      # every so many epochs, and after the last
    assert len(printed) == len(rows)
    for row, numbers in zip(rows, printed):
        assert set(row) == set(numbers)
        for name, value in numbers.items():
            decimals = {"epoch": 0, "train": 4, "val": 4, "test": 4}.get(name, 3)
            if name.startswith(("kept", "size")) or name == "compression":
                assert row[name] == value
            else:
                assert "%.*f" % (decimals, float(row[name])) == value, name


@each_experiment
def test_metrics_have_the_published_columns(dataset, finished):
    header = running.read_text(os.path.join(finished(dataset).path, "metrics.csv")).split("\n")[0].split(",")
    without_embedding = {prefix + name for prefix in ("kept_", "size_") for name in ("embedding_w", "z_voc")}
    expected = set(PUBLISHED) - (without_embedding if kind(dataset) == "language" else set())
    assert set(header) == expected | {"test_seconds"}
    assert header[:8] == PUBLISHED[:8]


@each_experiment
def test_compression_is_the_ratio_of_the_counts(dataset, finished):
    for row in running.read_metrics(os.path.join(finished(dataset).path, "metrics.csv")):
        names = [name for name in ("embedding_w", "w_x", "w_h", "dense_w") if "kept_" + name in row]
        kept, size = (sum(int(row[prefix + name]) for name in names) for prefix in ("kept_", "size_"))
        assert float(row["compression"]) == pytest.approx(size / (kept + 1e-8), rel=1e-9)
        assert all(0 <= int(row["kept_" + name]) <= int(row["size_" + name]) for name in names)


@pytest.mark.core
def test_training_learns_and_prunes(finished):
    first, _, last = running.read_metrics(os.path.join(finished("IMDB").path, "metrics.csv"))
    assert float(last["train_loss"]) < float(first["train_loss"])
    assert float(last["val"]) == float(last["test"]) == 1
    assert 5 < float(last["compression"]) < 100 and float(last["compression"]) > float(first["compression"])
    lines = running.read_text(os.path.join(finished("IMDB").path, "kept_words.txt")).splitlines()
    opinions = {word for words in OPINIONS for word in words}
    assert len(lines) < 12 and {line.split("\t")[0] for line in lines} & opinions


@each_experiment
def test_vocabulary_is_the_one_of_the_data(dataset, finished):
    run = finished(dataset)
    name = "vocabulary.txt"
    assert running.read_bytes(os.path.join(run.path, name)) == running.read_bytes(os.path.join(run.data, name))


@each_experiment
def test_checkpoints(dataset, finished):
    run = finished(dataset)
    last, progress = load_arrays(os.path.join(run.path, "last.npz"))
    parameters = [name for name in last if not name.startswith(("adam.", "noise.", "carried."))]
    for name in parameters:
        for moment in ("mean", "square"):
            assert last["adam.%s.%s" % (name, moment)].shape == last[name].shape
    assert any(name.startswith("noise.") for name in last)
    assert {"carried.hid", "carried.cell"} <= set(last) or dataset != "Word_PTB"
    assert {"lstm.W_hid", "dense.W"} <= set(parameters)
    assert all(np.isfinite(array).all() for array in last.values())
    epochs = running.SETTINGS[dataset]["epochs"]
    assert (progress["epoch"], progress["minibatch"]) == (epochs + 1, 0)
    rows = [dict(row) for row in progress["rows"]]
    values = [row["val"] for row in rows]
    best = min(values) if kind(dataset) == "language" else max(values)
    assert progress["best"] == best
    arrays, at_best = load_arrays(os.path.join(run.path, "best.npz"))
    assert sorted(arrays) == sorted(last)
    assert at_best["epoch"] == rows[values.index(best)]["epoch"]        # the first of several equal ones


@each_experiment
def test_plots(dataset, finished):
    for name in ("metric.png", "compression.png"):
        content = running.read_bytes(os.path.join(finished(dataset).path, name))
        assert content.startswith(b"\x89PNG") and len(content) > 2000


@pytest.mark.parametrize("dataset", [pytest.param("IMDB", marks=pytest.mark.core), "Word_PTB"])
def test_kept_words(dataset, finished):
    run = finished(dataset)
    lines = [line.split("\t") for line in running.read_text(os.path.join(run.path, "kept_words.txt")).splitlines()]
    words, importances = [line[0] for line in lines], [float(line[1]) for line in lines]
    assert importances == sorted(importances, reverse=True)
    row = running.read_metrics(os.path.join(run.path, "metrics.csv"))[-1]
    column = "z_voc" if dataset == "IMDB" else "z_x"
    assert len(words) == int(row["kept_" + column])
    vocabulary = Vocabulary.read(run.data)
    model_words = batches.model_words(vocabulary) if dataset == "IMDB" else vocabulary
    assert set(words) <= set(model_words) and len(set(words)) == len(words)
    assert "\n%d of %d vocabulary elements kept (" % (len(words), len(model_words)) in run.output


@each_experiment
def test_compressed_model_predicts(dataset, finished, without_theano):
    run = finished(dataset)
    path = os.path.join(run.path, "compressed.npz")
    size = os.path.getsize(path)
    assert "\nCompressed model: %s, %d bytes; the parameters it came from: " % (path, size) in run.output
    model = load_model(path)
    for example in running.load_experiment(dataset).examples:
        line = model.describe(example)
        assert "%s\n  -> %s\n" % (example, line) in run.output
    process = subprocess.Popen([sys.executable, "-m", "bayes_rnn.predictor", path, example], cwd=running.ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=dict(os.environ, PYTHONPATH=without_theano))
    status, output, errors = running.wait(process)
    assert (status, errors) == (0, "")
    assert output.strip() == line


def test_rows_with_pretrained_vectors_are_reported(finished):
    vocabulary = Vocabulary.read(finished("AGNews").data)
    assert finished("AGNews").output.startswith("2 of %d words have a pretrained vector (%s-vectors.txt)\n"
                                                % (len(vocabulary), finished("AGNews").path))


# -- the class, alone --------------------------------------------------------------------------------------------------

def test_a_folder_is_made_and_another_run_is_refused(tmp_path):
    run = RunFolder(str(tmp_path / "a" / "b"))
    run.refuse_another_run()
    run.make()
    run.start({"x": 1}, ["a", "b"])
    described = run.read_config()
    assert described["x"] == 1 and described["versions"]["bayes_rnn"]
    run.start(described, ["a", "b"])
    assert run.read_config()["versions"] == described["versions"] == run.read_config()["resumed_with"][0]
    with pytest.raises(ReportedError, match="already holds a run"):
        run.refuse_another_run()
    assert sorted(os.listdir(run.path)) == ["config.json", "vocabulary.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    run = RunFolder(str(tmp_path))
    run.save_checkpoint("last", {"a": np.arange(3)}, {"epoch": 1})
    before = running.folder_bytes(tmp_path)

    def fail(descriptor):
        raise OSError("no space left on device")
    monkeypatch.setattr(os, "fsync", fail)
    for write in (lambda: run.save_checkpoint("last", {"a": np.arange(4)}, {"epoch": 2}),
                  lambda: run.start({}, ["a"]), lambda: run.write_metrics([])):
        with pytest.raises(OSError):
            write()
        assert running.folder_bytes(tmp_path) == before


def test_metrics_of_no_rows_are_an_empty_file(tmp_path):
    run = RunFolder(str(tmp_path))
    run.write_metrics([])
    assert running.read_text(tmp_path / "metrics.csv") == ""
    run.write_metrics([{"epoch": 1, "val": 0.1}, {"epoch": 2, "val": 1e-30}])
    assert running.read_text(tmp_path / "metrics.csv") == "epoch,val\n1,0.1\n2,1e-30\n"


def test_log_prints_and_appends(tmp_path, capsys):
    run = RunFolder(str(tmp_path))
    run.log(u"caf\u00e9")
    run.log("two\nlines")
    assert running.read_text(tmp_path / "log.txt") == capsys.readouterr().out == u"caf\u00e9\ntwo\nlines\n"


def test_without_git_the_commit_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(run_folder, "PROJECT", str(tmp_path))
    assert run_folder._git_commit() == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_folder._git_commit() == "unknown"


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    for name in ("last.npz.123.tmp", "metric.tmp.png", "last.npz", "metric.png"):
        (tmp_path / name).write_text(u"x")
    RunFolder(str(tmp_path)).start({}, [])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.json", "last.npz", "metric.png",
                                                                 "vocabulary.txt"]
