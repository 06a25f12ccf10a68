"""Figures and profile of a training step."""

from argparse import Namespace

import pytest

from benchmarks import training_step


def test_seconds_by_class_and_operations():
    import theano
    import theano.tensor as T
    x = T.fmatrix()
    states, _ = theano.scan(lambda row, state: T.tanh(row + state), sequences=x, outputs_info=T.zeros_like(x[0]))
    function = theano.function([x], [states[-1], T.dot(x, x.T)])
    outside, inside = training_step.operations(function)
    assert outside["Scan"] == 1 and inside["Elemwise"] == 1 and "Scan" not in inside
    nodes = function.maker.fgraph.toposort()
    spent = {node: 5. if type(node.op).__name__ == "Scan" else 0.05 for node in nodes}
    found = training_step.seconds_by(training_step.class_of, spent)
    assert list(found)[0] == "Scan" and found["Scan"] == 5
    assert sum(found.values()) == pytest.approx(5 + 0.05 * (len(nodes) - 1))
    groups = training_step.seconds_by(training_step.group_of, spent)
    assert set(groups) <= set(training_step.GROUPS) and groups["recurrence"] == 5 and "products" in groups
    assert sum(groups.values()) == pytest.approx(sum(found.values()))


def test_a_step_is_measured_on_any_device():
    arguments = Namespace(name="IMDB", config="LLLCCL", tokens="zipf", steps=2, device="cpu", cold=False,
                          set=["words_kept=30", "embedding_units=4", "hidden_units=3", "length=5", "batch_size=4"])
    figures = training_step.measure(arguments)
    assert figures["device"] == "cpu" and figures["device_memory_mb"] is None and len(figures["step_seconds"]) == 2
    assert figures["epoch_seconds"] == pytest.approx(figures["median_step_seconds"] * 21250 / 4, rel=1e-3)
    assert "to_published" not in figures            # of another shape
    profiled = training_step.profile(arguments)
    assert profiled["classes"] and 0 < sum(profiled["classes"].values()) <= profiled["step_seconds"]
    assert sum(profiled["parts"].values()) == pytest.approx(sum(profiled["classes"].values()))
