"""Our runs beside the published numbers: what `Experiments.shared.reproduction.report` writes."""

import csv
import io
import json
import os
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError

import numpy as np

from ..config import experiment_folder, load_experiment
from ..run_folder import RunFolder
from ..sparse_experiments import LANGUAGE_MODEL_SIZES, TAGGER_SIZES
from .published import PublishedNumber, published_curve, published_numbers
from .runs import FINISHED, is_complete, state

__all__ = ["Summary", "Reference", "Result", "RowResults", "Baseline", "row_results", "choice_results", "baselines",
           "baselines_path", "number_text", "shown_decimals"]

#: Mean and standard deviation (NaN for one run) of some runs, and their number.
Summary = namedtuple("Summary", ["mean", "sd", "count"])

#: Published numbers: name ("paper" or "authors' log"), epoch (None: as in the paper), and `PublishedNumber` by column.
Reference = namedtuple("Reference", ["name", "epoch", "numbers"])

#: Runs of a row that stopped at the same epoch.
#:
#: seeds: list of int; finished; epoch: the epoch whose numbers are given, None if it differs between the seeds; done:
#: epochs done; reference: `Reference` or None; ours: `Summary` by column; commits: list of str.
Result = namedtuple("Result", ["seeds", "finished", "epoch", "done", "reference", "ours", "commits"])

#: A row with its published numbers at the end of training, list of `Reference`, and its `Result`s. is_choice: whether
#: the row stands for the best of other rows.
RowResults = namedtuple("RowResults", ["row", "references", "results", "is_choice"])

#: A method for comparison: a row of the file of `baselines_path`.
Baseline = namedtuple("Baseline", ["name", "test", "words", "bytes", "seconds"])

#: Settings in which the models of a table differ. A row has options for some of them and the defaults of the others.
COMPARED = {"language_modeling": LANGUAGE_MODEL_SIZES + ("ordering",),
            "sequence_labeling": TAGGER_SIZES + ("vocab_order", "dropoute", "dropouti", "wdrop")}

_Measured = namedtuple("_Measured", ["seed", "finished", "epoch", "done", "values", "commit"])


def shown_decimals(value, decimals):
    """Return the number of decimals of a column; if that is None, none for a large value and one for a small one."""
    if decimals is None:
        return 0 if abs(value) >= 100 else 1
    return decimals


def number_text(value, decimals):
    """Return a number as it stands in a table, rounded to `shown_decimals`.

    Examples
    --------
    >>> number_text(18792.4, None), number_text(7.88, None), number_text(83.6, 2)
    ('18792', '7.9', '83.60')
    """
    return "%.*f" % (shown_decimals(value, decimals), value)


# -- one run -----------------------------------------------------------------------------------------------------------

def _read_json(path):
    if not os.path.isfile(path):
        return {}
    with io.open(path, encoding="utf-8") as stream:
        try:
            return json.load(stream)
        except ValueError as error:
            raise ReportedError("%s is damaged (%s)" % (path, error)) from error


def _defaults(run, demo):
    """Return the settings in which the models of a table differ, as they are without options: dict."""
    experiment = run.experiment.split("/")[0]
    if experiment not in COMPARED:
        return {}
    settings = load_experiment(experiment).make_settings(demo=demo)
    return settings.select(COMPARED[experiment])


def _check_run(run, folder, config):
    """Raise a `ReportedError` if the folder holds a run of another model than that of a row."""
    settings = dict({"demo": False}, **dict(config.get("settings", {}), **config))
    fixed = {"seed": int(run.arguments[run.arguments.index("--seed") + 1]), "demo": "--demo" in run.arguments}
    if not run.arguments[0].startswith("--"):
        fixed["config"] = run.arguments[0]
    expected = {name: value for name, value in _defaults(run, fixed["demo"]).items() if name in settings}
    for option, value in zip(run.arguments, run.arguments[1:]):
        name = option[2:].replace("-", "_")
        if option.startswith("--") and isinstance(settings.get(name), (int, float, str)) and name not in fixed:
            expected[name] = type(settings[name])(value)
    expected.update(fixed)
    experiment = config.get("dataset", config.get("experiment"))
    program = "%s/%s.py" % (experiment, config.get("entry", "main"))
    if program != run.experiment:
        raise ReportedError("%s holds a run of %s, expected %s" % (folder, program, run.experiment))
    for name, value in expected.items():
        if settings.get(name) != value:
            raise ReportedError("%s holds a run with %s %s, expected %s" % (folder, name, settings.get(name), value))


