"""The digest of data: equal for equal values only."""

import numpy as np
import pytest

from Experiments.shared.data.digest import data_digest
from Experiments.shared.data.text_classification import Documents, TextData
from Experiments.shared.data.vocabulary import Vocabulary


def data(tokens=(0, 1, 2), offsets=(0, 1, 3), labels=(0, 1), words=("a", "b", "c"), names=None, dtype="int32"):
    part = Documents(np.array(tokens, dtype), np.array(offsets), np.array(labels))
    return TextData(Vocabulary(words), train=part, test=part, classes=2, valid=None, class_names=names)


def test_equal_values_have_one_digest():
    tokens = np.array([[0, 9], [1, 9], [2, 9]], dtype="int32")[:, 0]        # not contiguous
    assert data_digest(data()) == data_digest(data(tokens=tokens, words=["a", "b", "c"]))


@pytest.mark.parametrize("other", [
    {"tokens": (0, 2, 1)}, {"offsets": (0, 2, 3)}, {"labels": (1, 0)}, {"words": ("a", "c", "b")}, {"dtype": "int64"},
    {"names": ["good", "bad"]}, {"tokens": (0, 1), "offsets": (2, 0, 1, 3)}])
def test_other_values_have_another_digest(other):
    assert data_digest(data(**other)) != data_digest(data())


def test_the_borders_of_text_count():
    assert data_digest(["ab", "c"]) != data_digest(["a", "bc"])
    assert data_digest([["a"], "b"]) != data_digest([["a", "b"]])
    assert data_digest(["a, b"]) != data_digest(["a", "b"])
    assert data_digest([1, 23]) != data_digest([12, 3])


def test_objects_of_other_classes_do_not_refuse_the_same_data():
    class Reader(object):
        pass

    def texts(word):
        return {"words": np.array([word, None], dtype=object), "reader": Reader(), "size": np.float64(2)}

    assert data_digest(texts("".join(["new", "s"]))) == data_digest(texts("news"))
    assert data_digest(texts("news")) != data_digest(texts("new"))
