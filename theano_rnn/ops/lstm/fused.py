"""The recurrence of an LSTM as one Theano operation in C++, and its exact gradient as another.

In addition to the states, the gradient needs only ``total = preactivation + h W_hid`` of each component. Recomputing
the gates from it takes less time than reading them from memory. If nothing else uses these arrays, ``total`` overwrites
the preactivation, and the gradient of the preactivation overwrites ``total``. Then there is one array of size
``T * B * 4H_c`` for each component instead of three.

References
----------
.. [1] S. Hochreiter and J. Schmidhuber (1997): Long short-term memory. Neural Computation 9(8), 1735-1780.
"""

import theano
import theano.tensor as T
from theano import gof

from ..compiled_op import C_TYPES, COMMON_SOURCES, CompiledOp, listed, register_inplace, with_properties

__all__ = ["LSTMRecurrence", "LSTMRecurrenceGradient", "fused_recurrence"]

OPTIONAL = ("mask", "z_gates", "z_hid")


def fused_recurrence(preactivations, W_hid, b, hid_init, cell_init, mask, z_gates, z_hid, gate_nonlinearity,
                     backwards):
    """Return `lstm_recurrence` as one operation.

    `preactivations` and `W_hid` are lists; `mask`, `z_gates` and `z_hid` may be None.
    """
    if mask is not None:
        mask = T.cast(mask, preactivations[0].dtype)
    options = dict(zip(OPTIONAL, (mask, z_gates, z_hid)))
    op = LSTMRecurrence(gate_nonlinearity, backwards, tuple(k for k in OPTIONAL if options[k] is not None),
                        components=len(W_hid))
    hid, cell = op(*(preactivations + W_hid + [b, hid_init, cell_init] +
                     [options[k] for k in OPTIONAL if options[k] is not None]))[:2]
    return hid, cell


class _RecurrenceOp(CompiledOp):
    """Base class of the two operations."""

    sources = COMMON_SOURCES + ("lstm/fused.cpp",)
    namespace = "lstm"

    def _entry_point(self, name, node):
        """Return the C++ name of the function `name` for these inputs."""
        return "{}::{}<{}, {}>".format(self.namespace, name, C_TYPES[node.inputs[0].dtype],
                                       "true" if self.gate_nonlinearity == "hard_sigmoid" else "false")

    def _leading_arguments(self, sub):
        """Return the first arguments of the entry points, which depend on the device."""
        return []

    def _type(self, like, broadcastable):
        """Return the type of an output with the precision and the device of the input `like`."""
        return T.TensorType(like.dtype, broadcastable)

    def _check(self, inputs):
        """Return the inputs as variables, after checks of dimensions and types."""
        names = self.input_names
        return self.check_inputs("lstm_recurrence", names, inputs,
                                 dict((name, NDIMS[name.rstrip("_0123456789")]) for name in names))

    def _names(self, kind):
        """Return the names of the preactivations, W_hid or totals of all components, as in the C++ messages."""
        if self.components == 1:
            return (kind,)
        return tuple("{}_{}".format(kind, c) for c in range(self.components))

    def _arguments(self, x, names):
        """Return C++ code for the struct ``arguments``, from a dictionary of names of C variables.

        `x`: ``preactivation`` or ``total``.
        """
        return "{}::arguments{{{{{}}}, {{{}}}, {}}}".format(
            self.namespace, listed(names, self._names(x)), listed(names, self._names("W_hid")),
            listed(names, ("b", "hid_init", "cell_init") + OPTIONAL))


NDIMS = dict(preactivation=3, W_hid=2, b=1, hid_init=2, cell_init=2, mask=2, z_gates=2, z_hid=2,
             hid=3, cell=3, total=3, g_hid=3, g_cell=3)


