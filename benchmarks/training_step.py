"""Seconds per training step at the published shapes on any device, seconds per epoch, start, memory; or a profile.

    python benchmarks/training_step.py IMDB LLLCCL
    python benchmarks/training_step.py Word_PTB LCCL --cold --json step.json
    python benchmarks/training_step.py language_modeling sparse-1725 --set bptt=35 --profile
    CUDA_LAUNCH_BLOCKING=1 python benchmarks/training_step.py IMDB LLLCCL --device cuda --profile

The step is the whole of task.step(minibatch) as training calls it, on generated minibatches. It ends when the loss is
on the host. --profile reports instead the time of each group and class of operations, measured by Theano's profiler. A
GPU runs asynchronously: without CUDA_LAUNCH_BLOCKING=1 a profile shows the time of the host, and an operation that
fetches a result also waits for all earlier ones.
"""

import atexit
import os
import shutil
import statistics
import tempfile
from collections import Counter, OrderedDict

from theano_rnn.runtime.flags import flag

from benchmarks.command_line import (
    add_device_option,
    add_network_options,
    add_tokens_option,
    new_parser,
    run_configured,
)
from benchmarks.report import table
from benchmarks.results_file import Results
from benchmarks.timing import peak_memory, process_age, timed
from benchmarks.training_runs import experiment_settings, minibatches_per_epoch, training_run

__all__ = ["PUBLISHED_SECONDS", "GROUPS", "GpuMemory", "measure", "profile", "operations", "seconds_by"]

WARM_UP_STEPS, PROFILED_STEPS = 5, 10
PRINTED_CLASSES, PRINTED_OPERATIONS = 15, 8

#: Seconds per epoch on the authors' GPU of 2018: the medians of train_seconds in the published logs. For the AWD-LSTM
#: there are none.
PUBLISHED_SECONDS = {("IMDB", "LLLCCL"): 20.4, ("AGNews", "LLLCCL"): 113.6, ("Char_PTB", "LCCL"): 121.2,
                     ("Word_PTB", "LCCL"): 74.6}

#: Group to classes of operations; on a GPU, the names begin with Gpu.
GROUPS = OrderedDict([
    ("recurrence", ("LSTMRecurrence", "LSTMRecurrenceGradient", "Scan")),
    ("products", ("Dot22", "Dot22Scalar", "Gemm", "Gemv", "CGemv", "Ger", "BatchedDot")),
    ("softmax", ("SoftmaxCrossEntropy", "SoftmaxCrossEntropyGradient", "Softmax", "SoftmaxGrad")),
    ("KL, Adam", ("VariationalNorms", "VariationalAdam")),
    ("noise", ("mrg_uniform", "MRGNormal", "_RandomBits")),
    ("look-ups", ("Gather", "GatherGradient", "AdvancedSubtensor1", "AdvancedIncSubtensor1", "AdvancedSubtensor",
                  "AdvancedIncSubtensor", "UniqueWithInverse", "Subtensor", "IncSubtensor")),
    ("elementwise", ("Elemwise", "Sum", "CAReduce", "Alloc", "DimShuffle", "MaxAndArgmax")),
    ("other", ())])


def main():
    """Run the command line."""
    parser = new_parser(__doc__)
    add_network_options(parser)
    add_device_option(parser)
    add_tokens_option(parser)
    parser.add_argument("--steps", type=int, default=20, help="measured steps, after %d others" % (1 + WARM_UP_STEPS))
    parser.add_argument("--cold", action="store_true", help="compile into an empty folder, as after installation")
    parser.add_argument("--profile", action="store_true", help="report the time of each kind of operation instead")
    run_configured(parser, run, prepare=lambda arguments: arguments.cold and use_empty_cache())


def run(arguments):
    """Measure, print and record."""
    name = " ".join([arguments.name, arguments.config] + ["zipf"] * (arguments.tokens == "zipf") + arguments.set
                    + ["cold"] * arguments.cold)
    results = Results(arguments.json)
    if arguments.profile:
        figures = profile(arguments)
        results.record("profile", name, figures)
        print_profile(name, figures)
    else:
        figures = measure(arguments)
        results.record("training_step", name, figures)
        print(table("training_step", {name: figures}))


