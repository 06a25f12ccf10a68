"""Cross-entropy of a softmax by Theano's elementwise operations."""

import theano
import theano.tensor as T

from ..gather import one_per_row

__all__ = ["reference_cross_entropy"]


def reference_cross_entropy(scores, targets, bias):
    """Return `softmax_cross_entropy`, differentiated by Theano; `bias` may be None."""
    scores = scores if bias is None else scores + bias
    most_probable = T.argmax(scores, axis=1)
    # Subtracting the maximum changes only the rounding, so it needs no gradient.
    scores = scores - theano.gradient.disconnected_grad(T.max(scores, axis=1, keepdims=True))
    normaliser = T.log(T.exp(scores).sum(axis=1))
    return normaliser - one_per_row(scores, targets), most_probable
