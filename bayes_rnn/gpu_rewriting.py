"""What Theano has to be told before it compiles for a GPU; imported where its device is one.

* The recurrence of an LSTM has operations of its own there (:mod:`bayes_rnn.recurrence_gpu`). Only float32: other
  numbers are left to the processor.
* Theano 1.0.5 adds to elements of a vector by one kernel per element, started one after the other: tens of thousands in
  a training step of a text classifier. To rows of a matrix it adds by one kernel, so a vector becomes a matrix with one
  column.
* It sums all numbers of an array on one of the GPU's many processors: 6 ms for the weights of an embedding, on an H100.
  The sums of the rows it spreads over all of them, so these come first.
"""

import theano
import theano.tensor as T
from theano import gof
from theano.gpuarray.opt import op_lifter, register_opt, register_opt2
from theano.tensor import AdvancedIncSubtensor1

from .recurrence_gpu import GpuLSTMRecurrence, GpuLSTMRecurrenceGradient
from .recurrence_op import LSTMRecurrence, LSTMRecurrenceGradient, with_properties

__all__ = []


def _register_lifter(processor_op, gpu_op):
    """Let Theano replace one by the other wherever it moves operations to the GPU."""
    def lift(op, context_name, inputs, outputs):
        return with_properties(gpu_op, op) if outputs[0].dtype == "float32" else False
    lift.__name__ = "bayes_rnn_" + gpu_op.__name__         # the name of the rewriting, and there may be one of each
    register_opt2([processor_op], "fast_compile")(lift)
    register_opt("fast_compile")(op_lifter([processor_op])(lift))


@gof.local_optimizer([AdvancedIncSubtensor1])
def _increment_rows(node):
    """A vector as a matrix with one column, where elements are added to."""
    if not isinstance(node.op, AdvancedIncSubtensor1) or node.inputs[0].ndim != 1:
        return False
    x, y, rows = node.inputs
    return [node.op(x.dimshuffle(0, "x"), y.dimshuffle(0, "x"), rows).dimshuffle(0)]


@gof.local_optimizer([T.Sum])
def _sum_rows_first(node):
    """The sum of all numbers of a matrix, or of an array of more dimensions, as that of the sums of its rows."""
    x = node.inputs[0]
    if not isinstance(node.op, T.Sum) or x.ndim < 2 or node.op.axis not in (None, tuple(range(x.ndim))):
        return False
    rows = T.Sum(axis=x.ndim - 1, dtype=node.op.dtype, acc_dtype=node.op.acc_dtype)(x)
    return [T.Sum(dtype=node.op.dtype, acc_dtype=node.op.acc_dtype)(rows)]


_register_lifter(LSTMRecurrence, GpuLSTMRecurrence)
_register_lifter(LSTMRecurrenceGradient, GpuLSTMRecurrenceGradient)
# Just before Theano moves operations to the GPU, at 48.5, and when it simplifies no more.
for rewriting in (_increment_rows, _sum_rows_first):
    theano.compile.optdb.register("bayes_rnn" + rewriting.__name__, gof.TopoOptimizer(rewriting), 48.4, "fast_run",
                                  "fast_compile")
