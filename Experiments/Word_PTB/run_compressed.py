"""Compress trained Word_PTB runs and compare the small network with the pruned one."""

from Experiments.shared.command_line import run_compressed
from main import EXPERIMENT

if __name__ == "__main__":
    run_compressed(EXPERIMENT)
