"""Prepare AG's News: see ``python prepare_data.py --help``."""

import csv
import io
import os

from theano_rnn.errors import ReportedError

import numpy as np

from Experiments.shared.data.archives import check_md5, decode, read_file, read_named_files
from Experiments.shared.data.prepare import main
from Experiments.shared.data.synthetic import generate_news
from Experiments.shared.data.text_classification import SPLITS, TextDataSet, checked_document

URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/%s"
MD5 = {"train.csv": "b1a00f826fdfbd249f79597b59e1dc12", "test.csv": "d52ea96a97a2d943681189a97654912d"}
COLUMNS = ("class", "title", "description")
CLASSES = ("world", "sports", "business", "science/technology")
HOLDOUT_SEED = 20181027


class AGNews(TextDataSet):
    """News in four topics."""

    experiment = "AGNews"
    class_names = CLASSES
    lower_case = True
    downloads = [(URL % name, "md5:" + MD5[name]) for name in ("train.csv", "test.csv")]
    source_help = "a folder with train.csv and test.csv, or a single csv file (with --holdout)"
    generate_documents = staticmethod(generate_news)

    def add_options(self, parser):
        super(AGNews, self).add_options(parser)
        parser.add_argument("--holdout", metavar="FRACTION", type=float,
                            help="with a single csv file: the fraction of its rows that becomes the test part")

    def read(self, source, options):
        return read_agnews(source, options.holdout, not options.no_checksum)

    def details(self, source, options):
        details = super(AGNews, self).details(source, options)
        return details if options.holdout is None else dict(details, holdout=options.holdout)


def read_agnews(source, holdout=None, check=True):
    """Read AG's News.

    Parameters
    ----------
    source : str
        A folder (or archive) with ``train.csv`` and ``test.csv``, or a single csv file.
    holdout : float, optional
        For a single csv file: the fraction of its rows that becomes the test part, drawn with a fixed seed.
    check : bool
        Require the published files.

    Returns
    -------
    dict
        ``{"train": (documents, labels), "test": (documents, labels)}`` in the order of the rows, lower-cased.
    """
    if os.path.isfile(source) and source.lower().endswith(".csv"):
        if holdout is None:
            raise ReportedError("%s is a single csv file; give the fraction of its rows for the test part with "
                                "--holdout FRACTION, or give a folder with train.csv and test.csv" % source)
        content = read_file(source)
        if check:
            check_md5(content, sorted(MD5.values()), source)
        return hold_out(*_parse(content, os.path.basename(source)), fraction=holdout)
    if holdout is not None:
        raise ReportedError("--holdout is for a single csv file, got %s; a folder or archive has its own test.csv"
                            % source)
    contents = read_named_files(source, ["train.csv", "test.csv"])
    if check:
        for name in ("train.csv", "test.csv"):
            check_md5(contents[name], MD5[name], "%s of %s" % (name, source))
    return {split: _parse(contents[split + ".csv"], split + ".csv") for split in SPLITS}


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
    rows = csv.reader(io.StringIO(decode(content, name), newline=""), strict=True)
    try:
        for row in rows:
            where = "%s, line %d" % (name, rows.line_num)
            if len(row) != len(COLUMNS):
                raise ReportedError("%s: expected 3 columns (%s), got %d" % (where, ", ".join(COLUMNS), len(row)))
            if row[0] not in [str(number + 1) for number in range(len(CLASSES))]:
                raise ReportedError("%s: expected a class from 1 to %d, got %r" % (where, len(CLASSES), row[0]))
            documents.append(checked_document((row[1] + " " + row[2]).lower(), where))
            labels.append(int(row[0]) - 1)
    except csv.Error as error:
        raise ReportedError("%s, line %d: malformed row (%s); use an undamaged copy"
                            % (name, rows.line_num, error)) from error
    if not documents:
        raise ReportedError("%s has no rows; expected class, title, description" % name)
    return documents, labels


DATA_SET = AGNews()

if __name__ == "__main__":
    main(DATA_SET)
