"""Tagged sentences: ``wsj_{train,valid,test}.conll`` with "token TAB tag" lines, and ``tags.txt``.

CoNLL-2000 is brought into the same form, under the same names; the name of the folder tells which it is.
"""

import collections
import itertools
import os

import numpy as np

from theano_rnn.errors import ReportedError

from .archives import check_md5, decode, read_file, read_named_files, source_names
from .corpus import encode_words, ordered_vocabulary
from .penn_treebank import PARTS, UNKNOWN

__all__ = ["TaggedData", "TaggedPart", "RawPart", "FILES", "TAGS_FILE", "read_tagged", "default_tagged_folder",
           "parse_sentences", "parse_tagged", "tagged_files", "is_wsj_source", "read_wsj", "read_conll2000"]

TaggedData = collections.namedtuple("TaggedData", "vocabulary tags train valid test")
TaggedPart = collections.namedtuple("TaggedPart", "tokens tags offsets")
RawPart = collections.namedtuple("RawPart", "words tags offsets")

FILES = collections.OrderedDict((part, "wsj_%s.conll" % part) for part in PARTS)
TAGS_FILE = "tags.txt"
CONLL2000_MD5 = {"train.txt": "2e2f24e90e20fcb910ab2251b5ed8cd0", "test.txt": "56944df34be553b72a2a634e539a0951"}
VALIDATION_SHARE = 0.1


