"""Text classification: reading IMDB and AG's News, building the vocabulary, the prepared folder."""

import collections
import csv
import hashlib
import io
import os
import re

import numpy as np

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import save_arrays
from theano_rnn.tokens import END_OF_DOCUMENT, tokenize

from . import prepared_folder as folder
from .archives import check_md5, decode, progress, read_archive, read_file, read_named_files

__all__ = ["Documents", "TextData", "CLASS_NAMES", "LOWER_CASED", "build_vocabulary", "encode_documents",
           "prepare_text", "load_text", "read_imdb", "read_agnews", "covered_share"]

TextData = collections.namedtuple("TextData", "vocabulary train test classes")
Documents = collections.namedtuple("Documents", "tokens offsets labels")

LARGEST_VOCABULARY = 100000
SPLITS = ("train", "test")
CLASS_NAMES = {"IMDB": ("negative", "positive"), "AGNews": ("world", "sports", "business", "science/technology")}
LOWER_CASED = ("AGNews",)

IMDB_LABELS = (("pos", 1), ("neg", 0))
IMDB_REVIEWS = 12500
IMDB_MEMBER = re.compile(r"(?:.*/)?(train|test)/(pos|neg)/([^/]+)$")
IMDB_FILE = re.compile(r"(\d+)_\d+\.txt$")
# sha256 over names and contents in order of id; see `folder_digest`.
IMDB_SHA256 = {
    ("train", "pos"): "3ab80ed0ac1473d267be0aa84e0f9d745583786a5d8665788613c6fab2821bdf",
    ("train", "neg"): "374660f8fca80b67e9e6181edefd69361c4821db3cc729b9ed183b43fe1e3ffb",
    ("test", "pos"): "82cfc9f7ab2124f2e2bc0014e048c7972c3a36801c77fa13f3f4a8bf18f83ab7",
    ("test", "neg"): "efee2df47f73d8efdd8d9a996dda21b68e09370ffbd7cd17833b2f70986cd158",
}
AGNEWS_MD5 = {"train.csv": "b1a00f826fdfbd249f79597b59e1dc12", "test.csv": "d52ea96a97a2d943681189a97654912d"}
AGNEWS_COLUMNS = ("class", "title", "description")
HOLDOUT_SEED = 20181027


def build_vocabulary(documents, largest=LARGEST_VOCABULARY):
    """Return the words that occur in at least two documents, most frequent first, then ``</s>``.

    Frequency is the number of occurrences in all documents; ties are ordered by code point.

    Parameters
    ----------
    documents : iterable of str
        The training documents.
    largest : int
        The most words to keep, ``</s>`` not counted.
    """
    occurrences, holders = collections.Counter(), collections.Counter()
    for document in documents:
        tokens = tokenize(document)
        occurrences.update(tokens)
        holders.update(set(tokens))
    words = sorted((word for word in occurrences if holders[word] >= 2), key=lambda word: (-occurrences[word], word))
    return words[:largest] + [END_OF_DOCUMENT]


def encode_documents(documents, labels, vocabulary):
    """Turn documents into ids: the position in the vocabulary, or its length for a word outside it.

    Returns
    -------
    Documents
        ``tokens`` (all, flat) int32, ``offsets`` (documents + 1,) int64, ``labels`` (documents,) int32; every
        document ends with ``</s>``.
    """
    ids = {word: number for number, word in enumerate(vocabulary)}
    end, outside = ids[END_OF_DOCUMENT], len(vocabulary)
    encoded = [np.array([ids.get(token, outside) for token in tokenize(document)] + [end], dtype=np.int32)
               for document in documents]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(tokens) for tokens in encoded], out=offsets[1:])
    return Documents(np.concatenate(encoded), offsets, np.asarray(labels, dtype=np.int32))


def prepare_text(documents_train, labels_train, documents_test, labels_test, data_dir, dataset, details):
    """Write the prepared folder of a text classification data set.

    Parameters
    ----------
    documents_train, documents_test : sequence of str
    labels_train, labels_test : sequence of int
    data_dir : str
        The folder to make or replace.
    dataset : str
        ``"IMDB"`` or ``"AGNews"``.
    details : dict
        More metadata: at least ``"source"``, where the documents come from (no path: the bytes must not depend on
        it).

    Returns
    -------
    TextData
        What was written.
    """
    classes = len(CLASS_NAMES[dataset])
    vocabulary = build_vocabulary(progress(documents_train, "counting words"))
    if len(vocabulary) == 1:
        raise ReportedError("%s: no word occurs in two training documents; expected a larger corpus" % dataset)
    train = encode_documents(progress(documents_train, "encoding train"), labels_train, vocabulary)
    test = encode_documents(progress(documents_test, "encoding test"), labels_test, vocabulary)
    with folder.replaced_folder(data_dir) as unfinished:
        digest = folder.write_vocabulary(unfinished, vocabulary)
        for split, part in zip(SPLITS, (train, test)):
            metadata = dict(details, dataset=dataset, kind="text", split=split, classes=classes,
                            vocabulary_size=len(vocabulary), vocabulary_sha256=digest,
                            documents=len(part.labels), tokens=len(part.tokens))
            save_arrays(os.path.join(unfinished, split + ".npz"), part._asdict(), metadata, compress=True)
    return TextData(vocabulary, train, test, classes)


