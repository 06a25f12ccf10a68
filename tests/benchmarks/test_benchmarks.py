"""The benchmarks, without measuring anything: what they read, count, generate and write."""

import json
import os
import subprocess
import time
from argparse import Namespace
from functools import partial

import numpy as np
import pytest

from benchmarks import (
    curves,
    gpu_gradients,
    gpu_peer,
    gpu_report,
    gpu_step,
    measure,
    networks,
    peers,
    predict,
    products,
    report,
    scaling,
)
from theano_rnn.errors import ReportedError


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


# -- on a GPU ----------------------------------------------------------------------------------------------------------

def small_step(name="IMDB", config="LLLCCL"):
    settings = {"IMDB": ["words_kept=30", "embedding_units=4", "hidden_units=3", "length=5", "batch_size=4"],
                networks.AWD: ["emsize=8", "nhid=6", "bptt=4", "batch_size=3"]}[name]
    return gpu_gradients.first_step(name, config, settings)


@pytest.fixture(scope="module")
def steps():
    """The same step by both formulations: (gradients, facts) each, as of one network."""
    def take(backend):
        before = os.environ.get("THEANO_RNN_BACKEND")
        os.environ["THEANO_RNN_BACKEND"] = backend
        try:
            gradients, facts = small_step()
        finally:
            os.environ.pop("THEANO_RNN_BACKEND")
            if before:
                os.environ["THEANO_RNN_BACKEND"] = before
        return gradients, dict(facts, network="IMDB LLLCCL")
    return take("auto"), take("reference")


def test_both_formulations_take_the_same_first_step(steps):
    figures = gpu_gradients.compare(steps[1], steps[0], "reference.npz")
    assert figures["met"] and figures["gradient_error"] < 1e-5 and figures["same_noise"]
    assert figures["loss"] == pytest.approx(steps[0][1]["loss"], rel=1e-5)
    assert set(figures["errors"]) >= {"embedding.W", "embedding.W.log_sigma", "lstm.W_hid", "lstm.b", "dense.b"}


@pytest.mark.parametrize("wrong", [1.001, float("nan")])
def test_a_wrong_gradient_is_noticed(steps, wrong):
    gradients = dict(steps[1][0], **{"lstm.b": steps[1][0]["lstm.b"] * np.float32(wrong)})
    figures = gpu_gradients.compare((gradients, steps[1][1]), steps[0], "reference.npz")
    assert figures["worst_parameter"] == "lstm.b" and not figures["met"]


def test_other_random_numbers_are_noticed(steps):
    figures = gpu_gradients.compare((steps[1][0], dict(steps[1][1], noise="another")), steps[0], "reference.npz")
    assert not figures["same_noise"]


def test_another_network_is_refused(steps):
    other = (steps[0][0], dict(steps[0][1], network="Word_PTB LCCL"))
    with pytest.raises(ReportedError, match="reference.npz is a step of Word_PTB LCCL, not of IMDB LLLCCL"):
        gpu_gradients.compare(steps[1], other, "reference.npz")


def test_the_first_step_of_the_sparse_language_model_has_all_gradients():
    gradients, facts = small_step(networks.AWD, "dense-1150")
    assert len(gradients) >= 11 and all(np.abs(gradient).sum() > 0 for gradient in gradients.values())
    assert np.isfinite(facts["loss"])


def test_a_sketch_keeps_differences():
    random = np.random.RandomState(1)
    expected = random.randn(300, 400)
    noise = random.randn(300, 400)
    found = gpu_gradients.relative_error(gpu_gradients.sketch(expected + 1e-3 * noise), gpu_gradients.sketch(expected))
    assert found == pytest.approx(1e-3 * np.linalg.norm(noise) / np.linalg.norm(expected), rel=0.05)
    one = expected.copy()
    one[17, 5] += 30.
    assert gpu_gradients.relative_error(gpu_gradients.sketch(one), gpu_gradients.sketch(expected)) > 0.05


def test_a_small_array_is_its_own_sketch():
    small = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert gpu_gradients.sketch(small).tolist() == [0, 1, 2, 3, 4, 5]


def test_parameters_that_are_the_same_everywhere():
    import theano
    initial = np.random.RandomState(1).randn(40, 30).astype(np.float32)
    values = []
    # As another machine's LAPACK would round.
    for W in (initial, initial * np.float32(1 + 1e-6)):
        parameters = {"W": theano.shared(W), "b": theano.shared(np.full(50, 0.25, np.float32))}
        gpu_gradients.set_portable_parameters(parameters)
        values.append({name: parameter.get_value() for name, parameter in parameters.items()})
    for name in values[0]:
        np.testing.assert_array_equal(values[0][name], values[1][name])
    assert values[0]["W"].std() == pytest.approx(1, rel=0.2) and 0.15 < values[0]["b"].mean() < 0.3
    assert len(set(values[0]["b"])) == 50


