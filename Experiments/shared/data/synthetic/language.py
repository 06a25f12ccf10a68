"""Generated text in the format of the Penn Treebank."""

from theano_rnn.tokens import UNKNOWN_WORD

from .choices import SEED, Choices, filled, made_up_names
from .words import ADJECTIVES, DAYS, MONTHS, NOUNS, PAST, PERIODS, ROLES, VERBS

__all__ = ["generate_language", "plural"]

SENTENCES = [
    "the {adjective} {noun} {past} the {noun} in {place}",
    "{company} said its {noun} {past} N % in {month}",
    "mr. {surname} , {role} of {company} , {past} a {adjective} {noun}",
    "shares of {company} rose N % to $ N a share",
    "shares of {company} fell N cents to $ N on {day}",
    "in {month} {company} {past} its {noun} for $ N million",
    "{company} expects to {verb} the {noun} by {month}",
    "the {noun} of {place} will {verb} its {noun} this {period}",
    "analysts at {company} said the {noun} could {verb} the {noun}",
    "mr. {surname} said he would n't {verb} the {adjective} {noun}",
    "ms. {surname} said she plans to {verb} a {noun} in {place}",
    "but the {noun} did n't {verb} the {noun}",
    "the {period} before , {company} had {past} N {plural}",
    "some {plural} in {place} are {adjective} , mr. {surname} said",
    "{plural} and {plural} were {adjective} in {place} last {period}",
    "a spokesman for {company} declined to {verb} the {noun}",
    "the {role} of {company} is {surname} {surname} , N years old",
    "it was {adjective} , but {company} {past} it on {day}",
    "about N {plural} {past} the {noun} last {period}",
    "{company} , based in {place} , has N {plural}",
    "the {noun} is {adjective} and the {noun} is {adjective}",
    "if the {plural} {verb} the {noun} , the {noun} will be {adjective}",
]


def generate_language(seed=SEED, tokens=(60000, 6000, 6000)):
    """Generate three texts in the format of the Penn Treebank files.

    One sentence per line, lower-case words between spaces, ``N`` for numbers, ``<unk>`` for rare names.

    Parameters
    ----------
    seed : int
    tokens : sequence of int
        Approximate number of words of train, valid and test, ends of lines included.

    Returns
    -------
    train, valid, test : str
    """
    choices = Choices(seed)
    lexicon = _lexicon(choices)
    return tuple(_text(choices, lexicon, count) for count in tokens)


def plural(noun):
    """Return the plural of a noun, or the third person of a verb."""
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else \
        noun + "es" if noun.endswith(("s", "x", "ch")) else noun + "s"


def _lexicon(choices):
    taken = set(VERBS + PAST + NOUNS + ADJECTIVES + ROLES + MONTHS + PERIODS)
    rare = [UNKNOWN_WORD]
    surnames = made_up_names(choices, 170, ["man", "son", "er", "ini", "ez"], taken)
    companies = made_up_names(choices, 120, ["co", "tech", "ex", "corp"], taken)
    places = made_up_names(choices, 90, ["ton", "ville", "burg", "ia"], taken)
    return {"surname": surnames + rare * 40, "company": companies + rare * 30, "place": places + rare * 20,
            "verb": VERBS, "past": PAST, "noun": NOUNS, "plural": [plural(noun) for noun in NOUNS],
            "adjective": ADJECTIVES, "role": ROLES, "month": MONTHS, "period": PERIODS,
            "day": [day.lower() for day in DAYS]}


def _text(choices, lexicon, tokens):
    lines, count = [], 0
    while count < tokens:
        sentence = filled(choices, lexicon, choices.pick(SENTENCES))
        count += len(sentence.split()) + 1
        lines.append(" " + sentence + " \n")
    return "".join(lines)
