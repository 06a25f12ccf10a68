"""Prepare CoNLL-2000, the English Web Treebank, the licensed Wall Street Journal part, or own files: see ``--help``."""

import os

from theano_rnn.errors import ReportedError

import numpy as np

from Experiments.shared.config import data_folder
from Experiments.shared.data.archives import check_md5, decode, read_named_files, read_text, source_names
from Experiments.shared.data.own_language import ARCHIVES
from Experiments.shared.data.prepare import (
    DOWNLOADED_SOURCE,
    HELD_OUT_SEED,
    LOCAL_SOURCE,
    OWN_SOURCE,
    DataSet,
    add_holdout_option,
    held_out_share,
    main,
    refuse_own_options,
)
from Experiments.shared.data.prepared_folder import PARTS, write_text_folder
from Experiments.shared.data.synthetic import generate_tagged
from Experiments.shared.data.tagged_sentences import (
    FILES,
    TAGS_FILE,
    RawPart,
    parse_conllu,
    parse_own_sentences,
    parse_sentences,
    parse_tagged,
    tagged_files,
)

MD5 = {"train.txt": "2e2f24e90e20fcb910ab2251b5ed8cd0", "test.txt": "56944df34be553b72a2a634e539a0951"}
VALIDATION_SHARE = 0.1
EWT_URL = "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/r2.15/"
EWT_FILES = {"train": "en_ewt-ud-train.conllu", "valid": "en_ewt-ud-dev.conllu", "test": "en_ewt-ud-test.conllu"}
# Of a copy of release 2.15.
EWT_MD5 = {"train": "fa9865539033efcf99ea90f8b93d6646", "valid": "cb1da95ff28a449cb9bc286c922e15e1",
           "test": "01630da0129f8600ef761dbcfd18b9e2"}


class TaggedSentences(DataSet):
    """CoNLL-2000, or the Wall Street Journal part of the Penn Treebank if the source has its files.

    A corpus is a dict of `RawPart` by part and the list of tags.
    """

    experiment, corpus = "sequence_labeling", "conll2000"
    description = ("Download CoNLL-2000 or the English Web Treebank (or take a local copy, or the licensed Wall Street "
                   "Journal part), check it, and write wsj_{train,valid,test}.conll and tags.txt.")
    source_help = ("a folder or archive with train.txt and test.txt (CoNLL-2000), with en_ewt-ud-{train,dev,test}."
                   "conllu (--corpus ewt), or with wsj_train.conll, wsj_valid.conll, wsj_test.conll; or an own file of "
                   "lines 'token TAB tag' (or with a space), with blank lines between sentences")
    folder_help = "the folder to write (default: data/conll2000, data/ewt, data/wsj or, of an own file, data/own)"
    checksum_help = "accept another corpus in the format of CoNLL-2000: do not compare digests"
    default_folder = None
    downloads = [("https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/conll2000.zip",
                  "sha256:01e65164f268366e7caa0db92332a1955d081908c87016e2c7640c3c5279b7cd")]

    def of_source(self, options):
        source = options.source
        if source is not None and os.path.isfile(source) and not source.lower().endswith(ARCHIVES):
            return OwnTagged()
        refuse_own_options(options)
        return self

    def add_options(self, parser):
        add_holdout_option(parser, "the sentences of an own file")

    def read(self, source, options):
        return read_wsj(source) if _is_wsj(source) else read_conll2000(source, not options.no_checksum)

    def folder_of(self, source):
        return data_folder(self.experiment, "wsj" if _is_wsj(source) else self.corpus)

    def details(self, source, options):
        return {"source": "the Wall Street Journal part, a local copy" if _is_wsj(source) else
                "CoNLL-2000, the last 10 % of train as valid"}

    def write(self, corpus, folder, details):
        parts, tags = corpus
        written = write_text_folder(folder, tagged_files(parts, tags), details["source"])
        lines = ["%s %s" % (folder, "written" if written else "is there and intact")]
        lines += ["%s: %d sentences, %d tokens" % (part, len(parts[part].offsets) - 1, len(parts[part].words))
                  for part in PARTS]
        return lines + ["%d tags, %d words in train" % (len(tags), len(set(parts["train"].words)))]

    def generate(self):
        parts = {}
        for part, sentences in zip(PARTS, generate_tagged()):
            lines = ["".join("%s\t%s\n" % pair for pair in sentence) for sentence in sentences]
            parts[part] = parse_sentences("\n".join(lines), part)
        return parts, sorted(set(parts["train"].tags))


