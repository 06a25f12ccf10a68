"""Divergence, gradient norms and Adam as two Theano operations in C++.

`VariationalNorms` reads the parameters and computes the Kullback-Leibler divergence and the norm of the gradient.
`VariationalAdam` recomputes the gradient of the divergence and updates the parameters in place. For a matrix of n
probabilistic weights, the first reads 2n numbers and the second reads and writes 6n. The reference implementation
transfers more than ten times as many.

The gradient of the data loss with respect to an embedding is zero except in the rows of the minibatch's tokens. Theano
would scatter these rows into an array of zeros. A graph rewrite passes the rows to the operations instead.
"""

from collections import OrderedDict

import theano
import theano.tensor as T
from theano import gof
from theano.tensor.subtensor import AdvancedIncSubtensor1

from ..compiled_op import C_TYPES, COMMON_SOURCES, CompiledOp, register_inplace, with_properties
from ..unique.fused import are_distinct
from .reference import BETA_1, BETA_2, EPSILON

__all__ = ["VariationalNorms", "VariationalAdam", "fused_norms", "fused_updates"]

NAMESPACE = "variational_adam::"

#: The C++ class of each prior.
PRIORS = {None: "no_prior", "normal": "normal", "log_uniform": "log_uniform"}


def fused_norms(data_loss, groups, kl_weight):
    """Return the divergences and the squared norms, by one operation per group; see `objective_norms`.

    The returned gradients are those of the data loss.
    """
    parameters = [parameter for group in groups for parameter in group.parameters]
    gradients = OrderedDict(zip(parameters, T.grad(data_loss, parameters)))
    divergences, squares = [], {}
    for prior, group in groups:
        divergence, norms = VariationalNorms(prior)(
            *(group + [gradients[parameter] for parameter in group] + [kl_weight]))
        divergences.append(divergence)
        squares.update((parameter, norms[index]) for index, parameter in enumerate(group))
    return divergences, squares, gradients


def fused_updates(groups, gradients, state, kl_weight, factor, step_size, finite, log_sigma_rate=1.):
    """Return the updates of a step of Adam, by one operation per group; see `adam_updates`."""
    scalars = [kl_weight] + [T.cast(number, str(kl_weight.dtype))
                             for number in (1 if factor is None else factor, step_size)]
    updates = OrderedDict()
    for prior, group in groups:
        old = group + [moments[parameter] for moments in (state.means, state.squares) for parameter in group]
        step = VariationalAdam(prior, log_sigma_rate=log_sigma_rate)
        new = step(*(old + [gradients[parameter] for parameter in group] + scalars + [T.cast(finite, "int8")]))
        updates.update(zip(old, new))
    return updates


class _VariationalOp(CompiledOp):
    """Base class of the two operations.

    Parameters
    ----------
    prior : {None, 'normal', 'log_uniform'}
        None for a deterministic parameter. Otherwise, the parameters are mean and log sigma.
    rows : bool
        Whether the gradients of the data loss are given for some rows only. Then the input after the gradients is the
        distinct row indices, int64. On a GPU, they must be increasing.
    """

    sources = COMMON_SOURCES + ("cpp/logarithm.hpp", "variational_adam/fused.cpp")

    def __init__(self, prior, rows=False):
        if prior not in PRIORS:
            raise ValueError("prior must be one of {}, got {!r}".format(
                ", ".join(sorted(map(repr, PRIORS))), prior))
        self.prior, self.rows = prior, bool(rows)

    @property
    def parameters(self):
        """Number of parameters: 1 without a prior, else 2."""
        return 1 if self.prior is None else 2

    @property
    def first_gradient(self):
        """Position of the gradients among the inputs; the row indices come after them."""
        raise NotImplementedError

    def _inputs(self, inputs, arrays, scalars, flags=0):
        """Return the inputs as variables: `arrays` arrays, gradients, row indices, scalars and int8 flags."""
        inputs = [T.as_tensor_variable(variable) for variable in inputs]
        expected = arrays + self.parameters + self.rows + scalars + flags
        if len(inputs) != expected:
            raise ValueError("expected {} inputs, got {}".format(expected, len(inputs)))
        dtype, ndim = inputs[0].dtype, inputs[0].ndim
        if dtype not in ("float32", "float64"):
            raise TypeError("the parameter must be float32 or float64, got {}".format(dtype))
        for variable in inputs[:arrays + self.parameters]:
            if variable.dtype != dtype or variable.ndim != ndim:
                raise TypeError("moments and gradients must be {} with {} dimensions, got {} with {}".format(
                    dtype, ndim, variable.dtype, variable.ndim))
        for variable, wanted in zip(inputs[-scalars - flags:], scalars * [dtype] + flags * ["int8"]):
            if variable.ndim != 0 or variable.dtype != wanted:
                raise TypeError("expected a scalar of {}, got {} with {} dimensions".format(
                    wanted, variable.dtype, variable.ndim))
        if self.rows and (inputs[arrays + self.parameters].dtype != "int64"
                          or inputs[arrays + self.parameters].ndim != 1 or ndim == 0):
            raise TypeError("the row indices must be a vector of int64")
        return inputs

    def _arguments(self, inputs):
        """Return C++ code for the struct ``arguments``."""
        count, first = self.parameters, self.first_gradient
        rows = inputs[first + count] if self.rows else "NULL"
        return "{}arguments<{}{}>{{{{{}}}, {{{}}}, {}, {}}}".format(
            NAMESPACE, NAMESPACE, PRIORS[self.prior], ", ".join(inputs[:count]),
            ", ".join(inputs[first:first + count]), rows, inputs[first + count + self.rows])

    def _entry_point(self, name, node):
        """Return the C++ name of the function `name` for these inputs."""
        return "{}{}<{}, {}{}>".format(NAMESPACE, name, C_TYPES[node.inputs[0].dtype], NAMESPACE, PRIORS[self.prior])


