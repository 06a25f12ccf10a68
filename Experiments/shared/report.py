"""The report of a finished run, ``report.html``: one page without connections, to send to a colleague.

Training writes it at its end. This command writes it for older runs, from their files::

    python -m Experiments.shared.report Results/LLLCCL
"""

import base64
import io
import json
import os
import re
import sys
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ArgumentParser, ReportedError, reported_errors
from theano_rnn.npz_store import write_atomically

import numpy as np

from bayes_rnn.export_html import page_model, render
from bayes_rnn.predictor import load_model

from .compare_runs import METRICS, curves_of, panels_of, read_run
from .config import LOOP_SETTINGS, RECORDED_KEYS
from .plots import curves_image
from .reproduction.durations import duration_text
from .run_folder import RunFolder

__all__ = ["REPORT", "write_report", "finish_with_report", "main"]

REPORT = "report.html"
#: Larger models are not part of the report. In bytes of the file.
LARGEST_MODEL = 2 ** 22
#: Kept words in the report; ``kept_words.txt`` has all.
SHOWN_WORDS = 1000
#: Pixels of the picture of a matrix: the largest numbers of cells, and the largest size of a cell.
LARGEST_PICTURE, LARGEST_CELL = (160, 640), 12
POSITIVE, NEGATIVE = (18, 89, 184), (196, 84, 0)

#: Columns ``kept_<name>`` of ``metrics.csv`` of Bayesian runs.
PARTS = {"embedding_w": "embedding: weights", "z_voc": "embedding: words", "w_x": "LSTM: input weights",
         "w_h": "LSTM: recurrent weights", "z_x": "LSTM: input neurons", "z_h": "LSTM: hidden neurons",
         "gates": "LSTM: gates", "dense_w": "fully connected layer: weights"}
#: Matrices of a compressed model, in the order of the data: name, what the rows and the columns are.
MATRICES = OrderedDict([("embedding", ("embedding", "words", "units")),
                        ("W_in", ("LSTM, input weights", "inputs", "gates")),
                        ("W_hid", ("LSTM, recurrent weights", "hidden units", "gates")),
                        ("W_out", ("fully connected layer", "hidden units", "outputs"))])

Layer = namedtuple("Layer", ["name", "kept", "total", "share"])
Figure = namedtuple("Figure", ["image", "alt"])
Picture = namedtuple("Picture", ["image", "width", "height", "caption"])


def main(argv=None):
    """Run the command line ``python -m Experiments.shared.report RUN``."""
    parser = ArgumentParser(prog="python -m Experiments.shared.report",
                            description="Write report.html into the folders of runs, from their files.")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folder of a run")
    arguments = parser.parse_args(argv)
    with reported_errors():
        for folder in arguments.runs:
            print(write_report(RunFolder(folder)))


def finish_with_report(run, examples=()):
    """Write the report at the end of training, and log where it is.

    All results have been written, so a failure of any kind is one warning.

    Parameters
    ----------
    run : RunFolder
    examples : sequence of str
        The text box contains the first one.
    """
    try:
        run.log("Report: %s" % write_report(run, "".join(examples[:1])))
    except Exception as error:
        sys.stderr.write("warning: %s cannot be written (%s)\n" % (run.file(REPORT), error))


def write_report(run, example=""):
    """Write ``report.html`` from the other files of a run.

    Parameters
    ----------
    run : RunFolder
    example : str
        The first content of the text box.

    Returns
    -------
    str
        The path of the file.

    Raises
    ------
    ReportedError
        If the folder holds no run, a file is damaged, or the package jinja2 is missing.
    """
    config, compared = run.read_config(), read_run(run.path)._replace(name="this run")
    values = dict(command=config.get("command"), results=_results(run, config, compared), times=_times(run, compared),
                  settings=_settings(config), versions=_texts(config.get("versions", {})),
                  curves=_curves(config, compared), layers=_layers(compared.rows))
    model, values["too_large"], values["matrices"] = _model(run)
    values["words"], values["kept"] = _kept_words(run)
    page = render("report.html", _title(config, compared), model, [os.path.dirname(os.path.abspath(__file__))],
                  example=example, **values)
    write_atomically(run.file(REPORT), page)
    return run.file(REPORT)


# -- numbers -----------------------------------------------------------------------------------------------------------

def _title(config, compared):
    parts = [compared.experiment, compared.config, "(demonstration)" if config.get("demo") else None]
    return " ".join(str(part) for part in parts if part) or "Training run"


def _results(run, config, compared):
    """Return names and values: list of (str, str)."""
    metric, rows = METRICS.get(compared.experiment, "metric"), compared.rows
    metric = {"nats": "loss (nats)"}.get(metric, metric)
    results = []
    if rows:
        last = rows[-1]
        results.append(("epochs", "%d" % last["epoch"]))
        for column, name in (("val", "validation "), ("test", "test ")):
            if column in last:
                results.append((name + metric, _number(last[column])))
        if "val" in last and compared.experiment in METRICS:
            best = (max if metric == "accuracy" else min)((row for row in rows if "val" in row), key=_validation)
            results.append(("best validation", "%s (epoch %d)" % (_number(best["val"]), best["epoch"])))
        for column, name in (("val_perplexity", "validation perplexity"), ("train_accuracy", "training accuracy")):
            if column in last:
                results.append((name, _number(last[column])))
        if "compression" in last:
            results.append(("compression", "{:,.0f} times fewer weights".format(last["compression"])))
    if run.has("test.json"):
        with io.open(run.file("test.json"), encoding="utf-8") as stream:
            results += [(name.replace("_", " "), _number(value)) for name, value in json.load(stream).items()
                        if name != "epoch" and isinstance(value, float)]
    return results


