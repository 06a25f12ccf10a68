"""Configuration of Theano in scripts that only import layers, each in a separate process and folder."""

import os
import platform
import sys

import pytest
import theano
from helpers import running
from helpers.backends import needs_fused

ON_X86 = platform.machine() in ("x86_64", "AMD64") and platform.libc_ver()[0] == "glibc"
ON_311 = sys.version_info >= (3, 11)
UNSET = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "THEANORC", "THEANO_RNN_BACKEND",
         "BAYES_RNN_RECURRENCE")
# Theano 1.0.5 cannot be imported without it there.
BARE = ",blas.ldflags=" if ON_311 else ""

LAYERS = {
    "bayes_rnn": "from bayes_rnn.layers import BayesianLSTMLayer as LSTMLayer\n",
    "sparse_seq_theano": "from sparse_seq_theano.layers import SparseLSTMLayer as LSTMLayer\n",
}
OPTIONS = {"bayes_rnn": "kind='D'", "sparse_seq_theano": "blocks=1"}
REPORT = """
import os
import sys
import theano
print(theano.config.floatX, theano.config.device, theano.config.optimizer_excluding)
print(theano.config.gcc.cxxflags)
print(os.environ["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0))), "Experiments" in sys.modules)
import numpy
print((numpy.full(8, 1e-21, dtype="float32") ** 2).max())
"""
# Theano's own operations run in Python: only the recurrence is compiled.
COMPILE = """
import lasagne
import theano.tensor as T
x = T.tensor3()
layer = LSTMLayer(lasagne.layers.InputLayer((None, None, 3), x), 4, {})
function = theano.function([x], layer.get_output_for([x], deterministic=True),
                           mode=theano.Mode(linker="py", optimizer="fast_run"))
print(function(numpy.ones((2, 5, 3), theano.config.floatX)).shape,
      sorted(type(node.op).__name__ for node in function.maker.fgraph.toposort() if "Recurrence" in str(node.op)))
"""


@pytest.fixture
def script(tmp_path):
    """Run a program from a folder outside of the repository; return its output lines."""
    def run(text, flags="", base_compiledir=theano.config.base_compiledir, **environment):
        path = tmp_path / "script.py"
        path.write_text(text)
        flags = "base_compiledir=%s" % base_compiledir + ("," + flags if flags else "")
        status, output, errors = running.run(str(path), [], THEANO_FLAGS=flags,
                                             **dict(dict.fromkeys(UNSET), **environment))
        assert status == 0, errors
        return output.splitlines()
    return run


@needs_fused
@pytest.mark.core
@pytest.mark.parametrize("package", sorted(LAYERS))
def test_a_script_that_imports_layers_gets_the_fused_operations(script, package):
    lines = script(LAYERS[package] + REPORT + COMPILE.format(OPTIONS[package]))
    assert lines[0] == "float32 cpu local_dot22_to_dot22scalar"
    assert lines[1].startswith("-O3 -march=native ") and "-ffast-math" not in lines[1]
    assert lines[2] == "True False"
    assert float(lines[3]) == 0 or not ON_X86
    assert lines[4] == "(2, 5, 4) ['LSTMRecurrence']"


SETTINGS = "floatX=float64,gcc.cxxflags=-O1,optimizer_excluding=local_useless"


@pytest.mark.parametrize("package", sorted(LAYERS))
def test_flags_of_the_user_take_precedence(script, package):
    lines = script(LAYERS[package] + REPORT, flags=SETTINGS)
    assert lines[:2] == ["float64 cpu local_useless", "-O1"]


def test_theanorc_takes_precedence(script, tmp_path):
    (tmp_path / "theanorc").write_text("[global]\nfloatX = float64\noptimizer_excluding = local_useless\n"
                                       "[gcc]\ncxxflags = -O1\n")
    lines = script(LAYERS["bayes_rnn"] + REPORT, THEANORC=str(tmp_path / "theanorc"))
    assert lines[:2] == ["float64 cpu local_useless", "-O1"]


def test_theano_that_is_imported_first_keeps_its_precision_and_gets_the_rest(script):
    lines = script("import theano\n" + LAYERS["bayes_rnn"] + REPORT, flags="device=cpu" + BARE)
    assert lines[0] == "float64 cpu "              # Theano does not let the others be changed
    assert lines[1].startswith("-O3 -march=native ")
    assert lines[2] == "True False"
    assert float(lines[3]) == 0 or not ON_X86


def test_theano_that_is_imported_first_keeps_the_settings_of_the_user(script):
    lines = script("import theano\ntheano.config.gcc.cxxflags = '-O2'\n" + LAYERS["sparse_seq_theano"] + REPORT,
                   flags="floatX=float32,optimizer_excluding=local_useless" + BARE)
    assert lines[:2] == ["float32 cpu local_useless", "-O2"]


def files_in(folder):
    return sorted((os.path.relpath(os.path.join(place, name), str(folder)), os.stat(os.path.join(place, name)).st_mtime)
                  for place, _, names in os.walk(str(folder)) for name in names)


def test_importing_compiles_nothing(script, tmp_path):
    cache = tmp_path / "cache"
    # Theano compiles two modules of its own when it is imported for the first time.
    script("import theano", "floatX=float32" + BARE, base_compiledir=cache)
    before = files_in(cache)
    for package in sorted(LAYERS):
        script(LAYERS[package], base_compiledir=cache)
    assert files_in(cache) == before


def test_modules_that_do_not_need_theano_do_not_import_it(script):
    assert script("import theano_rnn.errors, theano_rnn.npz_store, theano_rnn.tokens, theano_rnn.runtime\n"
                  "import bayes_rnn.predictor, sparse_seq_theano.geometry, sys\nprint('theano' in sys.modules)") \
        == ["False"]
