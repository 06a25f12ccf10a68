"""Prepared folders: written completely or not at all, and checked when they are read.

There are two kinds. A folder of arrays has ``vocabulary.txt`` and one ``.npz`` file per part. A folder of text files
has ``SHA256SUMS`` beside them, which ``sha256sum --check`` understands.
"""

import contextlib
import hashlib
import os
import re
import shutil

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, load_metadata, save_arrays, write_atomically

from .archives import decode, file_digest, read_file
from .vocabulary import VOCABULARY_FILE, Vocabulary

__all__ = ["PARTS", "DIGEST_FILE", "write_array_folder", "load_array_folder", "is_array_folder", "write_text_folder",
           "is_intact", "folder_source", "listed_digests", "refuse_foreign_files", "check_metadata",
           "check_headers"]

PARTS = ("train", "valid", "test")
DIGEST_FILE = "SHA256SUMS"


def write_array_folder(folder, dataset, kind, vocabulary, parts, metadata, files=None, replaced=()):
    """Make a folder of arrays, or replace one.

    Parameters
    ----------
    folder : str
    dataset, kind : str
        Stored in the metadata of every part.
    vocabulary : Vocabulary
    parts : dict of str to (dict, dict)
        Arrays and metadata of each part, by its name.
    metadata : dict
        Metadata of all parts; at least ``"source"``, the origin of the data (no path: the bytes must not depend on it).
    files : dict of str to bytes, optional
        More files, by name.
    replaced : iterable of str, optional
        Names of files that another preparation of the same corpus writes. They may be in the replaced folder.
    """
    common = dict(metadata, dataset=dataset, kind=kind, vocabulary_size=len(vocabulary),
                  vocabulary_sha256=vocabulary.digest)
    files = files or {}
    own = {VOCABULARY_FILE}.union(files, replaced, (part + ".npz" for part in PARTS))
    with _replaced_folder(folder, own.__contains__) as unfinished:
        vocabulary.write(unfinished)
        for name, content in files.items():
            write_atomically(os.path.join(unfinished, name), content)
        for part, (arrays, details) in parts.items():
            save_arrays(os.path.join(unfinished, part + ".npz"), arrays, dict(common, split=part, **details),
                        compress=True)


def load_array_folder(folder, dataset, parts=PARTS, demo=None, arrays=None):
    """Load the vocabulary and the arrays of each part, and check that they belong together.

    Parameters
    ----------
    folder, dataset : str
    parts : sequence of str
    demo : str, optional
        The command that needs no prepared data, for the message if there are none.
    arrays : dict of str to (str, int), optional
        The dtype and the number of dimensions of each array; see `check_headers`.

    Returns
    -------
    vocabulary : Vocabulary
    arrays : dict of str to dict
        Named arrays of each part.
    metadata : dict of str to dict
    """
    missing = _missing_files(folder, parts)
    if len(missing) == len(parts) + 1:
        raise ReportedError("no prepared data in %s: run 'python prepare_data.py' (or 'python prepare_data.py "
                            "--source PATH' for a local copy)%s" % (folder, ", or try '%s'" % demo if demo else ""))
    if missing:
        raise ReportedError("prepared data in %s lacks %s; run prepare_data.py again" % (folder, missing[0]))
    path = os.path.join(folder, VOCABULARY_FILE)
    content = read_file(path)
    vocabulary = Vocabulary.from_bytes(content, path)
    expected = {"dataset": dataset, "vocabulary_size": len(vocabulary),
                "vocabulary_sha256": hashlib.sha256(content).hexdigest()}
    loaded, metadata = {}, {}
    for part in parts:
        path = os.path.join(folder, part + ".npz")
        loaded[part], metadata[part] = load_arrays(path, "prepared data", _checks(
            path, dict(expected, split=part), arrays))
    return vocabulary, loaded, metadata


def _checks(path, expected, arrays):
    """Return a function that checks the headers and the metadata of a prepared file."""
    def check(headers, metadata):
        check_metadata(path, metadata, expected)
        if arrays is not None:
            check_headers(path, headers, arrays)
    return check


def check_headers(path, headers, expected):
    """Raise a `ReportedError` if the arrays of a prepared file are not the expected ones.

    Parameters
    ----------
    path : str
        For the message.
    headers : dict of str to theano_rnn.npz_store.ArrayHeader
    expected : dict of str to (str, int)
        The dtype and the number of dimensions by name.
    """
    found = {name: (str(header.dtype), len(header.shape)) for name, header in headers.items()}
    if found != expected:
        described = [", ".join("%s (%s, %d dimensions)" % ((name,) + form) for name, form in sorted(forms.items())[:9])
                     for forms in (found, expected)]
        raise ReportedError("%s holds the arrays %s; expected %s; run prepare_data.py again"
                            % (path, described[0] or "none", described[1]))


def is_array_folder(folder, dataset, parts=PARTS):
    """Return whether a folder holds all files of a data set; files of another data set are an error."""
    if _missing_files(folder, parts):
        return False
    load_array_folder(folder, dataset, parts)
    return True


