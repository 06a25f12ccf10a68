"""The order of the packages: each imports only from those below it. The test reads the sources and imports nothing."""

import ast
import functools
import os

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: Packages from which a package may import, besides itself, the standard library and installed packages.
ALLOWED = {
    "theano_rnn": set(),
    "bayes_rnn": {"theano_rnn"},
    "sparse_seq_theano": {"theano_rnn"},
    "Experiments": {"theano_rnn", "bayes_rnn", "sparse_seq_theano"},
    "examples": {"theano_rnn", "bayes_rnn", "sparse_seq_theano"},
    "benchmarks": {"theano_rnn", "bayes_rnn", "sparse_seq_theano", "Experiments"},
    "environment": {"theano_rnn"},
    "tests": {"theano_rnn", "bayes_rnn", "sparse_seq_theano", "Experiments", "benchmarks"},
}
THIRD_PARTY = {"theano", "lasagne", "pygpu", "numpy", "scipy", "matplotlib", "pooch", "tqdm", "pytest", "hypothesis",
               "torch", "jax", "tensorboardX", "sklearn", "fasttext", "jinja2", "onnx"}


def module_name(path):
    name = os.path.relpath(path, ROOT)[:-len(".py")].replace(os.sep, ".")
    return name[:-len(".__init__")] if name.endswith(".__init__") else name


@functools.lru_cache(maxsize=None)
def sources():
    """Return the paths of all source files by the name of the module."""
    paths = [os.path.join(folder, name) for package in ALLOWED
             for folder, _, names in os.walk(os.path.join(ROOT, package)) for name in names if name.endswith(".py")]
    return {module_name(path): path for path in paths}


def statements(node, inside_functions):
    """Yield the import statements below a node of a syntax tree."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif inside_functions or not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            for statement in statements(child, inside_functions):
                yield statement


@functools.lru_cache(maxsize=None)
def imports(module, inside_functions=True):
    """Return the names of the modules that a module imports, with all parent packages, its own included."""
    path = sources()[module]
    with open(path, encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    package = module if os.path.basename(path) == "__init__.py" else module.rpartition(".")[0]
    found = {package}
    for statement in statements(tree, inside_functions):
        if isinstance(statement, ast.Import):
            found.update(alias.name for alias in statement.names)
            continue
        base = statement.module or ""
        if statement.level:
            parts = package.split(".")
            base = ".".join(parts[:len(parts) - statement.level + 1] + ([base] if base else []))
        found.add(base)
        found.update("%s.%s" % (base, alias.name) for alias in statement.names
                     if "%s.%s" % (base, alias.name) in sources())
    for name in list(found):
        while "." in name:
            name = name.rpartition(".")[0]
            found.add(name)
    return found


def imported_with(module):
    """Return the names of all modules that importing a module imports, directly or through the project's modules."""
    found, left = set(), {module}
    while left:
        name = left.pop()
        found.add(name)
        if name in sources():
            left |= imports(name, inside_functions=False) - found
    return found


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_imports_only_from_those_below_it(package):
    modules = [name for name in sources() if name.partition(".")[0] == package]
    assert modules
    wrong = ["%s imports %s" % (module, name) for module in sorted(modules) for name in sorted(imports(module))
             if name in ALLOWED and name != package and name not in ALLOWED[package]]
    assert not wrong


def test_data_preparation_does_not_import_theano():
    modules = [name for name in sources() if name.startswith("Experiments.shared.data")]
    assert modules
    wrong = ["%s imports %s" % (module, name) for module in sorted(modules) for name in ("theano", "lasagne")
             if name in imported_with(module)]
    assert not wrong


def test_the_numpy_predictor_needs_no_other_file():
    """Only the class of its errors comes from the project, if the project is there."""
    modules = imported_with("theano_rnn.numpy_predictor") | imports("theano_rnn.numpy_predictor")
    assert modules & set(sources()) == {"theano_rnn", "theano_rnn.errors", "theano_rnn.interrupts",
                                        "theano_rnn.numpy_predictor"}
    assert modules & THIRD_PARTY == {"numpy"}


@pytest.mark.parametrize("module", ["bayes_rnn.predictor", "bayes_rnn.predict", "bayes_rnn.export",
                                    "bayes_rnn.export_c", "bayes_rnn.export_html", "bayes_rnn.export_onnx",
                                    "bayes_rnn.characters", "bayes_rnn.model_file", "bayes_rnn.c_library"])
def test_prediction_and_export_import_numpy_only(module):
    assert imported_with(module) & THIRD_PARTY == {"numpy"}


@pytest.mark.parametrize("module", ["theano_rnn", "bayes_rnn", "sparse_seq_theano", "Experiments.shared"])
def test_importing_a_package_alone_imports_no_theano(module):
    assert not imported_with(module) & {"theano", "lasagne"}
