"""The prepared folder: written whole or not at all, and checked when it is read."""

import contextlib
import hashlib
import os
import re
import shutil
import zlib

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, write_atomically

from .archives import decode, read_file

__all__ = ["VOCABULARY_FILE", "replaced_folder", "write_vocabulary", "read_vocabulary", "load_parts", "file_digests",
           "is_prepared"]

VOCABULARY_FILE = "vocabulary.txt"
KNOWN_FILES = re.compile(r"(vocabulary\.txt|(train|valid|test)\.npz|ptb\.char\.(train|valid|test)\.txt)$")


@contextlib.contextmanager
def replaced_folder(data_dir):
    """Yield a temporary sibling of `data_dir` to write into; it takes the place of `data_dir` only on success.

    An earlier prepared folder is replaced; a folder that holds anything else is refused.
    """
    data_dir = os.path.abspath(data_dir)
    _refuse_foreign_files(data_dir)
    _remove_abandoned(data_dir)
    unfinished = "%s.%d.unfinished" % (data_dir, os.getpid())
    replaced = "%s.%d.replaced" % (data_dir, os.getpid())
    try:
        os.makedirs(unfinished)
    except OSError as error:
        raise ReportedError("cannot write beside %s (%s); choose another folder with --data-dir"
                            % (data_dir, error.strerror or error)) from error
    try:
        yield unfinished
        if os.path.isdir(data_dir):
            os.rename(data_dir, replaced)
        os.rename(unfinished, data_dir)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def write_vocabulary(folder, entries):
    r"""Write one entry a line in the order of ids and return the sha256 of the file.

    A backslash is written ``\\`` and a newline ``\n`` (as Python would), so that every line is one entry.
    """
    lines = [entry.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for entry in entries]
    content = "".join(lines).encode("utf-8")
    write_atomically(os.path.join(folder, VOCABULARY_FILE), content)
    return hashlib.sha256(content).hexdigest()


def read_vocabulary(folder):
    """Read what `write_vocabulary` wrote: the list of entries and the sha256 of the file."""
    path = os.path.join(folder, VOCABULARY_FILE)
    content = read_file(path)
    unescape = {"\\\\": "\\", "\\n": "\n"}
    entries = [re.sub(r"\\.", lambda match: unescape.get(match.group(), match.group()), line)
               for line in decode(content, path).split("\n")[:-1]]
    return entries, hashlib.sha256(content).hexdigest()


def is_prepared(data_dir, parts):
    """Whether the folder holds the files of a prepared data set."""
    return all(os.path.isfile(os.path.join(data_dir, name)) for name in _file_names(parts))


def load_parts(data_dir, dataset, kind, parts):
    """Load the vocabulary and the arrays of each part, checked against each other.

    Returns
    -------
    vocabulary : list of str
    arrays : dict of str to dict
        For each part its named arrays.
    metadata : dict of str to dict
    """
    missing = [name for name in _file_names(parts) if not os.path.isfile(os.path.join(data_dir, name))]
    if len(missing) == len(parts) + 1:
        raise ReportedError("no prepared data in %s: run 'python prepare_data.py' (or 'python prepare_data.py "
                            "--source PATH' for a local copy), or try 'python main.py CONFIG --demo'" % data_dir)
    if missing:
        raise ReportedError("prepared data in %s lacks %s; run prepare_data.py again" % (data_dir, missing[0]))
    vocabulary, digest = read_vocabulary(data_dir)
    arrays, metadata = {}, {}
    for part in parts:
        path = os.path.join(data_dir, part + ".npz")
        try:
            arrays[part], metadata[part] = load_arrays(path, "prepared data")
        except zlib.error as error:
            raise ReportedError("prepared data %s is damaged (%s); run prepare_data.py again"
                                % (path, error)) from error
        _check_metadata(path, metadata[part], {"dataset": dataset, "kind": kind, "split": part,
                                               "vocabulary_size": len(vocabulary), "vocabulary_sha256": digest})
    return vocabulary, arrays, metadata


def file_digests(data_dir):
    """The sha256 of every file of a prepared folder, as a sorted list of (name, digest)."""
    return [(name, hashlib.sha256(read_file(os.path.join(data_dir, name))).hexdigest())
            for name in sorted(os.listdir(data_dir))]


def _check_metadata(path, metadata, expected):
    for key in sorted(expected):
        if metadata.get(key) != expected[key]:
            raise ReportedError("%s does not belong here: its %s is %s, expected %s; run prepare_data.py again"
                                % (path, key, metadata.get(key), expected[key]))


def _file_names(parts):
    return [VOCABULARY_FILE] + [part + ".npz" for part in parts]


def _refuse_foreign_files(data_dir):
    if os.path.exists(data_dir) and not os.path.isdir(data_dir):
        raise ReportedError("%s is not a folder; choose another one with --data-dir" % data_dir)
    foreign = [name for name in sorted(os.listdir(data_dir)) if not KNOWN_FILES.match(name)] \
        if os.path.isdir(data_dir) else []
    if foreign:
        raise ReportedError("folder %s holds %s, which is no prepared data and would be lost; choose an empty or new "
                            "folder with --data-dir" % (data_dir, foreign[0]))


def _remove_abandoned(data_dir):
    """Remove what killed preparations left beside the folder."""
    parent, name = os.path.split(data_dir)
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
