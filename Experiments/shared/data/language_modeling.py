"""Language modelling data in two forms: a folder of arrays, and a folder of text files that is encoded when loaded."""

import collections
import os

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import UNKNOWN_WORD, character_tokens, word_tokens

from .archives import decode, read_file
from .prepared_folder import PARTS, load_array_folder, write_array_folder
from .vocabulary import ordered_vocabulary

__all__ = ["LanguageData", "prepare_language", "load_language", "load_corpus", "corpus_words"]

LanguageData = collections.namedtuple("LanguageData", "vocabulary train valid test")

TOKENIZERS = {"characters": character_tokens, "words": word_tokens}


def prepare_language(texts, data_dir, dataset, kind, details, files=None, replaced=(), unknown=False):
    """Write the prepared folder of a language modelling data set.

    The most frequent tokens of the training text come first in the vocabulary. A word that the training text lacks
    becomes ``<unk>``.

    Parameters
    ----------
    texts : dict of str to str
        The texts by part (`PARTS`).
    data_dir : str
        The folder to create or replace.
    dataset : str
        Name of the data set.
    kind : {"characters", "words"}
        The tokens.
    details : dict
        More metadata; at least ``"source"``, the origin of the texts.
    files, replaced : optional
        See `write_array_folder`.
    unknown : bool
        Add ``<unk>`` to the vocabulary if the training text lacks it, so that the other parts may have other tokens.

    Returns
    -------
    LanguageData
        The written data.
    """
    tokens = {part: TOKENIZERS[kind](texts[part]) for part in PARTS}
    vocabulary = ordered_vocabulary(tokens["train"], [UNKNOWN_WORD] if unknown else (), "down")
    ids = [vocabulary.encode(tokens[part], name="the %s text" % part) for part in PARTS]
    parts = collections.OrderedDict((part, ({"tokens": encoded}, {"tokens": len(encoded)}))
                                    for part, encoded in zip(PARTS, ids))
    write_array_folder(data_dir, dataset, kind, vocabulary, parts, details, files, replaced)
    return LanguageData(vocabulary, *ids)


def load_language(data_dir, dataset, demo=None):
    """Load a folder that `prepare_language` wrote.

    Parameters
    ----------
    data_dir : str
    dataset : str
        Name of the data set.
    demo : str, optional
        See `load_array_folder`.

    Returns
    -------
    LanguageData
        ``vocabulary`` `Vocabulary` (characters: with the real newline); ``train``, ``valid``, ``test`` int32 ids.
    """
    vocabulary, arrays, metadata = load_array_folder(data_dir, dataset, demo=demo, arrays={"tokens": ("int32", 1)})
    for part in PARTS:
        path = os.path.join(data_dir, part + ".npz")
        tokens = arrays[part]["tokens"]
        if not len(tokens) or len(tokens) != metadata[part].get("tokens"):
            raise ReportedError("%s has %d tokens, expected %s; run prepare_data.py again"
                                % (path, len(tokens), metadata[part].get("tokens")))
        if tokens.min() < 0 or tokens.max() >= len(vocabulary):
            raise ReportedError("%s has a token outside 0 to %d; run prepare_data.py again"
                                % (path, len(vocabulary) - 1))
    return LanguageData(vocabulary, *[arrays[part]["tokens"] for part in PARTS])


def load_corpus(folder, ordering="up", seed=0):
    """Load a folder of text files: one sentence per line, words between spaces.

    ``<eos>`` is added after every line, including the empty lines of WikiText-2.

    Parameters
    ----------
    folder : str
        With ``train.txt``, ``valid.txt`` and ``test.txt``.
    ordering : {"up", "down", "none", "rand"}
        Order of the vocabulary; see `ordered_words`. Predefined sparse embeddings need ``"up"``.
    seed : int
        For ``"rand"``.

    Returns
    -------
    LanguageData
        ``vocabulary`` `Vocabulary`; ``train``, ``valid``, ``test`` int32 ``(tokens,)``. Words of valid and test that
        train lacks become ``<unk>`` if train has it. Otherwise they are words with count 0.

    Raises
    ------
    ReportedError
        If a file is missing, empty or not UTF-8, or the ordering is unknown.

    References
    ----------
    Demeester et al., *Predefined Sparseness in Recurrent Sequence Models*, CoNLL 2018: rare words come first, because
    their vectors are the short ones.

    Examples
    --------
    >>> corpus = load_corpus("data/penn")                                             # doctest: +SKIP
    >>> [corpus.vocabulary[token] for token in corpus.train[:3]]                      # doctest: +SKIP
    ['aer', 'banknote', 'berlitz']
    """
    if not os.path.isdir(folder):
        raise ReportedError("no corpus in %s: run ./getdata.sh (or ./getdata.sh penn --source PATH for a local copy), "
                            "or try --demo" % folder)
    words = {}
    for part in PARTS:
        path = os.path.join(folder, part + ".txt")
        if not os.path.isfile(path):
            raise ReportedError("%s has no %s.txt; expected %s: run ./getdata.sh, or try --demo"
                                % (folder, part, ", ".join(name + ".txt" for name in PARTS)))
        words[part] = corpus_words(read_file(path), path)
    vocabulary = ordered_vocabulary(words["train"], words["valid"] + words["test"], ordering, seed)
    return LanguageData(vocabulary, *[vocabulary.encode(words[part], name=part + ".txt") for part in PARTS])


def corpus_words(content, name):
    """Return the words of a file with ``<eos>`` after every line. A file that is not UTF-8 or has no word is an error.

    Parameters
    ----------
    content : bytes
    name : str
        For the error message.
    """
    text = decode(content, name)
    if not text.strip():
        raise ReportedError("%s is empty; expected one sentence per line, words between spaces" % name)
    return word_tokens(text)
