r"""Tables of word characters, white space and lower case, as Python's ``\w``, `str.strip` and `str.lower` define them.

C and JavaScript have no such tables, or those of another version of Unicode. The exports of a compressed model contain
these tables, so that the exported code finds the same words as Python. Characters are given by their code points.
"""

from theano_rnn.tokens import tokenize

import numpy as np

__all__ = ["COUNT", "CAPITAL_SIGMA", "SMALL_SIGMA", "FINAL_SIGMA", "all_characters", "word_characters", "white_space",
           "in_lower_case", "sigma_neighbours", "range_bounds"]

#: Number of code points.
COUNT = 0x110000
#: The only letter whose lower case depends on the characters around it: a small sigma, or a final one.
CAPITAL_SIGMA, SMALL_SIGMA, FINAL_SIGMA = u"\u03A3", u"\u03C3", u"\u03C2"


def all_characters():
    """Return all characters in the order of their code points: list of str."""
    return [chr(code) for code in range(COUNT)]


def word_characters():
    """Return whether each character is a word character of `theano_rnn.tokens.tokenize`.

    Returns
    -------
    numpy.ndarray
        Of bool, of shape ``(COUNT,)``.

    Examples
    --------
    >>> from bayes_rnn.characters import word_characters
    >>> word_characters()[[ord("a"), ord("-")]].tolist()
    [True, False]
    """
    result = np.zeros(COUNT, dtype=bool)
    for word in tokenize("".join(all_characters())):
        result[ord(word[0]):ord(word[-1]) + 1] = True
    return result


def white_space():
    """Return the code points of all white space, ascending: list of int."""
    return [code for code, character in enumerate(all_characters()) if not character.strip()]


def in_lower_case(before="", after=""):
    r"""Return each character in lower case, between other characters.

    Parameters
    ----------
    before, after : str
        Characters beside each character, without a line feed.

    Returns
    -------
    list of str
        By code point; a few characters become several. The line feed counts as a space.

    Examples
    --------
    >>> from bayes_rnn.characters import in_lower_case
    >>> in_lower_case()[ord("A")], in_lower_case(before="x", after="y")[ord("A")]
    ('a', 'xay')
    """
    characters = all_characters()
    characters[ord("\n")] = " "
    return (before + (after + "\n" + before).join(characters) + after).lower().split("\n")


def sigma_neighbours():
    """Return the characters that determine the lower case of a capital sigma that follows them.

    It becomes a final sigma at the end of a word: if a cased character precedes it and none follows it, where
    case-ignorable characters between them do not count (Unicode Standard, section 3.13, Final_Sigma). Python does not
    give access to these properties, but the lower case of a sigma after a character shows which of them it has.

    Returns
    -------
    cased, case_ignorable : list of int
        Code points, ascending. A character with both properties is in the second list only.
    """
    cased, beside = ({code for code, text in enumerate(in_lower_case(before, CAPITAL_SIGMA))
                      if text.endswith(FINAL_SIGMA)} for before in " a")
    return sorted(cased), sorted(beside - cased)


def range_bounds(codes):
    """Return the bounds of the ranges of code points: first, last + 1, first, last + 1, and so on.

    Parameters
    ----------
    codes : sequence of int
        Ascending.

    Returns
    -------
    numpy.ndarray
        Of int, with two elements per range.

    Examples
    --------
    >>> from bayes_rnn.characters import range_bounds
    >>> range_bounds([3, 4, 5, 9]).tolist()
    [3, 6, 9, 10]
    """
    codes = np.asarray(codes, dtype=np.int64)
    breaks = np.flatnonzero(np.diff(codes) != 1)
    if not len(codes):
        return codes
    first, last = codes[np.append(0, breaks + 1)], codes[np.append(breaks, len(codes) - 1)]
    return np.stack([first, last + 1], axis=1).ravel()
