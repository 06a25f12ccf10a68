"""Seeded random choices, and names and sentences generated with them."""

import random
import re

__all__ = ["SEED", "Choices", "made_up_names", "filled"]

#: Seed of the demonstration data.
SEED = 0


class Choices(object):
    """Random choices that are the same in every release of Python: they use `random.Random.random` only."""

    def __init__(self, seed):
        self._random = random.Random(seed).random

    def below(self, count):
        """Return a number from 0 to ``count - 1``."""
        return int(self._random() * count)

    def pick(self, options):
        """Return one of the options, all equally likely."""
        return options[self.below(len(options))]

    def pick_skewed(self, options):
        """Return one of the options; the first ones are more likely than the last ones, like words of a language."""
        return options[int(len(options) * self._random() ** 2)]

    def pick_zipf(self, options):
        """Return one of the options; the n-th has a probability of about 1/n, relative to the first (Zipf's law)."""
        return options[int((len(options) + 1) ** self._random()) - 1]

    def chance(self, probability):
        """Return True with this probability."""
        return self._random() < probability

    def shuffled(self, items):
        """Return the items in random order."""
        items = list(items)
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
        return items


def made_up_names(choices, count, endings, taken):
    """Return distinct names made of syllables, none of them in the set `taken`, to which they are added."""
    starts = "b br c d dr f fl g gr h j k kl l m n p pr r s sk st t tr v w z".split()
    vowels = "a e i o u ai ei ou".split()
    middles = "b d g k l ll m n nd r rr s t v z nt lk rn".split()
    names = []
    while len(names) < count:
        name = choices.pick(starts) + choices.pick(vowels) + choices.pick(middles)
        if choices.chance(0.4):
            name += choices.pick(vowels) + choices.pick(middles)
        name += choices.pick(endings)
        if name not in taken:
            taken.add(name)
            names.append(name)
    return names


def filled(choices, lexicon, sentence):
    """Return a sentence with a word of the lexicon in each ``{slot}``, and "an" where "a" precedes a vowel."""
    words = re.sub(r"\{(\w+)\}", lambda slot: choices.pick_skewed(lexicon[slot.group(1)]), sentence)
    return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", words)
