"""Training curves next to the published ones."""

import json

from benchmarks import published_curves


def test_plots_and_table(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"dataset": "IMDB", "config": "LLLCCL", "kind": "text"}))
    published_curves.show(str(tmp_path), str(tmp_path / "out"))
    assert "no evaluation yet" in capsys.readouterr().out
    (tmp_path / "metrics.csv").write_text("epoch,val,test,compression\n" + "".join(
        "%d,0.75,0.76,%d\n" % (epoch, 2 * epoch) for epoch in (5, 20, 40)))
    published_curves.show(str(tmp_path), str(tmp_path / "out"))
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| 20 | 0.75 | 0.7365 | 0.76 | 0.7442 | 40 | 319.72 |", "| 40 | 0.75 | 0.7677 | 0.76 | 0.7633 | 80 | 517.92 |"]
    for name in ("out-metric.png", "out-compression.png"):
        assert (tmp_path / name).stat().st_size > 1000


def test_the_table_of_curves_is_short():
    rows = [{"epoch": epoch, "val": 1. if epoch > 2 else float("nan"), "published val": 2.} for epoch in range(1, 151)]
    chosen = [row["epoch"] for row in published_curves.chosen_epochs(rows)]
    assert len(chosen) == published_curves.TABLE_ROWS and (chosen[0], chosen[-1]) == (3, 150)
    assert published_curves.chosen_epochs(rows[:2]) == []
