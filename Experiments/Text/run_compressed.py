"""Compress trained runs on own texts and compare the compressed network with the pruned one."""

from main import EXPERIMENT

from Experiments.shared.cli import run_compressed

if __name__ == "__main__":
    run_compressed(EXPERIMENT)
