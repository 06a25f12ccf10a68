"""Data and finished runs that many tests look at: made once."""

import collections
import os

import pytest
import running

from Experiments.shared.data import demo, ptb, text

FinishedRun = collections.namedtuple("FinishedRun", "dataset path output data")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Tiny prepared data: a function of the name of the data set."""
    folder = str(tmp_path_factory.mktemp("data"))

    def prepared(dataset):
        path = os.path.join(folder, dataset)
        if not os.path.isdir(path):
            prepare(dataset, path)
        return path
    return prepared


OPINIONS = ("bad", "dull"), ("good", "fresh")


def reviews(things):
    """Reviews so easy that a tiny network learns them before everything is pruned: train and test texts, labels."""
    labels = [number % 2 for number in range(2400)]
    texts = ["The %s of the %s was %s ." % (things[number % 5], things[number % 7 % 5],
                                            OPINIONS[label][number % 3 % 2]) for number, label in enumerate(labels)]
    return texts[:2000], labels[:2000], texts[2000:], labels[2000:]


def prepare(dataset, path, things=("plot", "cast", "music", "hero", "end")):
    details, seed = {"source": "tests"}, 0
    if dataset in text.CLASS_NAMES:
        corpus = reviews(things) if dataset == "IMDB" else demo.generate_news(seed, 120)
        text.prepare_text(*corpus, data_dir=path, dataset=dataset, details=details)
    else:
        tokens = (1200, 400, 300) if dataset == "Word_PTB" else (800, 300, 200)
        ptb.prepare_language(dict(zip(ptb.PARTS, demo.generate_language(seed, tokens))), path, dataset, details)


@pytest.fixture(scope="session")
def other_data(tmp_path_factory):
    """Prepared IMDB data with another vocabulary."""
    path = str(tmp_path_factory.mktemp("data") / "other")
    prepare("IMDB", path, things=("plot", "cast", "music", "hero", "start"))
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory, data):
    """A finished tiny run that nothing interrupted: a function of the name of the data set."""
    runs = {}

    def finished_run(dataset):
        if dataset not in runs:
            out = str(tmp_path_factory.mktemp("runs") / dataset)
            extra = ["--vectors", write_vectors(out + "-vectors.txt")] if dataset == "AGNews" else []
            output = running.succeed(running.script(dataset),
                                     running.tiny_arguments(dataset, data(dataset), out, *extra))
            runs[dataset] = FinishedRun(dataset, out, output, data(dataset))
        return runs[dataset]
    return finished_run


def write_vectors(path):
    """GloVe text with vectors for two words of the AGNews corpus and one of no corpus."""
    with open(path, "w") as stream:
        for number, word in enumerate(("the", "xxyyzz", "from")):
            stream.write(" ".join([word] + ["%d" % (10 * number + 1)] * 8) + "\n")
    return path


@pytest.fixture(scope="session")
def without_theano(tmp_path_factory):
    """A folder for PYTHONPATH whose theano ends the process with status 99 when it is imported."""
    folder = tmp_path_factory.mktemp("fake")
    (folder / "theano").mkdir()
    (folder / "theano" / "__init__.py").write_text(u"import os\nos.write(2, b'theano was imported')\nos._exit(99)\n")
    return str(folder)


@pytest.fixture
def in_process(monkeypatch):
    """Lets the command line run in this process, where Theano is configured already."""
    from Experiments.shared import command_line
    monkeypatch.setattr(command_line, "_use_theano", lambda: None)
    return command_line
