"""Growth of a training step: seconds and peak memory against vocabulary, length of the texts and hidden units.

    python benchmarks/scaling.py --json scaling.json        # writes the plot scaling.png, too
    python benchmarks/scaling.py --only length --budget 5

IMDB LLLCCL with one changed setting. Each point is measured in its own process because of the peak memory. The fitted
exponent is the slope in log-log coordinates, for all points and for the three largest, in which constant costs matter
least. The exponent of the arithmetic is 1 for vocabulary (KL and Adam) and length, at most 2 for hidden units (W_hid).

The last measurement is the growth of the peak memory with the batch size at a large vocabulary, next to the size of an
array of vocabulary x texts.
"""

import os
import statistics
from collections import OrderedDict

from benchmarks.command_line import add_device_option, new_parser, run_configured
from benchmarks.report import table
from benchmarks.results_file import Results
from benchmarks.timing import in_own_process, peak_memory, timed
from benchmarks.training_runs import training_step

__all__ = ["SIZES", "exponent", "draw"]

#: Setting to its name in words, its values, and the exponent of the arithmetic.
SIZES = OrderedDict([
    ("words_kept", ("vocabulary", (2000, 5000, 10000, 20000, 50000, 100000, 200000), 1)),
    ("length", ("length", (50, 100, 200, 400, 700, 1000), 1)),
    ("hidden_units", ("hidden units", (64, 128, 256, 512, 1024, 2048), 2)),
])
# Few tokens, so that the number of distinct words in a minibatch is small.
MEMORY_LENGTH, MEMORY_WORDS, MEMORY_BATCHES = 20, 200000, (16, 512)
MAXIMUM_STEPS, MINIMUM_STEPS = 20, 3


def main():
    """Run the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--only", choices=[label.replace(" ", "-") for label, _, _ in SIZES.values()] + ["memory"])
    parser.add_argument("--budget", type=float, default=12., help="seconds of measured steps for each point; %d to "
                                                                   "%d steps" % (MINIMUM_STEPS, MAXIMUM_STEPS))
    add_device_option(parser)
    run_configured(parser, run)


def run(arguments):
    """Measure, print, record and draw."""
    results = Results(arguments.json)
    for setting, (label, values, arithmetic) in SIZES.items():
        if arguments.only in (None, label.replace(" ", "-")):
            points = [record_point(results, setting, value, arguments) for value in values]
            seconds = [point["median_step_seconds"] for point in points]
            results.record("growth", label, OrderedDict([
                ("exponent", exponent(values, seconds)), ("exponent_of_largest", exponent(values[-3:], seconds[-3:])),
                ("arithmetic", arithmetic)]))
    if arguments.only in (None, "memory"):
        results.record("memory", "%d words, from %d to %d texts" % ((MEMORY_WORDS,) + MEMORY_BATCHES),
                       memory_growth(arguments.device))
    for part in ("growth", "memory"):
        if part in results.parts:
            print("\n" + table(part, results.parts[part]))
    if arguments.json and "scaling" in results.parts:
        draw(results.parts["scaling"], os.path.splitext(arguments.json)[0] + ".png")


def record_point(results, setting, value, arguments):
    """Measure IMDB LLLCCL with one changed setting, print and record it; return its figures: dict."""
    assignment = "%s=%d" % (setting, value)
    figures = in_own_process(measure, [assignment], arguments.budget, arguments.device)
    figures.update(setting=setting, value=value)
    results.record("scaling", assignment, figures)
    print("%-20s %8.3f s  %6.0f MB" % (assignment, figures["median_step_seconds"], figures["peak_memory_mb"]))
    return figures


def measure(assignments, budget, device="cpu"):
    """Return median step and peak memory of this process; the number of steps depends on the budget in seconds."""
    step = training_step("IMDB", "LLLCCL", "uniform", assignments, device)
    step()
    longest = timed(step)[0]
    seconds = timed(step, max(MINIMUM_STEPS, min(MAXIMUM_STEPS, int(budget / longest))))
    return OrderedDict([("median_step_seconds", statistics.median(seconds)), ("peak_memory_mb", peak_memory() / 1e6),
                        ("step_seconds", seconds)])


def memory_growth(device):
    """Return the growth of the peak memory with the batch size: dict of figures in MB."""
    words, texts = MEMORY_WORDS, MEMORY_BATCHES
    peaks = [in_own_process(measure, ["words_kept=%d" % words, "batch_size=%d" % batch, "length=%d" % MEMORY_LENGTH],
                            0, device)["peak_memory_mb"] for batch in texts]
    return OrderedDict([("growth_mb", peaks[1] - peaks[0]), ("array_mb", 4e-6 * words * (texts[1] - texts[0])),
                        ("peaks_mb", peaks)])


def exponent(sizes, seconds):
    """Return the slope of the least-squares line through the logarithms.

    Examples
    --------
    >>> exponent([1, 2, 4], [3., 12., 48.])
    2.0
    """
    import numpy as np
    return round(float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]), 3)


def draw(points, path):
    """Plot seconds (top, with the slope of the arithmetic) and peak memory (bottom) against each size.

    Parameters
    ----------
    points : dict of str to dict
        Figures of the part "scaling".
    path : str
        Image file; an existing one is replaced.
    """
    from Experiments.shared.plots import pyplot_without_display, save_figure
    figure, axes = pyplot_without_display().subplots(2, len(SIZES), figsize=(4 * len(SIZES), 7), squeeze=False)
    for column, (setting, (xlabel, _, arithmetic)) in enumerate(SIZES.items()):
        chosen = sorted((point["value"], point["median_step_seconds"], point["peak_memory_mb"])
                        for point in points.values() if point["setting"] == setting)
        if not chosen:
            continue
        values = [value for value, _, _ in chosen]
        for row, (label, index) in enumerate((("seconds per step", 1), ("peak memory (MB)", 2))):
            measured, plot = [point[index] for point in chosen], axes[row][column]
            plot.loglog(values, measured, marker="o")
            plot.set_xlabel(xlabel)
            plot.set_ylabel(label)
            plot.grid(True, alpha=0.3)
        plot, last = axes[0][column], chosen[-1]
        plot.loglog(values, [last[1] * (value / float(last[0])) ** arithmetic for value in values],
                    linestyle="--", color="grey", label="slope %d" % arithmetic)
        plot.legend()
    save_figure(figure, path)


if __name__ == "__main__":
    main()
