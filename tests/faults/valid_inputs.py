"""Valid inputs of all kinds: tiny data, finished runs, compiled tasks; created when they are first needed."""

import contextlib
import functools
import hashlib
import importlib
import io
import json
import os
import shutil
from unittest import mock

from theano_rnn.npz_store import load_arrays

import numpy as np
from helpers import language_modeling, prepared_corpora, raw_corpora, running

from Experiments.shared import cli, train_and_evaluate
from Experiments.shared.data.prepare import find_data_set
from Experiments.shared.data.prepare import main as prepare_main
from Experiments.shared.tasks import build_task

from . import verdicts

__all__ = ["World", "PROGRAMS", "digest_of_folder"]

#: Settings of the tiny runs of the five programs: short epochs, several evaluations and checkpoints.
PROGRAMS = {
    "IMDB": dict(running.SETTINGS["IMDB"], epochs=8, evaluate_every=2, save_every=5, checkpoint_minutes=1e-6),
    "Char_PTB": dict(running.SETTINGS["Char_PTB"], epochs=3, checkpoint_minutes=1e-6),
    "Word_PTB": dict(running.SETTINGS["Word_PTB"], epochs=6, evaluate_every=2, save_every=4, checkpoint_minutes=1e-6),
    "language_modeling": dict(language_modeling.SIZES, epochs=4, **language_modeling.TRAINING),
    "sequence_labeling": dict(emsize=8, emb_blocks=4, emb_density=0.5, nhid=5, batch_size=2, lr=0.02, epochs=6,
                              dropouti=0.1),
}


def digest_of_folder(folder):
    """Return one digest of the names and contents of the files in a folder."""
    digest = hashlib.sha256()
    for name, content in running.folder_bytes(folder).items():
        digest.update(("%s %d\n" % (name, len(content))).encode("utf-8") + content)
    return digest.hexdigest()


