"""What a training step does to the parameters of a random variable, as two Theano operations in C++.

Called by :func:`bayes_rnn.training_step.training_step`. `VariationalNorms` reads the parameters and gives what must be known
before any of them changes: the Kullback-Leibler divergence and the norm of the gradient. `VariationalAdam` computes the
gradient of the divergence again and takes the step in the memory of the parameters. For a matrix of n probabilistic
weights that is 2n numbers read, then 6n read and written; the plain graph moves more than ten times as many.

The gradient of the data by an embedding is zero but for the rows of the minibatch. Where Theano would scatter those
rows into zeros, an optimisation of the graph hands them over as they are.
"""

import theano
import theano.tensor as T
from theano import gof
from theano.tensor.subtensor import AdvancedIncSubtensor1

from ..compiled_op import C_TYPES, CompiledOp
from ..unique.fused import UNIQUE_OPERATIONS

__all__ = ["VariationalNorms", "VariationalAdam", "BETA_1", "BETA_2", "EPSILON"]

#: Of Adam.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

#: The C++ class of a prior, as `bayes_rnn.variational.RandomVariable.prior` names it.
PRIORS = {None: "no_prior", "normal": "normal", "log_uniform": "log_uniform"}


class _VariationalOp(CompiledOp):
    """What the two operations share.

    Parameters
    ----------
    prior : {None, "normal", "log_uniform"}
        None: deterministic, only a value. Otherwise mean and log sigma.
    rows : bool
        Whether the gradients of the data are given for some rows only, whose numbers are the last of the gradients'
        inputs: int64, each at most once.
    """

    sources = ("cpp/vectors.hpp", "cpp/logarithm.hpp", "variational_adam/fused.cpp")

    def __init__(self, prior, rows=False):
        if prior not in PRIORS:
            raise ValueError("prior must be one of {}, not {!r}".format(
                ", ".join(sorted(map(repr, PRIORS))), prior))
        self.prior, self.rows = prior, bool(rows)

    @property
    def parameters(self):
        """How many parameters an element has."""
        return 1 if self.prior is None else 2

    @property
    def first_gradient(self):
        """Where the gradients stand among the inputs; the numbers of rows come after them."""
        raise AssertionError("to be defined by the operation")

    def _inputs(self, inputs, arrays, scalars, flags=0):
        """The inputs as variables: `arrays` like the first, the gradients, numbers of rows, `scalars`, int8 `flags`."""
        inputs = [T.as_tensor_variable(variable) for variable in inputs]
        expected = arrays + self.parameters + self.rows + scalars + flags
        if len(inputs) != expected:
            raise ValueError("{} inputs, but {} were expected".format(len(inputs), expected))
        dtype, ndim = inputs[0].dtype, inputs[0].ndim
        if dtype not in ("float32", "float64"):
            raise TypeError("the parameter is {}, but float32 or float64 was expected".format(dtype))
        for variable in inputs[:arrays + self.parameters]:
            if variable.dtype != dtype or variable.ndim != ndim:
                raise TypeError("{} of {} dimensions beside a parameter that is {} of {}".format(
                    variable.dtype, variable.ndim, dtype, ndim))
        for variable, wanted in zip(inputs[-scalars - flags:], scalars * [dtype] + flags * ["int8"]):
            if variable.ndim != 0 or variable.dtype != wanted:
                raise TypeError("{} of {} dimensions, but a scalar of {} was expected".format(
                    variable.dtype, variable.ndim, wanted))
        if self.rows and (inputs[arrays + self.parameters].dtype != "int64"
                          or inputs[arrays + self.parameters].ndim != 1 or ndim == 0):
            raise TypeError("the numbers of rows must be a vector of int64")
        return inputs

    def _arguments(self, inputs):
        """C++ for ``variational::arguments`` and its template arguments."""
        count, first = self.parameters, self.first_gradient
        rows = inputs[first + count] if self.rows else "NULL"
        return "variational::arguments<variational::{prior}>{{{{{values}}}, {{{gradients}}}, {rows}, {weight}}}".format(
            prior=PRIORS[self.prior], values=", ".join(inputs[:count]),
            gradients=", ".join(inputs[first:first + count]), rows=rows, weight=inputs[first + count + self.rows])

    def _template(self, node):
        return "<{}, variational::{}>".format(C_TYPES[node.inputs[0].dtype], PRIORS[self.prior])


class VariationalNorms(_VariationalOp):
    """KL divergence of a random variable, and the squared norms of the objective's gradient by its parameters.

    The objective is ``data loss + kl_weight * KL``. Inputs: mean and, with a prior, log sigma; the gradients of the
    data loss by them; numbers of rows, if `rows`; kl_weight, a scalar. Outputs: KL (0 without a prior) and a vector of
    one squared norm per parameter.

    Parameters
    ----------
    prior, rows
        As for `VariationalAdam`.
    """

    __props__ = ("prior", "rows")

    @property
    def first_gradient(self):
        return self.parameters

    def make_node(self, *inputs):
        inputs = self._inputs(inputs, arrays=self.parameters, scalars=1)
        dtype = inputs[0].dtype
        return gof.Apply(self, inputs, [T.TensorType(dtype, ())(), T.TensorType(dtype, (False,))()])

    def infer_shape(self, node, shapes):
        return [(), (T.constant(self.parameters, dtype="int64"),)]

    def c_code(self, node, name, inputs, outputs, sub):
        return """
        if (!variational::run_norms{template}({arguments}, &{kl}, &{squares})) {{
            {fail}
        }}
        """.format(template=self._template(node), arguments=self._arguments(inputs), kl=outputs[0],
                   squares=outputs[1], fail=sub["fail"])


