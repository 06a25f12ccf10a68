"""Dropout layers with masks from a `DropoutNoise`, whose state can be saved in a checkpoint."""

from theano_rnn.lasagne_compat import lasagne

from ..dropout import DropoutNoise, check_probability, dropped

__all__ = ["DropoutLayer", "LockedDropoutLayer"]


class DropoutLayer(lasagne.layers.Layer):
    """Dropout with an independent mask for each element.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Of any shape.
    p : float
        Probability of dropping an element, in [0, 1).
    noise : DropoutNoise, optional
        Random number source. By default, the layer has its own source, seeded by Lasagne's random state.
    **kwargs
        `name`.

    Raises
    ------
    ReportedError
        If `p` is not in [0, 1).

    Examples
    --------
    >>> from sparse_seq_theano.layers import DropoutLayer
    >>> DropoutLayer((None, 5), p=0.4).output_shape
    (None, 5)
    """

    #: Unit k of the output depends on unit k of the input only; see `bayes_rnn.connections`.
    passes_units = True

    def __init__(self, incoming, p=0.5, noise=None, **kwargs):
        super(DropoutLayer, self).__init__(incoming, **kwargs)
        self.p, self.noise = check_probability(p, "p"), noise or DropoutNoise()

    def get_output_for(self, input, deterministic=False, **kwargs):
        return dropped(input, 0. if deterministic else self.p, self.noise, self.mask_shape(input))

    @staticmethod
    def mask_shape(input):
        """Return the argument `mask_shape` of `dropped` for a symbolic input; None for the shape of the input."""
        return None


class LockedDropoutLayer(DropoutLayer):
    """Dropout with one mask per example and feature, shared by all time steps.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple
        Of shape ``(batch, time, features)``.
    p : float
        Probability of dropping a feature, in [0, 1).
    noise : DropoutNoise, optional
        Random number source. By default, the layer has its own source, seeded by Lasagne's random state.
    **kwargs
        `name`.

    Raises
    ------
    ReportedError
        If `p` is not in [0, 1).

    References
    ----------
    Gal, Ghahramani: A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, arXiv:1512.05287.

    Examples
    --------
    >>> from sparse_seq_theano.layers import LockedDropoutLayer
    >>> LockedDropoutLayer((None, 20, 5), p=0.4).output_shape
    (None, 20, 5)
    """

    @staticmethod
    def mask_shape(input):
        return input.shape[0], 1, input.shape[2]
