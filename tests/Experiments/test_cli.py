"""Arguments of main.py and run_compressed.py: every mistake is reported at once, in one line, without Theano."""

import json
import os
import shutil
import subprocess
import sys

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays

import numpy as np
import pytest
from helpers import running
from helpers.prepared_corpora import write_vectors

from Experiments.shared import cli
from Experiments.shared.checkpoints import load_checkpoint
from Experiments.shared.config import read_assignments

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MISSING = os.path.join(os.sep, "no", "such", "folder")


@pytest.fixture
def refused(without_theano):
    """Run a script that must end with status 2 without Theano; return the line that states why."""
    def refused_line(dataset, arguments, name="main.py"):
        status, output, errors = running.run(running.script(dataset, name), arguments, PYTHONPATH=without_theano)
        assert (status, output) == (2, ""), output + errors
        lines = errors.splitlines()
        assert "Traceback" not in errors
        assert len(lines) == 1 and lines[0].startswith("error: "), errors
        return lines[-1]
    return refused_line


@pytest.fixture
def a_run(finished, tmp_path):
    """A copy of the finished IMDB run."""
    return shutil.copytree(finished("IMDB").path, str(tmp_path / "run"))


# -- help --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dataset", running.DATASETS)
@pytest.mark.parametrize("name", ["main.py", "run_compressed.py"])
def test_help_needs_no_theano(dataset, name, without_theano):
    status, output, errors = running.run(running.script(dataset, name), ["--help"], PYTHONPATH=without_theano)
    assert (status, errors) == (0, "")
    assert output.startswith("usage: " + name) and dataset in output


def test_help_of_main_explains_config_and_settings(without_theano):
    _, output, _ = running.run(running.script("IMDB"), ["--help"], PYTHONPATH=without_theano)
    for option in "--epochs --seed --data-dir --out --resume --eval-only --demo --set --vectors".split():
        assert option in output
    for letter in "LDCNIR":
        assert "\n  %s = " % letter in output
    assert "5  fully connected layer" in output
    for name, value in running.hyperparameters(running.load_experiment("IMDB")).items():
        assert "%s=%s" % (name, value) in output
    _, output, _ = running.run(running.script("Word_PTB"), ["--help"], PYTHONPATH=without_theano)
    assert "--vectors" not in output and "3  fully connected layer" in output


@pytest.mark.skipif(not os.path.isfile(os.path.join(sys.prefix, ".made-by-setup_env")),
                    reason="needs a virtualenv made by setup_env.sh")
def test_runs_from_its_folder_without_any_environment():
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen([sys.executable, "main.py", "--help"], env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, cwd=os.path.dirname(running.script("AGNews")))
    status, output, _ = running.wait(process)
    assert status == 0 and "CONFIG" in output


# -- arguments ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dataset, config, message", [
    ("IMDB", "LLL", "CONFIG of a text classifier must have 6 letters (for example LLLCCL), got 'LLL'"),
    ("Char_PTB", "LLLCCL", "CONFIG of a language model must have 4 letters (for example LCIL), got 'LLLCCL'"),
    ("Word_PTB", "LCXL", "letter 2 of CONFIG (LSTM, group variables of input and hidden neurons) must be one of "),
    ("AGNews", "CLLCCL", "letter 0 of CONFIG (embedding, individual weights) must be one of L, D, N, because constant "
                         "weights cannot be trained, got 'C' in 'CLLCCL'"),
    ("IMDB", "lllccl",
     "letter 0 of CONFIG (embedding, individual weights) must be one of L, D, N, got 'l' in 'lllccl'"),
])
def test_wrong_config(dataset, config, message, refused):
    assert message in refused(dataset, [config])


def test_config_is_missing(refused):
    assert refused("IMDB", []) == "error: CONFIG is missing, expected 6 letters, for example LLLCCL"
    assert refused("Word_PTB", ["--demo"]) == "error: CONFIG is missing, expected 4 letters, for example LCIL"


