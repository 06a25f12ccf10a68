"""The cache of compiled modules: paths, kills, processes that use it at the same time, full disks."""

import os
import shutil
import signal
import stat
import subprocess
import sys

from theano_rnn.runtime.flags import flag

import pytest
import theano
import theano.tensor as T
from helpers import compile_cache, running
from helpers.compile_cache import ODD
from theano.gof import cmodule
from theano.sandbox.rng_mrg import DotModulo

pytestmark = pytest.mark.skipif(not theano.config.cxx, reason="needs a C++ compiler")

CONFIGURED = "from theano_rnn.runtime import configure\nconfigure()\nimport os, theano, theano.tensor as T\n"
REPORTED = ("from theano_rnn.errors import reported_errors\nfrom theano_rnn.runtime import configure\n"
            "with reported_errors():\n    configure()\n")
GATHER = """
from theano_rnn.ops.gather import gather
rows, index = T.matrix(), T.lmatrix()
print(theano.function([rows, index], gather(rows, index, backend="fused"))([[1], [2]], [[1, 0]]).tolist())
"""
STATISTICS = "print(theano.gof.cc.get_module_cache().stats[2], 'compiled')\n"


def start(code, **environment):
    """Start Python with a configured Theano; the cache is in HOME unless THEANO_FLAGS is given."""
    return running.start_python(CONFIGURED + code, **dict(dict(THEANO_FLAGS=None, THEANORC=None), **environment))


def python(code, status=0, stderr="", **environment):
    """Run Python with a configured Theano; return its output lines."""
    ended, output, errors = running.wait(start(code, **environment))
    assert (ended, errors) == (status, stderr), output + errors
    return output.splitlines()


def compiledir(home):
    """Return the folder of compiled modules under a home directory."""
    folder, = os.listdir(os.path.join(home, ".theano"))
    return os.path.join(home, ".theano", folder)


def program(path, text):
    """Write an executable file; return its path as a str."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def start_with_pipes(code, home, flags=""):
    """Start Python as the leader of a group of processes, with a pipe to its standard input."""
    variables = dict(os.environ, PYTHONPATH=running.ROOT, PYTHONUNBUFFERED="1", HOME=home)
    return subprocess.Popen(
        [sys.executable, "-c", CONFIGURED + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True, env=dict(variables, THEANO_FLAGS=flags))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home directory with spaces, quotes and an accent, whose cache has what GATHER needs."""
    path = str(tmp_path_factory.mktemp("odd") / ODD)
    os.mkdir(path)
    assert compile_cache.end(compile_cache.start(path)) == compile_cache.RESULT
    return path


@pytest.fixture
def copy(home, tmp_path):
    """A copy of the home directory, for a test that changes the cache."""
    return shutil.copytree(home, str(tmp_path / ODD))


@pytest.fixture
def without_headers(home, tmp_path):
    """A copy of the home directory without precompiled headers."""
    return shutil.copytree(home, str(tmp_path / ODD), ignore=shutil.ignore_patterns("headers"))


@pytest.mark.core
def test_spaces_quotes_and_other_letters_in_the_path(home):
    header, = [name for name in os.listdir(os.path.join(compiledir(home), "headers")) if name.endswith(".hpp")]
    path = os.path.join(compiledir(home), "headers", header)
    before = os.stat(path + ".gch").st_mtime
    cache = flag("base_compiledir", os.path.join(home, ".theano"))
    assert python(GATHER + STATISTICS, THEANO_FLAGS=cache) == ["[[[2.0], [1.0]]]", "0 compiled"]
    assert os.stat(path + ".gch").st_mtime == before
    # -Winvalid-pch says why headers that are there cannot be used, as for a module compiled with other flags.
    assert python(
        "import subprocess, sys\nfrom theano.gof import cmodule\nfrom theano_rnn.ops.gather.fused import Gather\n"
        "for more in ([], Gather(True).c_compile_args(), ['-std=gnu++11']):\n"
        "    command = [theano.config.cxx, '-g', '-include', %r] + cmodule.GCC_compiler.compile_args() + more + [\n"
        "        '-I' + folder for folder in cmodule.std_include_dirs()] + [\n"
        "        '-fvisibility=hidden', '-Winvalid-pch', '-fsyntax-only', '-x', 'c++', os.devnull]\n"
        "    print('not used' in subprocess.run(command, stderr=subprocess.PIPE, check=True).stderr.decode())\n"
        % path, HOME=home) == ["False", "False", "True"]


