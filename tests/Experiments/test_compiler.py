"""Computers without a C++ compiler: PATH has none."""

import pytest
from helpers import running

INSTALL = "install it (Debian and Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; conda: conda install gxx)"
REFUSED = ("error: there is no C++ compiler (%s not found), which Theano needs; " + INSTALL + ", or use "
           "--without-compiler, which takes hours instead of seconds\n")
WARNED = "warning: all operations run in Python, which takes hours instead of seconds: "


@pytest.fixture
def without_compiler(tmp_path):
    """The environment variables of such a computer, with an empty compile cache."""
    return dict(PATH=str(tmp_path), HOME=str(tmp_path), THEANO_FLAGS=None, THEANORC=None)


@pytest.mark.parametrize("experiment, name, arguments", [
    ("IMDB", "main.py", ["LLLCCL", "--demo"]),
    ("IMDB", "main.py", ["--eval-only", "run"]),
    ("IMDB", "run_compressed.py", ["run"]),
    ("language_modeling", "main.py", ["--demo"]),
    ("language_modeling", "finetune.py", ["--save", "run"]),
])
def test_a_program_says_at_once_what_is_missing(experiment, name, arguments, without_compiler, without_theano):
    path = running.script(experiment, name)
    assert running.run(path, arguments, PYTHONPATH=without_theano, **without_compiler) == (2, "", REFUSED % "g++")


def test_the_compiler_of_the_user_is_missing(without_theano):
    status, output, errors = running.run(running.script("IMDB"), ["LLLCCL", "--demo"], PYTHONPATH=without_theano,
                                         THEANO_FLAGS="cxx=/nowhere/g++")
    assert (status, output, errors) == (2, "", REFUSED % "/nowhere/g++")


COMPUTE = """
import theano, theano.tensor as T
from theano_rnn.ops.backend import select_backend
x = T.vector()
print(theano.function([x], T.exp(x) + x)([0]), select_backend(), repr(theano.config.cxx))
"""


def test_a_script_of_the_user_gets_one_warning(without_compiler):
    process = running.start_python("import bayes_rnn.layers\n" + COMPUTE, **without_compiler)
    assert running.wait(process) == (0, "[1.] reference ''\n", "%sthere is no C++ compiler (g++ not found); %s\n"
                                     % (WARNED, INSTALL))


def test_computation_without_compiler_on_request():
    code = "from theano_rnn import runtime\nruntime.work_without_compiler()\nruntime.configure()\n" + COMPUTE
    assert running.wait(running.start_python(code)) == (0, "[1.] reference ''\n", WARNED + "--without-compiler\n")


def test_the_option_of_the_programs(without_compiler, without_theano, data, tmp_path):
    arguments = running.tiny_arguments("Char_PTB", data("Char_PTB"), tmp_path / "run", "--without-compiler")
    status, _, errors = running.run(running.script("Char_PTB"), arguments, PYTHONPATH=without_theano,
                                    **without_compiler)
    assert (status, errors) == (99, WARNED + "--without-compiler\ntheano was imported")
