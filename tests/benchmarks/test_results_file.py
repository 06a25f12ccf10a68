"""The JSON file of results."""

import json
import os

from benchmarks.results_file import Results


def test_results_are_written_at_once_and_kept(tmp_path):
    path = str(tmp_path / "results.json")
    Results(path).record("peers", "first", {"ratio": 0.5})
    Results(path).record("peers", "second", {"ratio": 0.25})
    with open(path) as stream:
        content = json.load(stream)
    assert {name: figures["ratio"] for name, figures in content["parts"]["peers"].items()} == {
        "first": 0.5, "second": 0.25}
    assert content["machine"]["cores"] >= 1
    assert content["parts"]["peers"]["first"]["git_commit"] == content["machine"]["git_commit"]


def test_results_without_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Results()
    results.record("peers", "first", {"ratio": 0.5})
    assert results.parts["peers"]["first"]["ratio"] == 0.5 and not os.listdir(str(tmp_path))