@pytest.mark.parametrize("arguments, message", [
    (["--epochs", "0"], "argument --epochs: must be a positive integer, got "),
    (["--epochs", "-3"], "argument --epochs: must be a positive integer, got "),
    (["--epochs", "2.5"], "argument --epochs: must be a positive integer, got '2.5'"),
    (["--seed", "-1"], "argument --seed: must be an integer in [0, 2**32), got "),
    (["--seed", str(2 ** 32)], "argument --seed: must be an integer in [0, 2**32), got "),
    (["--seed", "x"], "argument --seed: must be an integer in [0, 2**32), got 'x'"),
    (["--no-such-option"], "unrecognized arguments: --no-such-option"),
    (["LLLCCL"], "unrecognized arguments: LLLCCL"),
    (["--out"], "argument --out: expected one argument"),
    (["--set", "batch_size"], "expected name=value, for example --set batch_size=64"),
    (["--set", "batch_size=many"], "--set batch_size=many: must be a positive integer, got 'many' (default: 128)"),
    (["--set", "batch_size=0"], "--set batch_size=0: must be a positive integer, got 0 (default: 128)"),
    (["--set", "epochs=0"], "--set epochs=0: must be a positive integer, got 0 (default: 800)"),
    (["--set", "learning_rate=True"],
     "--set learning_rate=True: must be a positive number, got 'True' (default: 0.0005)"),
    (["--set", "clip=off"], "--set clip=off: must be a positive number or none, got 'off' (default: None)"),
    (["--set", "hidden_units=3", "--set", "hidden_units="], "--set hidden_units=: must be a positive integer, got ''"),
    (["--vectors", MISSING], "prepared data"),      # what comes first is said first
])
def test_wrong_argument(arguments, message, refused):
    assert message in refused("IMDB", ["LLLCCL", "--data-dir", MISSING] + arguments)


def test_unknown_setting_lists_the_known_ones(refused):
    for dataset in ("IMDB", "Char_PTB"):
        known = sorted(running.hyperparameters(running.load_experiment(dataset)))
        line = refused(dataset, [running.CONFIGS[dataset], "--set", "hiden_units=3"])
        assert line == "error: --set hiden_units=3: unknown name 'hiden_units'; known: " + ", ".join(known)


def test_vectors_are_for_texts_only(refused):
    assert "unrecognized arguments: --vectors" in refused("Word_PTB", ["LCIL", "--vectors", "x"])


@pytest.mark.parametrize("dataset", running.DATASETS)
def test_without_prepared_data_it_says_how_to_get_it(dataset, refused, tmp_path):
    line = refused(dataset, [running.CONFIGS[dataset], "--data-dir", tmp_path / "none", "--out", tmp_path / "run"])
    for part in ("no prepared data in %s" % (tmp_path / "none"), "prepare_data.py", "--source", "--demo"):
        assert part in line
    assert os.listdir(str(tmp_path)) == []


def test_data_of_another_experiment_are_refused(refused, data, tmp_path):
    line = refused("AGNews", ["LLLCCL", "--data-dir", data("IMDB"), "--out", tmp_path / "run"])
    assert "dataset is IMDB, expected AGNews" in line
    assert not (tmp_path / "run").exists()


def test_vectors_that_are_missing_or_of_another_length(refused, data, tmp_path):
    arguments = ["LLLCCL", "--data-dir", data("AGNews"), "--out", tmp_path / "run", "--set", "embedding_units=7"]
    assert "vectors not found" in refused("AGNews", arguments + ["--vectors", MISSING])
    line = refused("AGNews", arguments + ["--vectors", write_vectors(str(tmp_path / "v.txt"))])
    assert "v.txt" in line and "7" in line and "8" in line
    assert not (tmp_path / "run").exists()


def test_vectors_of_the_training_texts_are_the_default(refused, data, tmp_path):
    line = refused("IMDB", ["LLLCCL", "--data-dir", data("IMDB"), "--out", tmp_path / "run"])
    assert line.startswith("error: %s has no word vectors vectors-train-300.npz: run 'python prepare_data.py --vectors "
                           "train --dimensions 300' to add them" % data("IMDB"))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made(refused, data, tmp_path):
    (tmp_path / "file").write_text(u"")
    line = refused("IMDB", ["DCDCCD", "--vectors", "none", "--data-dir", data("IMDB"), "--out",
                            tmp_path / "file" / "run"])
    assert "cannot create the folder of the run" in line and "--out" in line


# -- settings ----------------------------------------------------------------------------------------------------------

def make_settings(experiment, demo, assignments):
    """Return the settings of a run: dict."""
    settings = experiment.make_settings(demo, **read_assignments(experiment, assignments))
    return settings.select(running.hyperparameters(experiment))


