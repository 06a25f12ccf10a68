"""The description of a data set, and the command line of every ``Experiments/<experiment>/prepare_data.py``."""

import argparse
import contextlib
import importlib
import os

from theano_rnn.errors import ArgumentParser, ReportedError, print_text, reported_errors
from theano_rnn.folder_lock import folder_lock

from ..config import data_folder, default_data_dir
from ..readers import checked, number, positive_integer
from . import download
from .archives import LARGEST_CONTENT, archive_limit, file_digest
from .prepared_folder import is_intact

__all__ = ["DataSet", "add_source_options", "add_holdout_option", "checked_archive_limit", "held_out_share",
           "refuse_own_options", "find_data_set", "main", "preparation_lock", "PUBLISHED_SOURCE", "LOCAL_SOURCE",
           "DOWNLOADED_SOURCE", "OWN_SOURCE", "HELD_OUT_SEED"]

# Origins of prepared data, stored with them.
PUBLISHED_SOURCE = "the published files, checked by their digests"
LOCAL_SOURCE = "a local copy, not compared with the published files"
DOWNLOADED_SOURCE = "downloaded, not compared with the published files"
OWN_SOURCE = "own data of the user"
#: Default share of own data in the validation part, and in the test part; seed of the draw.
HELD_OUT, HELD_OUT_SEED = 0.1, 20261128


class DataSet(object):
    """Description of a data set: its files on the web, its readers and its prepared form.

    A subclass defines `read`, `write`, for ``--demo`` `generate`, and for a folder of arrays `is_prepared`. An
    experiment names its data set ``DATA_SET`` in its ``prepare_data.py``.

    Attributes
    ----------
    experiment : str
        Folder under ``Experiments``.
    downloads : sequence of (str, str or None)
        Pairs of URL and digest; see `Experiments.shared.data.download.fetch`.
    corpus : str or None
        Name of the corpus, if the experiment has several.
    corpora : dict of str to DataSet
        Other corpora of the experiment by name; ``--corpus NAME`` prepares one of them.
    description, source_help, folder_help, checksum_help : str
        Help texts of the command line.
    """

    experiment = source_help = corpus = None
    corpora = {}
    downloads = ()
    folder_help = "the folder to write (default: %(default)s)"
    checksum_help = "accept another corpus in the same format: do not compare digests"

    @property
    def description(self):
        return ("Prepare the data of the %s experiment: download them (or take a local copy), check them, and write "
                "ids and vocabulary." % self.experiment)

    @property
    def default_folder(self):
        """The folder to write without ``--data-dir``; None if it depends on the source."""
        return default_data_dir(self.experiment)

    @property
    def corpus_folder(self):
        """The folder ``data/CORPUS``: the `default_folder` of a corpus that does not replace the published one."""
        return data_folder(self.experiment, self.corpus)

    def of_source(self, options):
        """Return the `DataSet` that reads the source in `options`: this one, or one for own data of the user."""
        return self

    def add_options(self, parser):
        """Add the options that only this data set has."""

    def read(self, source, options):
        """Read the raw data.

        Parameters
        ----------
        source : str
            File or folder.
        options : argparse.Namespace
            ``no_checksum`` and the options of `add_options`.

        Returns
        -------
        object
            The corpus, as `write` takes it.
        """
        raise NotImplementedError

    def folder_of(self, source):
        """Return the folder to write for a source, if `default_folder` is None."""
        raise NotImplementedError

    def details(self, source, options):
        """Return the metadata of the prepared data: a dict, at least ``"source"``, their origin in words."""
        return {"source": LOCAL_SOURCE if options.no_checksum else PUBLISHED_SOURCE}

    def write(self, corpus, folder, details):
        """Write the prepared folder and return the lines to print."""
        raise NotImplementedError

    def generate(self):
        """Return a generated corpus for the demonstration, as `write` takes it."""
        raise NotImplementedError

    def is_prepared(self, folder):
        """Return whether the folder holds the prepared data."""
        return is_intact(folder)

    def prepare(self, folder, options, download_folder=None):
        """Get the raw data, write the prepared folder, and print a summary.

        Parameters
        ----------
        folder : str or None
            The folder to write; None for the default.
        options : argparse.Namespace
        download_folder : str, optional
            Folder of the downloads.
        """
        source = options.source or self._downloaded(download_folder or data_folder(self.experiment, "download"))
        try:
            corpus = self.read(source, options)
        except ReportedError:
            if not options.source:          # otherwise, the next run would read the same damaged files
                for name in self._unverified:
                    os.remove(os.path.join(source, name) if os.path.isdir(source) else source)
            raise
        for line in self.write(corpus, folder or self.folder_of(source), self.details(source, options)):
            print_text(line)

    @property
    def _unverified(self):
        """The names of the downloaded files without a known digest."""
        return [url.rsplit("/", 1)[-1] for url, known_hash in self.downloads if known_hash is None]

    def _downloaded(self, folder):
        if not self.downloads:
            raise ReportedError("--source is missing, expected " + self.source_help)
        source = download.fetch_all(self.downloads, folder)
        for name in self._unverified:
            path = os.path.join(source, name) if os.path.isdir(source) else source
            print("%s: sha256 %s (no published digest was known to compare it with)"
                  % (path, file_digest(path)))
        return source


