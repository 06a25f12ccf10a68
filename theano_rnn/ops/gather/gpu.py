"""Additions to rows of a matrix on a GPU in a fixed order: the gradient of a look-up of rows.

Theano's operation for GPUs adds with atomics. If a row occurs several times in the index, the order of its additions,
and thus the rounding, differs from run to run. The operation of this module sorts the index on the GPU, in one or two
launches for up to 65,535 rows, and adds each row in a fixed order, in two more. The rewrite in
:mod:`theano_rnn.ops.gpu_rewrites` replaces Theano's operation in every graph, so a training step has the same bits
whenever it is repeated on the same GPU.
"""

from theano import gof
from theano.gpuarray.basic_ops import Kernel, as_gpuarray_variable, infer_context_name

from ..gpu_op import POINTER, SIZE, UINT, GpuOp

__all__ = ["GpuAddRows", "INDEX_TYPES"]

#: The parameters of each kernel; an array has an offset, unless this module allocates it. As in gpu_kernels.c.
PARAMETERS = {
    "sort": [POINTER, SIZE, POINTER] + [UINT] * 7,
    "add": [POINTER, SIZE] * 2 + [POINTER, UINT, POINTER] + [UINT] * 6 + [POINTER],
    "join": [POINTER, SIZE] + [POINTER, UINT, POINTER] + [UINT] * 3,
}
INDEX_TYPES = {"int32": "ga_int", "int64": "ga_long"}


class GpuAddRows(GpuOp):
    """``x`` with ``y[i]`` added to row ``index[i]``, for each i, in float32; the same bits in every run.

    Inputs: x ``(U, n)``, y ``(N, n)`` or with length 1 along an axis, index ``(N,)`` int32 or int64, in [-U, U).
    Output: ``(U, n)``. y and index are in C order. The lengths are below 2^32 - 256.

    Parameters
    ----------
    inplace : bool
        Whether the output is written into the memory of x.

    Raises
    ------
    IndexError
        When the compiled function is called, for an index outside [-U, U).
    """

    __props__ = ("inplace",)
    sources = ("cpp/shapes.hpp", "cpp/gpu.hpp", "gather/gpu.cpp")
    kernel_file = "gather/gpu_kernels.c"

    def __init__(self, inplace=False):
        self.inplace = inplace
        if inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, x, y, index):
        context_name = infer_context_name(x, y, index)
        x, y, index = [as_gpuarray_variable(variable, context_name) for variable in (x, y, index)]
        if not x.ndim == y.ndim == 2 or index.ndim != 1:
            raise TypeError("x, y and index have {}, {} and {} dimensions, but 2, 2 and 1 were expected".format(
                x.ndim, y.ndim, index.ndim))
        if not x.dtype == y.dtype == "float32" or index.dtype not in INDEX_TYPES:
            raise TypeError("x, y and index are {}, {} and {}, but float32, float32 and int32 or int64 were expected"
                            .format(x.dtype, y.dtype, index.dtype))
        return gof.Apply(self, [x, y, index], [x.type()])

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def gpu_kernels(self, node, name):
        # Theano also asks for the kernels of an operation without a node, to find its version.
        types = [INDEX_TYPES[node.inputs[2].dtype]] if node else sorted(INDEX_TYPES.values())
        return [Kernel(self.kernel_source(section, index=index), PARAMETERS[section], "add_rows_" + section,
                       {})
                for index in types for section in ("sort", "add", "join")]

    def c_code(self, node, name, inputs, outputs, sub):
        kernels = "gather_gpu::kernels{&k_add_rows_sort, &k_add_rows_add, &k_add_rows_join}"
        return self.call("gather_gpu::run", [sub["params"], kernels, str(int(self.inplace))] + list(inputs) + [
            "&" + outputs[0]], sub)
