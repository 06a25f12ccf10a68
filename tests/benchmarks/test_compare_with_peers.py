"""Comparison with the peer programs, without measuring."""

import sys
from argparse import Namespace

from theano_rnn.errors import ReportedError

import pytest

from benchmarks import compare_with_peers
from benchmarks.results_file import Results


def test_the_report_is_read_from_the_last_line():
    output = 'a warning\n{"library": "torch 2.13.0", "device": "cpu", "step_seconds": [1.5, 1.25]}\n'
    report = compare_with_peers.read_report(output)
    assert report["step_seconds"] == [1.5, 1.25] and report["library"] == "torch 2.13.0"


@pytest.mark.parametrize("output", ["Segmentation fault\n", "", "{}", '{"step_seconds": []}', "[1]"])
def test_output_without_a_report_is_an_error(output):
    with pytest.raises(ReportedError, match="the last line of a peer's output must be a report in JSON, got"):
        compare_with_peers.read_report(output)


def test_a_peer_program_gets_the_number_of_steps_and_its_environment():
    program = "import os, sys; print('{\"step_seconds\": [%s, %s]}' % (sys.argv[1], os.environ['SECONDS_VALUE']))"
    peer = compare_with_peers.PeerProgram([sys.executable, "-c", program], {"SECONDS_VALUE": "0.5"})
    assert peer(3) == [3, 0.5] and peer.report == {"step_seconds": [3, 0.5]}


def test_without_peers_the_rows_are_left_out_with_a_line(tmp_path, capsys):
    results = Results()
    arguments = Namespace(peers_python=str(tmp_path / "python"), rounds=1, steps=1, device="cpu")
    compare_with_peers.measure("Word_PTB", arguments, results)
    lines = capsys.readouterr().out.splitlines()
    assert not results.parts
    assert lines == ["left out: Word_PTB LCCL %s does not exist" % against for against in (
        "uniform against torch_word_lm.py: %s" % arguments.peers_python,
        "zipf against torch_word_lm.py: %s" % arguments.peers_python,
        "uniform against torch_word_lm.py --nn-lstm: %s" % arguments.peers_python,
        "uniform against jax_word_lm.py: %s" % arguments.peers_python)]


def test_without_the_interpreter_a_program_in_cpp_is_still_measured(tmp_path):
    python = str(tmp_path / "python")
    assert compare_with_peers.why_missing("torch_sparse_vd.py LLLCCL", python, "cpu") == python + " does not exist"
    assert compare_with_peers.why_missing("limit_imdb_step.cpp", python, "cpu") is None
    assert compare_with_peers.why_missing("limit_imdb_step.cpp", python, "cuda") == "it runs on the CPU only"
    assert compare_with_peers.why_missing("IMDB LLLCCL uniform", python, "cpu") is None


def test_a_library_that_is_not_installed_is_named():
    # This environment has NumPy and no library "nolibrary".
    assert compare_with_peers.why_missing("numpy_program.py", sys.executable, "cpu") is None
    assert compare_with_peers.why_missing("nolibrary_program.py", sys.executable, "cpu") == (
        sys.executable + " has no package nolibrary")


def test_an_unknown_group_is_an_error():
    with pytest.raises(ReportedError, match="unknown group MNIST; known: IMDB, Word_PTB, language_modeling"):
        compare_with_peers.run(Namespace(groups=["MNIST"]))
