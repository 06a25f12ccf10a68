"""Fuzzing of the readers of foreign files: as many mutated files as fit in some minutes, all in one child."""

import collections
import json
import os
import random
import signal
import time
import traceback

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays

from bayes_rnn.predictor import load_model
from Experiments.AGNews import prepare_data as agnews
from Experiments.shared.checkpoints import load_checkpoint, load_progress
from Experiments.shared.data import archives
from Experiments.shared.data.language_modeling import corpus_words
from Experiments.shared.data.tagged_sentences import parse_conllu, parse_sentences
from Experiments.shared.data.vocabulary import Vocabulary
from Experiments.shared.data.word_vectors import read_vectors
from Experiments.shared.run_folder import RunFolder

from . import damage, verdicts
from .valid_inputs import write

__all__ = ["fuzz", "READERS"]

LONGEST = 20        # seconds of one file
#: Pieces that readers treat in a special way.
PIECES = (b"\xef\xbb\xbf", b"\0", b"\r", b"\n\n", b"\t\t", b'"', b'""', b"nan", b"inf", b"1e999", b"9" * 400, b"-1",
          b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY", b"ustar", b"\xff\xff\xff\xff", b"{", b"[", b"()",
          b"../", b"\xed\xa0\x80", b"'descr': 'O'", b"4294967296", b"# ", b"1-2\t", b"_\t_", b" " * 300)
CONLLU = (b"# text = don't\n1-2\tdon't" + 8 * b"\t_" + b"\n1\tdo\tdo\tAUX\tVBP" + 5 * b"\t_"
          + b"\n2\tn't\tnot\tPART\tRB" + 5 * b"\t_" + b"\n\n")
VECTORS = b"the 1 2 3\ndog 4 5 6\nfilm -1 0 1e-3\n"


def _text(path):
    return archives.read_text(path)


def _archive(path):
    return archives.read_archive(path, lambda name: True)


def _vocabulary(path):
    return Vocabulary.from_bytes(archives.read_file(path), path)


def _readers(world):
    """Return the readers: dict of name to (ending of the file, function of its path, valid files)."""
    def run_file(program, name):
        with open(os.path.join(world.run(program), name), "rb") as stream:
            return stream.read()

    files = world.raw("Word_PTB")
    tar, zipped = [damage._tar(sorted(files.items()), mode) for mode in ("w:gz", "w")], damage.zeros_member(
        b"PK\x05\x06" + bytes(18), "ptb.test.txt", 2 ** 24)
    return collections.OrderedDict([
        ("npz store", (".npz", load_arrays, [run_file("IMDB", "compressed.npz")])),
        ("compressed models", (".npz", load_model, [run_file("IMDB", "compressed.npz"),
                                                    run_file("Word_PTB", "compressed.npz")])),
        ("checkpoints", (".npz", lambda path: (load_progress(path), load_checkpoint(path, None, "the run")),
                         [run_file("Word_PTB", "last.npz")])),
        ("config.json", ("/config.json", lambda path: world.experiment("IMDB").read_settings(
            RunFolder(os.path.dirname(path))), [run_file("IMDB", "config.json")])),
        ("vectors", (".txt", lambda path: read_vectors(path, ["the", "dog"], 3), [VECTORS, b"3 3\n" + VECTORS])),
        ("binary vectors", (".bin", lambda path: read_vectors(path, ["the", "dog"], 1),
                            [b"2 1\nthe \0\0\x80\x3fdog \0\0\0\x40"])),
        ("CoNLL", (".txt", lambda path: parse_sentences(_text(path), path), [world.raw("sequence_labeling")[
            "wsj_train.conll"]])),
        ("CoNLL-U", (".txt", lambda path: parse_conllu(_text(path), path), [CONLLU])),
        ("csv", (".csv", lambda path: agnews.read_agnews(path, 0.5, check=False), [world.raw("AGNews")["train.csv"]])),
        ("archives", ("", _archive, tar + [zipped])),
        ("texts", (".txt", lambda path: corpus_words(archives.read_file(path), path), [files["ptb.train.txt"]])),
        ("vocabularies", (".txt", _vocabulary, [b"the\ndog\n\\n\n\\\\\n"])),
    ])


READERS = ("npz store", "compressed models", "checkpoints", "config.json", "vectors", "binary vectors", "CoNLL",
           "CoNLL-U", "csv", "archives", "texts", "vocabularies")


def _mutated(content, generator):
    for _ in range(generator.choice([1, 1, 2, 3])):
        kind = generator.random()
        if kind < 0.4:
            _, content = damage.damaged(content or b"x", generator)
        elif kind < 0.6 and len(content) < 100000:
            _, content = damage.damaged_text(content or b"x\n", generator)
        else:
            at = generator.randrange(len(content) + 1)
            piece = generator.choice(PIECES)
            content = content[:at] + piece + content[at + generator.choice([0, len(piece)]):]
    return content[:8 << 20]


def fuzz(world, seed, seconds, keep=None):
    """Fuzz each reader for some seconds.

    Parameters
    ----------
    world : World
    seed : str
    seconds : float
    keep : str, optional
        Folder for the files with which a reader failed.

    Returns
    -------
    dict of str to (collections.Counter, list of (str, str))
        By reader: the number of each verdict, and the failures.
    """
    results = collections.OrderedDict()
    for name, (ending, read, valid) in _readers(world).items():
        folder = os.path.join(world.folder, "fuzz", name.replace(" ", "-"))
        os.makedirs(folder, exist_ok=True)
        found = verdicts.in_child(lambda name=name, ending=ending, read=read, valid=valid, folder=folder: json.dumps(
            _fuzz_reader(random.Random("%s %s" % (seed, name)), folder, ending, read, valid, seconds, keep)),
            folder, seconds + 2 * LONGEST)
        counts, failures = json.loads(found.result) if found.status == 0 else (
            {verdicts.FAILED: 1}, [("the process", "status %s: %s" % (found.status, found.errors[-300:]))])
        if found.growth > verdicts.MOST_MEMORY:
            counts[verdicts.FAILED] = counts.get(verdicts.FAILED, 0) + 1
            failures.append(("memory", "%.1f GB" % (found.growth / 1e9)))
        results[name] = collections.Counter(counts), failures
    return results


def _fuzz_reader(generator, folder, ending, read, valid, seconds, keep):
    def late(*_):
        raise TimeoutError("takes more than %d s" % LONGEST)

    signal.signal(signal.SIGALRM, late)
    counts, failures, until = collections.Counter(), [], time.time() + seconds
    path = os.path.join(folder, "case" + ending)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    while time.time() < until and len(failures) < 20:
        content = _mutated(generator.choice(valid), generator)
        write(path, content)
        signal.alarm(LONGEST)
        try:
            read(path)
            counts[verdicts.ACCEPTED] += 1
        except ReportedError:
            counts[verdicts.REFUSED] += 1
        except Exception as error:
            counts[verdicts.FAILED] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            failures.append(("%s, line %d" % (os.path.basename(place.filename), place.lineno), repr(error)[:300]))
            if keep:
                write(os.path.join(keep, "%s-%d" % (os.path.basename(folder), len(failures))), content)
        finally:
            signal.alarm(0)
    return counts, failures
