"""Comparison of the first training step on two devices, here with two backends."""

import os

from theano_rnn.errors import ReportedError

import numpy as np
import pytest

from benchmarks import gradients_against_cpu
from benchmarks.gradients_against_cpu import relative_error, sketch
from benchmarks.training_runs import AWD

pytestmark = pytest.mark.usefixtures("only_fused_in_c")


def small_step(name="IMDB", config="LLLCCL"):
    settings = {"IMDB": ["words_kept=30", "embedding_units=4", "hidden_units=3", "length=5", "batch_size=4"],
                AWD: ["emsize=8", "nhid=6", "bptt=4", "batch_size=3"]}[name]
    return gradients_against_cpu.first_step(name, config, settings)


@pytest.fixture(scope="module")
def steps():
    """Gradients and facts of the same step with both backends."""
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


def test_both_backends_take_the_same_first_step(steps):
    figures = gradients_against_cpu.compare(steps[1], steps[0], "reference.npz")
    assert figures["met"] and figures["gradient_error"] < 1e-5 and figures["same_noise"]
    assert figures["loss"] == pytest.approx(steps[0][1]["loss"], rel=1e-5)
    assert set(figures["errors"]) >= {"embedding.W", "embedding.W.log_sigma", "lstm.W_hid", "lstm.b", "dense.b"}


@pytest.mark.parametrize("wrong", [1.001, float("nan")])
def test_a_wrong_gradient_is_detected(steps, wrong):
    gradients = dict(steps[1][0], **{"lstm.b": steps[1][0]["lstm.b"] * np.float32(wrong)})
    figures = gradients_against_cpu.compare((gradients, steps[1][1]), steps[0], "reference.npz")
    assert figures["worst_parameter"] == "lstm.b" and not figures["met"]


def test_other_random_numbers_are_detected(steps):
    other = (steps[1][0], dict(steps[1][1], noise="another"))
    figures = gradients_against_cpu.compare(other, steps[0], "reference.npz")
    assert not figures["same_noise"]


def test_another_network_is_an_error(steps):
    other = (steps[0][0], dict(steps[0][1], network="Word_PTB LCCL"))
    with pytest.raises(ReportedError, match="reference.npz is a step of Word_PTB LCCL, not of IMDB LLLCCL"):
        gradients_against_cpu.compare(steps[1], other, "reference.npz")


def test_the_first_step_of_the_sparse_language_model_has_all_gradients():
    gradients, facts = small_step(AWD, "dense-1150")
    assert len(gradients) >= 11 and all(np.abs(gradient).sum() > 0 for gradient in gradients.values())
    assert np.isfinite(facts["loss"])


def test_a_sketch_keeps_differences():
    random = np.random.RandomState(1)
    expected = random.randn(300, 400)
    noise = random.randn(300, 400)
    before, after = sketch(expected), sketch(expected + 1e-3 * noise)
    found = relative_error(after, before)
    assert found == pytest.approx(1e-3 * np.linalg.norm(noise) / np.linalg.norm(expected), rel=0.05)
    one = expected.copy()
    one[17, 5] += 30.
    assert relative_error(sketch(one), before) > 0.05


def test_a_small_array_is_its_own_sketch():
    small = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert sketch(small).tolist() == [0, 1, 2, 3, 4, 5]


def test_parameters_that_are_the_same_everywhere():
    import theano
    initial = np.random.RandomState(1).randn(40, 30).astype(np.float32)
    values = []
    # LAPACK rounds differently on another machine.
    for W in (initial, initial * np.float32(1 + 1e-6)):
        parameters = {"W": theano.shared(W), "b": theano.shared(np.full(50, 0.25, np.float32))}
        gradients_against_cpu.set_portable_parameters(parameters)
        values.append({name: parameter.get_value() for name, parameter in parameters.items()})
    for name in values[0]:
        np.testing.assert_array_equal(values[0][name], values[1][name])
    assert values[0]["W"].std() == pytest.approx(1, rel=0.2) and 0.15 < values[0]["b"].mean() < 0.3
    assert len(set(values[0]["b"])) == 50
