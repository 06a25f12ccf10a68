"""run_compressed.py and --eval-only on finished runs."""

import os
import re
import shutil

from theano_rnn.npz_store import load_arrays, save_arrays

import pytest
from helpers import running
from helpers.prepared_corpora import prepare

from Experiments.shared import cli

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def table(output):
    """Return the two lines of figures that run_compressed.py prints: dict of name to [metric, bytes, milliseconds]."""
    return {name: [float(number) for number in numbers.split()]
            for name, numbers in re.findall(r"^(pruned|compressed) +([\d. ]+)$", output, re.MULTILINE)}


def largest_difference(output):
    return float(re.search(r"^Largest difference of predictions, compressed against pruned .*: (\S+)$", output,
                           re.MULTILINE).group(1))


def evaluated(output):
    """Return validation metric, test metric and compression in the output of --eval-only."""
    return [re.search(pattern + "$", output, re.MULTILINE).group(1)
            for pattern in (r"^Val \(clip\): ([\d.]+)", r"^Test \(clip\): ([\d.]+)", r"^Overall compression: (\S+)")]


def expected(row):
    return ["%.4f" % float(row["val"]), "%.4f" % float(row["test"]), row["compression"]]


def check(output, path, row):
    """Compare the output and the file of run_compressed.py for one run with a row of its metrics.csv."""
    assert output.startswith(path + "\nCompression per layers:\n")
    assert "Overall compression: %s\n" % row["compression"] in output
    assert 0 <= largest_difference(output) < 1e-4
    rows = table(output)
    for name in ("pruned", "compressed"):
        metric, size, milliseconds = rows[name]
        assert "%.4f" % metric == "%.4f" % float(row["test"]), name
        assert milliseconds > 0
    model = os.path.join(path, "compressed.npz")
    assert rows["compressed"][1] == os.path.getsize(model)
    assert "Saved %s\n" % model in output


def test_the_script_compares_and_writes(finished, tmp_path):
    run = finished("IMDB")
    path = shutil.copytree(run.path, str(tmp_path / "run"))
    os.remove(os.path.join(path, "compressed.npz"))
    output = running.succeed(running.script("IMDB", "run_compressed.py"), [path])
    check(output, path, running.read_metrics(os.path.join(path, "metrics.csv"))[-1])
    # The file has the same bytes as the one that training wrote, and no other file has changed.
    assert running.folder_bytes(path) == running.folder_bytes(run.path)


def check_variants(output, compressed, dataset):
    """Compare the table of --variants with the metric and the bytes of the compressed model."""
    rows = re.findall(r"^(float32|float16|int8) +(exact|none) +([\d.]+) +(\d+)$", output, re.MULTILINE)
    metrics, sizes = ({row[:2]: float(row[column]) for row in rows} for column in (2, 3))
    assert list(metrics)[:3] == [(precision, "exact") for precision in ("float32", "float16", "int8")]
    assert len(metrics) in ((3, 6) if dataset == "AGNews" else (3,))
    assert [metrics["float32", "exact"], sizes["float32", "exact"]] == compressed[:2]
    for variant, metric in metrics.items():
        assert metric == pytest.approx(compressed[0], rel=0.1), variant
        assert sizes[variant] <= compressed[1] and (variant[0] == "float32" or sizes[variant] < compressed[1])


@pytest.mark.parametrize("dataset", ["AGNews", "Char_PTB", "Word_PTB"])
def test_the_small_network_predicts_as_the_pruned_one(dataset, finished, tmp_path, capsys):
    path = shutil.copytree(finished(dataset).path, str(tmp_path / "run"))
    rows = running.read_metrics(os.path.join(path, "metrics.csv"))
    checkpoint = {"AGNews": "best", "Char_PTB": "last", "Word_PTB": "epoch_50"}[dataset]
    arguments = [path] + (["--checkpoint", checkpoint] if checkpoint != "last" else [])
    cli.run_compressed(running.load_experiment(dataset), arguments + ["--variants"])
    output = capsys.readouterr().out
    check_variants(output, table(output)["compressed"], dataset)
    assert 0 <= largest_difference(output) < 1e-4
    pruned, compressed = (table(output)[name] for name in ("pruned", "compressed"))
    assert compressed[0] == pytest.approx(pruned[0], abs=2e-4)
    name = "compressed.npz" if checkpoint == "last" else "compressed-%s.npz" % checkpoint
    assert compressed[1] == os.path.getsize(os.path.join(path, name))
    original = running.read_bytes(os.path.join(finished(dataset).path, "compressed.npz"))
    assert running.read_bytes(os.path.join(path, "compressed.npz")) == original     # it is the last checkpoint's
    if checkpoint == "best":
        epoch = load_arrays(os.path.join(path, "best.npz"))[1]["epoch"]
        row, = [row for row in rows if int(row["epoch"]) == epoch]
        assert "%.4f" % compressed[0] == "%.4f" % float(row["test"])


def test_several_runs_and_every_finished_one(finished, tmp_path, capsys):
    folder = tmp_path / "Char_PTB" / "Results"
    paths = [shutil.copytree(finished("Char_PTB").path, str(folder / name)) for name in ("a", "b")]
    cli.run_compressed(running.load_experiment("Char_PTB").derive(folder=str(tmp_path / "Char_PTB")),
                       ["--device", "auto"])
    output = capsys.readouterr().out
    assert [line for line in output.splitlines() if line in paths] == paths
    assert output.count("Largest difference of predictions") == 2


def test_eval_only_prints_the_last_row(finished, capsys):
    run = finished("IMDB")
    before = running.folder_bytes(run.path)
    rows = running.read_metrics(os.path.join(run.path, "metrics.csv"))
    assert evaluated(running.succeed(running.script("IMDB"), ["--eval-only", run.path])) == expected(rows[-1])
    path = os.path.join(run.path, "best.npz")
    cli.main(running.load_experiment("IMDB"), ["LLLCCL", "--eval-only", path, "--data-dir", run.data])
    epoch = load_arrays(path)[1]["epoch"]
    assert evaluated(capsys.readouterr().out) == expected([row for row in rows if int(row["epoch"]) == epoch][0])
    assert running.folder_bytes(run.path) == before


def test_eval_only_of_a_language_model_in_its_folder(finished, capsys):
    run = finished("Word_PTB")
    cli.main(running.load_experiment("Word_PTB"), ["--eval-only", os.path.join(run.path, "last.npz")])
    row = running.read_metrics(os.path.join(run.path, "metrics.csv"))[-1]
    assert evaluated(capsys.readouterr().out) == expected(row)


def test_eval_only_needs_neither_training_state_nor_the_data_in_their_place(finished, tmp_path, capsys):
    path = shutil.copytree(finished("Char_PTB").path, str(tmp_path / "run"))
    arrays, progress = load_arrays(os.path.join(path, "last.npz"))
    parameters = {name: array for name, array in arrays.items() if not name.startswith(("adam.", "noise."))}
    save_arrays(os.path.join(path, "last.npz"), parameters, progress)
    prepare("Char_PTB", str(tmp_path / "moved"))
    cli.main(running.load_experiment("Char_PTB"),
                    ["--eval-only", path, "--data-dir", str(tmp_path / "moved")])
    row = running.read_metrics(os.path.join(path, "metrics.csv"))[-1]
    assert evaluated(capsys.readouterr().out) == expected(row)
