"""Configuration of Theano: precision, threads, BLAS, compiler flags, denormal numbers, memory.

`configure` must run before Theano is imported; then it imports Theano. The settings of the user (``THEANO_FLAGS``,
``OMP_NUM_THREADS``) take precedence. Importing `theano_rnn.ops` calls `ensure_configured`, which does the same unless
Theano is already configured.
"""

import configparser
import ctypes
import logging
import os
import platform
import re
import subprocess
import sys
import warnings

from theano_rnn import interrupts
from theano_rnn.errors import ReportedError, UnsupportedInterpreter
from theano_rnn.threads import number_of_threads

from . import compile_cache
from .compile_lock import replace_lock_of_theano
from .compiler import refuse_missing_compiler, warn_of_missing_compiler
from .flags import flags_of_user, settings_in_theanorc
from .parallel_compilation import compile_in_parallel

__all__ = ["configure", "ensure_configured", "resolve_device", "COMPILER_FLAGS", "EXCLUDED", "can_link_openblas",
           "openblas_coretype"]

# Vectorised exp, log and tanh for the elementwise code (8 times faster with AVX-512). With __FAST_MATH__ defined, the
# headers of glibc declare their vector variants. -ffast-math itself would also let the compiler assume that there is
# no NaN and no infinity, and then the training loop could not notice a loss that is not finite.
# The last two are for the precompiled headers: no debugging information, which Theano requests by default, and
# threads, which our operations use.
COMPILER_FLAGS = "-O3 -march=native -fno-math-errno -fno-trapping-math -D__FAST_MATH__ -g0 -pthread"

# This graph rewrite replaces number * (x . y) by a scaled product even if x . y is also needed. If gradients are
# clipped, each weight gradient is then computed twice.
EXCLUDED = "local_dot22_to_dot22scalar"

# CPython 3.11 has no NumPy before 1.23. With a later NumPy, Theano 1.0.5 cannot be imported without blas.ldflags: to
# find a default, it calls a function that NumPy 1.23 does not have. The default would be the OpenBLAS inside NumPy's
# wheel, which cannot be linked to. Without a library of its own, Theano multiplies through NumPy.
ON_311 = sys.version_info >= (3, 11)

#: The oldest and the newest version of Python that can import Theano, as in python_requires of setup.py.
SUPPORTED_PYTHON = (3, 6), (3, 11)

# Theano 1.0.5 supports only cuDNN 5 to 7. By default it prints the name of the GPU.
GPU_FLAGS = (("dnn.enabled", "False"), ("print_active_device", "False"))

# Theano: "compiledir 'FOLDER' exists but you don't have ...", "... directory 'FOLDER'. Check the permissions."
_FOLDER = re.compile("'(.*)'(?: exists but|[.] Check)|$")

_configured = False


def configure(device="cpu"):
    """Configure Theano for the experiments and the tests: float32, and all cores that this process may use.

    Parameters
    ----------
    device : str
        ``cpu``; ``cuda0`` or another number; ``cuda``, the first GPU that can be used; or ``auto``, ``cuda`` if
        possible, else ``cpu``. A device in ``THEANO_FLAGS`` takes precedence.

    Raises
    ------
    RuntimeError
        If Theano is already imported, because it reads its flags only once.
    ReportedError
        If the GPU or the interpreter (`UnsupportedInterpreter`) cannot be used, there is no C++ compiler, or the folder
        of compiled modules cannot be written.
    """
    check_interpreter()
    if "theano" in sys.modules:
        raise RuntimeError("configuration.configure() must run before Theano is imported")
    refuse_missing_compiler()
    _configure(device)


def ensure_configured():
    """Configure Theano unless it is already configured. Compiles nothing.

    In contrast to `configure`, the user's ``.theanorc`` takes precedence too. If Theano is already imported, this
    function sets everything that can still be changed and that the user did not set. The precision and the device
    cannot be changed. Without a C++ compiler, it writes a warning to stderr.

    Raises
    ------
    UnsupportedInterpreter
        If this version of Python cannot import Theano.

    Examples
    --------
    >>> from theano_rnn.runtime import ensure_configured
    >>> ensure_configured()
    """
    if _configured:
        return
    check_interpreter()
    if "theano" in sys.modules:
        _configure_imported_theano()
    else:
        chosen = settings_in_theanorc()
        warn_of_missing_compiler()
        _configure(chosen.get("device", "cpu"), chosen)


