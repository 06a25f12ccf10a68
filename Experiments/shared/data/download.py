"""Download files and compare them with their published digests."""

import logging
import os
import sys

from theano_rnn.errors import ReportedError

__all__ = ["fetch", "fetch_all"]


def fetch(url, known_hash, folder):
    """Download a file, unless the folder has it, and return its path.

    Parameters
    ----------
    url : str
    known_hash : str or None
        Such as ``"md5:..."``. None accepts any content.
    folder : str
        Created if it does not exist.

    Raises
    ------
    ReportedError
        If the download fails or the content differs from the expected one.
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


def fetch_all(files, folder):
    """Download the files of a data set.

    Parameters
    ----------
    files : sequence of (str, str or None)
        Pairs of URL and digest; see `fetch`.
    folder : str

    Returns
    -------
    str
        The value for ``--source``: the file if there is one, the folder if there are several.
    """
    paths = [fetch(url, known_hash, folder) for url, known_hash in files]
    return paths[0] if len(paths) == 1 else os.path.abspath(folder)
