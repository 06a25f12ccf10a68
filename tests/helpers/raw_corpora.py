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
AGNEWS_ROWS = [
    (1, "Peace Talks", "The talks in Rome go on; \\\"hope\\\""),
    (2, "Cup Final", "The team wins the cup, 3:1"),
    (3, "Shares Up", "Shares in Rome rise"),
    (4, "New Chip", "The chip beats the old chip"),
    (2, "Team News", "A team with a new coach"),
]


def imdb_texts():
    """Contents of the tree, by path relative to aclImdb."""
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
    """Write aclImdb (with the files that do not matter) and return its path."""
    texts = dict(imdb_texts(), **{"README": "x", "train/unsup/0_0.txt": "ignored", "train/pos/.DS_Store": "x"})
    return write_tree(os.path.join(str(folder), "aclImdb"), texts)


def ptb_files():
    return {"ptb.%s.txt" % part: PTB_TEXTS[part] for part in PTB_TEXTS}


def agnews_csv(rows=AGNEWS_ROWS, repeat=4):
    return "".join('"%d","%s","%s"\n' % (label, title, description.replace('"', '""'))
                   for label, title, description in rows * repeat)


def run_script(dataset, *arguments, **environment):
    """Run the real entry point; return (exit status, stdout, stderr)."""
    script = os.path.join(ROOT, "Experiments", dataset, "prepare_data.py")
    process = subprocess.Popen([sys.executable, script] + [str(argument) for argument in arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                               env=dict(os.environ, PYTHONPATH=ROOT, **environment))
    output, errors = process.communicate()
    return process.returncode, output, errors


def folder_bytes(folder):
    contents = {}
    for name in sorted(os.listdir(str(folder))):
        with open(os.path.join(str(folder), name), "rb") as stream:
            contents[name] = stream.read()
    return contents
