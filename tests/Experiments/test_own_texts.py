"""The recipe of Experiments/Text/README.md, from a csv to a prediction, by its command lines; models of own classes."""

import os
import re
import shlex
import subprocess
import sys

from theano_rnn.npz_store import load_arrays

import pytest
from helpers import raw_corpora, running

from bayes_rnn.predictor import load_model
from Experiments.shared.data.text_classification import load_text

README = os.path.join(running.ROOT, "Experiments", "Text", "README.md")
#: The recipe with a small network and few epochs.
TINY = {"prepare_data.py": ["--dimensions", "16"],
        "main.py": ["--epochs", "8"] + running.set_arguments(embedding_units=16, hidden_units=8)}
TEXTS = {"refund": "I bought the clock on Friday. Please arrange a full refund.",
         "delivery": "The parcel was left at the wrong door. It was a present for my aunt.",
         "account": "It has been two weeks now. Please help me to reset my password.",
         "praise": "We use the piano every Monday. Great service! I just wanted to say: thank you so much!"}


def recipe():
    """Return the commands of the first block of the README: list of list of str."""
    block = re.search(r"(?:^    .*\n)+", running.read_text(README), re.M).group()
    return [shlex.split(line) for line in block.splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which the recipe was run, and the output of each command by the name of its script."""
    pytest.importorskip("gensim")
    folder, outputs = str(tmp_path_factory.mktemp("own")), {}
    activate, *commands = recipe()
    assert activate == ["source", "../../venv/bin/activate"]
    for command in commands:
        python, *arguments = [os.path.join(folder, part) if re.match(r"messages\.csv|data/|Results/", part) else part
                              for part in command]
        assert python == "python"
        tiny = [] if "--write-example" in arguments else TINY.get(arguments[0], [])
        process = subprocess.run([sys.executable] + arguments + tiny, check=False, cwd=os.path.dirname(README),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                                 env=dict(os.environ, PYTHONPATH=running.ROOT))
        assert process.returncode == 0, process.stdout + process.stderr
        outputs[" ".join(command[1:3])] = process.stdout
    return folder, outputs


def test_the_recipe_leads_from_a_csv_to_a_prediction(trained):
    folder, outputs = trained
    assert outputs["prepare_data.py --write-example"] == \
        "%s: 4000 messages, 4 departments\n" % os.path.join(folder, "messages.csv")
    assert "\ntest: 400 documents (100 account, 100 delivery, 100 praise, 100 refund), " in outputs[
        "prepare_data.py --source"]
    assert re.search(r"\nTest accuracy of the compressed model by class: account \d\.\d+ \(100 texts\), delivery "
                     r".*, praise .*, refund .* \(100 texts\)\n", outputs["main.py LLLCCL"])
    assert outputs["-m bayes_rnn.predict"].startswith("refund (account ")


def test_the_model_names_the_classes_of_the_data(trained):
    model = load_model(os.path.join(trained[0], "Results", "messages", "compressed.npz"))
    assert model.metadata["classes"] == ["account", "delivery", "praise", "refund"] and model.metadata["lower_case"]
    for label, text in TEXTS.items():
        assert model.describe(text).startswith(label + " (")


def test_the_validation_part_is_the_prepared_one(trained):
    data = load_text(os.path.join(trained[0], "data", "messages"), "Text", parts=("train", "valid", "test"))
    assert [len(part.labels) for part in (data.train, data.valid, data.test)] == [3200, 400, 400]
    config = running.config_of(os.path.join(trained[0], "Results", "messages"))
    assert "validation_fraction" not in config["settings"]
    row = running.numbers_of(os.path.join(trained[0], "Results", "messages"))[-1]
    assert round(row["val"] * 400, 6).is_integer() and row["test"] > 0.85


def test_a_prepared_folder_that_is_damaged(trained, tmp_path, capsys):
    folder = os.path.join(trained[0], "data", "messages")
    copy = str(tmp_path / "copy")
    os.mkdir(copy)
    for name in os.listdir(folder):
        os.link(os.path.join(folder, name), os.path.join(copy, name))
    os.remove(os.path.join(copy, "valid.npz"))
    status, _, errors = running.run(running.script("Text"), ["LLLCCL", "--data-dir", copy, "--out", tmp_path / "run"])
    assert (status, errors) == (2, "error: prepared data in %s lacks valid.npz; run prepare_data.py again\n" % copy)
    assert "class_names" in load_arrays(os.path.join(folder, "train.npz"))[1]


def test_the_experiment_needs_data(tmp_path):
    status, _, errors = raw_corpora.run_script("Text", "--data-dir", tmp_path / "x")
    assert status == 2 and errors.startswith("error: --source is missing, expected a csv, tsv or jsonl file")
