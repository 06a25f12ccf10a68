"""Tiny corpora in the real formats, for the tests of the data side."""

import os
import subprocess
import sys
import tarfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

PTB_TEXTS = {
    "train": " a cat sat \n the cat <unk> on a mat N times \n the dog sat by zero bars \n" * 30,
    "valid": " a dog sat \n the cat sat \n" * 20,
    "test": " the mat <unk> a zebra \n" * 20,
}
LANGUAGE_TEXTS = {"train": "b a b \n c <unk> \n\n b a", "valid": "a d \n", "test": "d e b \n"}
LANGUAGE_TEXTS_WITHOUT_UNKNOWN = {"train": "b a b \n c \n", "valid": "e d e \n", "test": "d f \n"}
TAGGED_FILES = {
    "wsj_train.conll": "The\tDT\ndog\tNN\nsees\tVBZ\nthe\tDT\ndog\tNN\n\n\nBark\tVB\n",
    "wsj_valid.conll": "the\tDT\ncat\tNN\n\n",
    "wsj_test.conll": "dog\tNN\r\n\r\nsees\tVBZ\r\n",
}
AGNEWS_ROWS = [
    (1, "Peace Talks", "The talks in Rome go on; \\\"hope\\\""),
    (2, "Cup Final", "The team wins the cup, 3:1"),
    (3, "Shares Up", "Shares in Rome rise"),
    (4, "New Chip", "The chip beats the old chip"),
    (2, "Team News", "A team with a new coach"),
]


def imdb_texts():
    """Return the contents of the tree, by path relative to aclImdb."""
    texts = {}
    for split in ("train", "test"):
        for label, word in (("pos", "good"), ("neg", "bad")):
            for number in range(12):
                texts["%s/%s/%d_%d.txt" % (split, label, number, number % 10)] = \
                    "A %s film, number %d.<br />It's caf\u00e9 %s!" % (word, number, "Good" * (number % 2))
    return texts


def write_tree(folder, texts):
    for name in sorted(texts):
        path = os.path.join(str(folder), *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(texts[name].encode("utf-8"))
    return str(folder)


def write_tar(path, folder, prefix, mode):
    with tarfile.open(str(path), mode) as archive:
        archive.add(str(folder), prefix)
    return str(path)


def write_zip(path, texts, prefix=""):
    with zipfile.ZipFile(str(path), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(texts):
            archive.writestr(prefix + name, texts[name])
    return str(path)


def imdb_tree(folder):
    """Write aclImdb, with files that the reader ignores, and return its path."""
    texts = dict(imdb_texts(), **{"README": "x", "train/unsup/0_0.txt": "ignored", "train/pos/.DS_Store": "x"})
    return write_tree(os.path.join(str(folder), "aclImdb"), texts)


def ptb_files():
    return {"ptb.%s.txt" % part: PTB_TEXTS[part] for part in PTB_TEXTS}


def write_corpus(folder, texts=None, form="%s.txt"):
    """Write the texts of a language model, by default LANGUAGE_TEXTS, and return the folder."""
    texts = texts or LANGUAGE_TEXTS
    return write_tree(folder, {form % part: texts[part] for part in texts})


def write_tagged(folder, **changes):
    """Write TAGGED_FILES with changes (by part, or `tags`) and return the folder."""
    files = dict(TAGGED_FILES)
    for name, text in changes.items():
        files["tags.txt" if name == "tags" else "wsj_%s.conll" % name] = text
    return write_tree(folder, files)


def decoded_sentences(data, part):
    """Return the sentences of a part as lists of words and tags."""
    raw = getattr(data, part)
    pairs = [(data.vocabulary[token], data.tags[tag]) for token, tag in zip(raw.tokens, raw.tags)]
    return [pairs[begin:end] for begin, end in zip(raw.offsets[:-1], raw.offsets[1:])]


def agnews_csv(rows=AGNEWS_ROWS, repeat=4):
    return "".join('"%d","%s","%s"\n' % (label, title, description.replace('"', '""'))
                   for label, title, description in rows * repeat)


def agnews_folder(folder):
    """Write train.csv and test.csv and return the folder."""
    return write_tree(folder, {"train.csv": agnews_csv(), "test.csv": agnews_csv(repeat=1)})


def run_script(experiment, *arguments, **environment):
    """Run the real prepare_data.py of an experiment; return exit status, stdout and stderr."""
    script = os.path.join(ROOT, "Experiments", experiment, "prepare_data.py")
    return _run([sys.executable, script], arguments, env=dict(os.environ, PYTHONPATH=ROOT, **environment))


def run_getdata(*arguments, **options):
    """Run the real getdata.sh; return exit status, stdout and stderr."""
    return _run([os.path.join(ROOT, "Experiments", "language_modeling", "getdata.sh")], arguments, **options)


def _run(command, arguments, **options):
    process = subprocess.Popen(command + [str(argument) for argument in arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, universal_newlines=True, **options)
    output, errors = process.communicate()
    return process.returncode, output, errors
