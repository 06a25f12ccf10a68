"""Graph rewrites that keep computation on the GPU.

This module is imported if Theano's device is a GPU. From then on, the rewrites apply to every function that Theano
1.0.5 compiles:

* The recurrence of an LSTM in float32 gets operations of its own (:mod:`theano_rnn.ops.lstm.gpu`). Recurrences in
  float64 stay on the CPU.
* ``T.arange`` and the gradient of a softmax get operations on the GPU. Theano computes them on the host, with transfers
  in both directions.
* Normal samples, and the divergences, norms and Adam of all parameters, get operations of their own
  (:mod:`theano_rnn.ops.normal_noise.gpu`, :mod:`theano_rnn.ops.variational_adam.gpu`).
* Single numbers are joined to a vector by one kernel instead of one per number.
* Increments of elements of a vector become increments of rows of a matrix. Theano launches one kernel per element, tens
  of thousands in a training step of a text classifier, but a single kernel for rows.
* Increments of rows of a float32 matrix are added in a fixed order (:mod:`theano_rnn.ops.gather.gpu`), so that training
  on a GPU is deterministic. Theano adds them with atomics, whose order differs from run to run.
* The sum of all elements of an array becomes a sum of row sums. Theano computes a complete sum on one multiprocessor (6
  ms for the weights of an embedding on an H100), and row sums on all multiprocessors.
"""

import theano
import theano.tensor as T
from theano import gof
from theano.compile.ops import Shape_i
from theano.gpuarray import GpuArrayType
from theano.gpuarray.basic_ops import GpuFromHost, GpuJoin, HostFromGpu, Kernel, gpu_contiguous
from theano.gpuarray.opt import op_lifter, register_opt, register_opt2
from theano.gpuarray.subtensor import GpuAdvancedIncSubtensor1, GpuAdvancedIncSubtensor1_dev20
from theano.gpuarray.type import get_context
from theano.tensor.nnet.nnet import SoftmaxGrad
from theano.tensor.opt import register_specialize
from theano.tensor.subtensor import AdvancedIncSubtensor1

from .compiled_op import register_inplace, with_properties
from .gather.gpu import INDEX_TYPES, GpuAddRows
from .gpu_op import POINTER, SIZE, GpuOp, complete_source
from .lstm.fused import LSTMRecurrence, LSTMRecurrenceGradient
from .lstm.gpu import GpuLSTMRecurrence, GpuLSTMRecurrenceGradient
from .normal_noise import gpu as _normal_noise  # noqa: F401  (which registers its rewrites)
from .variational_adam import gpu as _variational_adam  # noqa: F401

__all__ = ["GpuRange", "GpuStack"]


class GpuRange(GpuOp):
    """``T.arange(length)`` as int64 on a GPU.

    Parameters
    ----------
    context_name : str or None
        Theano's name of the GPU.
    """

    __props__ = ("context_name",)
    sources = ("cpp/gpu.hpp",)

    def __init__(self, context_name=None):
        self.context_name = context_name

    def get_params(self, node):
        return get_context(self.context_name)

    def make_node(self, length):
        length = T.cast(T.as_tensor_variable(length), "int64")
        if length.ndim:
            raise TypeError("length has {} dimensions, but a scalar was expected".format(length.ndim))
        return gof.Apply(self, [length], [GpuArrayType("int64", (False,), context_name=self.context_name)()])

    def infer_shape(self, node, shapes):
        return [(T.maximum(node.inputs[0], 0),)]

    def gpu_kernels(self, node, name):
        code = """
KERNEL void count(ARRAY(ga_long, range), const ga_size length) {
    const ga_size number = (ga_size)GID_0 * LDIM_0 + LID_0;
    MOVE(ga_long, range);
    if (number < length) range[number] = number;
}"""
        return [Kernel(complete_source(code), [POINTER, SIZE, SIZE], "count", {})]

    def c_code(self, node, name, inputs, outputs, sub):
        return """
        {{
            const npy_int64 wanted = *(npy_int64 *)PyArray_DATA({length});
            const size_t length = wanted > 0 ? wanted : 0;
            theano_rnn::gpu_call call;
            if (theano_prep_output(&{range}, 1, &length, GA_LONG, GA_C_ORDER, {params})) {{ {fail} }}
            call.give({range});
            call.give(length);
            if (!call.run_threads(&k_count, length, "range")) {{ {fail} }}
        }}
        """.format(length=inputs[0], range=outputs[0], params=sub["params"], fail=sub["fail"])


class GpuStack(GpuOp):
    """The vector of n vectors of one element, float32, on a GPU. Theano's join launches a kernel for each of them.

    Parameters
    ----------
    count : int
        n.
    """

    __props__ = ("count",)
    sources = ("cpp/gpu.hpp",)
    #: The arguments of a CUDA kernel have 4 KB in total, of which each element takes 16 bytes.
    most_elements = 240

    def __init__(self, count):
        self.count = count

    def make_node(self, *elements):
        vector = GpuArrayType("float32", (False,), context_name=elements[0].type.context_name)
        return gof.Apply(self, list(elements), [vector()])

    def infer_shape(self, node, shapes):
        return [(T.constant(self.count, dtype="int64"),)]

    def gpu_kernels(self, node, name):
        arrays = ["x_%d" % number for number in range(self.count)]
        code = """
KERNEL void stack(%s) {
    MOVE(ga_float, vector);
%s
}""" % (", ".join("ARRAY(ga_float, %s)" % array for array in arrays + ["vector"]),
            "\n".join("    if (LID_0 == %d) vector[LID_0] = START(ga_float, %s)[0];" % pair
                      for pair in enumerate(arrays)))
        return [Kernel(complete_source(code), [POINTER, SIZE] * (self.count + 1), "stack", {})]

    def c_code(self, node, name, inputs, outputs, sub):
        return """
        {{
            const size_t count = {count};
            theano_rnn::gpu_call call;
            for (PyGpuArrayObject *array : {{{inputs}}}) call.give(array);
            if (theano_prep_output(&{output}, 1, &count, GA_FLOAT, GA_C_ORDER, {params})) {{ {fail} }}
            call.give({output});
            if (!call.run(&k_stack, 1, count, "stack")) {{ {fail} }}
        }}
        """.format(count=self.count, inputs=", ".join(inputs), output=outputs[0], params=sub["params"],
                   fail=sub["fail"])


