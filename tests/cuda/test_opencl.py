"""Training on Theano's GPU back-end against the CPU: with PoCL, which runs OpenCL on the processor."""

import os
import subprocess
import sys

from theano_rnn.runtime.configuration import EXCLUDED

import numpy as np
import pytest
from helpers import prepared_corpora, running
from run_scripts import compile_library, run_script, train
from train import NETWORKS

# libgpuarray's OpenCL cannot run these two: the scan's inner function, and Theano's fused cross-entropy.
FLAGS = "optimizer_excluding=" + ":".join([
    EXCLUDED, "local_gpua_scan_to_gpua", "local_gpua_crossentropysoftmaxargmax1hotwithbias"])
STEPS = 3


def has_pocl():
    """Return whether PoCL and clBLAST can be loaded. A separate process loads them, because they stay loaded."""
    code = "import ctypes; [ctypes.CDLL(name) for name in ('libOpenCL.so.1', 'libclblast.so.1')]"
    return (os.path.exists("/etc/OpenCL/vendors/pocl.icd")
            and subprocess.call([sys.executable, "-c", code], stderr=subprocess.DEVNULL) == 0)


pytestmark = [
    pytest.mark.opencl,
    pytest.mark.skipif(not os.path.exists(os.path.join(sys.prefix, "cuda", "lib", "libgpuarray.so.3")),
                       reason="the CUDA back-end, which has libgpuarray, is not installed: ./setup_env.sh --cuda"),
    pytest.mark.skipif(not has_pocl(), reason="no PoCL here: apt-get install pocl-opencl-icd libclblast1")]


@pytest.fixture(scope="session")
def plain_names(tmp_path_factory):
    """Both libraries with names without a version, which libgpuarray opens and only development packages have."""
    folder = tmp_path_factory.mktemp("plain")
    return [compile_library(folder, name, "-x", "c++", os.devnull, "-l:%s.1" % name)
            for name in ("libOpenCL.so", "libclblast.so")]


@pytest.fixture(scope="session")
def trained(plain_names, tmp_path_factory):
    """A function that trains a network on PoCL once, and returns the folder and the results of `train`."""
    results = {}

    def train_once(network):
        if network not in results:
            folder = tmp_path_factory.mktemp(network)
            results[network] = (folder,) + train(network, folder, "opencl0:0", plain_names, STEPS, FLAGS)
        return results[network]
    return train_once


@pytest.mark.parametrize("network", list(NETWORKS))
def test_training_ends_where_the_cpu_ends(network, trained, tmp_path):
    expected, on_cpu = train(network, tmp_path, "cpu", steps=STEPS)
    _, found, on_gpu = trained(network)
    assert on_gpu["to_gpu"] and not on_cpu["to_gpu"]
    assert on_gpu["differs"] == on_cpu["differs"] == []
    assert sorted(found) == sorted(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(on_gpu["losses"], on_cpu["losses"], rtol=1e-5)


def test_another_process_continues_with_the_same_bits(trained, plain_names, tmp_path):
    folder, _, _ = trained("Word_PTB")
    found, _ = train("Word_PTB", tmp_path, "opencl0:0", plain_names, STEPS, FLAGS,
                     TRAIN_FROM=str(folder / "Word_PTB.npz"))
    with np.load(str(folder / "Word_PTB-later.npz")) as expected:
        assert sorted(found) == sorted(expected)
        for name in found:
            assert found[name].tobytes() == expected[name].tobytes(), name


def test_main_resumes_a_killed_run_and_ends_with_the_same_bits(plain_names, tmp_path):
    data, whole, killed = [str(tmp_path / name) for name in ("data", "whole", "killed")]
    prepared_corpora.prepare("Word_PTB", data)
    # Few minibatches, which are long: PoCL takes its time for launches of kernels.
    settings = dict(NETWORKS["Word_PTB"][1], length=20, streams=10, checkpoint_minutes=1e-6, evaluate_every=2)
    config = settings.pop("config")

    def run(*arguments, **environment):
        run_script("experiment.py", ("Word_PTB", ":".join(plain_names)) + arguments, "opencl0:0", FLAGS, **environment)
    run(config, "--data-dir", data, "--out", whole, "--epochs", "2", *running.set_arguments(**settings), COPY_TO=killed)
    assert running.position(os.path.join(killed, "last.npz")) == (2, 2)
    run(config, "--out", killed, "--resume")
    running.assert_same_end(killed, whole)


def test_the_recurrence_and_its_gradient_are_those_of_the_cpu(plain_names, tmp_path):
    files = [str(tmp_path / "cpu.npz"), str(tmp_path / "gpu.npz")]
    run_script("recurrence.py", files[:1], "cpu")
    run_script("recurrence.py", files[1:] + plain_names, "opencl0:0")
    with np.load(files[0]) as expected, np.load(files[1]) as found:
        assert {"GpuLSTMRecurrence", "GpuLSTMRecurrenceGradient"} <= set(found["operations"])
        assert not {"LSTMRecurrence", "LSTMRecurrenceGradient", "Scan"} & set(found["operations"])
        assert "W_hid has shape (2, 7), but (2, 8) was expected" in str(found["refusal"])
        assert sorted(found) == sorted(expected)
        for name in sorted(set(expected) - {"operations", "refusal"}):
            size = np.abs(expected[name]).max() if expected[name].size else 1
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5 * size, err_msg=name)


def test_norms_and_adam_of_all_groups_are_those_of_the_cpu(plain_names, tmp_path):
    files = [str(tmp_path / "cpu.npz"), str(tmp_path / "gpu.npz")]
    run_script("variational_adam.py", files[:1], "cpu")
    run_script("variational_adam.py", files[1:] + plain_names, "opencl0:0")
    with np.load(files[0]) as expected, np.load(files[1]) as found:
        # One operation instead of one per group.
        assert found["operations"].tolist() == ["GpuVariationalNorms", "GpuVariationalAdam"]
        assert sorted(found) == sorted(expected)
        names = sorted(set(expected) - {"operations"})
        for name in names:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
        arrays = [name[len("new: "):] for name in names if name.startswith("new: ")]
        for array in arrays:
            np.testing.assert_array_equal(found["new: " + array], found["step 0: " + array], err_msg=array)
            # If the loss is not finite, nothing changes.
            np.testing.assert_array_equal(found["step 2: " + array], found["step 1: " + array], err_msg=array)


def test_rewritten_graphs_give_the_same_results(plain_names, tmp_path):
    files = [str(tmp_path / "cpu.npz"), str(tmp_path / "gpu.npz")]
    run_script("gpu_rewrites.py", files[:1], "cpu")
    run_script("gpu_rewrites.py", files[1:] + plain_names, "opencl0:0", FLAGS)
    with np.load(files[0]) as expected, np.load(files[1]) as found:
        assert {"GpuRange", "GpuAdvancedIncSubtensor1_dev20", "GpuAddRows", "GpuStack", "GpuBoxMuller"} <= set(
            found["operations"])
        assert not {"SoftmaxGrad", "GpuJoin", "MRGNormal"} & set(found["operations"])
        assert found["refusal"] == "additions to rows: the index has an element outside [-3, 3)"
        assert found["gradient of a cross-entropy"].tolist() == [[-1, 1]]
        for name in sorted(set(expected) - {"operations", "refusal"}):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