def test_settings_start_from_the_published_ones():
    experiment = running.load_experiment("IMDB")
    assert make_settings(experiment, False, []) == running.hyperparameters(experiment)
    assert make_settings(experiment, True, [])["hidden_units"] == experiment.demo["hidden_units"]
    assert make_settings(experiment, True, ["hidden_units=7"])["hidden_units"] == 7


@pytest.mark.parametrize("dataset, published", [
    ("IMDB", dict(embedding_units=300, hidden_units=128, batch_size=128, learning_rate=5e-4, clip=None, epochs=800,
                  evaluate_every=20, save_every=200, validation_fraction=0.15, words_kept=20000, length=200)),
    ("AGNews", dict(embedding_units=300, hidden_units=512, batch_size=128, learning_rate=5e-4, clip=None, epochs=150,
                    evaluate_every=5, save_every=50, validation_fraction=0.05, words_kept=20000, length=100)),
    ("Char_PTB", dict(hidden_units=1000, batch_size=64, length=100, learning_rate=2e-3, clip=1, epochs=250,
                      evaluate_every=1, save_every=50)),
    ("Word_PTB", dict(hidden_units=256, streams=32, length=35, learning_rate=2e-3, clip=10, epochs=150,
                      evaluate_every=1, save_every=50)),
])
def test_settings_are_the_published_ones(dataset, published):
    settings = running.hyperparameters(running.load_experiment(dataset))
    settings.pop("checkpoint_minutes")
    newer = dict(kl_warmup=0, rate_schedule=None, log_sigma_rate=1.)
    assert {name: settings.pop(name) for name in newer} == newer
    assert settings == published


def test_settings_keep_their_types():
    settings = make_settings(running.load_experiment("Word_PTB"), False,
                             ["clip=none", "learning_rate=1", "hidden_units=5", "checkpoint_minutes=0.5"])
    assert settings["clip"] is None
    assert settings["learning_rate"] == 1 and isinstance(settings["learning_rate"], float)
    assert isinstance(settings["hidden_units"], int)
    assert settings["checkpoint_minutes"] == 0.5
    experiment = running.load_experiment("IMDB")
    assert make_settings(experiment, False, ["clip=2"])["clip"] == 2
    assert make_settings(experiment, False, ["validation_fraction=0.3"])["validation_fraction"] == 0.3
    for value in ("0", "1.0", "1.5"):
        with pytest.raises(ReportedError, match=r"validation_fraction=%s: must be a number in \(0, 1\), got " % value):
            make_settings(experiment, False, ["validation_fraction=" + value])
    for value in ("1.5", "5e1", "None", "'5'", "nan", "__import__('os')", "5 6"):
        with pytest.raises(ReportedError, match="must be a positive integer"):
            make_settings(experiment, False, ["hidden_units=" + value])


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "none"])
def test_settings_are_finite(value):
    with pytest.raises(ReportedError, match="learning_rate"):
        make_settings(running.load_experiment("IMDB"), False, ["learning_rate=" + value])


def test_settings_of_one_run_do_not_leak_into_the_experiment():
    experiment = running.load_experiment("IMDB")
    make_settings(experiment, True, ["hidden_units=7"])
    assert running.hyperparameters(experiment)["hidden_units"] == 128


# -- a run that is there -----------------------------------------------------------------------------------------------

def test_a_folder_with_a_run_is_not_overwritten(refused, finished, a_run):
    line = refused("IMDB", running.tiny_arguments("IMDB", finished("IMDB").data, a_run))
    assert line == ("error: %s already holds a run: continue it with --resume, or choose another folder with --out"
                    % a_run)
    assert running.folder_bytes(a_run) == running.folder_bytes(finished("IMDB").path)


@pytest.mark.parametrize("arguments, message", [
    (["LLLCCL", "--seed", "7"], "seed 0, not 7"),
    (["LLLCCD"], "config LLLCCL, not LLLCCD"),
    (["LLLCCL", "--set", "hidden_units=6", "--set", "length=10"],
     "other settings: hidden_units 5, not 6; give the same settings, or another folder with --out"),
    (["LLLCCL", "--set", "clip=1"], "clip None, not 1.0"),
    (["LLLCCD", "--seed", "1"], "config LLLCCL, not LLLCCD, seed 0, not 1"),
    (["LLLCCL", "--demo"], "demo False, not True"),
    (["LLLCCL", "--vectors", "other.bin"], "other.bin; give the same settings"),
])
def test_resume_with_other_settings(arguments, message, refused, finished, a_run):
    line = refused("IMDB", arguments + ["--out", a_run, "--resume"])
    assert "%s was trained with other settings: " % a_run in line and message in line
    assert running.folder_bytes(a_run) == running.folder_bytes(finished("IMDB").path)


