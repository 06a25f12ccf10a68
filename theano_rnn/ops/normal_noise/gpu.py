"""Standard normal samples on a GPU: uniform numbers by Theano's generator, then one kernel.

On every device, `NormalNoise` adds the operation of :mod:`theano_rnn.ops.normal_noise.fused` to the graph. For a GPU, a
graph rewrite replaces it. With the reference implementation, the transformation to normal samples takes six kernels.
"""

import theano.tensor as T
from theano import gof
from theano.gpuarray.basic_ops import Kernel, as_gpuarray_variable, infer_context_name
from theano.gpuarray.opt import op_lifter, register_opt, register_opt2
from theano.gpuarray.rng_mrg import GPUA_mrg_uniform
from theano.gpuarray.type import GpuArrayType

from ..gpu_op import POINTER, SIZE, GpuOp
from .fused import MRGNormal

__all__ = ["GpuBoxMuller"]


class GpuBoxMuller(GpuOp):
    """Standard normal samples from uniform numbers, by the formula of Box and Muller.

    Inputs: ``2 * ceil(n / 2)`` uniform numbers, float32, and the length of each axis, int64 scalars on the host.
    Output: n samples, where n is the product of the lengths.

    Parameters
    ----------
    broadcastable : tuple of bool
        Broadcasting pattern of the samples, one element per axis.
    """

    __props__ = ("broadcastable",)
    sources = ("cpp/shapes.hpp", "cpp/gpu.hpp", "normal_noise/gpu.cpp")
    kernel_file = "normal_noise/gpu_kernels.c"

    def __init__(self, broadcastable):
        self.broadcastable = tuple(broadcastable)

    def make_node(self, uniform, *shape):
        context_name = infer_context_name(uniform)
        uniform = as_gpuarray_variable(uniform, context_name)
        if uniform.dtype != "float32" or uniform.ndim != 1:
            raise TypeError("the uniform numbers must be a float32 vector, got {} with {} dimensions".format(
                uniform.dtype, uniform.ndim))
        shape = [T.cast(T.as_tensor_variable(length), "int64") for length in shape]
        samples = GpuArrayType("float32", self.broadcastable, context_name=context_name)
        return gof.Apply(self, [uniform] + shape, [samples()])

    def infer_shape(self, node, shapes):
        return [tuple(node.inputs[1:])]

    def gpu_kernels(self, node, name):
        return [Kernel(self.kernel_source("normal"), [POINTER, SIZE] * 2 + [SIZE], "normal_noise", {})]

    def c_code(self, node, name, inputs, outputs, sub):
        shape = ", ".join("(long)*(npy_int64*)PyArray_DATA(%s)" % length for length in inputs[1:])
        return self.call("normal_noise_gpu::run", [
            sub["params"], "&k_normal_noise", inputs[0], "{%s}" % shape, "&" + outputs[0]], sub)


@register_opt("fast_compile")
@op_lifter([MRGNormal])
@register_opt2([MRGNormal], "fast_compile")
def theano_rnn_normal_on_gpu(op, context_name, inputs, outputs):
    """Draw the samples on the GPU."""
    if op.dtype != "float32":
        return False
    state, shape = as_gpuarray_variable(inputs[0], context_name), inputs[1:]
    count = T.prod(T.stack(shape)) if shape else T.constant(1, dtype="int64")
    new_state, uniform = GPUA_mrg_uniform.new(state, 1, "float32", T.stack([count + count % 2]))
    return [new_state, GpuBoxMuller(op.broadcastable)(uniform, *shape)]