class World(object):
    """Valid inputs, in a folder.

    Parameters
    ----------
    folder : str
    data, finished : callable, optional
        Functions of the name of a data set: the folder of its prepared data, and a finished run of it. Created in the
        folder if omitted.
    programs : sequence of str
        The programs that are tried.
    """

    def __init__(self, folder, data=None, finished=None, programs=tuple(PROGRAMS)):
        self.folder, self.programs = folder, programs
        self._data, self._finished, self._tasks = data, finished, {}
        # Every case is a fork of this process, which keeps what these return.
        self.data, self.run = functools.lru_cache(None)(self._make_data), functools.lru_cache(None)(self._make_run)
        self.raw, self.contents = functools.lru_cache(None)(self._make_raw), functools.lru_cache(None)(load_arrays)
        self.prepared_digest = functools.lru_cache(None)(self._prepare_valid)

    def _path(self, *names):
        path = os.path.join(self.folder, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def _make_data(self, program):
        """Return the folder of the prepared data of a program."""
        if self._data is not None and program in running.DATASETS:
            return self._data(program)
        path = self._path("data", program)
        if program == "language_modeling":
            return language_modeling.write_corpus(path)
        if program == "sequence_labeling":
            return raw_corpora.write_tagged(path, train=raw_corpora.TAGGED_FILES["wsj_train.conll"] * 12)
        prepared_corpora.prepare(program, path)
        return path

    def experiment(self, program):
        """Return the `Experiment` of a program."""
        return _experiment(program)

    def arguments(self, program, out, *extra, **changed):
        """Return the arguments of the tiny run of a program."""
        settings = dict(PROGRAMS[program], **changed)
        if program in running.CONFIGS:
            return running.tiny_arguments(program, self.data(program), out, *extra, **settings)
        return running.options(data=self.data(program), save=out, **settings) + list(extra)

    def main(self, program, arguments):
        """Run ``main.py`` of a program in this process, with the compiled functions of its tiny network."""
        with mock.patch.object(train_and_evaluate, "build_task", self.task), \
                mock.patch.object(train_and_evaluate, "plot_run", _plot_quickly):
            cli.main(self.experiment(program), [str(argument) for argument in arguments])

    def task(self, experiment, settings, data):
        """Return the compiled task of this process if the settings are those of the tiny run, else a new one."""
        return self._tasks.get(_key(experiment, settings)) or build_task(experiment, settings, data)

    def compile(self, program):
        """Compile the functions of the tiny network of a program in this process, which must not train."""
        experiment, changed = self.experiment(program), dict(PROGRAMS[program])
        if program in running.CONFIGS:
            settings = running.tiny_settings(program, self.data(program), **changed)
        else:
            settings = experiment.make_settings(data=self.data(program), **changed)
        if _key(experiment, settings) in self._tasks:
            return
        train_and_evaluate.configure_theano()
        task = build_task(experiment, settings, experiment.load_data(settings))
        self._tasks[_key(experiment, settings)] = task
        task.compile()
        task._function("evaluation")

    def _make_run(self, program):
        """Return the folder of a finished run, which nothing interrupted."""
        if self._finished is not None and program in running.DATASETS:
            return self._finished(program).path
        path = self._path("runs", program)
        self.compile(program)
        ending = verdicts.in_child(lambda: self.main(program, self.arguments(program, path)), self.folder, 600, None)
        if ending.status != 0:
            raise RuntimeError("the tiny run of %s failed: %s" % (program, ending.errors))
        return path

    def copied_run(self, program, folder, without=()):
        """Copy a finished run to a folder; return its path."""
        path = os.path.join(folder, "run")
        shutil.copytree(self.run(program), path, ignore=lambda _, names: set(names) & set(without))
        return path

    # -- raw corpora -------------------------------------------------------------------------------------------------

    def _make_raw(self, experiment):
        """Return the raw files of a data set: dict of name to bytes."""
        texts = {"IMDB": {"aclImdb/" + name: text for name, text in raw_corpora.imdb_texts().items()},
                 "AGNews": {"train.csv": raw_corpora.agnews_csv(), "test.csv": raw_corpora.agnews_csv(repeat=1)},
                 "Word_PTB": raw_corpora.ptb_files(), "Char_PTB": raw_corpora.ptb_files(),
                 "language_modeling": {part + ".txt": text for part, text in raw_corpora.PTB_TEXTS.items()},
                 "sequence_labeling": raw_corpora.TAGGED_FILES}[experiment]
        return {name: text.encode("utf-8") for name, text in texts.items()}

    def prepare(self, experiment, source, folder, *extra):
        """Run ``prepare_data.py`` of an experiment in this process; return the digest of what it writes."""
        out = os.path.join(folder, "prepared")
        arguments = ["--source", source, "--data-dir", out, "--no-checksum"] + list(extra)
        if experiment in ("IMDB", "AGNews"):
            arguments += ["--vectors", "none"]
        with contextlib.redirect_stdout(io.StringIO()):
            if experiment == "language_modeling":
                _language_modeling_prepare(["penn"] + arguments)
                out = os.path.join(out, "penn")
            else:
                prepare_main(find_data_set(experiment), arguments)
        return digest_of_folder(out)

    def _prepare_valid(self, experiment):
        """Return the result of `prepare` for the valid raw files."""
        folder = self._path("prepared", experiment, "x")[:-1]
        source = os.path.join(folder, "raw")
        write_files(source, self.raw(experiment))
        return self.prepare(experiment, source, folder)


def write_files(folder, files):
    """Write files: dict of name to bytes."""
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, content)
    return folder


def write(path, content):
    with open(path, "wb") as stream:
        stream.write(content)
    return path


def digest_of_data(data):
    """Return a digest of the data that `Experiment.load_data` returns."""
    digest = hashlib.sha256()

    def add(value):
        if isinstance(value, np.ndarray):
            digest.update(value.tobytes())
        elif isinstance(value, tuple):
            for part in value:
                add(part)
        else:
            digest.update(repr(list(value) if hasattr(value, "__iter__") else value).encode("utf-8", "replace"))
    add(data)
    return digest.hexdigest()


def _plot_quickly(rows, figures, folder):
    """Write files in the place of the plots, which take longer than the training of a tiny network."""
    for name, _, columns, _ in figures:
        write(os.path.join(folder, name + ".png"), repr([[row[column] for column in columns] for row in rows]).encode())


def _key(experiment, settings):
    """Return what determines the compiled functions of a tiny run."""
    values = {name: value for name, value in settings.to_dict().items() if name not in experiment.free}
    return experiment.name, experiment.entry, json.dumps(values, sort_keys=True)


@functools.lru_cache(None)
def _experiment(program):
    return running.load_experiment(program)


def _language_modeling_prepare(arguments):
    importlib.import_module("Experiments.language_modeling.prepare_data").main(arguments)
