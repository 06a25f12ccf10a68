"""What `benchmarks/gpu.sh` left in a folder: one table of all networks, then the details.

    python benchmarks/gpu_report.py benchmarks/results/gpu-2026-11-22
"""

import argparse
import glob
import json
import os
from collections import OrderedDict

from benchmarks.report import table

__all__ = ["read_parts", "gpu_rows", "main"]

#: What the large table is made of, in the order in which they count.
MERGED = ("gpu_step", "gpu_peer", "gradients")


def read_parts(folder):
    """All figures of the folder's files: OrderedDict of part to OrderedDict of name to figures."""
    parts = OrderedDict()
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path) as stream:
            for part, rows in json.load(stream, object_pairs_hook=OrderedDict)["parts"].items():
                parts.setdefault(part, OrderedDict()).update(rows)
    return parts


def gpu_rows(parts):
    """One row for each network, of all that was measured of it: OrderedDict of name to figures."""
    rows = OrderedDict()
    for part in MERGED:
        for name, figures in parts.get(part, {}).items():
            rows.setdefault(name, OrderedDict()).update(
                (key, value) for key, value in figures.items() if key not in rows[name])
    for figures in rows.values():
        if "median_step_seconds" in figures and "torch_step_seconds" in figures:
            figures["to_torch"] = figures["median_step_seconds"] / figures["torch_step_seconds"]
    return rows


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", help="what benchmarks/gpu.sh wrote")
    parts = read_parts(parser.parse_args(argv).folder)
    devices = [figures["device"] for part in ("gpu_step", "gpu_peer") for figures in parts.get(part, {}).values()]
    print("devices: %s\n\n%s" % (", ".join(sorted(set(devices))) or "none", table("gpu", gpu_rows(parts))))
    for part in ("gpu_step", "gradients"):
        if part in parts:
            print("\n## %s\n\n%s" % (part, table(part, parts[part])))


if __name__ == "__main__":
    main()
