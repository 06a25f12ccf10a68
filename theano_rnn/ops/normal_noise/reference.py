"""Standard normal samples from Theano's generator."""

from theano.sandbox.rng_mrg import MRG_RandomStreams

__all__ = ["STREAMS", "MRG_RandomStreams", "reference_normal"]

#: Parallel streams of the generator: enough for a GPU, cheap on a CPU.
STREAMS = 60 * 256


def reference_normal(streams, shape, dtype):
    """Return standard normal samples, and the shared variable that holds the state of their stream.

    Parameters
    ----------
    streams : MRG_RandomStreams
    shape : tuple of int and symbolic int
    dtype : {'float32', 'float64'}

    Returns
    -------
    numbers : symbolic tensor
    state : Theano shared variable
        Its default update is the state after these samples.
    """
    numbers = streams.normal(size=tuple(shape), ndim=len(shape), dtype=dtype, nstreams=STREAMS)
    return numbers, streams.state_updates[-1][0]
