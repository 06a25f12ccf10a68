"""Real programs that are killed at random moments and resumed: one after the other, or side by side."""

import collections
import os
import random
import shutil
import signal
import threading
import time

from helpers import running

__all__ = ["kill_programs", "soak", "Killed"]

#: Of a program: kills; runs that were finished; those with the same bits as the reference; processes that ended with
#: another status than 0 or the signal, and their messages.
Killed = collections.namedtuple("Killed", ["kills", "runs", "identical", "stopped"])


class _Runs(object):
    """Runs of one program in real processes, each compared with a reference that nothing interrupts.

    Parameters
    ----------
    world : World
    program : str
    folder : str
    seed : int
        The seed of the training.
    """

    def __init__(self, world, program, folder, seed=0):
        self.world, self.program, self.folder, self._seed = world, program, folder, seed
        self.reference, self.kills, self.runs, self.identical, self.stopped = None, 0, 0, 0, []

    def train_reference(self):
        """Train the reference; return the seconds that it takes."""
        began = time.time()
        out = os.path.join(self.folder, "reference")
        status, _, errors = running.wait(self.start(out))
        assert status == 0, errors
        self.reference = out
        return time.time() - began

    def start(self, out):
        """Start or resume a run; return the process."""
        resume = self.world.experiment(self.program).dialect.resume
        more = [resume] if os.path.exists(os.path.join(out, "config.json")) else []
        return running.start(running.script(self.program), self.world.arguments(
            self.program, out, "--seed", self._seed, *more))

    def kill_until(self, done, moment):
        """Kill and resume runs until a function returns true; then finish the last one.

        Parameters
        ----------
        done : callable
            Takes the number of kills.
        moment : callable
            Returns the seconds until the next kill.
        """
        out = self._new()
        while True:
            process = self.start(out)
            if not done(self.kills):
                killer = threading.Timer(moment(), process.send_signal, [signal.SIGKILL])
                killer.start()
                status, _, errors = running.wait(process)
                killer.cancel()
            else:
                status, _, errors = running.wait(process)
            if status == -signal.SIGKILL:
                self.kills += 1
                continue
            if status == 0:
                self._compare(out)
            else:
                self.stopped.append("status %s: %s" % (status, errors.strip()[-300:]))
            if done(self.kills):
                return self.result()
            out = self._new()

    def result(self):
        """Return the `Killed`."""
        return Killed(self.kills, self.runs, self.identical, self.stopped)

    def _new(self):
        return os.path.join(self.folder, "run-%d" % (self.runs + len(self.stopped) + 1))

    def _compare(self, out):
        self.runs += 1
        try:
            running.assert_same_end(out, self.reference)
            self.identical += 1
        except AssertionError as error:
            self.stopped.append("not identical: %s" % str(error)[:300])
        shutil.rmtree(out)


def kill_programs(world, seed, programs, count):
    """Kill each program a number of times at random moments, from its start to its end; yield name and `Killed`."""
    for program in programs:
        generator = random.Random("%s %s" % (seed, program))
        runs = _Runs(world, program, os.path.join(world.folder, "kills", program))
        os.makedirs(runs.folder)
        seconds = runs.train_reference()
        yield program, runs.kill_until(lambda kills: kills >= count, lambda seconds=seconds, generator=generator:
                                       1.1 * seconds * generator.random())


def soak(world, seed, minutes, count=4, program="IMDB"):
    """Train runs side by side, on one compile cache and one data folder, killed and resumed for some minutes.

    They have different seeds. The references are trained first, and are not interrupted.

    Returns
    -------
    list of (str, Killed)
    """
    runs = []
    for number in range(count):
        runs.append(_Runs(world, program, os.path.join(world.folder, "soak", str(number)), seed=number))
        os.makedirs(runs[-1].folder)
        seconds = runs[-1].train_reference()
    until = time.time() + 60 * minutes
    threads = []
    for number, one in enumerate(runs):
        generator = random.Random("%s %d" % (seed, number))
        threads.append(threading.Thread(target=one.kill_until, args=(
            lambda kills: time.time() > until, lambda generator=generator: 2 * seconds * generator.random())))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return [("%s, seed %d" % (program, number), one.result()) for number, one in enumerate(runs)]
