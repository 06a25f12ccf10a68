"""Seconds per training step at the published shapes on any device, seconds per epoch, memory on the GPU and beside it.

    python benchmarks/gpu_step.py IMDB LLLCCL --device cuda
    CUDA_LAUNCH_BLOCKING=1 python benchmarks/gpu_step.py IMDB LLLCCL --device cuda --profile

The step is the whole of job.step(minibatch) as training calls it, on generated minibatches; it ends when the loss is
back on the host. --profile tells instead what a step is spent on, by class of operation. A GPU works while the host
goes on, so without CUDA_LAUNCH_BLOCKING=1 that is what the host spends, and who fetches a result pays for all before.
"""

import os
import statistics
from collections import Counter, OrderedDict

from benchmarks.command_line import add_network_options, new_parser, run_configured
from benchmarks.measure import Results, peak_memory, process_age, timed
from benchmarks.networks import TOKENS, experiment_settings, minibatches_per_epoch, training_run
from benchmarks.report import table
from Experiments.shared.options import add_device_option

__all__ = ["PUBLISHED_SECONDS", "GpuMemory", "operations", "seconds_by_class"]

WARM_UP_STEPS, PROFILED_STEPS = 5, 10
PROFILED_CLASSES, PROFILED_OPERATIONS = 15, 8           # printed

#: Seconds per epoch on the authors' GPU of 2018: medians of train_seconds in ../shared/published. Of the AWD-LSTM there
#: are none.
PUBLISHED_SECONDS = {("IMDB", "LLLCCL"): 20.4, ("AGNews", "LLLCCL"): 113.6, ("Char_PTB", "LCCL"): 121.2,
                     ("Word_PTB", "LCCL"): 74.6}


def main():
    """The command line."""
    parser = new_parser(__doc__)
    add_network_options(parser)
    add_device_option(parser)
    parser.add_argument("--steps", type=int, default=30, help="measured steps, after %d more" % (1 + WARM_UP_STEPS))
    parser.add_argument("--tokens", choices=TOKENS, default="uniform",
                        help="uniform: as many distinct words as can be (as the peers do); zipf: as text has them")
    parser.add_argument("--profile", action="store_true", help="what a step is spent on; nothing else")
    run_configured(parser, run)


def run(arguments):
    """Measure, print, record."""
    name = " ".join([arguments.name, arguments.config] + arguments.set + ["zipf"] * (arguments.tokens == "zipf"))
    if arguments.profile:
        figures = profile(arguments)
        Results(arguments.json).record("profile", name, figures)
        print_profile(name, figures)
    else:
        figures = measure(arguments)
        Results(arguments.json).record("gpu_step", name, figures)
        print(table("gpu_step", {name: figures}))


def measure(arguments):
    """All figures of the step: OrderedDict."""
    from theano_rnn.ops.backend import select_backend
    memory = GpuMemory()
    job, step = training_run(arguments.name, arguments.config, arguments.tokens, arguments.set)
    started = process_age()
    function = job.compile()
    compiled = process_age()
    step()
    first_step = process_age()
    seconds = timed(step, arguments.steps, WARM_UP_STEPS)
    minibatches = minibatches_per_epoch(arguments.name,
                                        experiment_settings(arguments.name, arguments.config, arguments.set)[1])
    figures = OrderedDict([
        ("device", memory.device), ("median_step_seconds", statistics.median(seconds)),
        ("fastest_step_seconds", min(seconds)), ("minibatches_per_epoch", minibatches)])
    figures["epoch_seconds"] = figures["median_step_seconds"] * minibatches
    figures["compile_seconds"], figures["first_step_seconds"] = compiled - started, first_step
    figures["device_memory_mb"], figures["host_memory_mb"] = memory.taken_mb(), peak_memory() / 1e6
    published = PUBLISHED_SECONDS.get((arguments.name, arguments.config))
    if published and not arguments.set:
        figures["published_epoch_seconds"] = published
        figures["to_published"] = figures["epoch_seconds"] / published
    # Of a function that is made of several there are none.
    if hasattr(function, "maker"):
        outside, inside = operations(function)
        figures["operations"], figures["loop_operations"] = sum(outside.values()), sum(inside.values())
        figures["operation_classes"], figures["loop_classes"] = outside, inside
    figures["implementation"], figures["step_seconds"] = select_backend(serves_gpu=True), seconds
    return figures


