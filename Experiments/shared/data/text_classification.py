"""Text classification: vocabulary and ids of labelled documents, the prepared folder, its description."""

import collections
import os

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import END_OF_DOCUMENT, tokenize

import numpy as np

from ..config import data_folder
from ..readers import checked, positive_integer
from .archives import progress
from .demo import DEMO_SOURCE
from .prepare import DataSet
from .prepared_folder import (
    PARTS,
    folder_source,
    is_array_folder,
    listed_digests,
    load_array_folder,
    write_array_folder,
)
from .prepared_vectors import EPOCHS, ORIGINS, is_vectors_file, prepare_vectors, refuse_missing_gensim
from .vocabulary import Vocabulary, ordered_words

__all__ = ["Documents", "TextData", "SPLITS", "build_vocabulary", "encode_documents", "checked_document",
           "prepare_text", "load_text", "covered_share", "TextDataSet"]

#: Vocabulary, `Documents` of the parts, number of classes. ``valid`` is None if training splits it off, and
#: ``class_names`` (list of str) is None if those of the `TextDataSet` apply.
TextData = collections.namedtuple("TextData", "vocabulary train test classes valid class_names")
TextData.__new__.__defaults__ = (None, None)
Documents = collections.namedtuple("Documents", "tokens offsets labels")
#: Their dtypes and numbers of dimensions.
ARRAYS = {"tokens": ("int32", 1), "offsets": ("int64", 1), "labels": ("int32", 1)}

LARGEST_VOCABULARY = 100000
SPLITS = ("train", "test")


def build_vocabulary(documents, largest=LARGEST_VOCABULARY):
    """Return the words that occur in at least two documents, most frequent first, then ``</s>``.

    The frequency is the number of occurrences in all documents. Words of equal frequency are in the order of their code
    points.

    Parameters
    ----------
    documents : iterable of str
        The training documents.
    largest : int
        Maximum number of words, ``</s>`` not counted.
    """
    occurrences, documents_with = collections.Counter(), collections.Counter()
    for document in documents:
        tokens = tokenize(document)
        occurrences.update(tokens)
        documents_with.update(set(tokens))
    counts = {word: occurrences[word] for word in occurrences if documents_with[word] >= 2}
    return Vocabulary(ordered_words(counts)[:largest] + [END_OF_DOCUMENT])


def encode_documents(documents, labels, vocabulary):
    """Encode documents as ids: the index in the vocabulary, or its length for a word that is not in it.

    Returns
    -------
    Documents
        ``tokens`` (all documents, flat) int32, ``offsets`` (documents + 1,) int64, ``labels`` (documents,) int32. Every
        document ends with ``</s>``.
    """
    vocabulary = Vocabulary(vocabulary)
    encoded = [vocabulary.encode(tokenize(document) + [END_OF_DOCUMENT], outside=len(vocabulary))
               for document in documents]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(tokens) for tokens in encoded], out=offsets[1:])
    return Documents(np.concatenate(encoded), offsets, np.asarray(labels, dtype=np.int32))


def checked_document(text, where):
    """Return a document; one without a word is an error."""
    if not tokenize(text):
        raise ReportedError("empty document: %s has no word; use an undamaged copy or remove it" % where)
    return text


def prepare_text(corpus, data_dir, dataset, classes, details, class_names=None):
    """Write the prepared folder of a text classification data set.

    Parameters
    ----------
    corpus : dict
        ``{"train": (documents, labels), "test": (documents, labels)}``: sequences of str and of int. ``"valid"`` is
        optional.
    data_dir : str
        The folder to create or replace.
    dataset : str
        Name of the data set.
    classes : int
        Number of classes.
    details : dict
        More metadata; at least ``"source"``, the origin of the documents.
    class_names : list of str, optional
        In the order of the labels, if they depend on the corpus. They are stored too.

    Returns
    -------
    TextData
        The written data.
    """
    vocabulary = build_vocabulary(progress(corpus["train"][0], "counting words"))
    if len(vocabulary) == 1:
        raise ReportedError("%s: no word occurs in two training documents; expected a larger corpus" % dataset)
    names = {} if class_names is None else {"class_names": list(class_names)}
    encoded, parts = {}, collections.OrderedDict()
    for split in [part for part in PARTS if part in corpus]:
        documents, labels = corpus[split]
        part = encoded[split] = encode_documents(progress(documents, "encoding " + split), labels, vocabulary)
        parts[split] = part._asdict(), dict(documents=len(part.labels), tokens=len(part.tokens), classes=classes,
                                            **names)
    # Vectors of the replaced texts are not those of the new ones.
    replaced = filter(is_vectors_file, os.listdir(data_dir) if os.path.isdir(data_dir) else ())
    write_array_folder(data_dir, dataset, "text", vocabulary, parts, details, replaced=replaced)
    return TextData(vocabulary, encoded["train"], encoded["test"], classes, encoded.get("valid"), class_names)


def load_text(data_dir, dataset, demo=None, parts=SPLITS):
    """Load a prepared folder.

    Parameters
    ----------
    data_dir : str
    dataset : str
        Name of the data set.
    demo : str, optional
        See `load_array_folder`.
    parts : sequence of str
        `SPLITS`, or `PARTS` if the folder has a validation part and names of classes.

    Returns
    -------
    TextData
    """
    vocabulary, arrays, metadata = load_array_folder(data_dir, dataset, parts, demo, ARRAYS)
    classes, names = [metadata["train"].get(key) for key in ("classes", "class_names")]
    loaded = {}
    for split in parts:
        path = os.path.join(data_dir, split + ".npz")
        part = loaded[split] = Documents(**arrays[split])
        _check_documents(path, part, len(vocabulary), classes, metadata[split])
        if "valid" in parts or names is not None:
            _check_class_names(path, metadata[split].get("class_names"), names, classes)
    return TextData(vocabulary, loaded["train"], loaded["test"], classes, loaded.get("valid"), names)


