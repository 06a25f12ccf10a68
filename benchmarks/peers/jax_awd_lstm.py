"""One training step of the AWD-LSTM language model of Penn Treebank in JAX, compiled as a whole.

    python jax_awd_lstm.py 1150 5

10,000 words, 20 streams of 70 steps, LSTMs of 400-NHID-NHID-400, tied decoder, weight drop, variational dropouts;
forward, backward, gradient norm of at most 0.25, SGD. Merity, Keskar, Socher, arXiv 1708.02182.
"""

import jax
import jax.numpy as jnp
import optax
import protocol
from jax_layers import lstm, training_step, zero_state

WORDS, EMBEDDING, LENGTH, STREAMS = 10000, 400, 70, 20
DROPOUT_WORDS, DROPOUT_INPUT, DROPOUT_HIDDEN, DROPOUT_OUTPUT, WEIGHT_DROP = 0.1, 0.4, 0.25, 0.4, 0.5


def initial_parameters(key, sizes):
    """Return the embedding, the decoder's bias, and weights and both biases of each LSTM."""
    embedding, *keys = jax.random.split(key, len(sizes))

    def uniform(key, shape, bound):
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)
    lstms = []
    for lstm_key, inputs, units in zip(keys, sizes, sizes[1:]):
        shapes = {"W_in": (inputs, 4 * units), "W_hid": (units, 4 * units), "b_in": 4 * units, "b_hid": 4 * units}
        lstms.append({name: uniform(weight_key, shape, units ** -0.5) for weight_key, (name, shape)
                      in zip(jax.random.split(lstm_key, len(shapes)), shapes.items())})
    return {"embedding": uniform(embedding, (WORDS, EMBEDDING), 0.1), "bias": jnp.zeros(WORDS), "lstms": lstms}


def dropped(key, x, p, mask_shape):
    """Return x with one dropout mask of this shape, broadcast."""
    return x * (jax.random.bernoulli(key, 1 - p, mask_shape) / (1 - p))


def locked_dropout(key, x, p):
    """Return x ``(T, B, F)`` with a dropout mask that is the same at all steps."""
    return dropped(key, x, p, (1,) + x.shape[1:])


def loss_function(parameters, key, tokens, states):
    """Return the objective of tokens ``(T + 1, B)``, the cross-entropy alone, and the final states."""
    lstms = parameters["lstms"]
    rows, inputs, *keys = jax.random.split(key, 2 + 2 * len(lstms))
    embedding = dropped(rows, parameters["embedding"], DROPOUT_WORDS, (WORDS, 1))
    output, final_states = locked_dropout(inputs, embedding[tokens[:-1]], DROPOUT_INPUT), []
    for number, (weights, state) in enumerate(zip(lstms, states), 1):
        W_hid = dropped(keys.pop(), weights["W_hid"], WEIGHT_DROP, weights["W_hid"].shape)
        raw, state = lstm(output @ weights["W_in"] + weights["b_in"] + weights["b_hid"], W_hid, state)
        output = locked_dropout(keys.pop(), raw, DROPOUT_OUTPUT if number == len(lstms) else DROPOUT_HIDDEN)
        final_states.append(state)
    scores = output @ parameters["embedding"].T + parameters["bias"]
    loss = optax.softmax_cross_entropy_with_integer_labels(scores, tokens[1:]).mean()
    return loss + 2 * jnp.mean(output ** 2) + jnp.mean(jnp.diff(raw, axis=0) ** 2), (loss, final_states)


def make_step(arguments):
    """Return the training step, on one random minibatch."""
    initial, tokens = jax.random.split(jax.random.key(0))
    sizes = (EMBEDDING, arguments.nhid, arguments.nhid, EMBEDDING)
    optimizer = optax.chain(optax.clip_by_global_norm(0.25), optax.add_decayed_weights(1.2e-6), optax.sgd(30.))
    return training_step(loss_function, optimizer, initial_parameters(initial, sizes),
                         jax.random.randint(tokens, (LENGTH + 1, STREAMS), 0, WORDS),
                         [zero_state(STREAMS, units) for units in sizes[1:]])


if __name__ == "__main__":
    created = protocol.parser(__doc__)
    created.add_argument("nhid", metavar="NHID", type=int)
    protocol.run_jax(created, make_step)