def use_empty_cache():
    """Let Theano compile into a new folder, which is removed at the end of the process."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["THEANO_FLAGS"] = "%s,%s" % (flag("base_compiledir", folder), os.environ.get("THEANO_FLAGS", ""))


def measure(arguments):
    """Return the figures of the step: OrderedDict."""
    from theano_rnn.ops.backend import select_backend
    memory = GpuMemory()
    task, step = training_run(arguments.name, arguments.config, arguments.tokens, arguments.set)
    started = process_age()
    function = task.compile()
    compiled = process_age()
    step()
    first_step = process_age()
    seconds = timed(step, arguments.steps, WARM_UP_STEPS)
    _, settings = experiment_settings(arguments.name, arguments.config, arguments.set)
    minibatches = minibatches_per_epoch(arguments.name, settings)
    figures = OrderedDict([
        ("device", memory.device), ("cold", arguments.cold), ("median_step_seconds", statistics.median(seconds)),
        ("fastest_step_seconds", min(seconds)), ("minibatches_per_epoch", minibatches)])
    figures["epoch_seconds"] = figures["median_step_seconds"] * minibatches
    figures["compile_seconds"], figures["first_step_seconds"] = compiled - started, first_step
    figures["device_memory_mb"], figures["host_memory_mb"] = memory.taken_mb(), peak_memory() / 1e6
    published = PUBLISHED_SECONDS.get((arguments.name, arguments.config))
    if published and not arguments.set:
        figures["published_epoch_seconds"] = published
        figures["to_published"] = figures["epoch_seconds"] / published
    if hasattr(function, "maker"):              # not a Python function that calls several compiled ones
        outside, inside = operations(function)
        figures["operations"], figures["loop_operations"] = sum(outside.values()), sum(inside.values())
        figures["operation_classes"], figures["loop_classes"] = outside, inside
    figures["backend"], figures["threads"] = select_backend(serves_gpu=True), os.environ["OMP_NUM_THREADS"]
    figures["step_seconds"] = seconds
    return figures


class GpuMemory(object):
    """Memory of Theano's GPU that is taken after this object is created.

    The number is from the driver and includes other processes.

    Attributes
    ----------
    device : str
        Name of the GPU, or ``cpu``.
    """

    def __init__(self):
        import theano
        self._context, self.device = None, "cpu"
        if theano.config.device.startswith("cuda"):
            from theano.gpuarray.type import get_context
            self._context = get_context(None)
            name = self._context.devname
            self.device = name.decode() if isinstance(name, bytes) else name
            self._free = self._context.free_gmem

    def taken_mb(self):
        """Return the MB taken by parameters, minibatches, intermediate results and kernels; None on the CPU.

        libgpuarray does not return memory to the driver, so this is the maximum so far.
        """
        return (self._free - self._context.free_gmem) / 1e6 if self._context else None


def operations(function):
    """Count the operations of a compiled function by class.

    Returns
    -------
    outside, inside : OrderedDict of str to int
        Of the function, and of the bodies of its loops (`theano.scan`).
    """
    outside, inside = Counter(), Counter()
    for node in function.maker.fgraph.apply_nodes:
        outside[type(node.op).__name__] += 1
        body = getattr(getattr(node.op, "fn", None), "maker", None)
        if body:
            inside.update(type(node.op).__name__ for node in body.fgraph.apply_nodes)
    return OrderedDict(outside.most_common()), OrderedDict(inside.most_common())


def profile(arguments):
    """Return the mean seconds per step, in total and by group, class and single operation: OrderedDict."""
    task, step = training_run(arguments.name, arguments.config, arguments.tokens, arguments.set)
    function = task.compile(profile=True)
    timed(step, 1, WARM_UP_STEPS)
    for spent in (function.profile.apply_time, function.profile.apply_callcount):
        spent.clear()
    seconds = timed(step, PROFILED_STEPS)
    spent = OrderedDict((node, total / PROFILED_STEPS) for node, total in function.profile.apply_time.items())
    largest = sorted(spent, key=spent.get, reverse=True)[:PRINTED_OPERATIONS]
    groups = seconds_by(group_of, spent)
    return OrderedDict([
        ("blocking", os.environ.get("CUDA_LAUNCH_BLOCKING") == "1"), ("step_seconds", statistics.mean(seconds)),
        ("parts", OrderedDict((group, groups.get(group, 0.)) for group in GROUPS)),
        ("classes", seconds_by(class_of, spent)), ("counts", operations(function)[0]),
        ("largest", [["%s -> %s" % (node.op, node.outputs[0].type), spent[node]] for node in largest])])


def seconds_by(key, spent):
    """Sum seconds by the key of an operation.

    Parameters
    ----------
    key : callable
        Maps an operation to text, for example `class_of` or `group_of`.
    spent : dict of Apply to float

    Returns
    -------
    OrderedDict
        From the largest to the smallest sum.
    """
    total = Counter()
    for node, seconds in spent.items():
        total[key(node.op)] += seconds
    return OrderedDict(total.most_common())


def class_of(operation):
    """Return the name of the class."""
    return type(operation).__name__


def group_of(operation):
    """Return the key of `GROUPS`. The scalar operations inside an elementwise one count, too."""
    scalar_operation = getattr(operation, "scalar_op", None)
    fused = getattr(scalar_operation, "fgraph", None)
    inner = [scalar_operation] + ([node.op for node in fused.apply_nodes] if fused else [])
    names = {class_of(each)[3:] if class_of(each).startswith("Gpu") else class_of(each) for each in [operation] + inner}
    return next((group for group, members in GROUPS.items() if names & set(members)), "other")


def print_profile(name, figures):
    """Print the groups, the largest classes and the largest single operations."""
    print("%s: %.4f s per step%s" % (name, figures["step_seconds"], ", launches blocking" * figures["blocking"]))
    classes = list(figures["classes"].items())
    others = sum(seconds for _, seconds in classes[PRINTED_CLASSES:])
    for rows in (list(figures["parts"].items()), classes[:PRINTED_CLASSES] + [("all others", others)]):
        print("")
        for key, seconds in rows:
            print("  %-36s %5s  %8.3f ms  %3.0f %%" % (key, figures["counts"].get(key, ""), 1000 * seconds,
                                                       100 * seconds / figures["step_seconds"]))
    print("")
    for operation, seconds in figures["largest"]:
        print("  %8.3f ms  %s" % (1000 * seconds, operation[:100]))


if __name__ == "__main__":
    main()
