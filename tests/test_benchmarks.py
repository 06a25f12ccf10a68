"""The benchmarks, without measuring anything: what they read, count, generate and write."""

import json
import os
import time
from argparse import Namespace
from functools import partial

import numpy as np
import pytest

from bayes_rnn.errors import ReportedError
from benchmarks import measure, networks, peers, predict, products, report, scaling


def test_the_median_is_read_from_a_torch_program():
    output = "LLLCCL torch 2.13.0+cpu threads 2 median step s 1.312 loss -12.125\n"
    assert peers.torch_median(output) == 1.312


def test_the_sum_is_read_from_each_repetition_of_the_limit():
    output = ("lstm fwd 0.0500 bwd 0.0700 input gemm 0.0300  kl+adam 6M fused 0.0200\n"
              "lstm fwd 0.0400 bwd 0.0600 input gemm 0.0200  kl+adam 6M fused 0.0100\n")
    assert peers.limit_sums(output) == pytest.approx([0.23, 0.17])


@pytest.mark.parametrize("read", [peers.torch_median, peers.limit_sums])
def test_output_without_times_is_an_error(read):
    with pytest.raises(ReportedError, match="printed no times"):
        read("Segmentation fault\n")


def test_a_program_that_fails_is_an_error_with_its_last_line():
    with pytest.raises(ReportedError, match="failed: no such thing"):
        peers.output_of(["python3", "-c", "raise SystemExit('no such thing')"])


def test_without_peers_the_rows_are_left_out_with_a_line(tmp_path, capsys):
    results = measure.Results()
    arguments = Namespace(peers=str(tmp_path), torch_python=str(tmp_path / "python"), rounds=1, steps=1)
    peers.measure("Word_PTB", arguments, results)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and not results.parts
    assert lines[0] == ("left out: Word_PTB LCCL uniform against torch_word_lm.py: there is no %s"
                        % (tmp_path / "torch_word_lm.py"))


def test_without_torch_a_program_in_cpp_is_still_measured(tmp_path):
    for name in ("torch_sparse_vd.py", "limit_imdb_step.cpp"):
        (tmp_path / name).write_text(u"")
    assert "no %s" % (tmp_path / "python") in peers.why_missing(
        "torch_sparse_vd.py LLLCCL", str(tmp_path), str(tmp_path / "python"))
    assert peers.why_missing("limit_imdb_step.cpp", str(tmp_path), str(tmp_path / "python")) is None
    assert peers.why_missing("IMDB LLLCCL uniform", str(tmp_path), str(tmp_path / "python")) is None


def test_without_torch_prediction_compares_the_other_two(tmp_path, capsys):
    assert list(predict.commands(str(tmp_path), str(tmp_path / "python"), "a text")) == ["numpy", "theano"]
    assert "left out: PyTorch" in capsys.readouterr().out


def test_different_probabilities_are_an_error():
    predict.check_agreement({"numpy": np.array([0.5]), "theano": np.array([0.50005])})
    for wrong in (0.5002, float("nan")):
        with pytest.raises(ReportedError, match="torch differ"):
            predict.check_agreement({"numpy": np.array([0.5]), "torch": np.array([wrong])})


def test_operations_of_a_step():
    # h W_hid is (1, 2) x (2, 8): 16 multiplications and additions; h W is (1, 2) x (2, 3): 6. Each three times.
    assert products.step_operations(steps=1, texts=1, hidden_units=2, characters=3) == 3 * 2 * (16 + 6)
    assert products.step_operations(5, 7, 2, 3) == 5 * 7 * products.step_operations(1, 1, 2, 3)


def test_exponent():
    assert scaling.exponent([10, 20, 80], [3., 6., 24.]) == pytest.approx(1)
    assert scaling.exponent([10, 20, 80], [3., 12., 192.]) == pytest.approx(2)


def test_the_growth_is_drawn(tmp_path):
    points = {"length=%d" % value: {"setting": "length", "value": value, "median_step_seconds": 1. * value,
                                    "peak_memory_mb": 5.} for value in (10, 20)}
    scaling.draw(points, str(tmp_path / "growth.png"))
    assert (tmp_path / "growth.png").stat().st_size > 1000


def test_contestants_take_turns():
    calls = []

    def contestant(name, count):
        calls.append(name)
        return [name] * count
    figures = measure.in_turn({"a": partial(contestant, "a"), "b": partial(contestant, "b")}, rounds=2, count=3)
    assert calls == ["a", "b", "a", "b"]
    assert figures == {"a": ["a"] * 6, "b": ["b"] * 6}


