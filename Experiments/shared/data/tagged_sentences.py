"""Tagged sentences: ``wsj_{train,valid,test}.conll`` with "token TAB tag" lines, and ``tags.txt``.

All corpora have the same form and the same file names; the name of the folder says which corpus it is.
"""

import collections
import itertools
import os

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import UNKNOWN_WORD

import numpy as np

from .archives import decode, read_file
from .prepared_folder import PARTS
from .vocabulary import Vocabulary, ordered_vocabulary

__all__ = ["TaggedData", "TaggedPart", "RawPart", "FILES", "TAGS_FILE", "load_tagged", "default_tagged_folder",
           "parse_sentences", "parse_own_sentences", "encode_sentences", "parse_conllu",
           "parse_tagged", "tagged_files", "TAGGED_CORPORA"]

TaggedData = collections.namedtuple("TaggedData", "vocabulary tags train valid test")
TaggedPart = collections.namedtuple("TaggedPart", "tokens tags offsets")
RawPart = collections.namedtuple("RawPart", "words tags offsets")

FILES = collections.OrderedDict((part, "wsj_%s.conll" % part) for part in PARTS)
TAGS_FILE = "tags.txt"
#: Names of the corpora, which are also those of their folders. Without a choice, the first one if it is there, else the
#: second one.
TAGGED_CORPORA = ("wsj", "conll2000", "ewt")


