"""The one place where Theano is configured: precision, threads, BLAS, compiler flags, denormal numbers, its cache.

`configure` must run before anything imports Theano; it does so itself. What the user set (``THEANO_FLAGS``,
``OMP_NUM_THREADS``) wins.
"""

import ctypes
import hashlib
import logging
import os
import platform
import subprocess
import sys
import tempfile
import warnings

from theano_rnn.errors import ReportedError

from . import gpu

__all__ = ["configure"]

# Vectorised exp, log and tanh for the elementwise code (8 times faster on AVX-512). Defining __FAST_MATH__ makes the
# headers of glibc declare their vector variants; -ffast-math itself would also let the compiler assume that there is no
# NaN and no infinity, and then the training loop could not notice a loss that is not finite.
# The last two are for the precompiled headers: no debugging information, which Theano asks for otherwise, and threads,
# which the operations of this project need.
COMPILER_FLAGS = "-O3 -march=native -fno-math-errno -fno-trapping-math -D__FAST_MATH__ -g0 -pthread"

# Seconds. A run that waits for another's compilation looks this often whether it is done (5 by default), and overrides
# a lock whose owner it cannot tell after so long (120); that of a process that is dead it overrides at once.
COMPILE_LOCK = ["compile.wait=1", "compile.timeout=60"]

# What the modules that Theano compiles include: its own first, in its order, then those of the C++ files of bayes_rnn.
HEADERS = """\
#include <Python.h>
#include <iostream>
#include "theano_mod_helper.h"
#include <math.h>
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
"""

# It replaces number * (x . y) by a scaled product even where x . y is needed too, and then multiplies twice: all weight
# gradients of a network whose gradients are clipped.
EXCLUDED = "local_dot22_to_dot22scalar"

# CPython 3.11 has no NumPy before 1.23, and there Theano 1.0.5 cannot be imported without blas.ldflags: to find a
# default it asks NumPy how that was built, in a way that ended with NumPy 1.22. What it would find, the OpenBLAS inside
# NumPy's wheel, cannot be linked to anyway, so without a library of its own Theano multiplies through NumPy.
ON_311 = sys.version_info >= (3, 11)

# Theano 1.0.5 knows cuDNN 5 to 7 only, and would print which GPU it uses.
GPU_FLAGS = ["dnn.enabled=False", "print_active_device=False"]


def configure(device="cpu"):
    """Set up Theano for the experiments and the tests: float32 on all cores this process may use.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda0`` or the like, ``cuda`` (the first GPU that can be used), or ``auto``: ``cuda`` where that is
        possible, else ``cpu``. A device in ``THEANO_FLAGS`` wins.

    Raises
    ------
    RuntimeError
        If Theano has been imported already: it reads its flags only once.
    ReportedError
        If the GPU cannot be used.
    """
    if "theano" in sys.modules:
        raise RuntimeError("configuration.configure() must run before Theano is imported")
    device = settle_device(device)
    cores = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, cores)
    # After a product, OpenBLAS's threads wait for the next one in a busy loop, by default of 2^26 cycles, on the cores
    # that the operations of this project, and of another run, could use.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
    coretype = openblas_coretype()
    if coretype:
        os.environ.setdefault("OPENBLAS_CORETYPE", coretype)
    flags = ["floatX=float32", "device=" + device, "gcc.cxxflags=" + COMPILER_FLAGS, "optimizer_excluding=" + EXCLUDED]
    flags += COMPILE_LOCK
    if gpu.is_gpu(device):
        flags += GPU_FLAGS
    if can_link_openblas():
        flags.append("blas.ldflags=-lopenblas")
    elif ON_311:
        flags.append("blas.ldflags=")
    # Theano takes the last of several settings of one name, so the user's own flags win.
    os.environ["THEANO_FLAGS"] = ",".join(flags + [os.environ.get("THEANO_FLAGS", "")]).rstrip(",")
    flush_denormals_to_zero()
    keep_freed_memory()
    if ON_311:
        leave_scan_to_python()
    if gpu.is_gpu(device):
        use_gpu(device)
    keep_compiled_modules()
    precompile_headers()


def settle_device(device):
    """The device to use, checked for all that can be known without Theano. What ``auto`` means is said, and why.

    Raises
    ------
    ReportedError
        If it is a GPU that cannot be used.
    """
    for flag in os.environ.get("THEANO_FLAGS", "").split(","):
        if flag.strip().startswith("device="):
            device = flag.strip()[len("device="):]
    if device == "auto":
        device, reason = gpu.auto_device()
        sys.stderr.write("device %s: %s\n" % (device, reason))
        return device
    if device.startswith("cuda"):
        return "cuda%d" % gpu.choose_gpu(device).number
    if gpu.is_gpu(device):
        gpu.load_backend()
    return device


def use_gpu(device):
    """Import Theano, and refuse to go on if it could not begin on the GPU: it would only log that, and take the CPU.

    Raises
    ------
    ReportedError
        If it could not.
    """
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(str(record.exc_info[1] if record.exc_info else record.getMessage()))
    logger = logging.getLogger("theano.gpuarray")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        import theano.gpuarray
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
    if not theano.gpuarray.pygpu_activated:
        reason = " ".join(" ".join(said).split()) or "it does not say why"
        raise ReportedError("Theano cannot use %s: %s; python -m theano_rnn.runtime.gpu tries it" % (device, reason))


