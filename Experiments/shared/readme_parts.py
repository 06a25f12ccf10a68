"""Parts of READMEs that a program writes: each is between two comments."""

from theano_rnn.errors import ReportedError

__all__ = ["find_part", "with_part"]


def find_part(text, begin, end, path):
    """Return the part of a text between two comments, without white space around it.

    Parameters
    ----------
    text : str
    begin, end : str
        The comments.
    path : str
        Of the text, for the message.

    Returns
    -------
    str or None
        None if the text has neither comment.

    Raises
    ------
    ReportedError
        If one comment is missing, or they are in the wrong order.

    Examples
    --------
    >>> find_part("Title <!-- a --> old <!-- b -->", "<!-- a -->", "<!-- b -->", "README.md")
    'old'
    """
    place = _find(text, begin, end, path)
    return text[place[0]:place[1]].strip() if place else None


def with_part(text, begin, end, part, path):
    """Return a text with another part between two comments; without the comments, it stays as it is.

    The parameters and errors are those of `find_part`.
    """
    place = _find(text, begin, end, path)
    return "%s\n\n%s\n\n%s" % (text[:place[0]], part, text[place[1]:]) if place else text


def _find(text, begin, end, path):
    """Return where the part begins and ends, or None."""
    first, last = text.find(begin), text.find(end)
    if first < 0 and last < 0:
        return None
    if first < 0 or last < first:
        raise ReportedError("%s must have the comment %r before %r" % (path, begin, end))
    return first + len(begin), last
