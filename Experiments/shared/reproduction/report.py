"""Write a table as Markdown, as csv and as a plot."""

import csv
import io
import math
import os
import textwrap
from collections import OrderedDict

from theano_rnn.npz_store import write_atomically

import numpy as np

from ..plots import axis_scale, pyplot_without_display, save_figure
from .results import baselines, choice_results, number_text, row_results, shown_decimals

__all__ = ["collect", "markdown", "section_markdown", "csv_text", "draw", "write_table"]

CSV_COLUMNS = ("table", "experiment", "row", "folder", "seeds", "commits", "finished", "epoch", "epochs_done",
               "epochs_due", "selection", "column", "published", "published_sd", "published_epoch", "published_source",
               "ours", "ours_sd", "runs", "difference")
#: Markers and colours of the plots.
SERIES = OrderedDict([("published", ("s", "C0")), ("ours", ("o", "C1")), ("ours, unfinished", ("^", "C1")),
                      ("authors' log at that epoch", ("v", "C2"))])
#: Columns of a section whose Markdown has one line for each group of runs.
SHORT = 3
SELECTIONS = {"last": "last epoch", "best": "best validation epoch"}


def collect(table, root, seeds, limit=None, published=True):
    """Return the results of all sections of a table.

    Parameters
    ----------
    table : Table
    root : str
        The root of all runs.
    seeds : sequence of int
    limit : int, optional
        The last epoch that counts.
    published : bool
        Whether to compare with published numbers.

    Returns
    -------
    list of (Section, list of RowResults, list of Baseline)
    """
    collected = []
    for section in table.sections:
        rows = [row_results(table.name, section, row, root, seeds, limit, published) for row in section.rows]
        for choice in section.choices:
            place = max(number for number, found in enumerate(rows) if found.row.name in choice.rows)
            rows.insert(place + 1, choice_results(table.name, section, choice, rows, published))
        has_accuracy = any(column.key == "accuracy" for column in section.columns)
        collected.append((section, rows, baselines(section.experiment, root)
                          if has_accuracy and published else []))
    return collected


# -- Markdown ----------------------------------------------------------------------------------------------------------

def markdown(table, collected):
    """Return the table as Markdown: str.

    Parameters
    ----------
    table : Table
    collected : list
        From `collect`.
    """
    parts = ["# %s" % table.title, "Published: %s. Ours: written by `Experiments/reproduce.py %s`." % (
        table.source, table.name)]
    for section, rows, other in collected:
        parts += ["## %s" % section.title, section_markdown(section, rows, other)]
    return "\n\n".join(parts + [_notes(table)]) + "\n"


def _notes(table):
    notes = ["The first column gives the folder of the runs, which contains `seed0` and so on, and the command without "
             "seed and folders. \"Last\" and \"best\" (validation result) state which epoch counts, as in the paper. "
             "\"150 of 800\" means: 150 of 800 epochs are done.",
             "Several seeds: mean ± standard deviation. Difference: ours - published. An unfinished run is compared "
             "with the authors' log at the same epoch. A dash means: not run, or not known."]
    return "\n".join("* " + note for note in notes + list(table.notes))


def section_markdown(section, rows, other=()):
    """Return the part of an experiment as Markdown: str.

    Parameters
    ----------
    section : Section
    rows : list of RowResults
    other : list of Baseline
    """
    columns = [column for column in section.columns if _is_used(column, rows, other)]
    lines = _short_lines(rows, columns) if len(section.columns) <= SHORT else _long_lines(rows, columns, other)
    text = ["| %s |" % " | ".join(line) for line in lines]
    text.insert(1, "|" + "---|" * len(lines[0]))
    return "\n".join(text)


def _short_lines(rows, columns):
    """Return a table with one line for each group of runs: published, ours and difference are columns."""
    published = {column.key for column in columns for found in rows for reference in found.references
                 if column.key in reference.numbers}
    lines = [["model", "ours", "epochs"]]
    for column in columns:
        lines[0] += (["%s: paper" % column.title, "ours", "difference"] if column.key in published else
                     ["%s, ours" % column.title])
    for found in rows:
        for number, result in enumerate(found.results or [None]):
            line = [_head(found) if number == 0 else ""]
            line += ["-", "0 of %d" % found.row.epochs] if result is None else [
                _seeds_text(result.seeds), _ours_epochs(result, found.row)]
            for column in columns:
                ours = _ours_text(result and result.ours.get(column.key), column)
                if column.key in published:
                    numbers = found.references[0].numbers if found.references else {}
                    line += [_number_text(numbers.get(column.key)), ours, _difference_text(result, column)]
                else:
                    line.append(ours)
            lines.append(line)
    return lines


def _long_lines(rows, columns, other):
    """Return a table in which published numbers, ours and the difference are lines."""
    lines = [["model", "numbers", "epochs"] + [column.title for column in columns]]
    for found in rows:
        lines += _row_lines(found, columns)
    for baseline in other:
        values = {"accuracy": number_text(_percent(baseline.test), 2), "vocabulary": baseline.words,
                  "bytes": baseline.bytes}
        lines.append([baseline.name, "baseline, ours", "-"] + [values.get(column.key) or "-" for column in columns])
    return lines