def load_text(data_dir, dataset):
    """Load a prepared folder.

    Parameters
    ----------
    data_dir : str
    dataset : str
        ``"IMDB"`` or ``"AGNews"``.

    Returns
    -------
    TextData
        ``vocabulary`` list of str, ``train`` and ``test`` (`Documents`), ``classes`` int.
    """
    vocabulary, arrays, metadata = folder.load_parts(data_dir, dataset, "text", SPLITS)
    classes = len(CLASS_NAMES[dataset])
    parts = []
    for split in SPLITS:
        path = os.path.join(data_dir, split + ".npz")
        if sorted(arrays[split]) != sorted(Documents._fields):
            raise ReportedError("%s holds the arrays %s, expected %s; run prepare_data.py again"
                                % (path, sorted(arrays[split]), sorted(Documents._fields)))
        part = Documents(**arrays[split])
        _check_documents(path, part, len(vocabulary), classes, metadata[split])
        parts.append(part)
    return TextData(vocabulary, parts[0], parts[1], classes)


def covered_share(data, words_kept=20000):
    """The share of the train tokens (ends of documents not counted) that are one of the most frequent words."""
    tokens = data.train.tokens
    words = tokens[tokens != len(data.vocabulary) - 1]
    return float(np.mean(words < min(words_kept, len(data.vocabulary) - 1)))


def read_imdb(source, check=True):
    """Read the Large Movie Review Dataset.

    Parameters
    ----------
    source : str
        The folder ``aclImdb`` (or the one that holds it), or an archive of it.
    check : bool
        Insist on the published corpus: 12,500 numbered files per class and split, and their digests.

    Returns
    -------
    dict
        ``{"train": (documents, labels), "test": (documents, labels)}``: positive reviews (label 1) before negative
        ones (label 0), each in the order of their ids.
    """
    tree = _imdb_folder(source) if os.path.isdir(source) else _imdb_archive(source)
    corpus = {}
    for split in SPLITS:
        documents, labels = [], []
        for name, label in IMDB_LABELS:
            where = "%s/%s of %s" % (split, name, source)
            files = _order_reviews(tree.get((split, name), {}), where, check)
            if check:
                _check_folder_digest(files, IMDB_SHA256[split, name], where)
            for file_name, content in files:
                documents.append(_document(decode(content, "%s/%s/%s" % (split, name, file_name)),
                                           "%s/%s/%s of %s" % (split, name, file_name, source)))
                labels.append(label)
        corpus[split] = documents, labels
    return corpus


def read_agnews(source, holdout=None, check=True):
    """Read AG's News.

    Parameters
    ----------
    source : str
        A folder (or archive) with ``train.csv`` and ``test.csv``, or a single csv file.
    holdout : float, optional
        For a single csv file: the fraction of its rows to become the test part, drawn with a fixed seed.
    check : bool
        Insist on the published files.

    Returns
    -------
    dict
        ``{"train": (documents, labels), "test": (documents, labels)}`` in the order of the rows, lower-cased.
    """
    if os.path.isfile(source) and source.lower().endswith(".csv"):
        if holdout is None:
            raise ReportedError("%s is a single csv file: say with --holdout FRACTION how much of it becomes the "
                                "test part, or give a folder with train.csv and test.csv" % source)
        content = read_file(source)
        if check:
            check_md5(content, sorted(AGNEWS_MD5.values()), source)
        return hold_out(*_parse_agnews(content, os.path.basename(source)), fraction=holdout)
    if holdout is not None:
        raise ReportedError("--holdout is for a single csv file; %s is to bring its own test.csv" % source)
    contents = read_named_files(source, ["train.csv", "test.csv"])
    if check:
        for name in ("train.csv", "test.csv"):
            check_md5(contents[name], AGNEWS_MD5[name], "%s of %s" % (name, source))
    return {split: _parse_agnews(contents[split + ".csv"], split + ".csv") for split in SPLITS}


def hold_out(documents, labels, fraction):
    """Split documents into train and test by a fixed seeded shuffle; both keep the order of the rows."""
    if not 0 < fraction < 1:
        raise ReportedError("--holdout is %s, expected a fraction between 0 and 1" % fraction)
    test_count = int(round(len(documents) * fraction))
    if not 0 < test_count < len(documents):
        raise ReportedError("--holdout %s of %d rows leaves one part empty; choose another fraction"
                            % (fraction, len(documents)))
    order = np.random.RandomState(HOLDOUT_SEED).permutation(len(documents))
    rows = {"test": np.sort(order[:test_count]), "train": np.sort(order[test_count:])}
    return {split: ([documents[row] for row in rows[split]], [labels[row] for row in rows[split]])
            for split in SPLITS}


