"""Plots of a run: metric and compression against epochs."""

import os

__all__ = ["plot_run"]


def plot_run(rows, metric, folder):
    """Draw ``metric.png`` and ``compression.png``.

    Parameters
    ----------
    rows : list of dict
        The rows of ``metrics.csv``.
    metric : str
        What the columns train, val and test hold.
    folder : str
    """
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    epochs = [row["epoch"] for row in rows]
    figures = [("metric", metric, [(part, [row[part] for row in rows]) for part in ("val", "test")], "linear"),
               ("compression", "compression (times)", [(None, [row["compression"] for row in rows])], "log")]
    for name, label, curves, scale in figures:
        figure, axes = pyplot.subplots(figsize=(6, 4))
        for curve_label, values in curves:
            axes.plot(epochs, values, marker=".", label=curve_label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.set_yscale(scale)
        axes.grid(True, alpha=0.3)
        if len(curves) > 1:
            axes.legend()
        figure.tight_layout()
        temporary = os.path.join(folder, name + ".tmp.png")
        figure.savefig(temporary, dpi=120)
        pyplot.close(figure)
        os.replace(temporary, os.path.join(folder, name + ".png"))
