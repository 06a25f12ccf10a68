"""The distinct values of an integer vector as one Theano operation in C++, which runs on the host on every device."""

import theano
import theano.tensor as T
from theano import gof

from ..compiled_op import COMMON_SOURCES, CompiledOp
from .reference import Unique

__all__ = ["UniqueWithInverse", "UNIQUE_OPERATIONS", "are_distinct", "fused_unique", "mark_distinct"]

NUMPY_C_TYPES = {"int32": "npy_int32", "int64": "npy_int64"}


def fused_unique(values):
    """Return the distinct values of a symbolic integer vector and the inverse index, int64."""
    return UniqueWithInverse()(values)


class UniqueWithInverse(CompiledOp):
    """The distinct values of an integer vector, increasing, and the position of each element among them.

    Input: values ``(n,)``, int32 or int64. Outputs: distinct ``(U,)`` of the same type and index ``(n,)``, int64, with
    ``distinct[index] == values``, as returned by ``numpy.unique(values, return_inverse=True)``.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.unique.fused import UniqueWithInverse
    >>> distinct, index = UniqueWithInverse()(T.ivector())
    """

    sources = COMMON_SOURCES + ("unique/fused.cpp",)

    # Not `__props__ = ()`: Theano 1.0.5 would compile the operation again in every process; see
    # theano_rnn.runtime.compile_cache.keep_compiled_modules.
    def __eq__(self, other):
        return type(self) is type(other)

    def __hash__(self):
        return hash(type(self))

    def make_node(self, values):
        values = T.as_tensor_variable(values)
        if values.ndim != 1 or values.dtype not in NUMPY_C_TYPES:
            raise TypeError("unique: values are {}-dimensional {}, but a vector of int32 or int64 was expected".format(
                values.ndim, values.dtype))
        return gof.Apply(self, [values], [T.TensorType(values.dtype, (False,))(), T.lvector()])

    def connection_pattern(self, node):
        return [[False, False]]

    def grad(self, inputs, output_gradients):
        return [theano.gradient.DisconnectedType()()]

    def c_code(self, node, name, inputs, outputs, sub):
        dtype = node.inputs[0].dtype
        return self.call("unique::run<%s>" % NUMPY_C_TYPES[dtype], [
            inputs[0], "NPY_" + dtype.upper(), "&" + outputs[0], "&" + outputs[1]], sub)


#: The operations whose first output is the distinct values of their input: ours and Theano's.
UNIQUE_OPERATIONS = (UniqueWithInverse, Unique)


def are_distinct(values):
    """Return whether the elements of a symbolic vector are known to be distinct and increasing."""
    node = values.owner
    return getattr(values.tag, "distinct", False) or (
        node is not None and isinstance(node.op, UNIQUE_OPERATIONS) and node.outputs[0] is values)


def mark_distinct(values):
    """Let `are_distinct` be true for a symbolic vector that another function gets from one of `UNIQUE_OPERATIONS`."""
    values.tag.distinct = True
