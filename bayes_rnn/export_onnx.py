"""Export of a compressed model as ONNX: ``python -m bayes_rnn.export MODEL --to onnx``. Needs NumPy and onnx.

The graph begins with row indices of words, as `bayes_rnn.predictor.Predictor.rows` returns them; it does not contain
the tokenizer. Gates that do not depend on any input have weights of zero, and the bias that gives their constant value.
"""

import json

from theano_rnn.errors import ReportedError

import numpy as np

from .predictor import ClassPredictor

__all__ = ["onnx_model"]

#: Gates in the order of ONNX (input, output, forget, cell), as indices of the order of the model.
_ORDER = [0, 3, 1, 2]
#: Opset and version of the format: old ones, which all runtimes read.
_OPSET, _IR_VERSION = 14, 8


def onnx_model(model):
    """Return a compressed model as an ONNX model.

    ========================  ======================================================================================
    inputs of a classifier    ``rows`` int64 ``(T, B)``, ``lengths`` int32 ``(B,)``: example b has ``lengths[b]`` rows,
                              followed by any others in the range
    outputs                   ``probabilities`` ``(B, classes)``
    inputs of a language      ``rows`` int64 ``(T, B)``, the state ``h`` and ``c`` ``(1, B, H)``
    model
    outputs                   ``log_probabilities`` ``(T, B, tokens)``, the state ``next_h`` and ``next_c``
    ========================  ======================================================================================

    The metadata of the model are those of the compressed model, each as JSON.

    Parameters
    ----------
    model : bayes_rnn.predictor.ClassPredictor or NextTokenPredictor

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ReportedError
        If the package onnx is missing, or the model has no hidden units.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError:
        raise ReportedError("--to onnx needs the package onnx; install requirements/onnx.txt") from None
    if not model.num_units:
        raise ReportedError("the model cannot be exported to ONNX: it has no hidden units")
    units, is_classifier = model.num_units, isinstance(model, ClassPredictor)
    constants, hard = _lstm_weights(model), model.metadata["gate_nonlinearity"] == "hard_sigmoid"
    constants.update((name, np.asarray(model.arrays[name], dtype=np.float32)) for name in ("W_out", "b_out"))
    activations = {"activations": ["HardSigmoid" if hard else "Sigmoid", "Tanh", "Tanh"]}
    if hard:
        activations.update(activation_alpha=[0.2], activation_beta=[0.5])
    outputs = model.arrays["W_out"].shape[1]
    sequence = ["x", "W", "R", "B", "lengths" if is_classifier else ""]
    nodes = [helper.make_node("Gather", ["table", "rows"], ["x"])]
    rows = helper.make_tensor_value_info("rows", TensorProto.INT64, ["T", "B"])

    def floats(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    if is_classifier:
        nodes += [helper.make_node("LSTM", sequence, ["", "last"], hidden_size=units, **activations),
                  helper.make_node("Squeeze", ["last", "first_axis"], ["h"]),
                  helper.make_node("Gemm", ["h", "W_out", "b_out"], ["scores"])]
        constants["first_axis"] = np.array([0], dtype=np.int64)
        if outputs == 1:
            constants["one"] = np.ones(1, dtype=np.float32)
            nodes += [helper.make_node("Sigmoid", ["scores"], ["positive"]),
                      helper.make_node("Sub", ["one", "positive"], ["negative"]),
                      helper.make_node("Concat", ["negative", "positive"], ["probabilities"], axis=1)]
        else:
            nodes.append(helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1))
        inputs = [rows, helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"])]
        results = [floats("probabilities", "B", len(model.metadata["classes"]))]
    else:
        nodes += [helper.make_node("LSTM", sequence + ["h", "c"], ["all", "next_h", "next_c"], hidden_size=units,
                                   **activations),
                  helper.make_node("Squeeze", ["all", "direction_axis"], ["states"]),
                  helper.make_node("MatMul", ["states", "W_out"], ["products"]),
                  helper.make_node("Add", ["products", "b_out"], ["scores"]),
                  helper.make_node("LogSoftmax", ["scores"], ["log_probabilities"], axis=-1)]
        constants["direction_axis"] = np.array([1], dtype=np.int64)
        inputs = [rows, floats("h", 1, "B", units), floats("c", 1, "B", units)]
        results = [floats("log_probabilities", "T", "B", outputs), floats("next_h", 1, "B", units),
                   floats("next_c", 1, "B", units)]
    graph = helper.make_graph(nodes, "compressed_model", inputs, results,
                              [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()])
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION,
                               producer_name="bayes_rnn")
    helper.set_model_props(result, {key: json.dumps(value) for key, value in model.metadata.items()})
    onnx.checker.check_model(result, full_check=True)
    return result


def _lstm_weights(model):
    """Return the weights of the ONNX operator LSTM, and the table of its inputs: dict of str to float32 array."""
    arrays, units = model.arrays, model.num_units
    computed = np.flatnonzero(arrays["gate_is_computed"])

    def dense(values):
        """Return the columns of all gates in the order of ONNX."""
        result = np.zeros(values.shape[:-1] + (4 * units,), dtype=np.float32)
        result[..., computed] = values
        return result.reshape(values.shape[:-1] + (4, units))[..., _ORDER, :].reshape(result.shape)

    W_in, inputs = dense(arrays["W_in"]), arrays.get("embedding")
    if inputs is None or not inputs.shape[1]:       # the rows are the sums of all gates themselves
        rows = len(W_in) if inputs is None else len(inputs)
        inputs, W_in = W_in if inputs is None else np.zeros((rows, 4 * units), dtype=np.float32), np.eye(4 * units)
    table = np.concatenate([inputs, np.zeros((1, inputs.shape[1]))])            # the last row is that of pruned words
    constant = _inverse(arrays["gate_constants"].astype(np.float64), model)
    bias = np.where(arrays["gate_is_computed"].reshape(4, units)[_ORDER], dense(arrays["b"]).reshape(4, units),
                    constant.reshape(4, units)[_ORDER]).ravel()
    weights = {"table": table, "W": W_in.T[None], "R": dense(arrays["W_hid"]).T[None],
               "B": np.concatenate([bias, np.zeros_like(bias)])[None]}
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in weights.items()}


def _inverse(values, model):
    """Return what the nonlinearities map to given values of gates, ``(4H,)``. It is finite for saturated gates."""
    inside = np.clip(values, 1e-12, 1 - 1e-12)
    sigmoid = np.log(inside) - np.log1p(-inside)
    if model.metadata["gate_nonlinearity"] == "hard_sigmoid":
        sigmoid = (values - 0.5) / 0.2
    is_cell = np.repeat(np.arange(4) == 2, model.num_units)
    return np.where(is_cell, np.arctanh(np.clip(values, -1 + 1e-12, 1 - 1e-12)), sigmoid)