def _percent(text):
    """Return an accuracy in percent; baselines give it as a share."""
    return 100 * float(text)


def _is_used(column, rows, other):
    return (bool(other) and column.key in ("accuracy", "vocabulary", "bytes")
            or any(column.key in reference.numbers for found in rows for reference in found.references)
            or any(column.key in result.ours for found in rows for result in found.results))


def _row_lines(found, columns):
    """Return the lines of a row: published, ours and difference, for each group of runs."""
    row = found.row
    lines = [_published_line(reference, row, columns) for reference in found.references]
    for result in found.results:
        if not result.finished and result.reference is not None:
            lines.append(_published_line(result.reference, row, columns))
        lines.append([_ours_name(result), _ours_epochs(result, row)]
                     + [_ours_text(result.ours.get(column.key), column) for column in columns])
        if result.reference is not None:
            lines.append(["difference", ""] + [_difference_text(result, column) for column in columns])
    if not found.results:
        lines.append(["ours", "0 of %d" % row.epochs] + ["-"] * len(columns))
    return [[_head(found) if number == 0 else ""] + line for number, line in enumerate(lines)]


def _head(found):
    row = found.row
    return row.label if found.is_choice else "%s<br>`%s`<br>`%s`" % (row.label, row.folder, row.command())


def _number_text(number):
    if number is None:
        return "-"
    return "%s ± %s" % (number.text, number.sd) if number.sd else number.text


def _published_line(reference, row, columns):
    epochs = "%s, %d" % (row.select, row.epochs) if reference.epoch is None else "%d" % reference.epoch
    return [reference.name, epochs] + [_number_text(reference.numbers.get(column.key)) for column in columns]


def _ours_name(result):
    return "ours, %s" % _seeds_text(result.seeds)


def _seeds_text(seeds):
    if len(seeds) == 1:
        return "seed %d" % seeds[0]
    if list(seeds) == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 2:
        return "seeds %d to %d" % (seeds[0], seeds[-1])
    return "seeds %s" % ", ".join(map(str, seeds))


def _ours_epochs(result, row):
    done = "%d of %d" % (result.done, row.epochs)
    if not result.finished:
        so_far = "best so far, " if row.select == "best" and not row.curve else ""
        return so_far + (done if result.epoch in (None, result.done) else "%d (%s)" % (result.epoch, done))
    if row.select == "best":
        return "best%s (%s)" % ("" if result.epoch is None else ", %d" % result.epoch, done)
    return "last (%s)" % done


def _ours_text(summary, column):
    if summary is None:
        return "-"
    decimals = _decimals(summary, column)
    text = number_text(summary.mean, decimals)
    if math.isnan(summary.sd):
        return text
    return "%s ± %s" % (text, number_text(summary.sd, decimals))


def _decimals(summary, column):
    """Return the number of decimals of our numbers in a column: the mean of several whole numbers has one."""
    if column.decimals == 0 and summary.count > 1:
        return 1
    return shown_decimals(summary.mean, column.decimals)


def _difference(result, key):
    """Return ours - published, or None."""
    if result is None or result.reference is None or key not in result.ours or key not in result.reference.numbers:
        return None
    return result.ours[key].mean - float(result.reference.numbers[key].text)


def _difference_text(result, column):
    difference = _difference(result, column.key)
    if difference is None:
        return "-"
    return "%+.*f" % (_decimals(result.ours[column.key], column), difference)


# -- csv ---------------------------------------------------------------------------------------------------------------

