"""Conversion of a pruned network to a compressed model, which is stored in one small file, and export of that model.

`bayes_rnn.model_file` writes the file; `bayes_rnn.predictor` loads it and predicts. The docstring of `Predictor`
describes the arrays and metadata. On the command line, which needs NumPy only, a compressed model becomes a smaller
file::

    python -m bayes_rnn.export compressed.npz --to npz --out small --precision int8 --pruned-words none

or C source code::

    python -m bayes_rnn.export compressed.npz --to c             # writes compressed.c and compressed.h
    python -m bayes_rnn.export compressed.npz --to c --build     # also compiles them, for bayes_rnn.predictor

or an ONNX graph, which also needs the package onnx::

    python -m bayes_rnn.export compressed.npz --to onnx          # writes compressed.onnx

or a web page, which also needs the package jinja2::

    python -m bayes_rnn.export compressed.npz --to html          # writes compressed.html
"""

import os
import re

from theano_rnn.errors import ArgumentParser, ReportedError, reported_errors, storage_problem
from theano_rnn.npz_store import write_atomically, write_together
from theano_rnn.tokens import OUTSIDE_WORD

import numpy as np

from .model_file import PRECISIONS, PRUNED_WORDS, save_model
from .predictor import GATE_NONLINEARITIES, find_model, load_model

__all__ = ["compress", "save_model", "main"]

#: Order of the gates in the arrays, as in `bayes_rnn.layers.lstm`, whose import would need Theano.
_GATES = ("input", "forget", "cell", "output")


def compress(network, vocabulary, details):
    """Return the compressed model of a network: only kept words, units and gates, without group variables.

    The group variables are multiplied into the weights. The predictions of the compressed model equal those of the
    pruned network. A gate that is pruned does not depend on any input. Its value activation(bias) is stored as a
    constant.

    Parameters
    ----------
    network : bayes_rnn.models.TextClassifier or LanguageModel
    vocabulary : sequence of str
        One word for each vocabulary element of the network.
    details : dict
        Other metadata, on the conversion of text to tokens and the names of the classes; see
        `bayes_rnn.predictor.Predictor`.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
    metadata : dict
        Arguments of `save_model`, and of the classes in `bayes_rnn.predictor`.

    Examples
    --------
    >>> from bayes_rnn.config import parse_config
    >>> from bayes_rnn.export import compress
    >>> from bayes_rnn.models import LanguageModel
    >>> network = LanguageModel(parse_config("LCIL", "language model"), 3, 4, level="characters")
    >>> arrays, metadata = compress(network, ["a", "b", "_"], {"kind": "characters"})
    >>> arrays["W_out"].shape
    (4, 3)
    """
    # This imports Theano, which the command line does not need.
    from .pruning import keep_masks
    masks = keep_masks(network)
    lstm, dense, embedding = (network.layers.get(name) for name in ("lstm", "dense", "embedding"))
    hidden, rows = masks.hidden, masks.vocabulary
    inputs = rows if embedding is None else masks.embedding_units
    computed = (masks.gates & hidden).ravel()                               # (4H,)
    of_kept_units = np.tile(hidden, len(_GATES))                             # (4H,)
    z_gates, z_hid, z_in = (variable.pruned_value() for variable in (lstm.z_gates, lstm.z_hid, lstm.z_in))
    bias = lstm.b.get_value()
    W_in = lstm.W_in.pruned_value() * z_in[:, None] * z_gates
    W_hid = lstm.W_hid.pruned_value() * z_hid[:, None] * z_gates
    W_out = dense.W.pruned_value() * z_hid[:, None]
    arrays = {
        "W_in": W_in[inputs][:, computed], "W_hid": W_hid[hidden][:, computed], "b": bias[computed],
        "W_out": W_out[hidden], "b_out": dense.b.get_value(),
        "gate_is_computed": computed[of_kept_units], "gate_constants": _activated_bias(lstm, bias)[of_kept_units]}
    if embedding is not None:
        arrays["embedding"] = (embedding.W.pruned_value() * embedding.z_voc.pruned_value()[:, None])[rows][:, inputs]
    metadata = dict(details, gate_nonlinearity=lstm.gate_nonlinearity, config=network.config.text,
                    words=[vocabulary[index] for index in np.flatnonzero(rows)])
    if embedding is None:
        metadata["vocabulary"] = list(vocabulary)       # a language model predicts all words, also pruned ones
    elif OUTSIDE_WORD in metadata["words"]:
        # Pruned words and words outside the vocabulary have different rows, so the pruned words must be known.
        metadata["pruned_words"] = [vocabulary[index] for index in np.flatnonzero(~rows)]
    return arrays, metadata


def _activated_bias(lstm, bias):
    """Return the values of gates that depend on the bias only, ``(4H,)``."""
    input_forget_output = GATE_NONLINEARITIES[lstm.gate_nonlinearity](bias)
    is_cell = np.repeat(np.arange(len(_GATES)) == _GATES.index("cell"), lstm.num_units)
    return np.where(is_cell, np.tanh(bias), input_forget_output).astype(bias.dtype)