class EnglishWebTreebank(TaggedSentences):
    """The English Web Treebank of Universal Dependencies: Penn Treebank tags, given by annotators."""

    corpus = "ewt"
    default_folder = DataSet.corpus_folder
    # No digest of these files on the web is known for certain; `read_ewt` compares them with those of a copy.
    downloads = [(EWT_URL + EWT_FILES[part], None) for part in PARTS]

    def read(self, source, options):
        return read_ewt(source, not options.no_checksum)

    def details(self, source, options):
        return {"source": "English Web Treebank" + (
            " 2.15" if not options.no_checksum else ", " + (LOCAL_SOURCE if options.source else DOWNLOADED_SOURCE))}


class OwnTagged(TaggedSentences):
    """One file of the user: token and tag."""

    corpus = "own"
    default_folder = DataSet.corpus_folder

    def read(self, source, options):
        return read_own(source, held_out_share(options))

    def details(self, source, options):
        return {"source": OWN_SOURCE}


def read_own(source, share):
    """Read a file of two columns, token and tag; return values as for `read_conll2000`.

    Parameters
    ----------
    source : str
        Lines "token TAB tag", or with white space if no line has a tab; blank lines between sentences.
    share : float
        Share of the sentences in the validation part, and in the test part, drawn with a fixed seed.
    """
    raw = parse_own_sentences(read_text(source), source)
    count = len(raw.offsets) - 1
    held_out = int(round(share * count))
    if not 0 < 2 * held_out < count:
        raise ReportedError("%s has only %d sentences (blank lines end sentences), too few to hold out %s for "
                            "validation and as many for the test" % (source, count, share))
    order = np.random.RandomState(HELD_OUT_SEED).permutation(count)
    parts = {part: _joined(_sentences(raw, row, row + 1) for row in sorted(rows))
             for part, rows in zip(PARTS, (order[2 * held_out:], order[:held_out], order[held_out:2 * held_out]))}
    return parts, sorted(set(raw.tags))


def _joined(sentences):
    joined = RawPart([], [], [0])
    for sentence in sentences:
        joined.words.extend(sentence.words)
        joined.tags.extend(sentence.tags)
        joined.offsets.append(len(joined.words))
    return joined


def read_wsj(source):
    """Read ``wsj_*.conll`` (and ``tags.txt``, if present) from a folder or archive; see `parse_tagged`."""
    optional = [TAGS_FILE] if TAGS_FILE in source_names(source) else []
    return parse_tagged(read_named_files(source, list(FILES.values()) + optional), source)


def read_conll2000(source, check=True):
    """Read CoNLL-2000; the last 10 % of the training sentences become the validation part.

    Parameters
    ----------
    source : str
        Folder or archive with ``train.txt`` and ``test.txt``: lines "token tag chunk".
    check : bool
        Require the published files.

    Returns
    -------
    parts : dict of str to RawPart
    tags : list of str
        Of all parts, sorted.
    """
    contents = read_named_files(source, ["train.txt", "test.txt"])
    read = {}
    for name in contents:
        where = "%s of %s" % (name, source)
        if check:
            check_md5(contents[name], MD5[name], where)
        read[name] = parse_sentences(decode(contents[name], where), where, ("token", "tag", "chunk"), None)
    count = len(read["train.txt"].offsets) - 1
    border = count - int(round(VALIDATION_SHARE * count))
    if border == count:
        raise ReportedError("train.txt of %s has only %d sentences, too few for a validation part of 10 %%; use a "
                            "larger corpus" % (source, count))
    parts = {"train": _sentences(read["train.txt"], 0, border), "valid": _sentences(read["train.txt"], border, count),
             "test": read["test.txt"]}
    return parts, sorted(set(read["train.txt"].tags) | set(read["test.txt"].tags))


def read_ewt(source, check=True):
    """Read the English Web Treebank; return values as for `read_conll2000`.

    Parameters
    ----------
    source : str
        Folder or archive with ``en_ewt-ud-train.conllu``, ``en_ewt-ud-dev.conllu`` and ``en_ewt-ud-test.conllu``.
    check : bool
        Require the files of release 2.15.
    """
    contents = read_named_files(source, [EWT_FILES[part] for part in PARTS])
    parts = {}
    for part in PARTS:
        where = "%s of %s" % (EWT_FILES[part], source)
        if check:
            check_md5(contents[EWT_FILES[part]], EWT_MD5[part], where)
        parts[part] = parse_conllu(decode(contents[EWT_FILES[part]], where), where)
    return parts, sorted(set(tag for part in PARTS for tag in parts[part].tags))


def _is_wsj(source):
    return FILES["train"] in source_names(source)


def _sentences(raw, first, end):
    begin, stop = raw.offsets[first], raw.offsets[end]
    return RawPart(raw.words[begin:stop], raw.tags[begin:stop],
                   [offset - begin for offset in raw.offsets[first:end + 1]])


DATA_SET = TaggedSentences()
DATA_SET.corpora = {"ewt": EnglishWebTreebank()}

if __name__ == "__main__":
    main(DATA_SET)
