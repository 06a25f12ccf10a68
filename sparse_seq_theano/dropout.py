"""Dropout with masks that are shared where the papers share them, from one seeded stream.

Locked (variational) dropout, embedding dropout and weight drop of the AWD-LSTM differ only in what a mask is shared by:
Merity, Keskar, Socher: Regularizing and Optimizing LSTM Language Models, arXiv 1708.02182, sections 2, 4.2 and 4.3;
Gal, Ghahramani: A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, arXiv 1512.05287.
"""

import numpy as np
import theano
import theano.tensor as T
from theano import scalar

from theano_rnn.errors import ReportedError
from theano_rnn.lasagne_compat import lasagne

__all__ = ["DropoutNoise", "dropped", "check_probability"]

_64_BITS = 2 ** 64 - 1


class _RandomBits(scalar.UnaryScalarOp):
    """32 random bits for each int64 position in the stream: the upper half of SplitMix64's output.

    Theano's own generator (MRG) needs 17 ns per number, as its branches depend on the numbers: 270 ms for the weight
    drop of three layers of 1150 units, a good part of a training step. Here a number depends on its position only;
    the loop over positions has no branch, is vectorised, and needs 1 ns.

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
    """Where keep masks come from: a seeded stream whose state can be saved.

    Parameters
    ----------
    seed : int
        From 0 to 2^32 - 1; by default drawn from Lasagne's random state (`lasagne.random.set_rng`).

    Examples
    --------
    >>> from sparse_seq_theano.dropout import DropoutNoise
    >>> mask = DropoutNoise(seed=1).keep_mask((4, 3), probability=0.5)      # of 0 and 2
    """

    def __init__(self, seed=None):
        self._starts = np.random.RandomState(lasagne.random.get_rng().randint(1, 2147462579) if seed is None else seed)
        self._states = []

    def keep_mask(self, shape, probability):
        """0 with `probability`, else 1 / (1 - probability), independently; drawn anew at every call of the function.

        Parameters
        ----------
        shape : tuple of int and symbolic int
            Axes known to be of length 1 are broadcastable.
        probability : float
            In [0, 1), a number; exact to 2^-32.

        Returns
        -------
        symbolic tensor of that shape, of type floatX

        Raises
        ------
        ReportedError
            For a probability outside [0, 1).
        """
        check_probability(probability, "dropout probability")
        # Far below 2^63, so that no sum of positions overflows.
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
        # A product and not a switch: a branch would keep the loop from being vectorised.
        keep = T.ge(_random_bits(position), np.uint32(int(probability * 2 ** 32)))
        return keep * np.asarray(1 / (1. - probability), dtype=theano.config.floatX)

    def states(self):
        """The shared variables that hold the state, in the order in which the graph was built."""
        return list(self._states)


def dropped(x, probability, noise, mask_shape=None):
    """A tensor with some of its elements zero and the others scaled by 1 / (1 - probability).

    Parameters
    ----------
    x : symbolic tensor
    probability : float
        In [0, 1). With 0 (say so for evaluation) the result is `x` itself.
    noise : DropoutNoise
    mask_shape : tuple of int and symbolic int, optional
        One number per axis of `x`: its length, or 1 where the mask is shared along the axis: ``(batch, 1, features)``
        for locked dropout. By default the shape of `x`, for which weight drop asks.

    Returns
    -------
    symbolic tensor of the shape of `x`

    Raises
    ------
    ReportedError
        For a probability outside [0, 1).

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
    """A dropout probability, back again if it is in [0, 1).

    Raises
    ------
    ReportedError
        Otherwise; it calls the argument `name`.
    """
    if not 0 <= probability < 1:
        raise ReportedError("%s is %s, expected at least 0 and less than 1: choose 0 to drop nothing"
                            % (name, probability))
    return probability
