"""The command lines of the language model; all networks are tiny."""

import functools
import json
import math
import os
import re
import shutil
import signal
import types

from theano_rnn.npz_store import load_arrays

import numpy as np
import pytest
import theano
from helpers import running
from helpers.language_modeling import (
    EXPERIMENT,
    FINE_TUNING,
    MAIN,
    NO_DROPOUT,
    RECITING,
    SIZES,
    TRAINING,
    make_task,
    write_corpus,
)

from Experiments.shared import cli, trained_runs
from Experiments.shared import train_and_evaluate as training
from Experiments.shared.data.language_modeling import load_corpus
from Experiments.shared.sparse_experiments import architecture_of_language_model
from Experiments.shared.tasks import awd_lstm
from Experiments.shared.tasks.awd_lstm import AWDTask

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FILES = {"config.json", "log.txt", "metrics.csv", "vocabulary.txt", "last.npz", "best.npz", "test.json", "loss.png",
         "perplexity.png", "report.html"}
COLUMNS = ["epoch", "train_seconds", "train_loss", "max_grad_norm", "mean_grad_norm", "learning_rate", "averaged",
           "val", "val_perplexity", "test_seconds"]


@pytest.fixture(scope="module")
def wide_corpus(tmp_path_factory):
    """A corpus with as many words as the Penn Treebank."""
    folder = tmp_path_factory.mktemp("corpus")
    for part in ("train", "valid", "test"):
        (folder / (part + ".txt")).write_text(u"".join(u"w%d\n" % number for number in range(9999)))
    return str(folder)


