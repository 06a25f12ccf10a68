"""Kullback-Leibler divergences and Adam by Theano's own operations.

References
----------
.. [1] D. Molchanov, A. Ashukha and D. Vetrov (2017): Variational dropout sparsifies deep neural networks. ICML,
   arXiv:1701.05369, section 4.
"""

from collections import OrderedDict

import numpy as np
import theano
import theano.tensor as T
from theano import scalar

from ..expressions import number_like
from ..finite_guard import guarded

__all__ = ["BETA_1", "BETA_2", "EPSILON", "LOG_ALPHA_RANGE", "log_alpha", "log_uniform_kl", "normal_kl",
           "reference_norms", "reference_updates"]

#: Hyperparameters of Adam.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

#: log alpha is clipped to [-8, 8] in `log_uniform_kl`.
LOG_ALPHA_RANGE = 8.0


def log_alpha(mean, log_sigma):
    """Return ``log alpha = 2 log sigma - log mu^2`` of each element, not clipped.

    Parameters
    ----------
    mean, log_sigma : symbolic tensors or numpy arrays of one shape

    Returns
    -------
    of the same type and shape
    """
    log = np.log if isinstance(mean, np.ndarray) else T.log
    return 2 * log_sigma - log(mean ** 2)


def _nfunc_spec(name):
    """Return the ``nfunc_spec`` of an elementwise operation: a function of this module that computes whole arrays.

    Theano calls it where there is no compiler. Theano 0.9.0 finds functions of NumPy only; there, the operation
    computes one element after the other.
    """
    return (__name__ + "." + name, 2, 1) if theano.__version__ >= "1" else None


def log_uniform_kl_in_numpy(mean, log_sigma):
    """`log_uniform_kl` of NumPy arrays."""
    with np.errstate(divide="ignore"):
        value = np.clip(log_alpha(np.asarray(mean), log_sigma), -LOG_ALPHA_RANGE, LOG_ALPHA_RANGE)
    return 0.5 * np.log1p(np.exp(-value)) - 0.03 - 0.64 / (1 + np.exp(-1.5 * (value + 1.3)))


def log_uniform_kl_slope_in_numpy(mean, log_sigma):
    """Derivative of `log_uniform_kl` with respect to log alpha, of NumPy arrays; zero where log alpha is clipped."""
    with np.errstate(divide="ignore"):
        value = log_alpha(np.asarray(mean), log_sigma)
    inside = np.abs(value) <= LOG_ALPHA_RANGE
    value = np.clip(value, -LOG_ALPHA_RANGE, LOG_ALPHA_RANGE)
    sigmoid = 1 / (1 + np.exp(-1.5 * (value + 1.3)))
    return inside * (-0.5 / (1 + np.exp(value)) - 0.96 * sigmoid * (1 - sigmoid))


class _LogUniformKL(scalar.BinaryScalarOp):
    """KL(N(mu, sigma^2) || log-uniform) of one weight: the approximation of [1]_, equation 14.

    This is a scalar operation and not a graph of elementwise operations for two reasons. Where log alpha is clipped at
    mu = 0, the gradient is zero instead of 0 * infinity. Each weight needs only two exponentials and one logarithm.
    """

    nfunc_spec = _nfunc_spec("log_uniform_kl_in_numpy")
    impl = staticmethod(log_uniform_kl_in_numpy)

    def grad(self, inputs, output_gradients):
        mean, log_sigma = inputs
        slope = output_gradients[0] * _log_uniform_kl_slope(mean, log_sigma)
        zero = scalar.constant(0, dtype=mean.dtype)
        return [scalar.switch(scalar.eq(slope, zero), zero, -2 * slope / mean), 2 * slope]

    def c_code(self, node, name, inputs, outputs, sub):
        return """{
            %(type)s a = %(clipped_log_alpha)s;
            %(out)s = (%(type)s)0.5 * log1p(exp(-a)) - (%(type)s)0.03
                      - (%(type)s)0.64 / (1 + exp((%(type)s)-1.5 * (a + (%(type)s)1.3)));
        }""" % _c_names(node, inputs, outputs)

    def c_code_cache_version(self):
        return (1,)