def test_the_warm_up_does_not_count():
    calls = []
    assert len(measure.timed(lambda: calls.append(0), count=3, warm_up=2)) == 3
    assert len(calls) == 5


def test_a_step_in_a_process_of_its_own():
    step = measure.StepInOwnProcess(partial, time.sleep, 0.001)
    seconds = step(3)
    assert len(seconds) == 3 and min(seconds) >= 0.001
    assert step.close() > 1e6


def test_this_process_is_older_than_this_test_and_has_memory():
    assert 0 < measure.process_age() < 1e6
    assert measure.peak_memory() > 1e7


def test_results_are_written_at_once_and_kept(tmp_path):
    path = str(tmp_path / "results.json")
    measure.Results(path).record("peers", "first", {"ratio": 0.5})
    measure.Results(path).record("peers", "second", {"ratio": 0.25})
    with open(path) as stream:
        content = json.load(stream)
    assert {name: figures["ratio"] for name, figures in content["parts"]["peers"].items()} == {
        "first": 0.5, "second": 0.25}
    assert content["machine"]["cores"] >= 1
    assert content["parts"]["peers"]["first"]["git_commit"] == content["machine"]["git_commit"]


def test_results_without_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = measure.Results()
    results.record("peers", "first", {"ratio": 0.5})
    assert results.parts["peers"]["first"]["ratio"] == 0.5 and not os.listdir(str(tmp_path))


def test_table():
    rows = {"a step": {"ours": 0.25, "theirs": 1., "ratio": 0.25, "target": 0.2, "met": False}, "another": {}}
    assert report.table("peers", rows).split("\n") == [
        "| training step | ours (s) | theirs (s) | ratio | at most | met | our peak memory (MB) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| a step | 0.250 | 1.000 | 0.25 | 0.20 | **no** |  |",
        "| another |  |  |  |  |  |  |"]


def test_report(tmp_path, capsys):
    path = str(tmp_path / "results.json")
    measure.Results(path).record("growth", "length", {"exponent": 0.75, "exponent_of_largest": 0.9, "arithmetic": 1})
    report.main([path])
    assert "| length | 0.75 | 0.90 | 1 |" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("tokens", networks.TOKENS)
@pytest.mark.parametrize("name, config, words", [
    ("IMDB", "LLLCCL", 20000), ("Char_PTB", "LCCL", 50), ("Word_PTB", "LCCL", 10000),
    ("language_modeling", "sparse-1725", 10000)])
def test_generated_data(name, config, words, tokens):
    experiment, settings = networks.experiment_settings(name, config)
    data = networks.generated_data(experiment, settings, tokens)
    assert len(data.vocabulary) == words
    text = data.train.tokens if name == "IMDB" else data.train
    assert text.dtype == np.int32 and 0 <= text.min() and text.max() < words
    if name == "IMDB":
        assert np.diff(data.train.offsets).tolist() == [200] * (4 * 128)
    counts = np.bincount(text, minlength=words)
    frequent_first = counts[::-1] if name == "language_modeling" else counts
    assert (frequent_first[:3].mean() > 3 * counts.mean()) == (tokens == "zipf")


def test_settings_are_those_of_the_experiments():
    _, settings = networks.experiment_settings("IMDB", "LLLCCL", ["words_kept=500", "length=50"])
    assert settings["words_kept"] == 500 and settings["length"] == 50 and settings["batch_size"] == 128
    assert networks.experiment_settings("language_modeling", "sparse-1725", ["bptt=35"])[1]["nhid"] == 1725
    for wrong in (("IMDB", "LLLC"), ("language_modeling", "dense"), ("IMDB", "LLLCCL", ["words=3"])):
        with pytest.raises(ReportedError):
            networks.experiment_settings(*wrong)


@pytest.mark.parametrize("name, config, minibatches", [
    ("IMDB", "LLLCCL", 167), ("AGNews", "LLLCCL", 891), ("Char_PTB", "LCCL", 784), ("Word_PTB", "LCCL", 830),
    ("language_modeling", "dense-1150", 664)])
def test_minibatches_of_the_real_data(name, config, minibatches):
    assert networks.minibatches_per_epoch(name, networks.experiment_settings(name, config)[1]) == minibatches
