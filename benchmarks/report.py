"""Markdown tables of benchmark results: of one JSON file, or of all JSON files in a folder.

python benchmarks/report.py benchmarks/results/2026-11-22.json
python benchmarks/report.py benchmarks/results/gpu-2026-11-22
"""

import argparse
import glob
import json
import os
from collections import OrderedDict

__all__ = ["TABLES", "table", "read_results", "gpu_rows", "main"]

#: Part of the results to the heading of its rows, and columns: heading, key of the figures, format.
TABLES = OrderedDict([
    ("training_step", ("training step", [
        ("device", "device", "%s"), ("median (s)", "median_step_seconds", "%.4f"),
        ("fastest (s)", "fastest_step_seconds", "%.4f"), ("an epoch (s)", "epoch_seconds", "%.1f"),
        ("an epoch (minutes)", "minutes_per_epoch", "%.1f"), ("compilation (s)", "compile_seconds", "%.0f"),
        ("start to end of first step (s)", "first_step_seconds", "%.1f"),
        ("GPU memory (MB)", "device_memory_mb", "%.0f"), ("host memory (MB)", "host_memory_mb", "%.0f"),
        ("peak memory (MB)", "peak_memory_mb", "%.0f"), ("operations", "operations", "%d"),
        ("in loops", "loop_operations", "%d")])),
    ("sparse_lstm", ("training step", [
        ("parameters", "parameters", "%d"), ("median (s)", "median_step_seconds", "%.3f"),
        ("fastest (s)", "fastest_step_seconds", "%.3f"), ("to dense-1150", "to dense-1150", "%.2f"),
        ("to dense-1725", "to dense-1725", "%.2f")])),
    ("peers", ("training step", [
        ("device", "device", "%s"), ("ours (s)", "ours", "%.4f"), ("theirs (s)", "theirs", "%.4f"),
        ("ratio", "ratio", "%.2f"), ("at most", "target", "%.2f"), ("met", "met", None),
        ("our peak memory (MB)", "peak_memory_mb", "%.0f")])),
    ("products", ("training step", [
        ("seconds", "ours", "%.3f"), ("products (GFLOP)", "gflop", "%.1f"), ("GFLOP/s", "gflop_per_second", "%.0f"),
        ("GFLOP/s of the machine", "machine_gflop_per_second", "%.0f"), ("share (%)", "share", "%.0f"),
        ("at least", "target", "%.0f"), ("met", "met", None)])),
    ("predict", ("prediction", [
        ("NumPy, compressed", "numpy", "%.4g"), ("C", "c", "%.4g"), ("C in Python", "ctypes", "%.4g"),
        ("ONNX Runtime", "onnx", "%.4g"), ("Theano, dense", "theano", "%.4g"), ("PyTorch, dense", "torch", "%.4g"),
        ("fastText, quantised", "fasttext", "%.4g")])),
    ("scaling", ("IMDB LLLCCL", [
        ("median step (s)", "median_step_seconds", "%.3f"), ("peak memory (MB)", "peak_memory_mb", "%.0f")])),
    ("growth", ("against", [
        ("exponent", "exponent", "%.2f"), ("of the three largest", "exponent_of_largest", "%.2f"),
        ("of the arithmetic, at most", "arithmetic", "%d")])),
    ("memory", ("peak memory", [
        ("grows by (MB)", "growth_mb", "%.1f"), ("size of an array of words x texts (MB)", "array_mb", "%.1f")])),
    ("gradients", ("first step, GPU against CPU", [
        ("largest error of a gradient", "gradient_error", "%.1e"), ("of", "worst_parameter", "%s"),
        ("at most", "target", "%.0e"), ("met", "met", None), ("error of the loss", "loss_error", "%.1e"),
        ("same random numbers", "same_noise", None)])),
    ("gpu", ("training step on the GPU", [
        ("median (s)", "median_step_seconds", "%.4f"), ("an epoch (s)", "epoch_seconds", "%.1f"),
        ("published (s)", "published_epoch_seconds", "%.0f"), ("ratio", "to_published", "%.2f"),
        ("PyTorch, a step (s)", "torch_step_seconds", "%.4f"), ("ratio", "to_torch", "%.2f"),
        ("GPU memory (MB)", "device_memory_mb", "%.0f"), ("PyTorch's (MB)", "torch_memory_mb", "%.0f"),
        ("largest error of a gradient", "gradient_error", "%.1e")])),
])
#: Former names of parts.
FORMER_PARTS = {"train_step": "training_step", "gpu_step": "training_step"}
MACHINE = ("%(processor)s, %(cores)d cores, %(memory_gb)s GB, Linux %(kernel)s; %(openblas)s; %(compiler)s; "
           "Python %(python)s, NumPy %(numpy)s, Theano %(theano)s; commit %(git_commit)s")


