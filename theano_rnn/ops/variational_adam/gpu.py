"""Divergences, gradient norms and Adam of all parameters as two operations of Theano's GPU back-end.

On every device, `theano_rnn.ops.variational_adam` adds the operations of :mod:`theano_rnn.ops.variational_adam.fused`
to the graph, one per group of parameters. For a GPU, a graph rewrite replaces those of all groups by one operation of
this module, which launches one kernel (the norms two), independently of the number of groups.

A kernel gets the arrays of all groups as arguments. The arguments of a CUDA kernel have 4 KB in total. If the arrays of
more groups are given, there is one kernel for each part of the groups.

A kernel finds a row among the given rows of a gradient by bisection. Row indices are therefore increasing, as the
operations of :mod:`theano_rnn.ops.unique` return them. They are not checked on a GPU; the look-up of rows checks them.
"""

from collections import namedtuple

import theano
from theano import gof
from theano.gof.graph import ancestors
from theano.gpuarray.basic_ops import Kernel, as_gpuarray_variable, host_from_gpu, infer_context_name
from theano.gpuarray.type import GpuArrayType

from ..compiled_op import register_inplace
from ..gpu_op import POINTER, SIZE, UINT, GpuOp
from .fused import VariationalAdam, VariationalNorms
from .reference import BETA_1, BETA_2, EPSILON

__all__ = ["GpuVariationalAdam", "GpuVariationalNorms", "GpuGroup"]

#: One group of parameters: its prior, and whether the gradients of the data loss are given for some rows only.
GpuGroup = namedtuple("GpuGroup", ["prior", "rows"])

#: Number of bytes that the arrays of the groups may take among the arguments of a kernel.
MOST_ARGUMENT_BYTES = 3900

#: Threads of a block, and number of elements that a block processes.
THREADS, PIECE = 256, 2048

NAMESPACE = "variational_adam_gpu"

#: The name of each prior in the kernels.
PRIORS = {None: "NO_PRIOR", "normal": "NORMAL", "log_uniform": "LOG_UNIFORM"}


class _GpuVariationalOp(GpuOp):
    """Base class of the two operations.

    Parameters
    ----------
    groups : tuple of GpuGroup
    """

    sources = ("cpp/shapes.hpp", "cpp/gpu.hpp", "variational_adam/gpu.cpp")
    kernel_file = "variational_adam/gpu_kernels.c"

    #: Prefixes of the arrays of a group in the kernel, before those of the gradients (``g_``).
    states = ("",)
    #: Number of inputs after those of the groups.
    scalars = 1

    def __init__(self, groups):
        self.groups = tuple(GpuGroup(*group) for group in groups)

    def _check(self, inputs):
        """Return the inputs as variables on the GPU."""
        context_name = infer_context_name(*inputs)
        inputs = [as_gpuarray_variable(variable, context_name) for variable in inputs]
        expected = sum(len(self._arrays(group)) for group in self.groups) + self.scalars
        if len(inputs) != expected:
            raise ValueError("expected {} inputs, got {}".format(expected, len(inputs)))
        for variable in self._parameters(inputs):
            if variable.dtype != "float32":
                raise TypeError("the parameters must be float32 on a GPU, got {}".format(variable.dtype))
        return inputs

    def _parameters(self, inputs):
        """Return the inputs that are parameters or their moments."""
        return [variable for group, given in zip(self.groups, self._of_groups(inputs))
                for variable in given[:self._states_of(group)]]

    def _of_groups(self, inputs):
        """Return the inputs of each group: list of lists."""
        parts, begin = [], 0
        for group in self.groups:
            end = begin + len(self._arrays(group))
            parts.append(list(inputs[begin:end]))
            begin = end
        return parts

    def _states_of(self, group):
        return len(self.states) * _count(group)

    def _arrays(self, group):
        """Return the names of the arrays of a group in the kernel, in the order of the inputs."""
        names = ["mean", "log_sigma"][:_count(group)]
        return [prefix + name for prefix in self.states + ("g_",) for name in names] + ["rows"] * group.rows

    # -- kernels -------------------------------------------------------------------------------------------------------

    def _parts(self):
        """Return lists of groups whose arrays fit among the arguments of one kernel."""
        parts, bytes_of_part = [[]], 0
        for group in self.groups:
            size = 16 * len(self._arrays(group)) + 16 + 8 * group.rows
            if bytes_of_part + size > MOST_ARGUMENT_BYTES:
                parts.append([])
                bytes_of_part = 0
            parts[-1].append(group)
            bytes_of_part += size
        return parts

    def _kernel(self, section, number, part, other_types, replacements):
        """Return a kernel that processes the arrays of a part of the groups."""
        arguments, choices, types = "", "", []
        for k, group in enumerate(part):
            arrays = self._arrays(group)
            arguments += "".join("ARRAY({}, {}_{}), ".format(_type(array), array, k) for array in arrays)
            arguments += "const ga_size size_{0}, const ga_uint first_block_{0}, ".format(k)
            types += [POINTER, SIZE] * len(arrays) + [SIZE, UINT]
            choice = "".join("{0} = START({1}, {0}_{2}); ".format(array, _type(array), k) for array in arrays)
            choice += "size = size_{0}; first_block = first_block_{0}; prior = {1}; ".format(k, PRIORS[group.prior])
            if group.rows:
                arguments += "const ga_uint columns_{0}, const ga_uint given_{0}, ".format(k)
                types += [UINT] * 2
            choice += ("columns = columns_{0}; given = given_{0}; " if group.rows else "columns = 0; ").format(k)
            # The last group whose condition is true sets all variables.
            choices += "if (GID_0 >= first_block_%d) { %s} " % (k, choice)
        source = self.kernel_source(
            section, choose_group=choices, arrays=arguments, threads=THREADS, piece=PIECE,
            places=PIECE + 1 if any(group.rows for group in part) else 1, **replacements)
        return _kernel(source, types + other_types, section, number)

    # -- code ----------------------------------------------------------------------------------------------------------

    def _common_arguments(self, inputs, sub):
        """Return the C++ arguments that both entry points begin with: the context, the layout, and the groups."""
        groups = ["{{{}, {}, {}, {{{}}}}}".format(
            _count(group), self._states_of(group), int(group.rows), ", ".join(given))
            for group, given in zip(self.groups, self._of_groups(inputs))]
        return [sub["params"], "%s::layout{%d, %d}" % (NAMESPACE, THREADS, PIECE), "{%s}" % ", ".join(groups)]


