"""The tagger's main.py, and its job; all networks are raw_corpora."""

import collections
import os
import re
import shutil
import signal

import numpy as np
import pytest
import theano
from helpers import running

from Experiments.shared import sparse_command_line
from Experiments.shared import train_and_evaluate as training
from Experiments.shared.data.corpus import ordered_vocabulary
from Experiments.shared.data.demo import generate_tagged
from Experiments.shared.data.tagging import FILES as DATA_FILES
from Experiments.shared.data.tagging import read_tagged
from Experiments.shared.tasks.tagging import TaggerJob
from sparse_seq_theano.architecture import tagger_architecture
from theano_rnn.npz_store import load_arrays

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EXPERIMENT = "sequence_labeling"
MAIN = running.load_script(EXPERIMENT).ENTRY
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


FinishedRun = collections.namedtuple("FinishedRun", "path output data")


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A finished run that nothing interrupted, in a process of its own."""
    path = str(tmp_path_factory.mktemp("runs") / "trained")
    output = running.succeed(running.script(EXPERIMENT), running.options(data=corpus, save=path, **TINY))
    return FinishedRun(path, output, corpus)


@pytest.fixture
def a_run(trained, tmp_path):
    """A copy of it."""
    return shutil.copytree(trained.path, str(tmp_path / "run"))


def tag(*flags, **values):
    return running.call(sparse_command_line.tagger, MAIN, *flags, **values)


# -- what a run leaves -------------------------------------------------------------------------------------------------

def test_files_of_a_run(trained):
    assert set(os.listdir(trained.path)) == {"config.json", "log.txt", "metrics.csv", "vocabulary.txt", "last.npz",
                                             "best.npz", "metric.png"}
    assert running.read_text(os.path.join(trained.path, "log.txt")) == trained.output
    vocabulary = running.read_text(os.path.join(trained.path, "vocabulary.txt")).split("\n")[:-1]
    assert vocabulary == read_tagged(trained.data).vocabulary
    config = running.config_of(trained.path)
    assert (config["experiment"], config["demo"]) == (EXPERIMENT, False)
    expected = dict(MAIN.options, data=trained.data, save=trained.path)
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
    assert trained.output.endswith("\nBest epoch %d: validation accuracy %.4f, test accuracy %.4f\n" % (
        best["epoch"], best["val"], best["test"]))
    assert any(row["test"] != row["val"] for row in rows)
    arrays, progress = load_arrays(os.path.join(trained.path, "best.npz"))
    assert (progress["epoch"], progress["best"]) == (best["epoch"], best["val"])
    job = make_job(trained.data, **running.config_of(trained.path)["settings"])
    for name, parameter in job.network.parameters().items():
        parameter.set_value(arrays[name])
    assert (job.evaluate("val"), job.evaluate("test")) == (
        pytest.approx((best["val"], best["val_loss"])), pytest.approx((best["test"], best["test_loss"])))


# -- interruption and continuation -------------------------------------------------------------------------------------

def test_killed_stopped_and_continued_ends_as_if_never_interrupted(trained, tmp_path, capsys):
    path = str(tmp_path / "run")
    process = running.start(running.script(EXPERIMENT), running.options(data=trained.data, save=path, **TINY))
    status, output, errors = running.stop_at_random(process, os.path.join(path, "last.npz"), signal.SIGKILL,
                                                    **running.SOON)
    assert status == -signal.SIGKILL and len(running.numbers_of(path)) < 10, output + errors
    with running.signal_at(TaggerJob, (10, 4), signal.SIGTERM):
        assert tag("--continue_train", save=path) == 130
    assert running.position(os.path.join(path, "last.npz")) == (10, 4)
    assert capsys.readouterr().out.endswith("\nStopped; continue with --continue_train\n")
    assert tag("--continue_train", save=path, epochs=10) == 0
    running.assert_same_end(path, trained.path)
    assert capsys.readouterr().out.splitlines()[-1] == trained.output.splitlines()[-1]
    assert len(running.config_of(path)["resumed_with"]) == 2


def test_ctrl_c_ends_training_early_and_reports_the_best_epoch(corpus, tmp_path, capsys):
    """By SGD with momentum, on a shuffled vocabulary, with two layers."""
    values = dict(TINY, data=corpus, optimizer="sgd", momentum=0.9, lr=0.5, vocab_order="rand", layers=2)
    paths = [str(tmp_path / name) for name in ("whole", "stopped")]
    for path, moment in zip(paths, (None, (2, 3))):
        with running.signal_at(TaggerJob, moment, signal.SIGINT):
            assert tag(save=path, **dict(values, epochs=3)) == 0
    output = capsys.readouterr().out
    assert "\nTraining ends early; continue with --continue_train\nBest epoch 1: validation accuracy " in output
    assert tag("--continue_train", save=path) == 0
    running.assert_same_end(path, paths[0])


def test_ctrl_c_in_the_first_epoch(corpus, tmp_path, capsys):
    with running.signal_at(TaggerJob, (1, 2), signal.SIGINT):
        assert tag(data=corpus, save=tmp_path / "run", **TINY) == 0
    assert capsys.readouterr().out.endswith("\nNo epoch is complete, so there is no result\n")


# -- refusals ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("given, message", [
    (["--no_such_option", "3"], "unrecognized arguments: --no_such_option 3"),
    (["--layers", "0"], "--layers: expected a whole number, at least 1, not '0'"),
    (["--optimizer", "rmsprop"], "--optimizer: expected one of adam, sgd, not 'rmsprop'"),
    (["--vocab_order", "sideways"], "--vocab-order: expected one of up, down, none, rand, not 'sideways'"),
    (["--momentum", "1"], "--momentum: expected a probability, at least 0 and below 1, not '1'"),
    (["--l2", "-0.1"], "--l2: expected a number, at least 0, not '-0.1'"),
    (["--wdrop", "x"], "--wdrop: expected a probability, at least 0 and below 1, not 'x'"),
    (["--emb_blocks", "4", "--emb_density", "0.2"], "emb_blocks, emb_density: "),
])
def test_wrong_option(given, message, refused_without_theano, corpus, tmp_path):
    known = running.options(data=corpus, save=tmp_path / "run")
    assert message in refused_without_theano(EXPERIMENT, "main.py", *(known + given))
    assert os.listdir(str(tmp_path)) == []


def test_missing_or_damaged_data(refused_without_theano, corpus, tmp_path):
    def refused(folder):
        return refused_without_theano(EXPERIMENT, "main.py", "--data", folder, "--save", tmp_path / "run")
    assert "no tagged sentences in %s: run 'python prepare_data.py'" % (tmp_path / "none") in refused(tmp_path / "none")
    folder = shutil.copytree(corpus, str(tmp_path / "copy"))
    with open(os.path.join(folder, "wsj_test.conll"), "a") as stream:
        stream.write("word without tag\n")
    assert "wsj_test.conll, line " in refused(folder)
    os.remove(os.path.join(folder, "wsj_valid.conll"))
    assert "%s has no wsj_valid.conll" % folder in refused(folder)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run(refused_without_theano, trained, a_run, tmp_path):
    def refused(*given):
        return refused_without_theano(EXPERIMENT, "main.py", "--save", a_run, *given)
    assert "%s already holds a run: continue it with --continue_train" % a_run in refused("--data", trained.data)
    assert refused("--continue_train", "--vocab_order", "down", "--l2", "1", "--lr", "0.02") == (
        "error: %s was trained with --l2 0.0 --vocab_order up; give the same, or another --save" % a_run)
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
    assert "error: batch_size is 61, but train has 60 sentences" in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.json").exists()


# -- command lines that only start -------------------------------------------------------------------------------------

@pytest.fixture
def started(monkeypatch):
    """The jobs that would have been trained."""
    jobs = []
    monkeypatch.setattr(training, "train", lambda job, *rest: jobs.append(job))
    return jobs


def test_the_published_command_line(corpus, tmp_path, started):
    assert running.call(sparse_command_line.tagger, MAIN, *PUBLISHED, data=corpus, save=tmp_path / "run") == 0
    job, = started
    structure = job.network.architecture
    assert structure.embedding.blocks == 20 and structure.nhid == 10 and job.settings["epochs"] == 50
    words = len(job.vocabulary)
    assert structure.embedding.parameters == pytest.approx(0.25 * 20 * words, abs=20)
    assert job.vocabulary == read_tagged(corpus, "down").vocabulary and job.seed == 1982
    total = sum(parameter.get_value().size for parameter in job.network.parameters().values())
    assert total == structure.parameter_counts()["total"]


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
    assert len(read_tagged(str(tmp_path / "data")).train.offsets) == 2001
    expected = dict(MAIN.demo, nhid=7)
    assert {name: started[0].settings[name] for name in expected} == expected
    assert running.config_of(str(tmp_path / "run"))["demo"] is True


# -- the job -----------------------------------------------------------------------------------------------------------

def make_job(folder, **changed):
    settings = dict(MAIN.options, emsize=8, nhid=5, batch_size=8)
    settings.update(changed)
    data = read_tagged(folder, settings["vocab_order"], settings["seed"])
    structure = tagger_architecture(len(data.vocabulary), len(data.tags), **{
        name: settings[name] for name in sparse_command_line.TAGGER_STRUCTURE})
    return TaggerJob(data, structure, settings, settings["seed"])


def sentences_of(minibatches):
    return [tuple(row[mask > 0]) for tokens, _, masks in minibatches for row, mask in zip(tokens, masks)]


def test_training_leaves_out_the_incomplete_last_minibatch(corpus):
    job = make_job(corpus)
    part = job.parts["train"]
    sentences = [tuple(part.tokens[begin:end]) for begin, end in zip(part.offsets, part.offsets[1:])]
    epochs = [list(job.minibatches(epoch)) for epoch in (1, 2)]
    assert [len(minibatches) for minibatches in epochs] == [7, 7] == [job.minibatch_count(1)] * 2
    assert {len(tokens) for minibatches in epochs for tokens, _, _ in minibatches} == {8}
    seen = [collections.Counter(sentences_of(minibatches)) for minibatches in epochs]
    assert all(not found - collections.Counter(sentences) for found in seen) and seen[0] != seen[1]
    assert sentences_of(job.minibatches(2, 5)) == sentences_of(epochs[1])[40:]
    for name in ("val", "test"):
        tokens = np.concatenate([row for row in sentences_of(job.evaluation_minibatches(name))])
        np.testing.assert_array_equal(tokens, job.parts[name].tokens)


def test_evaluation_counts_every_token_once(corpus):
    job = make_job(corpus)
    together = [job.evaluate(part) for part in ("val", "test")]
    scores = theano.function(job.network.inputs, job.network.scores(deterministic=True))
    for (accuracy, loss), name in zip(together, ("val", "test")):
        part, right, nats = job.parts[name], 0, 0.
        for begin, end in zip(part.offsets, part.offsets[1:]):      # one sentence at a time: no padding
            tokens, tags = part.tokens[np.newaxis, begin:end], part.tags[begin:end]
            found = scores(tokens, np.ones(tokens.shape, dtype="uint8")).astype(float)
            right += np.sum(found.argmax(axis=1) == tags)
            nats += np.sum(np.log(np.exp(found).sum(axis=1)) - found[np.arange(len(tags)), tags])
        assert accuracy == pytest.approx(right / float(len(part.tokens)))
        assert loss == pytest.approx(nats / len(part.tokens), rel=1e-5)


def values_of(job):
    return [parameter.get_value().astype(float) for parameter in job.network.parameters().values()]


def test_steps_of_sgd(corpus):
    job = make_job(corpus, optimizer="sgd", lr=0.3, momentum=0.5, l2=0.1)
    loss = job.network.loss(job.network.scores(deterministic=True))
    gradients = theano.function([job.network.tokens, job.network.tags, job.network.mask],
                                [loss] + theano.grad(loss, list(job.network.parameters().values())))
    expected, velocities = values_of(job), [0.] * len(values_of(job))
    for minibatch in list(job.minibatches(1))[:3]:
        results = gradients(*minibatch)
        velocities = [0.5 * velocity + gradient + 0.1 * value
                      for velocity, gradient, value in zip(velocities, results[1:], expected)]
        expected = [value - 0.3 * velocity for value, velocity in zip(expected, velocities)]
        found, norm, _ = job.step(minibatch)
        assert found == pytest.approx(float(results[0]), rel=1e-5)
        assert norm == pytest.approx(np.sqrt(sum(np.sum(np.square(gradient)) for gradient in results[1:])), rel=1e-4)
        for value, right in zip(values_of(job), expected):
            np.testing.assert_allclose(value, right, rtol=1e-4, atol=1e-6)


def test_l2_of_adam_is_part_of_the_gradient(corpus):
    job = make_job(corpus, lr=0.01, l2=1e4)         # so large that it alone decides the direction
    before = values_of(job)
    job.step(next(job.minibatches(1)))
    for old, new in zip(before, values_of(job)):
        clear = np.abs(old) > 1e-3
        np.testing.assert_allclose((new - old)[clear], -0.01 * np.sign(old[clear]), rtol=0.02)
