"""Minibatches of all tasks, as pure functions of the data, the seed and the epoch.

Every minibatch can be generated again: the argument ``first`` is the index of the first one.
"""

import collections

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import OUTSIDE_WORD, PADDING_WORD, START_WORD

import numpy as np

from .prepared_folder import PARTS

__all__ = ["TextPart", "PADDING", "START", "OUTSIDE", "FIRST_WORD", "model_words", "text_split", "epoch_order",
           "minibatch_count", "text_minibatches", "character_sequence_count", "character_sequences",
           "character_offset", "character_minibatches", "character_minibatch_count", "stream_table", "window_lengths",
           "fixed_lengths", "windows", "sentence_minibatches"]

TextPart = collections.namedtuple("TextPart", "tokens mask labels")

# Rows of the embedding before the words.
PADDING, START, OUTSIDE, FIRST_WORD = 0, 1, 2, 3
# A constant, not the seed of the run: all runs validate and test on the same texts.
SPLIT_SEED = 20180917
# Added to (seed, epoch), so that each kind of draw has its own random numbers.
OFFSET_STREAM, WINDOW_STREAM = 1, 2
# Window lengths of AWD-LSTM: the share of full windows, the standard deviation, the minimum.
FULL_SHARE, DEVIATION, SHORTEST = 0.95, 5, 5


def epoch_order(seed, epoch, count):
    """Return the order of the examples in an epoch: int64 ``(count,)``, a permutation that seed and epoch determine."""
    return np.random.RandomState([seed, epoch]).permutation(count)