def table(part, rows):
    """Return a Markdown table.

    Parameters
    ----------
    part : str
        A key of `TABLES`.
    rows : dict of str to dict
        Name to figures. A missing figure is an empty cell; a column without any figure is left out.

    Returns
    -------
    str
    """
    heading, columns = TABLES[part]
    columns = [column for column in columns if any(figures.get(column[1]) is not None for figures in rows.values())]
    lines = [[heading] + [column[0] for column in columns], ["---"] * (1 + len(columns))]
    lines += [[name] + [_cell(figures.get(key), text) for _, key, text in columns] for name, figures in rows.items()]
    return "\n".join("| %s |" % " | ".join(line) for line in lines)


def _cell(value, text):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return text % value


def read_results(path):
    """Return the results in a file, or in all files of a folder.

    Parameters
    ----------
    path : str

    Returns
    -------
    machine : dict or None
        Of the last file that has it.
    parts : OrderedDict of str to OrderedDict
        Part to name to figures.
    """
    machine, parts = None, OrderedDict()
    for file in sorted(glob.glob(os.path.join(path, "*.json"))) if os.path.isdir(path) else [path]:
        with open(file) as stream:
            content = json.load(stream, object_pairs_hook=OrderedDict)
        machine = content.get("machine", machine)
        for part, rows in content["parts"].items():
            parts.setdefault(FORMER_PARTS.get(part, part), OrderedDict()).update(rows)
    return machine, parts


def gpu_rows(parts):
    """Return one row for each network that was measured on a GPU: OrderedDict of name to figures."""
    rows = OrderedDict()

    def add(name, figures):
        row = rows.setdefault(name, OrderedDict())
        row.update((key, value) for key, value in figures.items() if key not in row)
    for name, figures in parts.get("training_step", {}).items():
        if figures.get("device", "cpu") != "cpu":
            add(name, figures)
    # An earlier version measured PyTorch alone.
    for name, figures in parts.get("gpu_peer", {}).items():
        add(name, figures)
    for name, figures in parts.get("peers", {}).items():
        ours, _, theirs = name.partition(" uniform against ")
        if figures.get("device", "cpu") != "cpu" and theirs.startswith("torch"):
            add(ours, {"torch_step_seconds": figures["theirs"], "to_torch": figures["ratio"],
                       "torch_memory_mb": figures["their_report"].get("device_memory_mb")})
    for name, figures in parts.get("gradients", {}).items():
        add(name, figures)
    for figures in rows.values():
        if "median_step_seconds" in figures and "torch_step_seconds" in figures:
            figures.setdefault("to_torch", figures["median_step_seconds"] / figures["torch_step_seconds"])
    return rows


def main(argv=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", metavar="PATH", help="a file that a benchmark wrote with --json, or a folder of them")
    machine, parts = read_results(parser.parse_args(argv).path)
    if machine:
        print(MACHINE % machine)
    devices = sorted({figures["device"] for part in ("training_step", "gpu_peer")
                      for figures in parts.get(part, {}).values() if figures.get("device", "cpu") != "cpu"})
    if devices:
        print("devices: %s\n\n%s" % (", ".join(devices), table("gpu", gpu_rows(parts))))
    for part, rows in parts.items():
        if part in TABLES:
            print("\n## %s\n\n%s" % (part, table(part, rows)))


if __name__ == "__main__":
    main()
