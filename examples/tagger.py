"""A bidirectional tagger: two Bayesian LSTMs in opposite directions find the part of speech of every word.

Half of the nouns are also verbs. The words before and after such a word determine its tag: "the order was late",
"we will order the book", "order the book". Sentences have different lengths, so there is a mask.
"""

from theano_rnn.lasagne_compat import lasagne
from theano_rnn.step_function import step_function

import numpy as np
import theano
import theano.tensor as T

from bayes_rnn.layers import BayesianDenseLayer, BayesianEmbeddingLayer, BayesianLSTMLayer
from bayes_rnn.pruning import compression_report, prune
from bayes_rnn.smaller_network import smaller_network
from bayes_rnn.training_step import training_step

TAGS = ["determiner", "pronoun", "modal", "adjective", "noun", "verb"]
PATTERNS = [
    "the/determiner BOTH/noun was/verb ADJECTIVE/adjective", "we/pronoun will/modal BOTH/verb the/determiner NOUN/noun",
    "BOTH/verb the/determiner ADJECTIVE/adjective BOTH/noun", "BOTH/noun was/verb the/determiner NOUN/noun",
    "we/pronoun BOTH/verb ADJECTIVE/adjective NOUN/noun", "ADJECTIVE/adjective BOTH/noun will/modal BOTH/verb"]
WORDS = {kind: ["%s%d" % (kind.lower(), number) for number in range(40)] for kind in ("BOTH", "NOUN", "ADJECTIVE")}
VOCABULARY = ["<pad>", "the", "we", "will", "was"] + sum((WORDS[kind] for kind in sorted(WORDS)), [])
SENTENCES, TEST_SENTENCES, LENGTH, BATCH, EPOCHS = 500, 300, 10, 25, 30


def generate(count, rng):
    """Return words, mask and tags of sentences of one or two patterns: ``(count, LENGTH)`` each."""
    words, mask, tags = [np.zeros((count, LENGTH), dtype) for dtype in ("int32", theano.config.floatX, "int32")]
    for row in range(count):
        tokens = " ".join(rng.choice(PATTERNS, size=1 + rng.randint(2))).split()
        for column, (word, tag) in enumerate(token.split("/") for token in tokens):
            word = rng.choice(WORDS[word]) if word in WORDS else word
            words[row, column], tags[row, column] = VOCABULARY.index(word), TAGS.index(tag)
        mask[row, :len(tokens)] = 1
    return words, mask, tags


def baseline(words, mask, tags, test_words, test_mask, test_tags):
    """Return the accuracy of the most frequent tag of each word."""
    counts = np.zeros((len(VOCABULARY), len(TAGS)))
    np.add.at(counts, (words[mask > 0], tags[mask > 0]), 1)
    return np.mean((counts.argmax(axis=1)[test_words] == test_tags)[test_mask > 0])


def main():
    """Train, prune and evaluate."""
    rng = np.random.RandomState(0)
    lasagne.random.set_rng(np.random.RandomState(1))
    sentences, test_sentences = generate(SENTENCES, rng), generate(TEST_SENTENCES, rng)

    words, mask, tags = T.imatrix("words"), T.matrix("mask"), T.imatrix("tags")
    mask_layer = lasagne.layers.InputLayer((None, None), mask)
    embedding = lasagne.layers.InputLayer((None, None), words)
    embedding = BayesianEmbeddingLayer(embedding, len(VOCABULARY), 16, W=lasagne.init.Normal(0.2), name="words")
    forwards = BayesianLSTMLayer(embedding, 12, hid_kind="L", mask_input=mask_layer, name="forwards")
    backwards = BayesianLSTMLayer(embedding, 12, hid_kind="L", mask_input=mask_layer, backwards=True, name="backwards")
    network = lasagne.layers.ConcatLayer([forwards, backwards], axis=2)
    network = lasagne.layers.ReshapeLayer(network, (-1, 24))                    # one row per word
    network = BayesianDenseLayer(network, len(TAGS), nonlinearity=lasagne.nonlinearities.softmax, name="tags")

    # The mean loss is per word, so the training examples are the words.
    losses = lasagne.objectives.categorical_crossentropy(lasagne.layers.get_output(network), tags.flatten())
    loss = lasagne.objectives.aggregate(losses, mask.flatten(), mode="normalized_sum")
    step = training_step(network, loss, train_size=int(sentences[1].sum()), learning_rate=0.02, kl_warmup=100)
    train = step_function([words, mask, tags], [step.loss], step.updates)
    for epoch in range(EPOCHS):
        order = rng.permutation(SENTENCES).reshape(-1, BATCH)
        objectives = [train(*[part[batch] for part in sentences])[0] for batch in order]
        if epoch % 10 == 9:
            print("epoch %d: objective %.3f" % (epoch + 1, np.mean(objectives)))

    report = compression_report(network)
    print(report.text())
    prune(network)
    small = smaller_network(network)
    both = theano.function([words, mask], lasagne.layers.get_output([network, small], deterministic=True))
    pruned, predicted = both(*test_sentences[:2])
    print("largest difference, pruned against small: %.2g" % abs(pruned - predicted).max())
    right = (predicted.argmax(axis=1) == test_sentences[2].ravel())[test_sentences[1].ravel() > 0]
    print("most frequent tag of each word: accuracy %.3f" % baseline(*(sentences + test_sentences)))
    print("accuracy %.3f, compression %.1f" % (right.mean(), report.ratio))


if __name__ == "__main__":
    main()
