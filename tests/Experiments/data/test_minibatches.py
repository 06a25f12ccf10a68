"""Minibatches: nothing lost, nothing twice, the same again from anywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Experiments.shared.data import minibatches as batches
from Experiments.shared.data.classification import Documents, TextData
from theano_rnn.errors import ReportedError

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
    assert len(parts["validation"].labels) == 0


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
    assert len(parts["train"].labels) == 27 and len(parts["validation"].labels) == 9
    for array, train, validation in zip(whole, parts["train"], parts["validation"]):
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
    with pytest.raises(ReportedError, match="offset is 100, expected 0 to 99"):
        batches.character_sequences(np.zeros(400, np.int32), 100)


@QUICK
@given(count=st.integers(10, 300), streams=st.integers(1, 5), length=st.integers(1, 9), first=st.integers(0, 4))
def test_every_token_of_a_stream_is_predicted_once(count, streams, length, first):
    tokens = np.arange(count, dtype=np.int32)
    made = list(batches.word_streams(tokens, streams, length))
    assert len(made) == batches.word_minibatch_count(count, streams, length)
    inputs = np.concatenate([minibatch[0] for minibatch in made], axis=1)
    targets = np.concatenate([minibatch[1] for minibatch in made], axis=1)
    per_stream = count // streams
    table = np.arange(streams * per_stream).reshape(streams, per_stream)
    np.testing.assert_array_equal(inputs, table[:, :-1])
    np.testing.assert_array_equal(targets, table[:, 1:])
    assert all(minibatch[0].shape[1] == length for minibatch in made[:-1])
    later = list(batches.word_streams(tokens, streams, length, first))
    assert len(later) == max(len(made) - first, 0)
    for (found, _), (expected, _) in zip(later, made[first:]):
        np.testing.assert_array_equal(found, expected)


def test_word_streams_of_a_short_text():
    with pytest.raises(ReportedError, match="a text of 63 tokens is too short for 32 streams, expected at least 64"):
        list(batches.word_streams(np.zeros(63, np.int32)))