def csv_text(table, collected):
    """Return the table as csv, one line for each number: str."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for section, rows, other in collected:
        for found in rows:
            for line in _csv_lines(section, found):
                writer.writerow(dict(line, table=table.name, experiment=section.experiment))
        for baseline in other:
            for key, value in (("accuracy", "%.6g" % _percent(baseline.test)), ("vocabulary", baseline.words),
                               ("bytes", baseline.bytes), ("seconds", baseline.seconds)):
                writer.writerow(dict(table=table.name, experiment=section.experiment, row=baseline.name,
                                     selection="baseline", column=key, ours=value))
    return text.getvalue()


def _csv_lines(section, found):
    row = found.row
    common = dict(row=row.name, folder=row.folder, epochs_due=row.epochs, selection=SELECTIONS[row.select])
    for reference in found.references:
        for key, number in reference.numbers.items():
            yield dict(common, column=key, **_csv_published(reference, number))
    for result in found.results:
        of_result = dict(common, seeds=" ".join(map(str, result.seeds)), commits=" ".join(result.commits),
                         finished=int(result.finished), epoch=result.epoch, epochs_done=result.done)
        for column in section.columns:
            summary = result.ours.get(column.key)
            if summary is None:
                continue
            line = dict(of_result, column=column.key, ours="%.6g" % summary.mean, runs=summary.count,
                        ours_sd="" if math.isnan(summary.sd) else "%.4g" % summary.sd)
            difference = _difference(result, column.key)
            if difference is not None:
                line.update(_csv_published(result.reference, result.reference.numbers[column.key]),
                            difference="%.6g" % difference)
            yield line


def _csv_published(reference, number):
    return dict(published=number.text, published_sd=number.sd, published_source=number.source,
                published_epoch="" if reference.epoch is None else reference.epoch)


# -- plot --------------------------------------------------------------------------------------------------------------

def draw(table, collected, path):
    """Draw the table: one panel for each column, or one for the whole table if its rows have points.

    Parameters
    ----------
    table : Table
    collected : list
        From `collect`.
    path : str
        The file to write, ``.png``.
    """
    is_figure = any(row.point for section in table.sections for row in section.rows)
    panels = [(section, column, rows) for section, rows, _ in collected for column in section.columns
              if column.key == "test" or not is_figure and _points(column, rows, range(len(rows)))]
    panels = panels or [(section, section.columns[0], rows) for section, rows, _ in collected]
    across = min(3, len(panels))
    down = int(math.ceil(len(panels) / float(across)))
    widest = max(len(rows) for _, _, rows in panels)
    size = (6., 4.5) if is_figure else (across * max(4., 0.3 * widest), down * (3. if widest <= 6 else 4.5))
    figure, axes = pyplot_without_display().subplots(down, across, squeeze=False, figsize=size)
    for axis in axes.flat[len(panels):]:
        axis.set_visible(False)
    for axis, (section, column, rows) in zip(axes.flat, panels):
        if is_figure:
            _draw_curves(axis, column, rows)
        else:
            _draw_rows(axis, column, rows)
        axis.set_title(section.title if len(table.sections) > 1 else textwrap.fill(table.title, 60), fontsize=8)
        axis.set_ylabel(column.title)
        axis.grid(True, alpha=0.3)
        handles, _ = axis.get_legend_handles_labels()
        if handles:
            axis.legend(fontsize=7)
    save_figure(figure, path)


def _points(column, rows, abscissae):
    """Return the points of a column: list of (name in `SERIES`, abscissae, means, standard deviations)."""
    series = OrderedDict((name, []) for name in SERIES)
    for found, place in zip(rows, abscissae):
        for reference in [reference for reference in found.references if column.key in reference.numbers][:1]:
            number = reference.numbers[column.key]
            series["published"].append((place, float(number.text), float(number.sd or 0)))
        for result in found.results:
            summary = result.ours.get(column.key)
            if summary is None:
                continue
            series["ours" if result.finished else "ours, unfinished"].append(
                (place, summary.mean, 0. if math.isnan(summary.sd) else summary.sd))
            if not result.finished and result.reference and column.key in result.reference.numbers:
                series["authors' log at that epoch"].append(
                    (place, float(result.reference.numbers[column.key].text), 0.))
    return [(name,) + tuple(np.array(points).T) for name, points in series.items() if points]


def _draw_rows(axis, column, rows):
    places = np.arange(len(rows))
    found = _points(column, rows, places)
    for number, (name, x, y, sd) in enumerate(found):
        marker, colour = SERIES[name]
        axis.errorbar(x + 0.12 * (number - (len(found) - 1) / 2.), y, yerr=sd, fmt=marker, color=colour, capsize=3,
                      markersize=5, label=name)
    axis.set_xticks(places)
    axis.set_xlim(-0.5, len(rows) - 0.5)
    axis.set_xticklabels([found.row.name.split("/")[-1] for found in rows], rotation=90 if len(rows) > 6 else 30,
                         ha="center" if len(rows) > 6 else "right", fontsize=7)
    if found:
        axis.set_yscale(axis_scale(np.concatenate([means for _, _, means, _ in found])))


def _draw_curves(axis, column, rows):
    for number, curve in enumerate(sorted({found.row.point[0] for found in rows})):
        of_curve = [found for found in rows if found.row.point[0] == curve]
        for name, x, y, sd in _points(column, of_curve, [found.row.point[1] for found in of_curve]):
            axis.errorbar(x, y, yerr=sd, marker=SERIES[name][0], color="C%d" % number, capsize=3, markersize=5,
                          linestyle="--" if name == "published" else "-", label="%s, %s" % (curve, name))
    axis.set_xscale("log")
    places = sorted({found.row.point[1] for found in rows})
    axis.set_xticks(places)
    axis.set_xticklabels(["%g" % place for place in places])
    axis.minorticks_off()
    axis.set_xlabel("embedding units, or 20 x density")


# -- files -------------------------------------------------------------------------------------------------------------

def write_table(table, collected, folder, name):
    """Write ``NAME.md``, ``NAME.csv`` and ``NAME.png`` to a folder, which is created if it does not exist.

    Returns
    -------
    list of str
        The paths.
    """
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, name + ending) for ending in (".md", ".csv", ".png")]
    draw(table, collected, paths[2])
    write_atomically(paths[1], csv_text(table, collected))
    # The file contains what a README contains, and the plot.
    write_atomically(paths[0], markdown(table, collected) + "\n![%s](%s.png)\n" % (table.title, name))
    return paths
