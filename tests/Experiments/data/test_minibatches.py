"""Minibatches: each example once, and the same minibatches from any start."""

from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Experiments.shared.data import minibatches as batches
from Experiments.shared.data.tagged_sentences import TaggedPart
from Experiments.shared.data.text_classification import Documents, TextData

QUICK = settings(max_examples=50, deadline=None)


def text_data(train, test=((0,),), vocabulary_size=6):
    parts = []
    for documents in (train, test):
        offsets = np.cumsum([0] + [len(document) for document in documents])
        parts.append(Documents(np.array([token for document in documents for token in document], dtype=np.int32),
                               offsets.astype(np.int64), np.arange(len(documents), dtype=np.int32) % 2))
    return TextData(["w%d" % number for number in range(vocabulary_size)], parts[0], parts[1], 2)


def test_rows_are_cut_at_the_end_and_padded_on_the_left():
    data = text_data([(0, 5, 2)], [(0, 1, 2, 3, 4)])
    parts = batches.text_split(data, 0, words_kept=4, length=5)
    np.testing.assert_array_equal(parts["train"].tokens, [[0, 1, 3, 2, 5]])
    np.testing.assert_array_equal(parts["train"].mask, [[False, True, True, True, True]])
    np.testing.assert_array_equal(parts["test"].tokens, [[1, 3, 4, 5, 6]])
    assert parts["test"].mask.all()
    assert len(parts["valid"].labels) == 0


def test_words_outside_the_vocabulary_or_not_kept():
    data = text_data([(3, 4, 6)])
    np.testing.assert_array_equal(batches.text_split(data, 0, 4, 4)["train"].tokens, [[1, 6, 2, 2]])
    np.testing.assert_array_equal(batches.text_split(data, 0, 20000, 4)["train"].tokens, [[1, 6, 7, 2]])


def test_model_words_name_the_rows():
    assert batches.model_words(["a", "b", "c"], 2) == ["<padding>", "<start>", "<outside>", "a", "b"]


def test_validation_is_the_last_part_of_a_fixed_shuffle():
    documents = [(number % 6, number // 6) for number in range(36)]
    whole = batches.text_split(text_data(documents), 0, length=3)["train"]
    parts = batches.text_split(text_data(documents), 0.25, length=3)
    assert len(parts["train"].labels) == 27 and len(parts["valid"].labels) == 9
    for array, train, validation in zip(whole, parts["train"], parts["valid"]):
        np.testing.assert_array_equal(array, np.concatenate([train, validation]))
    words = [tuple(row - 3) for row in whole.tokens[:, 1:]]
    assert sorted(words) == sorted(documents) and words != documents
    np.testing.assert_array_equal(whole.labels, [(first + 6 * second) % 2 for first, second in words])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 0.999])
def test_validation_fraction_with_problems(fraction):
    with pytest.raises(ReportedError, match="validation_fraction"):
        batches.text_split(text_data([(0,), (1,)]), fraction)


@QUICK
@given(documents=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=9), min_size=1, max_size=12),
       length=st.integers(1, 10), words_kept=st.integers(1, 8))
def test_rows_hold_start_words_and_padding(documents, length, words_kept):
    part = batches.text_split(text_data(documents), 0, words_kept, length)["train"]
    assert part.tokens.dtype == part.labels.dtype == np.int32 and part.mask.dtype == bool
    rows = []
    for tokens, mask in zip(part.tokens, part.mask):
        used = int(mask.sum())
        assert not mask[:length - used].any() and (tokens[:length - used] == 0).all()
        rows.append(list(tokens[length - used:]))
    kept = min(words_kept, 6)
    expected = [([1] + [word + 3 if word < kept else 2 for word in document])[:length] for document in documents]
    assert sorted(rows) == sorted(expected)


@QUICK
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=23), batch_size=st.integers(1, 8),
       seed=st.integers(0, 2 ** 32 - 1), first=st.integers(0, 4))
def test_text_minibatches_cover_every_text_once(lengths, batch_size, seed, first):
    part = batches.text_split(text_data([[0] * count for count in lengths]), 0, length=8)["train"]
    order = batches.epoch_order(seed, 3, len(lengths))
    made = list(batches.text_minibatches(part, batch_size, order))
    assert len(made) == batches.minibatch_count(len(lengths), batch_size)
    position = 0
    for tokens, mask, labels in made:
        rows = order[position:position + batch_size]
        position += len(rows)
        width = tokens.shape[1]
        np.testing.assert_array_equal(tokens, part.tokens[rows][:, 8 - width:])
        np.testing.assert_array_equal(mask, part.mask[rows][:, 8 - width:])
        np.testing.assert_array_equal(labels, part.labels[rows])
        assert mask.dtype == np.uint8 and mask[:, 0].any() and not part.mask[rows][:, :8 - width].any()
    assert position == len(lengths)
    later = list(batches.text_minibatches(part, batch_size, order, first))
    assert len(later) == max(len(made) - first, 0)
    for (tokens, _, _), (expected, _, _) in zip(later, made[first:]):
        np.testing.assert_array_equal(tokens, expected)


