"""Generated sentences with part-of-speech tags of the Penn Treebank."""

from .choices import SEED, Choices, made_up_names
from .language import plural
from .words import ADJECTIVES, DAYS, NOUNS, NOUNS_AND_VERBS, NUMBERS, PAST, PERIODS, VERBS

__all__ = ["generate_tagged"]

# Where one word can be a noun or a verb, only its context determines which.
SENTENCES = [
    "the/DT {adjective}/JJ {noun}/NN {past}/VBD the/DT {noun}/NN in/IN {place}/NNP",
    "{surname}/NNP {past}/VBD her/PRP on/IN {day}/NNP",
    "{surname}/NNP {past}/VBD her/PRP$ {noun}/NN",
    "her/PRP$ {noun}/NN will/MD {verb}/VB the/DT {plural}/NNS",
    "mr./NNP {surname}/NNP wants/VBZ to/TO {verb}/VB {plural}/NNS",
    "the/DT {plural}/NNS {verb}/VBP a/DT {noun}/NN",
    "they/PRP {verb}/VBP the/DT {adjective}/JJ {plural}/NNS",
    "{surname}/NNP {verbs}/VBZ the/DT {noun}/NN every/DT {period}/NN",
    "the/DT {noun}/NN {verbs}/VBZ {number}/CD {plural}/NNS",
    "the/DT {noun}/NN was/VBD {past}/VBN by/IN {surname}/NNP",
    "{surname}/NNP has/VBZ {past}/VBN {number}/CD {plural}/NNS",
    "{number}/CD {plural}/NNS were/VBD {past}/VBN last/JJ {period}/NN",
    "mr./NNP {surname}/NNP said/VBD that/IN the/DT {plural}/NNS {past}/VBD it/PRP",
    "that/DT {noun}/NN is/VBZ {adjective}/JJ ,/, but/CC {surname}/NNP did/VBD n't/RB {verb}/VB it/PRP",
    "a/DT {adjective}/JJ {noun}/NN that/WDT {verbs}/VBZ {plural}/NNS is/VBZ {adjective}/JJ",
    "{plural}/NNS and/CC {plural}/NNS are/VBP {adjective}/JJ in/IN {place}/NNP",
    "in/IN {place}/NNP the/DT {noun}/NN could/MD {verb}/VB {number}/CD {plural}/NNS",
]


def generate_tagged(seed=SEED, sentences=(2000, 250, 250)):
    """Generate tagged sentences, with tags of the Penn Treebank.

    The counts of words follow Zipf's law. Many words have several tags, of which the context determines the right one:
    "the order" (NN), "will order" (VB), "they order" (VBP). Half of the words occur only once or twice, and the context
    determines their tags too.

    Parameters
    ----------
    seed : int
    sentences : sequence of int
        Number of sentences of train, valid and test.

    Returns
    -------
    train, valid, test : list of list of (str, str)
        The words and tags of each sentence.
    """
    choices = Choices(seed)
    lexicon = _lexicon(choices)
    return tuple([_sentence(choices, lexicon) for _ in range(count)] for count in sentences)


def _lexicon(choices):
    taken = set(VERBS + PAST + NOUNS + ADJECTIVES + PERIODS)
    made_up = {slot: made_up_names(choices, count, endings, taken) for slot, count, endings in (
        ("noun", 150, ["er", "or", "ing", "ment"]), ("adjective", 50, ["al", "ous", "ish"]),
        ("surname", 450, ["man", "son", "ini", "ez"]), ("place", 250, ["ton", "ville", "burg", "ia"]))}
    both = choices.shuffled(NOUNS_AND_VERBS)
    verbs = both + [verb for verb in VERBS if verb not in both]
    nouns = both + [noun for noun in NOUNS if noun not in both] + made_up["noun"]
    return {"noun": nouns, "plural": [plural(noun) for noun in nouns], "verb": verbs,
            "verbs": [plural(verb) for verb in verbs], "past": choices.shuffled(PAST),
            "adjective": choices.shuffled(ADJECTIVES) + made_up["adjective"], "surname": made_up["surname"],
            "place": made_up["place"], "period": PERIODS, "day": [day.lower() for day in DAYS],
            "number": NUMBERS + [str(10 * number) for number in range(1, 60)]}


def _sentence(choices, lexicon):
    pairs = []
    for token in choices.pick(SENTENCES).split() + ["./."]:
        word, tag = token.rsplit("/", 1)
        pairs.append((choices.pick_zipf(lexicon[word[1:-1]]) if word.startswith("{") else word, tag))
    return pairs
