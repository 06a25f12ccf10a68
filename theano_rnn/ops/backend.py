"""Choice between the two backends of every operation.

Each operation of :mod:`theano_rnn.ops` has two implementations of the same formula. The reference implementation
(``"reference"``) consists of Theano's own operations and gradients and runs everywhere. The fused implementation
(``"fused"``) is compiled from the C++ files of this package. On a GPU, the LSTM recurrence, normal samples, and
divergences and Adam have a fused implementation, and distinct values are found on the host.
"""

import os

import theano

__all__ = ["BACKENDS", "BACKEND_VARIABLE", "FORMER_VARIABLE", "select_backend", "use_fused", "on_gpu"]

BACKENDS = ("reference", "fused")

#: Environment variable that selects the backend, and its former name.
BACKEND_VARIABLE = "THEANO_RNN_BACKEND"
FORMER_VARIABLE = "BAYES_RNN_RECURRENCE"


def select_backend(variables=(), serves_gpu=False):
    """Return the backend to use on this machine.

    The environment variable ``THEANO_RNN_BACKEND`` can be ``reference``, ``fused`` or ``auto`` (the default: fused
    where it can run). If it is not set, the former variable ``BAYES_RNN_RECURRENCE`` is read: ``scan`` (the reference
    implementation), ``fused`` or ``auto``.

    Parameters
    ----------
    variables : iterable of Theano variables
        Inputs of the operation, without integers. The fused backend requires that all are float32 or all float64.
    serves_gpu : bool
        Whether the fused operation can be used if Theano's device is a GPU, because it has a counterpart for the GPU
        (float32 only) or because it runs on the host.

    Returns
    -------
    {'reference', 'fused'}

    Raises
    ------
    ValueError
        If the environment variable has an invalid value, or if it is ``fused`` and the fused backend cannot run.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.backend import select_backend
    >>> select_backend([T.fvector(), T.dvector()])
    'reference'
    """
    name, choice = _environment()
    if choice == "reference" or on_gpu() and not serves_gpu:
        return "reference"
    obstacle = _obstacle_to_fused(variables)
    if obstacle and choice == "fused":
        raise ValueError("{}=fused, but {}".format(name, obstacle))
    return "reference" if obstacle else "fused"


def _environment():
    """Return the name of the environment variable, and its value in the current terms."""
    name, reference = BACKEND_VARIABLE, "reference"
    if name not in os.environ and FORMER_VARIABLE in os.environ:
        name, reference = FORMER_VARIABLE, "scan"
    choice = os.environ.get(name, "auto")
    if choice not in (reference, "fused", "auto"):
        raise ValueError("{} must be {}, fused or auto, got {!r}".format(name, reference, choice))
    return name, "reference" if choice == reference else choice


def use_fused(backend, variables=(), serves_gpu=False):
    """Return whether a function with an argument `backend` uses the fused backend.

    Parameters
    ----------
    backend : {None, 'reference', 'fused'}
        The argument of the function; None for the result of `select_backend`.
    variables : iterable of Theano variables
        As for `select_backend`; None stands for an argument that was not given.
    serves_gpu : bool
        As for `select_backend`.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If `backend` is invalid; see also `select_backend`.

    Examples
    --------
    >>> from theano_rnn.ops.backend import use_fused
    >>> use_fused("fused"), use_fused("reference")
    (True, False)
    """
    if backend not in (None,) + BACKENDS:
        raise ValueError("backend must be None, 'reference' or 'fused', got {!r}".format(backend))
    if backend is None:
        backend = select_backend([variable for variable in variables if variable is not None], serves_gpu)
    return backend == "fused"


def on_gpu():
    """Return whether Theano computes on a GPU: it was configured to, and the GPU could be initialised."""
    if not theano.config.device.startswith(("cuda", "opencl")):
        return False
    from theano import gpuarray
    return gpuarray.pygpu_activated


def _obstacle_to_fused(variables):
    """Return the reason why the fused backend cannot run: str or None."""
    if not theano.config.cxx:
        return "Theano has no C++ compiler (theano.config.cxx is empty)"
    dtypes = sorted(set(variable.dtype for variable in variables))
    if on_gpu() and dtypes not in ([], ["float32"]):
        return "its arguments are {}, and on a GPU they must be float32".format(" and ".join(dtypes))
    if len(dtypes) > 1 or dtypes and dtypes[0] not in ("float32", "float64"):
        return "its arguments are {}, not all float32 or all float64".format(" and ".join(dtypes))
    return None


if on_gpu():
    from . import gpu_rewrites  # noqa: F401
