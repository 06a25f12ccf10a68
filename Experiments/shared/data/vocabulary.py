"""The vocabulary: the distinct words of a data set in the order of their ids, and its file ``vocabulary.txt``."""

import collections
import collections.abc
import hashlib
import os
import re

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import write_atomically
from theano_rnn.tokens import UNKNOWN_WORD

import numpy as np

from .archives import decode, read_file

__all__ = ["VOCABULARY_FILE", "ORDERINGS", "Vocabulary", "ordered_words", "ordered_vocabulary"]

VOCABULARY_FILE = "vocabulary.txt"
ORDERINGS = ("up", "down", "none", "rand")
# Added to the seed, so that this draw differs from other draws with the same seed.
ORDERING_STREAM = 3


class Vocabulary(collections.abc.Sequence):
    """Immutable sequence of words; the id of a word is its index.

    Slices are lists. A vocabulary equals any list of the same words.

    Parameters
    ----------
    words : iterable of str
        Distinct words, or characters.

    Examples
    --------
    >>> vocabulary = Vocabulary(["a", "b", "<unk>"])
    >>> vocabulary.index("b"), len(vocabulary), vocabulary[:2]
    (1, 3, ['a', 'b'])
    >>> vocabulary.encode(["b", "c"])
    array([1, 2], dtype=int32)
    """

    def __init__(self, words):
        self._words = list(words)
        self._ids = {word: number for number, word in enumerate(self._words)}

    def __len__(self):
        return len(self._words)

    def __getitem__(self, index):
        return self._words[index]

    def __iter__(self):
        return iter(self._words)

    def __contains__(self, word):
        return word in self._ids

    def __eq__(self, other):
        return list(other) == self._words if isinstance(other, (Vocabulary, list, tuple)) else NotImplemented

    __hash__ = None

    def __repr__(self):
        return "Vocabulary(%r)" % self._words

    def encode(self, words, outside=None, name="the text"):
        """Return the ids of words.

        Parameters
        ----------
        words : iterable of str
        outside : int, optional
            Id of the words that are not in the vocabulary. The id of ``<unk>`` if omitted.
        name : str
            Name of the text, for the error message.

        Returns
        -------
        int32 ``(words,)``

        Raises
        ------
        ReportedError
            For a word that is not in the vocabulary, if there is neither `outside` nor ``<unk>``.
        """
        words = list(words)
        if outside is None:
            outside = self._ids.get(UNKNOWN_WORD)
        ids = [self._ids.get(word, outside) for word in words]
        if outside is None and None in ids:
            raise ReportedError("%s holds %r, which is not in the vocabulary, and the vocabulary has no %s; use parts "
                                "of one corpus" % (name, words[ids.index(None)], UNKNOWN_WORD))
        return np.array(ids, dtype=np.int32)

    def to_bytes(self):
        r"""Return the content of ``vocabulary.txt``: one word per line, in the order of the ids.

        A backslash is written as ``\\`` and a newline as ``\n``, so that every line is one word.
        """
        lines = [word.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for word in self._words]
        return "".join(lines).encode("utf-8")

    @classmethod
    def from_bytes(cls, content, name=VOCABULARY_FILE):
        """Return the vocabulary of a file with this content; a word that it has twice is an error."""
        unescape = {"\\\\": "\\", "\\n": "\n"}
        vocabulary = cls(re.sub(r"\\.", lambda match: unescape.get(match.group(), match.group()), line)
                         for line in decode(content, name, keeps_mark=True).split("\n")[:-1])
        if len(vocabulary._ids) < len(vocabulary):
            raise ReportedError("%s is damaged: it has a word twice; recreate it or use another copy" % name)
        return vocabulary

    @property
    def digest(self):
        """The sha256 of ``vocabulary.txt``."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def write(self, folder):
        """Write ``vocabulary.txt`` in a folder."""
        write_atomically(os.path.join(folder, VOCABULARY_FILE), self.to_bytes())

    @classmethod
    def read(cls, folder):
        """Read ``vocabulary.txt`` of a folder."""
        path = os.path.join(folder, VOCABULARY_FILE)
        return cls.from_bytes(read_file(path), path)


def ordered_words(counts, ordering="down", seed=0):
    """Return words in the order of their ids.

    Parameters
    ----------
    counts : dict of str to int
        Number of occurrences of each word, in the order of first appearance.
    ordering : {"up", "down", "none", "rand"}
        ``"up"``: least frequent first. ``"down"``: most frequent first. Both sort words of equal count by code point.
        ``"none"``: order of `counts`. ``"rand"``: shuffled.
    seed : int
        For ``"rand"``.

    Returns
    -------
    list of str
    """
    if ordering not in ORDERINGS:
        raise ReportedError("the ordering of the vocabulary must be one of %s, got %r"
                            % (", ".join(ORDERINGS), ordering))
    words = list(counts)
    if ordering == "none":
        return words
    if ordering == "rand":
        return [words[number] for number in np.random.RandomState([seed, ORDERING_STREAM]).permutation(len(words))]
    sign = 1 if ordering == "up" else -1
    return sorted(words, key=lambda word: (sign * counts[word], word))


def ordered_vocabulary(train, others=(), ordering="down", seed=0):
    """Return the vocabulary of a text.

    Parameters
    ----------
    train : iterable of str
        Words of the training part, which are counted.
    others : iterable of str
        Words to add with count 0 if `train` lacks them. If `train` has ``<unk>``, none is added: ``<unk>`` replaces
        them.
    ordering, seed
        See `ordered_words`.

    Returns
    -------
    Vocabulary

    Examples
    --------
    >>> list(ordered_vocabulary(["b", "c", "b", "a"], ["d", "a"], "up"))
    ['d', 'a', 'c', 'b']
    """
    counts = collections.Counter(train)
    if UNKNOWN_WORD not in counts:
        for word in others:
            counts.setdefault(word, 0)
    return Vocabulary(ordered_words(counts, ordering, seed))
