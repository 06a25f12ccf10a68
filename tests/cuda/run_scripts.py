"""Run the scripts of this folder in separate processes, and compile the libraries that stand in for a driver."""

import ctypes
import json
import os
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LONGEST_RUN = 900       # seconds


def compile_library(folder, name, *arguments):
    """Compile a library that the loader finds by its name in any folder; return its path."""
    path = os.path.join(str(folder), name)
    subprocess.run(["g++", "-O1", "-shared", "-fPIC", "-o", path, "-Wl,-soname," + name, "-Wl,--no-as-needed"]
                   + list(arguments), check=True)
    return path


def begin(libraries):
    """Load the stand-ins for a driver, then configure Theano: the start of every script.

    Parameters
    ----------
    libraries : sequence of str
        Paths.
    """
    for library in libraries:
        ctypes.CDLL(library)
    from theano_rnn.runtime import configuration
    configuration.configure()
    import theano
    if theano.config.device.startswith("opencl"):
        _spell_for_opencl()


def _spell_for_opencl():
    """Theano writes C that CUDA takes and OpenCL refuses: nan("") where that takes a number, floats as conditions."""
    from theano import scalar
    for operation, theirs, ours in ((scalar.Maximum, 'nan("")', "NAN"), (scalar.Minimum, 'nan("")', "NAN"),
                                    (scalar.Switch, " ? ", " != 0 ? ")):
        def c_code(self, *arguments, before=operation.c_code, theirs=theirs, ours=ours):
            return before(self, *arguments).replace(theirs, ours)

        def c_code_cache_version(self, before=operation.c_code_cache_version):
            return before(self) + ("opencl",)       # not the compiled modules of other devices
        operation.c_code, operation.c_code_cache_version = c_code, c_code_cache_version


def run_script(name, arguments, device, flags="", **environment):
    """Run a script of this folder with Python, on a device, with the compiler flags of the project; it must succeed."""
    from theano_rnn.runtime.configuration import COMPILER_FLAGS
    from theano_rnn.runtime.flags import flag
    # Theano takes the last of several flags of one name.
    flags = ",".join([os.environ["THEANO_FLAGS"], flag("gcc.cxxflags", COMPILER_FLAGS), "device=" + device]
                     + ([flags] if flags else []))
    process = subprocess.run(
        [sys.executable, os.path.join(HERE, name)] + [str(argument) for argument in arguments],
        env=dict(os.environ, THEANO_FLAGS=flags, PYTHONPATH=ROOT, **environment), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=LONGEST_RUN)
    assert process.returncode == 0, process.stdout.decode("utf-8", "replace")


def train(network, folder, device, libraries=(), steps=0, flags="", **environment):
    """Compile and train a network of train.py.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
        All numbers that training changes.
    seen : dict
        Of ``NETWORK.json``.
    """
    run_script("train.py", [network, folder, steps] + list(libraries), device, flags, **environment)
    with np.load(os.path.join(str(folder), network + ".npz")) as arrays:
        arrays = dict(arrays)
    with open(os.path.join(str(folder), network + ".json")) as stream:
        return arrays, json.load(stream)
