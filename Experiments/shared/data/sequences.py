"""Minibatches of the language models and the tagger, as pure functions of the data, the seed and the epoch.

A language model reads parallel streams in windows of random length; a tagger reads whole sentences.
"""

import numpy as np

from theano_rnn.errors import ReportedError

__all__ = ["stream_table", "window_lengths", "fixed_lengths", "windows", "sentence_minibatches"]

# Keeps the draw of an epoch's windows apart from those of `batches`.
WINDOW_STREAM = 2
FULL_SHARE, DEVIATION, SHORTEST = 0.95, 5, 5


def stream_table(tokens, streams):
    """Cut a text into contiguous streams of equal length; what remains at the end is dropped.

    Parameters
    ----------
    tokens : int32 ``(N,)``
    streams : int

    Returns
    -------
    int32 ``(streams, N // streams)``

    Examples
    --------
    >>> stream_table(np.arange(7, dtype=np.int32), 2).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    per_stream = len(tokens) // streams
    return tokens[:streams * per_stream].reshape(streams, per_stream)


def window_lengths(total, bptt, max_delta, seed, epoch):
    """Draw the lengths of an epoch's training windows, as AWD-LSTM does.

    Each is `bptt` (95 %) or half of it (5 %), plus normal noise with standard deviation 5, cut to a whole number, at
    least 5 and at most ``bptt + max_delta``. They follow each other until the stream ends, where the last may be
    shorter; if just one token remains there to be predicted, it is left out.

    Parameters
    ----------
    total : int
        The tokens of a stream; all but the first can be predicted.
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
        raise ReportedError("bptt is %s and max_seq_len_delta %s, expected bptt and their sum to be at least 1"
                            % (bptt, max_delta))
    random = np.random.RandomState([seed, epoch, WINDOW_STREAM])
    lengths, begin = [], 0
    while begin < total - 2:
        mean = bptt if random.random_sample() < FULL_SHARE else bptt / 2.
        length = max(SHORTEST, int(random.normal(mean, DEVIATION)))
        lengths.append(min(length, bptt + max_delta, total - 1 - begin))
        begin += lengths[-1]
    return lengths


def fixed_lengths(total, bptt):
    """Return the lengths of evaluation's windows: `bptt`, the last shorter; their sum is ``total - 1``.

    Examples
    --------
    >>> fixed_lengths(10, 4)
    [4, 4, 1]
    """
    return [min(bptt, total - 1 - begin) for begin in range(0, total - 1, bptt)]


def windows(table, lengths, first=0):
    """Yield minibatches of parallel streams, to be read in order with the state carried over.

    Parameters
    ----------
    table : int32 ``(streams, total)``
        See `stream_table`.
    lengths : list of int
        See `window_lengths` and `fixed_lengths`.
    first : int
        The number of the window to start with.

    Yields
    ------
    tokens, targets : int32 ``(streams, T)``
        The targets are the tokens' successors.
    """
    if sum(lengths) > max(table.shape[1] - 1, 0):
        raise ReportedError("windows of %d tokens together do not fit streams of %d; expected at most one token less "
                            "than a stream has" % (sum(lengths), table.shape[1]))
    begin = sum(lengths[:first])
    for length in lengths[first:]:
        yield table[:, begin:begin + length], table[:, begin + 1:begin + length + 1]
        begin += length


def sentence_minibatches(part, batch_size, order=None, drop_last=False, first=0):
    """Yield minibatches of tagged sentences, padded with 0 at the end.

    Parameters
    ----------
    part : Experiments.shared.data.tagging.TaggedPart
    batch_size : int
    order : array of int, optional
        The order of the sentences (`batches.epoch_order`); as they lie if omitted.
    drop_last : bool
        Leave out a last incomplete minibatch, as training does.
    first : int
        The number of the minibatch to start with.

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
    end = len(order) - (len(order) % batch_size if drop_last else 0)
    for begin in range(first * batch_size, end, batch_size):
        rows = order[begin:min(begin + batch_size, end)]
        steps = np.arange(lengths[rows].max())
        mask = steps < lengths[rows][:, np.newaxis]
        place = np.where(mask, part.offsets[rows][:, np.newaxis] + steps, 0)
        yield part.tokens[place] * mask, part.tags[place] * mask, mask.astype(np.uint8)
