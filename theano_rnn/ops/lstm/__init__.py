"""The recurrence of an LSTM, written once for every layer that needs one.

`lstm_recurrence` is a function of symbolic variables. Two formulations compute the same: ``"scan"``, a loop of
`theano.scan` with Theano's own gradient, which runs everywhere and is the oracle of the tests; and ``"fused"``, one
operation in C with its exact gradient as a second one (:mod:`theano_rnn.ops.lstm.fused`), which have counterparts for the
GPU (:mod:`theano_rnn.ops.lstm.gpu`).
`theano_rnn.ops.backend.select_backend` chooses between them.

References
----------
.. [1] S. Hochreiter and J. Schmidhuber (1997): Long short-term memory. Neural Computation 9(8), 1735-1780.
.. [2] N. Chirkova, E. Lobacheva and D. Vetrov (2018): Bayesian compression for natural language processing. EMNLP,
   arXiv:1810.10927.
.. [3] E. Lobacheva, N. Chirkova and D. Vetrov (2018): Bayesian sparsification of gated recurrent neural networks.
   NeurIPS workshop on compact deep neural networks, arXiv:1812.05692.
.. [4] T. Demeester, J. Deleu, F. Godin and C. Develder (2018): Predefined sparseness in recurrent sequence models.
   CoNLL, arXiv:1808.08720, section 3.
"""

import numpy as np
import theano
import theano.tensor as T

from ..backend import use_fused
from .fused import fused_recurrence

__all__ = ["lstm_recurrence"]


def _hard_sigmoid(x):
    # Theano rounds a Python 0.2 to float32 where floatX says so, also beside float64.
    return T.clip(np.asarray(0.2, dtype=x.dtype) * x + np.asarray(0.5, dtype=x.dtype), 0, 1)


GATE_NONLINEARITIES = {
    "hard_sigmoid": _hard_sigmoid,
    "sigmoid": T.nnet.sigmoid,
}


def lstm_recurrence(preactivation, W_hid, b, hid_init, cell_init, mask=None, z_gates=None, z_hid=None,
                    gate_nonlinearity="hard_sigmoid", backwards=False, backend=None):
    r"""The hidden and cell states of an LSTM [1]_ at all time steps, with group variables [2]_, [3]_.

    With :math:`x_g` the preactivation of gate :math:`g`:

    .. math::

        a_g &= (x_g + h_{t-1} W_{hid,g}) z_{gates,g} + b_g, \qquad g \in \{i, f, c, o\} \\
        i, f, o &= \sigma(a_i), \sigma(a_f), \sigma(a_o) \\
        c_t &= f c_{t-1} + i \tanh(a_c) \\
        h_t &= o \tanh(c_t) z_{hid}

    Several matrices `W_hid` make an LSTM of as many components without connections between them [4]_. Each has a
    preactivation of its own: products with the input need not be joined, nor their gradient taken apart. All else is
    shared: with H the sum of the sizes :math:`H_c`, component c owns the units `begin` to `begin` + :math:`H_c`, where
    `begin` is the sum of the sizes before it, and the columns 4 `begin` to 4 `begin` + 4 :math:`H_c` of `b` and
    `z_gates`, which are 4H wide: the components stand one after the other, the four gates are stacked within each.

    Parameters
    ----------
    preactivation : symbolic ``(T, B, 4H)``, or a list or tuple of symbolic ``(T, B, 4 H_c)``
        The contribution of the input, ``x W_in``, time first, gates stacked in the order input, forget, cell, output;
        a list where `W_hid` is one, with as many elements.
    W_hid : symbolic ``(H, 4H)``, or a list or tuple of symbolic ``(H_c, 4 H_c)``
        Recurrent weights, of one component or of each.
    b : symbolic ``(4H,)``
        Biases, added after the multiplication by `z_gates`.
    hid_init, cell_init : symbolic ``(B, H)``
        The state before the first step.
    mask : symbolic ``(T, B)``, optional
        Where it is 0, both states are carried over unchanged. Any type; it gets no gradient.
    z_gates : symbolic ``(B, 4H)`` or broadcastable ``(1, 4H)``, optional
        Multipliers of the preactivations of the gates.
    z_hid : symbolic ``(B, H)`` or broadcastable ``(1, H)``, optional
        Multipliers of the hidden state. They act on the output as well as on the next step.
    gate_nonlinearity : {'hard_sigmoid', 'sigmoid'}
        :math:`\sigma`: ``clip(0.2 x + 0.5, 0, 1)`` or the logistic function.
    backwards : bool
        Start at the last time step. The outputs keep the order of the input.
    backend : {None, 'reference', 'fused'}
        None for the result of `theano_rnn.ops.backend.select_backend`.

    Returns
    -------
    hid, cell : symbolic ``(T, B, H)``

    Raises
    ------
    ValueError
        For other options than these, and unless `preactivation` and `W_hid` are both one variable, or lists of one
        length.
    """
    if gate_nonlinearity not in GATE_NONLINEARITIES:
        raise ValueError("gate_nonlinearity must be one of {}, not {!r}".format(
            ", ".join(sorted(GATE_NONLINEARITIES)), gate_nonlinearity))
    preactivations, W_hid = _per_component(preactivation, W_hid)
    b, hid_init, cell_init, mask, z_gates, z_hid = [
        None if variable is None else T.as_tensor_variable(variable)
        for variable in (b, hid_init, cell_init, mask, z_gates, z_hid)]
    fused = use_fused(backend, preactivations + W_hid + [b, hid_init, cell_init, z_gates, z_hid],
                      serves_gpu=True)
    recurrence = fused_recurrence if fused else _scan_recurrence
    return recurrence(preactivations, W_hid, b, hid_init, cell_init, mask, z_gates, z_hid, gate_nonlinearity,
                      bool(backwards))