def _validation(row):
    return row["val"]


def _number(value):
    return "%.5g" % value


def _times(run, compared):
    """Return times of compilation, training and evaluation: list of (str, str)."""
    text = ""
    if run.has("log.txt"):
        with io.open(run.file("log.txt"), encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    epochs = {int(epoch): float(seconds) for epoch, seconds in re.findall(r"^Epoch (\d+) took ([0-9.]+)s", text, re.M)}
    compiled = re.findall(r"^Compiled in ([0-9.]+)s", text, re.M)
    tested = [row["test_seconds"] for row in compared.rows if "test_seconds" in row]
    times = []
    if compiled:
        times.append(("compilation", duration_text(float(compiled[-1]))))
    if epochs:
        times.append(("training", "%s, %.3g s per epoch" % (duration_text(sum(epochs.values())),
                                                            np.median(list(epochs.values())))))
    if tested:
        times.append(("evaluation", "%s, %d times" % (duration_text(sum(tested)), len(tested))))
    return times


def _settings(config):
    values = {name: value for name, value in config.items() if name == "entry" or name not in RECORDED_KEYS}
    return _texts(dict(values, **config["settings"]))


def _texts(values):
    texts = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in sorted(values.items())
             if value not in (None, "")]
    return [(name, "never" if value == str(LOOP_SETTINGS["save_every"]) else value) for name, value in texts]


def _layers(rows):
    if not rows:
        return []
    names = [name[len("kept_"):] for name in rows[-1] if name.startswith("kept_")]
    counts = [(name, int(rows[-1]["kept_" + name]), int(rows[-1].get("size_" + name, 0))) for name in names]
    return [Layer(PARTS.get(name, name), kept, total, "%.3g %%" % (100. * kept / total)) for name, kept, total in counts
            if total]


def _kept_words(run):
    """Return the first kept words with their importance, and the number of all of them."""
    if not run.has("kept_words.txt"):
        return [], 0
    with io.open(run.file("kept_words.txt"), encoding="utf-8", newline="\n") as stream:
        words = [line.rstrip("\n").rpartition("\t")[::2] for line in stream]
    return words[:SHOWN_WORDS], len(words)


# -- pictures ----------------------------------------------------------------------------------------------------------

def _data_address(png):
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _curves(config, compared):
    """Return the curves of a run, beside the published ones of its CONFIG; a demonstration has other data."""
    if not compared.rows:
        return []
    try:
        panels = panels_of([compared])
    except ReportedError:                           # a task with columns of its own
        return []
    curves = curves_of([compared], [] if config.get("demo") else None)
    return [Figure(_data_address(curves_image(curves, column, label)),
                   "%s against epochs: %s" % (label, ", ".join(curve.label for curve in curves)))
            for column, label in panels]


def _model(run):
    """Return the compressed model for the page, the path of one that is too large, and pictures of its matrices."""
    path = run.file("compressed.npz")
    if not run.has("compressed.npz"):
        return None, None, []
    model, size = load_model(path, backend="numpy"), os.path.getsize(path)
    pictures = [_picture(model.arrays[name], *labels) for name, labels in MATRICES.items()
                if name in model.arrays and model.arrays[name].size]
    if size > LARGEST_MODEL:
        return None, path, pictures
    return page_model(model, size), None, pictures


def _picture(array, name, rows, columns):
    """Return a `Picture` of a matrix, in which a cell may stand for several weights: the one with the largest value."""
    from matplotlib.image import imsave
    caption = u"%s (%s \xd7 %s): %d \xd7 %d; %s of %s weights are not zero, the largest is %.3g" % (
        name, rows, columns, len(array), array.shape[1], "{:,}".format(np.count_nonzero(array)),
        "{:,}".format(array.size), np.abs(array).max())
    if len(array) > array.shape[1]:
        array = array.T
    for axis in (0, 1):
        array = _reduced(array, LARGEST_PICTURE[axis], axis)
    strength = np.sqrt(np.abs(array) / max(np.abs(array).max(), 1e-30))[:, :, None]
    colour = np.where(array[:, :, None] > 0, POSITIVE, NEGATIVE)
    pixels = (255 - (255 - colour) * strength).astype(np.uint8)
    png = io.BytesIO()
    imsave(png, pixels, format="png")
    cell = max(1, min(LARGEST_CELL, LARGEST_PICTURE[1] // array.shape[1]))
    return Picture(_data_address(png.getvalue()), cell * array.shape[1], cell * array.shape[0], caption)


def _reduced(array, largest, axis):
    """Return the array with at most some rows or columns: the element with the largest absolute value of each block."""
    block = -(-array.shape[axis] // largest)
    if block == 1:
        return array
    starts = np.arange(0, array.shape[axis], block)
    high, low = np.maximum.reduceat(array, starts, axis), np.minimum.reduceat(array, starts, axis)
    return np.where(high >= -low, high, low)


if __name__ == "__main__":
    main()
