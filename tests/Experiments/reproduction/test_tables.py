"""Rows, published numbers and commands of the tables."""

import collections
import csv
import os
import sys

from theano_rnn.errors import ReportedError

import pytest
from helpers import running

if sys.version_info < (3, 8):
    pytest.skip("submitit needs CPython 3.8", allow_module_level=True)

from Experiments.shared.config import CONFIG_DIALECT, read_assignments
from Experiments.shared.reproduction import command_line, published
from Experiments.shared.reproduction.tables import TABLES, make_table
from Experiments.shared.sparse_experiments import LANGUAGE_MODEL_SIZES, TAGGER_SIZES
from sparse_seq_theano.architecture import language_model_architecture, tagger_architecture

#: Commands of the READMEs of the original programs, without the folders and in any order of the options.
ORIGINAL_COMMANDS = [
    "main.py", "main.py --sparse_mode sparse_hidden --sparse_fract 0.66666 --nhid 1725",
    "main_overfit.py --epochs 150 --lr 5", "main_overfit.py --emsize 200 --nhid 575 --epochs 150 --lr 5",
    "main_overfit.py --emsize 200 --sparse_mode sparse_hidden --sparse_fract 0.5 --epochs 150 --lr 5",
    "main_overfit.py --emblocks 10 --emdensity 0.5 --sparse_mode sparse_all --sparse_fract 0.5 --epochs 150 --lr 5",
    "main.py --emsize 5 --nhid 10 --epochs 50 --dropouti 0.2 --wdrop 0.2",
    "main.py --emsize 20 --emb_density 0.25 --emb_blocks 20 --nhid 10 --epochs 50 --dropouti 0.2 --wdrop 0.2",
    "main.py --emsize 20 --emb_density 0.25 --emb_blocks 20 --nhid 10 --epochs 50 --dropouti 0.2 --wdrop 0.2 "
    "--vocab_order rand",
    "main.py --emsize 20 --emb_density 0.25 --emb_blocks 20 --nhid 10 --epochs 50 --dropouti 0.2 --wdrop 0.2 "
    "--vocab_order down"] + ["main.py " + config for config in (
        "DCDCCD", "LCLCCL", "LLLCCL", "LLLCLL", "LLLLLL", "LCCL", "LCIL", "LCRL", "LLRL")]


def all_rows():
    return [(name, section, row) for name in TABLES for section in make_table(name).sections for row in section.rows]


def normal(command):
    words = command.split()
    program, rest = words[0], words[1:]
    positional = [rest.pop(0)] if rest and not rest[0].startswith("--") else []
    return program, tuple(positional), frozenset(zip(rest[::2], rest[1::2]))


def test_every_published_number_is_a_cell_and_every_cell_has_a_number():
    expected = {
        "emnlp-1": {row: {"accuracy", "compression", "vocabulary", "input", "hidden"}
                    for row in ("IMDB/DCDCCD", "IMDB/LCLCCL", "IMDB/LLLCCL", "AGNews/DCDCCD", "AGNews/LCLCCL",
                                "AGNews/LLLCCL")},
        "emnlp-2": {row: {"valid", "test", "compression", "vocabulary", "hidden"}
                    for row in ("Char_PTB/DCCD", "Char_PTB/LCCL", "Char_PTB/LCIL", "Word_PTB/DCCD", "Word_PTB/LCCL",
                                "Word_PTB/LCIL")},
        "workshop": {"%s/%s" % (experiment, config): {"accuracy", "compression", "hidden", "gates"}
                     for experiment in ("IMDB", "AGNews") for config in ("LLLCCL", "LLLCLL", "LLLLLL")},
        "conll-1": {row: {"test", "fine-tuned"} for row in ("awd-lstm", "awd-lstm-sparse")},
        "conll-2": {"chosen": {"test"}}}
    for name, count in (("conll-3", 7), ("conll-figure-3", 12)):
        rows = [row.name for row in make_table(name).sections[0].rows]
        assert len(rows) == count
        expected[name] = {row: {"test"} for row in rows}
    choices = [choice.name for choice in make_table("conll-4").sections[0].choices]
    assert len(choices) == 7
    expected["conll-4"] = {choice: {"recited"} for choice in choices}
    with open(os.path.join(published.FOLDER, "tables.csv")) as stream:
        lines = list(csv.DictReader(stream))
    found = collections.defaultdict(lambda: collections.defaultdict(set))
    for line in lines:
        assert line["column"] not in found[line["table"]][line["row"]]
        found[line["table"]][line["row"]].add(line["column"])
        assert float(line["value"]) > 0 and line["source"] and (not line["sd"] or float(line["sd"]) > 0)
    assert found == expected
    for name in TABLES:
        for section in make_table(name).sections:
            columns = {column.key for column in section.columns}
            for row in list(section.rows) + list(section.choices):
                assert set(published.published_numbers(name, row.name)) <= columns