@gof.local_optimizer([GpuJoin])
def _join_of_elements(node):
    """Join vectors of one element by one kernel."""
    if not isinstance(node.op, GpuJoin):
        return False
    elements = node.inputs[1:]
    if not 1 < len(elements) <= GpuStack.most_elements or any(
            element.dtype != "float32" or element.broadcastable != (True,) for element in elements):
        return False
    return [GpuStack(len(elements))(*elements)]


@register_opt("fast_compile")
@op_lifter([T.ARange])
def _range_on_gpu(op, context_name, inputs, outputs):
    """Compute a range on the GPU."""
    start, stop, step = inputs
    if op.dtype != "int64" or T.extract_constant(start) != 0 or T.extract_constant(step) != 1:
        return False
    return GpuRange(context_name)(stop)


@register_opt("fast_compile")
@gof.local_optimizer([Shape_i])
def _length_on_gpu(node):
    """Compute the length of an array on the GPU. Otherwise, a scan transfers the array to the host for its length."""
    array = node.inputs[0]
    while array.owner and isinstance(array.owner.op, (GpuFromHost, HostFromGpu)):
        array = array.owner.inputs[0]
    return [node.op(array)] if array is not node.inputs[0] else False


@register_specialize
@gof.local_optimizer([AdvancedIncSubtensor1])
def _increment_rows_of_one(node):
    """Increment the elements of a vector as rows of a matrix."""
    vector, increments, index = node.inputs
    # If elements are set and an index occurs twice, the last value is kept. For rows, the order is undefined.
    if node.op.set_instead_of_inc or vector.ndim != 1 or increments.ndim != 1:
        return False
    return [node.op(vector.dimshuffle(0, "x"), increments.dimshuffle(0, "x"), index).dimshuffle(0)]


@gof.local_optimizer([SoftmaxGrad])
def _softmax_gradient_elementwise(node):
    """Replace the gradient of a softmax by operations that Theano has for GPUs without cuDNN."""
    if not isinstance(node.op, SoftmaxGrad):
        return False
    gradient, softmax = node.inputs
    product = gradient * softmax
    return [product - softmax * product.sum(axis=1, keepdims=True)]


@gof.local_optimizer([T.Sum])
def _sum_rows_first(node):
    """Replace the sum of an array of two or more dimensions by a sum of row sums."""
    x = node.inputs[0]
    if not isinstance(node.op, T.Sum) or x.ndim < 2 or node.op.axis not in (None, tuple(range(x.ndim))):
        return False
    rows = T.Sum(axis=x.ndim - 1, dtype=node.op.dtype, acc_dtype=node.op.acc_dtype)(x)
    return [T.Sum(dtype=node.op.dtype, acc_dtype=node.op.acc_dtype)(rows)]


@gof.local_optimizer([GpuAdvancedIncSubtensor1, GpuAdvancedIncSubtensor1_dev20])
def _add_rows_in_order(node):
    """Replace atomic additions to the rows of a matrix."""
    if not isinstance(node.op, (GpuAdvancedIncSubtensor1, GpuAdvancedIncSubtensor1_dev20)):
        return False
    x, y, index = node.inputs
    if node.op.set_instead_of_inc or not x.ndim == y.ndim == 2 or not x.dtype == y.dtype == "float32":
        return False
    if index.dtype not in INDEX_TYPES:
        index = index.astype("int64")
    return [GpuAddRows(node.op.inplace)(x, gpu_contiguous(y), gpu_contiguous(index))]


def _register_lifter(processor_op, gpu_op):
    """Let Theano replace a CPU operation by a GPU operation when it moves operations to the GPU."""
    def lift(op, context_name, inputs, outputs):
        if outputs[0].dtype != "float32":
            return False
        return with_properties(op, gpu_op)
    lift.__name__ = "theano_rnn_" + gpu_op.__name__        # the name of the rewrite, which must be unique
    register_opt2([processor_op], "fast_compile")(lift)
    register_opt("fast_compile")(op_lifter([processor_op])(lift))


_register_lifter(LSTMRecurrence, GpuLSTMRecurrence)
_register_lifter(LSTMRecurrenceGradient, GpuLSTMRecurrenceGradient)
# Just before Theano moves operations to the GPU, at 48.5. At this position, the simplifications, which would merge the
# two sums, have ended, and Theano has replaced the cross-entropies, whose gradients have operations of their own.
for _rewrite in (_softmax_gradient_elementwise, _sum_rows_first):
    theano.compile.optdb.register("theano_rnn" + _rewrite.__name__, gof.TopoOptimizer(_rewrite), 48.4, "fast_run",
                                  "fast_compile")
# After Theano has moved operations to the GPU.
theano.compile.optdb.register("theano_rnn_add_rows_in_order", gof.TopoOptimizer(_add_rows_in_order), 48.6, "fast_run",
                              "fast_compile", "gpuarray")
register_inplace("add_rows", GpuAddRows)
# After Theano has moved operations to the GPU, and before the in-place rewrites.
theano.compile.optdb.register("theano_rnn_join_of_elements", gof.TopoOptimizer(_join_of_elements), 49.5, "fast_run",
                              "fast_compile", "gpuarray")