@pytest.fixture
def resumed(monkeypatch):
    """Resume a run of IMDB up to the point where training would begin; return its settings."""
    def settings_of(*arguments):
        started = []
        monkeypatch.setattr(cli, "train_and_evaluate", lambda settings, *_: started.append(settings))
        cli.main(running.load_experiment("IMDB"), list(arguments) + ["--resume"])
        return started[0]
    return settings_of


def test_resume_may_change_what_does_not_affect_the_numbers(refused, resumed, a_run):
    changed = ["LLLCCL", "--out", a_run] + running.options(epochs=70, vectors="none") + running.set_arguments(
        evaluate_every=7, save_every=8, checkpoint_minutes=0.5)
    settings = resumed(*changed)
    assert (settings.evaluate_every, settings.save_every, settings.checkpoint_minutes) == (7, 8, 0.5)
    # These differences are not reported, the other one is.
    line = refused("IMDB", changed + ["--set", "hidden_units=6", "--resume"])
    assert "was trained with other settings: hidden_units 5, not 6;" in line


def test_a_demonstration_is_resumed_without_the_option(resumed, a_run, tmp_path):
    config = running.config_of(a_run)
    for folder, expected in ((str(tmp_path), str(tmp_path)),
                             ("/nowhere", os.path.join(running.ROOT, "Experiments", "IMDB", "data", "demo"))):
        with open(os.path.join(a_run, "config.json"), "w") as stream:
            json.dump(dict(config, demo=True, data_dir=folder), stream)
        settings = resumed("LLLCCL", "--out", a_run)
        assert settings.demo and settings.data_dir == expected
    assert resumed("LLLCCL", "--out", a_run, "--data-dir", "/other").data_dir == "/other"


def test_resume_of_a_run_of_another_experiment(refused, a_run):
    assert "is a run of IMDB, not of AGNews" in refused("AGNews", ["LLLCCL", "--out", a_run, "--resume"])


def test_resume_where_no_run_is(refused, tmp_path):
    line = refused("IMDB", ["LLLCCL", "--out", tmp_path, "--resume"])
    assert "no run in %s (no config.json)" % tmp_path in line


def test_damaged_settings_of_a_run(refused, a_run):
    with open(os.path.join(a_run, "config.json"), "a") as stream:
        stream.write("}")
    assert "config.json is damaged" in refused("IMDB", ["LLLCCL", "--out", a_run, "--resume"])


@pytest.mark.parametrize("name, arguments", [
    ("main.py", ["LLLCCL", "--resume", "--out"]), ("main.py", ["--eval-only"]), ("run_compressed.py", [])])
def test_data_with_another_vocabulary(name, arguments, refused, finished, other_data, a_run):
    line = refused("IMDB", ["--data-dir", other_data] + arguments + [a_run], name)
    assert "%s have another vocabulary than %s was trained with" % (other_data, a_run) in line
    assert running.folder_bytes(a_run) == running.folder_bytes(finished("IMDB").path)


def test_data_with_other_labels(refused, data, a_run, tmp_path):
    other = shutil.copytree(data("IMDB"), str(tmp_path / "other"))
    arrays, metadata = load_arrays(os.path.join(other, "train.npz"))
    save_arrays(os.path.join(other, "train.npz"), dict(arrays, labels=1 - arrays["labels"]), metadata)
    before = running.folder_bytes(a_run)
    line = refused("IMDB", ["LLLCCL", "--data-dir", other, "--out", a_run, "--resume", "--epochs", "9"])
    assert "%s have the vocabulary of the data that %s was trained with, but other texts" % (other, a_run) in line
    assert "with --data-dir, or start a new run in another folder with --out" in line
    assert running.folder_bytes(a_run) == before


