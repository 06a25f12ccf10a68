"""Plots of the metrics of a run against epochs."""

import os

__all__ = ["plot_run"]


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
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    epochs = [row["epoch"] for row in rows]
    for name, label, columns, scale in figures:
        figure, axes = pyplot.subplots(figsize=(6, 4))
        for column in columns:
            axes.plot(epochs, [row[column] for row in rows], marker=".", label=column)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.set_yscale(scale)
        axes.grid(True, alpha=0.3)
        if len(columns) > 1:
            axes.legend()
        figure.tight_layout()
        temporary = os.path.join(folder, name + ".tmp.png")
        figure.savefig(temporary, dpi=120)
        pyplot.close(figure)
        os.replace(temporary, os.path.join(folder, name + ".png"))
