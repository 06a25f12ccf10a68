"""Prediction with a compressed model: models by name, and C code where it has been built. Needs NumPy only.

The prediction itself is in `theano_rnn.numpy_predictor`, one file that can be copied and that documents the API:
loading, prediction, batches, threads, memory. The command line is ``python -m bayes_rnn.predict``; its former name
``python -m bayes_rnn.predictor`` still works.
"""

import os

from theano_rnn.errors import ReportedError
from theano_rnn.numpy_predictor import (
    FORMAT,
    GATE_NONLINEARITIES,
    ClassPredictor,
    NextTokenPredictor,
    Predictor,
    log_softmax,
)
from theano_rnn.numpy_predictor import load_model as load_numpy_model

import numpy as np

__all__ = ["load_model", "model_names", "find_model", "require_finite_weights", "Predictor", "ClassPredictor",
           "NextTokenPredictor", "log_softmax", "FORMAT", "GATE_NONLINEARITIES"]

HERE = os.path.dirname(os.path.abspath(__file__))
#: The folder of the models in an installed project, and the folder ``models`` from which setup.py copies it.
MODEL_FOLDERS = (os.path.join(HERE, "trained_models"), os.path.join(os.path.dirname(HERE), "models"))


def load_model(model, backend="auto"):
    """Load a compressed model.

    Parameters
    ----------
    model : str
        A file ``compressed.npz``, or a name from `model_names`.
    backend : str
        "numpy"; "c" for the library that ``python -m bayes_rnn.export MODEL --to c --build`` creates beside the model;
        or "auto" for the library if this user has built it from this model, else NumPy. A library contains machine
        code: use "c" only for those that you trust.

    Returns
    -------
    ClassPredictor or NextTokenPredictor

    Raises
    ------
    ReportedError
        If the file is missing, damaged, or not a compressed model; with the backend "c", also if the library is
        missing, damaged, or was built from another model.

    Examples
    --------
    >>> from bayes_rnn.predictor import load_model
    >>> load_model("imdb-demo").metadata["classes"]
    ['negative', 'positive']
    """
    path = find_model(model)
    loaded = load_numpy_model(path)
    library = os.path.splitext(path)[0] + ".so"
    if backend == "c" or backend == "auto" and os.path.exists(library):
        from .c_library import is_built_here, load_library
        try:
            if backend == "c" or is_built_here(library):
                loaded.compiled = load_library(path, loaded)
        except ReportedError:
            if backend == "c":
                raise
    return loaded


def model_names(folders=MODEL_FOLDERS):
    """Return the names of the models in some folders, by default those of the project: sorted list of str."""
    return sorted({os.path.splitext(name)[0] for folder in folders if os.path.isdir(folder)
                   for name in os.listdir(folder) if name.endswith(".npz")})


def find_model(model):
    """Return the path of a compressed model: str.

    Parameters
    ----------
    model : str
        A path, or a name from `model_names`. A file of this name takes precedence.

    Raises
    ------
    ReportedError
        If there is neither such a file nor such a name.
    """
    if os.path.isfile(model):
        return model
    is_name = os.path.basename(model) == model and not model.endswith(".npz")
    for folder in MODEL_FOLDERS if is_name else ():
        path = os.path.join(folder, model + ".npz")
        if os.path.isfile(path):
            return path
    raise ReportedError("compressed model not found: %s%s" % (
        model, "; the names are %s" % (", ".join(model_names()) or "none") if is_name else ""))


def require_finite_weights(model):
    """Raise a `ReportedError` if a compressed model cannot be exported, because a number is not finite in float32.

    Parameters
    ----------
    model : ClassPredictor or NextTokenPredictor
    """
    for name, array in model.arrays.items():
        with np.errstate(over="ignore"):
            is_finite = np.isfinite(np.asarray(array, dtype=np.float32)).all()
        if not is_finite:
            raise ReportedError("the model cannot be exported: %s contains a value that is not finite" % name)


if __name__ == "__main__":
    from .predict import main
    main()