class GpuMemory(object):
    """The memory of Theano's GPU that others have left free when this is made; on the CPU, nothing.

    What the driver says counts: for other processes of the same time, too.

    Attributes
    ----------
    device : str
        The GPU's name, or ``cpu``.
    """

    def __init__(self):
        import theano
        self._context, self.device = None, "cpu"
        if theano.config.device.startswith("cuda"):
            from theano.gpuarray.type import get_context
            self._context = get_context(None)
            self.device, self._free = _text(self._context.devname), self._context.free_gmem

    def taken_mb(self):
        """What was taken since, in MB, by parameters, minibatches, all that is in between, and kernels; or None.

        libgpuarray gives nothing back, so it is the most so far.
        """
        return (self._free - self._context.free_gmem) / 1e6 if self._context else None


def _text(name):
    return name.decode() if isinstance(name, bytes) else name


def operations(function):
    """How many operations of each class a compiled function has, and its loops, once each: two OrderedDicts."""
    outside, inside = Counter(), Counter()
    for node in function.maker.fgraph.apply_nodes:
        outside[type(node.op).__name__] += 1
        # A theano.scan: the function of its body.
        body = getattr(getattr(node.op, "fn", None), "maker", None)
        if body:
            inside.update(type(node.op).__name__ for node in body.fgraph.apply_nodes)
    return OrderedDict(outside.most_common()), OrderedDict(inside.most_common())


def profile(arguments):
    """Mean seconds per step, and of it each class's and the largest operations': OrderedDict."""
    job, step = training_run(arguments.name, arguments.config, arguments.tokens, arguments.set)
    function = job.compile(profile=True)
    timed(step, 1, WARM_UP_STEPS)
    for spent in (function.profile.apply_time, function.profile.apply_callcount):
        spent.clear()
    seconds = timed(step, PROFILED_STEPS)
    spent = function.profile.apply_time
    largest = sorted(spent, key=spent.get, reverse=True)[:PROFILED_OPERATIONS]
    return OrderedDict([
        ("blocking", os.environ.get("CUDA_LAUNCH_BLOCKING") == "1"), ("step_seconds", statistics.mean(seconds)),
        ("classes", seconds_by_class(spent, PROFILED_STEPS)), ("counts", operations(function)[0]),
        ("largest", [["%s -> %s" % (node.op, node.outputs[0].type), spent[node] / PROFILED_STEPS]
                     for node in largest])])


def seconds_by_class(spent, steps):
    """Mean seconds per step by class of operation, the largest first: OrderedDict.

    Parameters
    ----------
    spent : dict of Apply to float
        Seconds of all steps, as Theano's profiler has them.
    steps : int
    """
    total = Counter()
    for node, seconds in spent.items():
        total[type(node.op).__name__] += seconds / steps
    return OrderedDict(total.most_common())


def print_profile(name, figures):
    """Print the classes, and the single operations, that most is spent on."""
    print("%s: %.4f s per step, launches %s" % (name, figures["step_seconds"],
                                               "blocking" if figures["blocking"] else "not blocking: the host's time"))
    classes = list(figures["classes"].items())
    left = sum(seconds for _, seconds in classes[PROFILED_CLASSES:])
    for operation, seconds in classes[:PROFILED_CLASSES] + [("all others", left)]:
        print("  %-36s %5s x  %8.3f ms  %3.0f %%" % (operation, figures["counts"].get(operation, ""), 1000 * seconds,
                                                   100 * seconds / figures["step_seconds"]))
    for operation, seconds in figures["largest"]:
        print("  %8.3f ms  %s" % (1000 * seconds, operation[:100]))


if __name__ == "__main__":
    main()