def covered_share(data, words_kept=20000):
    """Return the share of the train tokens that are among the most frequent words; ``</s>`` is not counted."""
    tokens = data.train.tokens
    words = tokens[tokens != len(data.vocabulary) - 1]
    return float(np.mean(words < min(words_kept, len(data.vocabulary) - 1)))


class TextDataSet(DataSet):
    """Description of a text classification data set.

    A subclass defines `read` and, for ``--demo``, `generate_documents`. The corpus is that of `prepare_text`.

    Attributes
    ----------
    class_names : sequence of str
        In the order of the labels.
    lower_case : bool
        Whether the documents are lower-cased; the compressed model then does the same with its input.
    dimensions : int
        Default number of dimensions of the word vectors: the published number of embedding units.
    parts : sequence of str
        The parts of the prepared folder. Without ``"valid"``, training splits the validation part off.
    """

    parts = SPLITS
    class_names = ()
    lower_case = False
    dimensions = 300
    checksum_help = "accept another corpus in the same format: do not compare digests and document counts"

    def add_options(self, parser):
        parser.add_argument("--vectors", choices=ORIGINS + ("none",), default="train",
                            help="word vectors to write beside the data: train them on the training texts (default), "
                                 "take them from a download (google-news: 1.6 GB, glove: 0.9 GB), or none")
        parser.add_argument("--dimensions", metavar="N", default=self.dimensions,
                            help="dimensions of the vectors (default: %(default)s)")

    def prepare(self, folder, options, download_folder=None):
        """Prepare the texts, unless they are there and no ``--source`` is given; then add the word vectors."""
        dimensions = checked("--dimensions", positive_integer, options.dimensions)
        if options.vectors == "train":
            refuse_missing_gensim()
        download_folder = download_folder or data_folder(self.experiment, "download")
        if not options.source and self._has_texts(folder):
            print("%s is prepared in %s; remove it to prepare it again" % (self.experiment, folder))
        else:
            super(TextDataSet, self).prepare(folder, options, download_folder)
        if options.vectors != "none":
            data = load_text(folder, self.experiment, parts=self.parts)
            prepare_vectors(folder, self.experiment, data, options.vectors, dimensions, download_folder,
                            self.vector_epochs(data))

    def vector_epochs(self, data):
        """Return the number of epochs in which word vectors are trained on the texts."""
        return EPOCHS

    def _has_texts(self, folder):
        """Return whether a folder has intact texts that were not generated."""
        try:
            return self.is_prepared(folder) and folder_source(folder) != DEMO_SOURCE
        except ReportedError:
            return False

    def write(self, corpus, folder, details):
        return self.summary(prepare_text(corpus, folder, self.experiment, len(self.class_names), details), folder)

    def summary(self, data, folder):
        """Return the lines to print after the data have been written."""
        lines = ["%s prepared in %s" % (self.experiment, folder)]
        for split in self.parts:
            part = getattr(data, split)
            classes = ", ".join("%d %s" % (int((part.labels == label).sum()), name)
                                for label, name in enumerate(data.class_names or self.class_names))
            lines.append("%s: %d documents (%s), %d tokens" % (split, len(part.labels), classes, len(part.tokens)))
        lines.append("vocabulary: %d entries (words in at least two training documents, and %s)"
                     % (len(data.vocabulary), END_OF_DOCUMENT))
        lines.append("train tokens that are one of the 20,000 most frequent words: %.2f %%"
                     % (100 * covered_share(data)))
        return lines + listed_digests(folder)

    def generate(self):
        generated = self.generate_documents()
        return {"train": generated[:2], "test": generated[2:]}

    def generate_documents(self):
        """Return train documents, train labels, test documents and test labels for the demonstration."""
        raise NotImplementedError

    def is_prepared(self, folder):
        return is_array_folder(folder, self.experiment, self.parts)


def _check_class_names(path, names, expected, classes):
    valid = isinstance(names, list) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    if not valid or len(names) != classes or names != expected:
        raise ReportedError("%s must have the names of its %d classes; run prepare_data.py again" % (path, classes))


def _check_documents(path, part, vocabulary_size, classes, metadata):
    tokens, offsets, labels = part
    problem = None
    if type(classes) is not int or classes < 2:
        problem = "%.40r classes" % (classes,)
    elif not len(labels):
        problem = "no documents"
    elif len(offsets) != len(labels) + 1 or len(labels) != metadata.get("documents"):
        problem = "%d offsets, %d labels and %s documents" % (len(offsets), len(labels), metadata.get("documents"))
    elif offsets[0] != 0 or offsets[-1] != len(tokens) or np.any(np.diff(offsets) < 1):
        problem = "offsets that do not cut its %d tokens into documents" % len(tokens)
    elif tokens.min() < 0 or tokens.max() > vocabulary_size:
        problem = "a token outside 0 to %d" % vocabulary_size
    elif labels.min() < 0 or labels.max() >= classes:
        problem = "a label outside 0 to %d" % (classes - 1)
    if problem:
        raise ReportedError("%s has %s; run prepare_data.py again" % (path, problem))