def _measure(section, row, seed, root, limit):
    """Return the numbers of one run: _Measured, or None if it has no evaluation."""
    runs = row.runs(seed)
    folder = os.path.join(root, runs[0].folder)
    config = _read_json(os.path.join(folder, "config.json"))
    if config:
        _check_run(runs[0], folder, config)
    last = min(limit or row.epochs, row.epochs)
    is_limited = last < row.epochs
    rows = [values for values in RunFolder(folder).read_metrics() if values["epoch"] <= last]
    if not rows:
        return None
    finished = rows[-1]["epoch"] >= row.epochs or not is_limited and state(runs[0], root).name == FINISHED
    chosen = _chosen(section, row, rows, finished)
    commit = config.get("versions", {}).get("git_commit", "")
    return _Measured(seed, finished, int(chosen["epoch"]), int(rows[-1]["epoch"]),
                     _values(section, runs, root, chosen, rows), commit)


def _chosen(section, row, rows, finished):
    """Return the evaluation whose numbers count; that of an unfinished run is one that the authors' log has too."""
    if not finished:
        epochs = {values["epoch"] for values in (published_curve(*row.curve) if row.curve else [])}
        common = [values for values in rows if values["epoch"] in epochs]
        if row.curve:
            return common[-1] if common else rows[-1]
    return _best(section, rows) if row.select == "best" else rows[-1]


def _best(section, rows):
    """Return the first evaluation with the best validation result."""
    source, function = section.best
    return rows[[values[source] for values in rows].index(function(values[source] for values in rows))]


def _values(section, runs, root, chosen, rows):
    """Return the values of the columns that the run has: dict."""
    values, folder = {}, os.path.join(root, runs[0].folder)
    for column in section.columns:
        if column.source in chosen:
            values[column.key] = chosen[column.source] * column.factor
        elif column.source == "compressed.npz":
            path = os.path.join(folder, column.source)
            if os.path.isfile(path) and is_complete(folder) and chosen is rows[-1]:
                values[column.key] = os.path.getsize(path)
        elif column.source == "test.json":
            test = _read_json(os.path.join(folder, column.source))
            if test.get("epoch") == chosen["epoch"]:
                values[column.key] = test["test_perplexity"]
        elif column.source == "finetune/test.json" and state(runs[-1], root).name == FINISHED:
            values[column.key] = _read_json(os.path.join(folder, *column.source.split("/")))["test_perplexity"]
    return values


# -- a row -------------------------------------------------------------------------------------------------------------

def row_results(table, section, row, root, seeds, limit=None, published=True):
    """Return the results of a row.

    Parameters
    ----------
    table : str
        Name of the table, for the published numbers.
    section : Section
    row : Row
    root : str
        The root of all runs.
    seeds : sequence of int
    limit : int, optional
        The last epoch that counts.
    published : bool
        Whether to compare with published numbers.

    Returns
    -------
    RowResults
    """
    references = _references(table, section, row) if published else []
    groups = OrderedDict()
    for seed in seeds:
        measured = _measure(section, row, seed, root, limit)
        if measured is not None:
            groups.setdefault((measured.finished, None if measured.finished else measured.done), []).append(measured)
    results = []
    for finished, done in sorted(groups, key=lambda group: (not group[0], -(group[1] or 0))):
        runs = groups[finished, done]
        epochs = {run.epoch for run in runs}
        epoch = epochs.pop() if len(epochs) == 1 else None
        reference = None
        if finished:
            reference = _combined(references)
        elif published and row.curve and epoch:
            reference = _log_at(section, row, epoch)
        results.append(Result([run.seed for run in runs], finished, epoch, max(run.done for run in runs), reference,
                              _summaries(section, runs),
                              list(OrderedDict.fromkeys(run.commit for run in runs if run.commit))))
    return RowResults(row, references, results, False)


