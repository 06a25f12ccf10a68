"""Run the command line of an experiment, as its ``main.py`` does, on the device in THEANO_FLAGS, in a separate process.

    python tests/cuda/experiment.py NAME LIBRARIES [ARGUMENT ...]

The libraries, separated by colons, are loaded before anything else. If the environment variable COPY_TO is a folder,
the run is copied to it at one moment of its second epoch, as a killed process would leave it.
"""

import importlib
import os
import shutil
import sys

from run_scripts import begin

#: Epoch and number of the minibatch.
MOMENT = (2, 3)


def copy_at_the_moment(folder):
    """Let the training loop copy the folder of its run."""
    from Experiments.shared.tasks.base import Task
    after_step = Task.after_step

    def copied_after_step(task, run, progress):
        after_step(task, run, progress)
        if (progress.epoch, progress.minibatch) == MOMENT:
            shutil.copytree(run.path, folder)
    Task.after_step = copied_after_step


def main(name, libraries, *arguments):
    """Run the command line."""
    begin(libraries.split(":"))
    from Experiments.shared import cli
    if "COPY_TO" in os.environ:
        copy_at_the_moment(os.environ["COPY_TO"])
    cli.main(importlib.import_module("Experiments.%s.main" % name).EXPERIMENT, list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