def _per_component(preactivation, W_hid):
    """Both as lists of variables, after checking that they belong together."""
    kinds = ["a list of {}".format(len(given)) if isinstance(given, (list, tuple)) else "one variable"
             for given in (preactivation, W_hid)]
    if kinds[0] != kinds[1]:
        raise ValueError("preactivation is {} and W_hid is {}: give one variable for each, or two lists with one "
                         "element per component".format(*kinds))
    if kinds[0] == "one variable":
        preactivation, W_hid = [preactivation], [W_hid]
    if not W_hid:
        raise ValueError("preactivation and W_hid are empty lists, but at least one component was expected")
    return [T.as_tensor_variable(x) for x in preactivation], [T.as_tensor_variable(matrix) for matrix in W_hid]


def _scan_recurrence(preactivations, W_hid, b, hid_init, cell_init, mask, z_gates, z_hid, gate_nonlinearity,
                     backwards):
    """`lstm_recurrence` as a loop of `theano.scan`, differentiated by Theano.

    `preactivations` and `W_hid` are lists.
    """
    gate = GATE_NONLINEARITIES[gate_nonlinearity]
    sizes = [matrix.shape[0] for matrix in W_hid]
    begins = [sum(sizes[:c]) for c in range(len(sizes))]
    given = W_hid + [variable for variable in (b, z_gates, z_hid) if variable is not None]

    def join(parts, axis=1):
        return parts[0] if len(parts) == 1 else T.concatenate(parts, axis=axis)

    def split(hid):
        return [hid] if len(W_hid) == 1 else [hid[:, begin:begin + units] for begin, units in zip(begins, sizes)]

    def step(x, *rest):
        # Theano hands over the sequences, then the previous state, then what does not change: (B, 4H), (B, H), ...
        rest = list(rest)
        carry_over = None if mask is None else rest.pop(0).dimshuffle(0, "x")
        hid, cell = rest[:2]
        W_hid_, rest = rest[2:2 + len(W_hid)], rest[2 + len(W_hid):]
        b_ = rest.pop(0)
        z_gates_ = None if z_gates is None else rest.pop(0)
        z_hid_ = None if z_hid is None else rest.pop(0)

        a = x + join([T.dot(part, matrix) for part, matrix in zip(split(hid), W_hid_)])
        a = (a if z_gates_ is None else a * z_gates_) + b_
        a_in, a_forget, a_cell, a_out = [
            join([a[:, 4 * begin + g * units:4 * begin + (g + 1) * units] for begin, units in zip(begins, sizes)])
            for g in range(4)]
        new_cell = gate(a_forget) * cell + gate(a_in) * T.tanh(a_cell)
        new_hid = gate(a_out) * T.tanh(new_cell)
        new_hid = new_hid if z_hid_ is None else new_hid * z_hid_
        if carry_over is not None:
            new_hid, new_cell = T.switch(carry_over, hid, new_hid), T.switch(carry_over, cell, new_cell)
        return new_hid, new_cell

    # scan insists that a state has the same type before and after a step, also where B or H is known to be 1.
    (hid, cell), _ = theano.scan(
        step,
        sequences=[T.unbroadcast(join(preactivations, axis=2), 1, 2)] + ([] if mask is None else [T.eq(mask, 0)]),
        outputs_info=[T.unbroadcast(hid_init, 0, 1), T.unbroadcast(cell_init, 0, 1)],
        non_sequences=given, go_backwards=backwards, strict=False)
    return (hid[::-1], cell[::-1]) if backwards else (hid, cell)
