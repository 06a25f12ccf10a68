"""Additions to rows of a matrix on a GPU in a fixed order: the gradient of a look-up of rows.

Theano's operation for GPUs adds with atomics. If a row occurs several times in the index, the order of its additions,
and thus the rounding, differs from run to run. The operation of this module sorts the index on the GPU, in one or two
launches for up to 65,535 rows, and adds each row in a fixed order, in two more. The rewrite in
:mod:`theano_rnn.ops.gpu_rewrites` replaces Theano's operation in every graph, so a training step has the same bits
whenever it is repeated on the same GPU.
"""

from pygpu import gpuarray
from theano import gof
from theano.gpuarray.basic_ops import (
    GpuKernelBase,
    Kernel,
    as_gpuarray_variable,
    gpuarray_helper_inc_dir,
    infer_context_name,
)
from theano.gpuarray.type import gpu_context_type

from ..compiled_op import kernel_source, read_source

__all__ = ["GpuAddRows"]

KERNELS, LAUNCHES = "gather/gpu_kernels.c", "gather/gpu.cpp"
POINTER, SIZE = gpuarray.GpuArray, gpuarray.SIZE

#: The parameters of each kernel; an array has an offset. As in gpu_kernels.c.
PARAMETERS = {
    "sort": [POINTER, SIZE, POINTER] + ["uint32"] * 7,
    "add": [POINTER, SIZE] * 2 + [POINTER, "uint32", POINTER] + ["uint32"] * 6 + [POINTER],
    "join": [POINTER, SIZE] + [POINTER, "uint32", POINTER] + ["uint32"] * 3,
}
NAMES = {"sort": "sort_rows", "add": "add_pieces", "join": "join_pieces"}
INDEX_TYPES = {"int32": "ga_int", "int64": "ga_long"}


class GpuAddRows(GpuKernelBase, gof.Op):
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
    params_type = gpu_context_type
    can_work_inplace = True

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
        index = INDEX_TYPES[node.inputs[2].dtype]
        return [Kernel(kernel_source(KERNELS, section).replace("$(index)", index), PARAMETERS[section], NAMES[section],
                       Kernel.get_flags("float32", node.inputs[2].dtype))
                for section in ("sort", "add", "join")]

    def c_headers(self):
        return super(GpuAddRows, self).c_headers() + [
            "<algorithm>", "<numpy_compat.h>", "<gpuarray/kernel.h>", "<gpuarray_helper.h>"]

    def c_header_dirs(self):
        return super(GpuAddRows, self).c_header_dirs() + [gpuarray_helper_inc_dir()]

    def c_support_code_struct(self, node, name):
        return super(GpuAddRows, self).c_support_code_struct(node, name) + read_source(LAUNCHES)

    def c_code(self, node, name, inputs, outputs, sub):
        return """
        if (!add_rows({params}, {inplace}, {x}, {y}, {index}, &{out})) {{
            {fail}
        }}
        """.format(params=sub["params"], inplace=int(self.inplace), x=inputs[0], y=inputs[1], index=inputs[2],
                   out=outputs[0], fail=sub["fail"])

    def c_code_cache_version(self):
        return (1, read_source(KERNELS), read_source(LAUNCHES))