class LSTMRecurrence(_RecurrenceOp):
    """The states of an LSTM at all time steps.

    Inputs: one preactivation ``(T, B, 4 H_c)`` per component, one W_hid ``(H_c, 4 H_c)`` per component, b ``(4H,)``,
    hid_init and cell_init ``(B, H)``, then those of mask ``(T, B)``, z_gates ``(B or 1, 4H)`` and z_hid ``(B or 1, H)``
    that `options` names; H is the sum of all H_c. Outputs: hid and cell ``(T, B, H)`` and, for the gradient, one total
    ``(T, B, 4 H_c)`` per component.

    Parameters
    ----------
    gate_nonlinearity : {'hard_sigmoid', 'sigmoid'}
    backwards : bool
    options : tuple of str
        Which of ``mask``, ``z_gates`` and ``z_hid`` are inputs, in this order.
    components : int
        Number of preactivations, of W_hid and of totals.
    keep : bool
        Whether to compute the totals. If False, they are empty.
    inplace : bool
        Write each total into the memory of its preactivation.
    """

    __props__ = ("gate_nonlinearity", "backwards", "options", "components", "keep", "inplace")

    def __init__(self, gate_nonlinearity, backwards, options, components=1, keep=True, inplace=False):
        self.gate_nonlinearity = gate_nonlinearity
        self.backwards = bool(backwards)
        self.options = tuple(options)
        self.components = components
        self.keep = keep
        self.inplace = inplace
        if inplace:
            self.destroy_map = dict((2 + c, [c]) for c in range(components))

    @property
    def can_work_inplace(self):
        return self.keep

    @property
    def input_names(self):
        return (self._names("preactivation") + self._names("W_hid") + ("b", "hid_init", "cell_init") + self.options)

    @property
    def output_names(self):
        return ("hid", "cell") + self._names("total")

    def make_node(self, *inputs):
        inputs = self._check(inputs)
        # The gradient of a preactivation has the type of its total, which must be that of the preactivation.
        patterns = [(False,) * 3] * 2 + [x.broadcastable for x in inputs[:self.components]]
        return gof.Apply(self, inputs, [self._type(inputs[0], pattern)() for pattern in patterns])

    def infer_shape(self, node, shapes):
        given = dict(zip(self.input_names, shapes))
        (steps, rows, _), (_, units) = shapes[0], given["hid_init"]
        return [(steps, rows, units), (steps, rows, units)] + list(shapes[:self.components])

    def connection_pattern(self, node):
        # The mask has no gradient, and only the gradient uses the totals.
        return [[name != "mask", name != "mask"] + [False] * self.components for name in self.input_names]

    def L_op(self, inputs, outputs, output_gradients):
        connected = [not isinstance(g.type, theano.gradient.DisconnectedType) for g in output_gradients[:2]]
        if not any(connected):
            return [theano.gradient.DisconnectedType()() for _ in inputs]
        given = dict(zip(self.input_names, inputs))
        op = LSTMRecurrenceGradient(self.gate_nonlinearity, self.backwards, self.options, tuple(connected),
                                    components=self.components)
        given.update(zip(self.output_names, outputs))
        given.update(zip(("g_hid", "g_cell"), output_gradients))
        gradients = dict(zip(op.output_names, op(*[given[name] for name in op.input_names])))
        return [gradients[name] if name in gradients else theano.gradient.DisconnectedType()()
                for name in self.input_names]

    def grad(self, inputs, output_gradients):       # Theano 0.9 has no L_op
        return self.L_op(inputs, self(*inputs, **dict(return_list=True)), output_gradients)

    def c_code(self, node, name, inputs, outputs, sub):
        out = dict(zip(self.output_names, ["&" + output for output in outputs]))
        return self.call(self._entry_point("run_forward", node), self._leading_arguments(sub) + [
            self._arguments("preactivation", dict(zip(self.input_names, inputs))), str(int(self.backwards)),
            str(int(self.keep)), str(int(self.inplace)), out["hid"], out["cell"],
            "{{{}}}".format(listed(out, self._names("total")))], sub)


