"""One training step of the Bayesian text classifier of IMDB in JAX, compiled as a whole.

    python jax_sparse_vd.py LLLCCL 5

Vocabulary 20,003, embedding 300, 128 hidden units, 128 texts of 200 tokens; forward, backward, Adam. CONFIG is LLLCCL
(group variables of the vocabulary) or LCLCCL (individual weights alone).
"""

import jax
import jax.numpy as jnp
import optax
import protocol
from jax_layers import lstm, lstm_bias, normal_posterior, sample, total_kl, training_step, zero_state

WORDS, EMBEDDING, HIDDEN, LENGTH, TEXTS, TRAINING_TEXTS = 20003, 300, 128, 200, 128, 21250


def initial_parameters(key, config):
    """Return posteriors by name, and biases."""
    init, keys = jax.nn.initializers, jax.random.split(key, 4)
    means = {"embedding": jax.random.uniform(keys[0], (WORDS, EMBEDDING), minval=-0.05, maxval=0.05),
             "W_in": init.glorot_uniform()(keys[1], (EMBEDDING, 4 * HIDDEN)),
             "W_hid": init.orthogonal(1.1)(keys[2], (HIDDEN, 4 * HIDDEN)),
             "W_out": init.glorot_uniform()(keys[3], (HIDDEN, 1))}
    if config[1] == "L":
        means["z_words"] = jnp.ones(WORDS)
    return {"posteriors": {name: normal_posterior(mean) for name, mean in means.items()},
            "bias": lstm_bias(HIDDEN), "bias_out": jnp.zeros(1)}


def hard_sigmoid(x):
    """Return clip(0.2 x + 0.5, 0, 1); JAX's own has the slope 1/6."""
    return jnp.clip(0.2 * x + 0.5, 0, 1)


def loss_function(parameters, key, minibatch, carried):
    """Return the training objective of tokens and mask ``(T, B)`` and labels ``(B,)``."""
    tokens, mask, labels = minibatch
    posteriors = parameters["posteriors"]
    keys = dict(zip(("embedding", "z_words", "W_in", "W_hid", "output"), jax.random.split(key, 5)))
    embedded = sample(keys["embedding"], posteriors["embedding"])[tokens]                   # (T, B, E)
    if "z_words" in posteriors:
        # One sample for each text and word; a word has the same sample at all its positions.
        noise = jnp.take_along_axis(jax.random.normal(keys["z_words"], (WORDS, TEXTS)), tokens, axis=0)
        z_words = posteriors["z_words"]
        embedded *= (z_words["mean"][tokens] + noise * jnp.exp(z_words["log_sigma"])[tokens])[..., None]
    projected = embedded @ sample(keys["W_in"], posteriors["W_in"]) + parameters["bias"]
    W_hid = sample(keys["W_hid"], posteriors["W_hid"])
    _, (h, _) = lstm(projected, W_hid, zero_state(TEXTS, HIDDEN), hard_sigmoid, mask)
    W_out = posteriors["W_out"]
    mean = (h @ W_out["mean"] + parameters["bias_out"])[:, 0]
    deviation = jnp.sqrt(h ** 2 @ jnp.exp(2 * W_out["log_sigma"]) + 1e-8)[:, 0]
    probability = jax.nn.sigmoid(mean + deviation * jax.random.normal(keys["output"], mean.shape))
    probability = jnp.clip(probability, 1e-6, 1 - 1e-6)
    cross_entropy = -jnp.mean(labels * jnp.log(probability) + (1 - labels) * jnp.log(1 - probability))
    loss = cross_entropy + total_kl(posteriors) / TRAINING_TEXTS
    return loss, (loss, carried)


def make_step(arguments):
    """Return the training step, on one random minibatch."""
    initial, tokens, labels = jax.random.split(jax.random.key(0), 3)
    minibatch = (jax.random.randint(tokens, (LENGTH, TEXTS), 0, WORDS), jnp.ones((LENGTH, TEXTS), bool),
                 jax.random.bernoulli(labels, shape=(TEXTS,)).astype(jnp.float32))
    return training_step(loss_function, optax.adam(5e-4), initial_parameters(initial, arguments.config), minibatch)


if __name__ == "__main__":
    created = protocol.parser(__doc__)
    created.add_argument("config", metavar="CONFIG", choices=("LLLCCL", "LCLCCL"))
    protocol.run_jax(created, make_step)
