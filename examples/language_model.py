"""A sparse language model: an embedding, LSTMs and an output layer with predefined sparseness.

The text consists of phrases of a few words. Within a phrase the next word is certain, between phrases it is not. The
vocabulary is sorted from the least to the most frequent word, because rare words get short vectors.
"""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.ops.cross_entropy import softmax_cross_entropy
from theano_rnn.step_function import step_function

import numpy as np
import theano
import theano.tensor as T

from sparse_seq_theano.layers import LockedDropoutLayer, SparseDecoderLayer, SparseEmbeddingLayer, SparseLSTMLayer
from sparse_seq_theano.optimizers import adam, clip_by_total_norm

PHRASES, VOCABULARY, WORDS, STREAMS, STEPS, EPOCHS = 30, 100, 20000, 20, 20, 7


def generate(rng):
    """Return a text as word ids, sorted from the least to the most frequent word, int32 ``(WORDS,)``."""
    zipf = 1. / np.arange(1, VOCABULARY + 1)
    phrases = [rng.choice(VOCABULARY, size=4 + rng.randint(4), p=zipf / zipf.sum()) for _ in range(PHRASES)]
    text = np.concatenate([phrases[number] for number in rng.randint(PHRASES, size=WORDS // 4)])[:WORDS]
    ranks = np.argsort(np.argsort(np.bincount(text, minlength=VOCABULARY), kind="mergesort"), kind="mergesort")
    return ranks[text].astype("int32")


def build(tokens, blocks, density, reduction):
    """Return the output layer: scores ``(batch, time, VOCABULARY)``. 1 block and no reduction: a dense network."""
    tokens = lasagne.layers.InputLayer((None, None), tokens)
    embedding = SparseEmbeddingLayer(tokens, VOCABULARY, dimensions=30, blocks=blocks, density=density)
    network = SparseLSTMLayer(embedding, num_units=60, reduce_in=reduction, reduce_out=reduction)
    network = LockedDropoutLayer(network, 0.1)
    network = SparseLSTMLayer(network, num_units=30, reduce_in=reduction, reduce_out=1)
    return SparseDecoderLayer(network, embedding)                               # tied weights


def nats(scores, targets):
    """Return the mean cross-entropy of scores in nats."""
    losses, _ = softmax_cross_entropy(scores.reshape((-1, VOCABULARY)), targets.flatten())
    return losses.mean()


def main():
    """Train and evaluate."""
    rng = np.random.RandomState(0)
    lasagne.random.set_rng(np.random.RandomState(1))
    streams = generate(rng).reshape(STREAMS, -1)
    parts = [streams[:, begin:begin + STEPS + 1] for begin in range(0, streams.shape[1] - STEPS, STEPS)]
    parts, test_parts = parts[:-10], parts[-10:]

    tokens, targets = T.imatrix("tokens"), T.imatrix("targets")
    network = build(tokens, blocks=3, density=0.5, reduction=0.5)
    dense = build(tokens, blocks=1, density=1, reduction=1)
    compression = lasagne.layers.count_params(dense) / float(lasagne.layers.count_params(network))

    loss = nats(lasagne.layers.get_output(network), targets)                    # with dropout, for training
    parameters = lasagne.layers.get_all_params(network, trainable=True)
    gradients, norm = clip_by_total_norm(T.grad(loss, parameters), max_norm=1.)
    train = step_function([tokens, targets], [loss], adam(gradients, parameters, learning_rate=0.02))
    for epoch in range(EPOCHS):
        losses = [train(parts[number][:, :-1], parts[number][:, 1:])[0] for number in rng.permutation(len(parts))]
        print("epoch %d: perplexity %.1f in training" % (epoch + 1, np.exp(np.mean(losses))))

    evaluate = theano.function([tokens, targets], nats(lasagne.layers.get_output(network, deterministic=True), targets))
    perplexity = np.exp(np.mean([evaluate(part[:, :-1], part[:, 1:]) for part in test_parts]))
    frequencies = np.bincount(streams.ravel(), minlength=VOCABULARY) / float(streams.size)
    unigram = np.exp(-np.sum(frequencies * np.log(np.maximum(frequencies, 1e-9))))
    print("perplexity of the word frequencies: %.1f" % unigram)
    print("perplexity %.1f, compression %.1f" % (perplexity, compression))


if __name__ == "__main__":
    main()