def _count(group):
    """Return the number of parameters of a group."""
    return 1 if group.prior is None else 2


def _type(array):
    """Return the type of the elements of an array in the kernel."""
    return "ga_long" if array == "rows" else "ga_float"


def _kernel(source, types, section, number):
    """Return the kernel for the part `number` of the groups, with C names that no other kernel has."""
    flags = {"have_small": True}                 # the int8 of Adam
    return Kernel(source, types, "variational_" + section, flags,
                  *["%s_%s_%d" % (kind, section, number) for kind in ("code", "k", "call", "scheduled_call")])


class GpuVariationalNorms(_GpuVariationalOp):
    """`VariationalNorms` of all groups.

    Inputs: those of `VariationalNorms` for each group, without kl_weight; then kl_weight. Outputs: a vector of the
    divergence of each group, and a vector of the squared norm for each parameter of each group.

    Parameters
    ----------
    groups : tuple of GpuGroup
    """

    __props__ = ("groups",)

    def make_node(self, *inputs):
        inputs = self._check(inputs)
        vector = GpuArrayType("float32", (False,), context_name=inputs[0].type.context_name)
        return gof.Apply(self, inputs, [vector(), vector()])

    def infer_shape(self, node, shapes):
        return [(len(self.groups),), (sum(map(_count, self.groups)),)]

    def gpu_kernels(self, node, name):
        """Return two kernels for each part of the groups."""
        kernels = []
        for number, part in enumerate(self._parts()):
            kernels += [self._kernel("norms", number, part, [POINTER, SIZE] * 2, {}), self._sums(number, part)]
        return kernels

    def _sums(self, number, part):
        """Return the kernel that adds the sums of the blocks of each group."""
        arguments, choices, parameter = "", "", 0
        for k, group in enumerate(part):
            arguments += "const ga_uint first_block_%d, " % k
            last = "first_block_%d" % (k + 1) if k + 1 < len(part) else "all_blocks"
            choices += ("if (GID_0 == {0}) {{ first_block = first_block_{0}; last_block = {1}; parameter = {2}; "
                        "parameters = {3}; }} ").format(k, last, parameter, _count(group))
            parameter += _count(group)
        source = self.kernel_source(
            "sums", blocks=arguments, choose_blocks=choices, threads=THREADS, piece=PIECE)
        return _kernel(source, [UINT] * len(part) + [POINTER, SIZE] * 3 + [UINT] * 3, "sums", number)

    def c_code(self, node, name, inputs, outputs, sub):
        parts = ", ".join("{&k_norms_%d, &k_sums_%d, %d}" % (number, number, len(part))
                          for number, part in enumerate(self._parts()))
        return self.call(NAMESPACE + "::run_norms", self._common_arguments(inputs, sub) + [
            "{%s}" % parts, inputs[-1]] + ["&" + output for output in outputs], sub)


