"""Conversion of text to tokens, and the special tokens, for data preparation, training and prediction.

Needs the standard library only.
"""

import re

__all__ = ["tokenize", "character_tokens", "word_tokens", "PADDING_WORD", "START_WORD", "OUTSIDE_WORD",
           "END_OF_DOCUMENT", "END_OF_LINE", "UNKNOWN_WORD", "SPACE_CHARACTER"]

# Special tokens of text classifiers.
PADDING_WORD, START_WORD, OUTSIDE_WORD, END_OF_DOCUMENT = "<padding>", "<start>", "<outside>", "</s>"
# Special tokens of language models.
END_OF_LINE, UNKNOWN_WORD = "<eos>", "<unk>"
# Represents a space in character-level language models.
SPACE_CHARACTER = "_"


def tokenize(text):
    """Return the words of a text, which are its runs of word characters: list of str.

    Examples
    --------
    >>> tokenize("It's <br />GOOD.")
    ['It', 's', 'br', 'GOOD']
    """
    return _find_words(text)


_find_words = re.compile(r"\w+", re.UNICODE).findall


def character_tokens(text):
    """Return the characters of a text, with lines stripped and ``_`` for spaces: list of str.

    Examples
    --------
    >>> character_tokens(" a b ")
    ['a', '_', 'b']
    """
    return list("\n".join(line.strip() for line in text.split("\n")).replace(" ", SPACE_CHARACTER))


def word_tokens(text):
    """Return the words of a text, separated by white space, with ``<eos>`` after every line: list of str.

    Examples
    --------
    >>> word_tokens("a b")
    ['a', 'b', '<eos>']
    """
    lines = text.split("\n")
    if not lines[-1].strip():
        lines.pop()
    return [token for line in lines for token in line.split() + [END_OF_LINE]]