def check_interpreter(version=sys.version_info):
    """Raise an error if a version of Python cannot import Theano, whose own error would be a long traceback.

    Parameters
    ----------
    version : sequence of int
        Major and minor version first.

    Raises
    ------
    UnsupportedInterpreter
        An `ImportError` and a `ReportedError`.
    """
    oldest, newest = SUPPORTED_PYTHON
    if not oldest <= tuple(version[:2]) <= newest:
        raise UnsupportedInterpreter("Theano needs CPython %d.%d to %d.%d, but this is Python %d.%d"
                                     % (oldest + newest + tuple(version[:2])))


def _configure(device, chosen=()):
    """Set flags and environment and import Theano. `chosen`: names of settings that the user has set."""
    from . import gpu
    device = resolve_device(device)
    _use_all_cores()
    settings = (("floatX", "float32"), ("device", device)) + _settings_of_theano()
    if gpu.is_gpu(device):
        settings += GPU_FLAGS
    if can_link_openblas():
        settings += (("blas.ldflags", "-lopenblas"),)
    elif ON_311:
        settings += (("blas.ldflags", ""),)
    flags = ["%s=%s" % setting for setting in settings if setting[0].lower() not in chosen]
    # If a flag is given several times, Theano uses the last one, which is the user's.
    os.environ["THEANO_FLAGS"] = ",".join(flags + [os.environ.get("THEANO_FLAGS", "")]).rstrip(",")
    _prepare_process()
    if gpu.is_gpu(device):
        _use_gpu(device)
    else:
        _import_theano()
    _prepare_theano()


def _import_theano():
    replace_lock_of_theano()
    try:
        with interrupts.exit_at_once():
            import theano  # noqa: F401
    except (ValueError, configparser.Error) as error:
        folder = _FOLDER.search(str(error)).group(1)
        if folder and "compiledir" in str(error):
            raise ReportedError(
                "the folder of compiled modules, %s, cannot be written; make it accessible, or choose another one with "
                "THEANO_FLAGS=base_compiledir=FOLDER" % folder) from error
        if not _is_of_settings(error):
            raise
        message = error if isinstance(error, configparser.Error) else error.args[0]
        raise ReportedError("Theano refuses a setting in THEANO_FLAGS or %s: %s" % (
            os.environ.get("THEANORC", "~/.theanorc"), message)) from error
    except TypeError as error:
        if "OMP_NUM_THREADS" not in str(error):
            raise
        raise ReportedError("the environment variable OMP_NUM_THREADS must be one whole number, got %r; Theano accepts "
                            "no other value" % os.environ["OMP_NUM_THREADS"]) from error


def _is_of_settings(error):
    """Return whether an exception while Theano is imported is about a setting of the user."""
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    return isinstance(error, configparser.Error) or last.tb_frame.f_globals.get("__name__") in (
        "theano.configparser", "theano.configdefaults")


def _configure_imported_theano():
    _use_all_cores()
    import theano
    parameters = {parameter.fullname: parameter for parameter in theano.configparser._config_var_list}
    settings = _settings_of_theano()
    if can_link_openblas():
        settings += (("blas.ldflags", "-lopenblas"),)
    for name, value in settings:
        if _can_be_set(parameters[name]):
            parameters[name].__set__(theano.config, value)
    _prepare_process()
    _prepare_theano()


def _can_be_set(parameter):
    """Return whether a setting of Theano can still be changed, and the user did not set it."""
    if not parameter.is_default:                    # THEANO_FLAGS or .theanorc
        return False
    if not hasattr(parameter, "val"):               # nothing has read it yet
        return True
    return parameter.allow_override and parameter.val in (parameter.default, "")


def _settings_of_theano():
    """Return the settings for all devices that can be changed after Theano is imported."""
    return (("gcc.cxxflags", COMPILER_FLAGS), ("optimizer_excluding", EXCLUDED))


def _use_all_cores():
    # OpenBLAS ignores OMP_NUM_THREADS if it finds its own variable.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, str(number_of_threads()))
    # After a product, the threads of OpenBLAS wait for the next one in a busy loop of 2^26 cycles by default. They
    # occupy cores that our operations and other processes could use.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
    coretype = openblas_coretype()
    if coretype:
        os.environ.setdefault("OPENBLAS_CORETYPE", coretype)


def _prepare_process():
    global _configured
    _configured = True
    _flush_denormals_to_zero()
    _keep_freed_memory()
    if ON_311:
        _leave_scan_to_python()


