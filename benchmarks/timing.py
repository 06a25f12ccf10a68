"""Timing: single calls, interleaved candidates, processes of their own, peak memory."""

import multiprocessing
import os
import subprocess
import time
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor

from theano_rnn.errors import ReportedError

__all__ = ["ROOT", "timed", "interleaved", "StepInOwnProcess", "in_own_process", "output_of", "why_unusable",
           "peak_memory", "process_age"]

#: The root of the repository.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def timed(step, count=1, warm_up=0):
    """Return the seconds of each of `count` calls after `warm_up` other calls: list of float."""
    seconds = []
    for _ in range(warm_up + count):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return seconds[warm_up:]


def interleaved(candidates, rounds, count):
    """Measure the candidates in turn, several times, so that disturbances affect all of them.

    Parameters
    ----------
    candidates : dict of str to callable
        Each takes `count`, the number of steps to measure, and returns a list of figures.
    rounds, count : int

    Returns
    -------
    OrderedDict of str to list
        The figures of all rounds.
    """
    figures = OrderedDict((name, []) for name in candidates)
    for _ in range(rounds):
        for name, candidate in candidates.items():
            figures[name] += candidate(count)
    return figures


# -- processes ---------------------------------------------------------------------------------------------------------

class StepInOwnProcess(object):
    """A candidate for `interleaved`: a function in its own process, which is idle while others are measured.

    Parameters
    ----------
    make : callable
        Returns the function. It is called in the new process and must be defined at the top level of a module.
    *arguments
        Arguments of `make`.

    Examples
    --------
    >>> from benchmarks.training_runs import training_step
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
        """Return the seconds of each of `count` calls, after one call that is not counted."""
        return self._pool.submit(_time_step, count).result()

    def close(self):
        """End the process and return its peak memory in bytes."""
        peak = self._pool.submit(peak_memory).result()
        self._pool.shutdown()
        return peak


def in_own_process(function, *arguments):
    """Return the result of a function called in a new process."""
    with _own_pool() as pool:
        return pool.submit(function, *arguments).result()


def _own_pool():
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


_made = {}          # the function of StepInOwnProcess, in its process


def _make_step(make, arguments):
    _made["step"] = make(*arguments)


def _time_step(count):
    return timed(_made["step"], count, warm_up=1)


def output_of(command, environment=None):
    """Return the standard output of a program; raise a `ReportedError` with its last error line if it fails."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                               env=environment)
    output, errors = process.communicate()
    if process.returncode:
        raise ReportedError("%s failed: %s" % (" ".join(command), (errors.strip() or "no message").split("\n")[-1]))
    return output


def why_unusable(python, *packages):
    """Return the reason why a Python interpreter cannot be used, or None.

    Parameters
    ----------
    python : str
        Path of the interpreter.
    *packages : str
        Names of packages that it must have.
    """
    if not os.path.exists(python):
        return "%s does not exist" % os.path.normpath(python)
    for package in packages:
        program = "import importlib.util, sys; sys.exit(importlib.util.find_spec(%r) is None)" % package
        if subprocess.call([python, "-c", program]):
            return "%s has no package %s" % (os.path.normpath(python), package)
    return None


# -- facts from the operating system -----------------------------------------------------------------------------------

def peak_memory():
    """Return the peak resident memory of this process in bytes."""
    with open("/proc/self/status") as stream:
        return next(1024 * int(line.split()[1]) for line in stream if line.startswith("VmHWM"))


def process_age():
    """Return the seconds since the start of this process, including the start of the interpreter."""
    with open("/proc/self/stat") as stream:
        start = int(stream.read().rpartition(")")[2].split()[19])               # field 22, in clock ticks since boot
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start / float(os.sysconf("SC_CLK_TCK"))