def test_seconds_by_class_and_operations():
    import theano
    import theano.tensor as T
    x = T.fmatrix()
    states, _ = theano.scan(lambda row, state: T.tanh(row + state), sequences=x, outputs_info=T.zeros_like(x[0]))
    function = theano.function([x], [states[-1], T.dot(x, x.T)])
    outside, inside = gpu_step.operations(function)
    assert outside["Scan"] == 1 and inside["Elemwise"] == 1 and "Scan" not in inside
    nodes = function.maker.fgraph.toposort()
    found = gpu_step.seconds_by_class({node: 50. if type(node.op).__name__ == "Scan" else 0.5 for node in nodes}, 10)
    assert list(found)[0] == "Scan" and found["Scan"] == 5
    assert sum(found.values()) == pytest.approx((50 + 0.5 * (len(nodes) - 1)) / 10)


def test_a_step_is_measured_on_any_device():
    arguments = Namespace(name="IMDB", config="LLLCCL", tokens="zipf", steps=2, device="cpu",
                          set=["words_kept=30", "embedding_units=4", "hidden_units=3", "length=5", "batch_size=4"])
    figures = gpu_step.measure(arguments)
    assert figures["device"] == "cpu" and figures["device_memory_mb"] is None and len(figures["step_seconds"]) == 2
    assert figures["epoch_seconds"] == pytest.approx(figures["median_step_seconds"] * 21250 / 4, rel=1e-3)
    assert "to_published" not in figures            # of another shape
    profiled = gpu_step.profile(arguments)
    assert profiled["classes"] and 0 < sum(profiled["classes"].values()) <= profiled["step_seconds"]


def test_times_that_a_torch_program_kept():
    assert gpu_peer.kept_times({"ts": list(range(8))}, "program") == [5, 6, 7]
    for names in ({}, {"times": [1., 2.]}, {"times": 3}):
        with pytest.raises(SystemExit, match="program kept the times of"):
            gpu_peer.kept_times(names, "program")


def test_gpu_report(tmp_path, capsys):
    for number, (part, figures) in enumerate([
            ("gpu_peer", {"torch_step_seconds": 0.04, "torch_memory_mb": 900., "device": "a GPU"}),
            ("gpu_step", {"median_step_seconds": 0.01, "epoch_seconds": 1.7, "published_epoch_seconds": 20.4,
                          "to_published": 0.083, "device": "a GPU", "device_memory_mb": 700.}),
            ("gradients", {"gradient_error": 2e-6, "met": True})]):
        (tmp_path / ("%d.json" % number)).write_text(json.dumps({"parts": {part: {"IMDB LLLCCL": figures}}}))
    gpu_report.main([str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "devices: a GPU"
    assert "| IMDB LLLCCL | 0.0100 | 1.7 | 20 | 0.08 | 0.0400 | 0.25 | 700 | 900 | 2.0e-06 |" in lines


def metrics(epochs, accuracy):
    header = "dataset,config,epoch,val,test,compression\n"
    return header + "".join("IMDB,LLLCCL,%d,%s,%s,%d\n" % (epoch, accuracy, accuracy, 2 * epoch) for epoch in epochs)


def test_curves_beside_the_published(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"dataset": "IMDB", "config": "LLLCCL", "kind": "text"}))
    published = tmp_path / "published.csv"
    published.write_text(metrics([20, 40, 60], 0.8) + "Word_PTB,LCCL,20,1,1,1\n")
    curves.show(str(tmp_path), str(published), str(tmp_path / "out"))
    assert "no evaluation yet" in capsys.readouterr().out
    (tmp_path / "metrics.csv").write_text(metrics([5, 20, 40], 0.75))
    curves.show(str(tmp_path), str(published), str(tmp_path / "out"))
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| 20 | 0.75 | 0.8 | 0.75 | 0.8 | 40 | 40 |", "| 40 | 0.75 | 0.8 | 0.75 | 0.8 | 80 | 80 |"]
    for name in ("out-metric.png", "out-compression.png"):
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(ReportedError, match="no published curves in"):
        curves.show(str(tmp_path), str(tmp_path / "nothing.csv"), str(tmp_path / "out"))


def test_the_table_of_curves_is_short():
    rows = [{"epoch": epoch, "val": 1. if epoch > 2 else float("nan"), "published val": 2.} for epoch in range(1, 151)]
    chosen = [row["epoch"] for row in curves.chosen_epochs(rows)]
    assert len(chosen) == curves.TABLE_ROWS and (chosen[0], chosen[-1]) == (3, 150)
    assert curves.chosen_epochs(rows[:2]) == []


PYTHON_STAND_IN = """#!/bin/sh
# Notes its arguments and writes the file that they end with.
echo "$*" >>"$NOTES"
case "$*" in *"$FAIL"*) exit 3 ;; esac
case "$*" in *"$SLOW"*) trap 'echo saved >>"$NOTES"; exit 130' TERM
                     echo listens >>"$NOTES"
                     while :; do sleep 0.05; done ;; esac
for last; do :; done
case "$*" in *--write*|*--json*) echo "{}" >"$last" ;; esac
"""


