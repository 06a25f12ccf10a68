"""A text classifier of your own: letters to a shop, sorted by subject.

The script trains an embedding, an LSTM and a fully connected layer, prunes them, and builds the small network that
is left. A letter names its subject by one word. Some letters also name another subject, after "not".
"""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.step_function import step_function

import numpy as np
import theano
import theano.tensor as T

from bayes_rnn.layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer
from bayes_rnn.pruning import compression_report, kept_words, prune
from bayes_rnn.smaller_network import smaller_network
from bayes_rnn.training_step import training_step

SUBJECTS = [("refund", "money", "price"), ("delivery", "parcel", "driver"), ("password", "account", "login")]
FILLERS = ["filler%d" % number for number in range(300)]
VOCABULARY = ["not"] + [word for words in SUBJECTS for word in words] + FILLERS
LETTERS, TEST_LETTERS, LENGTH, BATCH, EPOCHS = 600, 500, 10, 30, 40


def generate(count, rng):
    """Return letters, int32 ``(count, LENGTH)``, and their subjects, int32 ``(count,)``."""
    letters = rng.randint(len(VOCABULARY) - len(FILLERS), len(VOCABULARY), (count, LENGTH))
    subjects = rng.randint(len(SUBJECTS), size=count)
    for letter, subject in zip(letters, subjects):
        other = (subject + rng.randint(1, len(SUBJECTS))) % len(SUBJECTS)
        mentions = [[1 + 3 * subject + rng.randint(3)]]
        if rng.rand() < 0.5:
            mentions.append([VOCABULARY.index("not"), 1 + 3 * other + rng.randint(3)])
        rng.shuffle(mentions)
        begin = 0
        for mention in mentions:
            begin += rng.randint(3)
            letter[begin:begin + len(mention)] = mention
            begin += len(mention)
    return letters.astype("int32"), subjects.astype("int32")


def main():
    """Train, prune and evaluate."""
    rng = np.random.RandomState(0)
    lasagne.random.set_rng(np.random.RandomState(1))
    letters, subjects = generate(LETTERS, rng)
    test_letters, test_subjects = generate(TEST_LETTERS, rng)

    # The network. group_kind="L" prunes words, hid_kind="L" prunes hidden units; individual weights are always pruned.
    tokens, targets = T.imatrix("tokens"), T.ivector("targets")
    network = lasagne.layers.InputLayer((None, None), tokens)
    network = BayesianEmbeddingLayer(network, len(VOCABULARY), 16, W=lasagne.init.Normal(0.3), group_kind="L",
                                     name="embedding")
    network = BayesianLSTMLayer(network, num_units=16, hid_kind="L", only_return_final=True, name="lstm")
    network = BayesianDenseLayer(network, len(SUBJECTS), nonlinearity=lasagne.nonlinearities.softmax, name="dense")

    # The objective is the mean loss + KL divergence / training examples, whose weight grows in the first 5 epochs.
    prediction = lasagne.layers.get_output(network)                             # with sampled weights, for training
    loss = lasagne.objectives.categorical_crossentropy(prediction, targets).mean()
    step = training_step(network, loss, train_size=LETTERS, learning_rate=0.02, kl_warmup=5 * LETTERS // BATCH)
    train = step_function([tokens, targets], [step.loss], step.updates)
    for epoch in range(EPOCHS):
        order = rng.permutation(LETTERS).reshape(-1, BATCH)
        losses = [train(letters[batch], subjects[batch])[0] for batch in order]
        if epoch % 10 == 9:
            print("epoch %d: objective %.3f" % (epoch + 1, np.mean(losses)))

    # Prune permanently, and build the network of what is left.
    report = compression_report(network)
    print(report.text())
    print("kept words:", " ".join(word for word, _ in kept_words(network, VOCABULARY)))
    prune(network)
    small = smaller_network(network)
    print("parameters: %d of %d" % (lasagne.layers.count_params(small), lasagne.layers.count_params(network)))
    both = theano.function([tokens], lasagne.layers.get_output([network, small], deterministic=True))
    pruned, predicted = both(test_letters)
    print("largest difference, pruned against small: %.2g" % abs(pruned - predicted).max())
    print("accuracy %.3f, compression %.1f" % (np.mean(predicted.argmax(axis=1) == test_subjects), report.ratio))


if __name__ == "__main__":
    main()
