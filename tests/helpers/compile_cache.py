"""Faults of the compile cache: programs that are killed, that start together, that are interrupted.

The functions return exit status, stdout and stderr of a program, and their descriptions say what these must be.
"""

import os
import random
import signal
import subprocess
import sys
import time

from helpers import running

__all__ = ["ODD", "PROGRAM", "RESULT", "start", "end", "kill_and_start_again", "start_together", "interrupt"]

#: A name of a folder that no shell and no list of flags splits rightly by accident.
ODD = u"a b'c\"d \u00e9"

#: A program with one fused operation and one of Theano, and what it prints.
PROGRAM = """
from theano_rnn.errors import reported_errors
from theano_rnn import interrupts
interrupts._is_program = lambda: True
interrupts.begin()
with reported_errors():
    from theano_rnn.runtime import configure
    configure()
    import theano, theano.tensor as T
    from theano_rnn.ops.gather import gather
    rows, index = T.matrix(), T.lmatrix()
    print(theano.function([rows, index], T.exp(gather(rows, index, backend="fused")))([[0]], [[0]]).tolist())
"""
RESULT = (0, "[[[1.0]]]\n", "")


def start(home, **environment):
    """Start the program; its compile cache is in a home directory."""
    variables = dict(os.environ, PYTHONPATH=running.ROOT, HOME=str(home), THEANO_FLAGS="", **environment)
    return subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=variables, start_new_session=True)


def end(process):
    """Return exit status, stdout and stderr of a program."""
    return running.wait(process)


def kill_and_start_again(home, seconds, group=True):
    """Kill the program after some seconds, with its compilers unless `group` is false; return the end of the next one.

    The end must be `RESULT`.
    """
    process = start(home)
    time.sleep(seconds)
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
    return end(start(home))


def start_together(home, count=2, within=1.):
    """Start several programs at random moments within some seconds; return their ends.

    They must be `RESULT`, with or without the line on waiting in stderr.
    """
    processes = []
    for _ in range(count):
        processes.append(start(home))
        time.sleep(random.random() * within / count)
    return [end(process) for process in processes]


def interrupt(home, seconds):
    """Send Ctrl-C to the program and its compilers after some seconds; return its end.

    It must be `RESULT`, or the exit status 130 with the line "interrupted".
    """
    process = start(home)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    return end(process)
