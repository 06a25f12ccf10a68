"""The command line of the tagger and its task; all networks are tiny."""

import collections
import functools
import json
import os
import re
import shutil
import signal

from theano_rnn.npz_store import load_arrays

import numpy as np
import pytest
import theano
from helpers import running

from Experiments.shared import cli, trained_runs
from Experiments.shared import train_and_evaluate as training
from Experiments.shared.data.synthetic import generate_tagged
from Experiments.shared.data.tagged_sentences import FILES as DATA_FILES
from Experiments.shared.data.tagged_sentences import load_tagged
from Experiments.shared.data.vocabulary import ordered_vocabulary
from Experiments.shared.tasks import build_task
from Experiments.shared.tasks.tagging import TaggingTask

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EXPERIMENT = "sequence_labeling"
MAIN = running.load_script(EXPERIMENT).EXPERIMENT
PUBLISHED = "--emsize 20 --emb_density 0.25 --emb_blocks 20 --nhid 10 --epochs 50 --dropouti 0.2 --wdrop 0.2 " \
    "--vocab_order down".split()
TINY = dict(emsize=8, emb_blocks=4, emb_density=0.5, nhid=5, batch_size=8, lr=0.02, epochs=10, dropouti=0.1,
            dropoute=0.1, dropouth=0.1, wdrop=0.1)
COLUMNS = ["epoch", "train_seconds", "train_loss", "max_grad_norm", "mean_grad_norm", "val", "val_loss", "test",
           "test_loss", "test_seconds"]
SENTENCES = 60


