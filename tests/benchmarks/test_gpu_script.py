"""benchmarks/gpu.sh with a stand-in for the Python interpreter."""

import os
import subprocess
import time

import pytest

from benchmarks.timing import ROOT

PYTHON_STAND_IN = """#!/bin/sh
# Writes its arguments to a file, and creates the file that is its last argument.
echo "$*" >>"$NOTES"
case "$*" in *"$FAIL"*) exit 3 ;; esac
case "$*" in *"$SLOW"*) trap 'echo saved >>"$NOTES"; exit 130' TERM
                     echo waiting >>"$NOTES"
                     while :; do sleep 0.05; done ;; esac
for last; do :; done
case "$*" in *--write*|*--json*) echo "{}" >"$last" ;; esac
"""


@pytest.fixture
def gpu_sh(tmp_path):
    """Return a function that starts gpu.sh with a stand-in for the interpreter; its attribute `notes` is a file."""
    python, notes = tmp_path / "python", tmp_path / "notes"
    python.write_text(PYTHON_STAND_IN)
    python.chmod(0o755)

    def start(*parts, **variables):
        notes.write_text(u"")
        environment = dict(os.environ, PYTHON=str(python), PEERS_PYTHON=str(python), NOTES=str(notes),
                           RESULTS=str(tmp_path / "results"))
        environment.update(dict({"FAIL": "nothing", "SLOW": "nothing"}, **variables))
        return subprocess.Popen(["benchmarks/gpu.sh"] + list(parts), cwd=ROOT, env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    start.notes = notes
    return start


def finished(gpu_sh, *parts, **variables):
    """Return the exit status of gpu.sh, the arguments of each call of the interpreter, and the output."""
    process = gpu_sh(*parts, **variables)
    output, _ = process.communicate()
    called = gpu_sh.notes.read_text().splitlines()
    return process.returncode, [line for line in called if "benchmarks/report.py" not in line], output


def test_existing_results_are_kept(gpu_sh, tmp_path):
    two = {"NETWORKS": "IMDB:LLLCCL language_modeling:dense-1150", "JOBS": "2"}
    status, called, _ = finished(gpu_sh, "references", "steps", **two)
    assert status == 0 and len(called) == 4
    assert "benchmarks/training_step.py language_modeling dense-1150 --device cuda --steps 30 --json %s" % (
        tmp_path / "results" / "steps-language_modeling-dense-1150.json") in called
    assert finished(gpu_sh, "references", "steps", **two)[1] == []
    status, called, _ = finished(gpu_sh, "gradients", **two)
    assert status == 0 and len(called) == 2 and all("--compare" in line for line in called)


def test_after_a_failure_the_other_networks_are_measured(gpu_sh):
    status, called, output = finished(gpu_sh, "steps", NETWORKS="IMDB:LLLCCL Word_PTB:LCCL", FAIL="IMDB")
    assert status == 1 and len(called) == 2 and output.endswith("failed: steps IMDB:LLLCCL\n")
    status, called, _ = finished(gpu_sh, "steps", NETWORKS="IMDB:LLLCCL Word_PTB:LCCL")
    assert status == 0 and len(called) == 1 and " IMDB LLLCCL " in called[0]


def test_nothing_starts_after_the_limit(gpu_sh):
    status, called, output = finished(gpu_sh, "steps", "train", LIMIT="0")
    assert status == 0 and called == [] and "the limit of 0 s is reached" in output


def test_without_an_interpreter_for_the_peers(gpu_sh):
    status, called, output = finished(gpu_sh, "peers", NETWORKS="AGNews:LLLCCL Word_PTB:LCCL", PEERS_PYTHON="nowhere")
    assert status == 0 and called == [] and "left out: the peers of Word_PTB: nowhere does not exist" in output


def test_peers_are_measured_once_for_all_networks_of_a_group(gpu_sh):
    networks = "AGNews:LLLCCL language_modeling:dense-1150 language_modeling:sparse-1725"
    status, called, _ = finished(gpu_sh, "peers", NETWORKS=networks)
    assert status == 0 and len(called) == 1
    assert called[0].startswith("benchmarks/compare_with_peers.py language_modeling --device cuda ")


def test_an_unknown_part_is_an_error(gpu_sh):
    status, called, output = finished(gpu_sh, "step")
    assert status == 2 and called == [] and output.startswith("error: unknown part 'step'; known: check gradients")


def test_training(gpu_sh):
    status, called, _ = finished(gpu_sh, "train", TRAIN="IMDB:LLLCCL", IMDB_EPOCHS="3", IMDB_OPTIONS="--seed 1")
    assert status == 0 and len(called) == 2
    assert called[1].startswith("benchmarks/published_curves.py Experiments/IMDB/Results/LLLCCL-gpu ")
    assert called[0].startswith("Experiments/IMDB/main.py LLLCCL --device cuda "
                                "--out Experiments/IMDB/Results/LLLCCL-gpu --epochs 3 --seed 1")


@pytest.mark.parametrize("part, slow", [("steps", "training_step"), ("train", "main.py")])
def test_after_sigterm_the_script_waits_until_the_program_has_saved_once(gpu_sh, part, slow):
    process = gpu_sh(part, NETWORKS="IMDB:LLLCCL", TRAIN="Word_PTB:LCCL", SLOW=slow)
    while "waiting" not in gpu_sh.notes.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    process.communicate()
    assert process.returncode == 130
    assert gpu_sh.notes.read_text().splitlines()[1:] == ["waiting", "saved"]


def test_training_stops_before_the_limit(gpu_sh):
    status, called, _ = finished(gpu_sh, "train", TRAIN="Word_PTB:LCCL", SLOW="main.py", LIMIT="33")
    assert status == 0 and called[1:3] == ["waiting", "saved"]
    assert called[3].startswith("benchmarks/published_curves.py Experiments/Word_PTB/Results/LCCL-gpu ")
