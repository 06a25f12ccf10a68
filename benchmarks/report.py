"""Tables in Markdown from a file of results.

    python benchmarks/report.py benchmarks/results/2026-11-22.json
"""

import argparse
import json
from collections import OrderedDict

__all__ = ["TABLES", "table", "main"]

#: Part of the results to what its rows are, and columns: heading, key of the figures, format.
TABLES = OrderedDict([
    ("train_step", ("training step", [
        ("median (s)", "median_step_seconds", "%.3f"), ("fastest (s)", "fastest_step_seconds", "%.3f"),
        ("an epoch (minutes)", "minutes_per_epoch", "%.1f"), ("start to end of first step (s)", "first_step_seconds",
                                                              "%.1f"),
        ("peak memory (MB)", "peak_memory_mb", "%.0f")])),
    ("sparse_lstm", ("training step", [
        ("parameters", "parameters", "%d"), ("median (s)", "median_step_seconds", "%.3f"),
        ("fastest (s)", "fastest_step_seconds", "%.3f"), ("to dense-1150", "to dense-1150", "%.2f"),
        ("to dense-1725", "to dense-1725", "%.2f")])),
    ("peers", ("training step", [
        ("ours (s)", "ours", "%.3f"), ("theirs (s)", "theirs", "%.3f"), ("ratio", "ratio", "%.2f"),
        ("at most", "target", "%.2f"), ("met", "met", None), ("our peak memory (MB)", "peak_memory_mb", "%.0f")])),
    ("products", ("training step", [
        ("seconds", "ours", "%.3f"), ("products (GFLOP)", "gflop", "%.1f"), ("GFLOP/s", "gflop_per_second", "%.0f"),
        ("the machine's", "machine_gflop_per_second", "%.0f"), ("share (%)", "share", "%.0f"),
        ("at least", "target", "%.0f"), ("met", "met", None)])),
    ("predict", ("prediction", [
        ("NumPy, compressed", "numpy", "%.4g"), ("Theano, dense", "theano", "%.4g"),
        ("PyTorch, dense", "torch", "%.4g")])),
    ("scaling", ("IMDB LLLCCL", [
        ("median step (s)", "median_step_seconds", "%.3f"), ("peak memory (MB)", "peak_memory_mb", "%.0f")])),
    ("growth", ("against", [
        ("exponent", "exponent", "%.2f"), ("of the three largest", "exponent_of_largest", "%.2f"),
        ("of the arithmetic, at most", "arithmetic", "%d")])),
    ("memory", ("peak memory", [
        ("grows by (MB)", "growth_mb", "%.1f"), ("an array of words x texts would (MB)", "array_mb", "%.1f")])),
    ("gradients", ("first step, GPU against CPU", [
        ("largest error of a gradient", "gradient_error", "%.1e"), ("of", "worst_parameter", "%s"),
        ("at most", "target", "%.0e"), ("met", "met", None), ("error of the loss", "loss_error", "%.1e"),
        ("same random numbers", "same_noise", None)])),
    ("gpu_step", ("training step", [
        ("median (s)", "median_step_seconds", "%.4f"), ("fastest (s)", "fastest_step_seconds", "%.4f"),
        ("an epoch (s)", "epoch_seconds", "%.1f"), ("compilation (s)", "compile_seconds", "%.0f"),
        ("start to end of first step (s)", "first_step_seconds", "%.0f"),
        ("on the GPU (MB)", "device_memory_mb", "%.0f"), ("beside it (MB)", "host_memory_mb", "%.0f"),
        ("operations", "operations", "%d"), ("in loops", "loop_operations", "%d")])),
    ("gpu", ("training step on the GPU", [
        ("median (s)", "median_step_seconds", "%.4f"), ("an epoch (s)", "epoch_seconds", "%.1f"),
        ("published (s)", "published_epoch_seconds", "%.0f"), ("ratio", "to_published", "%.2f"),
        ("PyTorch, a step (s)", "torch_step_seconds", "%.4f"), ("ratio", "to_torch", "%.2f"),
        ("GPU memory (MB)", "device_memory_mb", "%.0f"), ("PyTorch's (MB)", "torch_memory_mb", "%.0f"),
        ("largest error of a gradient", "gradient_error", "%.1e")])),
])


def table(part, rows):
    """A table in Markdown.

    Parameters
    ----------
    part : str
        One of `TABLES`.
    rows : dict of str to dict
        Name to figures; what is missing stays empty.

    Returns
    -------
    str
    """
    what, columns = TABLES[part]
    lines = [[what] + [heading for heading, _, _ in columns], ["---"] * (1 + len(columns))]
    lines += [[name] + [_cell(figures.get(key), text) for _, key, text in columns] for name, figures in rows.items()]
    return "\n".join("| %s |" % " | ".join(line) for line in lines)


def _cell(value, text):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return text % value


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", help="what the benchmarks wrote with --json")
    with open(parser.parse_args(argv).file) as stream:
        content = json.load(stream, object_pairs_hook=OrderedDict)
    print("%(processor)s, %(cores)d cores, %(memory_gb)s GB, Linux %(kernel)s; %(openblas)s; %(compiler)s; "
          "Python %(python)s, NumPy %(numpy)s, Theano %(theano)s; commit %(git_commit)s" % content["machine"])
    for part, rows in content["parts"].items():
        print("\n## %s\n\n%s" % (part, table(part, rows)))


if __name__ == "__main__":
    main()
