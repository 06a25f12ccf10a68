"""Bayesian language models: texts that are too short."""

from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from helpers import running

from Experiments.shared.data.language_modeling import LanguageData
from Experiments.shared.data.vocabulary import Vocabulary
from Experiments.shared.tasks import build_task


@pytest.mark.parametrize("name, lengths, message", [
    ("Char_PTB", (900, 199, 900), "the valid part: a text of 199 tokens is too short, expected at least 200; use more "
                                  "text, or a smaller value with --set length=N"),
    ("Word_PTB", (900, 900, 63), "the test part: a text of 63 tokens is too short for 32 streams, expected at least "
                                 "64; use more text, or a smaller value with --set streams=N"),
])
def test_a_part_that_is_too_short_is_named(name, lengths, message):
    experiment = running.load_script(name).EXPERIMENT
    data = LanguageData(Vocabulary("ab"), *[np.zeros(length, dtype="int32") for length in lengths])
    with pytest.raises(ReportedError) as error:
        build_task(experiment, experiment.make_settings(config="DCCD", hidden_units=2), data)
    assert str(error.value) == message