class _LogUniformKLSlope(scalar.BinaryScalarOp):
    """Derivative of `_LogUniformKL` with respect to log alpha; zero where log alpha is clipped."""

    nfunc_spec = _nfunc_spec("log_uniform_kl_slope_in_numpy")
    impl = staticmethod(log_uniform_kl_slope_in_numpy)

    def c_code(self, node, name, inputs, outputs, sub):
        return """{
            %(type)s a = %(clipped_log_alpha)s;
            // sigmoid(t) (1 - sigmoid(t)) without the difference: it cancels where the sigmoid is close to 1
            %(type)s e = exp((%(type)s)-1.5 * (a + (%(type)s)1.3));
            %(type)s slope = (%(type)s)-0.5 / (1 + exp(a)) - (%(type)s)0.96 * e / ((1 + e) * (1 + e));
            %(out)s = (a >= %(range)s || a <= -%(range)s) ? 0 : slope;
        }""" % _c_names(node, inputs, outputs)

    def c_code_cache_version(self):
        return (3,)


def _c_names(node, inputs, outputs):
    names = {"type": "npy_float32" if node.outputs[0].dtype == "float32" else "npy_float64",
             "out": outputs[0], "mean": inputs[0], "log_sigma": inputs[1]}
    names["range"] = "(%s)%r" % (names["type"], LOG_ALPHA_RANGE)
    # fmin and fmax would hide a NaN, because they return the bound for it.
    names["raw"] = "(2 * %(log_sigma)s - 2 * log(fabs(%(mean)s)))" % names
    names["clipped_log_alpha"] = ("(%(raw)s > %(range)s ? %(range)s : (%(raw)s < -%(range)s ? -%(range)s : %(raw)s))"
                                  % names)
    return names


_log_uniform_kl_scalar = _LogUniformKL(scalar.upgrade_to_float, name="log_uniform_kl")
_log_uniform_kl_slope = _LogUniformKLSlope(scalar.upgrade_to_float, name="log_uniform_kl_slope")
_log_uniform_kl = T.Elemwise(_log_uniform_kl_scalar, name="log_uniform_kl")


def log_uniform_kl(mean, log_sigma):
    """KL divergence from N(mean, sigma^2) to the log-uniform prior, per element, up to a constant [1]_.

    The divergence is ``0.5 log(1 + 1/alpha) - 0.03 - 0.64 sigmoid(1.5 (log alpha + 1.3))``, with log alpha clipped to
    [-8, 8]. It is negative for pruned weights.

    Parameters
    ----------
    mean, log_sigma : symbolic tensors of one shape

    Returns
    -------
    symbolic tensor of that shape
    """
    return _log_uniform_kl(mean, log_sigma)


def normal_kl(mean, log_sigma):
    """KL divergence from N(mean, sigma^2) to the standard normal prior, per element.

    Parameters
    ----------
    mean, log_sigma : symbolic tensors of one shape

    Returns
    -------
    symbolic tensor of that shape
    """
    return -log_sigma + 0.5 * (T.exp(2 * log_sigma) + mean ** 2) - 0.5


_DIVERGENCES = {"normal": normal_kl, "log_uniform": log_uniform_kl}


def reference_norms(data_loss, groups, kl_weight):
    """Return the divergences, and norms and gradients of the whole objective; see `objective_norms`."""
    zero = T.constant(0, dtype=kl_weight.dtype)
    divergences = [zero if group.prior is None else _DIVERGENCES[group.prior](*group.parameters).sum()
                   for group in groups]
    parameters = [parameter for group in groups for parameter in group.parameters]
    gradients = OrderedDict(zip(parameters, T.grad(data_loss + sum(divergences) * kl_weight, parameters)))
    squares = {parameter: T.sum(gradient ** 2) for parameter, gradient in gradients.items()}
    return divergences, squares, gradients


def reference_updates(groups, gradients, state, kl_weight, factor, step_size, finite, log_sigma_rate=1.):
    """Return the updates of a step of Adam; see `adam_updates`. `gradients` are those of the whole objective."""
    updates = OrderedDict()
    log_sigmas = set(group.parameters[1] for group in groups if group.prior is not None)
    for parameter, gradient in gradients.items():
        gradient = gradient if factor is None else gradient * factor
        mean, square = state.means[parameter], state.squares[parameter]
        updates[mean] = number_like(BETA_1, mean) * mean + number_like(1 - BETA_1, mean) * gradient
        updates[square] = number_like(BETA_2, square) * square + number_like(1 - BETA_2, square) * gradient ** 2
        size = step_size
        if parameter in log_sigmas and log_sigma_rate != 1:
            size = step_size * number_like(log_sigma_rate, parameter)
        updates[parameter] = parameter - size * updates[mean] / (
            T.sqrt(updates[square]) + number_like(EPSILON, square))
    return guarded(updates, finite)
