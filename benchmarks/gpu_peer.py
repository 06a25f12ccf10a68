"""Run one of the peers' PyTorch programs, without a change of a line, on a GPU. With PyTorch's interpreter:

    PYTHONPATH=. python benchmarks/gpu_peer.py --json peers.json ../shared/peers/torch_sparse_vd.py LLLCCL 36

What it makes is made on the GPU, its clock waits for the GPU, and products are of float32, as ours (TF32 off). The
program prints milliseconds; the figures here are of the times that it kept, without the first step, as it does itself.
"""

import argparse
import json
import os
import runpy
import statistics
import sys
import time
from collections import OrderedDict

from benchmarks.measure import peak_memory
from theano_rnn.npz_store import write_atomically

__all__ = ["TIMES", "run_on_device", "kept_times"]

#: What the programs call their list of seconds per step.
TIMES = ("times", "ts")
#: Steps that are left out: the first, as the programs do, and a few more in which cuBLAS and cuDNN choose.
WARM_UP_STEPS = 5


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--name", help="in the file; default: the program and its arguments")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("program", metavar="PROGRAM")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the program; the last is the number of steps")
    arguments = parser.parse_args()
    figures = run_on_device([arguments.program] + arguments.arguments, arguments.device)
    name = arguments.name or " ".join([os.path.basename(arguments.program)] + arguments.arguments)
    if arguments.json:
        write_atomically(arguments.json, json.dumps({"parts": {"gpu_peer": {name: figures}}}, indent=1) + "\n")
    print("%s: %.2f ms per step%s" % (name, 1000 * figures["torch_step_seconds"], (
        "" if arguments.device == "cpu" else ", %.0f MB on the GPU" % figures["torch_memory_mb"])))


def run_on_device(command, device):
    """Run a program and measure it.

    Parameters
    ----------
    command : list of str
        The program and its arguments.
    device : {"cuda", "cpu"}

    Returns
    -------
    OrderedDict
        The figures.
    """
    import torch
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if device == "cuda":
        # torch.set_default_device does the same, but by way of Python in every call: milliseconds of each step.
        torch.set_default_tensor_type(torch.cuda.FloatTensor)
        clock = time.time

        def synchronised():
            torch.cuda.synchronize()
            return clock()
        time.time = synchronised
    else:
        torch.set_flush_denormal(True)
    before, sys.argv = sys.argv, list(command)
    try:
        seconds = kept_times(runpy.run_path(command[0], run_name="__main__"), command[0])
    finally:
        sys.argv = before
        if device == "cuda":
            time.time = clock
    figures = OrderedDict([("program", " ".join([os.path.basename(command[0])] + command[1:])),
                           ("torch", torch.__version__), ("device", device),
                           ("torch_step_seconds", statistics.median(seconds)), ("torch_fastest_seconds", min(seconds))])
    if device == "cuda":
        figures["device"] = torch.cuda.get_device_name()
        figures["torch_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
        figures["torch_reserved_mb"] = torch.cuda.max_memory_reserved() / 1e6
    figures["host_memory_mb"], figures["step_seconds"] = peak_memory() / 1e6, seconds
    return figures


def kept_times(names, program):
    """The seconds of each step after the warm-up, from what a program left behind.

    Parameters
    ----------
    names : dict
        Its global names.
    program : str
        For the message.
    """
    found = next((names[name] for name in TIMES if isinstance(names.get(name), list)), [])
    if len(found) <= WARM_UP_STEPS:
        raise SystemExit("error: %s kept the times of %d steps in %s, expected more than %d: give it more steps"
                         % (program, len(found), " or ".join(TIMES), WARM_UP_STEPS))
    return found[WARM_UP_STEPS:]


if __name__ == "__main__":
    main()