def _prepare_theano():
    replace_lock_of_theano()
    compile_cache.keep_compiled_modules()
    compile_cache.protect_from_other_processes()
    compile_cache.report_full_disk()
    compile_cache.use_precompiled_headers()
    compile_in_parallel(number_of_threads())


def resolve_device(device):
    """Return the device to use, after all checks that are possible without Theano.

    If `device` is ``auto``, the choice and its reason are written to stderr.

    Parameters
    ----------
    device : str
        As for `configure`.

    Returns
    -------
    str
        ``cpu``, or a GPU such as ``cuda0``.

    Raises
    ------
    ReportedError
        If the device is a GPU that cannot be used.
    """
    from . import gpu
    device = flags_of_user().get("device", device)
    if device == "auto":
        device, reason = gpu.auto_device()
        sys.stderr.write("device %s: %s\n" % (device, reason))
        return device
    if device.startswith("cuda"):
        return "cuda%d" % gpu.choose_gpu(device).number
    if gpu.is_gpu(device):
        gpu.load_backend()
    return device


def _use_gpu(device):
    """Import Theano, and raise an error if it cannot initialise the GPU. Theano would log the error and use the CPU.

    Raises
    ------
    ReportedError
        If Theano cannot initialise the GPU.
    """
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(str(record.exc_info[1] if record.exc_info else record.getMessage()))
    logger = logging.getLogger("theano.gpuarray")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        _import_theano()
        import theano.gpuarray
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
    if not theano.gpuarray.pygpu_activated:
        reason = " ".join(" ".join(messages).split()) or "Theano gives no reason"
        raise ReportedError("Theano cannot use %s: %s; python -m theano_rnn.runtime.gpu tests it" % (device, reason))


def _keep_freed_memory():
    """Let the C library keep the memory of freed arrays instead of returning it to the system.

    By default, each array above 32 MB is mapped when it is allocated, and the kernel fills every page with zeros before
    its first use. This took a fifth of a training step of the language model. Does nothing without glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL("libc.so.6")
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4           # malloc.h
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2 ** 31 - 1)


def _leave_scan_to_python():
    """Let `theano.scan` run its loop in Python instead of compiling it.

    Theano contains the loop as a C file, generated by Cython in 2018, which uses headers that CPython 3.11 removed. If
    the compiled loop cannot be imported, Theano uses a loop in Python, which is slower and has the same results. But if
    the compiler fails, Theano cannot compile any function that has a scan. Therefore this function lets the import
    fail.
    """
    sys.modules.setdefault("theano.scan_module.scan_perform_ext", None)


def can_link_openblas():
    """Return whether g++ can link to libopenblas, for which the run-time library alone is not sufficient."""
    try:
        found = subprocess.check_output(["g++", "-print-file-name=libopenblas.so"], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return os.path.isabs(found.decode().strip())        # if there is none, g++ prints only the name


def openblas_coretype():
    """Return the name of the OpenBLAS kernels for this processor, or None to leave the choice to OpenBLAS.

    OpenBLAS 0.3.21 and the OpenBLAS in NumPy 1.21 use SSE3 kernels on later processors, which they do not know: on an
    Intel Emerald Rapids, a 2000 x 2000 product ran at 65 instead of 315 GFLOP/s. OpenBLAS reads the choice when it is
    loaded, so it must be made before NumPy is imported. Otherwise it applies only to Theano's own products.
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


def _flush_denormals_to_zero():
    """Let the processor treat denormal numbers as zero, in this thread and in the threads that it starts.

    Gradients that decay over 200 time steps become denormal, and arithmetic on denormals is much slower:
    ``benchmarks/README.md`` has the time. Only numbers below the smallest normal float32 (1.2e-38) or float64
    (2.2e-308) change. Does nothing except on x86-64 with glibc.
    """
    if platform.machine() not in ("x86_64", "AMD64") or platform.libc_ver()[0] != "glibc":
        return
    libm = ctypes.CDLL("libm.so.6")
    environment = (ctypes.c_uint32 * 8)()           # fenv_t: its last 32 bits are the SSE control word
    if libm.fegetenv(environment) == 0:
        environment[7] |= 0x8040                    # flush to zero, denormals are zero
        libm.fesetenv(environment)
        # NumPy 1.22 and later warn twice for each type when it computes the limits of the type.
        warnings.filterwarnings("ignore", "The value of the smallest subnormal for", UserWarning)
