"""The recurrence of an LSTM as one operation of Theano's GPU back-end, and its exact gradient as another.

On every device, `theano_rnn.ops.lstm.lstm_recurrence` adds the operations of :mod:`theano_rnn.ops.lstm.fused` to the
graph, and Theano differentiates them. For a GPU, :mod:`theano_rnn.ops.gpu_rewrites` then replaces them by the
operations of this module.

If each component has at most 128 units, one kernel computes all time steps. Otherwise, a time step takes one cuBLAS
product for all components of equal size and one kernel for all gates of all components, whereas the loop of
`theano.scan` launches tens of kernels per time step. There can be any number of components: a launch of a kernel serves
up to `COMPONENTS_OF_LAUNCH` of them.
"""

import numpy as np
from theano.gpuarray.basic_ops import Kernel, as_gpuarray_variable, gpu_contiguous, infer_context_name
from theano.gpuarray.type import GpuArrayType

from ..gpu_op import POINTER, SIZE, UINT, GpuOp
from .fused import LSTMRecurrence, LSTMRecurrenceGradient

__all__ = ["GpuLSTMRecurrence", "GpuLSTMRecurrenceGradient", "COMPONENTS_OF_LAUNCH"]

#: The arguments of a CUDA kernel have 4 KB in total, of which each component takes 24 bytes.
COMPONENTS_OF_LAUNCH = 128

INT = np.dtype("int32")

#: Number of arrays among the arguments of a kernel, without those of the components.
ARRAYS = dict(forward=9, gradient=14)


class _GpuRecurrenceOp(GpuOp):
    """Base class of the two operations. It must precede the CPU operation in the list of base classes."""

    sources = ("cpp/shapes.hpp", "cpp/gpu.hpp", "lstm/gpu.cpp")
    kernel_file = "lstm/gpu_kernels.c"
    namespace = "lstm_gpu"

    def _entry_point(self, name, node):
        return "{}::{}".format(self.namespace, name)

    def _leading_arguments(self, sub):
        kernels = "{}::kernels{{{}, {}}}".format(
            self.namespace, self.slots, ", ".join("&" + k.objvar for k in self.gpu_kernels(None, None)))
        return [sub["params"], kernels, str(int(self.gate_nonlinearity == "hard_sigmoid"))]

    def _check(self, inputs):
        inputs = super(_GpuRecurrenceOp, self)._check(inputs)
        context_name = infer_context_name(*inputs)
        return [_contiguous(as_gpuarray_variable(variable, context_name)) for variable in inputs]

    def _type(self, like, broadcastable):
        return GpuArrayType(like.dtype, broadcastable, context_name=like.type.context_name)

    def c_headers(self):
        return super(_GpuRecurrenceOp, self).c_headers() + ["<gpuarray/buffer_blas.h>", "<iterator>", "<map>"]

    def c_code_cache_version(self):
        return super(_GpuRecurrenceOp, self).c_code_cache_version() + (self.slots,)

    @property
    def slots(self):
        """int : Number of components for which a kernel has arguments; about equal for all launches."""
        launches = -(-self.components // COMPONENTS_OF_LAUNCH)
        return -(-self.components // launches)

    def gpu_kernels(self, node, name):
        """Return the kernels in the order of the struct ``kernels`` in gpu.cpp."""
        of_components = [POINTER, SIZE, UINT] * self.slots
        gates = of_components + [POINTER, SIZE] * ARRAYS[self.section] + [INT] * 2 + [UINT] * 6
        kernels = [Kernel(self._for_components(*sections), types, "lstm_" + sections[-1], {})
                   for sections, types in (((self.section,), gates), (("whole", "whole_" + self.section), gates),
                                           (("pack",), of_components + [POINTER, SIZE] + [UINT] * 3))]
        if self.section == "gradient":
            kernels.append(Kernel(self.kernel_source("sum"), [POINTER, SIZE] * 2 + [UINT] * 2, "lstm_sum_rows", {}))
        return kernels

    def _for_components(self, *sections):
        """Return the source of a kernel with the arguments of the components and the code that selects one."""
        def choose(condition):
            return "".join(
                ("if (" + condition + ") {{ MOVE_FLOATS(part_{0}) part = part_{0}; begin = begin_{0}; "
                 "units = {1} - begin_{0}; }} ").format(c, "begin_%d" % (c + 1) if c + 1 < self.slots else "end")
                for c in range(self.slots))
        arguments = "".join("FLOATS(part_{0}) const ga_uint begin_{0}, ".format(c) for c in range(self.slots))
        return self.kernel_source(
            *sections, components=arguments, number_of_components=self.slots,
            choose_component_of_unit=choose("unit >= begin_{0}"), choose_component_of_block=choose("component == {0}"))


class GpuLSTMRecurrence(_GpuRecurrenceOp, LSTMRecurrence):
    """`LSTMRecurrence` on the GPU: the same inputs, outputs and properties."""

    section = "forward"


class GpuLSTMRecurrenceGradient(_GpuRecurrenceOp, LSTMRecurrenceGradient):
    """`LSTMRecurrenceGradient` on the GPU: the same inputs, outputs and properties."""

    section = "gradient"


def _contiguous(variable):
    # If another rewrite recreates the node, its inputs are already contiguous.
    return variable if variable.owner and variable.owner.op == gpu_contiguous else gpu_contiguous(variable)