def test_the_curves_are_complete():
    evaluations = {}
    for _, _, row in all_rows():
        if row.curve:
            curve = published.published_curve(*row.curve)
            evaluations[row.curve] = len(curve)
            assert curve[-1]["epoch"] >= row.epochs and all(values["compression"] >= 1 for values in curve)
    assert len(evaluations) == 18 and sum(evaluations.values()) == 2280


def test_rows_share_a_folder_exactly_if_they_have_the_same_command():
    commands, folders = {}, {}
    for name, _, row in all_rows():
        identity = (row.program,) + normal(row.command()[len("python "):])[1:]
        assert commands.setdefault(row.folder, identity) == identity, name
        assert folders.setdefault(identity, row.folder) == row.folder, name
        assert row.folder.split("/")[0] == row.experiment


def test_every_command_of_the_original_programs_is_a_row():
    found = {normal(row.command()[len("python "):]) for _, _, row in all_rows()}
    assert [command for command in ORIGINAL_COMMANDS if normal(command) not in found] == []


def test_seeds_and_grid():
    seeds = {name: len(make_table(name).seeds) for name in TABLES}
    assert seeds == {"emnlp-1": 1, "emnlp-2": 1, "workshop": 1, "conll-1": 5, "conll-2": 4, "conll-3": 4, "conll-4": 1,
                     "conll-figure-3": 4}
    grid = make_table("conll-2").sections[0]
    assert len(grid.rows) == 36 and grid.choices[0].rows == [row.name for row in grid.rows]
    assert [run.experiment for run in make_table("conll-1").sections[0].rows[0].runs(3)] == [
        "language_modeling/main.py", "language_modeling/finetune.py"]
    assert make_table("conll-3", "ewt").sections[0].rows[0].folder == "sequence_labeling/ewt/dense-20-rand"


@pytest.mark.parametrize("is_demo", [False, True])
def test_the_programs_accept_the_arguments(is_demo):
    """Settings and networks of all rows are valid; so are those of the demonstrations."""
    experiments = {}
    for name in TABLES:
        table = make_table(name)
        for section in (command_line.demonstration(table) if is_demo else table).sections:
            for row in section.rows:
                experiment = experiments.setdefault(
                    row.program, running.load_module(os.path.join(running.ROOT, "Experiments", row.program)))
                experiment = getattr(experiment, "RECITING", experiment.EXPERIMENT)
                words = [word for word in row.arguments if word != "--demo"]
                assert is_demo == ("--demo" in row.arguments)
                if experiment.dialect is CONFIG_DIALECT:
                    assert read_assignments(experiment, words[2::2]) == {}
                    settings = experiment.make_settings(demo=is_demo, config=words[0])
                    assert is_demo or settings.epochs == row.epochs or row.select == "best"
                    continue
                given = {option[2:]: experiment.setting(option[2:]).checked(value)
                         for option, value in zip(words[::2], words[1::2])}
                settings = experiment.make_settings(demo=is_demo, **given)
                if row.experiment == "language_modeling":
                    language_model_architecture(757 if is_demo else 10000, **settings.select(LANGUAGE_MODEL_SIZES))
                else:
                    tagger_architecture(1063 if is_demo else 18208, 44, **settings.select(TAGGER_SIZES))


@pytest.mark.parametrize("arguments, message", [
    (("emnlp-3",), "TABLE must be one of emnlp-1, .*, conll-figure-3, got 'emnlp-3'"),
    (("conll-3", "wikitext"), "--corpus must be one of conll2000, ewt, wsj, got 'wikitext'")])
def test_unknown_names(arguments, message):
    with pytest.raises(ReportedError, match=message):
        make_table(*arguments)