@pytest.fixture
def gpu_sh(tmp_path):
    """Starts gpu.sh, with a stand-in for the interpreter: a function of parts and variables; its `notes` are a file."""
    python, notes = tmp_path / "python", tmp_path / "notes"
    python.write_text(PYTHON_STAND_IN)
    python.chmod(0o755)

    def start(*parts, **variables):
        notes.write_text(u"")
        folders = {name: str(tmp_path) for name in ("PEERS", "PUBLISHED")}
        environment = dict(os.environ, PYTHON=str(python), TORCH_PYTHON=str(python), NOTES=str(notes),
                           RESULTS=str(tmp_path / "results"), **folders)
        environment.update(dict({"FAIL": "nothing", "SLOW": "nothing"}, **variables))
        return subprocess.Popen(["benchmarks/gpu.sh"] + list(parts), cwd=measure.ROOT, env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    start.notes = notes
    return start


def finished(gpu_sh, *parts, **variables):
    """Its status, what the interpreter was called with, and what was said."""
    process = gpu_sh(*parts, **variables)
    said, _ = process.communicate()
    return process.returncode, [line for line in gpu_sh.notes.read_text().splitlines() if "report" not in line], said


def test_gpu_sh_leaves_out_what_is_there(gpu_sh, tmp_path):
    two = {"NETWORKS": "IMDB:LLLCCL language_modeling:dense-1150", "JOBS": "2"}
    status, called, _ = finished(gpu_sh, "references", "steps", **two)
    assert status == 0 and len(called) == 4
    assert "benchmarks/gpu_step.py language_modeling dense-1150 --device cuda --steps 30 --json %s" % (
        tmp_path / "results" / "steps-language_modeling-dense-1150.json") in called
    assert finished(gpu_sh, "references", "steps", **two)[1] == []
    status, called, _ = finished(gpu_sh, "gradients", **two)
    assert status == 0 and len(called) == 2 and all("--compare" in line for line in called)


def test_gpu_sh_goes_on_after_a_failure_and_says_so(gpu_sh):
    status, called, said = finished(gpu_sh, "steps", NETWORKS="IMDB:LLLCCL Word_PTB:LCCL", FAIL="IMDB")
    assert status == 1 and len(called) == 2 and said.endswith("failed: steps IMDB:LLLCCL\n")
    status, called, _ = finished(gpu_sh, "steps", NETWORKS="IMDB:LLLCCL Word_PTB:LCCL")
    assert status == 0 and len(called) == 1 and " IMDB LLLCCL " in called[0]


def test_gpu_sh_begins_nothing_after_the_limit(gpu_sh):
    status, called, said = finished(gpu_sh, "steps", "train", LIMIT="0")
    assert status == 0 and called == [] and "the limit of 0 s is reached" in said


def test_gpu_sh_without_peers(gpu_sh):
    status, called, said = finished(gpu_sh, "peers", NETWORKS="AGNews:LLLCCL Word_PTB:LCCL")
    assert status == 0 and called == [] and "left out: torch_word_lm.py: there is no" in said


def test_gpu_sh_knows_its_parts(gpu_sh):
    status, called, said = finished(gpu_sh, "step")
    assert status == 2 and called == [] and said.startswith("error: unknown part 'step'; known: check gradients")


def test_gpu_sh_trains(gpu_sh):
    status, called, said = finished(gpu_sh, "train", TRAIN="IMDB:LLLCCL", IMDB_EPOCHS="3", IMDB_OPTIONS="--seed 1")
    assert status == 0 and len(called) == 1 and "left out: the published curves" in said
    assert called[0].startswith("Experiments/IMDB/main.py LLLCCL --device cuda "
                                "--out Experiments/IMDB/Results/LLLCCL-gpu --epochs 3 --seed 1")


@pytest.mark.parametrize("part, slow", [("steps", "gpu_step"), ("train", "main.py")])
def test_what_gpu_sh_started_saves_once_and_is_waited_for(gpu_sh, part, slow):
    process = gpu_sh(part, NETWORKS="IMDB:LLLCCL", TRAIN="Word_PTB:LCCL", SLOW=slow)
    while "listens" not in gpu_sh.notes.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    process.communicate()
    assert process.returncode == 130
    assert gpu_sh.notes.read_text().splitlines()[1:] == ["listens", "saved"]


def test_gpu_sh_stops_training_in_time(gpu_sh):
    status, called, said = finished(gpu_sh, "train", TRAIN="Word_PTB:LCCL", SLOW="main.py", LIMIT="33")
    assert status == 0 and called[1:] == ["listens", "saved"] and "left out: the published curves" in said
