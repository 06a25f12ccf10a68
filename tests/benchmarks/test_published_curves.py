"""Training curves next to the published ones."""

import json

from theano_rnn.errors import ReportedError

import pytest

from benchmarks import published_curves


def metrics(epochs, accuracy):
    header = "dataset,config,epoch,val,test,compression\n"
    return header + "".join("IMDB,LLLCCL,%d,%s,%s,%d\n" % (epoch, accuracy, accuracy, 2 * epoch) for epoch in epochs)


def test_plots_and_table(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"dataset": "IMDB", "config": "LLLCCL", "kind": "text"}))
    published = tmp_path / "published.csv"
    published.write_text(metrics([20, 40, 60], 0.8) + "Word_PTB,LCCL,20,1,1,1\n")
    published_curves.show(str(tmp_path), str(published), str(tmp_path / "out"))
    assert "no evaluation yet" in capsys.readouterr().out
    (tmp_path / "metrics.csv").write_text(metrics([5, 20, 40], 0.75))
    published_curves.show(str(tmp_path), str(published), str(tmp_path / "out"))
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| 20 | 0.75 | 0.8 | 0.75 | 0.8 | 40 | 40 |", "| 40 | 0.75 | 0.8 | 0.75 | 0.8 | 80 | 80 |"]
    for name in ("out-metric.png", "out-compression.png"):
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(ReportedError, match="nothing.csv does not exist; expected the file published_"):
        published_curves.show(str(tmp_path), str(tmp_path / "nothing.csv"), str(tmp_path / "out"))


def test_the_table_of_curves_is_short():
    rows = [{"epoch": epoch, "val": 1. if epoch > 2 else float("nan"), "published val": 2.} for epoch in range(1, 151)]
    chosen = [row["epoch"] for row in published_curves.chosen_epochs(rows)]
    assert len(chosen) == published_curves.TABLE_ROWS and (chosen[0], chosen[-1]) == (3, 150)
    assert published_curves.chosen_epochs(rows[:2]) == []
