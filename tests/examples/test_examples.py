"""The scripts in examples/ learn and compress in an empty folder; the README shows lines of them."""

import glob
import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = sorted(glob.glob(os.path.join(ROOT, "examples", "*.py")))


def read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a function that maps the name of an example to its output.

    Theano runs in Python where it can: the tests of the layers run the compiled code, and compiling takes minutes.
    """
    folder, outputs = str(tmp_path_factory.mktemp("empty")), {}

    def run(name):
        if name not in outputs:
            flags = ",".join(filter(None, [os.environ.get("THEANO_FLAGS"), "mode=FAST_COMPILE"]))
            outputs[name] = subprocess.check_output(
                [sys.executable, os.path.join(ROOT, "examples", name)], cwd=folder, universal_newlines=True,
                env=dict(os.environ, PYTHONPATH=ROOT, THEANO_FLAGS=flags))
            assert not os.listdir(folder)
        return outputs[name]
    return run


def number(pattern, output):
    """Return the number that an output has after a text."""
    return float(re.search(re.escape(pattern) + r" ([0-9.]+(e-?\d+)?)", output).group(1))


def test_all_examples_are_tested():
    assert [os.path.basename(path) for path in EXAMPLES] == ["classifier.py", "language_model.py", "tagger.py"]


def test_the_classifier_learns_prunes_and_becomes_small(results):
    output = results("classifier.py")
    assert number("accuracy", output) > 0.9                         # 1/3 by chance
    assert number("compression", output) > 5
    assert number("pruned against small:", output) < 1e-5
    small, large = map(int, re.search(r"parameters: (\d+) of (\d+)", output).groups())
    assert small < large / 2
    words = re.search("kept words: (.*)", output).group(1).split()
    assert {"not", "refund", "password"} <= set(words) and len(words) < 200


def test_the_tagger_uses_the_context_of_both_sides(results):
    output = results("tagger.py")
    assert number("accuracy", output) < 0.9                         # of the most frequent tag of each word
    assert float(re.search(r"^accuracy ([0-9.]+)", output, re.M).group(1)) > 0.95
    assert number("compression", output) > 2
    assert number("pruned against small:", output) < 1e-5


def test_the_language_model_is_sparse_and_learns_the_phrases(results):
    output = results("language_model.py")
    assert number("compression", output) > 2
    assert float(re.search(r"^perplexity ([0-9.]+),", output, re.M).group(1)) < \
        0.3 * number("perplexity of the word frequencies:", output)


def test_every_line_of_python_in_the_readme_is_from_an_example():
    lines = {line.strip() for path in EXAMPLES for line in read(path).splitlines()}
    section = read(os.path.join(ROOT, "README.md")).partition("## Use the layers in your own network")[2]
    snippets = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    assert len(snippets) == 3
    for snippet in snippets:
        for line in filter(None, map(str.strip, snippet.splitlines())):
            assert line in lines
