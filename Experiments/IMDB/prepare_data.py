"""Prepare IMDB, the Large Movie Review Dataset: see ``python prepare_data.py --help``."""

import hashlib
import os
import re

from theano_rnn.errors import ReportedError

from Experiments.shared.data.archives import decode, progress, read_archive, read_file
from Experiments.shared.data.prepare import main
from Experiments.shared.data.synthetic import generate_reviews
from Experiments.shared.data.text_classification import SPLITS, TextDataSet, checked_document

LABELS = (("pos", 1), ("neg", 0))
REVIEWS = 12500
MEMBER = re.compile(r"(?:.*/)?(train|test)/(pos|neg)/([^/]+)$")
FILE_NAME = re.compile(r"(\d+)_\d+\.txt$")
# sha256 over names and contents in order of id; see `folder_digest`.
SHA256 = {
    ("train", "pos"): "3ab80ed0ac1473d267be0aa84e0f9d745583786a5d8665788613c6fab2821bdf",
    ("train", "neg"): "374660f8fca80b67e9e6181edefd69361c4821db3cc729b9ed183b43fe1e3ffb",
    ("test", "pos"): "82cfc9f7ab2124f2e2bc0014e048c7972c3a36801c77fa13f3f4a8bf18f83ab7",
    ("test", "neg"): "efee2df47f73d8efdd8d9a996dda21b68e09370ffbd7cd17833b2f70986cd158",
}


class IMDB(TextDataSet):
    """Film reviews, positive or negative."""

    experiment = "IMDB"
    class_names = ("negative", "positive")
    downloads = [("http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                  "md5:7c2ac02c03563afcf9b574c7e56c153a")]
    source_help = "the folder aclImdb (or its parent), or a .tar.gz, .tar.xz, .tar or .zip archive of it"
    generate_documents = staticmethod(generate_reviews)

    def read(self, source, options):
        return read_imdb(source, not options.no_checksum)


def read_imdb(source, check=True):
    """Read the Large Movie Review Dataset.

    Parameters
    ----------
    source : str
        The folder ``aclImdb`` (or its parent), or an archive of it.
    check : bool
        Require the published corpus: 12,500 numbered files per class and split, and their digests.

    Returns
    -------
    dict
        ``{"train": (documents, labels), "test": (documents, labels)}``: positive reviews (label 1) before negative
        ones (label 0), both in the order of their ids.
    """
    tree = _read_folder(source) if os.path.isdir(source) else _read_archive(source)
    corpus = {}
    for split in SPLITS:
        documents, labels = [], []
        for name, label in LABELS:
            where = "%s/%s of %s" % (split, name, source)
            files = _order_reviews(tree.get((split, name), {}), where, check)
            if check:
                _check_digest(files, SHA256[split, name], where)
            for file_name, content in files:
                path = "%s/%s/%s" % (split, name, file_name)
                documents.append(checked_document(decode(content, path), "%s of %s" % (path, source)))
                labels.append(label)
        corpus[split] = documents, labels
    return corpus


def folder_digest(files):
    """Return the sha256 over the names and contents of files in the given order."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(("%s %d\n" % (name, len(content))).encode("utf-8"))
        digest.update(content)
    return digest.hexdigest()


def _read_archive(source):
    tree = {}
    for member, content in read_archive(source, MEMBER.match).items():
        split, label, name = MEMBER.match(member).groups()
        if name in tree.setdefault((split, label), {}):
            raise ReportedError("archive %s holds two files %s/%s/%s; unpack it and give the right folder"
                                % (source, split, label, name))
        tree[split, label][name] = content
    return tree


def _read_folder(source):
    nested = os.path.join(source, "aclImdb")
    root = nested if os.path.isdir(nested) else source
    tree = {}
    for split in SPLITS:
        for label, _ in LABELS:
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
        match = FILE_NAME.match(name)
        if not match:
            raise ReportedError("unexpected file %s in %s; expected names such as 127_9.txt" % (name, where))
        number = int(match.group(1))
        if number in numbered:
            raise ReportedError("two files with number %d in %s: %s and %s" % (number, where, numbered[number], name))
        numbered[number] = name
    if complete:
        missing = next((number for number in range(REVIEWS) if number not in numbered), None)
        if missing is not None:
            raise ReportedError("%s lacks file %d_*.txt (%d of %d files found); use an undamaged copy, or accept "
                                "another corpus with --no-checksum" % (where, missing, len(files), REVIEWS))
    if not numbered:
        raise ReportedError("%s has no file; expected the tree aclImdb/{train,test}/{pos,neg}" % where)
    return [(numbered[number], files[numbered[number]]) for number in sorted(numbered)]


def _check_digest(files, expected, where):
    found = folder_digest(files)
    if found != expected:
        raise ReportedError("%s is not the published corpus: expected sha256 %s over its files, got %s; use an "
                            "undamaged copy, or accept another corpus with --no-checksum" % (where, expected, found))


DATA_SET = IMDB()

if __name__ == "__main__":
    main(DATA_SET)
