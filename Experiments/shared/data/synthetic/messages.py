"""Generated messages of customers, with the department that they are for."""

from .choices import SEED, Choices, filled, made_up_names
from .documents import REVERSED, padded
from .words import DAYS, NUMBERS, RELATIVES, THINGS

__all__ = ["generate_messages", "DEPARTMENTS"]

#: Label of a message to the sentences that ask for it, and the words for ``{what}`` in them.
DEPARTMENTS = {
    "account": (["I cannot {what} .", "Please help me to {what} .", "The page does not let me {what} ."],
                ["log in", "sign in", "change my password", "reset my password", "update my profile",
                 "close my account", "change my username"]),
    "delivery": (["{what} has not arrived yet .", "Where is {what} ?", "{what} was left at the wrong door .",
                  "The driver lost {what} ."],
                 ["the parcel", "my parcel", "the package", "my shipment", "the courier", "the tracked letter"]),
    "praise": (["{what}", "I just wanted to say : {what}", "My {relative} says it too : {what}"],
               ["thank you so much !", "great service !", "I am delighted .", "keep up the excellent work !",
                "your team was wonderful ."]),
    "refund": (["I want {what} .", "Please arrange {what} .", "When do I get {what} ?", "I still wait for {what} ."],
               ["my money back", "a refund", "a full refund", "the amount reimbursed", "my payment returned"]),
}
NEUTRAL_SENTENCES = [
    "I bought the {thing} on {day} .", "It was a present for my {relative} .", "My order number is {number} {code} .",
    "The shop in {place} sold it to me .", "{person} from {place} took the call .", "I wrote to {person} on {day} .",
    "We use the {thing} every {day} .", "It has been {number} weeks now .", "The {thing} is for {person} in {place} .",
]
# Of another department, which is not the one that the message is for.
OTHER_SENTENCES = ["My {relative} had asked you before : {other}", "Last year I wrote : {other}",
                   "This is not one of the letters that say : {other}"]
OTHER = 0.3


def generate_messages(seed=SEED, documents=4000):
    """Generate messages of customers of a shop that does not exist.

    Most words are independent of the label. In 30 % of the messages, a sentence quotes a request for another
    department, and in 2 % the words contradict the label.

    Parameters
    ----------
    seed : int
    documents : int

    Returns
    -------
    documents, labels : list of str
        Texts of 15 to about 50 words; the labels are the keys of `DEPARTMENTS`.
    """
    choices = Choices(seed)
    taken = set(THINGS + RELATIVES + NUMBERS)
    lexicon = {
        "person": [name.capitalize() for name in made_up_names(choices, 500, ["an", "el", "is", "en", "ert"], taken)],
        "place": [name.capitalize() for name in made_up_names(choices, 300, ["burg", "ia", "stad", "ona"], taken)],
        "code": made_up_names(choices, 200, ["x", "q"], taken), "thing": THINGS, "relative": RELATIVES,
        "number": NUMBERS, "day": DAYS}
    names = list(DEPARTMENTS)
    labels = choices.shuffled([names[number % len(names)] for number in range(documents)])
    return [_message(choices, lexicon, label) for label in labels], labels


def _message(choices, lexicon, label):
    names = list(DEPARTMENTS)
    sentences = [_request(choices, lexicon, choices.pick(names) if choices.chance(REVERSED) else label)]
    if choices.chance(OTHER):
        other = names[(names.index(label) + 1 + choices.below(len(names) - 1)) % len(names)]
        quoted = dict(lexicon, other=[_request(choices, lexicon, other)])
        sentences.append(filled(choices, quoted, choices.pick(OTHER_SENTENCES)))
    sentences = padded(choices, lexicon, sentences, NEUTRAL_SENTENCES, 20 + choices.below(26), least=15)
    text = " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
    for mark in ".?!:":
        text = text.replace(" " + mark, mark)
    return text


def _request(choices, lexicon, department):
    sentences, words = DEPARTMENTS[department]
    return filled(choices, dict(lexicon, what=words), choices.pick(sentences))
