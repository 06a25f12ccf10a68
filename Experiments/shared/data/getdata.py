"""The command line of ``Experiments/language_modeling/getdata.sh``: Penn Treebank and WikiText-2."""

import collections
import hashlib
import os
import sys

from theano_rnn.errors import ArgumentParser, ReportedError, reported_errors

from ..config import experiment_folder
from .archives import check_md5, read_file, read_named_files, source_names
from .corpus import corpus_words, folder_source, is_intact, refuse_foreign_files, write_files
from .demo import DEMO_SOURCE
from .download import download_corpus
from .penn_treebank import MD5, PARTS
from .prepare import OTHER_SOURCE, PUBLISHED_SOURCE

__all__ = ["main"]

# How the files may be called, the published names first.
LAYOUTS = {"penn": ("ptb.%s.txt", "%s.txt"), "wikitext-2": ("wiki.%s.tokens", "%s.txt")}
PUBLISHED_MD5 = {"penn": MD5}
DOWNLOADED = "downloaded, not compared with the published files"


def main(argv=None):
    """Fetch corpora as the command line says; leaves with exit status 2 after an error that was reported.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; those of the process if omitted.
    """
    known = " or ".join(sorted(LAYOUTS))
    parser = ArgumentParser(prog="./getdata.sh", description="Put corpora of the language models into data/penn and "
                            "data/wikitext-2. What is there and intact stays.")
    parser.add_argument("corpora", metavar="CORPUS", nargs="*", help=known + " (default: both)")
    parser.add_argument("--source", metavar="PATH", help="local copy instead of a download, of one corpus: a folder or "
                        "an archive with ptb.train.txt (penn), wiki.train.tokens (wikitext-2) or train.txt, and so on")
    parser.add_argument("--data-dir", metavar="DIR",
                        default=os.path.join(experiment_folder("language_modeling"), "data"),
                        help="where the folders penn and wikitext-2 are to be (default: %(default)s)")
    parser.add_argument("--no-checksum", action="store_true",
                        help="accept another corpus in the same format: digests are not compared")
    options = parser.parse_args(argv)
    with reported_errors():
        unknown = sorted(set(options.corpora) - set(LAYOUTS))
        if unknown:
            raise ReportedError("unknown corpus %r, expected %s" % (unknown[0], known))
        corpora = options.corpora or sorted(LAYOUTS)
        if options.source and len(corpora) != 1:
            raise ReportedError("--source is of one corpus; say which: ./getdata.sh penn --source PATH")
        for corpus in corpora:
            _provide(corpus, options)


def _provide(corpus, options):
    folder = os.path.join(options.data_dir, corpus)
    if not options.source and is_intact(folder) and folder_source(folder) != DEMO_SOURCE:
        print("%s is there and intact: nothing to do" % folder)
        return
    refuse_foreign_files(folder)
    check = corpus in PUBLISHED_MD5 and not options.no_checksum
    if options.source:
        contents, counts = _read(corpus, options.source, check)
    else:
        contents, counts = _download(corpus, os.path.join(options.data_dir, "download"), check)
    origin = PUBLISHED_SOURCE if check else OTHER_SOURCE if options.source else DOWNLOADED
    written = write_files(folder, contents, origin)
    print("%s %s" % (folder, "written:" if written else "is there and intact: nothing to do"))
    for name in counts:
        print("  %s: %d tokens (with <eos>), sha256 %s"
              % (name, counts[name], hashlib.sha256(contents[name]).hexdigest()))


def _download(corpus, folder, check):
    source = download_corpus(corpus, folder)
    if corpus in PUBLISHED_MD5:  # checked on the way
        return _read(corpus, source, check)
    print("%s: sha256 %s (no published digest was known to compare it with)"
          % (source, hashlib.sha256(read_file(source)).hexdigest()))
    try:
        return _read(corpus, source, check)
    except ReportedError:
        os.remove(source)  # or the next run would take the same damaged file
        raise


def _read(corpus, source, check):
    """The three files as bytes and their counts of tokens, by the names that `corpus.read_corpus` expects."""
    present = source_names(source)
    layout = next((layout for layout in LAYOUTS[corpus] if layout % "train" in present), LAYOUTS[corpus][0])
    found = read_named_files(source, [layout % part for part in PARTS])
    contents, counts = {}, collections.OrderedDict()
    for part in PARTS:
        content, where = found[layout % part], "%s of %s" % (layout % part, source)
        if check:
            check_md5(content, PUBLISHED_MD5[corpus][part], where)
        contents[part + ".txt"] = content
        counts[part + ".txt"] = len(corpus_words(content, where))
    return contents, counts


if __name__ == "__main__":
    sys.exit(main())
