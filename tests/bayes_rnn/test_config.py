"""CONFIG strings: what is accepted, what it means, and what a wrong one is told."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_rnn.config import EXAMPLES, Config, describe_positions, parse_config
from theano_rnn.errors import ReportedError

CLASSIFICATION, LANGUAGE_MODEL = "classification", "language model"
# What may stand at each position, as the table of the paper's CONFIG has it.
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
    """A valid CONFIG with one letter replaced."""
    text = EXAMPLES[task]
    return text[:index] + letter + text[index + 1:]


@pytest.mark.parametrize("text, task, kinds", NAMED_SETTINGS)
def test_named_settings(text, task, kinds):
    assert parse_config(text, task) == Config(text, *[None if kind == "-" else kind for kind in kinds])


@pytest.mark.parametrize("task, index, letter", [c for c in CHANGES if c[2] in ALLOWED[c[0]][c[1]]])
def test_every_valid_letter(task, index, letter):
    text = changed(task, index, letter)
    field = FIELDS[task][index]
    expected = parse_config(EXAMPLES[task], task)._replace(text=text)
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
    reason = ": weights that are constant cannot learn" if letter == "C" else ""
    with pytest.raises(ReportedError) as error:
        parse_config(text, task)
    assert str(error.value) == "CONFIG '%s': '%s' cannot stand at position %d (%s)%s; choose one of %s" % (
        text, letter, index, name, reason, ", ".join(letters))


@pytest.mark.parametrize("text, task, message", [
    ("", CLASSIFICATION, "CONFIG '' has 0 letters, a text classifier takes 6, for example LLLCCL"),
    ("LCIL", CLASSIFICATION, "CONFIG 'LCIL' has 4 letters, a text classifier takes 6, for example LLLCCL"),
    ("LLLCCLL", CLASSIFICATION, "CONFIG 'LLLCCLL' has 7 letters, a text classifier takes 6, for example LLLCCL"),
    ("LLLCCL", LANGUAGE_MODEL, "CONFIG 'LLLCCL' has 6 letters, a language model takes 4, for example LCIL"),
    ("lcil", LANGUAGE_MODEL, "CONFIG 'lcil': 'l' cannot stand at position 0 (LSTM, individual weights); "
                             "choose one of L, D, N"),
    ("LC\nL", LANGUAGE_MODEL, "CONFIG 'LC\\nL': '\\n' cannot stand at position 2 (LSTM, group variables of input and "
                              "hidden neurons); choose one of L, D, C, N, I, R"),
])
def test_wrong_configs_are_told_why(text, task, message):
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