class LSTMRecurrenceGradient(_RecurrenceOp):
    """The gradient of `LSTMRecurrence` with respect to all its inputs except the mask.

    Inputs: each W_hid, b, hid_init, cell_init, the options, hid, cell, each total, and the gradients of hid and of cell
    that are connected. Outputs: the gradients of each preactivation, each W_hid, b, hid_init, cell_init,
    z_gates and z_hid.

    Parameters
    ----------
    gate_nonlinearity, backwards, options, components
        As for `LSTMRecurrence`.
    connected : pair of bool
        Whether the gradients of hid and of cell are given; a gradient that is not given is zero.
    inplace : bool
        Write the gradient of each preactivation into the memory of its total.
    """

    __props__ = ("gate_nonlinearity", "backwards", "options", "connected", "components", "inplace")

    def __init__(self, gate_nonlinearity, backwards, options, connected, components=1, inplace=False):
        self.gate_nonlinearity = gate_nonlinearity
        self.backwards = bool(backwards)
        self.options = tuple(options)
        self.components = components
        self.connected = tuple(connected)
        self.inplace = inplace
        if inplace:
            self.destroy_map = dict((c, [self.input_names.index(name)]) for c, name in enumerate(self._names("total")))

    @property
    def input_names(self):
        upstream = tuple(name for name, there in zip(("g_hid", "g_cell"), self.connected) if there)
        return (self._names("W_hid") + ("b", "hid_init", "cell_init") + self.options + ("hid", "cell") +
                self._names("total") + upstream)

    @property
    def output_names(self):
        return (self._names("preactivation") + self._names("W_hid") + ("b", "hid_init", "cell_init") +
                tuple(name for name in self.options if name != "mask"))

    def _with_preactivations(self, values):
        """Return a dictionary of `values` by input name, in which the totals are also listed as preactivations."""
        given = dict(zip(self.input_names, values))
        given.update(zip(self._names("preactivation"), [given[name] for name in self._names("total")]))
        return given

    def make_node(self, *inputs):
        inputs = self._check(inputs)
        given = self._with_preactivations(inputs)
        return gof.Apply(self, inputs, [self._type(given[name], given[name].broadcastable)()
                                        for name in self.output_names])

    def infer_shape(self, node, shapes):
        given = self._with_preactivations(shapes)
        return [given[name] for name in self.output_names]

    def c_code(self, node, name, inputs, outputs, sub):
        names = dict(zip(self.input_names, inputs))
        out = dict(zip(self.output_names, ["&" + output for output in outputs]))
        gradients = "{}::gradient_outputs{{{{{}}}, {{{}}}, {}}}".format(
            self.namespace, listed(out, self._names("preactivation")), listed(out, self._names("W_hid")),
            listed(out, ("b", "hid_init", "cell_init", "z_gates", "z_hid")))
        return self.call(self._entry_point("run_gradient", node), self._leading_arguments(sub) + [
            self._arguments("total", names), str(int(self.backwards)),
            listed(names, ("hid", "cell", "g_hid", "g_cell")), str(int(self.inplace)), gradients], sub)


@gof.local_optimizer([LSTMRecurrence])
def _drop_unused_total(node):
    """Do not compute the totals if there is no gradient."""
    if isinstance(node.op, LSTMRecurrence) and node.op.keep and not any(
            total.clients for total in node.outputs[2:]):
        op = with_properties(node.op, keep=False, inplace=False)
        return op(*node.inputs, **dict(return_list=True))
    return False


# After all rewrites that may merge or remove nodes, and before the in-place rewrites.
theano.compile.optdb.register(
    "theano_rnn_lstm_drop_unused_total", gof.TopoOptimizer(_drop_unused_total, order="out_to_in"), 49.8, "fast_run")
register_inplace("lstm", LSTMRecurrence, LSTMRecurrenceGradient)
