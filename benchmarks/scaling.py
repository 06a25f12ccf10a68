"""How a training step grows: seconds and peak memory against vocabulary, length of the texts and hidden units.

    python benchmarks/scaling.py --json scaling.json        # the plot becomes scaling.png
    python benchmarks/scaling.py --only length --budget 5

IMDB LLLCCL with one setting changed at a time, each point in a process of its own, so that its peak memory is its own.
The fitted exponent is the slope in the logarithms: of all points, and of the three largest, where what does not grow
weighs least. The arithmetic's is 1 for vocabulary (KL and Adam) and length, and at most 2 for hidden units (W_hid).

Last, what a larger batch adds to the peak memory at a large vocabulary, beside an array of vocabulary x texts.
"""

import os
import statistics
from collections import OrderedDict

from benchmarks.command_line import new_parser, run_configured
from benchmarks.measure import Results, in_own_process, peak_memory, timed
from benchmarks.networks import training_step
from benchmarks.report import table

__all__ = ["SIZES", "exponent", "draw"]

#: Setting to what it is called, its values, and the exponent that the arithmetic has.
SIZES = OrderedDict([
    ("words_kept", ("vocabulary", (2000, 5000, 10000, 20000, 50000, 100000, 200000), 1)),
    ("length", ("length", (50, 100, 200, 400, 700, 1000), 1)),
    ("hidden_units", ("hidden units", (64, 128, 256, 512, 1024, 2048), 2)),
])
# Few tokens, so that the distinct words of a minibatch do not matter.
MEMORY_LENGTH, MEMORY_WORDS, MEMORY_BATCHES = 20, 200000, (16, 512)
MOST_STEPS, FEWEST_STEPS = 20, 3


def main():
    """The command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--only", choices=[what.replace(" ", "-") for what, _, _ in SIZES.values()] + ["memory"])
    parser.add_argument("--budget", type=float, default=12., help="seconds of steps at a point; %d to %d steps"
                                                                   % (FEWEST_STEPS, MOST_STEPS))
    run_configured(parser, run)


def run(arguments):
    """Measure, print, record and draw."""
    results = Results(arguments.json)
    for setting, (what, values, arithmetic) in SIZES.items():
        if arguments.only in (None, what.replace(" ", "-")):
            points = [record_point(results, setting, value, arguments.budget) for value in values]
            seconds = [point["median_step_seconds"] for point in points]
            results.record("growth", what, OrderedDict([
                ("exponent", exponent(values, seconds)), ("exponent_of_largest", exponent(values[-3:], seconds[-3:])),
                ("arithmetic", arithmetic)]))
    if arguments.only in (None, "memory"):
        results.record("memory", "%d words, from %d to %d texts" % ((MEMORY_WORDS,) + MEMORY_BATCHES),
                       memory_growth())
    for part in ("growth", "memory"):
        if part in results.parts:
            print("\n" + table(part, results.parts[part]))
    if arguments.json and "scaling" in results.parts:
        draw(results.parts["scaling"], os.path.splitext(arguments.json)[0] + ".png")


def record_point(results, setting, value, budget):
    """Measure IMDB LLLCCL with one setting changed, record and print it: dict of figures."""
    assignment = "%s=%d" % (setting, value)
    figures = in_own_process(measure, [assignment], budget)
    figures.update(setting=setting, value=value)
    results.record("scaling", assignment, figures)
    print("%-20s %8.3f s  %6.0f MB" % (assignment, figures["median_step_seconds"], figures["peak_memory_mb"]))
    return figures


def measure(assignments, budget):
    """In a process of its own: the median of as many steps as the budget of seconds allows, and the peak memory."""
    step = training_step("IMDB", "LLLCCL", "uniform", assignments)
    step()
    longest = timed(step)[0]
    seconds = timed(step, max(FEWEST_STEPS, min(MOST_STEPS, int(budget / longest))))
    return OrderedDict([("median_step_seconds", statistics.median(seconds)), ("peak_memory_mb", peak_memory() / 1e6),
                        ("step_seconds", seconds)])


def memory_growth():
    """What more texts add to the peak memory: dict of figures, in MB."""
    words, texts = MEMORY_WORDS, MEMORY_BATCHES
    peaks = [in_own_process(measure, ["words_kept=%d" % words, "batch_size=%d" % batch, "length=%d" % MEMORY_LENGTH],
                            0)["peak_memory_mb"] for batch in texts]
    return OrderedDict([("growth_mb", peaks[1] - peaks[0]), ("array_mb", 4e-6 * words * (texts[1] - texts[0])),
                        ("peaks_mb", peaks)])


def exponent(sizes, seconds):
    """The slope of a straight line through the logarithms, by least squares.

    Examples
    --------
    >>> exponent([1, 2, 4], [3., 12., 48.])
    2.0
    """
    import numpy as np
    return round(float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]), 3)


def draw(points, path):
    """Draw seconds (above, with the slope of the arithmetic) and peak memory (below) against each size.

    Parameters
    ----------
    points : dict of str to dict
        The figures of the part "scaling".
    path : str
        The file to write or replace.
    """
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(2, len(SIZES), figsize=(4 * len(SIZES), 7), squeeze=False)
    for column, (setting, (what, _, arithmetic)) in enumerate(SIZES.items()):
        chosen = sorted((point["value"], point["median_step_seconds"], point["peak_memory_mb"])
                        for point in points.values() if point["setting"] == setting)
        if not chosen:
            continue
        values = [value for value, _, _ in chosen]
        for row, (label, index) in enumerate((("seconds per step", 1), ("peak memory (MB)", 2))):
            measured, plot = [point[index] for point in chosen], axes[row][column]
            plot.loglog(values, measured, marker="o")
            plot.set_xlabel(what)
            plot.set_ylabel(label)
            plot.grid(True, alpha=0.3)
        plot, last = axes[0][column], chosen[-1]
        plot.loglog(values, [last[1] * (value / float(last[0])) ** arithmetic for value in values],
                    linestyle="--", color="grey", label="slope %d" % arithmetic)
        plot.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
