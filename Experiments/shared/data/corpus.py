"""Corpora of the language models: a folder with ``train.txt``, ``valid.txt`` and ``test.txt``, raw text.

One sentence a line, words between spaces; ``<eos>`` is added after every line, the empty ones of WikiText-2 included.
"""

import collections
import hashlib
import os
import shutil

import numpy as np

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import write_atomically
from theano_rnn.tokens import word_tokens

from .archives import decode, read_file
from .penn_treebank import PARTS, UNKNOWN

__all__ = ["Corpus", "ORDERINGS", "DIGEST_FILE", "read_corpus", "corpus_words", "ordered_vocabulary", "encode_words",
           "is_intact", "folder_source", "refuse_foreign_files", "write_files"]

Corpus = collections.namedtuple("Corpus", "vocabulary train valid test")

ORDERINGS = ("up", "down", "none", "rand")
# What `write_files` writes beside the files: `sha256sum -c` understands it.
DIGEST_FILE = "SHA256SUMS"
# Keeps this draw apart from those that the same seed makes elsewhere.
VOCABULARY_STREAM = 3


def read_corpus(folder, ordering="up", seed=0):
    """Read a corpus and number its words.

    Parameters
    ----------
    folder : str
        With ``train.txt``, ``valid.txt`` and ``test.txt``.
    ordering : {"up", "down", "none", "rand"}
        The order of the vocabulary; see `ordered_vocabulary`. Predefined sparse embeddings need ``"up"``.
    seed : int
        For ``"rand"``.

    Returns
    -------
    Corpus
        ``vocabulary`` list of str; ``train``, ``valid``, ``test`` int32 ``(tokens,)``, positions in the vocabulary.
        Words of valid and test that train lacks become ``<unk>`` if train has it, else they are words with count 0.

    Raises
    ------
    ReportedError
        If a file is missing, empty or not UTF-8, or the ordering unknown.

    References
    ----------
    Demeester et al., *Predefined Sparseness in Recurrent Sequence Models*, CoNLL 2018: rare words come first, since
    their vectors are the short ones.

    Examples
    --------
    >>> corpus = read_corpus("data/penn")                                             # doctest: +SKIP
    >>> [corpus.vocabulary[token] for token in corpus.train[:3]]                      # doctest: +SKIP
    ['aer', 'banknote', 'berlitz']
    """
    if not os.path.isdir(folder):
        raise ReportedError("no corpus in %s: run ./getdata.sh (or ./getdata.sh penn --source PATH for a local copy), "
                            "or try --demo" % folder)
    words = {}
    for part in PARTS:
        path = os.path.join(folder, part + ".txt")
        if not os.path.isfile(path):
            raise ReportedError("%s has no %s.txt; expected %s: run ./getdata.sh, or try --demo"
                                % (folder, part, ", ".join(name + ".txt" for name in PARTS)))
        words[part] = corpus_words(read_file(path), path)
    vocabulary = ordered_vocabulary(words["train"], words["valid"] + words["test"], ordering, seed)
    return Corpus(vocabulary, *[encode_words(words[part], vocabulary) for part in PARTS])


def corpus_words(content, name):
    """Return the words of a file's bytes with ``<eos>`` after every line; refuse what is no text or has no word."""
    text = decode(content, name)
    if not text.strip():
        raise ReportedError("%s is empty; expected one sentence a line, words between spaces" % name)
    return word_tokens(text)


def ordered_vocabulary(train, others, ordering="up", seed=0):
    """Return the different words in the order of their numbers.

    Parameters
    ----------
    train : sequence of str
        The training part, word by word: what is counted.
    others : iterable of str
        Words to be added with count 0 where train lacks them. If train has ``<unk>``, that stands for them, and none
        is added.
    ordering : {"up", "down", "none", "rand"}
        ``"up"``: least frequent first; ``"down"``: most frequent first (both: words of equal count by code point);
        ``"none"``: as they first appear, train before `others`; ``"rand"``: shuffled.
    seed : int
        For ``"rand"``.

    Returns
    -------
    list of str

    Examples
    --------
    >>> ordered_vocabulary(["b", "c", "b", "a"], ["d", "a"])
    ['d', 'a', 'c', 'b']
    """
    if ordering not in ORDERINGS:
        raise ReportedError("the ordering of the vocabulary is %r, expected one of %s"
                            % (ordering, ", ".join(ORDERINGS)))
    counts = collections.Counter(train)
    if UNKNOWN not in counts:
        for word in others:
            counts.setdefault(word, 0)
    words = list(counts)
    if ordering == "none":
        return words
    if ordering == "rand":
        return [words[number] for number in np.random.RandomState([seed, VOCABULARY_STREAM]).permutation(len(words))]
    sign = 1 if ordering == "up" else -1
    return sorted(words, key=lambda word: (sign * counts[word], word))