def keep_freed_memory():
    """Let the C library keep the memory of freed arrays instead of giving it back to the system.

    It maps arrays above 32 MB anew each time, and the kernel fills every page with zeros before its first use: a fifth
    of a training step of the language model. Does nothing but with glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL("libc.so.6")
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4           # malloc.h
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2 ** 31 - 1)


def keep_compiled_modules():
    """Let Theano's cache keep the compiled code of operations without properties, among them its matrix product.

    Theano 1.0.5 counts the names of an operation's properties as part of its version, so one that has none
    (``__props__ = ()``) counts as unversioned and is compiled again in every process: some ten modules of a training
    step, ten seconds of each start. Nothing else looks at the attribute once the class is made.
    """
    from theano.gof import Op
    classes = [Op]
    while classes:
        operation = classes.pop()
        classes += operation.__subclasses__()
        if vars(operation).get("__props__") == ():
            del operation.__props__


def precompile_headers():
    """Let g++ read the headers of each module that Theano compiles from a file that it has digested once.

    They are most of the text that it reads: from an empty cache, the first training step came after 69 s without, and
    after 41 s with this. The file is in Theano's cache, 50 MB, and its name is made from all that goes into it. Does
    nothing where the user chose the compiler's flags, or where g++ cannot do it.
    """
    import numpy
    import theano
    from theano.gof import cmodule
    if theano.config.gcc.cxxflags != COMPILER_FLAGS or not theano.config.cxx:
        return
    flags = cmodule.GCC_compiler.compile_args()
    versions = [theano.__version__, numpy.__version__, platform.python_version(), cmodule.gcc_version_str]
    digest = hashlib.sha1("\n".join(flags + versions + [HEADERS]).encode("utf-8")).hexdigest()
    header = os.path.join(theano.config.compiledir, "headers-%s.hpp" % digest[:16])
    if not os.path.exists(header) and not _compile_header(
            header, [theano.config.cxx, "-g"] + flags + ["-I" + folder for folder in cmodule.std_include_dirs()]):
        return
    theano.config.gcc.cxxflags = "%s -include %s" % (COMPILER_FLAGS, header)


def _compile_header(header, command):
    """Write `header` and, beside it, its precompiled form; False if that cannot be done."""
    # Another process may be doing the same: each makes its own files, and the text appears when all is complete.
    handle, text = tempfile.mkstemp(suffix=".hpp", dir=os.path.dirname(header))
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(HEADERS)
        subprocess.check_output(command + ["-fvisibility=hidden", "-x", "c++-header", text, "-o", text + ".gch"],
                                stderr=subprocess.STDOUT)
        os.rename(text + ".gch", header + ".gch")
        os.rename(text, header)
    except (OSError, subprocess.CalledProcessError):
        for left in (text, text + ".gch"):
            if os.path.exists(left):
                os.remove(left)
        return False
    return True


def leave_scan_to_python():
    """Let `theano.scan` run its loop in Python at once, without an attempt to compile it.

    Theano brings that loop as a C file, made by a Cython of 2018, that uses headers which CPython 3.11 took away. Where
    the compiled loop cannot be imported Theano takes its own one in Python, slower and with the same results; but an
    error of the compiler passes for no such case, and stops the compilation of every function that has a scan. So the
    import itself is made to fail.
    """
    sys.modules["theano.scan_module.scan_perform_ext"] = None


def can_link_openblas():
    """Whether g++ finds a libopenblas to link to; the run-time library alone is not enough."""
    try:
        found = subprocess.check_output(["g++", "-print-file-name=libopenblas.so"], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return os.path.isabs(found.decode().strip())        # g++ gives the bare name back where there is none


def openblas_coretype():
    """The OpenBLAS kernels that fit the processor's instructions, or None to leave the choice to OpenBLAS.

    OpenBLAS 0.3.21 and the one inside NumPy 1.21 do not know processors newer than themselves and then fall back on
    SSE3: on an Intel Emerald Rapids a 2000 x 2000 product ran at 65 instead of 315 GFLOP/s. The choice is read when
    the library is loaded, so it must be made before NumPy is imported; where NumPy is there already, only Theano's
    own products follow it.
    """
    try:
        with open("/proc/cpuinfo") as stream:
            flags = next((line.split() for line in stream if line.startswith("flags")), [])
    except OSError:
        return None
    if platform.machine() != "x86_64":
        return None
    if {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"} <= set(flags):
        return "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= set(flags) else None


def flush_denormals_to_zero():
    """Let the processor treat numbers below 1e-38 as zero, in this thread and those it starts.

    Gradients that fade over 200 time steps become denormal, and arithmetic on denormals takes a hundred times longer:
    without this a training step of the IMDB network took 7 times as long. Only numbers under the smallest normal
    float32 (1.2e-38) or float64 (2.2e-308) change. Does nothing but on x86-64 with glibc.
    """
    if platform.machine() not in ("x86_64", "AMD64") or platform.libc_ver()[0] != "glibc":
        return
    libm = ctypes.CDLL("libm.so.6")
    environment = (ctypes.c_uint32 * 8)()           # fenv_t: the SSE control word is its last 32 bits
    if libm.fegetenv(environment) == 0:
        environment[7] |= 0x8040                    # flush to zero, denormals are zero
        libm.fesetenv(environment)
        # NumPy 1.22 and later say so twice for each type when they look up its limits.
        warnings.filterwarnings("ignore", "The value of the smallest subnormal for", UserWarning)
