"""Tiny corpora, prepared by the functions that prepare the real ones."""

import io
import zipfile

from Experiments.shared.data.prepare import find_data_set
from Experiments.shared.data.prepared_folder import PARTS
from Experiments.shared.data.synthetic import generate_language, generate_news

OPINIONS = ("bad", "dull"), ("good", "fresh")


def reviews(things):
    """Return reviews that a tiny network learns before everything is pruned: train and test texts, labels."""
    labels = [number % 2 for number in range(2400)]
    texts = ["The %s of the %s was %s ." % (things[number % 5], things[number % 7 % 5],
                                            OPINIONS[label][number % 3 % 2]) for number, label in enumerate(labels)]
    return texts[:2000], labels[:2000], texts[2000:], labels[2000:]


def prepare(dataset, path, things=("plot", "cast", "music", "hero", "end")):
    if dataset in ("IMDB", "AGNews"):
        generated = reviews(things) if dataset == "IMDB" else generate_news(0, 120)
        corpus = {"train": generated[:2], "test": generated[2:]}
    else:
        tokens = (1200, 400, 300) if dataset == "Word_PTB" else (800, 300, 200)
        corpus = dict(zip(PARTS, generate_language(0, tokens)))
    find_data_set(dataset).write(corpus, path, {"source": "tests"})


def write_vectors(path):
    """Write GloVe text with vectors for two words of the AGNews corpus and one other word; return the path."""
    with open(path, "w") as stream:
        for number, word in enumerate(("the", "xxyyzz", "from")):
            stream.write(" ".join([word] + ["%d" % (10 * number + 1)] * 8) + "\n")
    return path


def glove_zip(vectors):
    """Return an archive like glove.6B.zip, with vectors of one length: dict of word to list of float."""
    content = io.BytesIO()
    length = len(next(iter(vectors.values())))
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("glove.6B.%dd.txt" % (length + 1), "")
        archive.writestr("glove.6B.%dd.txt" % length, "".join(
            "%s %s\n" % (word, " ".join(map(str, vectors[word]))) for word in vectors))
    return content.getvalue()
