"""Own plain text for the language models: a file, or one file per part."""

import collections
import os
import re

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import UNKNOWN_WORD

from ..readers import checked, positive_integer
from .archives import read_text, refuse_null_characters
from .prepare import held_out_share
from .prepared_folder import PARTS
from .vocabulary import ordered_words

__all__ = ["OWN_CORPUS", "SOURCE_HELP", "ARCHIVES", "is_own_source", "read_own_text", "add_own_words_options",
           "own_words", "separated_words", "with_unknown_words"]

#: Name of the corpus, which is also that of its folder.
OWN_CORPUS = "own"
SOURCE_HELP = "own text: a plain text file, or a folder with train.txt, valid.txt and test.txt"
ARCHIVES = (".zip", ".tar", ".gz", ".xz", ".bz2", ".tgz")
#: Default of ``--words``: about as many as the Penn Treebank has.
OWN_WORDS = 10000
#: Words (with apostrophes inside), and all other characters that are not white space.
TOKEN = re.compile(r"<unk>|\w+(?:['\u2019]\w+)*|[^\w\s]", re.UNICODE)


def is_own_source(source):
    """Return whether a source is own text: a file that is not an archive, or a folder with ``train.txt`` in it."""
    if source is None or not os.path.exists(source):
        return False
    if os.path.isdir(source):
        return os.path.isfile(os.path.join(source, "train.txt"))
    return not source.lower().endswith(ARCHIVES)


def read_own_text(source, share):
    """Read a plain text.

    Parameters
    ----------
    source : str
        A file, whose end becomes the validation and the test part; or a folder with ``train.txt``, ``valid.txt`` and
        ``test.txt``.
    share : float
        Of a file: the share of its characters in the validation part, and in the test part, in (0, 0.5). The parts
        begin with a line, or with a word if the lines are long.

    Returns
    -------
    OrderedDict of str to str
        By part.

    Raises
    ------
    ReportedError
        If a file is missing, not plain text in UTF-8, or a part is empty.
    """
    if os.path.isdir(source):
        texts = collections.OrderedDict((part, _text(os.path.join(source, part + ".txt"))) for part in PARTS)
    else:
        text = _text(source)
        first, second = [_cut(text, int(len(text) * (1 - count * share)), int(len(text) * share / 2))
                         for count in (2, 1)]
        texts = collections.OrderedDict(zip(PARTS, (text[:first], text[first:second], text[second:])))
    for part, text in texts.items():
        if not text.strip():
            raise ReportedError("the %s part of %s is empty; use a longer text" % (part, source))
    return texts


def add_own_words_options(parser):
    """Add the options of `own_words`."""
    parser.add_argument("--words", metavar="N",
                        help="own text: keep at most the N most frequent words that occur twice or more; the others "
                             "become <unk> (default: %d)" % OWN_WORDS)
    parser.add_argument("--tokenized", action="store_true",
                        help="own text: words and punctuation are separated by spaces already")


def own_words(source, options):
    """Return own text as words between spaces, with ``<unk>``; see `read_own_text` and `with_unknown_words`.

    Parameters
    ----------
    source : str
    options : argparse.Namespace
        With ``holdout``, ``words`` and ``tokenized``.

    Returns
    -------
    OrderedDict of str to str
        By part.

    Raises
    ------
    ReportedError
        If an option has a wrong value, or `read_own_text` refuses the text.
    """
    share = held_out_share(options)
    largest = checked("--words", positive_integer, OWN_WORDS if options.words is None else options.words)
    texts = read_own_text(source, share)
    if not options.tokenized:
        texts = {part: separated_words(text) for part, text in texts.items()}
    return with_unknown_words(texts, largest)


def separated_words(text):
    """Return a text with spaces between words and punctuation, line by line.

    >>> separated_words("Well, it's (not) done.")
    "Well , it's ( not ) done ."
    """
    return "\n".join(" ".join(TOKEN.findall(line)) for line in text.split("\n"))


def with_unknown_words(texts, largest):
    """Return the texts of the three parts with ``<unk>`` for rare words.

    Parameters
    ----------
    texts : dict of str to str
        By part; words between white space.
    largest : int
        The number of words to keep at most: the most frequent ones that occur twice or more in the training text.

    Returns
    -------
    OrderedDict of str to str
    """
    counts = collections.Counter(texts["train"].split())
    kept = set(ordered_words({word: count for word, count in counts.items() if count > 1})[:largest])
    return collections.OrderedDict(
        (part, "\n".join(" ".join(word if word in kept else UNKNOWN_WORD for word in line.split())
                         for line in texts[part].split("\n"))) for part in PARTS)


def _text(path):
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    refuse_null_characters(text, path, "use a text file or an archive of the published corpus")
    return text


def _cut(text, position, reach):
    """Return the start of a line at or after a position, else of a word, else the position."""
    for end in "\n ":
        found = text.find(end, position, position + reach)
        if found >= 0:
            return found + 1
    return position
