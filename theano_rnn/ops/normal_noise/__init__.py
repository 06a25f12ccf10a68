"""Standard normal samples from a seeded stream whose state can be saved.

The generator is Theano's `MRG_RandomStreams`. The samples of both backends are equal up to rounding, and their states
are bit-identical, so either backend can continue a stream of the other.
"""

from theano_rnn.lasagne_compat import lasagne

import theano

from ..backend import use_fused
from .fused import fused_normal
from .reference import MRG_RandomStreams, reference_normal

__all__ = ["NormalNoise"]


class NormalNoise(object):
    """Random number source: standard normal samples from a seeded stream whose state can be saved.

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
        """Return standard normal samples. Every call of the compiled function draws new ones.

        Parameters
        ----------
        shape : sequence of int and symbolic int

        Returns
        -------
        symbolic tensor of this shape, of type floatX
        """
        numbers, state = reference_normal(self._streams, shape, theano.config.floatX)
        if use_fused(None, [numbers], serves_gpu=True):
            # Keep the state variable that Theano has created, but draw the samples by the faster operation.
            state.default_update, numbers = fused_normal(state, shape, numbers.type)
        return numbers

    def states(self):
        """Return the shared variables that hold the state, in the order in which the graph was built."""
        return [update[0] for update in self._streams.state_updates]
