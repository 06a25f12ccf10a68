"""The command line of every ``Experiments/<data set>/prepare_data.py``."""

import os
import sys

from theano_rnn.errors import ArgumentParser, ReportedError

from ..config import default_data_dir, experiment_folder

__all__ = ["main"]

TEXT_DATASETS = ("IMDB", "AGNews")
SOURCE_HELP = {
    "IMDB": "the folder aclImdb (or the one that holds it), or a .tar.gz, .tar.xz, .tar or .zip archive of it",
    "AGNews": "a folder with train.csv and test.csv, or a single csv file (with --holdout)",
    "Char_PTB": "a folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt, or an archive of them",
    "Word_PTB": "a folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt, or an archive of them",
}
PUBLISHED_SOURCE = "the published files, checked by their digests"
OTHER_SOURCE = "a local copy, not compared with the published files"


def main(dataset, argv=None):
    """Prepare a data set as the command line says.

    Parameters
    ----------
    dataset : str
        ``"IMDB"``, ``"AGNews"``, ``"Char_PTB"`` or ``"Word_PTB"``.
    argv : list of str, optional
        The arguments; those of the process if omitted.

    Returns
    -------
    int
        The exit status: 0, 2 after an error that was reported, 130 after Ctrl-C.
    """
    options = _parser(dataset).parse_args(argv)
    try:
        _prepare(dataset, options)
    except ReportedError as error:
        print("error: %s" % error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser(dataset):
    parser = ArgumentParser(description="Prepare the data of the %s experiment: download it (or take a local "
                                                 "copy), check it, and write ids and vocabulary." % dataset)
    parser.add_argument("--source", metavar="PATH", help="local copy instead of a download: " + SOURCE_HELP[dataset])
    parser.add_argument("--data-dir", metavar="DIR", default=default_data_dir(dataset),
                        help="the folder to write (default: %(default)s)")
    if dataset == "AGNews":
        parser.add_argument("--holdout", metavar="FRACTION", type=float,
                            help="with a single csv file: the fraction of its rows that becomes the test part")
    parser.add_argument("--no-checksum", action="store_true",
                        help="accept another corpus in the same format: digests and document counts are not compared")
    return parser


def _prepare(dataset, options):
    source, check = options.source, not options.no_checksum
    if source is None:
        from .download import download_corpus
        source = download_corpus(dataset, os.path.join(experiment_folder(dataset), "data", "download"))
    details = {"source": PUBLISHED_SOURCE if check else OTHER_SOURCE}
    if dataset in TEXT_DATASETS:
        _prepare_text(dataset, source, check, options, details)
    else:
        _prepare_language(dataset, source, check, options, details)
    _print_digests(options.data_dir)


def _prepare_text(dataset, source, check, options, details):
    from . import classification as text
    if dataset == "IMDB":
        corpus = text.read_imdb(source, check)
    else:
        corpus = text.read_agnews(source, options.holdout, check)
        if options.holdout is not None:
            details["holdout"] = options.holdout
    data = text.prepare_text(*corpus["train"], *corpus["test"], data_dir=options.data_dir, dataset=dataset,
                             details=details)
    print("%s prepared in %s" % (dataset, options.data_dir))
    for split, part in (("train", data.train), ("test", data.test)):
        classes = ", ".join("%d %s" % (int((part.labels == label).sum()), name)
                            for label, name in enumerate(text.CLASS_NAMES[dataset]))
        print("%s: %d documents (%s), %d tokens" % (split, len(part.labels), classes, len(part.tokens)))
    print("vocabulary: %d entries (words in at least two training documents, and %s)"
          % (len(data.vocabulary), text.END_OF_DOCUMENT))
    print("train tokens that are one of the 20,000 most frequent words: %.2f %%" % (100 * text.covered_share(data)))


def _prepare_language(dataset, source, check, options, details):
    from . import penn_treebank as ptb
    data = ptb.prepare_language(ptb.read_ptb(source, check), options.data_dir, dataset, details, published=check)
    print("%s prepared in %s" % (dataset, options.data_dir))
    for part in ptb.PARTS:
        print("%s: %d %s" % (part, len(getattr(data, part)), ptb.KINDS[dataset]))
    print("vocabulary: %d %s" % (len(data.vocabulary), ptb.KINDS[dataset]))


def _print_digests(data_dir):
    from .prepared_folder import file_digests
    print("sha256 of the files:")
    for name, digest in file_digests(data_dir):
        print("  %s  %s" % (digest, name))
