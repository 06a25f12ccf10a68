"""Windows of parallel streams and minibatches of sentences: nothing lost, nothing twice, the same again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Experiments.shared.data import minibatches as batches
from Experiments.shared.data import sequences
from Experiments.shared.data.tagging import TaggedPart
from theano_rnn.errors import ReportedError

QUICK = settings(max_examples=50, deadline=None)


def tagged_part(lengths):
    """Sentences of these lengths; tokens are 1, 2, 3 ..., the tag of a token is its double."""
    tokens = np.arange(1, sum(lengths) + 1, dtype=np.int32)
    return TaggedPart(tokens, 2 * tokens, np.cumsum([0] + lengths).astype(np.int64))


@QUICK
@given(count=st.integers(0, 200), streams=st.integers(1, 9))
def test_streams_are_contiguous(count, streams):
    table = sequences.stream_table(np.arange(count, dtype=np.int32), streams)
    assert table.shape == (streams, count // streams) and table.dtype == np.int32
    np.testing.assert_array_equal(table.ravel(), np.arange(count - count % streams))


@QUICK
@given(total=st.integers(0, 3000), bptt=st.integers(1, 90), max_delta=st.integers(0, 40),
       seed=st.integers(0, 2 ** 32 - 1), epoch=st.integers(0, 1000))
def test_lengths_fill_the_stream(total, bptt, max_delta, seed, epoch):
    lengths = sequences.window_lengths(total, bptt, max_delta, seed, epoch)
    assert lengths == sequences.window_lengths(total, bptt, max_delta, seed, epoch)
    assert max(total - 2, 0) <= sum(lengths) <= max(total - 1, 0) and (lengths or total < 3)
    assert all(isinstance(length, int) and 1 <= length <= bptt + max_delta for length in lengths)
    assert all(length >= min(5, bptt + max_delta) for length in lengths[:-1])


def test_lengths_have_the_described_distribution():
    lengths = np.array(sequences.window_lengths(700000, 70, 40, 141, 1)[:-1])
    full = lengths[lengths > 52]
    assert 0.93 < len(full) / len(lengths) < 0.97
    assert abs(full.mean() - 69.5) < 0.5 and abs(full.std() - 5) < 0.3
    assert abs(lengths[lengths <= 52].mean() - 34.5) < 1


def test_longest_window_is_limited():
    lengths = sequences.window_lengths(100000, 70, 2, 141, 1)
    assert max(lengths) == 72


def test_lengths_change_with_seed_and_epoch():
    drawn = [sequences.window_lengths(2000, 70, 40, seed, epoch) for seed, epoch in ((1, 1), (1, 2), (2, 1))]
    assert drawn[0] != drawn[1] and drawn[0] != drawn[2]


@pytest.mark.parametrize("bptt, max_delta", [(0, 40), (5, -5)])
def test_lengths_that_never_end_are_refused(bptt, max_delta):
    with pytest.raises(ReportedError, match="bptt is %d and max_seq_len_delta %d" % (bptt, max_delta)):
        sequences.window_lengths(100, bptt, max_delta, 1, 1)


@QUICK
@given(total=st.integers(2, 300), bptt=st.integers(1, 90), streams=st.integers(1, 4), random=st.booleans(),
       first=st.integers(0, 5))
def test_windows_predict_every_token_once_and_in_order(total, bptt, streams, random, first):
    table = sequences.stream_table(np.arange(streams * total, dtype=np.int32), streams)
    lengths = sequences.window_lengths(total, bptt, 40, 1, 1) if random else sequences.fixed_lengths(total, bptt)
    read = list(sequences.windows(table, lengths))
    assert [tokens.shape for tokens, _ in read] == [targets.shape for _, targets in read] == \
        [(streams, length) for length in lengths]
    predicted = sum(lengths)
    assert predicted >= total - (2 if random else 1)
    if read:
        np.testing.assert_array_equal(np.hstack([tokens for tokens, _ in read]), table[:, :predicted])
        np.testing.assert_array_equal(np.hstack([targets for _, targets in read]), table[:, 1:predicted + 1])
    resumed = list(sequences.windows(table, lengths, first))
    assert len(resumed) == max(len(read) - first, 0)
    for again, before in zip(resumed, read[first:]):
        np.testing.assert_array_equal(again, before)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ReportedError, match="windows of 10 tokens together do not fit streams of 10"):
        next(sequences.windows(np.zeros((2, 10), dtype=np.int32), [5, 5]))


def test_sentences_are_padded_at_the_end():
    (tokens, tags, mask), (more_tokens, _, more_mask) = sequences.sentence_minibatches(tagged_part([2, 3, 1]), 2)
    np.testing.assert_array_equal(tokens, [[1, 2, 0], [3, 4, 5]])
    np.testing.assert_array_equal(tags, [[2, 4, 0], [6, 8, 10]])
    np.testing.assert_array_equal(mask, [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(more_tokens, [[6]])
    np.testing.assert_array_equal(more_mask, [[1]])
    assert (tokens.dtype, tags.dtype, mask.dtype) == (np.int32, np.int32, np.uint8)


@QUICK
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=23), batch_size=st.integers(1, 8),
       seed=st.integers(0, 2 ** 32 - 1), drop_last=st.booleans(), first=st.integers(0, 4))
def test_every_sentence_once_and_resumable(lengths, batch_size, seed, drop_last, first):
    part = tagged_part(lengths)
    order = batches.epoch_order(seed, 1, len(lengths))
    read = list(sequences.sentence_minibatches(part, batch_size, order, drop_last))
    seen = []
    for tokens, tags, mask in read:
        assert tokens.shape[1] == mask.sum(axis=1).max()
        np.testing.assert_array_equal(tags, 2 * tokens)
        np.testing.assert_array_equal(mask, tokens != 0)
        seen += [list(row[row != 0]) for row in tokens]
    used = len(lengths) - (len(lengths) % batch_size if drop_last else 0)
    assert len(seen) == used
    assert seen == [list(range(part.offsets[row] + 1, part.offsets[row + 1] + 1)) for row in order[:used]]
    resumed = list(sequences.sentence_minibatches(part, batch_size, order, drop_last, first))
    assert len(resumed) == max(len(read) - first, 0)
    for again, before in zip(resumed, read[first:]):
        for array, expected in zip(again, before):
            np.testing.assert_array_equal(array, expected)
