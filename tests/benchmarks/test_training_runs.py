"""Settings and sizes of the measured training runs."""

from theano_rnn.errors import ReportedError

import pytest

from benchmarks import training_runs


def test_settings_are_those_of_the_experiments():
    _, settings = training_runs.experiment_settings("IMDB", "LLLCCL", ["words_kept=500", "length=50"])
    assert settings.words_kept == 500 and settings.length == 50 and settings.batch_size == 128
    assert training_runs.experiment_settings("language_modeling", "sparse-1725", ["bptt=35"])[1].nhid == 1725
    for wrong in (("IMDB", "LLLC"), ("language_modeling", "dense"), ("IMDB", "LLLCCL", ["words=3"])):
        with pytest.raises(ReportedError):
            training_runs.experiment_settings(*wrong)


@pytest.mark.parametrize("name, config, minibatches", [
    ("IMDB", "LLLCCL", 167), ("AGNews", "LLLCCL", 891), ("Char_PTB", "LCCL", 784), ("Word_PTB", "LCCL", 830),
    ("language_modeling", "dense-1150", 664)])
def test_minibatches_of_the_real_data(name, config, minibatches):
    assert training_runs.minibatches_per_epoch(name, training_runs.experiment_settings(name, config)[1]) == minibatches