def folder_digest(files):
    """The sha256 over the names and contents of files in the given order."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(("%s %d\n" % (name, len(content))).encode("utf-8"))
        digest.update(content)
    return digest.hexdigest()


def _imdb_archive(source):
    tree = {}
    for member, content in read_archive(source, IMDB_MEMBER.match).items():
        split, label, name = IMDB_MEMBER.match(member).groups()
        if name in tree.setdefault((split, label), {}):
            raise ReportedError("archive %s holds %s/%s/%s twice; unpack it and give the right folder"
                                % (source, split, label, name))
        tree[split, label][name] = content
    return tree


def _imdb_folder(source):
    nested = os.path.join(source, "aclImdb")
    root = nested if os.path.isdir(nested) else source
    tree = {}
    for split in SPLITS:
        for label, _ in IMDB_LABELS:
            path = os.path.join(root, split, label)
            if not os.path.isdir(path):
                raise ReportedError("folder %s has no %s/%s; expected the tree aclImdb/{train,test}/{pos,neg}"
                                    % (source, split, label))
            names = sorted(name for name in os.listdir(path) if not name.startswith("."))
            tree[split, label] = {name: read_file(os.path.join(path, name))
                                  for name in progress(names, "reading %s/%s" % (split, label))}
    return tree


def _order_reviews(files, where, complete):
    numbered = {}
    for name in sorted(files):
        match = IMDB_FILE.match(name)
        if not match:
            raise ReportedError("unexpected file %s in %s; expected names such as 127_9.txt" % (name, where))
        number = int(match.group(1))
        if number in numbered:
            raise ReportedError("two files with number %d in %s: %s and %s" % (number, where, numbered[number], name))
        numbered[number] = name
    if complete:
        missing = next((number for number in range(IMDB_REVIEWS) if number not in numbered), None)
        if missing is not None:
            raise ReportedError("%s lacks file %d_*.txt (%d of %d files found); use an undamaged copy, or accept "
                                "another corpus with --no-checksum" % (where, missing, len(files), IMDB_REVIEWS))
    if not numbered:
        raise ReportedError("%s has no file; expected the tree aclImdb/{train,test}/{pos,neg}" % where)
    return [(numbered[number], files[numbered[number]]) for number in sorted(numbered)]


def _check_folder_digest(files, expected, where):
    found = folder_digest(files)
    if found != expected:
        raise ReportedError("%s is not the published corpus: expected sha256 %s over its files, found %s; use an "
                            "undamaged copy, or accept another corpus with --no-checksum" % (where, expected, found))


def _document(text, where):
    if not tokenize(text):
        raise ReportedError("empty document: %s has no word; use an undamaged copy or remove it" % where)
    return text


def _parse_agnews(content, name):
    classes = len(CLASS_NAMES["AGNews"])
    documents, labels = [], []
    rows = csv.reader(io.StringIO(decode(content, name), newline=""), strict=True)
    try:
        for row in rows:
            where = "%s, line %d" % (name, rows.line_num)
            if len(row) != len(AGNEWS_COLUMNS):
                raise ReportedError("%s: expected 3 columns (%s), found %d"
                                    % (where, ", ".join(AGNEWS_COLUMNS), len(row)))
            if row[0] not in [str(number + 1) for number in range(classes)]:
                raise ReportedError("%s: expected a class from 1 to %d, found %r" % (where, classes, row[0]))
            documents.append(_document((row[1] + " " + row[2]).lower(), where))
            labels.append(int(row[0]) - 1)
    except csv.Error as error:
        raise ReportedError("%s, line %d: malformed row (%s); use an undamaged copy"
                            % (name, rows.line_num, error)) from error
    if not documents:
        raise ReportedError("%s has no rows; expected class, title, description" % name)
    return documents, labels


def _check_documents(path, part, vocabulary_size, classes, metadata):
    tokens, offsets, labels = part
    problem = None
    if len(offsets) != len(labels) + 1 or len(labels) != metadata.get("documents"):
        problem = "%d offsets, %d labels and %s documents" % (len(offsets), len(labels), metadata.get("documents"))
    elif offsets[0] != 0 or offsets[-1] != len(tokens) or np.any(np.diff(offsets) < 1):
        problem = "offsets that do not cut its %d tokens into documents" % len(tokens)
    elif tokens.min() < 0 or tokens.max() > vocabulary_size:
        problem = "a token outside 0 to %d" % vocabulary_size
    elif labels.min() < 0 or labels.max() >= classes:
        problem = "a label outside 0 to %d" % (classes - 1)
    if problem:
        raise ReportedError("%s has %s; run prepare_data.py again" % (path, problem))
