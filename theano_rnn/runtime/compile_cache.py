"""Theano's cache of compiled modules: retention, locking, and precompiled headers."""

import hashlib
import os
import platform
import subprocess
import tempfile

__all__ = ["COMPILE_LOCK", "keep_compiled_modules", "use_precompiled_headers"]

#: Settings of the lock on the cache, in seconds. A process that waits for the lock checks it every second (default: 5)
#: and overrides a lock whose owner is unknown after a minute (default: 120). It overrides the lock of a dead process at
#: once.
COMPILE_LOCK = (("compile.wait", "1"), ("compile.timeout", "60"))

# Headers of the modules that Theano compiles: Theano's own, in its order, then those of our C++ files.
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


def keep_compiled_modules():
    """Let Theano's cache keep the modules of operations without properties, such as its matrix product.

    Theano 1.0.5 uses the names of an operation's properties as part of its version. An operation without properties
    (``__props__ = ()``) therefore counts as unversioned and is compiled again in every process: about ten modules of a
    training step, ten seconds of every start. Nothing else reads the attribute after the class is created.
    """
    from theano.gof import Op
    classes = [Op]
    while classes:
        operation = classes.pop()
        classes += operation.__subclasses__()
        if vars(operation).get("__props__") == ():
            del operation.__props__


def use_precompiled_headers(compiler_flags):
    """Let g++ read the headers of all modules from one precompiled file, which the first compilation creates.

    The headers are most of the text that g++ reads. ``benchmarks/README.md`` has the time that this saves with an
    empty cache. The file is in Theano's cache and takes 50 MB. Its name contains a hash of all that it depends on. The
    name becomes part of the compiler flags at once, because the flags are part of the names of compiled modules.

    Parameters
    ----------
    compiler_flags : str
        The flags that `configure` sets. If ``gcc.cxxflags`` differs, the user chose it, and nothing is done.
    """
    import numpy
    import theano
    from theano.gof import cmodule
    if theano.config.gcc.cxxflags != compiler_flags or not theano.config.cxx:
        return
    compiler = cmodule.GCC_compiler
    flags = compiler.compile_args()
    versions = [theano.__version__, numpy.__version__, platform.python_version(), cmodule.gcc_version_str]
    digest = hashlib.sha1("\n".join(flags + versions + [HEADERS]).encode("utf-8")).hexdigest()
    header = _PrecompiledHeader(
        os.path.join(theano.config.compiledir, "headers-%s.hpp" % digest[:16]),
        [theano.config.cxx, "-g"] + flags + ["-I" + folder for folder in cmodule.std_include_dirs()])
    theano.config.gcc.cxxflags = "%s -include %s" % (compiler_flags, header.path)
    compile_module = compiler.compile_str

    def compile_str(module_name, src_code, location=None, include_dirs=None, lib_dirs=None, libs=None, preargs=None,
                    *args, **kwargs):
        return compile_module(module_name, src_code, location, include_dirs, lib_dirs, libs, header.prepare(preargs),
                              *args, **kwargs)
    compiler.compile_str = staticmethod(compile_str)


class _PrecompiledHeader(object):
    """A header file and its precompiled form (``.gch``), created when the first module is compiled with it.

    Parameters
    ----------
    path : str
    command : list of str
        The compiler and its flags.
    """

    def __init__(self, path, command):
        self.path, self.command, self.failed = path, command, False

    def prepare(self, flags):
        """Return the flags with which a module can be compiled: without the header if g++ cannot precompile it."""
        if not flags or self.path not in flags or self._exists():
            return flags
        index = flags.index(self.path)
        return flags[:index - 1] + flags[index + 1:]

    def _exists(self):
        if not os.path.exists(self.path) and not self.failed:
            self.failed = not self._compile()
        return not self.failed

    def _compile(self):
        # Other processes may do the same. Each creates its own files. The header appears when both are complete.
        handle, text = tempfile.mkstemp(suffix=".hpp", dir=os.path.dirname(self.path))
        try:
            with os.fdopen(handle, "w") as stream:
                stream.write(HEADERS)
            subprocess.check_output(
                self.command + ["-fvisibility=hidden", "-x", "c++-header", text, "-o", text + ".gch"],
                stderr=subprocess.STDOUT)
            os.rename(text + ".gch", self.path + ".gch")
            os.rename(text, self.path)
        except (OSError, subprocess.CalledProcessError):
            for left in (text, text + ".gch"):
                if os.path.exists(left):
                    os.remove(left)
            return False
        return True
