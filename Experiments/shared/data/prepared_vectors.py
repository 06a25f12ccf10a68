"""Word vectors beside prepared texts: trained on the training texts, or the rows of a published file that are needed.

`prepare_data.py` writes one file per origin and number of dimensions, such as ``vectors-train-300.npz``; `main.py`
reads it.
"""

import collections
import importlib.util
import os
import re

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays

import numpy as np

from . import download
from .archives import file_digest
from .prepared_folder import check_headers, check_metadata
from .word_vectors import read_vectors

__all__ = ["WordVectors", "ORIGINS", "is_vectors_file", "refuse_missing_gensim", "train_vectors", "prepare_vectors",
           "load_vectors", "rescaled", "EPOCHS"]

#: Row indices of the words that have a vector, int64 ``(found,)``; their vectors, float32 ``(found, dimensions)``; and
#: where these are from, in words.
WordVectors = collections.namedtuple("WordVectors", "rows vectors origin")

#: The URL, the digest and the description of the published files.
DOWNLOADS = {
    "google-news": ("https://s3.amazonaws.com/dl4j-distribution/GoogleNews-vectors-negative300.bin.gz",
                    "md5:1c892c4707a8a1a508b01a01735c0339", "word2vec, Google News"),
    "glove": ("https://nlp.stanford.edu/data/glove.6B.zip",
              "sha256:617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb", "GloVe 6B"),
}
#: Names of the vectors that `prepare_vectors` can create.
ORIGINS = ("train",) + tuple(DOWNLOADS)

FILE_NAME = "vectors-%s-%d.npz"
#: The largest number of words with a stored vector: as many as the published models keep.
LARGEST_ROWS = 20000
#: Settings of word2vec, and the seed of the order of the texts and of gensim. Everything else is gensim's default: CBOW
#: with 5 negative samples, subsampling of frequent words (1e-3), learning rate from 0.025 to 0.0001.
WINDOW, EPOCHS, SEED = 5, 5, 0


def is_vectors_file(name):
    """Return whether a file of a prepared folder, by its name, is one of `prepare_vectors`."""
    return re.match(r"vectors-(%s)-\d+\.npz\Z" % "|".join(ORIGINS), name) is not None


def refuse_missing_gensim():
    """Raise a `ReportedError` if gensim is not installed, as beside Theano 0.9.0."""
    if importlib.util.find_spec("gensim") is None:
        raise ReportedError("the package gensim, which trains word vectors, is not installed; run ./setup_env.sh, or "
                            "prepare the data without vectors: --vectors none")


def train_vectors(texts, dimensions, epochs=EPOCHS):
    """Train word2vec vectors (CBOW) on texts.

    The same texts give the same bytes on one machine: gensim has one worker, its seed and the order of the texts are
    fixed, and its hash function does not affect the vectors. Another processor may round differently.

    Parameters
    ----------
    texts : list of list of str
    dimensions, epochs : int

    Returns
    -------
    words : list of str
        The most frequent word first.
    vectors : numpy.ndarray of float32, shape ``(words, dimensions)``
    """
    refuse_missing_gensim()
    from gensim.models import Word2Vec
    order = np.random.RandomState(SEED).permutation(len(texts))
    model = Word2Vec([texts[index] for index in order], vector_size=dimensions, window=WINDOW, epochs=epochs,
                     min_count=1, workers=1, seed=SEED)
    return model.wv.index_to_key, model.wv.vectors


