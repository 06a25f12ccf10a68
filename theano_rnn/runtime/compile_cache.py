"""Theano's cache of compiled modules: retention, concurrent processes, full disks, precompiled headers.

`compile_lock` has the lock of the cache. Each function here changes Theano in one respect.
"""

import contextlib
import errno
import glob
import hashlib
import io
import logging
import os
import pickle
import platform
import shutil
import subprocess
import sys
import tempfile
import time

from theano_rnn.errors import storage_problem

from .compile_lock import lock_ctx

__all__ = ["keep_compiled_modules", "protect_from_other_processes", "report_full_disk", "use_precompiled_headers"]

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
    """Let Theano's cache keep the modules of operations that it would compile again in every process.

    Theano 1.0.5 uses the names of an operation's properties as part of its version. An operation without properties
    (``__props__ = ()``), such as its matrix product, therefore counts as unversioned: about ten modules of a training
    step, ten seconds of every start. Nothing else reads the attribute after the class is created. The version of an
    operation whose C code is in a file (`DimShuffle`) is the hash of a string, which differs from process to process.
    The version of a sum on a GPU has the number 0 as an element, which makes it count as unversioned, too.
    """
    import theano.sandbox.rng_mrg  # noqa: F401  (which is imported later otherwise, and has such an operation)
    from theano.gof import COp, Op
    classes = [Op]
    while classes:
        operation = classes.pop()
        classes += operation.__subclasses__()
        if vars(operation).get("__props__") == ():
            del operation.__props__
    version_of_hash = COp.c_code_cache_version

    def c_code_cache_version(self):
        version = version_of_hash(self)
        digest = hashlib.sha1("\n".join(self.func_codes).encode("utf-8")).hexdigest()
        return (digest,) + (version[1:] if isinstance(version, tuple) else ())      # Theano 0.9: int
    COp.c_code_cache_version = c_code_cache_version
    if "theano.gpuarray.elemwise" in sys.modules:
        # Theano inserts it into the C code, where the string is the same number.
        sys.modules["theano.gpuarray.elemwise"].GpuCAReduceCuda.verbose = "0"


def protect_from_other_processes():
    """Let processes use one cache at the same time without errors.

    Theano reads the cache without its lock. Another process saw a file ``key.pkl`` that was being written, took the
    module for a broken one and deleted it, and the process that had compiled it ended with an error. Now the file
    appears when it is complete, so a module is either there or not. A folder that another process removes while Theano
    reads the cache, and a module that cannot be loaded any more, are no errors.
    """
    from theano_rnn.npz_store import write_atomically

    from theano.gof.cmodule import KeyData, ModuleCache
    KeyData.save_pkl = lambda data: write_atomically(data.key_pkl, pickle.dumps(data, pickle.HIGHEST_PROTOCOL))
    ModuleCache.refresh = _repeated(ModuleCache.refresh)
    ModuleCache.module_from_key = _compiled_again(ModuleCache.module_from_key)
    ModuleCache._on_atexit = _without_error(ModuleCache._on_atexit)


def _repeated(refresh):
    def repeat(self, *arguments, **options):
        for _ in range(100):
            with contextlib.suppress(FileNotFoundError):        # a folder was removed between listing and reading it
                return refresh(self, *arguments, **options)
        return refresh(self, *arguments, **options)
    return repeat


def _compiled_again(module_from_key):
    def module(self, key, lnk=None, keep_lock=False):
        try:
            return module_from_key(self, key, lnk, keep_lock)
        except ImportError as error:
            if not _forget_broken_module(self, key, lnk, error):
                raise
            return module_from_key(self, key, lnk, keep_lock)
    return module


def _forget_broken_module(cache, key, lnk, error):
    """Remove the module of a key from the cache; return whether there was one."""
    from theano.gof.cmodule import get_module_hash
    data = cache.module_hash_to_key_data.get(get_module_hash(lnk.get_src_code(), key))
    entry = data.get_entry() if data else cache.entry_from_key.get(key)
    if entry is None or entry in cache.module_from_name:
        return False
    logging.getLogger("theano.gof.cmodule").info("compiling again: %s", error)
    with lock_ctx():
        shutil.rmtree(os.path.dirname(entry), ignore_errors=True)
    cache.refresh(cleanup=False)
    return True


def _without_error(at_exit):
    def clean_up(self):
        # Files that another process has removed, or that cannot be removed on a full disk, are no error.
        with contextlib.suppress(OSError):
            at_exit(self)
    return clean_up


def report_full_disk():
    """Let the compiler's failure to write be an `OSError`, without the text that Theano prints of other failures."""
    from theano.gof import cmodule
    compiler = cmodule.GCC_compiler
    compile_module = compiler.compile_str

    def compile_str(module_name, src_code, location=None, *arguments, **options):
        output, errors = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
                return compile_module(module_name, src_code, location, *arguments, **options)
        except Exception as error:
            if isinstance(error, OSError) or storage_problem(error) is None:
                raise
            output, errors = io.StringIO(), io.StringIO()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), location) from error
        finally:
            sys.stdout.write(output.getvalue())
            sys.stderr.write(errors.getvalue())
    compiler.compile_str = staticmethod(compile_str)
    # Theano logs an OSError before it raises it, and its optimisers log all errors and go on to the next one.
    logging.getLogger("theano.gof.cmodule").addFilter(lambda record: not isinstance(record.msg, OSError))
    logging.getLogger("theano.gof.opt").addFilter(_raise_storage_problem)


