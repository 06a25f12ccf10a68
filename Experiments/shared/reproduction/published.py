"""The numbers of the papers and the authors' training curves; ``published/README.md`` names the sources."""

import csv
import functools
import gzip
import io
import os
from collections import OrderedDict, namedtuple

__all__ = ["PublishedNumber", "published_numbers", "published_curve"]

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "published")

#: A number of a paper: its text, its standard deviation (empty if the paper does not give it), and the source.
PublishedNumber = namedtuple("PublishedNumber", ["text", "sd", "source"])


@functools.lru_cache(maxsize=None)
def _tables():
    numbers = {}
    with io.open(os.path.join(FOLDER, "tables.csv"), encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            row = numbers.setdefault((line["table"], line["row"]), OrderedDict())
            row[line["column"]] = PublishedNumber(line["value"], line["sd"], line["source"])
    return numbers


def published_numbers(table, row):
    """Return the numbers of a row of a paper.

    Parameters
    ----------
    table, row : str
        Names in `Experiments.shared.reproduction.tables`.

    Returns
    -------
    dict of str to PublishedNumber
        By the key of the column; empty if the paper has no such row.

    Examples
    --------
    >>> published_numbers("emnlp-1", "IMDB/LLLCCL")["compression"].text
    '18792'
    """
    return dict(_tables().get((table, row), {}))


@functools.lru_cache(maxsize=None)
def _curves():
    curves = {}
    with gzip.open(os.path.join(FOLDER, "training_curves.csv.gz"), "rt", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            values = OrderedDict((name, float(value)) for name, value in line.items()
                                 if name not in ("dataset", "config") and value)
            curves.setdefault((line["dataset"], line["config"]), []).append(values)
    return curves


def published_curve(dataset, config):
    """Return the evaluations in the authors' training log of a CONFIG.

    Parameters
    ----------
    dataset, config : str

    Returns
    -------
    list of dict of str to float
        In the order of the epochs, with the columns of ``metrics.csv``; empty if there is no log.

    Examples
    --------
    >>> published_curve("IMDB", "LLLCCL")[0]["epoch"]
    20.0
    """
    return [OrderedDict(values) for values in _curves().get((dataset, config), [])]
