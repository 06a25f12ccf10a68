"""The command line of the peer programs, the timing of their steps, and the report that they print.

The last line of standard output is a JSON object. `benchmarks/compare_with_peers.py` reads its ``step_seconds``; the
other entries are ``first_step_seconds`` (compilation included), ``first_loss``, ``last_loss``, ``library``, ``device``
and, on a GPU, ``device_memory_mb``.
"""

import argparse
import json
import time

__all__ = ["parser", "run_torch", "run_jax", "measure"]


def parser(description):
    """Return a parser with the options of all peers; STEPS is the last positional argument.

    Parameters
    ----------
    description : str

    Returns
    -------
    argparse.ArgumentParser
        A program adds its own positional arguments before it calls `run_torch` or `run_jax`.
    """
    created = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    created.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    created.add_argument("--warm-up", type=int, default=1, metavar="N", help="steps before the measured ones")
    created.add_argument("--as-is", action="store_true", help="PyTorch: compute with denormal numbers (slower)")
    return created


def run_torch(created, make_step):
    """Read the command line, configure PyTorch, measure the steps and print the report.

    Parameters
    ----------
    created : argparse.ArgumentParser
        From `parser`.
    make_step : callable
        Takes the parsed arguments, returns a function that trains for one step and returns the loss, a tensor.
    """
    import torch
    arguments = _parsed(created)
    torch.manual_seed(0)
    torch.set_flush_denormal(not arguments.as_is)
    # Single precision throughout, as in this project.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    report = measure(make_step(arguments), arguments, "torch " + torch.__version__)
    report["threads"] = torch.get_num_threads()
    if arguments.device == "cuda":
        report["device"] = torch.cuda.get_device_name()
        report["device_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
    print(json.dumps(report))


def run_jax(created, make_step):
    """Do the same as `run_torch` in JAX.

    Parameters
    ----------
    created : argparse.ArgumentParser
    make_step : callable
        Takes the parsed arguments, returns a function that trains for one step and returns the loss, an array.
    """
    import jax
    arguments = _parsed(created)
    jax.config.update("jax_platforms", arguments.device)
    jax.config.update("jax_default_prng_impl", "rbg")           # the fastest generator
    jax.config.update("jax_default_matmul_precision", "float32")
    report = measure(make_step(arguments), arguments, "jax " + jax.__version__)
    if arguments.device == "cuda":
        report["device"] = jax.devices()[0].device_kind
        report["device_memory_mb"] = jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 1e6
    print(json.dumps(report))


def _parsed(created):
    created.add_argument("steps", metavar="STEPS", type=int, nargs="?", default=5, help="measured steps (default: 5)")
    return created.parse_args()


def measure(step, arguments, library):
    """Call a step repeatedly and measure each call until its loss is on the host.

    Parameters
    ----------
    step : callable
    arguments : argparse.Namespace
        With ``steps``, ``warm_up`` and ``device``.
    library : str
        Name and version.

    Returns
    -------
    dict
        The report, without the entries for a GPU.
    """
    seconds, losses = [], []
    for _ in range(arguments.warm_up + arguments.steps):
        started = time.perf_counter()
        losses.append(float(step()))
        seconds.append(time.perf_counter() - started)
    return {"library": library, "device": arguments.device, "first_step_seconds": seconds[0],
            "first_loss": losses[0], "last_loss": losses[-1], "step_seconds": seconds[arguments.warm_up:]}
