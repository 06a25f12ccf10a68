"""setup.py installs all modules, C++ files and templates; the metadata agree."""

import glob
import os
import re
import shutil
import subprocess
import sys

from theano_rnn.runtime import configuration

import bayes_rnn

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = ["theano_rnn", "bayes_rnn", "sparse_seq_theano", "Experiments/shared"]


def sources(root):
    """Return the paths of all source files of the packages, relative to a folder."""
    paths = [os.path.relpath(os.path.join(folder, name), root)
             for package in PACKAGES for folder, _, names in os.walk(os.path.join(root, package)) for name in names]
    return {path for path in paths if path.endswith((".py", ".c", ".cpp", ".hpp", ".html", ".js", ".css"))}


def test_every_source_file_is_installed(tmp_path):
    project, built = str(tmp_path / "project"), str(tmp_path / "built")
    os.mkdir(project)
    shutil.copy(os.path.join(ROOT, "setup.py"), project)
    for package in PACKAGES:
        shutil.copytree(os.path.join(ROOT, package), os.path.join(project, package),
                        ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(os.path.join(ROOT, "Experiments", "__init__.py"), os.path.join(project, "Experiments"))
    shutil.copytree(os.path.join(ROOT, "models"), os.path.join(project, "models"))
    before = sorted(os.listdir(project))
    subprocess.check_output([sys.executable, "setup.py", "-q", "build", "--build-lib", built], cwd=project,
                            stderr=subprocess.STDOUT)
    assert sorted(os.listdir(project)) == before                    # no folder build
    assert sources(built) == sources(ROOT)
    assert any(path.endswith(".cpp") for path in sources(built))
    # As installed, without Theano, the models are found by name.
    program = "from bayes_rnn.predictor import find_model, model_names; print(find_model(model_names()[0]))"
    path = subprocess.check_output([sys.executable, "-c", program], cwd=built, universal_newlines=True).strip()
    assert os.path.realpath(path).startswith(os.path.realpath(built) + os.sep)
    assert sorted(os.listdir(os.path.dirname(path))) == sorted(os.listdir(os.path.join(ROOT, "models")))


def test_metadata_have_the_version_of_the_package():
    with open(os.path.join(ROOT, "CITATION.cff"), encoding="utf-8") as stream:
        assert re.search(r"^version: (.+)$", stream.read(), re.M).group(1) == bayes_rnn.__version__
    with open(os.path.join(ROOT, "CHANGELOG.md"), encoding="utf-8") as stream:
        assert "\n## %s " % bayes_rnn.__version__ in stream.read()
    name, version = subprocess.check_output([sys.executable, "setup.py", "--name", "--version"], cwd=ROOT,
                                            universal_newlines=True).split()
    assert (name, version) == ("bayes-rnn", bayes_rnn.__version__)


def test_the_metadata_and_the_message_of_an_unsupported_interpreter_name_the_same_versions():
    (oldest_major, oldest), (newest_major, newest) = configuration.SUPPORTED_PYTHON
    with open(os.path.join(ROOT, "setup.py"), encoding="utf-8") as stream:
        assert 'python_requires=">=%d.%d,<%d.%d"' % (oldest_major, oldest, newest_major, newest + 1) in stream.read()


def test_every_requirements_file_has_a_lock_and_the_command_that_makes_it():
    inputs = sorted(glob.glob(os.path.join(ROOT, "requirements", "*.in")))
    locks = sorted(glob.glob(os.path.join(ROOT, "requirements", "*.txt")))
    assert inputs and [path[:-len(".in")] for path in inputs] == [path[:-len(".txt")] for path in locks]
    for path in inputs:
        name = "requirements/" + os.path.basename(path)[:-len(".in")]
        with open(path) as stream:
            command, = [line for line in stream if "uv pip compile" in line and "--generate-hashes" in line]
            assert command.endswith(" %s.in -o %s.txt\n" % (name, name))
        with open(path[:-len(".in")] + ".txt") as stream:
            assert "--hash=sha256:" in stream.read()
