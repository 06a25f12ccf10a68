"""CONFIG strings: valid letters, their meaning, and the messages for invalid ones."""

import subprocess
import sys

from theano_rnn.errors import ReportedError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_rnn.config import EXAMPLE_CONFIGS, Config, describe_positions, parse_config

CLASSIFICATION, LANGUAGE_MODEL = "classification", "language model"
# Valid letters of each position.
ALLOWED = {CLASSIFICATION: ["LDN", "LDCN", "LDN", "LDCN", "LDCNIR", "LDN"],
           LANGUAGE_MODEL: ["LDN", "LDCN", "LDCNIR", "LDN"]}
EVERY_LETTER = "LDCNIR"
FIELDS = {CLASSIFICATION: ["embedding", "z_voc", "lstm", "z_gates", None, "dense"],
          LANGUAGE_MODEL: ["lstm", "z_gates", None, "dense"]}
POSITION_NAMES = ["embedding, individual weights", "embedding, group variables of the vocabulary",
                  "LSTM, individual weights", "LSTM, group variables of the gates",
                  "LSTM, group variables of input and hidden neurons", "fully connected layer, individual weights"]

# embedding, z_voc, lstm, z_gates, z_in, z_hid, dense
NAMED_SETTINGS = [
    ("DCDCCD", CLASSIFICATION, "DCDCCCD"), ("DCCD", LANGUAGE_MODEL, "--DCCCD"),
    ("LCLCCL", CLASSIFICATION, "LCLCCCL"), ("LCCL", LANGUAGE_MODEL, "--LCCCL"),
    ("LLLCCL", CLASSIFICATION, "LLLCCCL"), ("LCIL", LANGUAGE_MODEL, "--LCLCL"),
    ("LLLCLL", CLASSIFICATION, "LLLCLLL"), ("LCRL", LANGUAGE_MODEL, "--LCCLL"),
    ("LLLLLL", CLASSIFICATION, "LLLLLLL"), ("LLRL", LANGUAGE_MODEL, "--LLCLL"),
]
CHANGES = [(task, index, letter) for task in sorted(ALLOWED) for index in range(len(ALLOWED[task]))
           for letter in EVERY_LETTER]


def changed(task, index, letter):
    """Return a valid CONFIG with one letter replaced."""
    text = EXAMPLE_CONFIGS[task]
    return text[:index] + letter + text[index + 1:]


@pytest.mark.parametrize("text, task, kinds", NAMED_SETTINGS)
def test_named_settings(text, task, kinds):
    assert parse_config(text, task) == Config(text, *[None if kind == "-" else kind for kind in kinds])


@pytest.mark.parametrize("task, index, letter", [c for c in CHANGES if c[2] in ALLOWED[c[0]][c[1]]])
def test_every_valid_letter(task, index, letter):
    text = changed(task, index, letter)
    field = FIELDS[task][index]
    expected = parse_config(EXAMPLE_CONFIGS[task], task)._replace(text=text)
    if field is None:
        z_in, z_hid = {"I": "LC", "R": "CL"}.get(letter, 2 * letter)
        expected = expected._replace(z_in=z_in, z_hid=z_hid)
    else:
        expected = expected._replace(**{field: letter})
    assert parse_config(text, task) == expected


@pytest.mark.parametrize("task, index, letter", [c for c in CHANGES if c[2] not in ALLOWED[c[0]][c[1]]])
def test_every_letter_in_a_wrong_place(task, index, letter):
    text, letters = changed(task, index, letter), ALLOWED[task][index]
    name = POSITION_NAMES[index - len(ALLOWED[task])]
    reason = ", because constant weights cannot be trained" if letter == "C" else ""
    with pytest.raises(ReportedError) as error:
        parse_config(text, task)
    assert str(error.value) == "letter %d of CONFIG (%s) must be one of %s%s, got '%s' in '%s'" % (
        index, name, ", ".join(letters), reason, letter, text)


@pytest.mark.parametrize("text, task, message", [
    ("", CLASSIFICATION, "CONFIG of a text classifier must have 6 letters (for example LLLCCL), got ''"),
    ("LCIL", CLASSIFICATION, "CONFIG of a text classifier must have 6 letters (for example LLLCCL), got 'LCIL'"),
    ("LLLCCLL", CLASSIFICATION, "CONFIG of a text classifier must have 6 letters (for example LLLCCL), got 'LLLCCLL'"),
    ("LLLCCL", LANGUAGE_MODEL, "CONFIG of a language model must have 4 letters (for example LCIL), got 'LLLCCL'"),
    ("lcil", LANGUAGE_MODEL, "letter 0 of CONFIG (LSTM, individual weights) must be one of L, D, N, "
                             "got 'l' in 'lcil'"),
    ("LC\nL", LANGUAGE_MODEL, "letter 2 of CONFIG (LSTM, group variables of input and hidden neurons) must be one "
                              "of L, D, C, N, I, R, got '\\n' in 'LC\\nL'"),
])
def test_messages_for_invalid_configs(text, task, message):
    with pytest.raises(ReportedError) as error:
        parse_config(text, task)
    assert str(error.value) == message


@given(st.one_of(st.text(max_size=8), st.text(EVERY_LETTER + "X\n", min_size=3, max_size=7)),
       st.sampled_from(sorted(ALLOWED)))
def test_any_string_is_a_config_or_one_line(text, task):
    valid = len(text) == len(ALLOWED[task]) and all(a in b for a, b in zip(text, ALLOWED[task]))
    try:
        config = parse_config(text, task)
    except ReportedError as error:
        assert not valid
        assert len(str(error).splitlines()) == 1
    else:
        assert valid and config.text == text


@pytest.mark.parametrize("task", sorted(ALLOWED))
def test_help_lists_positions_and_letters(task):
    lines = describe_positions(task).splitlines()
    letters = ALLOWED[task]
    assert lines[0] == "CONFIG, position by position:"
    for index in range(len(letters)):
        fields = lines[1 + index].split("  ")
        assert fields[1] == str(index)
        assert fields[2] == POSITION_NAMES[index - len(letters)]
        assert lines[1 + index].endswith("  " + " ".join(letters[index]))
    assert [line.split(" = ")[0] for line in lines[1 + len(letters):]] == ["  " + letter for letter in "LNDCIR"]


@pytest.mark.parametrize("module", ["bayes_rnn", "bayes_rnn.config", "bayes_rnn.predictor", "theano_rnn.npz_store"])
def test_import_is_light(module):
    code = ("import sys, %s; print(sorted(m for m in sys.modules if m.split('.')[0] in ('theano', 'lasagne')))"
            % module)
    assert subprocess.check_output([sys.executable, "-c", code], universal_newlines=True) == "[]\n"
