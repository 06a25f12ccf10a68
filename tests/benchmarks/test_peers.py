"""The peer programs: their protocol, and one run of each that can run here. Nothing is timed."""

import json
import os
import subprocess
from argparse import Namespace

import numpy as np
import pytest

from benchmarks import compare_with_peers
from benchmarks.peers import protocol
from benchmarks.timing import ROOT, output_of

PYTHON = os.environ.get("PEERS_PYTHON", os.path.join(ROOT, "venv-peers", "bin", "python"))
PROGRAMS = sorted({comparison.theirs for group in compare_with_peers.GROUPS.values() for comparison in group
                   if compare_with_peers.is_peer(comparison.theirs)})


def test_all_programs_of_the_comparisons_exist():
    assert {"jax_word_lm.py", "limit_imdb_step.cpp", "torch_awd_lstm.py 1725"} <= set(PROGRAMS)
    assert {os.path.isfile(os.path.join(compare_with_peers.PEERS, name.split()[0])) for name in PROGRAMS} == {True}


def test_only_steps_after_the_warm_up_are_reported():
    losses = iter([4., 3., 2., 1.])
    report = protocol.measure(lambda: next(losses), Namespace(steps=2, warm_up=2, device="cpu"), "a library")
    assert len(report.pop("step_seconds")) == 2 and report.pop("first_step_seconds") >= 0
    assert report == {"library": "a library", "device": "cpu", "first_loss": 4., "last_loss": 1.}


def test_the_cpp_program(tmp_path):
    program = str(tmp_path / "program")
    command = compare_with_peers.COMPILE_CPP + [os.path.join(compare_with_peers.PEERS, "limit_imdb_step.cpp"),
                                                "-o", program, "-lopenblas"]
    if subprocess.call(command, stderr=subprocess.DEVNULL):
        pytest.skip("OpenBLAS with its header cblas.h is not installed")
    report = compare_with_peers.read_report(output_of([program, "1"]))
    assert len(report["step_seconds"]) == 1 and np.isfinite(report["checksum"])


@pytest.mark.parametrize("name", [name for name in PROGRAMS if ".py" in name and "1725" not in name])
def test_the_loss_of_a_program_decreases(name):
    missing = compare_with_peers.why_missing(name, PYTHON, "cpu")
    if missing:
        pytest.skip(missing)
    program, arguments = name.split()[0], name.split()[1:]
    output = output_of([PYTHON, os.path.join(compare_with_peers.PEERS, program)] + arguments + ["2"])
    report = json.loads(output.strip().split("\n")[-1])
    assert len(report["step_seconds"]) == 2 and np.isfinite(report["first_loss"])
    assert report["last_loss"] < report["first_loss"]
