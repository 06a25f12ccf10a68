"""Compile the modules of a Theano function at the same time, on all cores.

Theano compiles the modules of a function one after the other. At the first module that is not in the cache, this module
generates the source code of all others that are missing too, and starts their compilers. When Theano arrives at one of
them, it gets the finished library. Keys, source code, commands, messages of errors and the content of the cache are
those of Theano; a module whose compiler failed here is compiled again by Theano, which reports the error.
"""

import concurrent.futures
import contextlib
import hashlib
import io
import os
import shutil
import subprocess

from theano_rnn.errors import ReportedError
from theano_rnn.folder_lock import folder_lock

__all__ = ["compile_in_parallel", "module_identity", "module_paths"]

#: In Theano's cache: where modules are compiled, and the lock of the process that does so.
FOLDER, LOCK_FILE = "ahead", "ahead.lock"

#: The most compilers at the same time. Each takes up to 0.3 GB.
MOST = 16


def compile_in_parallel(processes):
    """Let Theano compile the modules of each function at the same time.

    The first process that compiles with a cache does so. Others that start meanwhile compile one module after the
    other, and find most in the cache.

    Parameters
    ----------
    processes : int
        The most compilers at the same time. With one, nothing is changed.
    """
    import theano
    from theano.gof import cmodule
    from theano.gof.vm import VM_Linker
    if processes < 2 or not theano.config.cxx:
        return
    make_all, run = VM_Linker.make_all, cmodule.output_subprocess_Popen

    def make_all_ahead(self, *arguments, **options):
        nodes = [] if self.c_thunks is False else self.schedule(self.fgraph)
        with _Compilers(nodes, min(processes, MOST)):
            return make_all(self, *arguments, **options)

    def run_or_wait(command, **options):
        compilers = _Compilers.of_function[-1] if _Compilers.of_function else None
        if compilers is None or not module_paths(command):
            return run(command, **options)
        return compilers.result(command) or run(command, **options)
    VM_Linker.make_all, cmodule.output_subprocess_Popen = make_all_ahead, run_or_wait


class _Started(BaseException):
    """The command of a module has been recorded. Not an Exception: Theano would report it as an error."""


class _Compilers(object):
    """Compilers of the modules of a function: a context manager, in which Theano compiles the function.

    Parameters
    ----------
    nodes : list of Theano nodes
        The operations of the function, in the order in which Theano compiles them.
    processes : int
    """

    #: The functions that are being compiled: a function with a loop contains the function of its body.
    of_function = []

    def __init__(self, nodes, processes):
        self._nodes, self._processes = nodes, processes
        self._jobs, self._running, self._recording = {}, set(), False
        self._resources = contextlib.ExitStack()

    def __enter__(self):
        self.of_function.append(self)
        return self

    def __exit__(self, *exception):
        self.of_function.pop()
        self._nodes = []
        for job, _ in self._jobs.values():
            job.cancel()
        for process in list(self._running):
            process.terminate()
        self._resources.close()

    def result(self, command):
        """Return output, errors and exit status of a compiler's command, when its library is in place.

        Returns
        -------
        tuple of (bytes, bytes, int), or None if the command must be run
        """
        source, library = module_paths(command)
        name = module_identity(command, source)
        if self._recording:
            self._start(name, command, library)
            raise _Started
        self._start_all()
        job, built = self._jobs.pop(name, (None, None))
        if job is None:
            return None
        output, errors, status = job.result()
        if status != 0:
            return None
        os.rename(built, library)
        return output, errors, status

    def _start_all(self):
        """Start the compilers of all modules that are not in the cache: once, and if no other process does so."""
        import theano
        nodes, self._nodes = self._nodes, []
        if len(nodes) < 2 or not self._take_turn():
            return
        folder = os.path.join(theano.config.compiledir, FOLDER)
        shutil.rmtree(folder, ignore_errors=True)                       # of a process that was killed
        self._resources.callback(shutil.rmtree, folder, ignore_errors=True)
        self._pool = self._resources.enter_context(concurrent.futures.ThreadPoolExecutor(self._processes))
        self._recording = True
        try:
            for number, node in enumerate(nodes):
                # Operations that cannot be compiled, or have no C code, are left to Theano.
                with contextlib.suppress(Exception):
                    _compile(node, os.path.join(folder, str(number)))
        finally:
            self._recording = False

    def _take_turn(self):
        import theano
        try:
            self._resources.enter_context(folder_lock(
                os.path.join(theano.config.compiledir, LOCK_FILE), "the compile cache", "wait", patience=0))
        except ReportedError:
            return False
        return True

    def _start(self, name, command, library):
        if name not in self._jobs:
            self._jobs[name] = self._pool.submit(self._run, command), library

    def _run(self, command):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._running.add(process)
        try:
            return process.communicate() + (process.returncode,)
        finally:
            self._running.discard(process)


def _compile(node, folder):
    """Let Theano compile the module of a node, if it is not in the cache, up to the command of the compiler."""
    from theano.gof import FunctionGraph
    from theano.gof.cc import CLinker, get_module_cache
    from theano.gof.cmodule import get_module_hash
    node.op.prepare_node(node, storage_map=None, compute_map=None, impl="c")
    linker = CLinker().accept(FunctionGraph(node.inputs, node.outputs), no_recycling=[])
    key, cache = linker.cmodule_key(), get_module_cache()
    if key in cache.entry_from_key or get_module_hash(linker.get_src_code(), key) in cache.module_hash_to_key_data:
        return
    os.makedirs(folder)
    with contextlib.suppress(_Started):
        linker.compile_cmodule(folder)


def module_paths(command):
    """Return the paths of source and library in a command that compiles a module; None for another command."""
    if "-shared" not in command or "-o" not in command:
        return None
    position = command.index("-o")
    return command[position + 2], command[position + 1]


def module_identity(command, source):
    """Return a digest that two commands share exactly if they compile the same module, also in different folders: str.

    Parameters
    ----------
    command : list of str
        A command of which `module_paths` returns the paths.
    source : str
        Path of the source.
    """
    with io.open(source, "rb") as f:
        text = f.read()
    paths = module_paths(command)
    flags = [part for part in command if part not in paths]
    return hashlib.sha1("\n".join(flags).encode("utf-8", "surrogateescape") + text).hexdigest()