OTHER_OPERATION = "x = T.matrix()\nprint(theano.function([x], T.exp(x))([[0]]))\n"


def test_without_the_headers_everything_compiles(without_headers):
    broken = "from theano_rnn.runtime import compile_cache\ncompile_cache.HEADERS += '#error'\n"
    process = running.start_python(broken + CONFIGURED + OTHER_OPERATION, HOME=without_headers, THEANO_FLAGS=None)
    assert running.wait(process) == (0, "[[1.]]\n", "")
    assert os.listdir(os.path.join(compiledir(without_headers), "headers")) == []


def test_the_headers_are_compiled_with_the_flags_of_the_module(without_headers):
    """g++ 12 can crash if headers were precompiled with another level of optimisation."""
    change = "theano.config.gcc.cxxflags = '-march=native'\n"      # then Theano's -O3 applies
    lines = python(OTHER_OPERATION + change + GATHER, HOME=without_headers)
    assert lines == ["[[1.]]", "[[[2.0], [1.0]]]"]
    assert len([name for name in os.listdir(os.path.join(compiledir(without_headers), "headers"))
                if name.endswith(".gch")]) == 2


HANGING_COMPILER = """#!/bin/sh
for argument; do
    case $before in -o) output=$argument ;; esac
    before=$argument
    case $argument in c++-header) header=yes ;; esac
done
[ "$header" ] || exec %s "$@"
echo half >"$output"
echo started
exec sleep 600 >/dev/null 2>&1
"""


def test_a_kill_while_the_headers_are_compiled_leaves_nothing_behind(without_headers, tmp_path):
    compiler = program(tmp_path / "g++", HANGING_COMPILER % theano.config.cxx)
    # check_output reads what the compiler prints; the test reads it instead.
    seen = "import subprocess\nsubprocess.check_output = lambda command, **_: subprocess.check_call(command)\n"
    process = start_with_pipes(seen + OTHER_OPERATION, without_headers, flag("cxx", compiler))
    assert process.stdout.readline() == b"started\n"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    headers = os.path.join(compiledir(without_headers), "headers")
    assert len(os.listdir(headers)) == 2
    old = os.path.join(compiledir(without_headers), "tmp123.hpp.gch")      # of an earlier version of the project
    open(old, "w").close()
    os.utime(old, (0, 0))
    assert python(OTHER_OPERATION, HOME=without_headers) == ["[[1.]]"]
    left = sorted(os.listdir(headers))
    assert left == [left[0], left[0] + ".gch"] and not left[0].startswith("building")
    assert not os.path.exists(old)


def test_the_operation_of_the_random_streams_has_a_version():
    """Otherwise every process would compile it again."""
    inputs = [T.lmatrix(), T.ivector(), T.iscalar()] * 2
    graph = theano.gof.FunctionGraph(inputs, [DotModulo()(*inputs)], clone=True)
    assert theano.gof.CLinker().accept(graph).cmodule_key()[0]


def test_a_killed_process_leaves_no_lock(home):
    killed = "import signal\ntheano.gof.compilelock.get_lock()\nos.kill(os.getpid(), signal.SIGKILL)\n"
    python(killed, status=-signal.SIGKILL, HOME=home)
    assert python("with theano.gof.compilelock.lock_ctx():\n    print('locked')", HOME=home) == ["locked"]


def test_a_process_that_waits_says_so_once_and_uses_what_the_other_has_compiled(copy):
    first = start_with_pipes("from theano.gof.compilelock import get_lock, release_lock\nget_lock()\nprint('locked')\n"
                             "input()\n" + OTHER_OPERATION + "release_lock()\n", copy)
    assert first.stdout.readline() == b"locked\n"
    second = start_with_pipes(OTHER_OPERATION + STATISTICS, copy)
    assert second.stderr.readline() == b"waiting for another process to finish compiling\n"
    assert first.communicate(b"\n") == (b"[[1.]]\n", b"")
    assert second.communicate() == (b"[[1.]]\n0 compiled\n", b"")


def test_a_lock_ends_after_an_error():
    lock = theano.gof.compilelock
    before = lock.get_lock.n_lock
    with pytest.raises(ZeroDivisionError), lock.lock_ctx():
        assert lock.get_lock.n_lock == before + 1
        raise ZeroDivisionError
    assert lock.get_lock.n_lock == before