def read_tagged(folder, vocab_order="up", seed=0):
    """Read a folder of tagged sentences and number words and tags.

    Words are told apart by case. What train lacks becomes ``<unk>``, a word of the vocabulary: with ``"up"`` it is row
    0 (the rare end) unless train itself has it, since its count is 0. No training word stands for it, so its vector
    then keeps its first values.

    Parameters
    ----------
    folder : str
        With ``wsj_train.conll``, ``wsj_valid.conll``, ``wsj_test.conll``, and ``tags.txt`` (one tag a line; if it is
        missing, the tags are those of train, sorted).
    vocab_order : {"up", "down", "none", "rand"}
        See `Experiments.shared.data.corpus.ordered_vocabulary`.
    seed : int
        For ``"rand"``.

    Returns
    -------
    TaggedData
        ``vocabulary`` and ``tags``: lists of str; ``train``, ``valid``, ``test``: `TaggedPart` with ``tokens`` and
        ``tags`` int32 ``(tokens,)``, all sentences end to end, and ``offsets`` int64 ``(sentences + 1,)``.

    Raises
    ------
    ReportedError
        With file and line, for a line that is no "token TAB tag" and for a tag that is not known.

    Examples
    --------
    >>> data = read_tagged("data/conll2000")                                          # doctest: +SKIP
    >>> len(data.train.offsets) - 1, len(data.tags)                                   # doctest: +SKIP
    (8042, 44)
    """
    if not os.path.isdir(folder):
        raise ReportedError("no tagged sentences in %s: run 'python prepare_data.py' (or 'python prepare_data.py "
                            "--source PATH' for a local copy), or try --demo" % folder)
    missing = [name for name in FILES.values() if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise ReportedError("%s has no %s; expected %s: run prepare_data.py, or try --demo"
                            % (folder, missing[0], ", ".join(FILES.values())))
    names = [name for name in list(FILES.values()) + [TAGS_FILE] if os.path.isfile(os.path.join(folder, name))]
    parts, tags = parse_tagged({name: read_file(os.path.join(folder, name)) for name in names}, folder)
    vocabulary = ordered_vocabulary(parts["train"].words, [UNKNOWN], vocab_order, seed)
    encoded = [TaggedPart(encode_words(part.words, vocabulary), encode_words(part.tags, tags),
                          np.array(part.offsets, dtype=np.int64)) for part in (parts[name] for name in PARTS)]
    return TaggedData(vocabulary, tags, *encoded)


def default_tagged_folder(experiment_folder):
    """The data folder unless the user says otherwise: ``data/wsj`` if it is there, else ``data/conll2000``."""
    licensed = os.path.join(experiment_folder, "data", "wsj")
    return licensed if os.path.isdir(licensed) else os.path.join(experiment_folder, "data", "conll2000")


def parse_sentences(text, name, columns=("token", "tag"), separator="\t"):
    """Parse lines of columns, of which the first two are the word and its tag; blank lines end sentences.

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
        ``words`` and ``tags``: lists of str; ``offsets``: list of int, where sentences begin and the last ends.

    Examples
    --------
    >>> parse_sentences("I\\tPRP\\nsee\\tVBP\\n\\nHm\\tUH\\n", "example")
    RawPart(words=['I', 'see', 'Hm'], tags=['PRP', 'VBP', 'UH'], offsets=[0, 2, 3])
    """
    words, tags, offsets = [], [], [0]
    for number, line in enumerate(text.split("\n") + [""], 1):
        if line.strip():
            fields = line.rstrip("\r ").split(separator)
            if len(fields) != len(columns) or not all(fields):
                raise ReportedError("%s, line %d: expected '%s', found %r; mend the line, or use an undamaged copy" % (
                    name, number, (" " if separator is None else " TAB ").join(columns), line[:80]))
            words.append(fields[0])
            tags.append(fields[1])
        elif len(words) > offsets[-1]:
            offsets.append(len(words))
    if not words:
        raise ReportedError("%s has no sentence; expected lines of '%s'" % (name, " ".join(columns)))
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
            raise ReportedError("%s, line %d: the tag %r is not in %s; expected one of its %d tags: mend the line, or "
                                "list the tag in tags.txt" % (os.path.join(where, name),
                                                              _line_number(texts[name], position),
                                                              parts[part].tags[position], origin, len(tags)))
    return parts, tags


def tagged_files(parts, tags):
    """Return the files of a folder of tagged sentences: dict of file name to bytes (what `parse_tagged` takes)."""
    contents = {TAGS_FILE: "".join(tag + "\n" for tag in tags).encode("utf-8")}
    for part, name in FILES.items():
        raw = parts[part]
        lines = ["%s\t%s\n" % pair for pair in zip(raw.words, raw.tags)]
        sentences = ["".join(lines[begin:end]) for begin, end in zip(raw.offsets, raw.offsets[1:])]
        contents[name] = "".join(sentence + "\n" for sentence in sentences).encode("utf-8")
    return contents


def is_wsj_source(source):
    """Whether a folder or archive has the files of the licensed Wall Street Journal part."""
    return FILES["train"] in source_names(source)


def read_wsj(source):
    """Read ``wsj_*.conll`` (and ``tags.txt``, if there) from a folder or archive; see `parse_tagged`."""
    optional = [TAGS_FILE] if TAGS_FILE in source_names(source) else []
    return parse_tagged(read_named_files(source, list(FILES.values()) + optional), source)


def read_conll2000(source, check=True):
    """Read CoNLL-2000; the last 10 % of the training sentences become the validation part.

    Parameters
    ----------
    source : str
        Folder or archive with ``train.txt`` and ``test.txt``: lines "token tag chunk".
    check : bool
        Insist on the published files.

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
            check_md5(contents[name], CONLL2000_MD5[name], where)
        read[name] = parse_sentences(decode(contents[name], where), where, ("token", "tag", "chunk"), None)
    count = len(read["train.txt"].offsets) - 1
    border = count - int(round(VALIDATION_SHARE * count))
    if border == count:
        raise ReportedError("train.txt of %s has only %d sentences, too few for a validation part of 10 %%; use a "
                            "larger corpus" % (source, count))
    parts = {"train": _sentences(read["train.txt"], 0, border), "valid": _sentences(read["train.txt"], border, count),
             "test": read["test.txt"]}
    return parts, sorted(set(read["train.txt"].tags) | set(read["test.txt"].tags))


def _sentences(raw, first, end):
    begin, stop = raw.offsets[first], raw.offsets[end]
    return RawPart(raw.words[begin:stop], raw.tags[begin:stop],
                   [offset - begin for offset in raw.offsets[first:end + 1]])


def _listed_tags(text, name):
    tags = []
    for number, line in enumerate(text.split("\n"), 1):
        tag = line.strip()
        if tag in tags:
            raise ReportedError("%s, line %d: the tag %r stands there twice; remove one" % (name, number, tag))
        if tag:
            tags.append(tag)
    if not tags:
        raise ReportedError("%s is empty; expected one tag a line (without the file, the tags are those of train)"
                            % name)
    return tags


def _line_number(text, position):
    """The line on which the token of this position stands."""
    lines = (number for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return next(itertools.islice(lines, position, None))
