"""Dropout with shared masks, from one seeded random number source.

Locked (variational) dropout, embedding dropout and weight drop of the AWD-LSTM differ only in the axes along which a
mask is shared.

References
----------
Merity, Keskar, Socher: Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182, sections 2, 4.2 and 4.3.
Gal, Ghahramani: A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, arXiv:1512.05287.
"""

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

import numpy as np
import theano
import theano.tensor as T
from theano import scalar

__all__ = ["DropoutNoise", "dropped", "check_probability"]

_64_BITS = 2 ** 64 - 1


class _RandomBits(scalar.UnaryScalarOp):
    """32 random bits for each int64 position in a stream: the upper half of the output of SplitMix64.

    Theano's generator MRG has data-dependent branches. It would take a large part of a training step for the weight
    drop of three layers of 1150 units. Here each number depends only on its position, so the compiler vectorises the
    loop over positions.

    References
    ----------
    Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
    """

    def impl(self, position):
        z = (int(position) * 0x9E3779B97F4A7C15) & _64_BITS
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _64_BITS
        return np.uint32((z ^ (z >> 31)) >> 32)

    def c_code(self, node, name, inputs, outputs, sub):
        return """{
            npy_uint64 z = (npy_uint64)%s * 0x9E3779B97F4A7C15ULL;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
            %s = (npy_uint32)((z ^ (z >> 31)) >> 32);
        }""" % (inputs[0], outputs[0])

    def c_code_cache_version(self):
        return (1,)


_random_bits = T.Elemwise(_RandomBits(scalar.specific_out(scalar.uint32), name="random_bits"), name="random_bits")


class DropoutNoise(object):
    """Random number source: keep masks from a seeded stream whose state can be saved.

    Parameters
    ----------
    seed : int, optional
        In [0, 2^32 - 1]; by default drawn from Lasagne's random state (`lasagne.random.set_rng`).

    Examples
    --------
    >>> from sparse_seq_theano.dropout import DropoutNoise
    >>> mask = DropoutNoise(seed=1).keep_mask((4, 3), probability=0.5)      # values 0 and 2
    >>> mask.ndim
    2
    """

    def __init__(self, seed=None):
        self._starts = np.random.RandomState(lasagne.random.get_rng().randint(1, 2147462579) if seed is None else seed)
        self._states = []

    def keep_mask(self, shape, probability):
        """Return a mask to multiply a tensor by. Every call of the compiled function draws a new one.

        Parameters
        ----------
        shape : tuple of int and symbolic int
            Axes that are known to have length 1 are broadcastable.
        probability : float
            Probability of 0, in [0, 1), exact to 2^-32. It cannot be symbolic.

        Returns
        -------
        symbolic tensor of this shape, of type floatX
            Its elements are independent, and either 0 or 1 / (1 - probability).

        Raises
        ------
        ReportedError
            If `probability` is not in [0, 1).
        """
        check_probability(probability, "dropout probability")
        # Less than 2^62, so that sums of positions do not overflow.
        state = theano.shared(np.asarray(self._starts.randint(2 ** 62, dtype="int64")), "dropout position")
        self._states.append(state)
        position, size = state.dimshuffle(*["x"] * len(shape)), T.constant(1, dtype="int64")
        for axis in reversed(range(len(shape))):
            if T.extract_constant(shape[axis]) != 1:
                order = ["x"] * len(shape)
                order[axis] = 0
                position = position + (T.arange(shape[axis], dtype="int64") * size).dimshuffle(*order)
                size = size * shape[axis]
        state.default_update = state + T.cast(size, "int64")
        # A product instead of a switch, because a branch would prevent the vectorisation of the loop.
        keep = T.ge(_random_bits(position), np.uint32(int(probability * 2 ** 32)))
        return keep * np.asarray(1 / (1. - probability), dtype=theano.config.floatX)

    def states(self):
        """Return the shared variables that hold the state, in the order in which the graph was built."""
        return list(self._states)


def dropped(x, probability, noise, mask_shape=None):
    """Return a tensor with random elements set to zero and the others scaled by 1 / (1 - probability).

    Parameters
    ----------
    x : symbolic tensor
    probability : float
        In [0, 1). If it is 0 (for evaluation), the result is `x` itself.
    noise : DropoutNoise
        Random number source.
    mask_shape : tuple of int and symbolic int, optional
        Shape of the mask: for each axis of `x` its length, or 1 if the mask is shared along the axis. Locked dropout
        has ``(batch, 1, features)``. By default, the shape of `x`.

    Returns
    -------
    symbolic tensor of the shape of `x`

    Raises
    ------
    ReportedError
        If `probability` is not in [0, 1).

    Examples
    --------
    >>> import theano.tensor as T
    >>> from sparse_seq_theano.dropout import DropoutNoise, dropped
    >>> W = T.matrix()
    >>> weights = dropped(W, 0.5, DropoutNoise(seed=1))
    >>> dropped(W, 0., DropoutNoise(seed=1)) is W
    True
    """
    if check_probability(probability, "dropout probability") == 0:
        return x
    if mask_shape is None:
        mask_shape = tuple(x.shape[axis] for axis in range(x.ndim))
    return x * noise.keep_mask(tuple(mask_shape[axis] for axis in range(x.ndim)), probability)


def check_probability(probability, name):
    """Return a dropout probability after a check of its range.

    Parameters
    ----------
    probability : float
    name : str
        Name of the argument, for the message.

    Returns
    -------
    float

    Raises
    ------
    ReportedError
        If `probability` is not in [0, 1).

    Examples
    --------
    >>> from sparse_seq_theano.dropout import check_probability
    >>> check_probability(1, "p")
    Traceback (most recent call last):
        ...
    theano_rnn.errors.ReportedError: p must be in [0, 1), got 1
    """
    if not 0 <= probability < 1:
        raise ReportedError("%s must be in [0, 1), got %s" % (name, probability))
    return probability
