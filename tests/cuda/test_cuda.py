"""Every training step compiled for NVIDIA's GPUs: by the real NVRTC and ptxas, with a stand-in for the driver."""

import glob
import os
import sys

import pytest
from train import NETWORKS
from training import HERE, compile_library, train

BACKEND = os.path.join(sys.prefix, "cuda")
PTXAS = os.path.join(BACKEND, "ptxas", "nvidia", "cuda_nvcc", "bin", "ptxas")
pytestmark = [pytest.mark.cuda, pytest.mark.skipif(
    not os.path.exists(os.path.join(BACKEND, ".ptxas")),
    reason="the CUDA back-end is not installed with ptxas: ./setup_env.sh --cuda --ptxas")]


@pytest.fixture(scope="session")
def standins(tmp_path_factory):
    """The driver and cuBLAS, under the names of the real ones."""
    folder = tmp_path_factory.mktemp("standins")
    return [compile_library(folder, name, os.path.join(HERE, source)) for name, source in (
        ("libcuda.so.1", "standin_driver.cpp"), ("libcublas.so.12", "standin_cublas.cpp"))]


@pytest.fixture(scope="session")
def kernels(tmp_path_factory):
    """Where all tests keep what was assembled: networks share most kernels."""
    return str(tmp_path_factory.mktemp("kernels"))


@pytest.mark.parametrize("capability", ["80", "90"])
@pytest.mark.parametrize("network", list(NETWORKS))
def test_every_kernel_compiles_and_the_step_stays_on_the_gpu(network, capability, standins, kernels, tmp_path):
    _, seen = train(network, tmp_path, "cuda0", standins, STANDIN_CAPABILITY=capability, STANDIN_PTXAS=PTXAS,
                    STANDIN_FOLDER=kernels)
    assert not glob.glob(os.path.join(kernels, "*.failed"))
    assert glob.glob(os.path.join(kernels, "sm_%s_*.ok" % capability))
    assert seen["host"] == {}