def add_source_options(parser, data_set, folder_default):
    """Add ``--source``, ``--data-dir``, the options of the data set and ``--no-checksum``."""
    instead = "local copy instead of a download: " if data_set.downloads else ""
    parser.add_argument("--source", metavar="PATH", help=instead + data_set.source_help)
    parser.add_argument("--data-dir", metavar="DIR", default=folder_default, help=data_set.folder_help)
    if data_set.corpora:
        parser.add_argument("--corpus", choices=[data_set.corpus] + list(data_set.corpora), default=data_set.corpus,
                            help="the corpus (default: %(default)s)")
    data_set.add_options(parser)
    parser.add_argument("--archive-limit", metavar="MB", default=LARGEST_CONTENT,
                        help="refuse an archive whose files have more megabytes when they are uncompressed, or one "
                             "file more than a quarter (default: %(default)s)")
    parser.add_argument("--no-checksum", action="store_true",
                        help=data_set.checksum_help if data_set.downloads else argparse.SUPPRESS)


def add_holdout_option(parser, of):
    """Add ``--holdout`` for own data; see `held_out_share`."""
    parser.add_argument("--holdout", metavar="SHARE",
                        help="share of %s for validation, and for the test, if the source has no such parts "
                             "(default: %s)" % (of, HELD_OUT))


def refuse_own_options(options):
    """Raise a `ReportedError` if an option for own data is given, because the data are published ones."""
    for name in ("holdout", "words", "tokenized"):
        if getattr(options, name, None):
            raise ReportedError("--%s is for own data, but %s is a published corpus" % (
                name, "the download" if options.source is None else options.source))


def held_out_share(options):
    """Return the value of ``--holdout``: float in (0, 0.5)."""
    read = number(float, lambda value: 0 < value < 0.5, "a number in (0, 0.5)")
    return checked("--holdout", read, HELD_OUT if options.holdout is None else options.holdout)


def main(data_set, argv=None):
    """Prepare a data set according to the command line. Exit with status 2 after a reported error, 130 after Ctrl-C.

    Parameters
    ----------
    data_set : DataSet
    argv : list of str, optional
        The arguments; those of the process if omitted.
    """
    parser = ArgumentParser(description=data_set.description)
    # If the folder depends on the corpus or the source, `folder_help` describes the defaults.
    is_fixed = "%(default)s" in data_set.folder_help
    add_source_options(parser, data_set, data_set.default_folder if is_fixed else None)
    options = parser.parse_args(argv)
    if data_set.corpora:
        data_set = data_set.corpora.get(options.corpus, data_set)
    with reported_errors(), checked_archive_limit(options):
        data_set = data_set.of_source(options)
        folder = options.data_dir or data_set.default_folder
        with preparation_lock(folder or data_folder(data_set.experiment)):
            data_set.prepare(folder, options)


def checked_archive_limit(options):
    """Return the context manager `archive_limit` with the value of ``--archive-limit``."""
    return archive_limit(checked("--archive-limit", positive_integer, options.archive_limit))


@contextlib.contextmanager
def preparation_lock(folder, wait=False):
    """Context manager of the lock of a prepared folder: a file beside it, because the folder is replaced.

    Parameters
    ----------
    folder : str
    wait : bool
        Wait until the other process has ended instead of refusing.

    Raises
    ------
    ReportedError
        If another process prepares the folder.
    """
    folder = os.path.abspath(folder)
    parent, advice = os.path.dirname(folder), "choose another folder with --data-dir"
    makes_parent = not os.path.isdir(parent)
    try:
        os.makedirs(parent, exist_ok=True)
    except OSError as error:
        raise ReportedError("cannot write %s (%s); %s" % (folder, error.strerror, advice)) from error
    try:
        with folder_lock(folder + ".lock", folder, "wait until it ends, or " + advice, wait):
            yield
    finally:
        if makes_parent:
            with contextlib.suppress(OSError):          # it is not empty
                os.rmdir(parent)


def find_data_set(experiment):
    """Return the `DataSet` that ``Experiments/<experiment>/prepare_data.py`` describes."""
    return importlib.import_module("Experiments.%s.prepare_data" % experiment).DATA_SET
