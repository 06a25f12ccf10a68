"""The generated corpora have the described properties and are always the same."""

import collections
import hashlib
import re

from theano_rnn.tokens import tokenize, word_tokens

import pytest

from Experiments.AGNews.prepare_data import CLASSES
from Experiments.shared.data import synthetic
from Experiments.shared.data.synthetic.messages import DEPARTMENTS
from Experiments.shared.data.synthetic.words import NEGATIVE, POSITIVE, TOPIC_WORDS
from Experiments.shared.data.text_classification import build_vocabulary

DIGESTS = ["6d5c65a1f1306b76", "6224f13a6ff4ca1d", "580d02916bdc5bac"]


@pytest.fixture(scope="module")
def reviews():
    return synthetic.generate_reviews()


@pytest.fixture(scope="module")
def news():
    return synthetic.generate_news()


def digest(corpus):
    return hashlib.sha256(repr(corpus).encode("ascii")).hexdigest()[:16]


def test_corpora_are_always_the_same(reviews, news):
    assert [digest(reviews), digest(news), digest(synthetic.generate_language())] == DIGESTS
    assert digest(synthetic.generate_reviews(1)) != DIGESTS[0]


def test_reviews_are_as_described(reviews):
    train, train_labels, test, test_labels = reviews
    assert (len(train), len(test)) == (7500, 2500)
    assert set(train_labels) == set(test_labels) == {0, 1}
    assert 0.45 < sum(train_labels) / 7500 < 0.55
    lengths = [len(tokenize(review)) for review in train + test]
    assert min(lengths) >= 20 and max(lengths) <= 80
    assert 3000 <= len(build_vocabulary(train)) <= 5000
    assert len(set(POSITIVE) | set(NEGATIVE)) == 40
    assert set(POSITIVE + NEGATIVE) <= set(build_vocabulary(train))


def test_sentiment_words_tell_much_but_not_all(reviews):
    train, train_labels, _, _ = reviews
    right = 0
    for review, label in zip(train, train_labels):
        counts = collections.Counter(tokenize(review))
        balance = sum(counts[word] for word in POSITIVE) - sum(counts[word] for word in NEGATIVE)
        right += (balance > 0) == bool(label) and balance != 0
    assert 0.8 < right / len(train) < 0.95
    joined = " ".join(train)
    assert " is not " in joined and "critics" in joined and "trailer" in joined


def test_news_are_as_described(news):
    train, train_labels, test, test_labels = news
    assert (len(train), len(test)) == (7500, 2500)
    assert set(train_labels) == {0, 1, 2, 3}
    assert all(item == item.lower() for item in train)
    lengths = [len(tokenize(item)) for item in train + test]
    assert min(lengths) >= 15 and max(lengths) <= 80
    assert tuple(TOPIC_WORDS) == CLASSES
    assert 2000 <= len(build_vocabulary(train)) <= 5000


def test_messages_are_as_described():
    texts, labels = synthetic.generate_messages(0, 1000)
    assert synthetic.generate_messages(0, 1000) == (texts, labels) != synthetic.generate_messages(1, 1000)
    assert collections.Counter(labels) == dict.fromkeys(DEPARTMENTS, 250)
    lengths = [len(tokenize(text)) for text in texts]
    assert min(lengths) >= 15 and max(lengths) <= 55
    refunds = [label for text, label in zip(texts, labels) if "refund" in tokenize(text)]
    assert 0.7 < refunds.count("refund") / len(refunds) < 0.95         # others quote a request for a refund


def test_language_has_the_format_of_the_treebank():
    train, valid, test = synthetic.generate_language()
    assert all(re.match(r" [^ \n]+( [^ \n]+)* $", line) for line in train.split("\n")[:-1])
    assert all(word == word.lower() or word == "N" for word in train.split())
    assert 60000 <= len(word_tokens(train)) < 60100
    assert 6000 <= len(word_tokens(valid)) < 6100 and 6000 <= len(word_tokens(test)) < 6100
    words = set(word_tokens(train))
    assert 600 <= len(words) <= 1000 and {"<unk>", "N"} <= words
    assert len(set(train)) < 50


def test_tags_need_context():
    train, valid, _ = synthetic.generate_tagged()
    assert synthetic.generate_tagged()[0] == train != synthetic.generate_tagged(1)[0]
    by_word, by_context = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    for word, tag, before, after in with_neighbours(train):
        by_word[word][tag] += 1
        by_context[before, after][tag] += 1
    right, right_in_context, total = 0, 0, 0
    for word, tag, before, after in with_neighbours(valid):
        total += 1
        right += most_frequent(by_word[word]) == tag
        in_context = collections.Counter({candidate: by_context[before, after][candidate]
                                          for candidate in by_word[word] or by_context[before, after]})
        right_in_context += most_frequent(in_context) == tag
    assert right / total < 0.9 and right_in_context / total > 0.95


def with_neighbours(part):
    """Return each word with its tag and the neighbouring tags."""
    for sentence in part:
        tags = [""] + [tag for _, tag in sentence] + [""]
        for number, (word, tag) in enumerate(sentence):
            yield word, tag, tags[number], tags[number + 2]


def most_frequent(counter):
    return counter.most_common(1)[0][0] if counter else None
