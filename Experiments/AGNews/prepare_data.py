"""Prepare AG's News: see ``python prepare_data.py --help``."""

import os
import re

from theano_rnn.errors import ReportedError

import numpy as np

from Experiments.shared.data.archives import (
    check_md5,
    csv_rows,
    decode,
    decompressed,
    read_file,
    read_named_files,
    source_names,
)
from Experiments.shared.data.prepare import PUBLISHED_SOURCE, main
from Experiments.shared.data.synthetic import generate_news
from Experiments.shared.data.text_classification import SPLITS, TextDataSet, checked_document

URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/%s"
MD5 = {"train.csv": "b1a00f826fdfbd249f79597b59e1dc12", "test.csv": "d52ea96a97a2d943681189a97654912d"}
# A file with 54,600 distinct rows of the published train.csv, in random order.
SUBSET_ROWS, SUBSET_MD5 = 54600, "0a0f87e61b5c2fff8b39a0d23f1c2377"
FILE_NAME = re.compile(r"[^/]*(train|test)[^/]*\.csv(\.xz|\.gz)?\Z")
COLUMNS = ("class", "title", "description")
CLASSES = ("world", "sports", "business", "science/technology")
HOLDOUT_SEED = 20181027


class AGNews(TextDataSet):
    """News in four topics."""

    experiment = "AGNews"
    class_names = CLASSES
    lower_case = True
    downloads = [(URL % name, "md5:" + MD5[name]) for name in ("train.csv", "test.csv")]
    source_help = ("a folder with train.csv and test.csv (or one *train*.csv and one *test*.csv; .xz and .gz are "
                   "uncompressed), or a single csv file (with --holdout)")
    generate_documents = staticmethod(generate_news)

    def add_options(self, parser):
        super(AGNews, self).add_options(parser)
        parser.add_argument("--holdout", metavar="FRACTION", type=float,
                            help="with a single csv file: the fraction of its rows that becomes the test part")

    def read(self, source, options):
        corpus = read_agnews(source, options.holdout, not options.no_checksum)
        self._rows = len(corpus["train"][0])
        return corpus

    def details(self, source, options):
        details = super(AGNews, self).details(source, options)
        if self._rows == SUBSET_ROWS and not options.no_checksum:
            details["source"] = "%d of the published training rows, and %s" % (SUBSET_ROWS, PUBLISHED_SOURCE)
        return details if options.holdout is None else dict(details, holdout=options.holdout)


def read_agnews(source, holdout=None, check=True):
    """Read AG's News.

    Parameters
    ----------
    source : str
        A folder (or archive) with ``train.csv`` and ``test.csv``, or with one other file each whose name has "train"
        or "test"; or a single csv file. The files may be compressed (``.xz``, ``.gz``).
    holdout : float, optional
        For a single csv file: the fraction of its rows that becomes the test part, drawn with a fixed seed.
    check : bool
        Require the published files, or the known file with 54,600 rows of the published ``train.csv``.

    Returns
    -------
    dict
        ``{"train": (documents, labels), "test": (documents, labels)}`` in the order of the rows, lower-cased.
    """
    accepted = {"train": [MD5["train.csv"], SUBSET_MD5], "test": MD5["test.csv"]}
    if os.path.isfile(source) and source.lower().endswith((".csv", ".csv.xz", ".csv.gz")):
        if holdout is None:
            raise ReportedError("%s is a single csv file; give the fraction of its rows for the test part with "
                                "--holdout FRACTION, or give a folder with train.csv and test.csv" % source)
        content = decompressed(read_file(source), source)
        if check:
            check_md5(content, accepted["train"] + [accepted["test"]], source)
        return hold_out(*_parse(content, os.path.basename(source)), fraction=holdout)
    if holdout is not None:
        raise ReportedError("--holdout is for a single csv file, got %s; a folder or archive has its own test.csv"
                            % source)
    names = _file_names(source)
    contents = read_named_files(source, [names[split] for split in SPLITS])
    corpus = {}
    for split in SPLITS:
        name = names[split]
        content = decompressed(contents[name], name)
        if check:
            check_md5(content, accepted[split], "%s of %s" % (name, source))
        corpus[split] = _parse(content, name)
    return corpus


def _file_names(source):
    """Return the name of the file of each part: ``train.csv``, or the only other name with "train"; likewise test."""
    present = source_names(source)
    names = {}
    for split in SPLITS:
        names[split] = split + ".csv"
        if names[split] not in present:
            matches = filter(None, map(FILE_NAME.match, sorted(present)))
            others = [match.group() for match in matches if match.group(1) == split]
            if len(others) > 1:
                raise ReportedError("%s has several files for the %s part: %s; expected one" % (
                    source, split, ", ".join(others)))
            names[split] = others[0] if others else names[split]
    return names


def hold_out(documents, labels, fraction):
    """Split documents into train and test by a shuffle with a fixed seed; both keep the order of the rows."""
    if not 0 < fraction < 1:
        raise ReportedError("--holdout must be in (0, 1), got %s" % fraction)
    test_count = int(round(len(documents) * fraction))
    if not 0 < test_count < len(documents):
        raise ReportedError("--holdout %s of %d rows leaves one part empty; choose another fraction"
                            % (fraction, len(documents)))
    order = np.random.RandomState(HOLDOUT_SEED).permutation(len(documents))
    rows = {"test": np.sort(order[:test_count]), "train": np.sort(order[test_count:])}
    return {split: ([documents[row] for row in rows[split]], [labels[row] for row in rows[split]])
            for split in SPLITS}


def _parse(content, name):
    documents, labels = [], []
    for where, row in csv_rows(decode(content, name), name):
        if len(row) != len(COLUMNS):
            raise ReportedError("%s: expected 3 columns (%s), got %d" % (where, ", ".join(COLUMNS), len(row)))
        if row[0] not in [str(number + 1) for number in range(len(CLASSES))]:
            raise ReportedError("%s: expected a class from 1 to %d, got %.40r" % (where, len(CLASSES), row[0]))
        documents.append(checked_document((row[1] + " " + row[2]).lower(), where))
        labels.append(int(row[0]) - 1)
    if not documents:
        raise ReportedError("%s has no rows; expected class, title, description" % name)
    return documents, labels


DATA_SET = AGNews()

if __name__ == "__main__":
    main(DATA_SET)
