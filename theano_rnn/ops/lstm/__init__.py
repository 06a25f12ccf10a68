"""The recurrence of an LSTM, as a function of symbolic variables.

The reference implementation is a loop of `theano.scan` with Theano's own gradient. The fused implementation consists of
two operations in C++, the recurrence and its exact gradient, which have counterparts for GPUs
(:mod:`theano_rnn.ops.lstm.gpu`).

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

import theano.tensor as T

from ..backend import use_fused
from .fused import fused_recurrence
from .reference import GATE_NONLINEARITIES, reference_recurrence

__all__ = ["lstm_recurrence"]


def lstm_recurrence(preactivation, W_hid, b, hid_init, cell_init, mask=None, z_gates=None, z_hid=None,
                    gate_nonlinearity="hard_sigmoid", backwards=False, backend=None):
    r"""Return the hidden and cell states of an LSTM [1]_ at all time steps, with group variables [2]_, [3]_.

    With :math:`x_g` the preactivation of gate :math:`g`:

    .. math::

        a_g &= (x_g + h_{t-1} W_{hid,g}) z_{gates,g} + b_g, \qquad g \in \{i, f, c, o\} \\
        i, f, o &= \sigma(a_i), \sigma(a_f), \sigma(a_o) \\
        c_t &= f c_{t-1} + i \tanh(a_c) \\
        h_t &= o \tanh(c_t) z_{hid}

    If `W_hid` is a list of matrices, the LSTM has one component per matrix, without connections between components
    [4]_. Each component has its own preactivation, so that the products with the input need not be concatenated.
    Everything else is shared.
    With H the sum of the sizes :math:`H_c`, component c owns the units `begin` to `begin` + :math:`H_c`, where `begin`
    is the sum of the sizes before it, and the columns 4 `begin` to 4 `begin` + 4 :math:`H_c` of `b` and `z_gates`: the
    components are stored one after the other, and within each the four gates are stacked.

    Parameters
    ----------
    preactivation : symbolic ``(T, B, 4H)``, or a list or tuple of symbolic ``(T, B, 4 H_c)``
        The contribution of the input, ``x W_in``, time first, gates stacked in the order input, forget, cell, output;
        a list of the same length if `W_hid` is a list.
    W_hid : symbolic ``(H, 4H)``, or a list or tuple of symbolic ``(H_c, 4 H_c)``
        Recurrent weights, of the only component or of each.
    b : symbolic ``(4H,)``
        Biases, added after the multiplication by `z_gates`.
    hid_init, cell_init : symbolic ``(B, H)``
        Initial state.
    mask : symbolic ``(T, B)``, optional
        Where it is 0, both states do not change. It can have any type and has no gradient.
    z_gates : symbolic ``(B, 4H)`` or broadcastable ``(1, 4H)``, optional
        Multipliers of the preactivations of the gates.
    z_hid : symbolic ``(B, H)`` or broadcastable ``(1, H)``, optional
        Multipliers of the hidden state, which is the output and the input of the next time step.
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
        If an option is invalid, or unless `preactivation` and `W_hid` are both one variable or lists of equal length.

    Examples
    --------
    >>> import theano.tensor as T
    >>> from theano_rnn.ops.lstm import lstm_recurrence
    >>> hid, cell = lstm_recurrence(T.tensor3(), T.matrix(), T.vector(), T.matrix(), T.matrix())
    >>> hid.ndim
    3
    """
    if gate_nonlinearity not in GATE_NONLINEARITIES:
        raise ValueError("gate_nonlinearity must be one of {}, got {!r}".format(
            ", ".join(sorted(GATE_NONLINEARITIES)), gate_nonlinearity))
    preactivations, W_hid = _per_component(preactivation, W_hid)
    b, hid_init, cell_init, mask, z_gates, z_hid = [
        None if variable is None else T.as_tensor_variable(variable)
        for variable in (b, hid_init, cell_init, mask, z_gates, z_hid)]
    fused = use_fused(backend, preactivations + W_hid + [b, hid_init, cell_init, z_gates, z_hid], serves_gpu=True)
    recurrence = fused_recurrence if fused else reference_recurrence
    return recurrence(preactivations, W_hid, b, hid_init, cell_init, mask, z_gates, z_hid, gate_nonlinearity,
                      bool(backwards))


def _per_component(preactivation, W_hid):
    """Return both as lists of variables, after a check that they have the same length."""
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
