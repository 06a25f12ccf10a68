"""Settings of Theano in the environment variable THEANO_FLAGS."""

from theano_rnn.errors import ReportedError
from theano_rnn.runtime import flags

import pytest
from hypothesis import given
from hypothesis import strategies as st
from theano.configparser import parse_config_string

VALUES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20).map(str.rstrip)


@given(VALUES, VALUES)
def test_theano_reads_what_is_written(first, second):
    variables = {"THEANO_FLAGS": "device=cpu"}
    flags.add_flag("base_compiledir", first, variables)
    flags.add_flag("cxx", second, variables)
    assert parse_config_string(variables["THEANO_FLAGS"]) == {"device": "cpu", "base_compiledir": first, "cxx": second}


@pytest.mark.parametrize("text, found", [
    ("", {}), ("device=cuda0", {"device": "cuda0"}), (" device=cpu, floatX=float64,", {"device": "cpu",
                                                                                      "floatX": "float64"}),
    ('a="b,c d",a=2,e', {"a": "2"}), ("compiledir=/a b/c=d", {"compiledir": "/a b/c=d"}),
])
def test_flags_of_the_user(text, found, monkeypatch):
    monkeypatch.setenv("THEANO_FLAGS", text)
    assert flags.flags_of_user() == found == parse_config_string(text, issue_warnings=False)


def test_an_unbalanced_quote(monkeypatch):
    monkeypatch.setenv("THEANO_FLAGS", "base_compiledir=/home/o'brien")
    with pytest.raises(ReportedError, match=r"^THEANO_FLAGS cannot be read \(No closing quotation\): a value with"):
        flags.flags_of_user()