class GpuVariationalAdam(_GpuVariationalOp):
    """`VariationalAdam` of all groups.

    Inputs: those of `VariationalAdam` for each group, without the scalars; then the four scalars. Outputs: those of
    `VariationalAdam` for each group.

    Parameters
    ----------
    groups : tuple of GpuGroup
    inplace, log_sigma_rate
        As for `VariationalAdam`.
    """

    __props__ = ("groups", "inplace", "log_sigma_rate")
    states = ("", "m_", "v_")
    scalars = 4

    def __init__(self, groups, inplace=False, log_sigma_rate=1.):
        super(GpuVariationalAdam, self).__init__(groups)
        self.inplace, self.log_sigma_rate = inplace, float(log_sigma_rate)
        if inplace:
            count = sum(len(self._arrays(group)) for group in self.groups)
            self.destroy_map = {output: [position]
                                for output, position in enumerate(self._parameters(range(count)))}

    def make_node(self, *inputs):
        inputs = self._check(inputs)
        return gof.Apply(self, inputs, [variable.type() for variable in self._parameters(inputs)])

    def infer_shape(self, node, shapes):
        return self._parameters(shapes)

    def gpu_kernels(self, node, name):
        """Return a kernel for each part of the groups."""
        numbers = dict(old_mean=BETA_1, new_mean=1 - BETA_1, old_square=BETA_2, new_square=1 - BETA_2,
                       epsilon=EPSILON, log_sigma_rate=self.log_sigma_rate)
        numbers = dict((name, "%rf" % number) for name, number in numbers.items())
        return [self._kernel("adam", number, part, [POINTER, SIZE] * 4, numbers)
                for number, part in enumerate(self._parts())]

    def c_code(self, node, name, inputs, outputs, sub):
        parts = ", ".join("{&k_adam_%d, 0, %d}" % (number, len(part)) for number, part in enumerate(self._parts()))
        return self.call(NAMESPACE + "::run_adam", self._common_arguments(inputs, sub) + [
            "{%s}" % parts, "{%s}" % ", ".join(inputs[-4:]), str(int(self.inplace)),
            "{%s}" % ", ".join("&" + output for output in outputs)], sub)


# -------------------------------------------------------------------------------------------------------- graph rewrite


class _MergeGroups(gof.Optimizer):
    """Replace the operations of all groups by one operation on the GPU."""

    def apply(self, fgraph):
        for merge, op_type, scalars in ((_merged_norms, VariationalNorms, 1), (_merged_adam, VariationalAdam, 4)):
            for nodes in _mergeable(fgraph, op_type, scalars):
                outputs = merge(nodes, [GpuGroup(node.op.prior, node.op.rows) for node in nodes],
                                [variable for node in nodes for variable in node.inputs[:-scalars]]
                                + nodes[0].inputs[-scalars:])
                replaced = [output for node in nodes for output in node.outputs]
                fgraph.replace_all_validate(list(zip(replaced, outputs)), reason="theano_rnn_merge_variational")


def _mergeable(fgraph, op_type, scalars):
    """Return lists of nodes in single precision that have the same scalars and do not depend on each other."""
    merged = []
    for node in fgraph.toposort():
        if not isinstance(node.op, op_type) or node.outputs[0].dtype != "float32":
            continue
        before = set(ancestors(node.inputs))
        for nodes in merged:
            first = nodes[0]
            if (first.inputs[-scalars:] == node.inputs[-scalars:]
                    and getattr(first.op, "log_sigma_rate", 1) == getattr(node.op, "log_sigma_rate", 1)
                    and not before.intersection(output for other in nodes for output in other.outputs)):
                nodes.append(node)
                break
        else:
            merged.append([node])
    return merged


def _merged_norms(nodes, groups, inputs):
    divergences, squares = map(host_from_gpu, GpuVariationalNorms(groups)(*inputs))
    outputs, parameter = [], 0
    for number, group in enumerate(groups):
        outputs += [divergences[number], squares[parameter:parameter + _count(group)]]
        parameter += _count(group)
    return outputs


def _merged_adam(nodes, groups, inputs):
    step = GpuVariationalAdam(groups, log_sigma_rate=nodes[0].op.log_sigma_rate)
    return list(map(host_from_gpu, step(*inputs, **dict(return_list=True))))


# After the rewrite of scattered rows, and just before Theano moves operations to the GPU, at 48.5.
theano.compile.optdb.register("theano_rnn_merge_variational", _MergeGroups(), 48.45, "fast_run", "fast_compile",
                              "gpuarray")
register_inplace("variational_adam_on_gpu", GpuVariationalAdam)
