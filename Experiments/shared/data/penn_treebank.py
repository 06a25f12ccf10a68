"""Language modelling: reading the Penn Treebank, its character and its word version, the prepared folder."""

import collections
import os

import numpy as np

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import save_arrays
from theano_rnn.tokens import character_tokens, word_tokens

from . import prepared_folder as folder
from .archives import check_md5, decode, git_blob_id, read_named_files

__all__ = ["LanguageData", "PARTS", "KINDS", "UNKNOWN", "character_version", "read_ptb", "prepare_language",
           "load_language"]

LanguageData = collections.namedtuple("LanguageData", "vocabulary train valid test")

PARTS = ("train", "valid", "test")
KINDS = {"Char_PTB": "characters", "Word_PTB": "words"}
UNKNOWN = "<unk>"
MD5 = {
    "train": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "valid": "aa0affc06ff7c36e977d7cd49e3839bf",
    "test": "8b80168b89c18661a38ef683c0dc3721",
}
CHARACTER_BLOB_IDS = {
    "train": "84b890a87aed6ad2989aa12d03f1129c41d727b2",
    "valid": "940c7ea52db925f46874bc9e1ea37424beec6c98",
    "test": "4e866a8573cdd7d0ce6af45c034055adecc3bbd4",
}


def character_version(text):
    """Return the character file of a text: every character followed by a space, a space written ``_``.

    Lines are stripped first; the newline between them counts as a character.

    >>> character_version(' a bc ')
    'a _ b c '
    """
    return "".join(character + " " for character in character_tokens(text))


def read_ptb(source, check=True):
    """Read the three texts.

    Parameters
    ----------
    source : str
        Folder or archive (in any of its sub-folders) with ``ptb.train.txt``, ``ptb.valid.txt``, ``ptb.test.txt``.
    check : bool
        Insist on the published files.

    Returns
    -------
    dict of str to str
        By part.
    """
    contents = read_named_files(source, [_text_name(part) for part in PARTS])
    texts = {}
    for part in PARTS:
        name = _text_name(part)
        if check:
            check_md5(contents[name], MD5[part], "%s of %s" % (name, source))
        texts[part] = decode(contents[name], name)
        if not texts[part].strip():
            raise ReportedError("%s of %s is empty; use an undamaged copy" % (name, source))
    return texts


def prepare_language(texts, data_dir, dataset, details, published=False):
    """Write the prepared folder of a language modelling data set.

    Parameters
    ----------
    texts : dict of str to str
        The texts by part (`PARTS`).
    data_dir : str
        The folder to make or replace.
    dataset : str
        ``"Char_PTB"`` or ``"Word_PTB"``.
    details : dict
        More metadata: at least ``"source"``, where the texts come from (no path).
    published : bool
        The texts are the published ones: so must be the character files.

    Returns
    -------
    LanguageData
        What was written.
    """
    kind = KINDS[dataset]
    tokenize = character_tokens if kind == "characters" else word_tokens
    tokens = {part: tokenize(texts[part]) for part in PARTS}
    counts = collections.Counter(tokens["train"])
    vocabulary = sorted(counts, key=lambda entry: (-counts[entry], entry))
    ids = {part: _encode(tokens[part], vocabulary, _text_name(part)) for part in PARTS}
    with folder.replaced_folder(data_dir) as unfinished:
        if kind == "characters":
            _write_character_files(texts, unfinished, published)
        digest = folder.write_vocabulary(unfinished, vocabulary)
        for part in PARTS:
            metadata = dict(details, dataset=dataset, kind=kind, split=part, vocabulary_size=len(vocabulary),
                            vocabulary_sha256=digest, tokens=len(ids[part]))
            save_arrays(os.path.join(unfinished, part + ".npz"), {"tokens": ids[part]}, metadata, compress=True)
    return LanguageData(vocabulary, ids["train"], ids["valid"], ids["test"])


def load_language(data_dir, dataset):
    """Load a prepared folder.

    Parameters
    ----------
    data_dir : str
    dataset : str
        ``"Char_PTB"`` or ``"Word_PTB"``.

    Returns
    -------
    LanguageData
        ``vocabulary`` list of str (characters: with the real newline); ``train``, ``valid``, ``test`` int32 ids.
    """
    vocabulary, arrays, metadata = folder.load_parts(data_dir, dataset, KINDS[dataset], PARTS)
    for part in PARTS:
        path = os.path.join(data_dir, part + ".npz")
        tokens = arrays[part].get("tokens", np.zeros(0, dtype=np.int32))
        if not len(tokens) or len(tokens) != metadata[part].get("tokens"):
            raise ReportedError("%s has %d tokens, expected %s; run prepare_data.py again"
                                % (path, len(tokens), metadata[part].get("tokens")))
        if tokens.min() < 0 or tokens.max() >= len(vocabulary):
            raise ReportedError("%s has a token outside 0 to %d; run prepare_data.py again"
                                % (path, len(vocabulary) - 1))
    return LanguageData(vocabulary, *[arrays[part]["tokens"] for part in PARTS])


def _text_name(part):
    return "ptb.%s.txt" % part


def _encode(tokens, vocabulary, name):
    ids = {entry: number for number, entry in enumerate(vocabulary)}
    unknown = ids.get(UNKNOWN)
    encoded = [ids.get(token, unknown) for token in tokens]
    if None in encoded:
        raise ReportedError("%s holds %r, which is not in ptb.train.txt (and there is no %s to stand for it); use "
                            "parts of one corpus" % (name, tokens[encoded.index(None)], UNKNOWN))
    return np.array(encoded, dtype=np.int32)


def _write_character_files(texts, path, published):
    for part in PARTS:
        name = "ptb.char.%s.txt" % part
        content = character_version(texts[part]).encode("utf-8")
        if published and git_blob_id(content) != CHARACTER_BLOB_IDS[part]:
            raise ReportedError("the character version %s has git blob id %s, expected %s: this is an error of the "
                                "program, please report it" % (name, git_blob_id(content), CHARACTER_BLOB_IDS[part]))
        with open(os.path.join(path, name), "wb") as stream:
            stream.write(content)
