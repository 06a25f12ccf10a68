"""The vocabulary as a sequence, its orderings and its file."""

from theano_rnn.errors import ReportedError

import pytest

from Experiments.shared.data.vocabulary import Vocabulary, ordered_vocabulary


def test_it_is_a_sequence_that_equals_a_list():
    vocabulary = Vocabulary(iter("abc"))
    assert vocabulary == list("abc") and list("abc") == vocabulary and vocabulary == Vocabulary("abc")
    assert vocabulary != list("acb") and vocabulary != Vocabulary("ab") and vocabulary != "abc"
    assert (len(vocabulary), vocabulary[1], vocabulary[-1], vocabulary[:2]) == (3, "b", "c", ["a", "b"])
    assert vocabulary.index("c") == 2 and "c" in vocabulary and "d" not in vocabulary
    assert list(vocabulary) == ["a", "b", "c"] and list(reversed(vocabulary)) == ["c", "b", "a"]
    with pytest.raises(TypeError):
        vocabulary[0] = "d"


def test_words_outside_it():
    assert Vocabulary(["a", "<unk>"]).encode(["a", "b", "<unk>"]).tolist() == [0, 1, 1]
    ids = Vocabulary(["a", "<unk>"]).encode(iter(["b", "a"]), outside=2)
    assert ids.tolist() == [2, 0] and ids.dtype == "int32"
    with pytest.raises(ReportedError, match="x.txt holds 'b', which is not in the vocabulary, and .* has no <unk>"):
        Vocabulary(["a"]).encode(["a", "b"], name="x.txt")


def test_its_file_is_read_back(tmp_path):
    vocabulary = Vocabulary(["\\", "\n", "n", "\\n", " ", "\u00e9"])
    vocabulary.write(str(tmp_path))
    assert (tmp_path / "vocabulary.txt").read_bytes() == vocabulary.to_bytes() == \
        b"\\\\\n\\n\nn\n\\\\n\n \n\xc3\xa9\n"
    assert Vocabulary.read(str(tmp_path)) == vocabulary
    assert len(vocabulary.digest) == 64 and vocabulary.digest != Vocabulary("n").digest


def test_unknown_ordering():
    with pytest.raises(ReportedError, match="must be one of up, down, none, rand, got 'upp'"):
        ordered_vocabulary(["a"], ordering="upp")


def test_random_order_depends_on_the_seed_alone():
    words = [str(number) for number in range(50)]
    orders = [ordered_vocabulary(words, [], "rand", seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != words and sorted(orders[0]) == sorted(orders[2]) == sorted(words)
