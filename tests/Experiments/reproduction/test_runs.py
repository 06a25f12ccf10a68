"""States and commands of runs."""

import os
import sys

from helpers import run_folders
from helpers.run_folders import write_config, write_log

from Experiments.shared.reproduction.runs import FINISHED, MISSING, UNFINISHED, Run, State, command, source, state

IMDB = Run("IMDB/main.py", ("LLLCCL", "--seed", "0"), "IMDB/LLLCCL/seed0", 4)
TAGGER = Run("sequence_labeling/main.py", ("--seed", "1"), "sequence_labeling/dense/seed1", 4)
FINE_TUNING = Run("language_modeling/finetune.py", ("--seed", "1"), "language_modeling/awd/seed1/finetune", 4)


def folder_of(run, root):
    return os.path.join(str(root), run.folder)


def test_a_run_passes_through_all_states(tmp_path):
    folder = folder_of(IMDB, tmp_path)
    assert state(IMDB, str(tmp_path)) == State(MISSING, 0)
    os.makedirs(folder)
    assert state(IMDB, str(tmp_path)) == State(MISSING, 0)              # stopped before the run was created
    write_config(folder, "IMDB/main.py", 4, config="LLLCCL", seed=0)
    assert state(IMDB, str(tmp_path)) == State(UNFINISHED, 0)
    write_log(folder, 3)
    assert state(IMDB, str(tmp_path)) == State(UNFINISHED, 3)
    write_log(folder, 2, first=3, start=["compiling ...", "Resumed at epoch 3, minibatch 7"])
    assert state(IMDB, str(tmp_path)) == State(UNFINISHED, 2)           # epoch 3 was not saved
    write_log(folder, 4, first=3, start=["compiling ...", "Resumed at epoch 3, minibatch 7"])
    assert state(IMDB, str(tmp_path)) == State(UNFINISHED, 4)           # the results are missing
    write_log(folder, 4, run_folders.BAYESIAN_END, 5, start=["compiling ...", "Resumed at epoch 5, minibatch 0"])
    assert state(IMDB, str(tmp_path)) == State(FINISHED, 4)
    assert state(IMDB._replace(epochs=3), str(tmp_path)).name == FINISHED
    assert state(IMDB._replace(epochs=8), str(tmp_path)) == State(UNFINISHED, 4)
    write_log(folder, 0, start=["12 parameters; compiling ..."])            # a process that continues was killed
    assert state(IMDB._replace(epochs=8), str(tmp_path)) == State(UNFINISHED, 0)


def test_an_early_end_is_finished_unless_ctrl_c_caused_it(tmp_path):
    folder = folder_of(TAGGER, tmp_path)
    write_config(folder, epochs=4)
    write_log(folder, 2, "Training ends early; continue with --continue_train")
    write_log(folder, 0, run_folders.TAGGER_END, start=[])
    assert state(TAGGER, str(tmp_path)) == State(UNFINISHED, 2)
    folder = folder_of(FINE_TUNING, tmp_path)
    write_config(folder, epochs=4)
    write_log(folder, 2, run_folders.AWD_END)
    assert state(FINE_TUNING, str(tmp_path)) == State(FINISHED, 2)
    assert state(FINE_TUNING._replace(epochs=5), str(tmp_path)) == State(UNFINISHED, 2)


def test_a_damaged_run_is_left_to_the_training_program(tmp_path):
    folder = folder_of(TAGGER, tmp_path)
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as stream:
        stream.write("{")
    write_log(folder, 4, run_folders.TAGGER_END)
    assert state(TAGGER, str(tmp_path)).name == FINISHED
    assert state(TAGGER._replace(epochs=9), str(tmp_path)).name == UNFINISHED
    with open(os.path.join(folder, "log.txt"), "ab") as stream:
        stream.write(b"\xe2\x82")                      # the disk was full
    assert state(TAGGER, str(tmp_path)).name == FINISHED


def test_commands_start_or_resume(tmp_path):
    def arguments(run):
        line = command(run, str(tmp_path))
        assert line[0] == sys.executable and line[1].endswith("Experiments/" + run.experiment)
        assert os.path.isfile(line[1])
        return line[2:]

    folder = folder_of(IMDB, tmp_path)
    assert arguments(IMDB) == ["LLLCCL", "--seed", "0", "--epochs", "4", "--out", folder]
    write_config(folder, "IMDB/main.py", 4, config="LLLCCL", seed=0)
    assert arguments(IMDB)[-3:] == ["--out", folder, "--resume"]
    folder = folder_of(TAGGER, tmp_path)
    write_config(folder)
    assert arguments(TAGGER) == ["--seed", "1", "--epochs", "4", "--save", folder, "--continue_train"]


def test_a_fine_tuned_run_is_named_after_its_source(tmp_path):
    assert source(FINE_TUNING) == "language_modeling/awd/seed1" and source(TAGGER) is None
    assert command(FINE_TUNING, str(tmp_path))[-2:] == ["--save", str(tmp_path / "language_modeling/awd/seed1")]