def test_eval_only_refusals(refused, finished, a_run, tmp_path):
    word = finished("Word_PTB").path
    assert "is a run of Word_PTB, not of IMDB" in refused("IMDB", ["--eval-only", word])
    assert "was trained with CONFIG LLLCCL, not LLLCCD" in refused("IMDB", ["LLLCCD", "--eval-only", a_run])
    assert "no run in %s" % tmp_path in refused("IMDB", ["--eval-only", tmp_path])
    for extra in (["--set", "length=5"], ["--epochs", "3"], ["--seed", "0"], ["--resume"], ["--demo"]):
        line = refused("IMDB", ["--eval-only", a_run] + extra)
        assert "--eval-only takes all settings from the run: only CONFIG and --data-dir may be given" in line


@pytest.mark.parametrize("name, arguments", [("main.py", ["--eval-only"]), ("run_compressed.py", [])])
def test_evaluation_of_a_foreign_run_writes_nothing_outside(name, arguments, refused, a_run, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    write_config(a_run, dict(running.config_of(a_run), demo=True, data_dir=nowhere))
    assert "no prepared data in " + nowhere in refused("IMDB", arguments + [a_run], name)
    assert not os.path.exists(nowhere)


def test_run_compressed_refusals(refused, finished, a_run, tmp_path):
    def line(*arguments):
        return refused("IMDB", arguments, "run_compressed.py")
    word = finished("Word_PTB").path
    assert "no run in %s (no config.json)" % tmp_path in line(tmp_path)
    assert "is a run of Word_PTB, not of IMDB" in line(word)
    assert "%s has no checkpoint 'epoch_3'; it has " % a_run in line(a_run, "--checkpoint", "epoch_3")
    assert "%s has no checkpoint '../run/best'; it has " % a_run in line(a_run, "--checkpoint", "../run/best")
    assert "no run in %s" % tmp_path in line(a_run, tmp_path)       # nothing is done for the good one either
    os.remove(os.path.join(a_run, "last.npz"))
    assert "has no checkpoint 'last'" in line(a_run)


def complaint(call, arguments, capsys):
    """Return the line that a command line writes to stderr when it ends with status 2 in this process."""
    with pytest.raises(SystemExit) as caught:
        call(running.load_experiment("IMDB"), [str(argument) for argument in arguments])
    assert caught.value.code == 2
    line, = capsys.readouterr().err.splitlines()
    return line


def truncate(path):
    content = running.read_bytes(path)
    with open(path, "wb") as stream:
        stream.write(content[:len(content) // 2])


def test_a_truncated_checkpoint(a_run, capsys):
    path = os.path.join(a_run, "last.npz")
    truncate(path)
    for call, arguments in ((cli.main, ["--eval-only", a_run]), (cli.run_compressed, [a_run])):
        assert "checkpoint %s is damaged" % path in complaint(call, arguments, capsys)


def without_network_name(run):
    """Change the last checkpoint of a run to what earlier versions wrote."""
    arrays, progress = load_arrays(os.path.join(run, "last.npz"))
    del progress["network"]
    save_arrays(os.path.join(run, "last.npz"), arrays, progress)


def write_config(folder, config):
    with open(os.path.join(folder, "config.json"), "w") as stream:
        json.dump(config, stream)


def test_a_checkpoint_of_another_model(a_run, capsys):
    config = running.config_of(a_run)
    config["settings"]["hidden_units"] = 6
    write_config(a_run, config)
    line = complaint(cli.main, ["--eval-only", a_run], capsys)
    assert "does not belong to IMDB LLLCCL: " in line and "has shape" in line and "expected" in line
    write_config(a_run, dict(config, config="LLLCRL"))
    assert "its config is LLLCCL, expected LLLCRL" in complaint(cli.main, ["--eval-only", a_run], capsys)
    without_network_name(a_run)
    assert "it lacks" in complaint(cli.main, ["--eval-only", a_run], capsys)


def test_a_checkpoint_with_parameters_that_the_network_does_not_have(a_run, capsys):
    write_config(a_run, dict(running.config_of(a_run), config="LCLCCL"))
    for call, arguments in ((cli.main, ["--eval-only", a_run]), (cli.run_compressed, [a_run])):
        assert "its config is LLLCCL, expected LCLCCL" in complaint(call, arguments, capsys)
    without_network_name(a_run)
    assert "it also has embedding.z_voc" in complaint(cli.main, ["--eval-only", a_run], capsys)


def test_a_checkpoint_of_the_same_parameters_with_another_prior(a_run, capsys):
    write_config(a_run, dict(running.config_of(a_run), config="NLLCCL"))
    line = complaint(cli.main, ["--eval-only", a_run], capsys)
    assert line.endswith("last.npz does not belong to IMDB NLLCCL: its config is LLLCCL, expected NLLCCL")


@pytest.mark.parametrize("change, message", [
    (lambda array: np.full_like(array, np.nan), "lstm.W_hid has a number that is not finite"),
    (lambda array: array.astype(np.float64), "lstm.W_hid of the checkpoint must be an array of float32, got float64"),
])
def test_a_checkpoint_with_wrong_numbers(change, message, a_run, capsys):
    path = os.path.join(a_run, "last.npz")
    arrays, progress = load_arrays(path)
    save_arrays(path, dict(arrays, **{"lstm.W_hid": change(arrays["lstm.W_hid"])}), progress)
    for call, arguments in ((cli.main, ["--eval-only", a_run]), (cli.run_compressed, [a_run])):
        assert message in complaint(call, arguments, capsys)


def test_resume_without_the_last_checkpoint(refused, finished, a_run):
    os.remove(os.path.join(a_run, "last.npz"))
    before = running.folder_bytes(a_run)
    line = refused("IMDB", ["LLLCCL", "--out", a_run, "--resume"])
    assert line == ("error: %s has no last.npz, so --resume cannot continue its run; it has best.npz, epoch_25.npz, "
                    "epoch_50.npz: choose one with --resume-from CHECKPOINT, or another folder with --out" % a_run)
    line = refused("IMDB", ["LLLCCL", "--out", a_run, "--resume-from", "epoch_7"])
    assert line == "error: %s has no checkpoint 'epoch_7'; it has best.npz, epoch_25.npz, epoch_50.npz" % a_run
    line = refused("IMDB", ["LLLCCL", "--out", a_run, "--resume-from", "epoch_50", "--epochs", "40"])
    assert line == "error: %s is in epoch 51 already; give at least --epochs 51" % a_run
    assert running.folder_bytes(a_run) == before
    assert "no run in" in refused("IMDB", ["LLLCCL", "--out", os.path.join(a_run, "x"), "--resume-from", "best"])


def test_resume_from_a_checkpoint_ends_as_the_uninterrupted_run(finished, a_run):
    os.remove(os.path.join(a_run, "last.npz"))
    output = running.call_for_output(cli.main, running.load_experiment("IMDB"),
                                     ["LLLCCL", "--out", a_run, "--resume-from", "epoch_50"])
    assert "\nResumed at epoch 51, minibatch 0\n" in output
    running.assert_same_end(a_run, finished("IMDB").path)


def test_a_checkpoint_that_is_missing(a_run, capsys):
    path = os.path.join(a_run, "epoch_7.npz")
    assert complaint(cli.main, ["--eval-only", path], capsys) == "error: checkpoint not found: " + path


def test_a_resumed_checkpoint_must_have_the_whole_training_state(finished, tmp_path):
    arrays, progress = load_arrays(os.path.join(finished("IMDB").path, "last.npz"))
    shapes = {name: array.shape for name, array in arrays.items()}
    path = str(tmp_path / "last.npz")
    for name in ("adam.step", "noise.0", "lstm.W_hid"):
        save_arrays(path, {other: array for other, array in arrays.items() if other != name}, progress)
        with pytest.raises(ReportedError, match="it lacks " + name):
            load_checkpoint(path, shapes, "this run")
    save_arrays(path, dict(arrays, more=arrays["adam.step"]), progress)
    with pytest.raises(ReportedError, match="it also has more"):
        load_checkpoint(path, shapes, "this run")


def test_finished_runs_are_found(tmp_path):
    experiment = running.load_experiment("IMDB").derive(folder=str(tmp_path / "IMDB"))
    with pytest.raises(ReportedError, match="no finished run in .*IMDB.*main.py CONFIG"):
        cli._finished_runs(experiment)
    for name, files in (("b", ["config.json", "compressed.npz"]), ("a", ["config.json", "compressed.npz"]),
                        ("unfinished", ["config.json", "last.npz"]), ("other", ["compressed.npz"])):
        folder = tmp_path / "IMDB" / "Results" / name
        folder.mkdir(parents=True)
        for file_name in files:
            (folder / file_name).write_text(u"")
    (tmp_path / "IMDB" / "Results" / "README.md").write_text(u"")
    assert [os.path.basename(run.path) for run in cli._finished_runs(experiment)] == ["a", "b"]
