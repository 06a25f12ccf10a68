"""Minibatches as pure functions of the data, the seed and the epoch: any one can be made again, from anywhere."""

import collections

import numpy as np

from theano_rnn.errors import ReportedError

__all__ = ["TextPart", "PADDING", "START", "OUTSIDE", "FIRST_WORD", "model_words", "text_split", "epoch_order",
           "minibatch_count", "text_minibatches", "character_sequence_count", "character_sequences",
           "character_offset", "character_minibatches", "character_minibatch_count", "word_stream_length",
           "word_minibatch_count", "word_streams"]

TextPart = collections.namedtuple("TextPart", "tokens mask labels")

# Rows of the embedding before the words.
PADDING, START, OUTSIDE, FIRST_WORD = 0, 1, 2, 3
# Not the run's seed: every run must validate and test on the same texts.
SPLIT_SEED = 20180917
# Keeps the draw of an epoch's offset apart from the draw of its order.
OFFSET_STREAM = 1


def model_words(vocabulary, words_kept=20000):
    """Return what each row of the embedding stands for: the three special ones, then the words kept."""
    return ["<padding>", "<start>", "<outside>"] + list(vocabulary[:words_kept])


def text_split(data, validation_fraction, words_kept=20000, length=200):
    """Cut prepared texts to rows of equal length and split validation off.

    A row is the start token and the words, cut to the first `length`, padded on the left. Train and test are
    shuffled once with a fixed seed; then the last part of train becomes the validation part.

    Parameters
    ----------
    data : Experiments.shared.data.classification.TextData
    validation_fraction : float
        Of the training documents, from 0 to below 1.
    words_kept : int
        Words with a higher id become 2 (out of vocabulary).
    length : int

    Returns
    -------
    dict of str to TextPart
        ``"train"``, ``"validation"``, ``"test"``: ``tokens`` int32 and ``mask`` bool ``(documents, length)``,
        ``labels`` int32.
    """
    if not 0 <= validation_fraction < 1:
        raise ReportedError("validation_fraction is %s, expected at least 0 and below 1" % validation_fraction)
    words_kept = min(words_kept, len(data.vocabulary))
    train = _shuffled_part(data.train, words_kept, length)
    count = len(train.labels)
    border = count - int(round(count * validation_fraction))
    if border < 1:
        raise ReportedError("validation_fraction %s leaves none of %d documents for training"
                            % (validation_fraction, count))
    return {"train": TextPart(*[array[:border] for array in train]),
            "validation": TextPart(*[array[border:] for array in train]),
            "test": _shuffled_part(data.test, words_kept, length)}


def epoch_order(seed, epoch, count):
    """Return the permutation of ``count`` objects that belongs to an epoch."""
    return np.random.RandomState([seed, epoch]).permutation(count)


def minibatch_count(count, batch_size):
    """Return the number of minibatches, a last incomplete one included."""
    return -(-count // batch_size)


def text_minibatches(part, batch_size, order=None, first=0):
    """Yield minibatches of texts.

    Parameters
    ----------
    part : TextPart
    batch_size : int
    order : array of int, optional
        The order of the texts (`epoch_order`); as they lie if omitted.
    first : int
        The number of the minibatch to start with.

    Yields
    ------
    tokens : int32 ``(B, T)``
        Without the columns that are padding in all rows.
    mask : uint8 ``(B, T)``
    labels : int32 ``(B,)``
    """
    if order is None:
        order = np.arange(len(part.labels))
    for begin in range(first * batch_size, len(order), batch_size):
        rows = order[begin:begin + batch_size]
        mask = part.mask[rows]
        used = slice(int(np.argmax(mask.any(axis=0))), None)
        yield part.tokens[rows, used], mask[:, used].astype(np.uint8), part.labels[rows]


def character_sequence_count(token_count, length=100):
    """Return the number of sequences in a text: one less than fit, so that there is room for an offset."""
    return max(token_count // length - 1, 0)


def character_sequences(tokens, offset=0, length=100):
    """Cut a text into sequences.

    Parameters
    ----------
    tokens : int32 ``(N,)``
    offset : int
        Where the first one starts, from 0 to ``length - 1``.
    length : int

    Returns
    -------
    int32 ``(floor(N / length) - 1, length)``
    """
    count = character_sequence_count(len(tokens), length)
    if count < 1:
        raise ReportedError("a text of %d tokens is too short, expected at least %d" % (len(tokens), 2 * length))
    if not 0 <= offset < length:
        raise ReportedError("offset is %s, expected 0 to %d" % (offset, length - 1))
    return tokens[offset:offset + count * length].reshape(count, length)


def character_offset(seed, epoch, length=100):
    """Return where the sequences of an epoch start, uniform from 0 to ``length - 1``."""
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
        In training: they determine the offset and the order of the sequences. Omitted (evaluation): offset 0, in
        order.
    length : int
    first : int
        The number of the minibatch to start with.

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
    for begin in range(first * batch_size, len(order), batch_size):
        rows = sequences[order[begin:begin + batch_size]]
        yield rows[:, :-1], rows[:, 1:]


def word_stream_length(token_count, streams=32):
    """Return the number of tokens in each stream; all but the first are predicted."""
    return token_count // streams


def word_minibatch_count(token_count, streams=32, length=35):
    """Return the number of minibatches of `word_streams`."""
    return minibatch_count(max(word_stream_length(token_count, streams) - 1, 0), length)


def word_streams(tokens, streams=32, length=35, first=0):
    """Yield minibatches of parallel streams of words, to be read in order with the state carried over.

    Parameters
    ----------
    tokens : int32 ``(N,)``
    streams : int
        The text is cut into so many contiguous streams of ``floor(N / streams)`` tokens.
    length : int
        The steps of a minibatch; the last may be shorter.
    first : int
        The number of the minibatch to start with.

    Yields
    ------
    inputs, targets : int32 ``(streams, T)``
        The targets are the inputs' successors.
    """
    per_stream = word_stream_length(len(tokens), streams)
    if per_stream < 2:
        raise ReportedError("a text of %d tokens is too short for %d streams, expected at least %d"
                            % (len(tokens), streams, 2 * streams))
    table = tokens[:streams * per_stream].reshape(streams, per_stream)
    for begin in range(first * length, per_stream - 1, length):
        end = min(begin + length, per_stream - 1)
        yield table[:, begin:end], table[:, begin + 1:end + 1]


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
