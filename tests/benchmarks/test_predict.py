"""Comparison of predictors, without measuring."""

from theano_rnn.errors import ReportedError

import numpy as np
import pytest

from benchmarks import prediction


def test_without_torch_prediction_compares_the_other_two(tmp_path, capsys):
    assert list(prediction.commands(str(tmp_path), str(tmp_path / "python"), "a text")) == ["numpy", "theano"]
    assert "left out: PyTorch" in capsys.readouterr().out


def test_different_probabilities_are_an_error():
    prediction.check_agreement({"numpy": np.array([0.5]), "theano": np.array([0.50005])})
    for wrong in (0.5002, float("nan")):
        with pytest.raises(ReportedError, match="of torch and numpy must differ by at most 1e-04, got"):
            prediction.check_agreement({"numpy": np.array([0.5]), "torch": np.array([wrong])})
