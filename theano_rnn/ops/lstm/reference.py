"""The LSTM recurrence as a loop of `theano.scan`."""

import numpy as np
import theano
import theano.tensor as T

from ..expressions import concatenate

__all__ = ["GATE_NONLINEARITIES", "reference_recurrence"]


def _hard_sigmoid(x):
    # Theano would round a Python float to floatX even if x is float64.
    return T.clip(np.asarray(0.2, dtype=x.dtype) * x + np.asarray(0.5, dtype=x.dtype), 0, 1)


GATE_NONLINEARITIES = {
    "hard_sigmoid": _hard_sigmoid,
    "sigmoid": T.nnet.sigmoid,
}


def reference_recurrence(preactivations, W_hid, b, hid_init, cell_init, mask, z_gates, z_hid, gate_nonlinearity,
                         backwards):
    """Return `lstm_recurrence` as a loop of `theano.scan`, differentiated by Theano.

    `preactivations` and `W_hid` are lists; `mask`, `z_gates` and `z_hid` may be None.
    """
    gate = GATE_NONLINEARITIES[gate_nonlinearity]
    sizes = [matrix.shape[0] for matrix in W_hid]
    begins = [sum(sizes[:c]) for c in range(len(sizes))]
    given = W_hid + [variable for variable in (b, z_gates, z_hid) if variable is not None]

    def split(hid):
        return [hid] if len(W_hid) == 1 else [hid[:, begin:begin + units] for begin, units in zip(begins, sizes)]

    def step(x, *rest):
        # Theano passes the sequences, then the previous state, then the constant arguments: (B, 4H), (B, H), ...
        rest = list(rest)
        carry_over = None if mask is None else rest.pop(0).dimshuffle(0, "x")
        hid, cell = rest[:2]
        W_hid_, rest = rest[2:2 + len(W_hid)], rest[2 + len(W_hid):]
        b_ = rest.pop(0)
        z_gates_ = None if z_gates is None else rest.pop(0)
        z_hid_ = None if z_hid is None else rest.pop(0)

        a = x + concatenate([T.dot(part, matrix) for part, matrix in zip(split(hid), W_hid_)], axis=1)
        a = (a if z_gates_ is None else a * z_gates_) + b_
        a_in, a_forget, a_cell, a_out = [
            concatenate([a[:, 4 * begin + g * units:4 * begin + (g + 1) * units]
                         for begin, units in zip(begins, sizes)], axis=1) for g in range(4)]
        new_cell = gate(a_forget) * cell + gate(a_in) * T.tanh(a_cell)
        new_hid = gate(a_out) * T.tanh(new_cell)
        new_hid = new_hid if z_hid_ is None else new_hid * z_hid_
        if carry_over is not None:
            new_hid, new_cell = T.switch(carry_over, hid, new_hid), T.switch(carry_over, cell, new_cell)
        return new_hid, new_cell

    # scan requires that a state has the same type before and after a step, even if B or H is known to be 1, or if
    # float32 and float64 are mixed.
    dtype = theano.scalar.upcast(*[variable.dtype for variable in preactivations + given + [hid_init, cell_init]])
    (hid, cell), _ = theano.scan(
        step,
        sequences=[T.unbroadcast(concatenate(preactivations, axis=2), 1, 2)] +
                  ([] if mask is None else [T.eq(mask, 0)]),
        outputs_info=[T.unbroadcast(T.cast(state, dtype), 0, 1) for state in (hid_init, cell_init)],
        non_sequences=given, go_backwards=backwards, strict=False)
    return (hid[::-1], cell[::-1]) if backwards else (hid, cell)
