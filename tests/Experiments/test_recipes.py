"""``--recipe NAME``: the quick recipe on tiny and on real data, the fast one resumed, other recipes refused."""

import os

import pytest
from helpers import running

from bayes_rnn.predictor import load_model
from Experiments.IMDB.prepare_data import read_imdb
from Experiments.shared import cli
from Experiments.shared.data.text_classification import prepare_text

IMDB = running.load_experiment("IMDB")
REVIEWS = os.path.join(os.environ.get("REAL_DATA", ""), "aclImdb.tar.xz")

# Old matplotlib, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def train(data_dir, out, *options):
    """Train LLLCCL by the command line, in this process; return what it printed."""
    arguments = ["LLLCCL", "--data-dir", data_dir, "--out", out] + list(options)
    return running.call_for_output(cli.main, IMDB, arguments)


@pytest.fixture(scope="module")
def quick(data, tmp_path_factory):
    """Three epochs of the quick recipe on tiny data."""
    out = str(tmp_path_factory.mktemp("quick") / "run")
    train(data("IMDB"), out, "--recipe", "quick", "--epochs", "3")
    return out


def test_the_quick_recipe_trains_its_model(quick):
    config, recipe = running.config_of(quick), IMDB.recipes["quick"]
    assert config["recipe"] == "quick"
    for name, value in recipe.items():
        assert config["settings"].get(name, config.get(name)) == (3 if name == "epochs" else value)
    row, = running.numbers_of(quick)
    assert row["size_z_x"] == recipe["embedding_units"] and row["size_z_h"] == recipe["hidden_units"]
    losses = [float(line.split("loss = ")[1].split(",")[0])
              for line in running.read_text(os.path.join(quick, "log.txt")).splitlines() if line.startswith("Epoch ")]
    assert losses[0] > losses[1] > losses[2]
    assert load_model(os.path.join(quick, "compressed.npz")).describe("a good film")


def test_a_run_is_resumed_with_its_recipe_only(quick, capsys):
    data_dir = running.config_of(quick)["data_dir"]
    assert "Nothing to do: epoch 3 is done" in train(data_dir, quick, "--resume", "--recipe", "quick")
    with pytest.raises(SystemExit) as ending:
        train(data_dir, quick, "--resume", "--recipe", "fast")
    assert ending.value.code == 2
    assert "was trained with other settings: recipe quick, not fast" in capsys.readouterr().err


def test_a_resumed_run_follows_the_schedule_to_the_same_bits(data, tmp_path):
    whole, stopped = str(tmp_path / "whole"), str(tmp_path / "stopped")
    options = ["--recipe", "fast", "--vectors", "none"] + running.set_arguments(
        embedding_units=8, hidden_units=5, length=10, batch_size=170, rate_schedule="0:1,1:4,3:0.5", log_sigma_rate=2)
    train(data("IMDB"), whole, "--epochs", "4", *options)
    train(data("IMDB"), stopped, "--epochs", "2", *options)
    train(data("IMDB"), stopped, "--epochs", "4", "--resume")
    running.assert_same_end(stopped, whole)
    settings = running.config_of(whole)["settings"]
    assert settings["rate_schedule"] == [[0., 1.], [1., 4.], [3., 0.5]]
    assert settings["clip"] == IMDB.recipes["fast"]["clip"]


@pytest.mark.skipif(not os.path.isfile(REVIEWS), reason="takes minutes: only if REAL_DATA has aclImdb.tar.xz")
def test_the_quick_recipe_learns_imdb(tmp_path):
    folder = str(tmp_path / "prepared")
    prepare_text(read_imdb(REVIEWS), folder, "IMDB", 2, {"source": "real"})
    train(folder, str(tmp_path / "run"), "--recipe", "quick")
    row = running.numbers_of(str(tmp_path / "run"))[-1]
    assert row["epoch"] == IMDB.recipes["quick"]["epochs"] and row["test"] > 0.7
    assert os.path.getsize(str(tmp_path / "run" / "compressed.npz")) < 100000
