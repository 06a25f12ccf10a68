"""Random data for the experiments."""

import numpy as np
import pytest

from benchmarks.generated_data import TOKENS, generated_data
from benchmarks.training_runs import experiment_settings


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("name, config, words", [
    ("IMDB", "LLLCCL", 20000), ("Char_PTB", "LCCL", 50), ("Word_PTB", "LCCL", 10000),
    ("language_modeling", "sparse-1725", 10000)])
def test_generated_data(name, config, words, tokens):
    _, settings = experiment_settings(name, config)
    data = generated_data(settings, tokens=tokens)
    assert len(data.vocabulary) == words
    text = data.train.tokens if name == "IMDB" else data.train
    assert text.dtype == np.int32 and 0 <= text.min() and text.max() < words
    if name == "IMDB":
        assert np.diff(data.train.offsets).tolist() == [200] * (4 * 128)
    counts = np.bincount(text, minlength=words)
    frequent_first = counts[::-1] if name == "language_modeling" else counts
    assert (frequent_first[:3].mean() > 3 * counts.mean()) == (tokens == "zipf")