def minibatch_count(count, batch_size):
    """Return the number of minibatches of ``count`` examples, including an incomplete last one."""
    return -(-count // batch_size)


def _row_blocks(order, batch_size, first):
    """Yield the row indices of each minibatch."""
    for begin in range(first * batch_size, len(order), batch_size):
        yield order[begin:begin + batch_size]


# -- texts ------------------------------------------------------------------------------------------------------------

def model_words(vocabulary, words_kept=20000):
    """Return the words of the rows of the embedding: the three special ones, then the ``words_kept`` most frequent."""
    return [PADDING_WORD, START_WORD, OUTSIDE_WORD] + list(vocabulary[:words_kept])


def text_split(data, validation_fraction, words_kept=20000, length=200):
    """Cut prepared texts to rows of equal length and split off the validation part.

    A row holds the start token and the words, cut to the first `length` and padded on the left. All parts are shuffled
    once with a fixed seed. If the data have no validation part, the last part of train becomes that.

    Parameters
    ----------
    data : Experiments.shared.data.text_classification.TextData
    validation_fraction : float or None
        Fraction of the training documents, in [0, 1). None if the data have a validation part.
    words_kept : int
        Words with this id or a higher one become `OUTSIDE`.
    length : int

    Returns
    -------
    dict of str to TextPart
        ``"train"``, ``"valid"``, ``"test"``: ``tokens`` int32 and ``mask`` bool ``(documents, length)``,
        ``labels`` int32.
    """
    words_kept = min(words_kept, len(data.vocabulary))
    if data.valid is not None:
        return {part: _shuffled_part(getattr(data, part), words_kept, length) for part in PARTS}
    if not 0 <= validation_fraction < 1:
        raise ReportedError("validation_fraction must be in [0, 1), got %s" % validation_fraction)
    train = _shuffled_part(data.train, words_kept, length)
    count = len(train.labels)
    border = count - int(round(count * validation_fraction))
    if border < 1:
        raise ReportedError("validation_fraction %s leaves none of %d texts for training; use a smaller one"
                            % (validation_fraction, count))
    return {"train": TextPart(*[array[:border] for array in train]),
            "valid": TextPart(*[array[border:] for array in train]),
            "test": _shuffled_part(data.test, words_kept, length)}


def text_minibatches(part, batch_size, order=None, first=0):
    """Yield minibatches of texts.

    Parameters
    ----------
    part : TextPart
    batch_size : int
    order : array of int, optional
        Order of the texts (`epoch_order`). The stored order if omitted.
    first : int
        Index of the first minibatch.

    Yields
    ------
    tokens : int32 ``(B, T)``
        Without the columns that are padding in all rows.
    mask : uint8 ``(B, T)``
    labels : int32 ``(B,)``
    """
    if order is None:
        order = np.arange(len(part.labels))
    for rows in _row_blocks(order, batch_size, first):
        mask = part.mask[rows]
        used = slice(int(np.argmax(mask.any(axis=0))), None)
        yield part.tokens[rows, used], mask[:, used].astype(np.uint8), part.labels[rows]


def _shuffled_part(documents, words_kept, length):
    order = np.random.RandomState(SPLIT_SEED).permutation(len(documents.labels))
    tokens, mask = _padded_rows(documents, order, words_kept, length)
    return TextPart(tokens, mask, documents.labels[order].astype(np.int32))


def _padded_rows(documents, order, words_kept, length):
    begins = documents.offsets[:-1][order]
    used = np.minimum(np.diff(documents.offsets)[order] + 1, length)
    # place[b, t]: 0 for the start token, k for the k-th word, negative for padding
    place = np.arange(length, dtype=np.int64)[np.newaxis] - (length - used)[:, np.newaxis]
    words = documents.tokens[np.maximum(begins[:, np.newaxis] + place - 1, 0)]
    tokens = np.where(words < words_kept, words + FIRST_WORD, OUTSIDE).astype(np.int32)
    tokens[place == 0] = START
    tokens[place < 0] = PADDING
    return tokens, place >= 0


# -- sequences of characters ------------------------------------------------------------------------------------------

def character_sequence_count(token_count, length=100):
    """Return the number of sequences in a text: one less than the text could have, which leaves room for an offset."""
    return max(token_count // length - 1, 0)


def character_sequences(tokens, offset=0, length=100):
    """Cut a text into sequences.

    Parameters
    ----------
    tokens : int32 ``(N,)``
    offset : int
        Start of the first sequence, from 0 to ``length - 1``.
    length : int

    Returns
    -------
    int32 ``(floor(N / length) - 1, length)``
    """
    count = character_sequence_count(len(tokens), length)
    if count < 1:
        raise ReportedError("a text of %d tokens is too short, expected at least %d" % (len(tokens), 2 * length))
    if not 0 <= offset < length:
        raise ReportedError("offset must be in [0, %d), got %s" % (length, offset))
    return tokens[offset:offset + count * length].reshape(count, length)


def character_offset(seed, epoch, length=100):
    """Return the start of the first sequence of an epoch, uniform from 0 to ``length - 1``."""
    return int(np.random.RandomState([seed, epoch, OFFSET_STREAM]).randint(length))


def character_minibatch_count(token_count, batch_size=64, length=100):
    """Return the number of minibatches of `character_minibatches`."""
    return minibatch_count(character_sequence_count(token_count, length), batch_size)


def character_minibatches(tokens, batch_size=64, seed=None, epoch=None, length=100, first=0):
    """Yield minibatches of character sequences.

    Parameters
    ----------
    tokens : int32 ``(N,)``
    batch_size : int
    seed, epoch : int, optional
        They determine the offset and the order of the sequences (training). If omitted, the offset is 0 and the
        sequences are in order (evaluation).
    length : int
    first : int
        Index of the first minibatch.

    Yields
    ------
    inputs, targets : int32 ``(B, length - 1)``
    """
    if seed is None:
        sequences = character_sequences(tokens, 0, length)
        order = np.arange(len(sequences))
    else:
        sequences = character_sequences(tokens, character_offset(seed, epoch, length), length)
        order = epoch_order(seed, epoch, len(sequences))
    for indices in _row_blocks(order, batch_size, first):
        rows = sequences[indices]
        yield rows[:, :-1], rows[:, 1:]


# -- windows of parallel streams --------------------------------------------------------------------------------------

def stream_table(tokens, streams, shortest=0):
    """Cut a text into contiguous streams of equal length and drop the remainder at the end.

    Parameters
    ----------
    tokens : int32 ``(N,)``
    streams : int
    shortest : int
        Minimum number of tokens in a stream. A shorter text is an error.

    Returns
    -------
    int32 ``(streams, N // streams)``

    Examples
    --------
    >>> stream_table(np.arange(7, dtype=np.int32), 2).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    per_stream = len(tokens) // streams
    if per_stream < shortest:
        raise ReportedError("a text of %d tokens is too short for %d streams, expected at least %d"
                            % (len(tokens), streams, shortest * streams))
    return tokens[:streams * per_stream].reshape(streams, per_stream)


def window_lengths(total, bptt, max_delta, seed, epoch):
    """Draw the lengths of the training windows of an epoch, as AWD-LSTM does.

    Each length is `bptt` (95 %) or half of it (5 %), plus normal noise with standard deviation 5, truncated to an
    integer, at least 5 and at most ``bptt + max_delta``. The windows follow each other until the end of the stream,
    where the last one may be shorter. If only one token remains to be predicted, it is left out.

    Parameters
    ----------
    total : int
        Number of tokens in a stream. All but the first can be predicted.
    bptt : int
    max_delta : int
        The option ``--max_seq_len_delta``.
    seed, epoch : int
        They determine the draw.

    Returns
    -------
    list of int
        With the sum ``total - 1`` or ``total - 2``; empty if `total` is below 3.

    References
    ----------
    Merity, Keskar, Socher, *Regularizing and Optimizing LSTM Language Models*, ICLR 2018, section 4.1.

    Examples
    --------
    >>> sum(window_lengths(1000, 70, 40, seed=141, epoch=1))
    999
    """
    if bptt < 1 or bptt + max_delta < 1:
        raise ReportedError("bptt and bptt + max_seq_len_delta must be at least 1, got bptt %s and max_seq_len_delta "
                            "%s" % (bptt, max_delta))
    random = np.random.RandomState([seed, epoch, WINDOW_STREAM])
    lengths, begin = [], 0
    while begin < total - 2:
        mean = bptt if random.random_sample() < FULL_SHARE else bptt / 2.
        length = max(SHORTEST, int(random.normal(mean, DEVIATION)))
        lengths.append(min(length, bptt + max_delta, total - 1 - begin))
        begin += lengths[-1]
    return lengths


def fixed_lengths(total, length):
    """Return the lengths of windows of equal length, of which the last may be shorter; their sum is ``total - 1``.

    Examples
    --------
    >>> fixed_lengths(10, 4)
    [4, 4, 1]
    """
    return [min(length, total - 1 - begin) for begin in range(0, total - 1, length)]


def windows(table, lengths, first=0):
    """Yield minibatches of parallel streams, to be read in order with the state carried over.

    Parameters
    ----------
    table : int32 ``(streams, total)``
        See `stream_table`.
    lengths : list of int
        See `window_lengths` and `fixed_lengths`.
    first : int
        Index of the first window.

    Yields
    ------
    tokens, targets : int32 ``(streams, T)``
        The targets are the successors of the tokens.
    """
    if sum(lengths) > max(table.shape[1] - 1, 0):
        raise ReportedError("the sum of the window lengths must be less than the length of the streams, %d, got %d"
                            % (table.shape[1], sum(lengths)))
    begin = sum(lengths[:first])
    for length in lengths[first:]:
        yield table[:, begin:begin + length], table[:, begin + 1:begin + length + 1]
        begin += length


# -- tagged sentences -------------------------------------------------------------------------------------------------

def sentence_minibatches(part, batch_size, order=None, drop_last=False, first=0):
    """Yield minibatches of tagged sentences, padded with 0 at the end.

    Parameters
    ----------
    part : Experiments.shared.data.tagged_sentences.TaggedPart
    batch_size : int
    order : array of int, optional
        Order of the sentences (`epoch_order`). The stored order if omitted.
    drop_last : bool
        Leave out an incomplete last minibatch, as training does.
    first : int
        Index of the first minibatch.

    Yields
    ------
    tokens, tags : int32 ``(B, T)``
        ``T`` is the length of the longest sentence.
    mask : uint8 ``(B, T)``
        1 for tokens, 0 for padding.
    """
    lengths = np.diff(part.offsets)
    if order is None:
        order = np.arange(len(lengths))
    if drop_last:
        order = order[:len(order) - len(order) % batch_size]
    for rows in _row_blocks(order, batch_size, first):
        steps = np.arange(lengths[rows].max())
        mask = steps < lengths[rows][:, np.newaxis]
        place = np.where(mask, part.offsets[rows][:, np.newaxis] + steps, 0)
        yield part.tokens[place] * mask, part.tags[place] * mask, mask.astype(np.uint8)
