"""Download files, continue partial downloads, and compare the files with their published digests."""

import logging
import os
import re
import sys

from theano_rnn.errors import ReportedError

__all__ = ["fetch", "fetch_all"]

CHUNK = 1 << 16
TIMEOUT = 60        # seconds without a byte


def fetch(url, known_hash, folder):
    """Download a file, unless the folder has it, and return its path.

    An interrupted download leaves ``NAME.part``, which the next call continues.

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
    name = url.rsplit("/", 1)[-1]
    try:
        return pooch.retrieve(url, known_hash, fname=name, path=folder,
                              downloader=_Resuming(os.path.join(folder, name + ".part")))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ReportedError("downloading %s failed (%s); try again, or give a local copy with --source PATH"
                            % (url, reason[:300])) from error


class _Resuming(object):
    """Downloader for pooch that appends to a partial file of an earlier call.

    Parameters
    ----------
    partial : str
        Path of the partial file. It moves to its place when it is complete.
    """

    def __init__(self, partial):
        self.partial = partial

    def __call__(self, url, output_file, _pooch):
        import requests
        done = os.path.getsize(self.partial) if os.path.isfile(self.partial) else 0
        # Compressed transfer would change the positions of bytes.
        headers = {"Accept-Encoding": "identity"}
        if done:
            headers["Range"] = "bytes=%d-" % done
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416 and done == _total_size(response):      # complete, but not yet moved
                os.replace(self.partial, output_file)
                return
            if response.status_code == 416:
                os.remove(self.partial)
            response.raise_for_status()
            self._append(response, done if response.status_code == 206 else 0)
        os.replace(self.partial, output_file)

    def _append(self, response, done):
        """Append the content of a response after the first `done` bytes of the partial file."""
        from tqdm import tqdm
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        bar = tqdm(total=total, initial=done, unit="B", unit_scale=True, leave=False, disable=not sys.stderr.isatty(),
                   desc="downloading " + os.path.basename(self.partial)[:-len(".part")], file=sys.stderr)
        with open(self.partial, "ab" if done else "wb") as stream, bar:
            for chunk in response.iter_content(CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
        size = os.path.getsize(self.partial)
        if total is not None and size != total:
            raise OSError("the connection ended after %d of %d bytes; the next attempt continues there"
                          % (size, total))


def _total_size(response):
    """Return the size that a server reports for a range outside a file, or None."""
    match = re.match(r"bytes \*/(\d+)\Z", response.headers.get("Content-Range", ""))
    return int(match.group(1)) if match else None


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
