"""Generated news in four topics."""

from .choices import SEED, Choices, filled
from .documents import REPORTED, REVERSED, document_lexicon, padded, train_and_test
from .words import DAYS, TOPIC_WORDS

__all__ = ["generate_news"]

NEUTRAL_SENTENCES = [
    "{person} told reporters in {place} on {day} that more would follow.",
    "it was announcement number {number} from {place} this {season}.",
    "{person} of {place} declined to comment on {day}.",
    "people in {place} had waited {number} weeks for it.",
    "the news from {place} came after {number} days of talk.",
    "{person} and {person} arrived from {place} in the {season}.",
]
TOPIC_SENTENCES = [
    "the {topic} in {place} surprised the {topic} on {day}.", "{person} spoke of the {topic} and the {topic}.",
    "a {topic} from {place} changed the {topic} for {person}.", "the {topic} was seen near {place} with {person}.",
    "after the {topic} , {person} turned to the {topic}.",
]
TITLES = ["{topic} in {place} near {number}", "{person} and the {topic}", "{place} looks at {topic}",
          "{person} on {topic} in {place}"]
OTHER_TOPIC_SENTENCES = ["on another page , {person} writes about the {off_topic}."]


def generate_news(seed=SEED, documents=10000):
    """Generate news in four topics, in lower case, title and description in one text; see `generate_reviews`."""
    choices = Choices(seed)
    lexicon = document_lexicon(choices, people=1900, places=1300, titles=1, capital=False)
    lexicon["day"] = [day.lower() for day in DAYS]
    labels = choices.shuffled([number % len(TOPIC_WORDS) for number in range(documents)])
    return train_and_test([_news_item(choices, lexicon, label) for label in labels], labels)


def _news_item(choices, lexicon, label):
    topics = list(TOPIC_WORDS.values())
    topic = topics[choices.below(len(topics)) if choices.chance(REVERSED) else label]
    lexicon = dict(lexicon, topic=topic, off_topic=topics[(label + 1 + choices.below(len(topics) - 1)) % len(topics)])
    title = filled(choices, lexicon, choices.pick(TITLES))
    sentences = [filled(choices, lexicon, choices.pick(TOPIC_SENTENCES)) for _ in range(1 + choices.below(2))]
    if choices.chance(REPORTED):
        sentences.append(filled(choices, lexicon, choices.pick(OTHER_TOPIC_SENTENCES)))
    target = 20 + choices.below(21)
    sentences = padded(choices, lexicon, sentences, NEUTRAL_SENTENCES, target, least=15)
    return (title + " " + " ".join(sentences)).replace(" ,", ",")
