"""One training step of the Bayesian word-level language model of Penn Treebank (LCCL) in JAX, compiled as a whole.

    python jax_word_lm.py 5

10,000 words, 256 hidden units, 32 streams of 35 steps; weights are sampled once per step, the state is carried over;
forward, backward, gradient norm of at most 10, Adam.
"""

import jax
import jax.numpy as jnp
import optax
import protocol
from jax_layers import lstm, lstm_bias, normal_posterior, sample, total_kl, training_step, zero_state

WORDS, HIDDEN, LENGTH, STREAMS, TRAINING_TOKENS = 10000, 256, 35, 32, 929589
SHAPES = {"W_in": (WORDS, 4 * HIDDEN), "W_hid": (HIDDEN, 4 * HIDDEN), "W_out": (HIDDEN, WORDS)}


def loss_function(parameters, key, tokens, state):
    """Return the training objective of tokens ``(T + 1, B)``, itself again, and the final state."""
    posteriors = parameters["posteriors"]
    weights = {name: sample(sample_key, posteriors[name])
               for name, sample_key in zip(SHAPES, jax.random.split(key, len(SHAPES)))}
    hidden, state = lstm(weights["W_in"][tokens[:-1]] + parameters["bias"], weights["W_hid"], state)
    scores = hidden @ weights["W_out"] + parameters["bias_out"]
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels(scores, tokens[1:]).mean()
    loss = cross_entropy + total_kl(posteriors) / (TRAINING_TOKENS - STREAMS)
    return loss, (loss, state)


def make_step(arguments):
    """Return the training step, on one random minibatch."""
    *keys, tokens = jax.random.split(jax.random.key(0), len(SHAPES) + 1)
    orthogonal = jax.nn.initializers.orthogonal()
    posteriors = {name: normal_posterior(orthogonal(key, shape)) for key, (name, shape) in zip(keys, SHAPES.items())}
    parameters = {"posteriors": posteriors, "bias": lstm_bias(HIDDEN), "bias_out": jnp.zeros(WORDS)}
    return training_step(loss_function, optax.chain(optax.clip_by_global_norm(10.), optax.adam(2e-3)), parameters,
                         jax.random.randint(tokens, (LENGTH + 1, STREAMS), 0, WORDS), zero_state(STREAMS, HIDDEN))


if __name__ == "__main__":
    protocol.run_jax(protocol.parser(__doc__), make_step)
