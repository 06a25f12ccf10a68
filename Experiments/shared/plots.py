"""Plots of the metrics of runs against epochs."""

import io
import os
from collections import namedtuple

from theano_rnn.npz_store import write_atomically

import numpy as np

__all__ = ["Curve", "plot_run", "plot_curves", "curves_image", "axis_scale", "pyplot_without_display", "save_figure"]

#: Metrics of a run, or published ones, in a plot of several runs.
#:
#: label: for the legend. rows: list of dict of column to number, each with ``epoch``. colour: index of the colour.
#: published: whether the line is dashed.
Curve = namedtuple("Curve", ["label", "rows", "colour", "published"])

#: An axis is logarithmic if the largest value is more than this number of times the smallest one.
LOGARITHMIC = 20.


def plot_run(rows, figures, folder):
    """Draw one file for each figure.

    Parameters
    ----------
    rows : list of dict
        The rows of ``metrics.csv``.
    figures : list of (name, label, columns, scale)
        The name of the file without ``.png``, the label of the vertical axis, the columns, and the scale of the axis.
    folder : str
    """
    pyplot = pyplot_without_display()
    epochs = [row["epoch"] for row in rows]
    for name, label, columns, scale in figures:
        figure, axes = pyplot.subplots(figsize=(6, 4))
        for column in columns:
            axes.plot(epochs, [row[column] for row in rows], marker=".", label=column)
        _finish(axes, label, scale)
        if len(columns) > 1:
            axes.legend()
        save_figure(figure, os.path.join(folder, name + ".png"))


def plot_curves(curves, panels, path):
    """Draw the metrics of several runs in one figure, with a panel for each metric.

    Parameters
    ----------
    curves : list of Curve
        A curve without a metric is not drawn in the panel of that metric.
    panels : list of (column, label)
        The metrics, and the labels of the vertical axes.
    path : str
        The file to write, ``.png``.
    """
    pyplot = pyplot_without_display()
    figure, all_axes = pyplot.subplots(1, len(panels), squeeze=False, figsize=(5.5 * len(panels), 4.2))
    for axes, panel in zip(all_axes.flat, panels):
        _draw_panel(axes, curves, *panel)
    save_figure(figure, path)


def curves_image(curves, column, label):
    """Return one panel of `plot_curves` as a PNG image: bytes.

    Parameters
    ----------
    curves : list of Curve
    column, label : str
        The metric, and the label of the vertical axis.
    """
    figure, axes = pyplot_without_display().subplots(figsize=(5.5, 3.6))
    _draw_panel(axes, curves, column, label)
    return _png(figure)


def _draw_panel(axes, curves, column, label):
    drawn = []
    for curve in curves:
        points = [(row["epoch"], row[column]) for row in curve.rows if column in row]
        if points:
            epochs, values = zip(*points)
            axes.plot(epochs, values, "--" if curve.published else "-", color="C%d" % (curve.colour % 10),
                      alpha=0.7 if curve.published else 1., marker="." if len(points) < 50 else None,
                      label=curve.label)
            drawn.extend(values)
    _finish(axes, label, axis_scale(drawn))
    axes.legend(fontsize=7)


def axis_scale(values):
    """Return the scale of an axis: "log" for positive values of different orders of magnitude, else "linear"."""
    return "log" if np.min(values) > 0 and np.max(values) / np.min(values) > LOGARITHMIC else "linear"


def pyplot_without_display():
    """Return `matplotlib.pyplot` for figures in files. It is imported when the first figure is drawn."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    return pyplot


def _finish(axes, label, scale):
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(label)
    axes.set_yscale(scale)
    axes.grid(True, alpha=0.3)


def save_figure(figure, path):
    """Write a figure to a file ``.png`` atomically, and close it."""
    write_atomically(path, _png(figure))


def _png(figure):
    """Return a figure as a PNG image: bytes. Close it."""
    figure.tight_layout()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    pyplot_without_display().close(figure)
    return image.getvalue()
