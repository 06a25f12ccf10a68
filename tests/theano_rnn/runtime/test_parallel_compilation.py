"""The modules of a function are compiled at the same time."""

import os
import shutil
import signal
import time

from theano_rnn.folder_lock import folder_lock
from theano_rnn.runtime.flags import flag
from theano_rnn.runtime.parallel_compilation import FOLDER, LOCK_FILE

import pytest
import theano
from helpers import running

pytestmark = pytest.mark.skipif(not theano.config.cxx, reason="needs a C++ compiler")

#: A function of five modules that this test alone compiles, and the value it prints.
PROGRAM = """
from theano_rnn.runtime import configure
configure()
import theano, theano.tensor as T
x, y = T.matrices("xy")
function = theano.function([x, y], [T.exp(x + y).sum(0), T.cos(x) * y, T.dot(x, y), x.max(1), T.argmax(y, axis=1)],
                           mode=theano.Mode("cvm", "fast_compile"))
print([array.ravel().tolist() for array in function([[0.]], [[0.]])])
"""
RESULT = (0, "[[1.0], [0.0], [0.0], [0.0], [0]]\n", "")

#: A compiler that writes begin and end of each module, its source, and whether that is in the cache, to $LOG.
COMPILER = """#!/bin/sh
for source; do case "$source" in */mod.cpp) break ;; esac; done
case "$source" in */mod.cpp) ;; *) exec g++ "$@" ;; esac
case "$source" in */ahead/*) place=ahead ;; *) place=cache ;; esac
line="$place $(md5sum < "$source" | cut -c1-32)"
echo "begin $line" >> "$LOG"
%s
g++ "$@"
status=$?
echo "end $line" >> "$LOG"
exit $status
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A compile cache with the precompiled headers, and the modules that importing Theano compiles."""
    cache = str(tmp_path_factory.mktemp("warm"))
    program = PROGRAM.split("x, y =")[0] + "x = T.scalar()\nprint(theano.function([x], x + 1)(1))\n"
    process = running.start_python(program, OMP_NUM_THREADS="1", THEANO_FLAGS=flag("base_compiledir", cache))
    assert running.wait(process) == (0, "2.0\n", "")
    return cache


@pytest.fixture
def start(warm, tmp_path):
    """A function that starts the program with an own compiler and a copy of the cache."""
    cache = str(tmp_path / "cache")
    shutil.copytree(warm, cache)

    def start(first="", threads=3):
        compiler = tmp_path / "g++"                     # Theano looks for this name
        compiler.write_text(COMPILER % first)
        compiler.chmod(0o700)
        flags = [flag("base_compiledir", cache), flag("cxx", str(compiler))]
        return running.start_python(
            PROGRAM, OMP_NUM_THREADS=str(threads), THEANO_FLAGS=",".join(flags), LOG=str(tmp_path / "log"))
    compiledir, = os.listdir(cache)
    start.folder = os.path.join(cache, compiledir)
    start.log = lambda: [tuple(line.split()) for line in (tmp_path / "log").read_text().splitlines()]
    return start


def most_at_the_same_time(log):
    """Return the largest number of compilers that ran at the same time."""
    running_now = most = 0
    for event, _, _ in log:
        running_now += 1 if event == "begin" else -1
        most = max(most, running_now)
    return most


def sources(log, place):
    """Return the sources that were compiled in a place: in the cache, or ahead."""
    return [source for event, where, source in log if event == "begin" and where == place]


def test_modules_are_compiled_at_the_same_time_and_once(start):
    assert running.wait(start()) == RESULT
    ahead = sources(start.log(), "ahead")
    assert len(ahead) == len(set(ahead)) >= 5
    assert not sources(start.log(), "cache")
    assert 2 <= most_at_the_same_time(start.log()) <= 3
    assert not os.path.exists(os.path.join(start.folder, FOLDER))
    assert running.wait(start()) == RESULT
    assert sources(start.log(), "ahead") == ahead, "the second process must find everything in the cache"


def test_theano_compiles_what_could_not_be_compiled_ahead(start):
    assert running.wait(start('if [ "$place" = ahead ]; then echo "no space left" >&2; exit 1; fi')) == RESULT
    assert sorted(sources(start.log(), "ahead")) == sorted(sources(start.log(), "cache"))


@pytest.mark.parametrize("locked", [False, True])
def test_one_after_the_other_with_one_thread_and_while_another_process_compiles_ahead(start, locked):
    if locked:
        with folder_lock(os.path.join(start.folder, LOCK_FILE), "the cache", "wait"):
            assert running.wait(start()) == RESULT
    else:
        assert running.wait(start(threads=1)) == RESULT
    assert not sources(start.log(), "ahead")
    assert most_at_the_same_time(start.log()) == 1


def test_an_interruption_ends_all_compilers_and_removes_their_files(start, tmp_path):
    process = start('echo $$ >> "$LOG.pids"; exec sleep 100')
    log = tmp_path / "log"
    while process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    status, _, errors = running.wait(process)
    assert status != 0 and "KeyboardInterrupt" in errors
    assert not os.path.exists(os.path.join(start.folder, FOLDER))
    for number in (tmp_path / "log.pids").read_text().split():
        assert not os.path.exists("/proc/%s" % number)
