"""Tables of results."""

import json

from benchmarks import report
from benchmarks.results_file import Results


def test_table():
    rows = {"a step": {"ours": 0.25, "theirs": 1., "ratio": 0.25, "target": 0.2, "met": False}, "another": {}}
    assert report.table("peers", rows).split("\n") == [
        "| training step | ours (s) | theirs (s) | ratio | at most | met |",
        "| --- | --- | --- | --- | --- | --- |",
        "| a step | 0.2500 | 1.0000 | 0.25 | 0.20 | **no** |",
        "| another |  |  |  |  |  |"]


def test_report(tmp_path, capsys):
    path = str(tmp_path / "results.json")
    Results(path).record("growth", "length", {"exponent": 0.75, "exponent_of_largest": 0.9, "arithmetic": 1})
    report.main([path])
    assert "| length | 0.75 | 0.90 | 1 |" in capsys.readouterr().out.splitlines()


def test_report_of_a_folder(tmp_path, capsys):
    for number, (part, figures) in enumerate([
            ("gpu_peer", {"torch_step_seconds": 0.04, "torch_memory_mb": 900., "device": "a GPU"}),
            ("gpu_step", {"median_step_seconds": 0.01, "epoch_seconds": 1.7, "published_epoch_seconds": 20.4,
                          "to_published": 0.083, "device": "a GPU", "device_memory_mb": 700.}),
            ("gradients", {"gradient_error": 2e-6, "met": True})]):
        (tmp_path / ("%d.json" % number)).write_text(json.dumps({"parts": {part: {"IMDB LLLCCL": figures}}}))
    report.main([str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "devices: a GPU"
    assert "| IMDB LLLCCL | 0.0100 | 1.7 | 20 | 0.08 | 0.0400 | 0.25 | 700 | 900 | 2.0e-06 |" in lines


def test_peers_measured_on_a_gpu_are_in_the_overview(tmp_path, capsys):
    figures = {"device": "a GPU", "median_step_seconds": 0.01, "epoch_seconds": 1.7}
    peers = {"device": "cuda", "ours": 0.011, "theirs": 0.044, "ratio": 0.25, "target": None, "met": None,
             "their_report": {"device_memory_mb": 900.}}
    (tmp_path / "steps.json").write_text(json.dumps({"parts": {"training_step": {"IMDB LLLCCL": figures}}}))
    (tmp_path / "peers.json").write_text(json.dumps({"parts": {"peers": {
        "IMDB LLLCCL uniform against torch_sparse_vd.py LLLCCL": peers,
        "IMDB LLLCCL uniform against jax_sparse_vd.py LLLCCL": dict(peers, theirs=0.022, ratio=0.5)}}}))
    report.main([str(tmp_path)])
    assert "| IMDB LLLCCL | 0.0100 | 1.7 | 0.0440 | 0.25 | 900 |" in capsys.readouterr().out.splitlines()


def test_results_of_earlier_versions_can_be_read(capsys):
    for path in ("benchmarks/results/2026-11-22.json", "benchmarks/results/gpu-2026-11-22"):
        report.main([path])
    lines = capsys.readouterr().out.splitlines()
    assert "| Word_PTB LCCL uniform | 0.1311 | 0.1252 | 1.8 | 7.0 | 895 |" in lines
    assert "| IMDB LLLCCL | 0.0122 | 2.0 | 20 | 0.10 | 0.1462 | 0.08 | 487 | 688 | 1.0e-06 |" in lines
