"""Fit and plot of the growth of a training step."""

import pytest

from benchmarks import scaling


def test_exponent():
    assert scaling.exponent([10, 20, 80], [3., 6., 24.]) == pytest.approx(1)
    assert scaling.exponent([10, 20, 80], [3., 12., 192.]) == pytest.approx(2)


def test_the_growth_is_plotted(tmp_path):
    points = {"length=%d" % value: {"setting": "length", "value": value, "median_step_seconds": 1. * value,
                                    "peak_memory_mb": 5.} for value in (10, 20)}
    scaling.draw(points, str(tmp_path / "growth.png"))
    assert (tmp_path / "growth.png").stat().st_size > 1000
