"""Data and finished runs that many tests share; each is created once."""

import os
import shutil

import pytest
from helpers import language_modeling, prepared_corpora, running

from Experiments.shared import cli


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Tiny prepared data: a function of the name of the data set."""
    folder = str(tmp_path_factory.mktemp("data"))

    def prepared(dataset):
        path = os.path.join(folder, dataset)
        if not os.path.isdir(path):
            prepared_corpora.prepare(dataset, path)
        return path
    return prepared


@pytest.fixture(scope="session")
def other_data(tmp_path_factory):
    """Prepared IMDB data with another vocabulary."""
    path = str(tmp_path_factory.mktemp("data") / "other")
    prepared_corpora.prepare("IMDB", path, things=("plot", "cast", "music", "hero", "start"))
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory, data):
    """A finished tiny run that nothing interrupted: a function of the name of the data set."""
    runs = {}

    def finished_run(dataset):
        if dataset not in runs:
            out = str(tmp_path_factory.mktemp("runs") / dataset)
            extra = ["--vectors", prepared_corpora.write_vectors(out + "-vectors.txt")] if dataset == "AGNews" else []
            arguments = running.tiny_arguments(dataset, data(dataset), out, *extra)
            if dataset == "IMDB":
                output = running.succeed(running.script(dataset), arguments)
            else:       # faster in this process
                output = running.call_for_output(cli.main, running.load_experiment(dataset), arguments)
            runs[dataset] = running.FinishedRun(out, output, data(dataset))
        return runs[dataset]
    return finished_run


@pytest.fixture
def a_run(trained, tmp_path):
    """A copy of the finished run `trained` of a test module."""
    return shutil.copytree(trained.path, str(tmp_path / "run"))


@pytest.fixture
def refused_without_theano(without_theano):
    """Run a script that must end with status 2 before Theano is imported; return the line that states why."""
    def refused_line(experiment, name, *arguments):
        status, output, errors = running.run(running.script(experiment, name), arguments, PYTHONPATH=without_theano)
        assert (status, output) == (2, ""), output + errors
        line, = errors.splitlines()
        assert line.startswith("error: ")
        return line
    return refused_line


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder with a tiny corpus for the language model."""
    return language_modeling.write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")