class VariationalAdam(_VariationalOp):
    """A step of Adam on the parameters of a random variable.

    Inputs: mean and, with a prior, log sigma; for each the moments, first all means, then all squares; the gradients of
    the data loss; numbers of rows, if `rows`; and the scalars kl_weight (as for `VariationalNorms`), factor (of the
    whole gradient), step_size, and finite (int8; 0: nothing changes). Outputs: the new parameters, means and squares.

    Parameters
    ----------
    prior : {None, "normal", "log_uniform"}
    rows : bool
        Whether the gradients are given for some rows only.
    inplace : bool
        Let the outputs take the place of the inputs.
    """

    __props__ = ("prior", "rows", "inplace")

    def __init__(self, prior, rows=False, inplace=False):
        super(VariationalAdam, self).__init__(prior, rows)
        self.inplace = inplace
        if inplace:
            self.destroy_map = {index: [index] for index in range(3 * self.parameters)}

    @property
    def first_gradient(self):
        return 3 * self.parameters

    def make_node(self, *inputs):
        inputs = self._inputs(inputs, arrays=3 * self.parameters, scalars=3, flags=1)
        return gof.Apply(self, inputs, [variable.type() for variable in inputs[:3 * self.parameters]])

    def infer_shape(self, node, shapes):
        return shapes[:3 * self.parameters]

    def c_code_cache_version(self):
        return super(VariationalAdam, self).c_code_cache_version() + (BETA_1, BETA_2, EPSILON)

    def c_code(self, node, name, inputs, outputs, sub):
        count = self.parameters
        factor, step_size, finite = inputs[-3:]
        return """
        if (!variational::run_update{template}({arguments}, {{{moments}}}, {factor}, {step_size}, {finite}, {betas},
                                               {inplace}, {{{outputs}}})) {{
            {fail}
        }}
        """.format(template=self._template(node), arguments=self._arguments(inputs),
                   moments=", ".join(inputs[count:3 * count]), factor=factor, step_size=step_size, finite=finite,
                   betas=", ".join(repr(number) for number in (BETA_1, BETA_2, EPSILON)), inplace=int(self.inplace),
                   outputs=", ".join("&" + output for output in outputs), fail=sub["fail"])


def _scattered_rows(gradient):
    """(rows, their numbers) if a variable is distinct rows scattered into zeros, else None."""
    node = gradient.owner
    if node is None or not isinstance(node.op, AdvancedIncSubtensor1) or node.op.set_instead_of_inc:
        return None
    target, rows, numbers = node.inputs
    try:
        zero = T.get_scalar_constant_value(target) == 0
    except T.NotScalarConstantError:
        zero = False
    origin = numbers.owner
    distinct = origin is not None and isinstance(origin.op, UNIQUE_OPERATIONS) and origin.outputs[0] is numbers
    return (rows, numbers) if zero and distinct and rows.type == target.type else None


@gof.local_optimizer([VariationalNorms, VariationalAdam])
def _take_rows(node):
    """Hand over the touched rows instead of a large array that is zero everywhere else."""
    if not isinstance(node.op, _VariationalOp) or node.op.rows:
        return False
    first, count = node.op.first_gradient, node.op.parameters
    found = [_scattered_rows(gradient) for gradient in node.inputs[first:first + count]]
    if any(part is None or part[1] is not found[0][1] for part in found):
        return False
    gradients = [rows for rows, _ in found] + [T.cast(found[0][1], "int64")]
    inputs = node.inputs[:first] + gradients + node.inputs[first + count:]
    return _with(node.op, rows=True)(*inputs, **dict(return_list=True))


@gof.local_optimizer([VariationalAdam], inplace=True)
def _work_inplace(node):
    """Let the outputs take the place of the inputs; Theano undoes it where those are still needed."""
    if isinstance(node.op, VariationalAdam) and not node.op.inplace:
        return _with(node.op, inplace=True)(*node.inputs, **dict(return_list=True))
    return False


def _with(op, **changes):
    """A copy of `op` with other properties."""
    return type(op)(**dict(((name, getattr(op, name)) for name in op.__props__), **changes))


# After everything that may merge or remove nodes, before and with Theano's own in-place rewriting (50 to 75).
theano.compile.optdb.register(
    "bayes_rnn_variational_rows", gof.TopoOptimizer(_take_rows, order="in_to_out"), 48.5, "fast_run")
theano.compile.optdb.register(
    "bayes_rnn_variational_inplace",
    gof.TopoOptimizer(_work_inplace, failure_callback=gof.TopoOptimizer.warn_inplace), 70.5, "fast_run", "inplace")
