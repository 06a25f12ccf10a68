"""Train the runs of a table one after the other, each in its own process."""

import os
import signal
import subprocess
import sys

from .runs import FINISHED, command, environment, state

__all__ = ["run_all"]


def run_all(runs, root):
    """Train the runs that are not finished.

    Parameters
    ----------
    runs : list of Run
    root : str
        The root of all runs.

    Returns
    -------
    dict of str to int
        Exit statuses of the programs whose run is not finished, by the folder of the run.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C or SIGTERM; the run that was interrupted has saved its state.
    """
    failed = {}
    for number, run in enumerate(runs, 1):
        if state(run, root).name == FINISHED:
            continue
        sys.stdout.write("[%d/%d] %s\n" % (number, len(runs), run.folder))
        sys.stdout.flush()
        status = _call(command(run, root))
        if status or state(run, root).name != FINISHED:
            failed[run.folder] = status
    return failed


def _call(arguments):
    """Run a program in its own folder and return its exit status.

    Ctrl-C and SIGTERM are passed on as one SIGTERM, after which a training program saves its state and stops. The
    program has a session of its own: otherwise Ctrl-C would reach it a second time, from the terminal.
    """
    process = subprocess.Popen(arguments, env=environment(), cwd=os.path.dirname(arguments[1]),
                               start_new_session=True)
    interrupted = []

    def pass_on(number, frame):
        interrupted.append(number)
        process.terminate()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interrupted:
        raise KeyboardInterrupt
    return process.returncode
