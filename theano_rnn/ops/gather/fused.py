"""Look-up of scaled rows as one Theano operation in C++, and its gradient as another."""

import theano
import theano.tensor as T
from theano import gof

from ..compiled_op import C_TYPES, COMMON_SOURCES, CompiledOp, listed

__all__ = ["Gather", "GatherGradient", "fused_gather"]


def fused_gather(rows, index, scale):
    """Return `gather` as one operation; `scale` may be None."""
    inputs = [rows, T.cast(index, "int64")] + ([] if scale is None else [scale])
    return Gather(scale is not None)(*inputs)


class _GatherOp(CompiledOp):
    """Base class of the two operations.

    Parameters
    ----------
    scaled : bool
        Whether there is a scale; it is the third input.
    """

    sources = COMMON_SOURCES + ("gather/fused.cpp",)
    __props__ = ("scaled",)

    def __init__(self, scaled):
        self.scaled = scaled

    @property
    def input_names(self):
        return ("rows", "index") + (("scale",) if self.scaled else ())

    def _check(self, names, inputs):
        """Return the inputs as variables, after checks of dimensions and types."""
        return self.check_inputs("gather", names, inputs, dict(rows=2, index=2, scale=2, g=3), integers=("index",))

    def _call(self, function, node, inputs, arguments, sub):
        """Return C code that calls an entry point with the struct ``arguments`` and with `arguments`."""
        given = listed(dict(zip(self.input_names, inputs)), ("rows", "index", "scale"))
        return self.call("gather::{}<{}>".format(function, C_TYPES[node.inputs[0].dtype]),
                         ["gather::arguments{{{}}}".format(given)] + arguments, sub)


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