def write_text_folder(folder, contents, source):
    """Make a folder of text files, or replace one.

    Parameters
    ----------
    folder : str
    contents : dict of str to bytes
        By file name.
    source : str
        Origin of the files, in words. It is the first line of ``SHA256SUMS``.

    Returns
    -------
    bool
        False if the folder had exactly these files already.
    """
    digests = {name: hashlib.sha256(contents[name]).hexdigest() for name in contents}
    if _holds(folder, digests):
        return False
    listing = "# %s\n" % source + "".join("%s  %s\n" % (digests[name], name) for name in sorted(digests))
    contents = dict(contents, **{DIGEST_FILE: listing})
    try:
        with _replaced_folder(folder, _listed_files(folder)) as unfinished:
            for name in sorted(contents):
                write_atomically(os.path.join(unfinished, name), contents[name])
    except ReportedError:
        if _holds(folder, digests):         # another process was faster
            return False
        raise
    return True


def is_intact(folder):
    """Return whether all files of a folder of text files are present and unchanged."""
    digests = _recorded_digests(folder)
    paths = {name: os.path.join(folder, name) for name in digests or ()}
    return bool(paths) and all(
        os.path.isfile(path) and file_digest(path) == digests[name] for name, path in paths.items())


def folder_source(folder):
    """Return the recorded origin of a prepared folder, or None if there is no record."""
    path = os.path.join(folder, DIGEST_FILE)
    if os.path.isfile(path):
        first_line = decode(read_file(path), path).split("\n")[0]
        return first_line[len("# "):] if first_line.startswith("# ") else None
    path = os.path.join(folder, "train.npz")
    return load_metadata(path, "prepared data").get("source") if os.path.isfile(path) else None


def listed_digests(folder):
    """Return lines to print: the sha256 of every file of a folder."""
    return ["sha256 of the files:"] + ["  %s  %s" % (file_digest(os.path.join(folder, name)), name)
                                       for name in sorted(os.listdir(folder))]


def refuse_foreign_files(folder, is_own=None):
    """Raise a `ReportedError` if a folder holds a file that was not prepared.

    Parameters
    ----------
    folder : str
    is_own : callable, optional
        Takes the name of a file; true if it was prepared. The files that ``SHA256SUMS`` lists if omitted.
    """
    if not os.path.exists(folder):
        return
    if not os.path.isdir(folder):
        raise ReportedError("%s is not a folder; choose another one with --data-dir" % folder)
    is_own = is_own or _listed_files(folder)
    foreign = [name for name in sorted(os.listdir(folder)) if not is_own(name)]
    if foreign:
        raise ReportedError("folder %s holds %s, which is not prepared data and would be lost; move it away, or choose "
                            "another folder with --data-dir" % (folder, foreign[0]))


@contextlib.contextmanager
def _replaced_folder(folder, is_own):
    """Yield a temporary sibling of `folder` to write into, which replaces `folder` on success.

    On failure the old folder stays. A folder with files that are not `is_own` is refused.
    """
    folder = os.path.abspath(folder)
    refuse_foreign_files(folder, is_own)
    _remove_abandoned(folder)
    unfinished, replaced = ["%s.%d.%s" % (folder, os.getpid(), ending) for ending in ("unfinished", "replaced")]
    try:
        os.makedirs(unfinished)
        yield unfinished
        if os.path.isdir(folder):
            os.rename(folder, replaced)
        os.rename(unfinished, folder)
    except OSError as error:
        raise ReportedError("cannot write %s (%s); choose another folder with --data-dir"
                            % (folder, error.strerror or error)) from error
    finally:
        if os.path.isdir(replaced) and not os.path.exists(folder):
            os.rename(replaced, folder)
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def _remove_abandoned(folder):
    """Remove the temporary folders that killed processes left next to a folder."""
    parent, name = os.path.split(folder)
    if not os.path.isdir(parent):
        return
    pattern = re.compile(re.escape(name) + r"\.(\d+)\.(unfinished|replaced)$")
    for sibling in sorted(os.listdir(parent)):
        match = pattern.match(sibling)
        if match and not _is_running(int(match.group(1))):
            shutil.rmtree(os.path.join(parent, sibling), ignore_errors=True)


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process != os.getpid()


def check_metadata(path, metadata, expected):
    """Raise a `ReportedError` if the metadata of a prepared file are not the expected ones.

    Parameters
    ----------
    path : str
        For the message.
    metadata, expected : dict
        Only the keys of `expected` are compared.
    """
    for key in sorted(expected):
        if metadata.get(key) != expected[key]:
            raise ReportedError("%s does not belong here: its %s is %s, expected %s; run prepare_data.py again"
                                % (path, key, metadata.get(key), expected[key]))


def _missing_files(folder, parts):
    names = [VOCABULARY_FILE] + [part + ".npz" for part in parts]
    return [name for name in names if not os.path.isfile(os.path.join(folder, name))]


def _recorded_digests(folder):
    """Return the digests in ``SHA256SUMS`` by file name, or None without such a file."""
    path = os.path.join(folder, DIGEST_FILE)
    if not os.path.isfile(path):
        return None
    lines = [line.split("  ", 1) for line in decode(read_file(path), path).split("\n") if not line.startswith("#")]
    return {line[1]: line[0] for line in lines if len(line) == 2}


def _listed_files(folder):
    digests = _recorded_digests(folder)
    return (set() if digests is None else set(digests) | {DIGEST_FILE}).__contains__


def _holds(folder, digests):
    return is_intact(folder) and _recorded_digests(folder) == digests
