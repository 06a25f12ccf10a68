"""Tiny corpora, prepared by the functions that prepare the real ones."""

from Experiments.shared.data import classification as text
from Experiments.shared.data import demo
from Experiments.shared.data import penn_treebank as ptb

OPINIONS = ("bad", "dull"), ("good", "fresh")


def reviews(things):
    """Reviews so easy that a tiny network learns them before everything is pruned: train and test texts, labels."""
    labels = [number % 2 for number in range(2400)]
    texts = ["The %s of the %s was %s ." % (things[number % 5], things[number % 7 % 5],
                                            OPINIONS[label][number % 3 % 2]) for number, label in enumerate(labels)]
    return texts[:2000], labels[:2000], texts[2000:], labels[2000:]


def prepare(dataset, path, things=("plot", "cast", "music", "hero", "end")):
    details, seed = {"source": "tests"}, 0
    if dataset in text.CLASS_NAMES:
        corpus = reviews(things) if dataset == "IMDB" else demo.generate_news(seed, 120)
        text.prepare_text(*corpus, data_dir=path, dataset=dataset, details=details)
    else:
        tokens = (1200, 400, 300) if dataset == "Word_PTB" else (800, 300, 200)
        ptb.prepare_language(dict(zip(ptb.PARTS, demo.generate_language(seed, tokens))), path, dataset, details)


def write_vectors(path):
    """GloVe text with vectors for two words of the AGNews corpus and one of no corpus."""
    with open(path, "w") as stream:
        for number, word in enumerate(("the", "xxyyzz", "from")):
            stream.write(" ".join([word] + ["%d" % (10 * number + 1)] * 8) + "\n")
    return path
