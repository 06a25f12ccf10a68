"""Text to tokens, and the special tokens: one definition for data preparation, training and prediction.

Needs the standard library only.
"""

import re

__all__ = ["tokenize", "character_tokens", "word_tokens", "PADDING_WORD", "START_WORD", "OUTSIDE_WORD",
           "END_OF_DOCUMENT", "END_OF_LINE", "UNKNOWN_WORD", "SPACE_CHARACTER"]

# A text classifier's vocabulary holds these beside the words.
PADDING_WORD, START_WORD, OUTSIDE_WORD, END_OF_DOCUMENT = "<padding>", "<start>", "<outside>", "</s>"
# A language model's.
END_OF_LINE, UNKNOWN_WORD = "<eos>", "<unk>"
# How a character-level language model writes a space.
SPACE_CHARACTER = "_"


def tokenize(text):
    """Return the words of a text: the non-empty pieces between runs of non-word characters.

    Examples
    --------
    >>> tokenize("It's <br />GOOD.")
    ['It', 's', 'br', 'GOOD']
    """
    return _find_words(text)


_find_words = re.compile(r"\w+", re.UNICODE).findall


def character_tokens(text):
    """Return the characters of a text as a character-level model reads them: lines stripped, spaces as ``_``.

    Examples
    --------
    >>> character_tokens(" a b ")
    ['a', '_', 'b']
    """
    return list("\n".join(line.strip() for line in text.split("\n")).replace(" ", SPACE_CHARACTER))


def word_tokens(text):
    """Return the words of a text between white space, with ``<eos>`` after every line.

    Examples
    --------
    >>> word_tokens("a b")
    ['a', 'b', '<eos>']
    """
    lines = text.split("\n")
    if not lines[-1].strip():
        lines.pop()
    return [token for line in lines for token in line.split() + [END_OF_LINE]]