class VariationalNorms(_VariationalOp):
    """KL divergence of a random variable, and squared norms of the objective's gradient for its parameters.

    Inputs: mean and, with a prior, log sigma; the gradients of the data loss for them; row indices, if `rows`;
    kl_weight, a scalar. Outputs: KL (0 without a prior) and a vector of one squared norm per parameter.

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
        return self.call(self._entry_point("run_norms", node),
                         [self._arguments(inputs)] + ["&" + output for output in outputs], sub)


class VariationalAdam(_VariationalOp):
    """A step of Adam on the parameters of a random variable.

    Inputs: mean and, with a prior, log sigma; their moments, first all means, then all squares; the gradients of the
    data loss; row indices, if `rows`; and the scalars kl_weight (as for `VariationalNorms`), factor (of the whole
    gradient), step_size, and finite (int8; 0: nothing changes). Outputs: the new parameters, means and squares.

    Parameters
    ----------
    prior : {None, 'normal', 'log_uniform'}
    rows : bool
        Whether the gradients are given for some rows only.
    inplace : bool
        Write the outputs into the memory of the inputs.
    log_sigma_rate : float
        Factor of the step size for log sigma.
    """

    __props__ = ("prior", "rows", "inplace", "log_sigma_rate")

    def __init__(self, prior, rows=False, inplace=False, log_sigma_rate=1.):
        super(VariationalAdam, self).__init__(prior, rows)
        self.inplace, self.log_sigma_rate = inplace, float(log_sigma_rate)
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
        arguments = [self._arguments(inputs), "{%s}" % ", ".join(inputs[count:3 * count])] + list(inputs[-3:])
        arguments += [repr(number) for number in (BETA_1, BETA_2, EPSILON, self.log_sigma_rate)]
        arguments.append(str(int(self.inplace)))
        arguments.append("{%s}" % ", ".join("&" + output for output in outputs))
        return self.call(self._entry_point("run_update", node), arguments, sub)


def _scattered_rows(gradient):
    """Return (rows, row indices) if a variable is distinct rows scattered into zeros, else None."""
    node = gradient.owner
    if node is None or not isinstance(node.op, AdvancedIncSubtensor1) or node.op.set_instead_of_inc:
        return None
    target, rows, indices = node.inputs
    try:
        zero = T.get_scalar_constant_value(target) == 0
    except T.NotScalarConstantError:
        zero = False
    return (rows, indices) if zero and are_distinct(indices) and rows.type == target.type else None


@gof.local_optimizer([VariationalNorms, VariationalAdam])
def _take_rows(node):
    """Pass only the rows of a gradient that are not zero."""
    if not isinstance(node.op, _VariationalOp) or node.op.rows:
        return False
    first, count = node.op.first_gradient, node.op.parameters
    found = [_scattered_rows(gradient) for gradient in node.inputs[first:first + count]]
    if any(part is None or part[1] is not found[0][1] for part in found):
        return False
    gradients = [rows for rows, _ in found] + [T.cast(found[0][1], "int64")]
    inputs = node.inputs[:first] + gradients + node.inputs[first + count:]
    return with_properties(node.op, rows=True)(*inputs, **dict(return_list=True))


# After all rewrites that may merge or remove nodes, before Theano moves operations to a GPU (48.5), and before the
# in-place rewrites.
theano.compile.optdb.register(
    "theano_rnn_variational_adam_rows", gof.TopoOptimizer(_take_rows, order="in_to_out"), 48.3, "fast_run")
register_inplace("variational_adam", VariationalAdam)
