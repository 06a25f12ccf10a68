"""Random data of a given shape for every experiment, for benchmarks and tests."""

import numpy as np

__all__ = ["TOKENS", "VOCABULARY", "CLASSES", "generated_tokens", "generated_data"]

#: Distributions of the words: all with the same frequency (so that a minibatch has as many distinct words as possible),
#: or with a frequency proportional to 1 / rank, as in natural text.
TOKENS = ("uniform", "zipf")

#: Sizes of the real vocabularies; a text classifier has the setting words_kept.
VOCABULARY = {"Char_PTB": 50, "Word_PTB": 10000, "language_modeling": 10000}
CLASSES = {"IMDB": 2, "AGNews": 4}
TAGS, SENTENCE_LENGTH, SENTENCES = 5, 8, 25


def generated_tokens(random, count, words, tokens="uniform"):
    """Draw words; 0 is the most frequent one.

    Parameters
    ----------
    random : numpy.random.RandomState
    count, words : int
    tokens : {"uniform", "zipf"}

    Returns
    -------
    int32 ``(count,)``
    """
    if tokens == "uniform":
        return random.randint(0, words, count).astype(np.int32)
    ranks = np.exp(random.uniform(0, np.log(words + 1), count)).astype(np.int32)        # from 1
    return np.minimum(ranks, words) - np.int32(1)


def generated_data(settings, words=None, tokens="uniform"):
    """Draw data that are enough for a few full minibatches.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    words : int, optional
        Size of the vocabulary; default: the published one.
    tokens : {"uniform", "zipf"}

    Returns
    -------
    TextData, LanguageData or TaggedData
        As the experiment's ``load_data``. Training, validation and test part are equal.
    """
    from Experiments.shared.data.language_modeling import LanguageData
    from Experiments.shared.data.tagged_sentences import TaggedData, TaggedPart
    from Experiments.shared.data.text_classification import Documents, TextData
    random, name = np.random.RandomState(0), settings.experiment.name
    words = words or (settings.words_kept if name in CLASSES else VOCABULARY[name])
    vocabulary = ["word%d" % word for word in range(words)]
    if name in CLASSES:
        count, length = 4 * settings.batch_size, settings.length
        documents = Documents(generated_tokens(random, count * length, words, tokens), np.arange(count + 1) * length,
                              random.randint(0, CLASSES[name], count).astype(np.int32))
        return TextData(vocabulary, documents, documents, CLASSES[name])
    if name == "sequence_labeling":
        count = SENTENCES * SENTENCE_LENGTH
        part = TaggedPart(generated_tokens(random, count, words, tokens),
                          random.randint(0, TAGS, count).astype(np.int32), np.arange(SENTENCES + 1) * SENTENCE_LENGTH)
        return TaggedData(vocabulary, ["tag%d" % tag for tag in range(TAGS)], part, part, part)
    if name == "language_modeling":
        text = generated_tokens(random, 6 * settings.batch_size * settings.bptt, words, tokens)
        text = words - 1 - text                     # its vocabulary is sorted from rare to frequent
    else:
        streams = settings.streams if "streams" in settings else settings.batch_size
        text = generated_tokens(random, 6 * streams * settings.length, words, tokens)
    return LanguageData(vocabulary, text, text, text)
