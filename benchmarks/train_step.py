"""Seconds per training step at the published shapes, what they are spent on, minutes per epoch, peak memory.

    python benchmarks/train_step.py IMDB LLLCCL
    python benchmarks/train_step.py Word_PTB LCCL --cold --json step.json
    python benchmarks/train_step.py language_modeling sparse-1725 --set bptt=35

Generated minibatches of the published shapes; no data is needed. The parts are measured in the same process, by
Theano's profiler, on a second function whose profiling costs a few per cent.
"""

import atexit
import os
import shutil
import statistics
import tempfile
from collections import OrderedDict

from benchmarks.command_line import add_network_options, new_parser
from benchmarks.measure import Results, peak_memory, process_age, timed
from benchmarks.networks import TOKENS, experiment_settings, minibatches_per_epoch, training_run
from benchmarks.report import table
from theano_rnn.errors import reported_errors
from theano_rnn.runtime import configuration

WARM_UP_STEPS, PROFILED_STEPS = 2, 5

PARTS = OrderedDict([
    ("recurrence", ("LSTMRecurrence", "LSTMRecurrenceGradient", "Scan")),
    ("products", ("Dot22", "Dot22Scalar", "Gemm", "Gemv", "CGemv", "Ger", "BatchedDot")),
    ("softmax", ("SoftmaxCrossEntropy", "SoftmaxCrossEntropyGradient", "Softmax", "SoftmaxGrad")),
    ("KL, Adam", ("VariationalNorms", "VariationalAdam")),
    ("noise", ("mrg_uniform", "MRGNormal", "_RandomBits")),
    ("look-ups", ("Gather", "GatherGradient", "AdvancedSubtensor1", "AdvancedIncSubtensor1", "AdvancedSubtensor",
                  "AdvancedIncSubtensor", "Unique", "Subtensor", "IncSubtensor")),
    ("elementwise", ("Elemwise", "Sum", "CAReduce", "Alloc", "DimShuffle", "MaxAndArgmax")),
    ("other", ())])


def main():
    """The command line."""
    parser = new_parser(__doc__)
    add_network_options(parser)
    parser.add_argument("--steps", type=int, default=20, help="measured steps, after %d more" % WARM_UP_STEPS)
    parser.add_argument("--tokens", choices=TOKENS, default="uniform",
                        help="uniform: as many distinct words as can be (as the peers do); zipf: as text has them")
    parser.add_argument("--cold", action="store_true", help="compile into an empty folder, as on a first start")
    arguments = parser.parse_args()
    with reported_errors():
        if arguments.cold:
            use_empty_cache()
        figures, parts = measure(arguments)
        report(arguments, figures, parts)


def use_empty_cache():
    """Let Theano compile into a folder that lasts as long as the process."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)      # before Theano's own, so run after it
    os.environ["THEANO_FLAGS"] = "base_compiledir=%s,%s" % (folder, os.environ.get("THEANO_FLAGS", ""))


def measure(arguments):
    """All figures, and mean seconds per step by part: two OrderedDicts."""
    _, settings = experiment_settings(arguments.name, arguments.config, arguments.set)
    configuration.configure()
    from theano_rnn.ops.backend import select_backend
    job, step = training_run(arguments.name, arguments.config, arguments.tokens, arguments.set)
    step()
    figures = OrderedDict([("cold", arguments.cold), ("first_step_seconds", process_age())])
    seconds = timed(step, arguments.steps, WARM_UP_STEPS)
    figures["median_step_seconds"], figures["fastest_step_seconds"] = statistics.median(seconds), min(seconds)
    figures["minutes_per_epoch"] = (figures["median_step_seconds"]
                                    * minibatches_per_epoch(arguments.name, settings) / 60)
    figures["peak_memory_mb"] = peak_memory() / 1e6
    figures["implementation"] = select_backend()
    figures["threads"] = os.environ["OMP_NUM_THREADS"]
    parts = figures["parts"] = measure_parts(job, step)
    figures["step_seconds"] = seconds
    return figures, parts


def measure_parts(job, step):
    """Mean seconds per step of each group of operations, by Theano's profiler: OrderedDict."""
    function = job.compile(profile=True)
    timed(step, PROFILED_STEPS)
    total = OrderedDict.fromkeys(PARTS, 0.)
    for node, spent in function.profile.apply_time.items():
        names = operation_names(node.op)
        part = next((part for part, members in PARTS.items() if names & set(members)), "other")
        total[part] += spent / PROFILED_STEPS
    return total


def operation_names(operation):
    """Of an operation, of the scalar one that it applies, and of those that were fused into that: set of str."""
    scalar_operation = getattr(operation, "scalar_op", None)
    fused = getattr(scalar_operation, "fgraph", None)
    operations = [operation, scalar_operation] + ([node.op for node in fused.apply_nodes] if fused else [])
    return {type(operation).__name__ for operation in operations}


def report(arguments, figures, parts):
    """Print tables, and record the figures."""
    words = [arguments.name, arguments.config, arguments.tokens] + arguments.set + ["cold"] * arguments.cold
    Results(arguments.json).record("train_step", " ".join(words), figures)
    print(table("train_step", {" ".join(words): figures}) + "\n")
    total = sum(parts.values())
    for part, seconds in parts.items():
        print("  %-12s %.3f s  %3.0f %%" % (part, seconds, 100 * seconds / total))


if __name__ == "__main__":
    main()
