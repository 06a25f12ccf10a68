"""One process at a time writes a folder: runs, prepared data, compressed models."""

import fcntl
import json
import os
import re
import signal
import time

from theano_rnn import folder_lock as module
from theano_rnn.errors import ReportedError
from theano_rnn.folder_lock import folder_lock, refuse_locked

import pytest
from helpers import raw_corpora, running

from Experiments.shared.data.demo import prepare_demo
from Experiments.shared.data.prepare import preparation_lock
from Experiments.shared.run_folder import RunFolder
from Experiments.shared.train_and_evaluate import train_and_evaluate

OWNER = r"in use by process %d on \S+, started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; wait until it ends"


@pytest.fixture
def refused(refused_without_theano):
    """Run a script, which must refuse a folder that this process has locked."""
    def check(*arguments):
        line = refused_without_theano(*arguments)
        assert re.search(OWNER % os.getpid(), line), line
        return line
    return check


@pytest.fixture
def elsewhere():
    """A function that starts a process which locks a file, waits until it is locked, and returns the process."""
    processes = []

    def lock(path):
        processes.append(running.start_python(
            "import sys, time\nfrom theano_rnn.folder_lock import folder_lock\n"
            "with folder_lock(%r, 'x', 'wait'):\n    print('locked', flush=True)\n    time.sleep(60)" % path))
        assert processes[-1].stdout.readline() == b"locked\n"
        return processes[-1]
    yield lock
    for process in processes:
        process.kill()
        process.communicate()


def test_the_lock_of_a_killed_process_ends(tmp_path, elsewhere):
    path = str(tmp_path / "lock")
    process = elsewhere(path)
    for refuse in (lambda: refuse_locked(path, "run", "wait until it ends"),
                   lambda: folder_lock(path, "run", "wait until it ends").__enter__()):
        with pytest.raises(ReportedError, match="^run is " + OWNER % process.pid):
            refuse()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert os.path.exists(path)
    refuse_locked(path, "run", "wait")
    with folder_lock(path, "run", "wait"):
        assert "process %d " % os.getpid() in running.read_text(path)
    assert os.listdir(str(tmp_path)) == []


def test_two_processes_that_look_at_the_lock_of_a_killed_one_do_not_refuse_each_other(tmp_path):
    path = tmp_path / "lock"
    path.write_text(u"process 1 on elsewhere, started 2026-01-01 00:00:00")
    with open(str(path), "r+") as other:
        fcntl.flock(other, fcntl.LOCK_SH)           # as `refuse_locked` in the other process
        refuse_locked(str(path), "run", "wait")
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ReportedError, match="in use by process 1 on elsewhere"):
            refuse_locked(str(path), "run", "wait")


def test_waiting_for_a_lock(tmp_path, elsewhere):
    path = str(tmp_path / "lock")
    process = elsewhere(path)
    process.send_signal(signal.SIGKILL)         # while this process waits, or before
    began = time.time()
    with folder_lock(path, "run", "wait", wait=True):
        assert time.time() - began < 10


def test_a_process_that_waits_says_so_once(tmp_path, elsewhere, monkeypatch):
    path, said = str(tmp_path / "lock"), []
    process = elsewhere(path)
    monkeypatch.setattr(module, "SILENCE", 0)

    def say():
        said.append("waiting")
        process.kill()
    with folder_lock(path, "cache", "wait", wait=True, say_waiting=say):
        assert said == ["waiting"]
    with folder_lock(path, "cache", "wait", wait=True, say_waiting=say):
        assert said == ["waiting"]


def test_a_file_system_without_locks_is_reported_once(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise OSError(module.errno.ENOLCK, "No locks available")
    monkeypatch.setattr(module.fcntl, "flock", fail)
    monkeypatch.setattr(module, "_warnings", set())
    for _ in range(2):
        with folder_lock(str(tmp_path / "lock"), "run", "wait"):
            pass
    assert capsys.readouterr().err == ("warning: this file system has no locks (No locks available); do not start two "
                                       "processes in one folder\n")


def test_a_lock_that_cannot_be_written(tmp_path):
    with pytest.raises(ReportedError, match="^cannot lock run .No such file"):
        with folder_lock(str(tmp_path / "none" / "lock"), "run", "wait"):
            pass


def test_a_second_start_in_the_folder_of_a_run(data, tmp_path, refused):
    run, path = RunFolder(str(tmp_path / "run")), str(tmp_path / "run")
    arguments = running.tiny_arguments("IMDB", data("IMDB"), path)
    run.make()
    with run.locked():
        assert refused("IMDB", "main.py", *arguments).endswith("or choose another folder with --out")
        (tmp_path / "run" / "config.json").write_text(u"{}")
        refused("IMDB", "main.py", *arguments)
        refused("IMDB", "main.py", *(arguments + ["--resume"]))
        for extra in ([], ["--continue_train"]):
            line = refused("sequence_labeling", "main.py", "--save", path, *extra)
            assert line.endswith("or choose another folder with --save")
    assert sorted(os.listdir(path)) == ["config.json"]


def test_a_run_that_began_meanwhile_is_not_overwritten(data, tmp_path, monkeypatch):
    run = RunFolder(str(tmp_path / "run"))

    def make_and_lose(run, out):
        os.makedirs(run.path)
        run.start({"of": "the other process"}, [])
    monkeypatch.setattr(RunFolder, "make", make_and_lose)
    with pytest.raises(ReportedError, match="already holds a run"):
        train_and_evaluate(running.tiny_settings("IMDB", data("IMDB")), run.path)
    assert run.read_config()["of"] == "the other process"


def test_run_compressed_refuses_a_run_that_is_trained(tmp_path, refused):
    run = RunFolder(str(tmp_path))
    settings = running.load_experiment("IMDB").make_settings(config="LLLCCL", vectors="none")
    (tmp_path / "config.json").write_text(json.dumps(settings.to_config()))
    with run.locked():
        refused("IMDB", "run_compressed.py", run.path)


def test_prepared_data(tmp_path):
    source, folder = raw_corpora.write_tree(tmp_path / "raw", raw_corpora.ptb_files()), str(tmp_path / "prepared")
    with preparation_lock(folder):
        status, output, errors = running.run(running.script("Word_PTB", "prepare_data.py"),
                                             ["--source", source, "--data-dir", folder])
        assert (status, output) == (2, "") and re.search(OWNER % os.getpid(), errors), errors
    parent = str(tmp_path / "corpora")
    with preparation_lock(os.path.join(parent, "penn")):
        status, output, errors = running.run(running.script("language_modeling", "prepare_data.py"),
                                             ["penn", "--source", source, "--data-dir", parent])
        assert (status, output) == (2, "") and re.search(OWNER % os.getpid(), errors), errors
    assert os.listdir(str(tmp_path)) == ["raw"]


def test_a_demonstration_waits_for_the_data_that_another_one_writes(tmp_path, monkeypatch):
    folder = str(tmp_path / "demo")
    with preparation_lock(folder):
        process = running.start_python(
            "from Experiments.shared.data.demo import prepare_demo\nprepare_demo('Word_PTB', %r)" % folder)
        time.sleep(1)
        assert process.poll() is None and not os.path.exists(folder)
    assert running.wait(process)[0] == 0
    before = running.folder_bytes(folder)
    prepare_demo("Word_PTB", folder)
    assert running.folder_bytes(folder) == before
