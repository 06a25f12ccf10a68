"""Runs as jobs: on this machine with a quick program instead of training; Slurm itself is tested by tests/slurm."""

import os
import re
import signal
import sys

from theano_rnn.errors import ReportedError

import pytest
from helpers import running

if sys.version_info < (3, 8):
    pytest.skip("submitit needs CPython 3.8", allow_module_level=True)

from Experiments.shared.reproduction import cluster
from Experiments.shared.reproduction.runs import FINISHED, MISSING, UNFINISHED, Run, state

PROGRAM = os.path.relpath(os.path.join(os.path.dirname(__file__), "train_quickly.py"),
                          os.path.join(running.ROOT, "Experiments"))


def make_run(name, *arguments, epochs=4):
    return Run(PROGRAM, tuple(str(argument) for argument in arguments), "quick/%s" % name, epochs)


def states(runs, root):
    return [state(run, str(root)).name for run in runs]


def epochs_in_log(run, root):
    return [int(epoch) for epoch in re.findall(r"^Epoch (\d+)", log_of(run, root), re.M)]


def log_of(run, root):
    return running.read_text(os.path.join(str(root), run.folder, "log.txt"))


def environment_of(run, root):
    return running.config_of(os.path.join(str(root), run.folder))["environment"]


# -- on this machine ---------------------------------------------------------------------------------------------------

