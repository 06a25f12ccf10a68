"""Tokens of texts: examples of each kind, and properties of all texts."""

from theano_rnn import tokens as module
from theano_rnn.tokens import END_OF_LINE, SPACE_CHARACTER, character_tokens, tokenize, word_tokens

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

quickly = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
# Letters, digits, punctuation and all sorts of white space. st.text() would need seconds for its table of Unicode.
texts = st.text(st.sampled_from("ab\u00e9_19'.<> \t\n\r\x0b\x0c\x1c\x85\xa0\u2028\u3000"))


@pytest.mark.parametrize("text, tokens", [
    ("It's <br />GOOD.", ["It", "s", "br", "GOOD"]), ("", []), (" ... ", []),
    ("caf\u00e9 no_1", ["caf\u00e9", "no_1"]),
    (" It's <br />caf\u00e9_1 ...9", ["It", "s", "br", "caf\u00e9_1", "9"])])
def test_tokenize(text, tokens):
    assert tokenize(text) == tokens


@pytest.mark.parametrize("text, characters, words", [
    ("a b", ["a", "_", "b"], ["a", "b", "<eos>"]),
    (" a \n b\n", ["a", "\n", "b", "\n"], ["a", "<eos>", "b", "<eos>"]),
    ("a\n\nb", ["a", "\n", "\n", "b"], ["a", "<eos>", "<eos>", "b", "<eos>"]),
    (" a bc \n d \n", ["a", "_", "b", "c", "\n", "d", "\n"], ["a", "bc", "<eos>", "d", "<eos>"]),
    ("", [], [])])
def test_tokens_of_language_models(text, characters, words):
    assert character_tokens(text) == characters
    assert word_tokens(text) == words


@quickly
@given(texts)
def test_words_have_no_white_space(text):
    for token in tokenize(text) + word_tokens(text):
        assert token and token.split() == [token]


@quickly
@given(texts)
def test_characters_are_single_and_no_spaces(text):
    tokens = character_tokens(text)
    assert all(len(token) == 1 for token in tokens) and " " not in tokens


words = st.text(st.sampled_from("abc"), min_size=1)
lines = st.lists(st.lists(words, min_size=1), min_size=1)


@quickly
@given(lines)
def test_the_text_can_be_restored(lines):
    text = "\n".join(" ".join(words) for words in lines)
    assert "".join(character_tokens(text)).replace(SPACE_CHARACTER, " ") == text
    assert " ".join(word_tokens(text)) == " ".join(word for words in lines for word in words + [END_OF_LINE])


def test_special_tokens_are_different_and_no_words_of_a_classifier():
    special = [value for name, value in vars(module).items() if name.isupper() and name != "SPACE_CHARACTER"]
    assert len(set(special)) == len(special) == 6
    assert not any(tokenize(token) == [token] for token in special)
