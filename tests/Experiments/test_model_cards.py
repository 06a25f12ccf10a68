"""add_model.py: the model of a finished run with its card, and the tables."""

import json
import os
import shutil

import pytest
from helpers import running

from bayes_rnn import predict
from bayes_rnn.predictor import load_model
from Experiments.shared import model_cards
from Experiments.shared.run_folder import RunFolder

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_a_finished_run_becomes_a_model_with_a_card(finished, tmp_path, capsys, monkeypatch):
    run, out, readme = finished("Word_PTB"), tmp_path / "models", tmp_path / "README.md"
    before = running.folder_bytes(run.path)
    out.mkdir()
    for path in (readme, out / "README.md"):
        path.write_text("Models\n%s\n%s\nEnd\n" % (model_cards.BEGIN, model_cards.END))
    monkeypatch.setattr(model_cards, "MODELS", str(out))
    monkeypatch.setattr(model_cards, "README", str(readme))
    model_cards.main([run.path, "--name", "tiny", "--precision", "float16", "--out", str(out), "--limits", "tiny"])
    row = running.read_metrics(os.path.join(run.path, "metrics.csv"))[-1]
    path = str(out / "tiny.npz")
    model = load_model(path)
    card = model.metadata["card"]
    assert sorted(card) == sorted(model_cards.CARD_KEYS)
    assert card["metric"] == "test perplexity %.3f" % float(row["test"])
    assert card["training"].startswith("Word_PTB LCIL, 60 epochs, version ")
    assert card["command"].startswith("cd Experiments/Word_PTB && python main.py LCIL --set hidden_units=5 ")
    assert run.data not in card["command"] and card["limits"] == "tiny"
    assert card["file"].startswith("float16, test perplexity ") and "%s of" % row["kept_z_x"] in card["compression"]
    assert capsys.readouterr().out.endswith("%s: %d bytes, %s\n" % (path, os.path.getsize(path), card["file"]))
    text = (out / "tiny.md").read_text()
    assert text.startswith("# tiny\n") and "| data | %s |" % card["data"].replace("<", "&lt;") in text
    assert "| [tiny](models/tiny.md) |" in readme.read_text() and "| [tiny](tiny.md) |" in (
        out / "README.md").read_text()
    predict.main([path])
    assert "metric: " + card["metric"] in capsys.readouterr().out
    assert running.folder_bytes(run.path) == before


def test_errors_before_anything_is_written(finished, tmp_path, capsys):
    path = shutil.copytree(finished("Word_PTB").path, str(tmp_path / "run"))
    out = str(tmp_path / "models")

    def refused(*arguments):
        with pytest.raises(SystemExit) as caught:
            model_cards.main(list(arguments) + ["--out", out])
        assert caught.value.code == 2 and not os.path.exists(out)
        return capsys.readouterr().err

    assert refused(path, "--name", "A b") == (
        "error: --name must consist of lower-case letters, digits and hyphens, got A b\n")
    assert "no run in %s" % out in refused(out, "--name", "a")
    os.remove(os.path.join(path, "compressed.npz"))
    assert refused(path, "--name", "a") == (
        "error: %s is not a finished run: it has no compressed.npz\n" % path)
    config = dict(RunFolder(path).read_config(), dataset="poems")
    with open(os.path.join(path, "config.json"), "w") as stream:
        json.dump(config, stream)
    assert refused(path, "--name", "a") == "error: %s is not a run with Bayesian compression\n" % path
