"""Cross-entropy of a softmax over a vocabulary, written once for the networks of both packages.

Two formulations compute the same: ``"plain"``, Theano's elementwise operations and its own gradient, which runs
everywhere and is the oracle of the tests; and ``"fused"``, one operation in C++ with its gradient as a second one
(:mod:`theano_rnn.ops.cross_entropy.fused`). `theano_rnn.ops.backend.select_backend` chooses between them.
"""

import theano
import theano.tensor as T

from ..backend import use_fused
from ..gather import one_per_row
from .fused import fused_cross_entropy

__all__ = ["softmax_cross_entropy"]


def softmax_cross_entropy(scores, targets, bias=None, backend=None):
    r"""The negative log likelihood of the target of each row, and the most probable column.

    .. math:: nll_n = -\log \mathrm{softmax}(s_n + b)_{y_n} = \log \sum_v e^{s_{nv} + b_v} - s_{n y_n} - b_{y_n}

    A NaN or an infinity among the scores of a row makes its nll NaN; -infinity is a probability of 0.

    Parameters
    ----------
    scores : symbolic ``(N, V)``
        Unnormalised log probabilities, without the bias.
    targets : symbolic int ``(N,)``
        From 0 to V - 1.
    bias : symbolic ``(V,)``, optional
        Added to each row. Adding it here spares two passes over the scores, in the gradient too.
    backend : {None, 'reference', 'fused'}
        None for the result of `theano_rnn.ops.backend.select_backend`.

    Returns
    -------
    nll : symbolic ``(N,)``
        In nats.
    most_probable : symbolic int64 ``(N,)``
        The column of the largest score, the first of several. It has no gradient.

    Raises
    ------
    IndexError
        When the compiled function is called, for a target that is no column.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.cross_entropy import softmax_cross_entropy
    >>> nll, most_probable = softmax_cross_entropy(T.matrix("scores"), T.ivector("targets"))
    >>> loss, accuracy = nll.mean(), T.eq(most_probable, T.ivector("targets")).mean()
    """
    scores, targets = T.as_tensor_variable(scores), T.as_tensor_variable(targets)
    bias = None if bias is None else T.as_tensor_variable(bias)
    if "int" not in targets.dtype:
        raise TypeError("targets is {}, but integers were expected: give the ids of the columns".format(targets.dtype))
    cross_entropy = fused_cross_entropy if use_fused(backend, [scores, bias]) else _plain_cross_entropy
    nll, most_probable = cross_entropy(scores, targets, bias)
    return nll, most_probable


def _plain_cross_entropy(scores, targets, bias):
    """`softmax_cross_entropy`, differentiated by Theano."""
    scores = scores if bias is None else scores + bias
    most_probable = T.argmax(scores, axis=1)
    # Subtracting the maximum changes nothing but rounding, so its gradient need not be followed.
    scores = scores - theano.gradient.disconnected_grad(T.max(scores, axis=1, keepdims=True))
    normaliser = T.log(T.exp(scores).sum(axis=1))
    return normaliser - one_per_row(scores, targets), most_probable