def load_tagged(folder, vocab_order="up", seed=0):
    """Load a folder of tagged sentences and encode words and tags.

    Words are case-sensitive. A word that train lacks becomes ``<unk>``, which is a word of the vocabulary. With
    ``"up"`` its id is 0 (the rare end), unless train itself has it, because its count is 0. No training word becomes
    ``<unk>``, so its vector keeps its initial values.

    Parameters
    ----------
    folder : str
        With ``wsj_train.conll``, ``wsj_valid.conll``, ``wsj_test.conll``, and ``tags.txt`` (one tag per line; if it is
        missing, the tags are those of train, sorted).
    vocab_order : {"up", "down", "none", "rand"}
        See `Experiments.shared.data.vocabulary.ordered_words`.
    seed : int
        For ``"rand"``.

    Returns
    -------
    TaggedData
        ``vocabulary`` and ``tags``: `Vocabulary`; ``train``, ``valid``, ``test``: `TaggedPart` with ``tokens`` and
        ``tags`` int32 ``(tokens,)``, all sentences end to end, and ``offsets`` int64 ``(sentences + 1,)``.

    Raises
    ------
    ReportedError
        With file and line, for a line that is not "token TAB tag" and for an unknown tag.

    Examples
    --------
    >>> data = load_tagged("data/conll2000")                                          # doctest: +SKIP
    >>> len(data.train.offsets) - 1, len(data.tags)                                   # doctest: +SKIP
    (8042, 44)
    """
    if not os.path.isdir(folder):
        raise ReportedError("no tagged sentences in %s: run 'python prepare_data.py%s' (with --source PATH for a local "
                            "copy), or try --demo" % (folder, " --corpus ewt" if _is_ewt(folder) else ""))
    missing = [name for name in FILES.values() if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise ReportedError("%s has no %s; expected %s: run prepare_data.py, or try --demo"
                            % (folder, missing[0], ", ".join(FILES.values())))
    names = [name for name in list(FILES.values()) + [TAGS_FILE] if os.path.isfile(os.path.join(folder, name))]
    parts, tags = parse_tagged({name: read_file(os.path.join(folder, name)) for name in names}, folder)
    vocabulary, tags = ordered_vocabulary(parts["train"].words, [UNKNOWN_WORD], vocab_order, seed), Vocabulary(tags)
    return TaggedData(vocabulary, tags, *[encode_sentences(parts[part], vocabulary, tags, FILES[part])
                                          for part in PARTS])


def encode_sentences(raw, vocabulary, tags, name):
    """Return the ids of the words and tags of sentences.

    Parameters
    ----------
    raw : RawPart
    vocabulary, tags : Vocabulary
    name : str
        For the error message.

    Returns
    -------
    TaggedPart

    Raises
    ------
    ReportedError
        For a tag that is not in `tags`.
    """
    unknown = next((index for index, tag in enumerate(raw.tags) if tag not in tags), None)
    if unknown is not None:
        raise ReportedError("%s: the word %r has the tag %r; expected one of the %d tags of the data"
                            % (name, raw.words[unknown], raw.tags[unknown], len(tags)))
    return TaggedPart(vocabulary.encode(raw.words), tags.encode(raw.tags), np.array(raw.offsets, dtype=np.int64))


def default_tagged_folder(experiment_folder, corpus=None):
    """Return the data folder of a corpus; without a name, ``data/wsj`` if it exists, else ``data/conll2000``."""
    folders = {name: os.path.join(experiment_folder, "data", name) for name in TAGGED_CORPORA}
    return folders[corpus or ("wsj" if os.path.isdir(folders["wsj"]) else "conll2000")]


def parse_sentences(text, name, columns=("token", "tag"), separator="\t"):
    r"""Parse lines of columns, of which the first two are the word and its tag; blank lines end sentences.

    Parameters
    ----------
    text : str
    name : str
        For error messages.
    columns : sequence of str
        Their names.
    separator : str or None
        None for any white space.

    Returns
    -------
    RawPart
        ``words`` and ``tags``: lists of str; ``offsets``: list of int, the starts of the sentences and the end.

    Examples
    --------
    >>> parse_sentences("I\tPRP\nsee\tVBP\n\nHm\tUH\n", "example")
    RawPart(words=['I', 'see', 'Hm'], tags=['PRP', 'VBP', 'UH'], offsets=[0, 2, 3])
    """
    words, tags, offsets = [], [], [0]
    for number, line in enumerate(text.split("\n") + [""], 1):
        if line.strip():
            fields = line.rstrip("\r ").split(separator)
            if len(fields) != len(columns) or not all(fields):
                raise ReportedError("%s, line %d: expected '%s', got %r; fix the line, or use an undamaged copy" % (
                    name, number, (" " if separator is None else " TAB ").join(columns), line[:80]))
            words.append(fields[0])
            tags.append(fields[1])
        elif len(words) > offsets[-1]:
            offsets.append(len(words))
    if not words:
        raise ReportedError("%s has no sentence; expected lines of '%s'" % (name, " ".join(columns)))
    return RawPart(words, tags, offsets)


def parse_own_sentences(text, name):
    """Parse lines of a word and its tag, between them a tab, or white space if no line has a tab.

    Parameters and return value are those of `parse_sentences`.
    """
    return parse_sentences(text, name, separator="\t" if "\t" in text else None)


def parse_conllu(text, name):
    r"""Parse CoNLL-U [1]_: the words and their language-specific tags, which are the second and the fifth column.

    Lines of multiword tokens (``1-2``) and of empty nodes (``8.1``) are not words.

    Parameters
    ----------
    text : str
    name : str
        For error messages.

    Returns
    -------
    RawPart

    References
    ----------
    .. [1] https://universaldependencies.org/format.html

    Examples
    --------
    >>> lines = ["# text = don't", "1-2\tdon't" + 8 * "\t_", "1\tdo\tdo\tAUX\tVBP" + 5 * "\t_",
    ...          "2\tn't\tnot\tPART\tRB" + 5 * "\t_", ""]
    >>> parse_conllu("\n".join(lines), "example")
    RawPart(words=['do', "n't"], tags=['VBP', 'RB'], offsets=[0, 2])
    """
    words, tags, offsets = [], [], [0]
    for number, line in enumerate(text.split("\n") + [""], 1):
        line = line.rstrip("\r")
        if line and not line.startswith("#"):
            fields = line.split("\t")
            if len(fields) != 10:
                raise ReportedError("%s, line %d: expected the 10 columns of CoNLL-U, got %r; use an undamaged copy"
                                    % (name, number, line[:80]))
            if not fields[0].isdigit():
                continue
            if fields[4] == "_":
                raise ReportedError("%s, line %d: the word %r has no tag in the fifth column; use a treebank with "
                                    "language-specific tags" % (name, number, fields[1]))
            words.append(fields[1])
            tags.append(fields[4])
        elif not line and len(words) > offsets[-1]:
            offsets.append(len(words))
    if not words:
        raise ReportedError("%s has no sentence; expected CoNLL-U" % name)
    return RawPart(words, tags, offsets)


def parse_tagged(contents, where):
    """Parse the files of a folder of tagged sentences and check the tags.

    Parameters
    ----------
    contents : dict of str to bytes
        By file name; ``tags.txt`` may be missing.
    where : str
        For error messages: the folder or archive.

    Returns
    -------
    parts : dict of str to RawPart
    tags : list of str
    """
    texts = {name: decode(contents[name], os.path.join(where, name)) for name in contents}
    parts = {part: parse_sentences(texts[name], os.path.join(where, name)) for part, name in FILES.items()}
    if TAGS_FILE in texts:
        tags, origin = _listed_tags(texts[TAGS_FILE], os.path.join(where, TAGS_FILE)), TAGS_FILE
    else:
        tags, origin = sorted(set(parts["train"].tags)), FILES["train"]
    for part, name in FILES.items():
        unknown = set(parts[part].tags).difference(tags)
        if unknown:
            position = next(number for number, tag in enumerate(parts[part].tags) if tag in unknown)
            raise ReportedError("%s, line %d: the tag %r is not in %s; expected one of its %d tags: fix the line, or "
                                "list the tag in tags.txt" % (os.path.join(where, name),
                                                              _line_number(texts[name], position),
                                                              parts[part].tags[position], origin, len(tags)))
    return parts, tags


def tagged_files(parts, tags):
    """Return the files of a folder of tagged sentences: dict of file name to bytes (the argument of `parse_tagged`)."""
    contents = {TAGS_FILE: "".join(tag + "\n" for tag in tags).encode("utf-8")}
    for part, name in FILES.items():
        raw = parts[part]
        lines = ["%s\t%s\n" % pair for pair in zip(raw.words, raw.tags)]
        sentences = ["".join(lines[begin:end]) for begin, end in zip(raw.offsets, raw.offsets[1:])]
        contents[name] = "".join(sentence + "\n" for sentence in sentences).encode("utf-8")
    return contents


def _is_ewt(folder):
    return os.path.basename(os.path.normpath(folder)) == "ewt"


def _listed_tags(text, name):
    tags = []
    for number, line in enumerate(text.split("\n"), 1):
        tag = line.strip()
        if tag in tags:
            raise ReportedError("%s, line %d: duplicate tag %r; remove one" % (name, number, tag))
        if tag:
            tags.append(tag)
    if not tags:
        raise ReportedError("%s is empty; expected one tag per line (without the file, the tags are those of train)"
                            % name)
    return tags


def _line_number(text, position):
    """Return the line number of a token."""
    lines = (number for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return next(itertools.islice(lines, position, None))
