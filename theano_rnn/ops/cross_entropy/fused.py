"""The cross-entropy of a softmax as one Theano operation in C++, and its gradient as another.

The scores of a minibatch do not fit into the processor's caches, so each operation reads them from memory only once.
The gradient overwrites the scores if nothing else uses them.
"""

import theano
import theano.tensor as T
from theano import gof

from ..compiled_op import C_TYPES, COMMON_SOURCES, CompiledOp, listed, register_inplace

__all__ = ["SoftmaxCrossEntropy", "SoftmaxCrossEntropyGradient", "fused_cross_entropy"]


def fused_cross_entropy(scores, targets, bias):
    """Return `softmax_cross_entropy` as one operation; `bias` may be None."""
    inputs = [scores, T.cast(targets, "int64")] + ([] if bias is None else [bias])
    return SoftmaxCrossEntropy(bias is not None)(*inputs)[:2]


class _CrossEntropyOp(CompiledOp):
    """Base class of the two operations.

    Parameters
    ----------
    bias : bool
        Whether there is a bias; it is the last input.
    """

    sources = COMMON_SOURCES + ("cross_entropy/fused.cpp",)
    __props__ = ("bias",)

    def __init__(self, bias):
        self.bias = bias

    def _check(self, inputs):
        """Return the inputs as variables, after checks of dimensions and types."""
        return self.check_inputs("softmax_cross_entropy", self.input_names, inputs,
                                 dict(scores=2, targets=1, bias=1, normaliser=2, g=1), integers=("targets",))

    def _call(self, function, node, inputs, arguments, sub):
        """Return C code that calls an entry point with the struct ``arguments`` and with `arguments`."""
        given = listed(dict(zip(self.input_names, inputs)), ("scores", "bias", "targets"))
        return self.call("cross_entropy::{}<{}>".format(function, C_TYPES[node.inputs[0].dtype]),
                         ["cross_entropy::arguments{{{}}}".format(given)] + arguments, sub)


class SoftmaxCrossEntropy(_CrossEntropyOp):
    """Cross-entropy of each row, ``-log softmax(scores + bias)[target]``, and its most probable column.

    Inputs: scores ``(N, V)``, targets ``(N,)`` int64, and bias ``(V,)`` if there is one. Outputs: nll ``(N,)``,
    most_probable ``(N,)`` int64 and, for the gradient, normaliser ``(N, 2)``: the row's largest score and the sum of
    the exponentials of the differences to it.
    """

    @property
    def input_names(self):
        return ("scores", "targets") + (("bias",) if self.bias else ())

    def make_node(self, *inputs):
        inputs = self._check(inputs)
        dtype = inputs[0].dtype
        return gof.Apply(self, inputs, [T.TensorType(dtype, (False,))(), T.TensorType("int64", (False,))(),
                                        T.TensorType(dtype, (False, False))()])

    def infer_shape(self, node, shapes):
        rows = shapes[0][0]
        return [(rows,), (rows,), (rows, T.constant(2, dtype="int64"))]

    def connection_pattern(self, node):
        # most_probable is a column index, and only the gradient uses the normaliser.
        return [[name != "targets", False, False] for name in self.input_names]

    def L_op(self, inputs, outputs, output_gradients):
        g = output_gradients[0]
        gradients = {}
        if not isinstance(g.type, theano.gradient.DisconnectedType):
            op = SoftmaxCrossEntropyGradient(self.bias)
            results = op(*(inputs[:2] + [outputs[2], g] + inputs[2:]), **dict(return_list=True))
            gradients = dict(zip(("scores", "bias"), results))
        return [gradients[name] if name in gradients else theano.gradient.DisconnectedType()()
                for name in self.input_names]

    def grad(self, inputs, output_gradients):       # Theano 0.9 has no L_op
        return self.L_op(inputs, self(*inputs, **dict(return_list=True)), output_gradients)

    def c_code(self, node, name, inputs, outputs, sub):
        return self._call("run_forward", node, inputs, ["&" + output for output in outputs], sub)


class SoftmaxCrossEntropyGradient(_CrossEntropyOp):
    """The gradient of `SoftmaxCrossEntropy` with respect to scores and bias: ``g (softmax - one_hot)``, and its sum.

    Inputs: scores, targets, normaliser, g ``(N,)`` (the gradient of nll), and bias if there is one. Outputs: the
    gradients of scores and of bias.

    Parameters
    ----------
    bias
        As for `SoftmaxCrossEntropy`.
    inplace : bool
        Write the gradient of the scores into their memory.
    """

    __props__ = ("bias", "inplace")

    def __init__(self, bias, inplace=False):
        super(SoftmaxCrossEntropyGradient, self).__init__(bias)
        self.inplace = inplace
        if inplace:
            self.destroy_map = {0: [0]}

    @property
    def input_names(self):
        return ("scores", "targets", "normaliser", "g") + (("bias",) if self.bias else ())

    def make_node(self, *inputs):
        inputs = self._check(inputs)
        differentiated = [inputs[0]] + inputs[4:]
        return gof.Apply(self, inputs, [T.TensorType(x.dtype, x.broadcastable)() for x in differentiated])

    def infer_shape(self, node, shapes):
        return [shapes[0]] + shapes[4:]

    def c_code(self, node, name, inputs, outputs, sub):
        arguments = [inputs[2], inputs[3], str(int(self.inplace)), "&" + outputs[0],
                     "&" + outputs[1] if self.bias else "NULL"]
        return self._call("run_gradient", node, inputs, arguments, sub)


register_inplace("cross_entropy", SoftmaxCrossEntropyGradient)