def _raise_storage_problem(record):
    """Filter of log records: raise the exception that is being logged if a file could not be written."""
    error = sys.exc_info()[1]
    if error is not None and storage_problem(error):
        raise error
    return True


def use_precompiled_headers():
    """Let g++ read the headers of all modules from one precompiled file, which the first compilation creates.

    The headers are most of the text that g++ reads. ``benchmarks/README.md`` has the time that this saves with an
    empty cache. The file is in the folder ``headers`` of Theano's cache and takes 50 MB. Its name contains a hash of
    all that it depends on. If g++ cannot precompile it, for example with invalid flags of the user, modules are
    compiled without it.
    """
    import theano
    from theano.gof import cmodule
    if not theano.config.cxx:
        return
    compiler, headers = cmodule.GCC_compiler, {}
    compile_module = compiler.compile_str

    def compile_str(module_name, src_code, location=None, include_dirs=None, lib_dirs=None, libs=None, preargs=None,
                    *args, **kwargs):
        # gcc.cxxflags may change, and g++ 12 can crash if a header was precompiled with another level of optimisation.
        flags = tuple(compiler.compile_args())
        if flags not in headers:
            headers[flags] = _PrecompiledHeader.for_flags(list(flags))
        # Not part of gcc.cxxflags: Theano splits these at spaces, which the path may contain.
        return compile_module(module_name, src_code, location, include_dirs, lib_dirs, libs,
                              headers[flags].options() + list(preargs or ()), *args, **kwargs)
    compiler.compile_str = staticmethod(compile_str)


class _PrecompiledHeader(object):
    """A header file and its precompiled form (``.gch``), created when the first module is compiled with it.

    Parameters
    ----------
    path : str
    command : list of str
        The compiler and its flags.
    """

    #: Prefix of files that are being written. Theano's ``tmp`` would let it take them for folders of modules.
    PREFIX = "building-"

    def __init__(self, path, command):
        self.path, self.command, self.failed = path, command, False

    @classmethod
    def for_flags(cls, flags):
        """Return the header of modules that are compiled with some flags (list of str)."""
        import numpy
        import theano
        from theano.gof import cmodule
        versions = [theano.__version__, numpy.__version__, platform.python_version(), cmodule.gcc_version_str]
        digest = hashlib.sha1("\n".join(flags + versions + [HEADERS]).encode("utf-8", "surrogateescape")).hexdigest()
        return cls(os.path.join(theano.config.compiledir, "headers", digest[:16] + ".hpp"),
                   # As in Theano's commands, -O3 precedes the flags: they need not contain a level of optimisation.
                   [theano.config.cxx, "-g", "-O3"] + flags + ["-I" + folder for folder in cmodule.std_include_dirs()])

    def options(self):
        """Return the options with which a module uses the header: none if g++ cannot precompile it."""
        if not os.path.exists(self.path) and not self.failed:
            with lock_ctx():
                self.failed = not os.path.exists(self.path) and not self._compile()
        return [] if self.failed else ["-include", self.path]

    def _compile(self):
        """Create the header and its precompiled form; return whether that succeeded. The caller has the lock."""
        folder = os.path.dirname(self.path)
        self._remove_leftovers()
        text = None
        try:
            os.makedirs(folder, exist_ok=True)
            handle, text = tempfile.mkstemp(prefix=self.PREFIX, suffix=".hpp", dir=folder)
            with os.fdopen(handle, "w") as stream:
                stream.write(HEADERS)
            subprocess.check_output(
                self.command + ["-fvisibility=hidden", "-x", "c++-header", text, "-o", text + ".gch"],
                stderr=subprocess.STDOUT)
            os.rename(text + ".gch", self.path + ".gch")
            os.rename(text, self.path)
        except (OSError, subprocess.CalledProcessError):
            return False
        finally:
            if text:
                _remove(text, text + ".gch")
        return True

    def _remove_leftovers(self):
        """Remove the files of processes that were killed: all with our prefix, because the caller has the lock.

        Files ``tmp*.hpp`` are of earlier versions of this module, which took no lock; those of an hour ago are removed.
        """
        folder = os.path.dirname(self.path)
        _remove(*glob.glob(os.path.join(glob.escape(folder), self.PREFIX + "*")))
        for path in glob.glob(os.path.join(glob.escape(os.path.dirname(folder)), "tmp*.hpp*")):
            with contextlib.suppress(OSError):
                if os.path.getmtime(path) < time.time() - 3600:
                    os.remove(path)


def _remove(*paths):
    for path in paths:
        with contextlib.suppress(OSError):
            os.remove(path)
