"""Looking up scaled rows as one Theano operation in C++, and its gradient as another.

Called by :func:`bayes_rnn.gather.gather`, whose docstring has the formula; the arithmetic is in ``gather_op.cpp``.
"""

import theano
import theano.tensor as T
from theano import gof

from .compiled_op import CompiledOp

__all__ = ["Gather", "GatherGradient", "fused_gather"]


def fused_gather(rows, index, scale):
    """`gather` as one operation; `scale` may be None."""
    inputs = [rows, T.cast(index, "int64")] + ([] if scale is None else [scale])
    return Gather(scale is not None)(*inputs)


class _GatherOp(CompiledOp):
    """What the two operations share.

    Parameters
    ----------
    scaled : bool
        Whether there is a scale; it is the third input.
    """

    sources = ("vectors.hpp", "gather_op.cpp")
    __props__ = ("scaled",)

    def __init__(self, scaled):
        self.scaled = scaled

    @property
    def input_names(self):
        return ("rows", "index") + (("scale",) if self.scaled else ())

    def _check(self, names, inputs):
        """The inputs as variables of the right number of dimensions and type."""
        inputs = [T.as_tensor_variable(variable) for variable in inputs]
        if len(inputs) != len(names):
            raise ValueError("expected the inputs {}, got {} of them".format(", ".join(names), len(inputs)))
        for name, variable in zip(names, inputs):
            expected = 3 if name == "g" else 2
            if variable.ndim != expected:
                raise TypeError("gather: {} has {} dimensions, but {} were expected".format(
                    name, variable.ndim, expected))
            if name == "index" and variable.dtype != "int64":
                raise TypeError("gather: index is {}, but int64 was expected".format(variable.dtype))
            if name != "index" and (variable.dtype != inputs[0].dtype
                                    or variable.dtype not in ("float32", "float64")):
                raise TypeError("gather: {} is {}, but all arguments must be float32 or all float64".format(
                    name, variable.dtype))
        return inputs

    def _call(self, function, node, inputs, arguments, sub):
        """C code that calls an entry point with the struct ``gather::arguments`` and with `arguments`."""
        names = dict(zip(self.input_names, inputs))
        return """
        if (!gather::{function}<{type}>(gather::arguments{{{rows}, {index}, {scale}}}, {arguments})) {{
            {fail}
        }}
        """.format(function=function, type="float" if node.inputs[0].dtype == "float32" else "double",
                   rows=names["rows"], index=names["index"], scale=names.get("scale", "NULL"),
                   arguments=", ".join(arguments), fail=sub["fail"])


class Gather(_GatherOp):
    """``rows[index] * scale``.

    Inputs: rows ``(U, n)``, index ``(A, B)`` int64, and scale ``(A, B)`` if there is one. Output: ``(A, B, n)``.
    """

    def make_node(self, *inputs):
        inputs = self._check(self.input_names, inputs)
        return gof.Apply(self, inputs, [T.TensorType(inputs[0].dtype, (False,) * 3)()])

    def infer_shape(self, node, shapes):
        return [tuple(shapes[1]) + (shapes[0][1],)]

    def connection_pattern(self, node):
        return [[name != "index"] for name in self.input_names]

    def grad(self, inputs, output_gradients):
        results = GatherGradient(self.scaled)(*(inputs + output_gradients), **dict(return_list=True))
        gradients = dict(zip(("rows", "scale"), results))
        return [gradients.get(name, theano.gradient.DisconnectedType()()) for name in self.input_names]

    def c_code(self, node, name, inputs, outputs, sub):
        return self._call("run_forward", node, inputs, ["&" + outputs[0]], sub)


class GatherGradient(_GatherOp):
    """The gradients of `Gather` with respect to rows and scale.

    Inputs: those of `Gather` and g ``(A, B, n)``, the gradient of its output. Outputs: the gradient of rows, and that
    of scale if there is one.
    """

    def make_node(self, *inputs):
        inputs = self._check(self.input_names + ("g",), inputs)
        differentiated = [inputs[0]] + inputs[2:-1]
        return gof.Apply(self, inputs, [T.TensorType(x.dtype, x.broadcastable)() for x in differentiated])

    def infer_shape(self, node, shapes):
        return [shapes[0]] + shapes[2:-1]

    def c_code(self, node, name, inputs, outputs, sub):
        arguments = [inputs[-1], "&" + outputs[0], "&" + outputs[1] if self.scaled else "NULL"]
        return self._call("run_gradient", node, inputs, arguments, sub)