def _summaries(section, runs):
    summaries = {}
    for column in section.columns:
        values = [run.values[column.key] for run in runs if column.key in run.values]
        if values:
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
            summaries[column.key] = Summary(float(np.mean(values)), sd, len(values))
    return summaries


def _references(table, section, row):
    """Return what is published on the end of training: the paper, and the authors' log if it has other numbers."""
    paper = published_numbers(table, row.name)
    references = [Reference("paper", None, paper)] if paper else []
    curve = [values for values in (published_curve(*row.curve) if row.curve else []) if values["epoch"] <= row.epochs]
    if curve:
        end = _best(section, curve) if row.select == "best" else curve[-1]
        log = _log_at(section, row, end["epoch"])
        if any(abs(float(log.numbers[key].text) - float(number.text)) > 0.01 * float(number.text)
               for key, number in paper.items() if key in log.numbers) or not paper:
            references.append(log)
    return references


def _combined(references):
    """Return the numbers with which a finished run is compared: those of the paper, else those of the log."""
    if not references:
        return None
    numbers = {}
    for reference in reversed(references):
        numbers.update(reference.numbers)
    return Reference(references[0].name, references[0].epoch, numbers)


def _log_at(section, row, epoch):
    """Return the numbers of the authors' log at an epoch: Reference, or None if it has no such epoch."""
    found = [values for values in published_curve(*row.curve) if values["epoch"] == epoch]
    if not found:
        return None
    numbers = {column.key: PublishedNumber(number_text(found[0][column.source] * column.factor, column.decimals), "",
                                           "log of %s %s" % row.curve)
               for column in section.columns if column.source in found[0]}
    return Reference("authors' log", int(epoch), numbers)


def choice_results(table, section, choice, rows, published=True):
    """Return the results of the best of some rows, or None if no run of them has an evaluation.

    Finished rows take precedence over unfinished ones.

    Parameters
    ----------
    table : str
    section : Section
    choice : Choice
    rows : list of RowResults
        Results of all rows of the section.
    published : bool

    Returns
    -------
    RowResults
        The label of its row names the choice and the chosen row.
    """
    candidates = [(found.row, result) for found in rows if found.row.name in choice.rows for result in found.results
                  if choice.by in result.ours]
    candidates = [(row, result) for row, result in candidates if result.finished] or candidates
    paper = published_numbers(table, choice.name) if published else {}
    references = [Reference("paper", None, paper)] if paper else []
    if not candidates:
        row = next(found.row for found in rows if found.row.name in choice.rows)
        return RowResults(row._replace(name=choice.name, label=choice.label, folder=""), references, [], True)
    function = section.best[1]
    row, result = function(candidates, key=lambda candidate: candidate[1].ours[choice.by].mean)
    compared = len({candidate.name for candidate, _ in candidates})
    label = "**%s**: %s (the best of %d of %d rows)" % (choice.label, row.label, compared, len(choice.rows))
    return RowResults(row._replace(name=choice.name, label=label), references,
                      [result._replace(reference=_combined(references) if result.finished else None)], True)


# -- baselines ---------------------------------------------------------------------------------------------------------

#: Name of the file of the baselines.
BASELINES = "baselines.csv"


def baselines_path(experiment):
    """Return the path of the file of baselines that ``Experiments/baselines.py`` writes for a data set."""
    return os.path.join(experiment_folder(experiment), "Results", BASELINES)


def baselines(experiment, root):
    """Return the baselines of a data set: those under the root of the runs, else those in the experiment's folder.

    Parameters
    ----------
    experiment : str
    root : str

    Returns
    -------
    list of Baseline
        Empty if there are none.
    """
    for path in (os.path.join(root, experiment, BASELINES), baselines_path(experiment)):
        if os.path.isfile(path):
            with io.open(path, encoding="utf-8") as stream:
                return [Baseline(*[row[name] for name in Baseline._fields]) for row in csv.DictReader(stream)]
    return []
