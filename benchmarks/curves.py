"""A run's curves beside the published ones: plots, and a few epochs as a table.

    python benchmarks/curves.py Experiments/IMDB/Results/LLLCCL ../shared/published/published_training_curves.csv OUT

writes OUT-metric.png and OUT-compression.png.
"""

import argparse
import csv
import json
import os
from collections import OrderedDict

from Experiments.shared.plots import plot_run
from theano_rnn.errors import ReportedError, reported_errors

__all__ = ["read_metrics", "read_published", "beside", "chosen_epochs", "curve_table"]

COLUMNS = ("val", "test", "compression")
PUBLISHED = "published "
#: By the kind of an experiment: what val and test are, and the scale of the axis.
METRICS = {"text": ("accuracy", "linear"), "characters": ("bits per character", "linear"),
           "words": ("perplexity", "log")}
TABLE_ROWS = 12


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument("published", metavar="CSV", help="the published curves")
    parser.add_argument("out", metavar="OUT", help="begin of the names of the plots")
    arguments = parser.parse_args(argv)
    with reported_errors():
        show(arguments.run, arguments.published, arguments.out)


def show(run, published, out):
    """Draw the plots and print the table; without an evaluation yet, a line that says so."""
    with open(os.path.join(run, "config.json")) as stream:
        description = json.load(stream)
    ours = read_metrics(os.path.join(run, "metrics.csv"))
    if not ours:
        print("%s has no evaluation yet" % run)
        return
    rows = beside(ours, read_published(published, description["dataset"], description["config"]))
    metric, scale = METRICS[description["kind"]]
    folder, prefix = os.path.split(os.path.abspath(out))
    plot_run(rows, [
        (prefix + "-metric", metric, ("val", "test", PUBLISHED + "val", PUBLISHED + "test"), scale),
        (prefix + "-compression", "compression (times)", ("compression", PUBLISHED + "compression"), "log")], folder)
    print(curve_table(rows))


def read_metrics(path):
    """The evaluations of a run: list of OrderedDict of `COLUMNS` and ``epoch``; empty without the file."""
    if not os.path.exists(path):
        return []
    with open(path) as stream:
        return [_numbers(row) for row in csv.DictReader(stream)]


def read_published(path, dataset, config):
    """The published evaluations of a CONFIG, in the same form."""
    if not os.path.exists(path):
        raise ReportedError("no published curves in %s; give the file published_training_curves.csv" % path)
    with open(path) as stream:
        return [_numbers(row) for row in csv.DictReader(stream)
                if (row["dataset"], row["config"]) == (dataset, config)]


def _numbers(row):
    return OrderedDict([("epoch", int(row["epoch"]))] + [(name, float(row[name])) for name in COLUMNS])


def beside(ours, published):
    """One row for each epoch that either has, up to our last: what is missing is not a number.

    Published columns begin with ``published``.
    """
    last = max(row["epoch"] for row in ours)
    by_epoch = {row["epoch"]: row for row in ours}
    published = {row["epoch"]: row for row in published if row["epoch"] <= last}
    rows = []
    for epoch in sorted(set(by_epoch) | set(published)):
        row = OrderedDict([("epoch", epoch)])
        for prefix, found in (("", by_epoch.get(epoch, {})), (PUBLISHED, published.get(epoch, {}))):
            row.update((prefix + name, found.get(name, float("nan"))) for name in COLUMNS)
        rows.append(row)
    return rows


def chosen_epochs(rows):
    """At most `TABLE_ROWS` of the rows that both have, the first and the last among them."""
    both = [row for row in rows if row["val"] == row["val"] and row[PUBLISHED + "val"] == row[PUBLISHED + "val"]]
    count = min(TABLE_ROWS, len(both))
    return [both[round(number * (len(both) - 1) / float(max(1, count - 1)))] for number in range(count)]


def curve_table(rows):
    """Ours and the published, in Markdown: str."""
    lines = ["| epoch | valid | published | test | published | compression | published |", "|" + "---|" * 7]
    for row in chosen_epochs(rows):
        cells = [row[prefix + name] for name in COLUMNS for prefix in ("", PUBLISHED)]
        lines.append("| %d | %s |" % (row["epoch"], " | ".join("%.5g" % cell for cell in cells)))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