def encode_words(words, vocabulary):
    """Return the positions of words in the vocabulary, int32; that of ``<unk>`` for a word it lacks."""
    ids = {word: number for number, word in enumerate(vocabulary)}
    unknown = ids.get(UNKNOWN)
    return np.array([ids.get(word, unknown) for word in words], dtype=np.int32)


def is_intact(folder):
    """Whether all files that `write_files` wrote are there, unchanged."""
    digests = _recorded_digests(folder)
    if not digests:
        return False
    paths = {name: os.path.join(folder, name) for name in digests}
    return all(os.path.isfile(paths[name]) and _digest(read_file(paths[name])) == digests[name] for name in digests)


def folder_source(folder):
    """Where the files of a folder come from, as `write_files` was told; None if it did not write it."""
    path = os.path.join(folder, DIGEST_FILE)
    if not os.path.isfile(path):
        return None
    first_line = decode(read_file(path), path).split("\n")[0]
    return first_line[len("# "):] if first_line.startswith("# ") else None


def refuse_foreign_files(folder):
    """Raise a ReportedError if the folder holds something that `write_files` did not write."""
    if not os.path.exists(folder):
        return
    if not os.path.isdir(folder):
        raise ReportedError("%s is not a folder; choose another one with --data-dir" % folder)
    digests = _recorded_digests(folder)
    known = set() if digests is None else set(digests) | {DIGEST_FILE}
    foreign = sorted(set(os.listdir(folder)) - known)
    if foreign:
        raise ReportedError("folder %s holds %s, which was put there by hand and would be lost; move it away, or "
                            "choose another folder with --data-dir" % (folder, foreign[0]))


def write_files(folder, contents, source):
    """Make a folder with these files, or replace one that this function made: whole or not at all.

    Parameters
    ----------
    folder : str
    contents : dict of str to bytes
        By file name.
    source : str
        Where they come from, in words; stands with the digests in ``SHA256SUMS``.

    Returns
    -------
    bool
        False if just these files were there already, unchanged.
    """
    folder = os.path.abspath(folder)
    digests = {name: _digest(contents[name]) for name in contents}
    if _holds(folder, digests):
        return False
    refuse_foreign_files(folder)
    listing = "# %s\n" % source + "".join("%s  %s\n" % (digests[name], name) for name in sorted(digests))
    contents = dict(contents, **{DIGEST_FILE: listing})
    unfinished, replaced = ["%s.%d.%s" % (folder, os.getpid(), ending) for ending in ("unfinished", "replaced")]
    try:
        os.makedirs(unfinished)
        for name in sorted(contents):
            write_atomically(os.path.join(unfinished, name), contents[name])
        if os.path.isdir(folder):
            os.rename(folder, replaced)
        os.rename(unfinished, folder)
    except OSError as error:
        if _holds(folder, digests):  # another process was faster
            return False
        raise ReportedError("cannot write %s (%s); choose another folder with --data-dir"
                            % (folder, error.strerror or error)) from error
    finally:
        if os.path.isdir(replaced) and not os.path.exists(folder):
            os.rename(replaced, folder)
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
    return True


def _holds(folder, digests):
    return is_intact(folder) and _recorded_digests(folder) == digests


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def _recorded_digests(folder):
    """By file name, what `DIGEST_FILE` says; None if there is none."""
    path = os.path.join(folder, DIGEST_FILE)
    if not os.path.isfile(path):
        return None
    lines = [line.split("  ", 1) for line in decode(read_file(path), path).split("\n") if not line.startswith("#")]
    return {line[1]: line[0] for line in lines if len(line) == 2}
