"""Every training step compiled for NVIDIA's GPUs: by the real NVRTC and ptxas, with a stand-in for the driver."""

import glob
import os
import sys

import pytest
from run_scripts import HERE, compile_library, run_script, train
from train import NETWORKS

BACKEND = os.path.join(sys.prefix, "cuda")
PTXAS = os.path.join(BACKEND, "ptxas", "nvidia", "cuda_nvcc", "bin", "ptxas")


def has_ptxas():
    """Return whether the back-end is that of CUDA 12, which the stand-ins imitate, and has ptxas."""
    stamp = os.path.join(BACKEND, ".ptxas")
    if not os.path.exists(stamp):
        return False
    with open(stamp) as stream:
        return stream.readline().startswith("CUDA 12 ")


pytestmark = [pytest.mark.cuda, pytest.mark.skipif(
    not has_ptxas(), reason="the CUDA 12 back-end is not installed with ptxas: ./setup_env.sh --cuda 12 --ptxas")]

#: By network: what a training step brings to the GPU. Tokens found: which the minibatch has, and where each stands
#: among them; adam.step and the dropout positions are numbers that the host counts.
TO_GPU = {
    "IMDB": ["mask", "targets", "host result", "adam.step"],
    "AGNews": ["mask", "targets", "host result", "adam.step"],
    "Char_PTB": ["targets", "host result", "adam.step"],
    "Word_PTB": ["targets", "host result", "adam.step"],
    "awd-direct": ["targets", "tokens", "learning_rate", "dropout position"],
    "awd-sparse": ["targets", "tokens", "learning_rate", "dropout position"],
    "tagger": ["mask", "tags", "tokens", "adam.step", "dropout position"],
}
#: Fetched results: the loss, the norm of the gradient and, with Adam, the number of the next step; the squared norms
#: of all gradients, which show which one is not finite.
SCALAR, VECTOR = ["HostFromGpu -> TensorType(float32, %s)" % kind for kind in ("scalar", "vector")]


#: Kernels of `theano_rnn.ops.variational_adam`, which process the parameters of all layers.
VARIATIONAL = ["variational_norms", "variational_sums", "variational_adam"]


def read_launches(path):
    """Return the number of launches of each kernel: dict of str to int."""
    with open(str(path)) as stream:
        return dict((name, int(count)) for name, count in map(str.split, stream) if not name.startswith("cu"))


@pytest.fixture(scope="session")
def standins(tmp_path_factory):
    """Stand-ins for the driver and cuBLAS, with the names of the real libraries."""
    folder = tmp_path_factory.mktemp("standins")
    return [compile_library(folder, name, os.path.join(HERE, source)) for name, source in (
        ("libcuda.so.1", "standin_driver.cpp"), ("libcublas.so.12", "standin_cublas.cpp"))]


@pytest.fixture(scope="session", params=["80", "90"])
def gpu(request, tmp_path_factory):
    """A compute capability, and the folder of its kernels, most of which all networks share."""
    return request.param, str(tmp_path_factory.mktemp("sm_" + request.param))


@pytest.mark.parametrize("network", list(NETWORKS))
def test_every_kernel_compiles_and_the_step_stays_on_the_gpu(network, gpu, standins, tmp_path):
    capability, kernels = gpu
    launches = tmp_path / "launches"
    # The stand-in's kernels do not run; a separate cache keeps them from other programs.
    _, seen = train(network, tmp_path, "cuda0", standins, steps=1,
                    flags="gpuarray.cache_path=" + os.path.join(kernels, "cache"), STANDIN_CAPABILITY=capability,
                    STANDIN_PTXAS=PTXAS, STANDIN_FOLDER=kernels, STANDIN_LAUNCHES=str(launches))
    assert not glob.glob(os.path.join(kernels, "*.failed"))
    assert len(glob.glob(os.path.join(kernels, "sm_%s_*.ok" % capability))) > 100
    assert seen["on_host"] == seen["row_by_row"] == seen["double"] == []
    assert seen["recurrence"] == ["GpuLSTMRecurrence", "GpuLSTMRecurrenceGradient"]
    # The host knows the lengths of arrays on the GPU, and kernels may need them.
    brought = set(name.rstrip("0123456789 ") for name in seen["to_gpu"]) - {"lengths"}
    assert brought == set(TO_GPU[network])
    bayesian = network in ("IMDB", "AGNews", "Char_PTB", "Word_PTB")
    assert seen["adam"] == ["1 groups by rows, in place"] * bayesian
    assert [read_launches(launches).get(kernel, 0) for kernel in VARIATIONAL] == [int(bayesian)] * 3
    assert seen["from_gpu"] == [SCALAR] * (3 if "adam.step" in TO_GPU[network] else 2) + [VECTOR]


def test_one_kernel_computes_all_time_steps_of_a_small_lstm(standins, tmp_path):
    def launches(units, steps):
        path = tmp_path / "launches"
        run_script("launches.py", [units, steps] + standins, "cuda0", STANDIN_LAUNCHES=str(path))
        return sum(read_launches(path).values())
    assert launches(128, 9) == launches(128, 2)
    assert launches(129, 9) == launches(129, 2) + 2 * 7         # the products are calls of cuBLAS
