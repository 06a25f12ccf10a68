"""Selection of a GPU, and the paths of the CUDA back-end.

``./setup_env.sh --cuda`` installs the back-end into the virtualenv. ``python -m theano_rnn.runtime.gpu`` tests it and
prints the GPU that it runs on. Only this test imports Theano, so a GPU that cannot be used is reported at once.
"""

import ctypes
import os
import sys
from collections import namedtuple

from theano_rnn.errors import ReportedError, reported_errors

__all__ = ["Gpu", "FOLDER", "is_gpu", "load_backend", "load_cuda", "find_gpus", "versions", "choose_gpu",
           "auto_device"]

FOLDER = os.path.join(sys.prefix, "cuda")
SET_UP = "./setup_env.sh --cuda"

#: The compute capability whose code newer GPUs get: libgpuarray 0.7.6 cannot name theirs (``compute_100``), so that
#: environment/libnvrtc.cpp lets NVRTC generate PTX for this one, and the driver compiles it.
LAST_NAMED = (9, 0)

# Constants of cuda.h.
_NO_DEVICE = 100
_MAJOR, _MINOR = 75, 76


class Gpu(namedtuple("Gpu", ["number", "name", "capability"])):
    """A GPU: its number in the driver, its name, and its compute capability (pair of int)."""

    __slots__ = ()

    def __str__(self):
        return "%s (cuda%d, compute capability %d.%d)" % ((self.name, self.number) + self.capability)


def is_gpu(device):
    """Return whether a Theano device (``cpu``, ``cuda``, ``cuda0``, ``opencl0:0``) is a GPU."""
    return device.startswith(("cuda", "opencl"))


def load_backend():
    """Let this process and the compilers that it starts find libgpuarray.

    Raises
    ------
    ReportedError
        If the back-end is not installed.
    """
    if not os.path.isfile(_library("libgpuarray.so.3")):
        raise ReportedError("the CUDA back-end is not in %s; %s adds it" % (sys.prefix, SET_UP))
    for variable, folder in (("CPATH", "include"), ("LIBRARY_PATH", "lib")):
        ours, before = os.path.join(FOLDER, folder), os.environ.get(variable, "").split(os.pathsep)
        os.environ[variable] = os.pathsep.join([ours] + [path for path in before if path not in (ours, "")])
    # pygpu's modules refer to the library by name. The loader then uses the one that is already loaded.
    ctypes.CDLL(_library("libgpuarray.so.3"))


def load_cuda():
    """Load the driver, NVRTC and cuBLAS under the unversioned names that libgpuarray uses.

    Returns
    -------
    driver, nvrtc : ctypes.CDLL

    Raises
    ------
    ReportedError
        If one of them cannot be loaded.
    """
    try:
        driver = ctypes.CDLL(_library("libcuda.so"))
    except OSError as error:
        raise ReportedError("no NVIDIA driver found (%s); install one, or use --device cpu" % error) from None
    try:
        nvrtc = ctypes.CDLL(_library("libnvrtc.so"))
    except OSError as error:
        raise ReportedError("NVRTC cannot be loaded (%s); %s reinstalls it" % (error, SET_UP)) from None
    try:
        ctypes.CDLL(_library("libcublas.so"))
    except OSError as error:
        raise ReportedError("cuBLAS cannot be loaded (%s); %s on a machine with a driver, or %s --cublas, adds it"
                            % (error, SET_UP, SET_UP)) from None
    return driver, nvrtc


def _library(name):
    return os.path.join(FOLDER, "lib", name)


def find_gpus(driver):
    """Return the GPUs that this process can see: list of `Gpu`.

    Raises
    ------
    ReportedError
        If the driver does not work.
    """
    status = driver.cuInit(0)
    if status == _NO_DEVICE:
        return []
    if status:
        raise ReportedError("the NVIDIA driver does not work (cuInit: %s); test it with nvidia-smi"
                            % _error(driver, status))
    count = _number(driver.cuDeviceGetCount)
    gpus = []
    for number in range(count):
        name = ctypes.create_string_buffer(256)
        driver.cuDeviceGetName(name, 256, number)
        gpus.append(Gpu(number, name.value.decode("utf-8", "replace"),
                        (_number(driver.cuDeviceGetAttribute, _MAJOR, number),
                         _number(driver.cuDeviceGetAttribute, _MINOR, number))))
    return gpus


def _number(function, *arguments):
    value = ctypes.c_int()
    status = function(ctypes.byref(value), *arguments)
    if status:
        raise ReportedError("the NVIDIA driver does not answer (%s: error %d); test it with nvidia-smi"
                            % (function.__name__, status))
    return value.value


def _error(driver, status):
    text = ctypes.c_char_p()
    driver.cuGetErrorName(status, ctypes.byref(text))
    return (text.value or b"error %d" % status).decode()


