"""Every training step compiled for NVIDIA's GPUs: by the real NVRTC and ptxas, with a stand-in for the driver."""

import collections
import ctypes
import glob
import os
import subprocess
import sys

import pytest
from run_scripts import HERE, compile_library, run_script, train
from train import NETWORKS

BACKEND = os.path.join(sys.prefix, "cuda")
PTXAS = os.path.join(BACKEND, "ptxas", "nvidia", "cu13", "bin", "ptxas")


def has_ptxas():
    """Return whether the back-end is that of CUDA 12, which the stand-ins imitate, and has ptxas."""
    stamp = os.path.join(BACKEND, ".ptxas")
    if not os.path.exists(stamp):
        return False
    with open(stamp) as stream:
        return stream.readline().startswith("CUDA 12 ") and os.path.exists(PTXAS)


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
#: How often train.py trains for the given number of steps.
TRAININGS = 3


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
    assert seen["on_host"] == seen["row_by_row"] == seen["atomic"] == seen["double"] == seen["uncached"] == []
    assert seen["recurrence"] == ["GpuLSTMRecurrence", "GpuLSTMRecurrenceGradient"]
    # The host knows the lengths of arrays on the GPU, and kernels may need them.
    brought = set(name.rstrip("0123456789 ") for name in seen["to_gpu"]) - {"lengths"}
    assert brought == set(TO_GPU[network])
    has_adam = "adam.step" in TO_GPU[network]
    assert seen["adam"] == ["%d groups by rows, in place" % (network != "tagger")] * has_adam
    assert [read_launches(launches).get(kernel, 0) for kernel in VARIATIONAL] == [TRAININGS] * 2 + [
        TRAININGS * has_adam]
    assert seen["from_gpu"] == [SCALAR] * (3 if has_adam else 2) + [VECTOR]


@pytest.mark.parametrize("asked, used", [("compute_80", "sm_80"), ("compute_10", "sm_90"), ("compute_12", "sm_90")])
def test_nvrtc_generates_code_of_hopper_for_names_that_libgpuarray_truncates(asked, used):
    nvrtc = ctypes.CDLL(os.path.join(BACKEND, "lib", "libnvrtc.so"))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = (ctypes.c_char_p * 2)(b"-arch", asked.encode())
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), b"__global__ void f() {}", b"f", 0, None, None) == 0
    assert nvrtc.nvrtcCompileProgram(program, 2, options) == 0
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, text)
    assert ".target %s\n" % used in text.value.decode()


def test_ptxas_accepts_the_kernels_for_blackwell(standins, tmp_path):
    for script, arguments in (("gpu_rewrites.py", [tmp_path / "results.npz"]), ("launches.py", [5, 2])):
        run_script(script, arguments + standins, "cuda0", "gpuarray.cache_path=%s" % (tmp_path / "cache"),
                   STANDIN_CAPABILITY="120", STANDIN_PTXAS=PTXAS, STANDIN_FOLDER=str(tmp_path))
    kernels = glob.glob(str(tmp_path / "sm_120_*.ptx"))
    assert len(kernels) > 20
    for path in kernels:
        assert os.path.exists(path[:-len("ptx")] + "ok")
        assert subprocess.call([PTXAS, "-arch=sm_100", path, "-o", os.devnull]) == 0


@pytest.fixture
def launches(standins, tmp_path):
    """A function that returns the number of kernels and the products of a recurrence and its gradient."""
    def run(units, steps):
        kernels, products = tmp_path / "kernels", tmp_path / "products"
        products.write_text("")
        run_script("launches.py", [units, steps] + standins, "cuda0", STANDIN_LAUNCHES=str(kernels),
                   STANDIN_PRODUCTS=str(products))
        lines = [tuple(int(number) for number in line.split()) for line in products.read_text().splitlines()]
        # Without the first product, Theano's test of the BLAS.
        return sum(read_launches(kernels).values()), collections.Counter(lines[1:])
    return run


def test_one_kernel_computes_all_time_steps_of_a_small_lstm(launches):
    (kernels, products), (fewer_kernels, fewer_products) = launches("128", 9), launches("128", 2)
    assert kernels == fewer_kernels
    assert sum(products.values()) == sum(fewer_products.values()) == 2           # the gradient of W_hid


def test_one_product_and_one_kernel_compute_a_time_step_of_equal_components(launches):
    (kernels, products), (fewer_kernels, fewer_products) = launches("129,129,5", 9), launches("129,129,5", 2)
    assert kernels == fewer_kernels + 2 * 7
    # As columns: H W_hid of both components of 129 units, then that of the other one; 2 rows, 263 units in all.
    forward = [(2, 516, 2, 129, 1052, 516, 263, 129, 1052, 516), (1, 20, 2, 5, 1052, 0, 263, 0, 1052, 0)]
    gradient = [(2, 129, 2, 516, 1052, 516, 1052, 516, 263, 129), (1, 5, 2, 20, 1052, 0, 1052, 0, 263, 0)]
    for product in forward + gradient:
        assert products[product] == 9 and fewer_products[product] == 2
    # Two products for the gradient of each W_hid: of the first time step, and of all others.
    assert sum(products.values()) == 4 * 9 + 2 * 3
