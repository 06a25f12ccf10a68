"""Standard normal samples [2]_ from the state of Theano's MRG generator [1]_, as one operation in C++.

Theano needs 17 ns per sample, because its generator has data-dependent branches. This operation needs less than 1 ns.

References
----------
.. [1] P. L'Ecuyer and R. Touzin (2000): Fast combined multiple recursive generators with multipliers of the form
   a = ±2^q ± 2^r. Winter Simulation Conference.
.. [2] G. E. P. Box and M. E. Muller (1958): A note on the generation of random normal deviates. Annals of Mathematical
   Statistics 29(2).
"""

import theano
import theano.tensor as T
from theano import gof

from ..compiled_op import C_TYPES, COMMON_SOURCES, CompiledOp, register_inplace

__all__ = ["MRGNormal", "fused_normal"]


def fused_normal(state, shape, type):
    """Return the new state, and standard normal samples.

    Parameters
    ----------
    state : int32 ``(streams, 6)``
    shape : sequence of symbolic integers
    type : TensorType
        Of the samples.
    """
    return MRGNormal(type.dtype, type.broadcastable)(state, *shape)


class MRGNormal(CompiledOp):
    """Standard normal samples, and the new state of the generator.

    Inputs: the state ``(streams, 6)`` int32, and the length of each axis, integer scalars. Outputs: the new state, and
    the samples. It has no gradient.

    Parameters
    ----------
    dtype : {'float32', 'float64'}
    broadcastable : tuple of bool
        Broadcasting pattern of the samples, one element per axis.
    inplace : bool
        Write the new state into the memory of the old one.
    """

    sources = COMMON_SOURCES + ("cpp/logarithm.hpp", "normal_noise/fused.cpp")
    __props__ = ("dtype", "broadcastable", "inplace")

    def __init__(self, dtype, broadcastable, inplace=False):
        self.dtype, self.broadcastable, self.inplace = dtype, tuple(broadcastable), inplace
        if inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, state, *shape):
        state = T.as_tensor_variable(state)
        if state.dtype != "int32" or state.ndim != 2:
            raise TypeError("state must be an int32 matrix, got {} with {} dimensions".format(
                state.dtype, state.ndim))
        if len(shape) != len(self.broadcastable):
            raise ValueError("expected {} axis lengths, got {}".format(len(self.broadcastable), len(shape)))
        shape = [T.cast(T.as_tensor_variable(length), "int64") for length in shape]
        return gof.Apply(self, [state] + shape, [state.type(), T.TensorType(self.dtype, self.broadcastable)()])

    def infer_shape(self, node, shapes):
        return [shapes[0], tuple(node.inputs[1:])]

    def connection_pattern(self, node):
        return [[False, False] for _ in node.inputs]

    def grad(self, inputs, output_gradients):
        return [theano.gradient.DisconnectedType()() for _ in inputs]

    def c_code(self, node, name, inputs, outputs, sub):
        shape = ", ".join("(long)*(npy_int64*)PyArray_DATA(%s)" % length for length in inputs[1:])
        return self.call("normal_noise::run<%s>" % C_TYPES[self.dtype], [
            inputs[0], "std::vector<long>{%s}" % shape, str(int(self.inplace)), "&" + outputs[0], "&" + outputs[1]],
            sub)


register_inplace("normal_noise", MRGNormal)