def write_tagged(folder, more=""):
    os.makedirs(str(folder))
    for name, sentences in zip(DATA_FILES.values(), generate_tagged(0, (SENTENCES, 20, 21))):
        lines = ["".join("%s\t%s\n" % pair for pair in sentence) for sentence in sentences]
        with open(os.path.join(str(folder), name), "w") as stream:
            stream.write("\n".join(lines) + more)
    return str(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_tagged(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A finished run that nothing interrupted."""
    path = str(tmp_path_factory.mktemp("runs") / "trained")
    output = running.call_for_output(cli.main, MAIN, running.options(data=corpus, save=path, **TINY))
    return running.FinishedRun(path, output, corpus)


tag = running.command(cli.main, MAIN)


# -- what a run leaves -------------------------------------------------------------------------------------------------

def test_files_of_a_run(trained):
    assert set(os.listdir(trained.path)) == {"config.json", "log.txt", "metrics.csv", "vocabulary.txt", "last.npz",
                                             "best.npz", "metric.png", "report.html"}
    assert running.read_text(os.path.join(trained.path, "log.txt")) == trained.output
    vocabulary = running.read_text(os.path.join(trained.path, "vocabulary.txt")).split("\n")[:-1]
    assert vocabulary == load_tagged(trained.data).vocabulary
    config = running.config_of(trained.path)
    assert (config["experiment"], config["demo"]) == (EXPERIMENT, False)
    expected = dict(MAIN.defaults, data=trained.data, save=trained.path)
    expected.update(TINY)
    assert {name: config["settings"][name] for name in expected} == expected


def test_parameters_are_counted(trained):
    found = re.match(r"(\d+) parameters \(embedding (\d+), lstms (\d+), dense (\d+)\), (\d+) words, (\d+) tags, 60 "
                     r"sentences; compiling ...\n", trained.output)
    total, embedding, lstms, dense, words, tags = [int(number) for number in found.groups()]
    arrays = load_arrays(os.path.join(trained.path, "best.npz"))[0]
    stored = [array.size for name, array in arrays.items() if not name.startswith(("adam.", "noise."))]
    assert total == embedding + lstms + dense == sum(stored)
    assert (lstms, dense) == (2 * 4 * 5 * (8 + 5 + 2), 11 * 5 + 6 * tags)
    assert embedding == pytest.approx(words * 8 * 0.5, abs=2)


def test_metrics_are_the_printed_numbers(trained):
    header = running.read_text(os.path.join(trained.path, "metrics.csv")).split("\n")[0]
    assert header.split(",") == COLUMNS
    rows = running.numbers_of(trained.path)
    assert [row["epoch"] for row in rows] == list(range(1, 11))
    for part in ("val", "test"):
        printed = re.findall(r"%s: accuracy ([\d.]+), loss ([\d.]+)\n" % part.capitalize(), trained.output)
        assert printed == [("%.4f" % row[part], "%.4f" % row[part + "_loss"]) for row in rows]
    assert rows[-1]["val"] > rows[0]["val"] + 0.1 and rows[-1]["train_loss"] < rows[0]["train_loss"]


def test_the_best_epoch_is_reported(trained):
    rows = running.numbers_of(trained.path)
    accuracies = [row["val"] for row in rows]
    best = rows[accuracies.index(max(accuracies))]
    assert trained.output.splitlines()[-2] == "Best epoch %d: validation accuracy %.4f, test accuracy %.4f" % (
        best["epoch"], best["val"], best["test"])
    assert any(row["test"] != row["val"] for row in rows)
    arrays, progress = load_arrays(os.path.join(trained.path, "best.npz"))
    assert (progress["epoch"], progress["best"]) == (best["epoch"], best["val"])
    task = make_task(trained.data, **running.config_of(trained.path)["settings"])
    for name, parameter in task.network.parameters().items():
        parameter.set_value(arrays[name])
    assert (task.evaluate("valid"), task.evaluate("test")) == (
        pytest.approx((best["val"], best["val_loss"])), pytest.approx((best["test"], best["test_loss"])))


# -- interruption and continuation -------------------------------------------------------------------------------------

def test_killed_stopped_and_continued_ends_as_if_never_interrupted(trained, tmp_path, capsys):
    path = str(tmp_path / "run")
    process = running.start(running.script(EXPERIMENT), running.options(data=trained.data, save=path, **TINY))
    status, output, errors = running.stop_at_random(process, os.path.join(path, "last.npz"), signal.SIGKILL,
                                                    **running.SOON)
    assert status == -signal.SIGKILL and len(running.numbers_of(path)) < 10, output + errors
    with running.signal_at(TaggingTask, (10, 4), signal.SIGTERM):
        assert tag("--continue_train", save=path) == 130
    assert running.position(os.path.join(path, "last.npz")) == (10, 4)
    assert capsys.readouterr().out.endswith("\nStopped; continue with --continue_train\n")
    assert tag("--continue_train", save=path, epochs=10) == 0
    running.assert_same_end(path, trained.path)
    assert capsys.readouterr().out.splitlines()[-2] == trained.output.splitlines()[-2]
    assert len(running.config_of(path)["resumed_with"]) == 2


def test_ctrl_c_ends_training_early_and_reports_the_best_epoch(corpus, tmp_path, capsys):
    """Training uses SGD with momentum, a shuffled vocabulary and two layers."""
    values = dict(TINY, data=corpus, optimizer="sgd", momentum=0.9, lr=0.5, vocab_order="rand", layers=2)
    paths = [str(tmp_path / name) for name in ("whole", "stopped")]
    for path, moment in zip(paths, (None, (2, 3))):
        with running.signal_at(TaggingTask, moment, signal.SIGINT):
            assert tag(save=path, **dict(values, epochs=3)) == 0
    output = capsys.readouterr().out
    assert "\nTraining ends early; continue with --continue_train\nBest epoch 1: validation accuracy " in output
    assert tag("--continue_train", save=path) == 0
    running.assert_same_end(path, paths[0])


def test_ctrl_c_in_the_first_epoch(corpus, tmp_path, capsys):
    with running.signal_at(TaggingTask, (1, 2), signal.SIGINT):
        assert tag(data=corpus, save=tmp_path / "run", **TINY) == 0
    assert capsys.readouterr().out.splitlines()[-2] == "No epoch is complete, so there is no result"


# -- use of a trained run: evaluate.py, tag.py -------------------------------------------------------------------------

def evaluated(*arguments):
    return running.call_for_output(trained_runs.evaluate_tagger, MAIN, arguments)


def tagged(*arguments):
    return running.call_for_output(trained_runs.tag, MAIN, arguments)


def test_evaluation_gives_the_recorded_numbers(trained):
    best = load_arrays(os.path.join(trained.path, "best.npz"))[1]["rows"][-1]
    best, last = dict(best), running.numbers_of(trained.path)[-1]
    assert evaluated(trained.path) == "test: accuracy %.4f, loss %.4f (21 sentences, %d words)\n" % (
        best["test"], best["test_loss"], len(load_tagged(trained.data).test.tokens))
    assert evaluated("--checkpoint", "last", trained.path, "--part", "valid").startswith(
        "valid: accuracy %.4f, loss %.4f (20 sentences, " % (last["val"], last["val_loss"]))
    path = os.path.join(trained.data, DATA_FILES["test"])
    assert evaluated(trained.path, "--file", path) == evaluated(trained.path).replace("test:", path + ":")


def test_tags_of_sentences(trained, tmp_path):
    """The share of correct tags is the accuracy, in both formats, also in a process of its own."""
    data = load_tagged(trained.data)
    pairs = [(data.vocabulary[token], data.tags[tag]) for token, tag in zip(data.test.tokens, data.test.tags)]
    sentences = [pairs[begin:end] for begin, end in zip(data.test.offsets, data.test.offsets[1:])]
    text = "\n\n".join(" ".join(word for word, _ in sentence) for sentence in sentences)
    path = tmp_path / "sentences.txt"
    path.write_text(text)
    objects = [json.loads(line) for line in tagged("--format", "json", trained.path, str(path)).splitlines()]
    assert [answer["words"] for answer in objects] == [[word for word, _ in sentence] for sentence in sentences]
    found = [tag for answer in objects for tag in answer["tags"]]
    right = sum(tag == expected for tag, (_, expected) in zip(found, pairs))
    assert len(found) == len(pairs)
    assert "accuracy %.4f," % (right / len(pairs)) in evaluated(trained.path)
    columns = "".join("".join("%s\t%s\n" % pair for pair in zip(answer["words"], answer["tags"])) + "\n"
                      for answer in objects)
    assert tagged(trained.path, str(path)) == columns
    process = running.run_with_input(running.script(EXPERIMENT, "tag.py"), [trained.path], text)
    assert process == (0, columns, "")


def test_punctuation_is_separated_on_request(trained, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(u"The order, (it's) late.\n")
    words = [line.split("\t")[0] for line in tagged(trained.path, str(path), "--separate").splitlines()]
    assert words == ["The", "order", ",", "(", "it's", ")", "late", ".", ""]


@pytest.mark.parametrize("command, arguments, message", [
    (tagged, ["{run}", "no-file"], "cannot read no-file (No such file or directory)"),
    (tagged, ["{run}", "{file}", "--format", "xml"], "argument --format: invalid choice: 'xml'"),
    (tagged, ["{run}", "{empty}"], "empty has no sentence; expected one per line"),
    (evaluated, ["{run}", "--file", "{file}"], "file: the word 'dog' has the tag 'XYZ'; expected one of the "),
    (evaluated, ["{run}", "--file", "{empty}"], "empty has no sentence"),
])
def test_wrong_use_of_a_run(command, arguments, message, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(trained_runs, "restore_task", None)     # refused before
    (tmp_path / "file").write_text(u"the DT\ndog XYZ\n")
    (tmp_path / "empty").write_text(u"\n \n")
    given = [argument.format(run=trained.path, file=tmp_path / "file", empty=tmp_path / "empty")
             for argument in arguments]
    with pytest.raises(SystemExit) as leaving:
        command(*given)
    errors = capsys.readouterr().err
    assert leaving.value.code == 2 and message in errors and errors.count("\n") == 1


@pytest.mark.parametrize("name", ["evaluate.py", "tag.py"])
def test_a_missing_run_is_reported_at_once(name, refused_without_theano):
    assert "no run in no-run" in refused_without_theano(EXPERIMENT, name, "no-run")


# -- refusals ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("given, message", [
    (["--no_such_option", "3"], "unrecognized arguments: --no_such_option 3"),
    (["--layers", "0"], "--layers: must be an integer in [1, 100], got 0"),
    (["--optimizer", "rmsprop"], "--optimizer: must be one of adam, sgd, got 'rmsprop'"),
    (["--vocab_order", "sideways"], "--vocab-order: must be one of up, down, none, rand, got 'sideways'"),
    (["--momentum", "1"], "--momentum: must be a number in [0, 1), got 1"),
    (["--l2", "-0.1"], "--l2: must be a non-negative number, got -0.1"),
    (["--wdrop", "x"], "--wdrop: must be a number in [0, 1), got 'x'"),
    (["--emb_blocks", "4", "--emb_density", "0.2"], "emb_blocks, emb_density: "),
])
def test_wrong_option(given, message, refused_without_theano, corpus, tmp_path):
    known = running.options(data=corpus, save=tmp_path / "run")
    assert message in refused_without_theano(EXPERIMENT, "main.py", *(known + given))
    assert os.listdir(str(tmp_path)) == []


def test_missing_or_damaged_data(refused_without_theano, corpus, tmp_path):
    refused = functools.partial(refused_without_theano, EXPERIMENT, "main.py", "--save", tmp_path / "run", "--data")
    assert "no tagged sentences in %s: run 'python prepare_data.py'" % (tmp_path / "none") in refused(tmp_path / "none")
    folder = shutil.copytree(corpus, str(tmp_path / "copy"))
    with open(os.path.join(folder, "wsj_test.conll"), "a") as stream:
        stream.write("word without tag\n")
    assert "wsj_test.conll, line " in refused(folder)
    os.remove(os.path.join(folder, "wsj_valid.conll"))
    assert "%s has no wsj_valid.conll" % folder in refused(folder)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run(refused_without_theano, trained, a_run, tmp_path):
    refused = functools.partial(refused_without_theano, EXPERIMENT, "main.py", "--save", a_run)
    assert "%s already holds a run: continue it with --continue_train" % a_run in refused("--data", trained.data)
    assert refused("--continue_train", "--vocab_order", "down", "--l2", "1", "--lr", "0.02") == (
        "error: %s was trained with other settings: vocab_order up, not down, l2 0.0, not 1.0; give the same settings, "
        "or another folder with --save" % a_run)
    other = write_tagged(tmp_path / "other")
    with open(os.path.join(other, "wsj_train.conll"), "a") as stream:
        stream.write("\nanother\tNN\n")
    assert "the data in %s have another vocabulary than %s was trained with" % (other, a_run) in refused(
        "--continue_train", "--data", other)
    line = refused_without_theano("language_modeling", "main.py", "--continue_train", "--save", a_run)
    assert line == "error: %s is a run of sequence_labeling, not of language_modeling" % a_run
    assert running.folder_bytes(a_run) == running.folder_bytes(trained.path)


def test_fewer_sentences_than_a_minibatch(corpus, tmp_path, capsys):
    assert tag(data=corpus, save=tmp_path / "run", batch_size=61) == 2
    assert "error: batch_size must be at most 60, the number of training sentences, got 61" in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.json").exists()


# -- command lines that only start -------------------------------------------------------------------------------------

@pytest.fixture
def started(monkeypatch):
    """Record the tasks instead of training them."""
    tasks = []
    monkeypatch.setattr(training, "train", lambda task, *rest: tasks.append(task))
    return tasks


def test_the_published_command_line(corpus, tmp_path, started):
    assert running.call(cli.main, MAIN, flags=PUBLISHED, data=corpus, save=tmp_path / "run") == 0
    task, = started
    architecture = task.network.architecture
    assert architecture.embedding.blocks == 20 and architecture.nhid == 10 and task.settings.epochs == 50
    words = len(task.vocabulary)
    assert architecture.embedding.parameters == pytest.approx(0.25 * 20 * words, abs=20)
    assert task.vocabulary == load_tagged(corpus, "down").vocabulary and task.settings.seed == 1982
    total = sum(parameter.get_value().size for parameter in task.network.parameters().values())
    assert total == architecture.parameter_counts()["total"]


@pytest.mark.parametrize("order", ["up", "down", "none", "rand"])
def test_orders_of_the_vocabulary(order, corpus, tmp_path, started):
    assert tag(data=corpus, save=tmp_path / "run", vocab_order=order, seed=5) == 0
    with open(os.path.join(corpus, "wsj_train.conll")) as stream:
        words = [line.split("\t")[0] for line in stream if line.strip()]
    assert started[0].vocabulary == ordered_vocabulary(words, ["<unk>"], order, 5)
    ordered = [started[0].vocabulary.index(word) for word in (".", "<unk>")]
    assert order not in ("up", "down") or (ordered == sorted(ordered)) == (order == "down")


def test_the_demonstration_makes_its_data(tmp_path, started):
    assert tag("--demo", data=tmp_path / "data", save=tmp_path / "run", nhid=7) == 0
    assert len(load_tagged(str(tmp_path / "data")).train.offsets) == 2001
    expected = dict(MAIN.demo, nhid=7)
    assert started[0].settings.select(expected) == expected
    assert running.config_of(str(tmp_path / "run"))["demo"] is True


# -- the task ----------------------------------------------------------------------------------------------------------

def make_task(folder, **changed):
    settings = MAIN.make_settings(**dict(dict(emsize=8, nhid=5, batch_size=8, data=folder), **changed))
    return build_task(MAIN, settings, training.load_data(settings))


def sentences_of(minibatches):
    return [tuple(row[mask > 0]) for tokens, _, masks in minibatches for row, mask in zip(tokens, masks)]


def test_training_leaves_out_the_incomplete_last_minibatch(corpus):
    task = make_task(corpus)
    part = task.parts["train"]
    sentences = [tuple(part.tokens[begin:end]) for begin, end in zip(part.offsets, part.offsets[1:])]
    epochs = [list(task.minibatches(epoch)) for epoch in (1, 2)]
    assert [len(minibatches) for minibatches in epochs] == [7, 7] == [task.minibatch_count(1)] * 2
    assert {len(tokens) for minibatches in epochs for tokens, _, _ in minibatches} == {8}
    seen = [collections.Counter(sentences_of(minibatches)) for minibatches in epochs]
    assert all(not found - collections.Counter(sentences) for found in seen) and seen[0] != seen[1]
    assert sentences_of(task.minibatches(2, 5)) == sentences_of(epochs[1])[40:]
    for name in ("valid", "test"):
        tokens = np.concatenate([row for row in sentences_of(task.evaluation_minibatches(name))])
        np.testing.assert_array_equal(tokens, task.parts[name].tokens)


def test_evaluation_counts_every_token_once(corpus):
    task = make_task(corpus)
    together = [task.evaluate(part) for part in ("valid", "test")]
    scores = theano.function(task.network.inputs, task.network.scores(deterministic=True))
    for (accuracy, loss), name in zip(together, ("valid", "test")):
        part, right, nats = task.parts[name], 0, 0.
        for begin, end in zip(part.offsets, part.offsets[1:]):      # one sentence at a time: no padding
            tokens, tags = part.tokens[np.newaxis, begin:end], part.tags[begin:end]
            found = scores(tokens, np.ones(tokens.shape, dtype="uint8")).astype(float)
            right += np.sum(found.argmax(axis=1) == tags)
            nats += np.sum(np.log(np.exp(found).sum(axis=1)) - found[np.arange(len(tags)), tags])
        assert accuracy == pytest.approx(right / float(len(part.tokens)))
        assert loss == pytest.approx(nats / len(part.tokens), rel=1e-5)


def values_of(task):
    return [parameter.get_value().astype(float) for parameter in task.network.parameters().values()]


def test_steps_of_sgd(corpus):
    task = make_task(corpus, optimizer="sgd", lr=0.3, momentum=0.5, l2=0.1)
    loss = task.network.loss(task.network.scores(deterministic=True))
    gradients = theano.function([task.network.tokens, task.network.tags, task.network.mask],
                                [loss] + theano.grad(loss, list(task.network.parameters().values())))
    expected, velocities = values_of(task), [0.] * len(values_of(task))
    for minibatch in list(task.minibatches(1))[:3]:
        results = gradients(*minibatch)
        velocities = [0.5 * velocity + gradient + 0.1 * value
                      for velocity, gradient, value in zip(velocities, results[1:], expected)]
        expected = [value - 0.3 * velocity for value, velocity in zip(expected, velocities)]
        found, norm, _ = task.step(minibatch)
        assert found == pytest.approx(float(results[0]), rel=1e-5)
        assert norm == pytest.approx(np.sqrt(sum(np.sum(np.square(gradient)) for gradient in results[1:])), rel=1e-4)
        for value, right in zip(values_of(task), expected):
            np.testing.assert_allclose(value, right, rtol=1e-4, atol=1e-6)


def test_l2_of_adam_is_part_of_the_gradient(corpus):
    task = make_task(corpus, lr=0.01, l2=1e4)         # so large that it alone decides the direction
    before = values_of(task)
    task.step(next(task.minibatches(1)))
    for old, new in zip(before, values_of(task)):
        clear = np.abs(old) > 1e-3
        np.testing.assert_allclose((new - old)[clear], -0.01 * np.sign(old[clear]), rtol=0.02)
