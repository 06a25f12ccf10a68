"""Standard normal numbers from a seeded stream whose state can be saved.

The generator is Theano's `MRG_RandomStreams`. The fused backend draws the same numbers (up to rounding) and leaves the
same state (to the bit), so either backend can continue a stream that the other began.
"""

from theano_rnn.lasagne_compat import lasagne

import theano

from ..backend import use_fused
from .fused import fused_normal
from .reference import MRG_RandomStreams, reference_normal

__all__ = ["NormalNoise"]


class NormalNoise(object):
    """Random number source: standard normal numbers from a seeded stream whose state can be saved.

    Parameters
    ----------
    seed : int, optional
        Positive; by default drawn from Lasagne's random state (`lasagne.random.set_rng`).

    Examples
    --------
    >>> from theano_rnn.ops.normal_noise import NormalNoise
    >>> noise = NormalNoise(seed=1)
    >>> noise.normal((3, 4)).ndim
    2
    """

    def __init__(self, seed=None):
        self._streams = MRG_RandomStreams(lasagne.random.get_rng().randint(1, 2147462579) if seed is None else seed)

    def normal(self, shape):
        """Return symbolic standard normal numbers of type floatX, drawn anew at every call of the function.

        Parameters
        ----------
        shape : sequence of int and symbolic int
        """
        numbers, state = reference_normal(self._streams, shape, theano.config.floatX)
        if use_fused(None):
            # The state that Theano has just made is kept; the numbers come from an operation that is faster.
            state.default_update, numbers = fused_normal(state, shape, numbers.type)
        return numbers

    def states(self):
        """Return the shared variables that hold the state, in the order in which the graph was built."""
        return [update[0] for update in self._streams.state_updates]