def test_text_minibatches_in_order():
    part = batches.text_split(text_data([(0,), (1,), (2,)]), 0, length=2)["train"]
    tokens = np.concatenate([minibatch[0] for minibatch in batches.text_minibatches(part, 2)])
    np.testing.assert_array_equal(tokens, part.tokens)


@QUICK
@given(seed=st.integers(0, 2 ** 32 - 1), epoch=st.integers(0, 1000), count=st.integers(0, 50))
def test_epoch_order_is_a_permutation_and_pure(seed, epoch, count):
    order = batches.epoch_order(seed, epoch, count)
    assert sorted(order) == list(range(count))
    np.testing.assert_array_equal(order, batches.epoch_order(seed, epoch, count))


def test_orders_and_offsets_depend_on_seed_and_epoch():
    orders = {tuple(batches.epoch_order(seed, epoch, 20)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    offsets = [batches.character_offset(0, epoch) for epoch in range(2000)]
    assert set(offsets) == set(range(100))


def test_orders_are_the_same_on_every_machine():
    assert list(batches.epoch_order(1, 2, 8)) == [2, 4, 1, 5, 6, 3, 0, 7]
    assert [batches.character_offset(1, epoch) for epoch in range(3)] == [21, 12, 37]


@QUICK
@given(count=st.integers(20, 200), length=st.integers(2, 10), batch_size=st.integers(1, 7),
       seed=st.integers(0, 2 ** 32 - 1), epoch=st.integers(0, 99), first=st.integers(0, 3))
def test_character_minibatches(count, length, batch_size, seed, epoch, first):
    tokens = np.arange(count, dtype=np.int32)
    sequences = count // length - 1
    for arguments in ({}, {"seed": seed, "epoch": epoch}):
        offset = batches.character_offset(seed, epoch, length) if arguments else 0
        made = list(batches.character_minibatches(tokens, batch_size, length=length, **arguments))
        assert len(made) == batches.character_minibatch_count(count, batch_size, length)
        inputs = np.concatenate([minibatch[0] for minibatch in made])
        targets = np.concatenate([minibatch[1] for minibatch in made])
        assert inputs.shape == targets.shape == (sequences, length - 1)
        np.testing.assert_array_equal(targets, inputs + 1)
        starts = offset + length * np.arange(sequences)
        assert sorted(inputs[:, 0]) == list(starts)
        if not arguments:
            np.testing.assert_array_equal(inputs[:, 0], starts)
        later = list(batches.character_minibatches(tokens, batch_size, length=length, first=first, **arguments))
        assert len(later) == max(len(made) - first, 0)
        for (found, _), (expected, _) in zip(later, made[first:]):
            np.testing.assert_array_equal(found, expected)


def test_character_sequences_with_problems():
    with pytest.raises(ReportedError, match="a text of 199 tokens is too short, expected at least 200"):
        batches.character_sequences(np.zeros(199, np.int32))
    with pytest.raises(ReportedError, match=r"offset must be in \[0, 100\), got 100"):
        batches.character_sequences(np.zeros(400, np.int32), 100)


@QUICK
@given(count=st.integers(10, 300), streams=st.integers(1, 5), length=st.integers(1, 9), first=st.integers(0, 4))
def test_every_token_of_a_stream_is_predicted_once(count, streams, length, first):
    tokens = np.arange(count, dtype=np.int32)
    per_stream = count // streams
    lengths = batches.fixed_lengths(per_stream, length)
    made = list(batches.windows(batches.stream_table(tokens, streams), lengths))
    assert len(made) == len(lengths) == batches.minibatch_count(per_stream - 1, length)
    inputs = np.concatenate([minibatch[0] for minibatch in made], axis=1)
    targets = np.concatenate([minibatch[1] for minibatch in made], axis=1)
    table = np.arange(streams * per_stream).reshape(streams, per_stream)
    np.testing.assert_array_equal(inputs, table[:, :-1])
    np.testing.assert_array_equal(targets, table[:, 1:])
    assert all(minibatch[0].shape[1] == length for minibatch in made[:-1])
    later = list(batches.windows(batches.stream_table(tokens, streams), lengths, first))
    assert len(later) == max(len(made) - first, 0)
    for (found, _), (expected, _) in zip(later, made[first:]):
        np.testing.assert_array_equal(found, expected)


def test_streams_of_a_short_text():
    with pytest.raises(ReportedError, match="a text of 63 tokens is too short for 32 streams, expected at least 64"):
        batches.stream_table(np.zeros(63, np.int32), 32, shortest=2)


def tagged_part(lengths):
    """Return sentences of these lengths with tokens 1, 2, 3 ...; the tag of a token is twice the token."""
    tokens = np.arange(1, sum(lengths) + 1, dtype=np.int32)
    return TaggedPart(tokens, 2 * tokens, np.cumsum([0] + lengths).astype(np.int64))


@QUICK
@given(count=st.integers(0, 200), streams=st.integers(1, 9))
def test_streams_are_contiguous(count, streams):
    table = batches.stream_table(np.arange(count, dtype=np.int32), streams)
    assert table.shape == (streams, count // streams) and table.dtype == np.int32
    np.testing.assert_array_equal(table.ravel(), np.arange(count - count % streams))


@QUICK
@given(total=st.integers(0, 3000), bptt=st.integers(1, 90), max_delta=st.integers(0, 40),
       seed=st.integers(0, 2 ** 32 - 1), epoch=st.integers(0, 1000))
def test_lengths_fill_the_stream(total, bptt, max_delta, seed, epoch):
    lengths = batches.window_lengths(total, bptt, max_delta, seed, epoch)
    assert lengths == batches.window_lengths(total, bptt, max_delta, seed, epoch)
    assert max(total - 2, 0) <= sum(lengths) <= max(total - 1, 0) and (lengths or total < 3)
    assert all(isinstance(length, int) and 1 <= length <= bptt + max_delta for length in lengths)
    assert all(length >= min(5, bptt + max_delta) for length in lengths[:-1])


def test_lengths_have_the_described_distribution():
    lengths = np.array(batches.window_lengths(700000, 70, 40, 141, 1)[:-1])
    full = lengths[lengths > 52]
    assert 0.93 < len(full) / len(lengths) < 0.97
    assert abs(full.mean() - 69.5) < 0.5 and abs(full.std() - 5) < 0.3
    assert abs(lengths[lengths <= 52].mean() - 34.5) < 1


def test_longest_window_is_limited():
    lengths = batches.window_lengths(100000, 70, 2, 141, 1)
    assert max(lengths) == 72


def test_lengths_change_with_seed_and_epoch():
    drawn = [batches.window_lengths(2000, 70, 40, seed, epoch) for seed, epoch in ((1, 1), (1, 2), (2, 1))]
    assert drawn[0] != drawn[1] and drawn[0] != drawn[2]


@pytest.mark.parametrize("bptt, max_delta", [(0, 40), (5, -5)])
def test_lengths_that_never_end_are_refused(bptt, max_delta):
    with pytest.raises(ReportedError, match="got bptt %d and max_seq_len_delta %d" % (bptt, max_delta)):
        batches.window_lengths(100, bptt, max_delta, 1, 1)


@QUICK
@given(total=st.integers(2, 300), bptt=st.integers(1, 90), streams=st.integers(1, 4), random=st.booleans(),
       first=st.integers(0, 5))
def test_windows_predict_every_token_once_and_in_order(total, bptt, streams, random, first):
    table = batches.stream_table(np.arange(streams * total, dtype=np.int32), streams)
    lengths = batches.window_lengths(total, bptt, 40, 1, 1) if random else batches.fixed_lengths(total, bptt)
    read = list(batches.windows(table, lengths))
    assert [tokens.shape for tokens, _ in read] == [targets.shape for _, targets in read] == \
        [(streams, length) for length in lengths]
    predicted = sum(lengths)
    assert predicted >= total - (2 if random else 1)
    if read:
        np.testing.assert_array_equal(np.hstack([tokens for tokens, _ in read]), table[:, :predicted])
        np.testing.assert_array_equal(np.hstack([targets for _, targets in read]), table[:, 1:predicted + 1])
    resumed = list(batches.windows(table, lengths, first))
    assert len(resumed) == max(len(read) - first, 0)
    for again, before in zip(resumed, read[first:]):
        np.testing.assert_array_equal(again, before)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ReportedError, match="must be less than the length of the streams, 10, got 10"):
        next(batches.windows(np.zeros((2, 10), dtype=np.int32), [5, 5]))


def test_sentences_are_padded_at_the_end():
    (tokens, tags, mask), (more_tokens, _, more_mask) = batches.sentence_minibatches(tagged_part([2, 3, 1]), 2)
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
    read = list(batches.sentence_minibatches(part, batch_size, order, drop_last))
    seen = []
    for tokens, tags, mask in read:
        assert tokens.shape[1] == mask.sum(axis=1).max()
        np.testing.assert_array_equal(tags, 2 * tokens)
        np.testing.assert_array_equal(mask, tokens != 0)
        seen += [list(row[row != 0]) for row in tokens]
    used = len(lengths) - (len(lengths) % batch_size if drop_last else 0)
    assert len(seen) == used
    assert seen == [list(range(part.offsets[row] + 1, part.offsets[row + 1] + 1)) for row in order[:used]]
    resumed = list(batches.sentence_minibatches(part, batch_size, order, drop_last, first))
    assert len(resumed) == max(len(read) - first, 0)
    for again, before in zip(resumed, read[first:]):
        for array, expected in zip(again, before):
            np.testing.assert_array_equal(array, expected)