def prepare_vectors(folder, dataset, data, origin, dimensions, download_folder, epochs=EPOCHS):
    """Write the word vectors of prepared texts into their folder, unless it has them, and print a summary.

    Parameters
    ----------
    folder : str
    dataset : str
        Name of the data set.
    data : TextData
        The prepared texts of the folder.
    origin : {"train", "google-news", "glove"}
        Train them on the training texts, or download a published file and take the rows of the most frequent words.
    dimensions : int
    download_folder : str
    epochs : int
        Of the training.
    """
    name = FILE_NAME % (origin, dimensions)
    path = os.path.join(folder, name)
    words = data.vocabulary[:min(LARGEST_ROWS, len(data.vocabulary) - 1)]       # without </s>
    if _is_of(path, dataset, data.vocabulary, dimensions):
        print("%s: there already" % path)
        return
    if origin == "train":
        print("training word vectors on %d texts ..." % len(data.train.labels))
        found, vectors = train_vectors(_training_texts(data), dimensions, epochs)
        position = {word: index for index, word in enumerate(found)}
        rows = np.array([row for row, word in enumerate(words) if word in position], dtype=np.int64)
        vectors = vectors[[position[words[row]] for row in rows]]
        text = ("word2vec (CBOW, %d dimensions, window %d, %d epochs), trained by gensim %s on the %d training texts"
                % (dimensions, WINDOW, epochs, _gensim_version(), len(data.train.labels)))
    else:
        url, known_hash, text = DOWNLOADS[origin]
        rows, vectors = read_vectors(download.fetch(url, known_hash, download_folder), words, dimensions)
        text = "%s, %d dimensions, downloaded from %s" % (text, dimensions, url)
    save_arrays(path, {"rows": rows, "vectors": np.asarray(vectors, dtype=np.float32)},
                dict(_expected_metadata(dataset, data.vocabulary, dimensions), origin=text))
    print("%s: %d of %d words have a vector: %s" % (name, len(rows), len(words), text))
    print("  sha256 %s" % file_digest(path))


def load_vectors(folder, dataset, vocabulary, origin, dimensions):
    """Load the word vectors that `prepare_vectors` wrote.

    Parameters
    ----------
    folder, dataset, origin, dimensions
        As for `prepare_vectors`.
    vocabulary : Vocabulary
        That of the folder.

    Returns
    -------
    WordVectors

    Raises
    ------
    ReportedError
        If the folder does not have them, or they belong to another vocabulary.
    """
    name = FILE_NAME % (origin, dimensions)
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise ReportedError(
            "%s has no word vectors %s: run 'python prepare_data.py --vectors %s --dimensions %d' to add them (for "
            "another folder than the default with --data-dir), or choose --vectors FILE or --vectors none"
            % (folder, name, origin, dimensions))

    def check(headers, metadata):
        check_metadata(path, metadata, _expected_metadata(dataset, vocabulary, dimensions))
        check_headers(path, headers, {"rows": ("int64", 1), "vectors": ("float32", 2)})

    arrays, metadata = load_arrays(path, "word vectors", check)
    rows, vectors = arrays["rows"], arrays["vectors"]
    if vectors.shape != (len(rows), dimensions) or len(np.unique(rows)) < len(rows) \
            or not np.all((0 <= rows) & (rows < len(vocabulary))) or not np.isfinite(vectors).all():
        raise ReportedError("%s must hold one finite vector of %d dimensions for each of different words; remove it "
                            "and run prepare_data.py again" % (path, dimensions))
    return WordVectors(rows, vectors, str(metadata.get("origin")))


def rescaled(vectors, norm):
    """Return vectors of one Euclidean norm with the directions of others; a zero vector stays zero.

    Parameters
    ----------
    vectors : numpy.ndarray of float32, shape ``(words, dimensions)``
    norm : float

    Returns
    -------
    numpy.ndarray of float32, shape ``(words, dimensions)``

    Examples
    --------
    >>> import numpy as np
    >>> from Experiments.shared.data.prepared_vectors import rescaled
    >>> rescaled(np.array([[3., 4.], [0., 0.]]), 10).tolist()
    [[6.0, 8.0], [0.0, 0.0]]
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1) * norm).astype(np.float32)


def _training_texts(data):
    """Return the words of each training text that are in the vocabulary; ``</s>`` is not a word."""
    words, end = list(data.vocabulary), len(data.vocabulary) - 1
    tokens, offsets = data.train.tokens.tolist(), data.train.offsets.tolist()
    return [[words[token] for token in tokens[begin:stop] if token < end]
            for begin, stop in zip(offsets, offsets[1:])]


def _expected_metadata(dataset, vocabulary, dimensions):
    return dict(dataset=dataset, vocabulary_sha256=vocabulary.digest, dimensions=dimensions)


def _is_of(path, dataset, vocabulary, dimensions):
    """Return whether a file has the vectors of a vocabulary. A damaged file counts as missing."""
    try:
        check_metadata(path, load_arrays(path)[1], _expected_metadata(dataset, vocabulary, dimensions))
    except ReportedError:
        return False
    return True


def _gensim_version():
    import gensim
    return gensim.__version__