def run_options(data, path, **changed):
    """Options of a run that soon switches to averaged SGD."""
    values = dict(SIZES, data=data, save=path, nonmono=1, lr=30, epochs=10)
    values.update(TRAINING, **changed)
    return values


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A finished run of main.py that nothing interrupted."""
    path = str(tmp_path_factory.mktemp("runs") / "trained")
    output = running.call_for_output(cli.main, MAIN, running.options(**run_options(corpus, path)))
    return running.FinishedRun(path, output, corpus)


train = running.command(cli.main, MAIN)
recite = running.command(cli.main, RECITING)
fine_tune = running.command(cli.fine_tune, FINE_TUNING, MAIN)


# -- what a run leaves -------------------------------------------------------------------------------------------------

def test_files_of_a_run(trained):
    assert set(os.listdir(trained.path)) == FILES
    for name in ("loss.png", "perplexity.png"):
        assert running.read_bytes(os.path.join(trained.path, name)).startswith(b"\x89PNG")
    vocabulary = running.read_text(os.path.join(trained.path, "vocabulary.txt")).split("\n")[:-1]
    assert vocabulary == load_corpus(trained.data).vocabulary
    assert running.read_text(os.path.join(trained.path, "log.txt")) == trained.output


def test_config_has_every_setting_and_the_versions(trained):
    config = running.config_of(trained.path)
    assert (config["experiment"], config["entry"], config["demo"]) == (EXPERIMENT, "main", False)
    expected = dict(MAIN.defaults, **MAIN.fixed)
    expected.update(run_options(trained.data, trained.path))
    assert {name: config["settings"][name] for name in expected} == expected
    assert set(config["settings"]) == set(expected)
    assert {"evaluate_every", "save_every", "checkpoint_minutes"} <= set(expected)
    assert config["versions"]["theano"] == theano.__version__


def test_parameters_are_counted(trained):
    found = re.match(r"(\d+) parameters \(encoder (\d+), rnns (\d+), prior (\d+), latent (\d+)\), (\d+) words; "
                     r"compiling ...\nLSTM 0: ", trained.output)
    total, encoder, rnns, prior, latent, words = [int(number) for number in found.groups()]
    arrays = load_arrays(os.path.join(trained.path, "best.npz"))[0]
    assert total == encoder + rnns + prior + latent == sum(array.size for array in arrays.values())
    assert (encoder, rnns, prior, latent) == (9 * words, 4 * 8 * (8 + 8 + 2), 8, 0)


def test_metrics_are_the_printed_numbers(trained):
    header = running.read_text(os.path.join(trained.path, "metrics.csv")).split("\n")[0]
    assert header.split(",") == COLUMNS
    rows = running.numbers_of(trained.path)
    assert [row["epoch"] for row in rows] == list(range(1, 11))
    printed = re.findall(r"\| end of epoch +(\d+) \| time: [\d.]+s \| valid loss ([\d.]+) \| valid ppl +([\d.]+)(.*)",
                         trained.output)
    for row, (epoch, loss, perplexity, rest) in zip(rows, printed):
        assert (row["epoch"], "%.4f" % row["val"], "%.2f" % row["val_perplexity"]) == (int(epoch), loss, perplexity)
        assert row["val_perplexity"] == pytest.approx(math.exp(row["val"]))
        assert rest == (" (averaged weights)" if row["averaged"] else "")
        assert row["learning_rate"] == 30 and 0 < row["mean_grad_norm"] <= row["max_grad_norm"]
    assert len(printed) == len(rows)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]


def test_minibatches_are_logged_with_their_mean_loss(trained):
    progress = re.findall(r"\| epoch +(\d+) \| +(\d+)/ *(\d+) batches \| lr 30 \| ms/batch [\d.]+ \| loss +([\d.]+) \| "
                          r"ppl +([\d.]+)", trained.output)
    assert len(progress) >= 10
    for _, number, count, loss, perplexity in progress:
        assert int(number) % 5 == 0 and int(number) <= int(count)
        assert math.exp(float(loss)) == pytest.approx(float(perplexity), rel=0.01)


def test_a_run_switches_to_averaged_weights_once(trained):
    rows = running.numbers_of(trained.path)
    averaged = [row["averaged"] for row in rows]
    assert averaged == sorted(averaged) and averaged[0] == 0 and averaged[-1] == 1
    last_raw = averaged.count(0)
    losses = [row["val"] for row in rows]
    switching = [epoch for epoch in range(3, 11) if losses[epoch - 1] > min(losses[:epoch - 2])]
    assert switching[0] == last_raw
    before, after = trained.output.split("\nSwitching to averaged SGD\n")
    assert before.splitlines()[-1].startswith("| end of epoch %3d " % last_raw)
    assert "Epoch %d took" % (last_raw + 1) in after.splitlines()[0] or "| epoch" in after.splitlines()[0]


def test_the_best_model_is_tested(trained):
    losses = [row["val"] for row in running.numbers_of(trained.path)]
    best = losses.index(min(losses)) + 1
    arrays, progress = load_arrays(os.path.join(trained.path, "best.npz"))
    result = running.read_json(os.path.join(trained.path, "test.json"))
    assert progress["epoch"] == result["epoch"] == best
    assert result["test_perplexity"] == pytest.approx(math.exp(result["test_loss"]))
    assert trained.output.splitlines()[-3:-1] == ["| End of training | test loss %5.4f | test ppl %8.2f" % (
        result["test_loss"], result["test_perplexity"]), 89 * "="]
    task = make_task(trained.data, **running.config_of(trained.path)["settings"])
    task.load_best(arrays)
    assert task.evaluate("test") == pytest.approx(result["test_loss"], rel=1e-6)
    assert task.evaluate("valid") == pytest.approx(min(losses), rel=1e-6)
    task.settings.bptt = 10000        # the state is carried, so the windows of evaluation do not matter
    assert task.evaluate("test") == pytest.approx(result["test_loss"], rel=1e-5)


# -- interruption and continuation -------------------------------------------------------------------------------------

def start_main(data, path):
    return running.start(running.script(EXPERIMENT), running.options(**run_options(data, path)))


def assert_same_run(path, reference):
    running.assert_same_end(path, reference, ("vocabulary.txt", "test.json"))


def test_killed_and_continued_ends_as_if_never_interrupted(trained, tmp_path):
    path = str(tmp_path / "run")
    status, output, errors = running.stop_at_random(start_main(trained.data, path), os.path.join(path, "last.npz"),
                                                    signal.SIGKILL, **running.SOON)
    assert status == -signal.SIGKILL and not os.path.isfile(os.path.join(path, "test.json")), output + errors
    assert train("--continue_train", save=path) == 0
    assert_same_run(path, trained.path)
    assert len(running.config_of(path)["resumed_with"]) == 1


def test_ctrl_c_ends_training_early_and_reports_the_result(trained, tmp_path):
    path = str(tmp_path / "run")
    status, output, errors = running.stop_at_random(start_main(trained.data, path), os.path.join(path, "last.npz"),
                                                    signal.SIGINT, **running.SOON)
    assert (status, errors) == (0, "\nstopping soon; everything is saved first ...\n"), output
    assert "\nTraining ends early; continue with --continue_train\n" in output
    assert "| End of training | test loss " in output and len(running.numbers_of(path)) < 10
    result = running.read_json(os.path.join(path, "test.json"))
    losses = [row["val"] for row in running.numbers_of(path)]
    assert result["epoch"] == losses.index(min(losses)) + 1
    assert train("--continue_train", save=path) == 0
    assert_same_run(path, trained.path)


def test_ctrl_c_in_the_first_epoch(corpus, tmp_path, capsys):
    path = str(tmp_path / "run")
    with running.signal_at(AWDTask, (1, 2), signal.SIGINT):
        assert train(**run_options(corpus, path)) == 0
    assert "Testing the parameters of now: no epoch is complete" in capsys.readouterr().out
    assert running.read_json(os.path.join(path, "test.json"))["epoch"] is None
    assert running.position(os.path.join(path, "last.npz")) == (1, 2)


def test_reciting_stopped_inside_an_epoch_and_continued(corpus, tmp_path, capsys):
    """The run has momentum, a falling learning rate, counts of this epoch, and gradients added from unequal parts."""
    paths = [str(tmp_path / name) for name in ("whole", "stopped")]
    for path, moment in zip(paths, (None, (2, 4))):
        values = run_options(corpus, path, small_batch_size=3, epochs=3, lr=2)
        with running.signal_at(AWDTask, moment, signal.SIGTERM):
            assert recite(**values) == (130 if moment else 0)
    assert running.position(os.path.join(path, "last.npz")) == (2, 4)
    assert not os.path.isfile(os.path.join(path, "test.json"))
    assert capsys.readouterr().out.endswith("\nStopped; continue with --continue_train\n")
    assert recite("--continue_train", save=path) == 0
    assert_same_run(path, paths[0])

    rows = running.numbers_of(path)
    assert [row["learning_rate"] for row in rows] == pytest.approx([2, 2 * 0.97, 2 * 0.97 ** 2])
    accuracies = [row["train_accuracy"] for row in rows]
    assert 0 < accuracies[0] < accuracies[-1] < 1 and not any(row["averaged"] for row in rows)
    assert load_arrays(os.path.join(path, "best.npz"))[1]["best"] == -max(accuracies)
    assert re.findall(r"Recited: ([\d.]+) %", capsys.readouterr().out)[-1] == "%.4f" % (100 * accuracies[-1])
    assert os.path.isfile(os.path.join(path, "recited.png"))
    settings = running.config_of(path)["settings"]
    assert not any(settings[name] for name in list(NO_DROPOUT) + ["dropoutl", "alpha", "beta", "wdecay"])
    assert (settings["momentum"], settings["seed"]) == (0.9, 0)


# -- finetune.py -------------------------------------------------------------------------------------------------------

def test_fine_tuning_stopped_inside_an_epoch_and_continued(trained, tmp_path, capsys):
    """Fine-tuning has its own training settings (windows, streams); the sizes are those of the run."""
    paths = [shutil.copytree(trained.path, str(tmp_path / name)) for name in ("whole", "stopped")]
    for path, moment in zip(paths, (None, (2, 4))):
        with running.signal_at(AWDTask, moment, signal.SIGTERM):
            assert fine_tune(save=path, lr=10, epochs=3, **TRAINING) == (130 if moment else 0)
    first_output = capsys.readouterr().out
    assert fine_tune("--continue_train", save=path) == 0
    tuned = os.path.join(path, "finetune")
    assert_same_run(tuned, os.path.join(paths[0], "finetune"))

    shutil.rmtree(os.path.join(paths[0], "finetune"))
    assert running.folder_bytes(paths[0]) == running.folder_bytes(trained.path)
    assert set(os.listdir(tuned)) == FILES
    best, progress = load_arrays(os.path.join(trained.path, "best.npz"))
    assert "Going on from %s, epoch %d, validation loss %.4f\n" % (paths[0], progress["epoch"], progress["best"]) \
        in first_output
    rows = running.numbers_of(tuned)
    assert [row["averaged"] for row in rows] == [1, 1, 1] and {row["learning_rate"] for row in rows} == {10}
    assert rows[0]["val"] < running.numbers_of(trained.path)[0]["val"]
    kept = min([progress["best"]] + [row["val"] for row in rows])
    assert load_arrays(os.path.join(tuned, "last.npz"))[1]["best"] == kept
    assert running.config_of(tuned)["entry"] == "finetune" and running.config_of(tuned)["settings"]["emsize"] == 8


def test_fine_tuning_starts_from_the_best_model(a_run, monkeypatch):
    tasks = []
    monkeypatch.setattr(training, "train", lambda task, *rest: tasks.append(task))
    assert fine_tune(save=a_run, lr=10, **TRAINING) == 0
    task, = tasks
    best, progress = load_arrays(os.path.join(a_run, "best.npz"))
    for name, parameter in task.network.parameters().items():
        np.testing.assert_array_equal(parameter.get_value(), best[name])
    assert task.averaging and task.settings.fewest_epochs == 100 and task.settings.seed == 141
    copied, at = load_arrays(os.path.join(a_run, "finetune", "best.npz"))
    assert at["best"] == progress["best"] and all(np.array_equal(copied[name], best[name]) for name in best)


def test_fine_tuning_keeps_the_best_model_if_it_finds_none_better(a_run):
    assert fine_tune(save=a_run, lr=1e4, clip=100, epochs=1, **TRAINING) == 0
    tested = [running.read_json(os.path.join(a_run, name)) for name in ("test.json", "finetune/test.json")]
    assert tested[0] == tested[1]


def test_fine_tuning_refuses(refused_without_theano, a_run, tmp_path):
    refused = functools.partial(refused_without_theano, EXPERIMENT, "finetune.py")
    line = refused(*running.options(save=a_run, emsize=9, sparse_mode="direct"))
    assert line == ("error: %s was trained with other settings: emsize 8, not 9; give the same settings, or another "
                    "folder with --save" % a_run)
    line = refused(*running.options(save=a_run, ordering="none"))
    assert "%s was trained with other settings: ordering up, not none;" % a_run in line
    assert "no run in %s (no config.json); train one with main.py first" % tmp_path in refused("--save", tmp_path)
    assert "no run in %s" % os.path.join(a_run, "finetune") in refused("--save", a_run, "--continue_train")
    other = write_corpus(tmp_path / "other", more="another\n")
    assert "have another vocabulary than %s" % a_run in refused("--save", a_run, "--data", other)
    os.remove(os.path.join(a_run, "best.npz"))
    assert refused("--save", a_run) == "error: %s has no best.npz yet; train it for an epoch with main.py first" % a_run
    assert not os.path.exists(os.path.join(a_run, "finetune"))


# -- use of a trained run: evaluate.py, sample.py ----------------------------------------------------------------------

ALL = [MAIN, FINE_TUNING, RECITING]


def evaluated(*arguments):
    return running.call_for_output(trained_runs.evaluate_language_model, ALL, arguments)


def sampled(*arguments):
    return running.call_for_output(trained_runs.sample, ALL, arguments)


@pytest.fixture(scope="module")
def restored(trained):
    """The task of the trained run, with its best parameters."""
    settings = MAIN.read_settings(training.RunFolder(trained.path))
    return training.restore_task(settings, training.load_data(settings), os.path.join(trained.path, "best.npz"))


def test_evaluation_of_a_part_gives_the_recorded_numbers(trained):
    result, row = running.read_json(os.path.join(trained.path, "test.json")), running.numbers_of(trained.path)[-1]
    words = len(load_corpus(trained.data).test)
    assert evaluated(trained.path) == "test: loss %.4f, perplexity %.2f (%d predicted words)\n" % (
        result["test_loss"], result["test_perplexity"], words - 1)
    assert row["averaged"]          # the averages of last.npz are evaluated, as in training
    assert evaluated("--part", "valid", "--checkpoint", "last", trained.path).startswith(
        "valid: loss %.4f, perplexity %.2f (" % (row["val"], row["val_perplexity"]))


def test_evaluation_of_a_text(trained, tmp_path, capsys, monkeypatch):
    path = os.path.join(trained.data, "test.txt")
    assert evaluated(trained.path, "--file", path) == evaluated(trained.path).replace("test:", path + ":")
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=open(path, "rb")))
    assert evaluated(trained.path, "--file", "-") == evaluated(trained.path).replace("test:", "standard input:")
    for text, message in ((u"", "must have at least 2 words, ends of lines included, got 0"),
                          (u"xyzzy\n" if "<unk>" not in load_corpus(trained.data).vocabulary else u"",
                           "must have at least 2 words")):
        (tmp_path / "a.txt").write_text(text)
        with pytest.raises(SystemExit):
            evaluated(trained.path, "--file", str(tmp_path / "a.txt"))
        assert message in capsys.readouterr().err


def test_samples_follow_the_probabilities(restored):
    """The same random numbers, and probabilities that are computed from losses."""
    words, prompt = len(restored.vocabulary), [3, 7, 2]

    def probabilities(tokens):
        nats = [loss * count for loss, count in (
            restored.evaluate_tokens(np.array(tokens + [word], dtype=np.int32)) for word in range(words))]
        log = min(nats) - np.array(nats)
        return lambda temperature: np.exp(log / temperature) / np.exp(log / temperature).sum()

    first = probabilities(prompt)
    for seed, temperature in ((0, 1.), (1, 1.), (2, 0.5), (3, 3.)):
        draw = np.random.RandomState(seed).rand()
        expected = np.searchsorted(np.cumsum(first(temperature)), draw)
        assert restored.sample(1, seed, prompt, temperature) == [expected]
    likely = first(1.).argmax()
    greedy = restored.sample(2, 0, prompt, 1e-300)
    assert greedy == [likely, probabilities(prompt + [likely])(1.).argmax()]


def test_samples_continue_the_prompt(trained):
    prompt = " ".join(load_corpus(trained.data).vocabulary[-4:-2])
    text = sampled(trained.path, "--length", "12", "--prompt", prompt, "--seed", "5")
    assert text == sampled("--seed", "5", "--prompt", prompt, "--length", "12", trained.path)
    assert text.startswith(prompt) and "<eos>" not in text
    assert len(text.split()) + text.rstrip("\n").count("\n") + (text.endswith("\n\n")) == 14
    assert text != sampled(trained.path, "--length", "12", "--prompt", prompt, "--seed", "6")
    assert sampled(trained.path, "--length", "2", "--prompt", "a,a", "--separate").startswith("a , a ")
    assert running.succeed(running.script(EXPERIMENT, "sample.py"),
                           [trained.path, "--length", "12", "--prompt", prompt, "--seed", "5"]) == text


@pytest.mark.parametrize("command, arguments, message", [
    (sampled, ["{}", "--length", "0"], "--length must be a positive integer, got 0"),
    (sampled, ["{}", "--temperature", "0"], "--temperature must be a positive number, got 0"),
    (sampled, ["{}", "--seed", "x"], "--seed must be an integer in [0, 2**32), got 'x'"),
    (sampled, ["no-run"], "no run in no-run (no config.json); train one with main.py first"),
    (evaluated, ["{}", "--checkpoint", "epoch_3"], "has no checkpoint 'epoch_3'; it has "),
    (evaluated, ["{}", "--file", "no-file"], "cannot read no-file (No such file or directory)"),
    (evaluated, ["{}", "--part", "test", "--file", "x"], "not allowed with argument --part"),
    (evaluated, ["{}", "--data", "no-data"], "no corpus in "),
])
def test_wrong_use_of_a_run(command, arguments, message, trained, capsys, monkeypatch):
    monkeypatch.setattr(trained_runs, "restore_task", None)     # refused before
    with pytest.raises(SystemExit) as leaving:
        command(*[given.format(trained.path) for given in arguments])
    errors = capsys.readouterr().err
    assert leaving.value.code == 2 and message in errors and errors.count("\n") == 1


@pytest.mark.parametrize("name", ["evaluate.py", "sample.py"])
def test_a_missing_run_is_reported_at_once(name, refused_without_theano):
    assert "no run in no-run" in refused_without_theano(EXPERIMENT, name, "no-run")


# -- refusals ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("given, message", [
    (["--no_such_option", "3"], "unrecognized arguments: --no_such_option 3"),
    (["--cuda"], "unrecognized arguments: --cuda"),
    (["--emsize", "0"], "--emsize: must be a positive integer, got 0"),
    (["--nhid", "2.5"], "--nhid: must be a positive integer, got '2.5'"),
    (["--nhidlast", "-2"], "--nhidlast: must be a positive integer or -1, got -2"),
    (["--seed", "-1"], "--seed: must be an integer in [0, 2**32), got -1"),
    (["--lr", "nan"], "--lr: must be a positive number, got nan"),
    (["--lr", "inf"], "--lr: must be a positive number, got inf"),
    (["--wdecay", "-1"], "--wdecay: must be a non-negative number, got -1"),
    (["--dropout", "1"], "--dropout: must be a number in [0, 1), got 1"),
    (["--dropoutl", "-0.5"], "--dropoutl: must be a number in [0, 1), or -1, got -0.5"),
    (["--emdensity", "0"], "--emdensity: must be a number in (0, 1], got 0"),
    (["--sparse_mode", "dense"], "--sparse_mode/--sparse-mode: must be one of direct, sparse_"),
    (["--ordering", "UP"], "--ordering: must be one of up, down, none, rand, got 'UP'"),
    (["--max_seq_len_delta", "-1"], "--max-seq-len-delta: must be a non-negative integer, got -1"),
    (["--sparse_fract", "0.5"], "sparse_fract 0.5 has no effect with sparse_mode direct"),
    (["--sparse_mode", "sparse_all", "--sparse_fract", "0.01"], "layer 0 with sparse_mode sparse_all"),
    (["--emblocks", "4", "--emdensity", "0.1"], "emblocks, emdensity: "),
])
def test_wrong_option(given, message, refused_without_theano, corpus, tmp_path):
    known = running.options(data=corpus, save=tmp_path / "run")
    assert message in refused_without_theano(EXPERIMENT, "main.py", *(known + given))
    assert os.listdir(str(tmp_path)) == []


def test_options_with_hyphens_mean_the_same(refused_without_theano):
    line = refused_without_theano(EXPERIMENT, "main.py", "--log-interval", "0")
    assert "--log_interval/--log-interval: must be a positive integer, got 0" in line


@pytest.mark.parametrize("name", ["dropout", "alpha", "wdecay", "dropoutl"])
def test_reciting_has_no_regularisation(name, refused_without_theano):
    assert "unrecognized arguments: --" + name in refused_without_theano(
        EXPERIMENT, "main_overfit.py", "--" + name, "0.5")


def test_missing_data(refused_without_theano, corpus, tmp_path):
    refused = functools.partial(refused_without_theano, EXPERIMENT, "main.py", "--save", tmp_path / "run", "--data")
    assert "no corpus in %s: run ./getdata.sh" % (tmp_path / "none") in refused(tmp_path / "none")
    folder = shutil.copytree(corpus, str(tmp_path / "copy"))
    os.remove(os.path.join(folder, "valid.txt"))
    assert "%s has no valid.txt" % folder in refused(folder)
    (tmp_path / "copy" / "valid.txt").write_text(u"\n\n")
    assert "valid.txt is empty" in refused(folder)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run(refused_without_theano, trained, a_run, tmp_path):
    def refused(*given, **options):
        return refused_without_theano(EXPERIMENT, options.get("name", "main.py"), "--save", a_run, *given)
    assert refused("--data", trained.data) == ("error: %s already holds a run: continue it with --continue_train, or "
                                               "choose another folder with --save" % a_run)
    line = refused("--continue_train", "--emsize", "9", "--lr", "30", "--epochs", "12", "--dropout", "0.3")
    assert line == ("error: %s was trained with other settings: emsize 8, not 9, dropout 0.4, not 0.3; give the same "
                    "settings, or another folder with --save" % a_run)
    assert "is a run of main.py, not of main_overfit.py" in refused("--continue_train", name="main_overfit.py")
    other = write_corpus(tmp_path / "other", more="another\n")
    assert "the data in %s have another vocabulary than %s was trained with" % (other, a_run) in refused(
        "--continue_train", "--data", other)
    assert running.folder_bytes(a_run) == running.folder_bytes(trained.path)
    with open(os.path.join(a_run, "config.json"), "w") as stream:
        json.dump({"dataset": "IMDB", "settings": {}}, stream)
    assert "%s is a run of IMDB, not of language_modeling" % a_run in refused("--continue_train")
    assert "%s is a run of IMDB, not of language_modeling" % a_run in refused(name="finetune.py")
    os.remove(os.path.join(a_run, "config.json"))
    assert "no run in %s" % a_run in refused("--continue_train")


def test_a_corpus_that_is_too_short(corpus, tmp_path, capsys):
    path = str(tmp_path / "run")
    assert train(**run_options(corpus, path, batch_size=500)) == 2
    line = "error: train.txt has %d words, too few for 500 streams: expected at least 1500\n"
    assert capsys.readouterr().err == line % len(load_corpus(corpus).train)
    assert not os.path.exists(os.path.join(path, "config.json"))


def test_a_damaged_checkpoint(trained, a_run, capsys, monkeypatch):
    monkeypatch.setattr(AWDTask, "compile", lambda task: None)
    for name, command_line, flags in (("last.npz", train, ["--continue_train"]), ("best.npz", fine_tune, [])):
        checkpoint = os.path.join(a_run, name)
        content = running.read_bytes(checkpoint)
        with open(checkpoint, "wb") as stream:
            stream.write(content[:len(content) // 2])
        assert command_line(*flags, save=a_run) == 2
        assert "checkpoint %s is damaged" % checkpoint in capsys.readouterr().err.splitlines()[-1]


def test_an_epoch_that_is_over(a_run, capsys, monkeypatch):
    monkeypatch.setattr(AWDTask, "compile", lambda task: None)
    arrays, _ = load_arrays(os.path.join(a_run, "last.npz"))
    monkeypatch.setattr(AWDTask, "state_shapes", lambda task: {name: array.shape for name, array in arrays.items()})
    monkeypatch.setattr(AWDTask, "set_state", lambda task, arrays: None)
    assert train("--continue_train", save=a_run, epochs=3) == 2
    assert "is in epoch 11 already; give at least --epochs 11" in capsys.readouterr().err


# -- the published command lines ---------------------------------------------------------------------------------------

class RecordedTask(AWDTask):
    """A task without a compiled network; the class records architecture and settings of its instances."""

    made = []

    def __init__(self, settings, data):
        self.settings, self.vocabulary = settings, data.vocabulary
        architecture = architecture_of_language_model(settings, data)
        self.network = types.SimpleNamespace(architecture=architecture)
        self.made.append((architecture, settings))

    def parameter_shapes(self):
        return {"a": (1,)}

    def load_best(self, arrays):
        pass

    def evaluate(self, part):
        return 1.


@pytest.fixture
def recorded(monkeypatch):
    """Record the tasks instead of training them: list of (architecture, settings)."""
    def pretend_to_train(task, run, settings, resume, best=None):
        run.save_checkpoint("best", {"a": np.zeros(1)}, {"epoch": 1, "best": 4.})
    monkeypatch.setattr(RecordedTask, "made", [])
    monkeypatch.setattr(awd_lstm, "AWDTask", RecordedTask)
    monkeypatch.setattr(training, "train", pretend_to_train)
    return RecordedTask.made


@pytest.mark.parametrize("command, seed, epochs, counts", [
    ("main --seed 0", 0, 500, (4010000, 20211600, 24222000)),
    ("finetune", 141, 500, (4010000, 20211600, 24222000)),
    ("main --sparse_mode sparse_hidden --sparse_fract 0.66666 --nhid 1725", 141, 500, (4010000, 19812900, 23823300)),
    ("finetune --sparse_mode sparse_hidden --sparse_fract 0.66666 --nhid 1725", 141, 500,
     (4010000, 19812900, 23823300)),
    ("main_overfit --epochs 150 --lr 5", 0, 150, (4010000, 20211600, 24222000)),
    ("main_overfit --emsize 200 --nhid 575 --epochs 150 --lr 5", 0, 150, (2010000, 5058300, 7068500)),
    ("main_overfit --emsize 200 --sparse_mode sparse_hidden --sparse_fract 0.5 --epochs 150 --lr 5", 0, 150,
     (2010000, 5058304, 7068504)),
    ("main_overfit --emblocks 10 --emdensity 0.5 --sparse_mode sparse_all --sparse_fract 0.5 --epochs 150 --lr 5", 0,
     150, (2010000, 5060160, 7070560)),
])
def test_published_command_lines(command, seed, epochs, counts, wide_corpus, tmp_path, recorded, capsys):
    name, given = command.split()[0], command.split()[1:]
    if name == "finetune":
        assert train(*given, save=tmp_path / "run", data=wide_corpus) == 0
        assert fine_tune(*given, save=tmp_path / "run") == 0
    else:
        command_line = {"main": train, "main_overfit": recite}[name]
        assert command_line(*given, save=tmp_path / "run", data=wide_corpus) == 0
    architecture, settings = recorded[-1]
    found = architecture.parameter_counts()
    assert (found["encoder"], found["rnns"], found["total"]) == counts
    assert (settings.seed, settings.epochs) == (seed, epochs)
    assert "%d parameters (encoder %d, rnns %d," % (counts[2], counts[0], counts[1]) in capsys.readouterr().out


def test_the_demonstration_makes_its_data(tmp_path, recorded):
    path = str(tmp_path / "run")
    assert train("--demo", data=tmp_path / "data", save=path, lr=3) == 0
    assert len(load_corpus(str(tmp_path / "data")).train) > 50000
    expected = dict(MAIN.demo, lr=3.)
    assert recorded[0][1].select(expected) == expected
    assert fine_tune(save=path) == 0
    architecture, settings = recorded[1]
    assert architecture.lstms[0].hidden_size == 64 and settings.epochs == 5
    assert running.config_of(os.path.join(path, "finetune"))["demo"] is True
