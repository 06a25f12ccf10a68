"""Prepare Penn Treebank, WikiText-2 and own text as folders of text files: the command line of ``./getdata.sh``."""

import collections
import hashlib
import os

from theano_rnn.errors import ArgumentParser, ReportedError, reported_errors
from theano_rnn.tokens import END_OF_LINE

from Experiments.shared.config import data_folder
from Experiments.shared.data.archives import check_md5, read_named_files, source_names, without_mark
from Experiments.shared.data.demo import DEMO_SOURCE
from Experiments.shared.data.language_modeling import corpus_words
from Experiments.shared.data.own_language import OWN_CORPUS, add_own_words_options, is_own_source, own_words
from Experiments.shared.data.penn_treebank import DOWNLOADS, MD5, WIKITEXT2_DOWNLOADS, WIKITEXT2_FILE_NAME
from Experiments.shared.data.prepare import (
    DOWNLOADED_SOURCE,
    LOCAL_SOURCE,
    OWN_SOURCE,
    DataSet,
    add_holdout_option,
    add_source_options,
    checked_archive_limit,
    preparation_lock,
    refuse_own_options,
)
from Experiments.shared.data.prepared_folder import (
    PARTS,
    folder_source,
    is_intact,
    refuse_foreign_files,
    write_text_folder,
)
from Experiments.shared.data.synthetic import generate_language


class TextCorpus(DataSet):
    """Training, validation and test text, kept as text files.

    Parameters
    ----------
    name : str
    file_names : sequence of str
        Possible names of the raw files, with ``%s`` for the part; the published names first.
    downloads
        See `DataSet`.
    md5 : dict of str to str, optional
        Published digests by part.
    """

    experiment = "language_modeling"
    description = ("Put corpora of the language models into data/penn and data/wikitext-2. A folder that is present "
                   "and intact is left as it is. './getdata.sh own --source my.txt' puts own text into data/own.")
    source_help = ("a folder or archive with ptb.train.txt (penn), wiki.train.tokens (wikitext-2) or train.txt, and so "
                   "on; or, for the corpus own, a plain text file; for one corpus only")
    folder_help = "parent of the folders penn, wikitext-2 and own (default: %(default)s)"

    def __init__(self, name, file_names, downloads, md5=None):
        self.name, self.file_names, self.downloads, self.md5 = name, file_names, downloads, md5

    def prepare(self, folder, options, download_folder=None):
        if not options.source and is_intact(folder) and folder_source(folder) != DEMO_SOURCE:
            print(_nothing_to_do(folder))
            return
        refuse_foreign_files(folder)
        super(TextCorpus, self).prepare(folder, options, download_folder)

    def add_options(self, parser):
        add_holdout_option(parser, "own text")
        add_own_words_options(parser)

    def read(self, source, options):
        """Return the three files by the names that `load_corpus` expects: dict of str to bytes."""
        present = source_names(source)
        form = next((form for form in self.file_names if form % "train" in present), self.file_names[0])
        found = read_named_files(source, [form % part for part in PARTS])
        contents = collections.OrderedDict((part + ".txt", found[form % part]) for part in PARTS)
        for part in PARTS:
            where = "%s of %s" % (form % part, source)
            if self.md5 and not options.no_checksum:
                check_md5(found[form % part], self.md5[part], where)
            corpus_words(found[form % part], where)
            contents[part + ".txt"] = without_mark(contents[part + ".txt"])
        return contents

    def details(self, source, options):
        if self.md5 and not options.no_checksum:
            return super(TextCorpus, self).details(source, options)
        return {"source": LOCAL_SOURCE if options.source else DOWNLOADED_SOURCE}

    def write(self, corpus, folder, details):
        written = write_text_folder(folder, corpus, details["source"])
        lines = ["%s written:" % folder if written else _nothing_to_do(folder)]
        for name, content in corpus.items():
            lines.append("  %s: %d tokens (with %s), sha256 %s" % (
                name, len(corpus_words(content, name)), END_OF_LINE, hashlib.sha256(content).hexdigest()))
        return lines

    def generate(self):
        return collections.OrderedDict((part + ".txt", text.encode("utf-8"))
                                       for part, text in zip(PARTS, generate_language()))


class OwnCorpus(TextCorpus):
    """Text of the user, with ``<unk>`` for rare words."""

    def read(self, source, options):
        if not is_own_source(source):
            raise ReportedError("--source must be a text file, or a folder with train.txt, valid.txt and test.txt, got "
                                "%s" % source)
        texts = own_words(source, options)
        return collections.OrderedDict((part + ".txt", texts[part].encode("utf-8")) for part in PARTS)

    def details(self, source, options):
        return {"source": OWN_SOURCE}


def _nothing_to_do(folder):
    return "%s is there and intact: nothing to do" % folder


DATA_SET = TextCorpus("penn", ("ptb.%s.txt", "%s.txt"), DOWNLOADS, MD5)
WIKITEXT2 = TextCorpus("wikitext-2", (WIKITEXT2_FILE_NAME, "%s.txt"), WIKITEXT2_DOWNLOADS)
CORPORA = collections.OrderedDict((corpus.name, corpus) for corpus in (
    DATA_SET, WIKITEXT2, OwnCorpus(OWN_CORPUS, (), ())))
#: Prepared without a name.
PUBLISHED = (DATA_SET.name, WIKITEXT2.name)


def main(argv=None):
    """Prepare corpora according to the command line. Exit with status 2 after a reported error, 130 after Ctrl-C.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; those of the process if omitted.
    """
    known = " or ".join(CORPORA)
    parser = ArgumentParser(prog="./getdata.sh", description=DATA_SET.description)
    parser.add_argument("corpora", metavar="CORPUS", nargs="*",
                        help="%s (default: %s)" % (known, " and ".join(PUBLISHED)))
    add_source_options(parser, DATA_SET, data_folder(DATA_SET.experiment))
    options = parser.parse_args(argv)
    with reported_errors(), checked_archive_limit(options):
        unknown = sorted(set(options.corpora) - set(CORPORA))
        if unknown:
            raise ReportedError("unknown corpus %r, expected %s" % (unknown[0], known))
        names = options.corpora or list(PUBLISHED)
        if options.source and len(names) != 1:
            raise ReportedError("--source needs exactly one corpus, got %d: ./getdata.sh penn --source PATH"
                                % len(names))
        if names != [OWN_CORPUS]:
            refuse_own_options(options)
        for name in names:
            folder = os.path.join(options.data_dir, name)
            with preparation_lock(folder):
                CORPORA[name].prepare(folder, options, os.path.join(options.data_dir, "download"))


if __name__ == "__main__":
    main()
