"""Curves of several runs beside the published ones. ``Experiments/plot_runs.py`` is the program."""

import os
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ArgumentParser, ReportedError, reported_errors

from .plots import Curve, plot_curves
from .readers import checked, positive_integer
from .reproduction.published import published_curve
from .run_folder import RunFolder, make_folder

__all__ = ["main", "Compared", "read_run", "curves_of", "panels_of", "curve_table", "METRICS"]

#: Panels if no columns are given: those that a run has.
DEFAULT_COLUMNS = ("val", "test", "compression", "val_perplexity", "train_accuracy")
LABELS = {"val": "validation", "val_perplexity": "validation perplexity", "train_accuracy": "training accuracy",
          "compression": "compression (times)"}
#: Metric of the columns ``val`` and ``test`` of an experiment.
METRICS = {"IMDB": "accuracy", "AGNews": "accuracy", "Text": "accuracy", "Char_PTB": "bits per character",
           "Word_PTB": "perplexity", "language_modeling": "nats", "sequence_labeling": "accuracy"}
TABLE_COLUMNS = ("val", "test", "compression")
TABLE_ROWS = 12

#: A run in a figure. name: for the legend; experiment; config: CONFIG of a Bayesian experiment, else None; rows: list
#: of dict of column to number.
Compared = namedtuple("Compared", ["name", "experiment", "config", "rows"])


def main(argv=None):
    """Run the command line of ``plot_runs.py``."""
    parser = ArgumentParser(
        description="Draw the curves of running or finished runs in one figure, with the published curves of the same "
                    "experiment and CONFIG as dashed lines.")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folder of a run, with metrics.csv")
    parser.add_argument("--out", metavar="FIGURE", default="runs.png", help="the file to write (default: runs.png)")
    parser.add_argument("--published", metavar="DATASET/CONFIG", nargs="*",
                        help="published curves to draw, for example IMDB/LLLCCL; none with no value (default: those of "
                             "the runs)")
    parser.add_argument("--columns", metavar="COLUMN", nargs="+",
                        help="columns of metrics.csv (default: those of %s that the runs have)"
                             % ", ".join(DEFAULT_COLUMNS))
    parser.add_argument("--epochs", metavar="N",
                        help="draw up to this epoch (default: the last epoch of the runs)")
    parser.add_argument("--table", action="store_true",
                        help="also print ours beside the published numbers of the same epochs, as Markdown")
    arguments = parser.parse_args(argv)
    with reported_errors():
        epochs = None if arguments.epochs is None else checked("--epochs", positive_integer, arguments.epochs)
        if os.path.splitext(arguments.out)[1] != ".png":
            raise ReportedError("--out must end in .png, got %s" % arguments.out)
        runs = [read_run(folder, epochs) for folder in arguments.runs]
        for run in runs:
            if not run.rows:
                print("%s has no evaluation %s" % (run.name, "yet" if epochs is None else "up to epoch %d" % epochs))
        runs = [run for run in runs if run.rows]
        if not runs:
            return
        make_folder(os.path.dirname(os.path.abspath(arguments.out)), "the folder of the figure", "--out")
        curves = curves_of(runs, arguments.published, epochs)
        plot_curves(curves, panels_of(runs, arguments.columns), arguments.out)
        if arguments.table:
            for run in runs:
                print("\n%s\n\n%s" % (run.name, curve_table(run)))
        print("wrote %s" % arguments.out)


def read_run(folder, epochs=None):
    """Return the `Compared` of a run.

    Parameters
    ----------
    folder : str
        A folder without ``config.json`` is named ``<experiment>/<CONFIG>/seed<k>``.
    epochs : int, optional
        The last epoch that counts.

    Raises
    ------
    ReportedError
        If the folder holds no run, or one of its files is damaged.
    """
    run = RunFolder(folder)
    if not run.has("config.json") and not run.has("metrics.csv"):
        raise ReportedError("%s is not the folder of a run: it has neither config.json nor metrics.csv" % folder)
    parts = os.path.abspath(folder).split(os.sep)
    if run.has("config.json"):
        config = run.read_config()
        found = config.get("dataset", config.get("experiment")), config.get("config")
    else:
        found = (parts[-3], parts[-2]) if len(parts) > 3 and parts[-1].startswith("seed") else (None, None)
    rows = run.read_metrics()
    return Compared(os.path.normpath(folder), found[0], found[1], rows if epochs is None else _until(rows, epochs))


def curves_of(runs, published=None, epochs=None):
    """Return the curves of a figure.

    Parameters
    ----------
    runs : list of Compared
    published : list of str, optional
        ``"DATASET/CONFIG"``. Those of the runs for which there is a curve, if omitted.
    epochs : int, optional
        The last epoch of the published curves. That of the runs if omitted.

    Returns
    -------
    list of Curve
    """
    last = epochs or max(row["epoch"] for run in runs for row in run.rows)
    curves, colours = [], OrderedDict()
    for number, run in enumerate(runs):
        curves.append(Curve(run.name, run.rows, number, False))
        colours.setdefault("%s/%s" % (run.experiment, run.config), number)
    for number, name in enumerate(list(colours) if published is None else published):
        rows = published_curve(*name.partition("/")[::2])
        if rows:
            curves.append(Curve("published %s" % name.replace("/", " "), _until(rows, last),
                                colours.get(name, len(runs) + number), True))
        elif published is not None:
            raise ReportedError("there is no published curve of %s; expected a name such as IMDB/LLLCCL" % name)
    return curves


def _until(rows, last):
    return [row for row in rows if row["epoch"] <= last]


def panels_of(runs, columns=None):
    """Return the panels of a figure: list of (column, label).

    Parameters
    ----------
    runs : list of Compared
    columns : list of str, optional
        Those of `DEFAULT_COLUMNS` that a run has, if omitted.

    Raises
    ------
    ReportedError
        If no run has a column.
    """
    known = list(OrderedDict((name, None) for run in runs for row in run.rows for name in row))
    for column in columns or ():
        if column not in known or column == "epoch":
            raise ReportedError("no run has the column %s; known: %s"
                                % (column, ", ".join(name for name in known if name != "epoch")))
    metrics = {METRICS.get(run.experiment) for run in runs}
    metric = metrics.pop() if len(metrics) == 1 else None
    panels = []
    for column in columns or [name for name in DEFAULT_COLUMNS if name in known]:
        label = LABELS.get(column, column)
        panels.append((column, "%s (%s)" % (label, metric) if metric and column in ("val", "test") else label))
    if not panels:
        raise ReportedError("no run has one of the columns %s; choose with --columns" % ", ".join(DEFAULT_COLUMNS))
    return panels


def curve_table(run):
    """Return a Markdown table of our and the published values of a run at the same epochs.

    Parameters
    ----------
    run : Compared

    Returns
    -------
    str
        At most `TABLE_ROWS` epochs, the first and the last common one among them.
    """
    published = {row["epoch"]: row for row in published_curve(run.experiment, run.config)}
    both = [row for row in run.rows if row["epoch"] in published]
    if not both:
        return "no epoch in common with a published curve"
    count = min(TABLE_ROWS, len(both))
    chosen = [both[round(number * (len(both) - 1) / float(max(1, count - 1)))] for number in range(count)]
    lines = ["| epoch | valid | published | test | published | compression | published |", "|" + "---|" * 7]
    for row in chosen:
        cells = [found.get(name, float("nan")) for name in TABLE_COLUMNS for found in (row, published[row["epoch"]])]
        lines.append("| %d | %s |" % (row["epoch"], " | ".join("%.5g" % cell for cell in cells)))
    return "\n".join(lines)
