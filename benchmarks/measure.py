"""What the benchmarks share: timing in turn, processes of their own, peak memory, the machine, the file of results."""

import ctypes
import json
import multiprocessing
import os
import platform
import subprocess
import time
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor

from theano_rnn.npz_store import write_atomically

__all__ = ["ROOT", "timed", "in_turn", "StepInOwnProcess", "in_own_process", "peak_memory", "process_age", "machine",
           "Results"]

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def timed(step, count=1, warm_up=0):
    """Seconds of each of `count` calls, after `warm_up` more: list of float."""
    seconds = []
    for _ in range(warm_up + count):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return seconds[warm_up:]


def in_turn(contestants, rounds, count):
    """Let each contestant measure, one after the other, again and again: what slows the machine down meets all.

    Parameters
    ----------
    contestants : dict of str to callable
        Each takes `count`, the steps to measure, and returns a list of figures.
    rounds, count : int

    Returns
    -------
    OrderedDict of str to list
        The figures of all rounds.
    """
    figures = OrderedDict((name, []) for name in contestants)
    for _ in range(rounds):
        for name, contestant in contestants.items():
            figures[name] += contestant(count)
    return figures


# -- processes ---------------------------------------------------------------------------------------------------------

class StepInOwnProcess(object):
    """A function that runs in a process of its own, which waits while others are measured. It is a contestant.

    Parameters
    ----------
    make : callable
        Makes the function, in the new process; defined at the top of a module.
    *arguments
        Its arguments.

    Examples
    --------
    >>> from benchmarks.networks import training_step
    >>> step = StepInOwnProcess(training_step, "Word_PTB", "LCCL")      # doctest: +SKIP
    >>> step(5)                                                         # doctest: +SKIP
    [0.131, 0.129, 0.13, 0.131, 0.129]
    """

    WARM_UP_STEPS = 2

    def __init__(self, make, *arguments):
        self._pool = _own_pool()
        self._pool.submit(_make_step, make, arguments).result()
        self._pool.submit(_time_step, self.WARM_UP_STEPS).result()

    def __call__(self, count):
        """Seconds of each of `count` calls, after one that does not count."""
        return self._pool.submit(_time_step, count).result()

    def close(self):
        """End the process; returns its peak memory in bytes."""
        peak = self._pool.submit(peak_memory).result()
        self._pool.shutdown()
        return peak


def in_own_process(function, *arguments):
    """What a function returns, called in a fresh process."""
    with _own_pool() as pool:
        return pool.submit(function, *arguments).result()


def _own_pool():
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


_made = {}          # in a process of StepInOwnProcess: its function


def _make_step(make, arguments):
    _made["step"] = make(*arguments)


def _time_step(count):
    return timed(_made["step"], count, warm_up=1)


# -- what the system knows ---------------------------------------------------------------------------------------------

def peak_memory():
    """The most memory that was resident in this process so far: bytes."""
    with open("/proc/self/status") as stream:
        return next(1024 * int(line.split()[1]) for line in stream if line.startswith("VmHWM"))


def process_age():
    """Seconds since this process was started, the start of the interpreter included."""
    with open("/proc/self/stat") as stream:
        start = int(stream.read().rpartition(")")[2].split()[19])               # field 22, in clock ticks since boot
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start / float(os.sysconf("SC_CLK_TCK"))


def machine():
    """What was measured on, and with: OrderedDict. Theano must be configured."""
    import theano_rnn.lasagne_compat  # noqa: F401  (without it, versions() cannot import Lasagne)
    from Experiments.shared.run_folder import versions
    with open("/proc/cpuinfo") as stream:
        model = next((line.split(":")[1].strip() for line in stream if line.startswith("model name")), "unknown")
    found = OrderedDict([
        ("processor", model), ("cores", len(os.sched_getaffinity(0))),
        ("memory_gb", round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)),
        ("kernel", platform.release()), ("openblas", _openblas()),
        ("openblas_coretype", os.environ.get("OPENBLAS_CORETYPE", "automatic")),
        ("compiler", _compiler())])
    found.update(versions())
    return found


def _compiler():
    try:
        return subprocess.check_output(["g++", "--version"]).decode().split("\n")[0]
    except OSError:
        return "none"


def _openblas():
    """What OpenBLAS, which Theano's products call, says about itself."""
    try:
        config = ctypes.CDLL("libopenblas.so.0").openblas_get_config
    except OSError:
        return "unknown"
    config.restype = ctypes.c_char_p
    return config().decode().strip()


# -- results -----------------------------------------------------------------------------------------------------------

class Results(object):
    """Figures by part and name, in a JSON file that is written anew after each of them: an interruption loses none.

    Parameters
    ----------
    path : str, optional
        It may hold figures already. Without it, nothing is written.

    Attributes
    ----------
    parts : OrderedDict of str to OrderedDict
        Part to name to figures (a dict), in the order in which they were measured.
    """

    def __init__(self, path=None):
        self.path, self.parts = path, OrderedDict()
        if path and os.path.exists(path):
            with open(path) as stream:
                self.parts = json.load(stream, object_pairs_hook=OrderedDict)["parts"]

    def record(self, part, name, figures):
        """Add figures, or replace those of that name."""
        found = machine()
        self.parts.setdefault(part, OrderedDict())[name] = OrderedDict(figures, git_commit=found["git_commit"])
        if self.path:
            content = OrderedDict([("machine", found), ("parts", self.parts)])
            write_atomically(self.path, json.dumps(content, indent=1) + "\n")
