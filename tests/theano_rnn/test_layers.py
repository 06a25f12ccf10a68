"""The base class of recurrent layers."""

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne
from theano_rnn.layers import RecurrentLayer

import pytest

from bayes_rnn.layers import BayesianEmbeddingLayer, OneHotLayer
from sparse_seq_theano.layers import SparseEmbeddingLayer


@pytest.mark.parametrize("shape", [(None, 5), (None, None, 5, 2)])
def test_the_input_of_a_recurrent_layer_has_three_axes(shape):
    with pytest.raises(ReportedError) as caught:
        RecurrentLayer(lasagne.layers.InputLayer(shape), 3, name="lstm")
    assert str(caught.value) == "the input of lstm must have the shape (batch, time, features), got %s" % (shape,)


def test_the_number_of_features_must_be_known():
    with pytest.raises(ReportedError, match=r"features of the input of lstm must be known, got the shape \(None, 7, "):
        RecurrentLayer((None, 7, None), 3, name="lstm")


@pytest.mark.parametrize("option, shape, message", [
    ("mask_input", (None, None, 1), r"the mask of lstm must have the shape \(batch, time\), got \(None, None, 1\)"),
    ("hid_init", (None, 2), r"hid_init of lstm must have the shape \(batch, 3\), got \(None, 2\)"),
    ("cell_init", (3,), r"cell_init of lstm must have the shape \(batch, 3\), got \(3,\)")])
def test_the_other_inputs_have_two_axes(option, shape, message):
    with pytest.raises(ReportedError, match=message):
        RecurrentLayer((None, 7, 5), 3, name="lstm", **{option: lasagne.layers.InputLayer(shape)})


@pytest.mark.parametrize("build", [
    lambda shape: BayesianEmbeddingLayer(shape, 9, 4, name="words"), lambda shape: OneHotLayer(shape, 9, name="words"),
    lambda shape: SparseEmbeddingLayer(shape, 9, 4, name="words")])
@pytest.mark.parametrize("shape", [(None,), (None, 7, 1)])
def test_token_ids_have_two_axes(build, shape):
    with pytest.raises(ReportedError) as caught:
        build(shape)
    assert str(caught.value) == "the input of words must be token ids of the shape (batch, time), got %s" % (shape,)
