"""The one place that chooses between Theano's own operations and those in C++.

It chooses for the recurrence of an LSTM (:mod:`theano_rnn.ops.lstm`), for the look-up of rows
(:mod:`theano_rnn.ops.gather`), for the cross-entropy of a softmax (:mod:`theano_rnn.ops.cross_entropy`), for what a training step
does to the parameters, Kullback-Leibler divergence and Adam, and for the distinct words of a minibatch.
Each has two formulations that compute the same: one of Theano's operations, which runs everywhere and is the oracle of
the tests, and ``"fused"``, compiled from C++ files of this package. With a GPU only the recurrence and the distinct
words have a fused one.
"""

import os

import theano

__all__ = ["select_implementation", "use_fused", "on_gpu"]

SWITCH = "BAYES_RNN_RECURRENCE"
CHOICES = ("scan", "fused", "auto")


def select_implementation(variables=(), serves_gpu=False):
    """The implementation to use on this machine.

    The environment variable ``BAYES_RNN_RECURRENCE`` may say ``scan`` (Theano's operations), ``fused`` or ``auto``
    (the default: fused where it can run). It is named for the recurrence, and holds for all that have a fused one on
    the device.

    Parameters
    ----------
    variables : iterable of Theano variables
        What the operation will read, but for integers: the fused one wants all of them float32 or all of them float64.
    serves_gpu : bool
        Whether the fused one is of use where Theano's device is a GPU: replaced by another, for float32 only; or on the
        processor, for integers.

    Returns
    -------
    str
        ``"fused"``, or ``"scan"`` for the formulation in Theano's operations, also where that has no scan.

    Raises
    ------
    ValueError
        If ``BAYES_RNN_RECURRENCE`` says something else, or says ``fused`` where that cannot run.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.backend import select_implementation
    >>> select_implementation([T.fvector(), T.dvector()])
    'scan'
    """
    choice = os.environ.get(SWITCH, "auto")
    if choice not in CHOICES:
        raise ValueError("{} must be scan, fused or auto, not {!r}".format(SWITCH, choice))
    if choice == "scan" or on_gpu() and not serves_gpu:
        return "scan"
    obstacle = _obstacle_to_fused(variables)
    if obstacle and choice == "fused":
        raise ValueError("{}=fused, but {}".format(SWITCH, obstacle))
    return "scan" if obstacle else "fused"


def use_fused(implementation, variables=(), plain="plain", serves_gpu=False):
    """Whether a function with an argument `implementation` uses the operation in C++.

    Parameters
    ----------
    implementation : str or None
        What it was called with; None for what `select_implementation` says.
    variables : iterable of Theano variables
        As for `select_implementation`; None stands for an argument that was not given.
    plain : str
        What the function calls its other formulation.
    serves_gpu : bool
        As for `select_implementation`.

    Raises
    ------
    ValueError
        For another implementation than these, and as `select_implementation` does.

    Examples
    --------
    >>> from theano_rnn.ops.backend import use_fused
    >>> use_fused("fused"), use_fused("plain")
    (True, False)
    """
    if implementation not in (None, plain, "fused"):
        raise ValueError("implementation must be None, {} or fused, not {!r}".format(plain, implementation))
    if implementation is None:
        given = [variable for variable in variables if variable is not None]
        implementation = select_implementation(given, serves_gpu)
    return implementation == "fused"


def on_gpu():
    """Whether Theano computes on a GPU: it was asked to, and could begin."""
    if not theano.config.device.startswith(("cuda", "opencl")):
        return False
    from theano import gpuarray
    return gpuarray.pygpu_activated


def _obstacle_to_fused(variables):
    """Why the operations in C++ cannot run here, or None."""
    if not theano.config.cxx:
        return "Theano has no C++ compiler (theano.config.cxx is empty)"
    dtypes = sorted(set(variable.dtype for variable in variables))
    if on_gpu() and dtypes not in ([], ["float32"]):
        return "its arguments are {}, and on the GPU only float32 will do".format(" and ".join(dtypes))
    if len(dtypes) > 1 or dtypes and dtypes[0] not in ("float32", "float64"):
        return "its arguments are {}, not all float32 or all float64".format(" and ".join(dtypes))
    return None


if on_gpu():
    from . import gpu_rewrites  # noqa: F401