def versions(driver, nvrtc):
    """Return the CUDA versions of the driver and of NVRTC: two pairs of int."""
    known = _number(driver.cuDriverGetVersion)
    return (known // 1000, known % 1000 // 10), _nvrtc_version(nvrtc)


def _nvrtc_version(nvrtc):
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def _architectures(nvrtc):
    """Return the compute capabilities that NVRTC can compile for: list of pairs of int."""
    count = _number(nvrtc.nvrtcGetNumSupportedArchs)
    values = (ctypes.c_int * count)()
    nvrtc.nvrtcGetSupportedArchs(values)
    return [divmod(value, 10) for value in values]


def _obstacle(gpu, nvrtc):
    """Return the reason why a GPU cannot be used: str or None."""
    architectures = _architectures(nvrtc)
    compiled_for = gpu.capability if gpu.capability < (10, 0) else LAST_NAMED
    if compiled_for < min(architectures):
        return "is too old for this NVRTC, which begins at compute capability %d.%d; install an older one: %s 11" \
            % (min(architectures) + (SET_UP,))
    if compiled_for > max(architectures):
        return "is too new for this NVRTC, which ends at compute capability %d.%d; install a newer one: %s 12" \
            % (max(architectures) + (SET_UP,))
    return None


def choose_gpu(device):
    """Return the GPU that a Theano device denotes, after all checks that are possible without Theano.

    Parameters
    ----------
    device : str
        ``cuda0`` or another number, or ``cuda`` for the first GPU that can be used.

    Returns
    -------
    Gpu

    Raises
    ------
    ReportedError
        If there is no such GPU, or it cannot be used.
    """
    load_backend()
    driver, nvrtc = load_cuda()
    gpus = find_gpus(driver)
    if not gpus:
        raise ReportedError("the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES is %s); use --device cpu"
                            % os.environ.get("CUDA_VISIBLE_DEVICES", "not set"))
    known, wanted = versions(driver, nvrtc)
    if known < wanted:
        raise ReportedError("the NVIDIA driver supports CUDA %d.%d, but NVRTC compiles for %d.%d; update the driver, "
                            "or install an older NVRTC with %s" % (known + wanted + (SET_UP,)))
    if device == "cuda":
        # If no GPU can be used, report the first one.
        gpus = [gpu for gpu in gpus if not _obstacle(gpu, nvrtc)][:1] or gpus[:1]
    else:
        named = [gpu for gpu in gpus if device == "cuda%d" % gpu.number]
        if not named:
            raise ReportedError("%s not found; available: %s" % (device, ", ".join(map(str, gpus))))
        gpus = named
    obstacle = _obstacle(gpus[0], nvrtc)
    if obstacle:
        raise ReportedError("%s %s" % (gpus[0], obstacle))
    return gpus[0]


def auto_device():
    """Return a device (``cuda0`` or another number if a GPU can be used, else ``cpu``) and the reason: pair of str."""
    try:
        gpu = choose_gpu("cuda")
    except ReportedError as error:
        return "cpu", str(error)
    return "cuda%d" % gpu.number, str(gpu)


# ------------------------------------------------------------------------------------------------------------ self-test

_KERNEL = b"""
extern "C" __global__ void scaled(float *y, const float *x, unsigned int n) {
    for (unsigned int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        y[i] = expf(x[i]) * 2.f;
}
"""


def main():
    """Test the back-end. Print the GPU that it runs on, or what is missing."""
    with reported_errors():
        load_backend()
        try:
            obstacle = None if find_gpus(ctypes.CDLL(_library("libcuda.so"))) else "the driver shows no GPU"
        except (OSError, ReportedError) as error:
            obstacle = str(error)
        if obstacle:
            _test_without_gpu(obstacle)
        else:
            _test_on_gpu(choose_gpu("cuda"))


def _test_without_gpu(obstacle):
    nvrtc = ctypes.CDLL(_library("libnvrtc.so"))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = (ctypes.c_char_p * 1)(b"--gpu-architecture=compute_80")
    for status in (nvrtc.nvrtcCreateProgram(ctypes.byref(program), _KERNEL, b"self_test", 0, None, None),
                   nvrtc.nvrtcCompileProgram(program, 1, options),
                   nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))):
        if status:
            raise ReportedError("NVRTC cannot compile (error %d); remove %s and run %s again"
                                % (status, FOLDER, SET_UP))
    _test_headers()
    import pygpu
    print("pygpu %s, NVRTC %d.%d: the back-end is installed, but no GPU can be used (%s)"
          % ((pygpu.__version__,) + _nvrtc_version(nvrtc) + (obstacle,)))


def _test_headers():
    """Compile and link against libgpuarray as Theano does."""
    import subprocess
    code = b"#include <gpuarray/array.h>\nint main() { GpuArray_clear(0); }\n"
    try:
        subprocess.run(["g++", "-x", "c++", "-", "-shared", "-fPIC", "-o", os.devnull, "-lgpuarray"], input=code,
                       stderr=subprocess.PIPE, check=True)
    except subprocess.CalledProcessError as error:
        raise ReportedError("g++ cannot compile against libgpuarray: %s" % error.stderr.decode().strip()) from None


def _test_on_gpu(gpu):
    from .configuration import configure
    configure("cuda%d" % gpu.number)
    import numpy as np
    import theano
    import theano.tensor as T
    values = np.random.RandomState(1).randn(6, 6).astype("float32")
    W, x = theano.shared(values), T.matrix()
    states, _ = theano.scan(lambda row, state: T.tanh(T.dot(state, W) + row), sequences=x,
                            outputs_info=T.zeros((6,), "float32"))
    found = theano.function([x], states[-1])(values)
    expected = np.zeros(6, dtype="float32")
    for row in values:
        expected = np.tanh(expected.dot(values) + row)
    if not np.allclose(found, expected, atol=1e-4):
        raise ReportedError("GPU self-test failed on %s: the result differs from NumPy" % (gpu,))
    driver, nvrtc = load_cuda()
    print("%s; driver: CUDA %d.%d, NVRTC %d.%d" % ((gpu,) + sum(versions(driver, nvrtc), ())))


if __name__ == "__main__":
    main()
