"""Training curves of a run next to the published curves: two plots, and a table of a few epochs.

    python benchmarks/published_curves.py Experiments/IMDB/Results/LLLCCL OUT

The command writes OUT-metric.png and OUT-compression.png.
"""

import argparse
import json
import os
from collections import OrderedDict

from theano_rnn.errors import reported_errors

from Experiments.shared.plots import plot_run
from Experiments.shared.reproduction.published import published_curve
from Experiments.shared.reproduction.results import read_metrics

__all__ = ["merged_curves", "chosen_epochs", "curve_table"]

COLUMNS = ("val", "test", "compression")
PUBLISHED = "published "
#: Kind of the experiment to the metric (columns val and test) and the scale of its axis.
METRICS = {"text": ("accuracy", "linear"), "characters": ("bits per character", "linear"),
           "words": ("perplexity", "log")}
TABLE_ROWS = 12


def main(argv=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="the folder of the run")
    parser.add_argument("out", metavar="OUT", help="prefix of the plot files")
    arguments = parser.parse_args(argv)
    with reported_errors():
        show(arguments.run, arguments.out)


def show(run, out):
    """Draw the plots and print the table, or a message if the run has no evaluation yet."""
    with open(os.path.join(run, "config.json")) as stream:
        description = json.load(stream)
    ours = read_metrics(run)
    if not ours:
        print("%s has no evaluation yet" % run)
        return
    rows = merged_curves(ours, published_curve(description["dataset"], description["config"]))
    metric, scale = METRICS[description["kind"]]
    folder, prefix = os.path.split(os.path.abspath(out))
    plot_run(rows, [
        (prefix + "-metric", metric, ("val", "test", PUBLISHED + "val", PUBLISHED + "test"), scale),
        (prefix + "-compression", "compression (times)", ("compression", PUBLISHED + "compression"), "log")], folder)
    print(curve_table(rows))


def merged_curves(ours, published):
    """Merge evaluations by epoch, up to the last epoch of ours.

    Parameters
    ----------
    ours, published : list of dict of str to float
        With ``epoch`` and `COLUMNS`.

    Returns
    -------
    list of OrderedDict
        One row for each epoch in either list; missing values are NaN. The names of published columns begin with
        ``published``.
    """
    last = max(row["epoch"] for row in ours)
    by_epoch = {row["epoch"]: row for row in ours}
    published = {row["epoch"]: row for row in published if row["epoch"] <= last}
    rows = []
    for epoch in sorted(set(by_epoch) | set(published)):
        row = OrderedDict([("epoch", int(epoch))])
        for prefix, found in (("", by_epoch.get(epoch, {})), (PUBLISHED, published.get(epoch, {}))):
            row.update((prefix + name, found.get(name, float("nan"))) for name in COLUMNS)
        rows.append(row)
    return rows


def chosen_epochs(rows):
    """Return at most `TABLE_ROWS` rows without missing values, among them the first and the last one."""
    both = [row for row in rows if row["val"] == row["val"] and row[PUBLISHED + "val"] == row[PUBLISHED + "val"]]
    count = min(TABLE_ROWS, len(both))
    return [both[round(number * (len(both) - 1) / float(max(1, count - 1)))] for number in range(count)]


def curve_table(rows):
    """Return a Markdown table of our and the published values: str."""
    lines = ["| epoch | valid | published | test | published | compression | published |", "|" + "---|" * 7]
    for row in chosen_epochs(rows):
        cells = [row[prefix + name] for name in COLUMNS for prefix in ("", PUBLISHED)]
        lines.append("| %d | %s |" % (row["epoch"], " | ".join("%.5g" % cell for cell in cells)))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
