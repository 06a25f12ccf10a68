"""Run the examples in the docstrings of all packages.

``pytest --doctest-modules`` is not used: with the import mode ``importlib`` it may import a module a second time, so
that each class exists twice, and it imports the modules that need a GPU.
"""

import ast
import doctest
import importlib
import os

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGES = ["theano_rnn", "bayes_rnn", "sparse_seq_theano", os.path.join("Experiments", "shared"), "benchmarks"]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def has_examples(path):
    """Return whether a docstring of a source file has examples to run, without importing the file."""
    with open(path, encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    examples = sum((doctest.DocTestParser().get_examples(text) for text in docstrings), [])
    return not all(example.options.get(doctest.SKIP) for example in examples)


def modules_with_examples():
    found = []
    for package in PACKAGES:
        for folder, _, names in os.walk(os.path.join(ROOT, package)):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(".py") and has_examples(path):
                    module = os.path.relpath(path, ROOT)[:-len(".py")].replace(os.sep, ".")
                    found.append(module[:-len(".__init__")] if module.endswith(".__init__") else module)
    return sorted(found)


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name, seeded, reference_backend, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, attempted = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert attempted and not failed, "%d of %d examples failed; the output above shows them" % (failed, attempted)
