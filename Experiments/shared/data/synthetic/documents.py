"""Common parts of the generated reviews and news: lexicon, length, split into train and test."""

from theano_rnn.tokens import tokenize

from . import words
from .choices import filled, made_up_names

__all__ = ["REVERSED", "REPORTED", "document_lexicon", "padded", "train_and_test"]

# Share of the documents whose words contradict the label, and of those that report something of another label.
REVERSED, REPORTED = 0.02, 0.2


def document_lexicon(choices, people, places, titles, capital):
    """Return the words for each slot of a sentence: dict of str to list of str.

    Parameters
    ----------
    choices : Choices
    people, places, titles : int
        Number of made-up names.
    capital : bool
        Whether names start with a capital letter.
    """
    groups = [words.POSITIVE, words.NEGATIVE, words.ASPECTS, words.JOBS, words.RELATIVES, words.THINGS, words.SETTINGS,
              words.NUMBERS, words.SEASONS, words.KINDS, words.MEETS] + list(words.TOPIC_WORDS.values())
    taken = {word for group in groups for word in group}
    names = {
        "person": made_up_names(choices, people, ["an", "el", "o", "is", "en", "ert"], taken),
        "place": made_up_names(choices, places, ["burg", "ia", "ova", "stad", "mouth", "ona"], taken),
        "title": made_up_names(choices, titles, ["ix", "ara", "eum", "or", "ys"], taken),
    }
    if capital:
        names = {slot: [name.capitalize() for name in names[slot]] for slot in names}
    names.update(job=words.JOBS, relative=words.RELATIVES, thing=words.THINGS, setting=words.SETTINGS,
                 number=words.NUMBERS, season=words.SEASONS, day=words.DAYS, kind=words.KINDS, meets=words.MEETS,
                 aspect=words.ASPECTS)
    return names


def padded(choices, lexicon, sentences, neutral, target, least):
    """Add neutral sentences up to about `target` words, at least `least`, and shuffle all sentences."""
    while True:
        sentence = filled(choices, lexicon, choices.pick(neutral))
        count = _word_count(sentences)
        if count >= least and count + _word_count([sentence]) > target:
            return choices.shuffled(sentences)
        sentences = sentences + [sentence]


def train_and_test(documents, labels):
    """Return train documents, train labels, test documents and test labels; a quarter is the test part."""
    border = len(documents) - len(documents) // 4
    return documents[:border], labels[:border], documents[border:], labels[border:]


def _word_count(sentences):
    return sum(len(tokenize(sentence)) for sentence in sentences)