def test_two_jobs_at_a_time_and_failures_are_reported(tmp_path, capsys, monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    good = [make_run("a", "--together", 2), make_run("b", "--together", 2)]
    bad, later = make_run("c", "--fail"), make_run("c/finetune")
    failures = cluster.run_all([good[0], later, bad, good[1]], str(tmp_path), max_jobs=2, cpus=3)

    assert states(good, tmp_path) == [FINISHED, FINISHED]
    failure, dependent = failures
    assert (failure.run, failure.status) == (bad, 2)
    assert failure.reason == "failed with exit status 2 (error: the loss is not finite)"
    assert "error: the loss is not finite\n" in running.read_text(failure.log)
    assert (dependent.run, dependent.status) == (later, None)
    assert dependent.reason == "not started, because quick/c failed"
    assert states([later, bad], tmp_path) == [MISSING, UNFINISHED]
    output = capsys.readouterr().out
    assert output.startswith("3 jobs; logs: %s\n" % (tmp_path / "jobs"))
    assert "\nquick/a: finished\n" in output
    assert "\nquick/c: failed with exit status 2 (error: the loss is not finite); log: %s\n" % failure.log in output

    # Two processes wait for each other; the third one starts later.
    at_once = most = 0
    for line in running.read_text(tmp_path / "quick" / "processes.txt").splitlines():
        at_once += 1 if line.startswith("start") else -1
        most = max(most, at_once)
    assert (at_once, most) == (0, 2)

    variables = environment_of(good[0], tmp_path)
    assert variables["OMP_NUM_THREADS"] == variables["OPENBLAS_NUM_THREADS"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in variables          # submitit would hide the GPUs
    assert variables.get("THEANO_FLAGS") == os.environ.get("THEANO_FLAGS")

    assert cluster.run_all(good, str(tmp_path)) == [] and capsys.readouterr().out == ""
    assert epochs_in_log(good[0], tmp_path) == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_signal_to_all_processes_of_a_job_saves_the_run(number, tmp_path):
    run = make_run("a", "--signal", int(number), "both", 3, epochs=5)
    failures = cluster.run_all([run], str(tmp_path))
    assert "Stopped\n" in log_of(run, tmp_path)
    if number == signal.SIGUSR2:                            # requeued
        assert not failures
        assert "Resumed at epoch 4, minibatch 0\n" in log_of(run, tmp_path)
        assert epochs_in_log(run, tmp_path) == [1, 2, 3, 4, 5]
    else:
        failure, = failures
        assert re.match(r"job \d+ ended without a result: it was cancelled or killed$", failure.reason)
        assert epochs_in_log(run, tmp_path) == [1, 2, 3]
        assert cluster.run_all([run], str(tmp_path)) == []
        assert epochs_in_log(run, tmp_path) == [1, 2, 3, 4, 5]


def test_an_interrupt_saves_the_runs_and_starts_no_others(tmp_path, capsys):
    runs = [make_run("a", "--signal", int(signal.SIGTERM), os.getpid(), 2), make_run("b")]
    with pytest.raises(KeyboardInterrupt):
        cluster.run_all(runs, str(tmp_path))
    assert "stopping; the runs are saved first ..." in capsys.readouterr().err
    assert states(runs, tmp_path) == [UNFINISHED, MISSING]
    assert epochs_in_log(runs[0], tmp_path) == [1, 2] and log_of(runs[0], tmp_path).endswith("Stopped\n")


# -- Slurm, with programs that replace its own -------------------------------------------------------------------------

@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Programs named as those of Slurm; a function that writes one of them."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def write(name, *lines):
        (folder / name).write_text("\n".join(("#!/bin/sh",) + lines) + "\n")
        (folder / name).chmod(0o755)
    for name in ("sbatch", "srun", "squeue", "scontrol"):
        write(name)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % folder)
    for name in ("REQUESTS", "ABSENCE"):
        monkeypatch.setattr(cluster, name, 0)
    return write


def test_submission_to_slurm(slurm, tmp_path, monkeypatch, capsys):
    slurm("sbatch", "cp \"$1\" %s/submitted.sh" % tmp_path, "env >%s/environment" % tmp_path,
          "echo Submitted batch job 17")
    monkeypatch.setenv("SLURM_JOB_ID", "3")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    monkeypatch.setenv("SLURM_CONF", "/etc/our.conf")
    monkeypatch.setenv("SBATCH_ACCOUNT", "lab")
    runs = [make_run("a"), make_run("b")]
    failures = cluster.run_all(runs, str(tmp_path / "runs"), "slurm", max_jobs=1, cpus=4, minutes=90,
                               sbatch=["--partition=gpu", "gres=gpu:1", "exclusive"])
    script = running.read_text(tmp_path / "submitted.sh")
    for option in ("array=0-1%1", "cpus-per-task=4", "time=90", "signal=USR2@120", "requeue", "partition=gpu",
                   "gres=gpu:1", "exclusive", "job-name=reproduce", "open-mode=append"):
        assert "#SBATCH --%s\n" % option in script.replace("'", "")
    assert "--cpus-per-task=4" in script[script.index("\nsrun "):]
    variables = running.read_text(tmp_path / "environment")
    assert "SLURM_CONF=/etc/our.conf\n" in variables and "SBATCH_ACCOUNT=lab\n" in variables
    assert "SLURM_MEM_PER_NODE" not in variables and "SLURM_JOB_ID" not in variables
    assert "PYTHONPATH=%s" % running.ROOT in variables
    # The queue is empty, and there are no results.
    assert [(failure.run, failure.status) for failure in failures] == [(run, None) for run in runs]
    assert failures[1].reason == "job 17_1 ended without a result: it was cancelled or killed"
    assert failures[1].log == str(tmp_path / "runs" / "jobs" / "17_1_0_log.err")
    assert "quick/b: job 17_1, log 17_1_0_log.out\n" in capsys.readouterr().out


def test_jobs_in_the_queue_are_not_submitted_again(slurm, tmp_path, capsys):
    """The second call waits for the job of the first one, until a signal; the job belongs to this process's queue."""
    slurm("sbatch", "echo Submitted batch job 17")
    run, other = make_run("a"), make_run("b")
    cluster.run_all([run], str(tmp_path / "runs"), "slurm")
    slurm("squeue", "echo 16", "echo 17")
    slurm("sbatch", "echo Submitted batch job 18", "kill -TERM %d" % os.getpid())
    capsys.readouterr()
    with pytest.raises(KeyboardInterrupt):
        cluster.run_all([run, other], str(tmp_path / "runs"), "slurm")
    output, errors = capsys.readouterr()
    assert "quick/a: job 17 is in the queue already\n" in output
    assert "quick/a: job 18" not in output and "quick/b: job 18" in output
    assert "stopping to wait; the jobs continue" in errors


@pytest.mark.parametrize("at, requeued", [("RUNNING", True), ("CANCELLED", False)])
def test_only_a_preempted_job_requeues_itself_after_sigterm(at, requeued, slurm, tmp_path, monkeypatch):
    slurm("squeue", "echo %s" % at)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    calls = []
    job = cluster.TrainingJob([], str(tmp_path), 1)
    before = signal.signal(signal.SIGUSR2, lambda *arguments: calls.append(arguments)), signal.getsignal(signal.SIGTERM)
    try:
        assert job() is None
        with pytest.raises(SystemExit) as caught:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
    finally:
        signal.signal(signal.SIGUSR2, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert caught.value.code == 130 and len(calls) == requeued


def test_each_node_has_its_own_compile_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("THEANO_FLAGS", "base_compiledir=/mine")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(cluster.socket, "gethostname", lambda: "node12")
    variables = cluster.TrainingJob([], str(tmp_path), 1)._environment()
    # Theano uses the last value.
    assert variables["THEANO_FLAGS"] == "base_compiledir=%s/.theano/nodes/node12,base_compiledir=/mine" \
        % os.path.expanduser("~")
    assert (variables["OMP_NUM_THREADS"], variables["OPENBLAS_NUM_THREADS"]) == ("7", "1")


@pytest.mark.parametrize("message, options", [
    ("executor must be one of local, slurm, got 'pbs'", dict(executor="pbs")),
    ("max_jobs must be a positive integer, got 0", dict(max_jobs=0)),
    ("--sbatch is only for --executor slurm, got partition=gpu", dict(sbatch=["partition=gpu"])),
    ("--sbatch time=5: use --minutes", dict(executor="slurm", sbatch=["time=5"])),
    ("--sbatch --cpus_per_task=5: use --cpus", dict(executor="slurm", sbatch=["--cpus_per_task=5"])),
    ("--sbatch signal=TERM: expected another option of sbatch", dict(executor="slurm", sbatch=["signal=TERM"])),
    ("Slurm refused the jobs: sbatch: error: invalid partition", dict(executor="slurm", sbatch=["partition=x"])),
])
def test_wrong_options(message, options, slurm, tmp_path):
    slurm("sbatch", "echo sbatch: error: invalid partition >&2", "exit 1")
    with pytest.raises(ReportedError) as caught:
        cluster.run_all([make_run("a")], str(tmp_path / "runs"), **options)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_no_slurm(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReportedError, match="--executor slurm needs sbatch, which is not on PATH"):
        cluster.run_all([make_run("a")], str(tmp_path), "slurm")
