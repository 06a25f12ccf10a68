"""Choice of the backend: argument, environment variables, types of the inputs, compiler."""

from theano_rnn.ops.backend import on_gpu, select_backend, use_fused

import pytest
import theano
import theano.tensor as T
from helpers.backends import HAVE_FUSED, needs_fused

# Literally, because command lines and job scripts of users have them.
VARIABLE, FORMER_VARIABLE = "THEANO_RNN_BACKEND", "BAYES_RNN_RECURRENCE"
SINGLES, DOUBLES = [T.ftensor3(), T.fvector()], [T.dtensor3(), T.dvector()]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in (VARIABLE, FORMER_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_selection(monkeypatch):
    assert select_backend(SINGLES + DOUBLES) == "reference"
    if HAVE_FUSED:
        assert select_backend() == select_backend(SINGLES) == select_backend(DOUBLES) == "fused"
    monkeypatch.setenv(VARIABLE, "reference")
    assert select_backend(SINGLES) == "reference"
    monkeypatch.setenv(VARIABLE, "fused")
    with pytest.raises(ValueError, match="THEANO_RNN_BACKEND=fused, but its arguments are float32 and float64"):
        select_backend(SINGLES + DOUBLES)
    monkeypatch.setenv(VARIABLE, "quick")
    with pytest.raises(ValueError, match="THEANO_RNN_BACKEND must be reference, fused or auto, got 'quick'"):
        select_backend()
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv(FORMER_VARIABLE, "scan")
    assert select_backend(SINGLES) == "reference"
    monkeypatch.setenv(FORMER_VARIABLE, "quick")
    with pytest.raises(ValueError, match="BAYES_RNN_RECURRENCE must be scan, fused or auto, got 'quick'"):
        select_backend()
    if HAVE_FUSED:
        monkeypatch.setenv(FORMER_VARIABLE, "scan")
        monkeypatch.setenv(VARIABLE, "auto")        # the new name takes precedence
        assert select_backend(SINGLES) == "fused"


@pytest.mark.parametrize("name", [VARIABLE, FORMER_VARIABLE])
def test_without_a_compiler(name, monkeypatch):
    monkeypatch.setattr(theano.config, "cxx", "")
    assert select_backend(SINGLES) == "reference"
    monkeypatch.setenv(name, "fused")
    with pytest.raises(ValueError, match="^%s=fused, but Theano has no C\\+\\+ compiler" % name):
        select_backend(SINGLES)


@needs_fused
def test_the_argument_takes_precedence(monkeypatch):
    monkeypatch.setenv(VARIABLE, "reference")
    assert use_fused("fused", SINGLES + DOUBLES) and not use_fused(None, SINGLES)
    monkeypatch.setenv(VARIABLE, "fused")
    assert not use_fused("reference", SINGLES) and use_fused(None, SINGLES + [None])


def test_unknown_argument():
    with pytest.raises(ValueError, match="^backend must be None, 'reference' or 'fused', got 'quick'$"):
        use_fused("quick")


def test_the_tests_run_on_the_processor():
    assert not on_gpu()