def main(argv=None):
    """Run the command line ``python -m bayes_rnn.export MODEL --to {c,onnx,html,npz}``."""
    parser = ArgumentParser(prog="python -m bayes_rnn.export",
                            description="Export a compressed model. Needs NumPy only.")
    parser.add_argument("model", metavar="MODEL", help="compressed.npz of a run, or the name of a model of the project")
    parser.add_argument("--to", choices=["c", "html", "npz", "onnx"], required=True,
                        help="c: one source file in C99 and its header; html: a web page without connections, which "
                             "needs the package jinja2; npz: another, smaller file for bayes_rnn.predict; onnx: a "
                             "graph from row indices of words to probabilities, which needs the package onnx")
    parser.add_argument("--out", metavar="NAME",
                        help="path of the files, with or without .c, .html, .npz or .onnx; its last part is the prefix "
                             "of the functions in C (default: MODEL without .npz; required for npz)")
    parser.add_argument("--build", action="store_true",
                        help="compile the C code to a shared library (.so) with cc (variables: CC, CFLAGS); "
                             "bayes_rnn.predictor uses the library beside MODEL")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32",
                        help="of the weights, with --to npz; int8 has a scale per row, and stores a matrix as float16 "
                             "if that is smaller (default: float32)")
    parser.add_argument("--pruned-words", choices=PRUNED_WORDS, default="exact",
                        help="with --to npz; fingerprints: a byte for each pruned word, and one of 64 words "
                             "outside the vocabulary counts as a pruned word; none: all of them do, and the file does "
                             "not contain pruned words (default: exact)")
    arguments = parser.parse_args(argv)
    if arguments.build and arguments.to != "c":
        parser.error("--build needs --to c")
    if arguments.to == "npz" and not arguments.out:
        parser.error("--to npz needs --out")
    if arguments.to != "npz" and (arguments.precision, arguments.pruned_words) != ("float32", "exact"):
        parser.error("--precision and --pruned-words need --to npz; export the resulting file to %s" % arguments.to)
    with reported_errors():
        model, out = load_model(arguments.model, backend="numpy"), arguments.out or os.path.splitext(arguments.model)[0]
        if arguments.out and os.path.splitext(out)[1] == "." + arguments.to:
            out = os.path.splitext(out)[0]
        arguments.model = find_model(arguments.model)
        if not os.path.basename(out) or not os.path.isdir(os.path.dirname(out) or "."):
            raise ReportedError("--out must be a name in an existing folder, got %s" % out)
        try:
            paths = _EXPORTS[arguments.to](model, out, arguments)
        except OSError as error:
            if storage_problem(error):
                raise
            raise ReportedError("the export cannot be written: %s (%s); choose another name with --out"
                                % (error.filename, error.strerror)) from None
        for path in paths:
            print("%s: %d bytes" % (path, os.path.getsize(path)))


def _export_to_c(model, out, arguments):
    """Write the C code of a model, and compile it on request. Return the paths of the files."""
    from .c_compiler import build, file_digest
    from .export_c import c_files, identifier
    name, paths = os.path.basename(out), [out + ".c", out + ".h"]
    if re.search(r'["\\\n]', name):
        raise ReportedError("the name of the files must be without quotes, backslashes and line ends, got %r; choose "
                            "another one with --out" % name)
    codes = c_files(model, name, identifier(name), file_digest(arguments.model))
    # ASCII, except the name of the header
    write_together([(path, code.encode("utf-8", "surrogateescape")) for path, code in zip(paths, codes)])
    return paths + [build(paths[0])] if arguments.build else paths


def _export_to_onnx(model, out, arguments):
    """Write the ONNX graph of a model. Return the paths of the files."""
    from .export_onnx import onnx_model
    content = onnx_model(model).SerializeToString()
    write_atomically(out + ".onnx", content)
    return [out + ".onnx"]


def _export_to_npz(model, out, arguments):
    """Write the file of a model, as small as requested. Return the paths of the files."""
    if os.path.realpath(out + ".npz") == os.path.realpath(arguments.model):
        raise ReportedError("--out must be another file than the model, %s: the rounded weights and the pruned words "
                            "cannot be restored" % arguments.model)
    save_model(out + ".npz", model.arrays, model.metadata, arguments.precision, arguments.pruned_words)
    return [out + ".npz"]


def _export_to_html(model, out, arguments):
    """Write the web page of a model. Return the paths of the files."""
    from .export_html import html_page
    write_atomically(out + ".html", html_page(model, os.path.getsize(arguments.model)))
    return [out + ".html"]


_EXPORTS = {"c": _export_to_c, "html": _export_to_html, "npz": _export_to_npz, "onnx": _export_to_onnx}


if __name__ == "__main__":
    main()
