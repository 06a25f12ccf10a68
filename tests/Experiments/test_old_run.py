"""A run of an earlier version, stopped within an epoch, is resumed and ends as that version ended it.

The folder old_run has its files at the stop (IMDB, CONFIG LCDCCD, commit 2ee5394; the data are those of
`helpers.prepared_corpora.prepare`), and in ``end.npz`` the state of an uninterrupted run after the last epoch.
"""

import hashlib
import os
import shutil

from theano_rnn.npz_store import load_arrays

import numpy as np
import pytest
from helpers import running

from Experiments.shared.run_folder import RunFolder
from Experiments.shared.train_and_evaluate import train_and_evaluate

OLD_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "old_run")

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_a_run_of_an_earlier_version_ends_as_it_would_have(data, tmp_path, capsys):
    path = shutil.copytree(OLD_RUN, str(tmp_path / "run"))
    settings = running.load_experiment("IMDB").read_settings(RunFolder(path)).replace(data_dir=data("IMDB"))
    assert running.position(os.path.join(path, "last.npz")) == (3, 7)
    train_and_evaluate(settings, path)
    assert "\nResumed at epoch 3, minibatch 7\n" in capsys.readouterr().out

    found, progress = load_arrays(os.path.join(path, "last.npz"))
    expected, end = load_arrays(os.path.join(OLD_RUN, "end.npz"))
    assert sorted(found) == sorted(list(expected) + ["noise.0"])
    assert hashlib.sha256(found["noise.0"].tobytes()).hexdigest() == end["noise_sha256"]
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-6, err_msg=name)
    assert found["adam.step"] == expected["adam.step"]
    assert (progress["epoch"], progress["minibatch"]) == (end["epoch"], end["minibatch"])
    assert progress["best"] == pytest.approx(end["best"], rel=1e-4)
    rows = [[pair for pair in row if not pair[0].endswith("_seconds")] for row in progress["rows"]]
    assert [[name for name, _ in row] for row in rows] == [[name for name, _ in row] for row in end["rows"]]
    for row, expected_row in zip(rows, end["rows"]):
        for (name, value), (_, expected_value) in zip(row, expected_row):
            if isinstance(expected_value, int):
                assert value == expected_value, name
            else:
                assert value == pytest.approx(expected_value, rel=1e-4), name
