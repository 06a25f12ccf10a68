"""Timing of calls, interleaved candidates and processes."""

import time
from functools import partial

from theano_rnn.errors import ReportedError

import pytest

from benchmarks import timing


def test_candidates_are_interleaved():
    calls = []

    def candidate(name, count):
        calls.append(name)
        return [name] * count
    figures = timing.interleaved({"a": partial(candidate, "a"), "b": partial(candidate, "b")}, rounds=2, count=3)
    assert calls == ["a", "b", "a", "b"]
    assert figures == {"a": ["a"] * 6, "b": ["b"] * 6}


def test_the_warm_up_does_not_count():
    calls = []
    assert len(timing.timed(lambda: calls.append(0), count=3, warm_up=2)) == 3
    assert len(calls) == 5


def test_a_step_in_a_process_of_its_own():
    step = timing.StepInOwnProcess(partial, time.sleep, 0.001)
    seconds = step(3)
    assert len(seconds) == 3 and min(seconds) >= 0.001
    assert step.close() > 1e6


def test_age_and_peak_memory_of_this_process():
    assert 0 < timing.process_age() < 1e6
    assert timing.peak_memory() > 1e7


def test_a_program_that_fails_is_an_error_with_its_last_line():
    with pytest.raises(ReportedError, match="failed: no such thing"):
        timing.output_of(["python3", "-c", "raise SystemExit('no such thing')"])
