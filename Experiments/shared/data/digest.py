"""Digest of the data of a run, by which a resumption notices that they have changed."""

import hashlib

import numpy as np

from .vocabulary import Vocabulary

__all__ = ["data_digest"]


def data_digest(data):
    """Return the SHA-256 of loaded data: str of 64 hexadecimal digits.

    The digest depends on the values, not on the files: data that were prepared again from the same texts have the same
    digest, with any compression.

    Parameters
    ----------
    data : named tuple
        As an experiment loads it: arrays, vocabularies, numbers, text and None, in tuples, lists and dicts. Objects of
        other classes count by the name of their class only.

    Examples
    --------
    >>> from Experiments.shared.data.digest import data_digest
    >>> from Experiments.shared.data.language_modeling import LanguageData
    >>> from Experiments.shared.data.vocabulary import Vocabulary
    >>> tokens = np.array([0, 1, 1])
    >>> data = LanguageData(Vocabulary(["a", "b"]), train=tokens, valid=tokens, test=tokens)
    >>> data_digest(data) == data_digest(data._replace(test=tokens + 0))
    True
    >>> data_digest(data) == data_digest(data._replace(test=tokens[:2]))
    False
    """
    digest = hashlib.sha256()
    for content in _contents(data):
        digest.update(content)
    return digest.hexdigest()


def _contents(value):
    """Yield bytes that differ for different values: the end or the length of each part is known from what precedes."""
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        yield ("%s%s" % (value.dtype.str, value.shape)).encode()
        yield np.ascontiguousarray(value).data
    elif isinstance(value, np.ndarray):             # its bytes are addresses
        yield str(value.shape).encode()
        yield from _contents(value.ravel().tolist())
    elif isinstance(value, Vocabulary):
        yield value.digest.encode()
    elif isinstance(value, dict):
        yield b"dict"
        yield from _contents(list(value.items()))
    elif isinstance(value, (tuple, list)):
        yield ("[%d]" % len(value)).encode()
        for element in value:
            yield from _contents(element)
    elif value is None or isinstance(value, (str, bytes, bool, int, float, complex)):
        yield ("%r," % (value,)).encode("unicode_escape")
    else:                                           # its repr may contain its address, which differs in each process
        yield ("<%s>" % type(value).__name__).encode("unicode_escape")
