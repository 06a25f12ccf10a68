"""Generated film reviews, positive or negative."""

from .choices import SEED, Choices, filled
from .documents import REPORTED, REVERSED, document_lexicon, padded, train_and_test
from .words import NEGATIVE, POSITIVE

__all__ = ["generate_reviews"]

# Share of the opinions that are expressed by denying the opposite.
DENIED = 0.1

NEUTRAL_SENTENCES = [
    "The story follows {person} , a {job} from {place} who {meets} {person} .",
    "{person} plays the {job} and {person} plays the {relative} .",
    "It was filmed in {place} and {place} over {number} weeks .",
    "The {kind} opens with a {thing} in a {setting} near {place} .",
    "We saw it on a {day} evening with my {relative} .",
    "Then {person} leaves for {place} and takes the {thing} along .",
    "It runs for about {number} hours and is set in the {season} .",
    "There is a scene in a {setting} where {person} {meets} a {job} .",
    "{person} and {person} had worked together before in {title} .",
    "The {thing} belongs to the {relative} of {person} .",
    "My {relative} comes from {place} , so we wanted to see it .",
    "Most of it takes place in a {setting} close to {place} .",
    "The {job} {meets} {person} after the {season} .",
    "It is based on the book {title} by {person} .",
    "I saw {title} and {title} in the same week .",
    "{person} directed it {number} years after {title} .",
    "A {job} called {person} finds a {thing} in the {setting} .",
    "The people of {place} wait for the {thing} until {day} .",
    "In the second half {person} returns to the {setting} with the {thing} .",
    "{person} is the {relative} of {person} , the {job} .",
]
OPINION_SENTENCES = [
    "The {aspect} is {own} .", "I found the {aspect} {own} from start to finish .", "What a {own} {kind} .",
    "{person} gives a {own} performance .", "In the end it is a {own} {kind} .",
    "It has a {own} {aspect} and a {own} {aspect} .", "For me {title} was simply {own} .",
    "The {aspect} by {person} felt {own} to me .", "This is a {own} and {own} {kind} .",
]
NEGATED_SENTENCES = [
    "The {aspect} is not {other} .", "It is never {other} .", "There is nothing {other} about the {aspect} .",
    "I would not call the {aspect} {other} .",
]
DISTRACTOR_SENTENCES = [
    "Other critics called it {other} .", "The trailer promised a {other} {kind} .",
    "The poster of {title} calls it {other} .", "Some critics wrote that the {aspect} was {other} .",
]


def generate_reviews(seed=SEED, documents=10000):
    """Generate labelled reviews of films that do not exist.

    Each review has opinions that agree with its label. Some are negated ("not good"), and some reviews report the
    opposite opinion of others (critics, trailer, poster). In 2 % of the reviews all opinions contradict the label, so
    that the best possible accuracy is about 98 %.

    Parameters
    ----------
    seed : int
    documents : int
        A quarter of them becomes the test part.

    Returns
    -------
    train_documents, train_labels, test_documents, test_labels : list
        Texts of 20 to 80 words and labels (1 positive, 0 negative).
    """
    choices = Choices(seed)
    lexicon = document_lexicon(choices, people=1900, places=900, titles=1100, capital=True)
    labels = choices.shuffled([number % 2 for number in range(documents)])
    return train_and_test([_review(choices, lexicon, label) for label in labels], labels)


def _review(choices, lexicon, label):
    own, other = (POSITIVE, NEGATIVE) if label else (NEGATIVE, POSITIVE)
    if choices.chance(REVERSED):
        own, other = other, own
    lexicon = dict(lexicon, own=own, other=other)
    kinds = [NEGATED_SENTENCES if choices.chance(DENIED) else OPINION_SENTENCES for _ in range(2 + choices.below(3))]
    if choices.chance(REPORTED):
        kinds.append(DISTRACTOR_SENTENCES)
    sentences = [filled(choices, lexicon, choices.pick(kind)) for kind in kinds]
    sentences = padded(choices, lexicon, sentences, NEUTRAL_SENTENCES, 30 + choices.below(51), least=20)
    return " ".join(sentences).replace(" ,", ",").replace(" .", ".")
