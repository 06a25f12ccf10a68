"""Cross-entropy of a softmax over a vocabulary."""

import theano.tensor as T

from ..backend import use_fused
from .fused import fused_cross_entropy
from .reference import reference_cross_entropy

__all__ = ["softmax_cross_entropy"]


def softmax_cross_entropy(scores, targets, bias=None, backend=None):
    r"""Return the negative log likelihood of the target of each row, and the most probable column.

    .. math:: nll_n = -\log \mathrm{softmax}(s_n + b)_{y_n} = \log \sum_v e^{s_{nv} + b_v} - s_{n y_n} - b_{y_n}

    If a score of a row is NaN or infinity, the nll of the row is NaN. A score of -infinity is a probability of 0.

    Parameters
    ----------
    scores : symbolic ``(N, V)``
        Unnormalised log probabilities without the bias.
    targets : symbolic int ``(N,)``
        From 0 to V - 1.
    bias : symbolic ``(V,)``, optional
        Added to each row. Adding it here saves two passes over the scores, one of them in the gradient.
    backend : {None, 'reference', 'fused'}
        None for the result of `theano_rnn.ops.backend.select_backend`.

    Returns
    -------
    nll : symbolic ``(N,)``
        In nats.
    most_probable : symbolic int64 ``(N,)``
        Column of the largest score; the first one if there are several. It has no gradient.

    Raises
    ------
    IndexError
        When the compiled function is called, for a target outside [0, V).
    TypeError
        If `targets` is not an integer tensor.

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
        raise TypeError("targets is {}, but integers were expected: give column indices".format(targets.dtype))
    cross_entropy = fused_cross_entropy if use_fused(backend, [scores, bias]) else reference_cross_entropy
    nll, most_probable = cross_entropy(scores, targets, bias)
    return nll, most_probable