def test_theano_that_was_imported_before_gets_the_lock():
    assert running.wait(running.start_python(
        "import theano\nfrom theano_rnn.runtime import compile_lock, ensure_configured\nensure_configured()\n"
        "for module in (theano.gof.compilelock, theano.gof.cmodule.compilelock, theano.gof.cc):\n"
        "    print(module.get_lock is compile_lock.get_lock)")) == (0, "True\n" * 3, "")


class Watched(object):
    """A key: when it is written, another process reads the cache."""

    folder = None

    def __reduce__(self):
        cmodule.ModuleCache(self.folder)
        return Watched, ()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A cache with one module that is not yet in use: the folder of the module and its `KeyData`."""
    folder = tmp_path / "tmp1"
    folder.mkdir()
    for name in ("mod.cpp", "m1.so"):
        (folder / name).write_text(u"")
    monkeypatch.setattr(Watched, "folder", str(tmp_path))
    keys = {((1,), ("CLinker.cmodule_key", Watched(), "md5:0"))}
    return folder, cmodule.KeyData(keys, "m1", str(folder / "key.pkl"), str(folder / "m1.so"))


def test_a_module_that_is_being_written_is_not_taken_for_a_broken_one(module):
    # Theano opened key.pkl before it wrote it, and deleted modules with an empty key.pkl.
    folder, data = module
    for _ in range(2):
        data.save_pkl()
        assert sorted(os.listdir(str(folder))) == ["key.pkl", "m1.so", "mod.cpp"]


def test_a_folder_that_vanishes_while_the_cache_is_read(module, monkeypatch):
    folder, listdir = module[0], os.listdir

    def removing(path):
        if str(path) == str(folder):
            shutil.rmtree(str(folder))
        return listdir(path)
    monkeypatch.setattr(os, "listdir", removing)
    assert cmodule.ModuleCache(str(folder.parent)).entry_from_key == {}
    assert not folder.exists()


def test_a_module_that_cannot_be_loaded_is_compiled_again(copy):
    folder = compiledir(copy)
    for name in os.listdir(folder):
        for library in os.listdir(os.path.join(folder, name)) if name.startswith("tmp") else []:
            if library.endswith(".so"):
                open(os.path.join(folder, name, library), "w").close()
    status, output, errors = running.wait(start(GATHER, HOME=copy))
    assert (status, output) == (0, "[[[2.0], [1.0]]]\n"), errors


REFUSED = ("error: the folder of compiled modules, %s, cannot be written; make it accessible, or choose another one "
           "with THEANO_FLAGS=base_compiledir=FOLDER\n")


@pytest.mark.parametrize("message", ["compiledir '%s' exists but you don't have read, write or listing permissions.",
                                     "Unable to create the compiledir directory '%s'. Check the permissions."])
def test_messages_of_theano_on_folders_that_cannot_be_written(message, tmp_path):
    (tmp_path / "theano.py").write_text(u"raise ValueError(%r)\n" % (message % ODD))
    process = running.start_python(REPORTED, PYTHONPATH=str(tmp_path))
    assert running.wait(process) == (2, "", REFUSED % ODD)


def test_a_home_that_cannot_be_written(tmp_path):
    path = tmp_path / "file"
    path.write_text(u"")
    status, output, errors = running.wait(running.start_python(REPORTED, HOME=str(path), THEANO_FLAGS=None))
    assert (status, output) == (2, "") and errors.startswith(REFUSED.partition("%s")[0] + "%s/.theano/" % path), errors


FULL_DISK = """#!/bin/sh
case "$*" in *-dumpversion*|-v) exec %s "$@" ;; esac
echo "mod.cpp:1: error: No space left on device" >&2
exit 1
"""


def test_a_full_disk(copy, tmp_path):
    compiler = program(tmp_path / "g++", FULL_DISK % theano.config.cxx)
    # The constant is folded by an optimiser, which logs errors with their tracebacks and goes on.
    code = REPORTED + ("    import theano, theano.tensor as T\n    x = T.matrix()\n"
                       "    theano.function([x], T.exp(x) * 2)\n")
    process = running.start_python(code, HOME=copy, THEANORC=None, THEANO_FLAGS=flag("cxx", compiler))
    status, output, errors = running.wait(process)
    assert (status, output) == (2, ""), output + errors
    line, = errors.splitlines()
    assert line.startswith("error: No space left on device: " + compiledir(copy))
    assert line.endswith("; free some space, then start again (a run: with --resume)")
