"""Common code of the JAX programs: normal posteriors with a log-uniform prior, an LSTM, the compiled step."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

__all__ = ["normal_posterior", "sample", "total_kl", "lstm_bias", "lstm", "zero_state", "training_step"]


def normal_posterior(mean):
    """Return the parameters of a posterior: means, and log standard deviations of -3."""
    return {"mean": mean, "log_sigma": jnp.full_like(mean, -3.)}


def sample(key, posterior):
    """Return a reparametrised sample."""
    mean = posterior["mean"]
    return mean + jax.random.normal(key, mean.shape) * jnp.exp(posterior["log_sigma"])


def total_kl(posteriors):
    """Return the approximate KL divergence of all posteriors in a dict.

    Molchanov et al., arXiv 1701.05369, equation 14, with k1 = 0.64.
    """
    total = 0.
    for posterior in posteriors.values():
        log_alpha = jnp.clip(2 * (posterior["log_sigma"] - jnp.log(jnp.abs(posterior["mean"]) + 1e-20)), -8, 8)
        total += jnp.sum(0.5 * jax.nn.softplus(-log_alpha) - 0.64 * jax.nn.sigmoid(1.5 * (log_alpha + 1.3)) - 0.03)
    return total


def lstm_bias(units):
    """Return initial biases ``(4 * units,)``: 1 for the forget gates, else 0."""
    return jnp.zeros(4 * units).at[units:2 * units].set(1)


def zero_state(rows, units):
    """Return h and c of zeros, ``(rows, units)`` each."""
    return jnp.zeros((rows, units)), jnp.zeros((rows, units))


def lstm(projected, W_hid, state, gate=jax.nn.sigmoid, mask=None):
    """Run an LSTM over time with `jax.lax.scan`; gates in the order input, forget, cell, output.

    Parameters
    ----------
    projected : jax.Array
        ``(T, B, 4H)``, inputs times input weights plus biases.
    W_hid : jax.Array
        ``(H, 4H)``
    state : tuple of jax.Array
        h and c, ``(B, H)`` each.
    gate : callable
    mask : jax.Array, optional
        ``(T, B)``, boolean. Where it is false, the state is carried over.

    Returns
    -------
    outputs : jax.Array
        ``(T, B, H)``
    state : tuple of jax.Array
    """
    def cell(state, inputs):
        h, c = state
        preactivation, seen = inputs
        i, f, g, o = jnp.split(preactivation + h @ W_hid, 4, axis=1)
        new_c = gate(f) * c + gate(i) * jnp.tanh(g)
        new_h = gate(o) * jnp.tanh(new_c)
        if seen is not None:
            new_h, new_c = jnp.where(seen, new_h, h), jnp.where(seen, new_c, c)
        return (new_h, new_c), new_h
    state, outputs = jax.lax.scan(cell, state, (projected, None if mask is None else mask[..., None]))
    return outputs, state


def training_step(loss_function, optimizer, parameters, minibatch, carried=()):
    """Return a function that trains for one step, compiled as a whole, and returns the loss.

    Parameters
    ----------
    loss_function : callable
        Takes parameters, a key, the minibatch and the carried state; returns the objective and the pair of the
        reported loss and the new carried state.
    optimizer : optax.GradientTransformation
    parameters, minibatch, carried
        Trees of arrays.
    """
    @partial(jax.jit, donate_argnums=0)
    def update(training_state, minibatch, key):
        parameters, optimizer_state, carried = training_state
        (_, (loss, carried)), gradients = jax.value_and_grad(loss_function, has_aux=True)(
            parameters, key, minibatch, carried)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
        return (optax.apply_updates(parameters, updates), optimizer_state, carried), loss
    training_state, key = (parameters, optimizer.init(parameters), carried), jax.random.key(1)

    def step():
        nonlocal training_state, key
        key, step_key = jax.random.split(key)
        training_state, loss = update(training_state, minibatch, step_key)
        jax.block_until_ready(training_state)
        return loss
    return step
