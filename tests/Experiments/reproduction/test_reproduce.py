"""The command line of ``reproduce.py``: plans, messages, a small table from end to end, the tables in the READMEs."""

import os
import shlex
import shutil
import sys

import pytest
from helpers import running
from helpers.run_folders import TAGGER_END, write_config, write_log, write_metrics

if sys.version_info < (3, 8):
    pytest.skip("submitit needs CPython 3.8", allow_module_level=True)

from Experiments.shared.data.synthetic import generate_tagged
from Experiments.shared.data.tagged_sentences import FILES
from Experiments.shared.reproduction import cluster, publish, report
from Experiments.shared.reproduction.command_line import file_name, main
from Experiments.shared.reproduction.tables import TABLES, make_table
from Experiments.shared.run_folder import PROJECT

# Old matplotlib, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EXPERIMENTS = os.path.join(PROJECT, "Experiments")


def call(*arguments):
    """Run the command line in this process; return its exit status."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        return ending.code
    return 0


def tagger_run(root, row, seed, epochs, due=50):
    folder = os.path.join(str(root), "sequence_labeling", "conll2000", row, "seed%d" % seed)
    write_config(folder, "sequence_labeling/main.py", due, seed=seed)
    write_metrics(folder, [dict(epoch=epoch, val=0.9, test=0.8) for epoch in range(1, epochs + 1)])
    write_log(folder, epochs, TAGGER_END if epochs == due else None)
    return folder


# -- messages ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, message", [
    ([], "TABLE is missing, expected one of emnlp-1, "),
    (["emnlp-9"], "TABLE must be one of emnlp-1, emnlp-2, workshop, conll-1, conll-2, conll-3, conll-4, "
                  "conll-figure-3, got 'emnlp-9'"),
    (["conll-1", "--rows", "awd"], "--rows: conll-1 has no row 'awd'; its rows: awd-lstm, awd-lstm-sparse"),
    (["conll-1", "--seeds", "-1"], "--seeds must be integers in [0, 2**32), got -1"),
    (["conll-1", "--seeds", "one"], "argument --seeds: invalid int value: 'one'"),
    (["conll-1", "--epochs", "0"], "--epochs must be a positive integer, got 0"),
    (["conll-3", "--corpus", "brown"], "--corpus must be one of conll2000, ewt, wsj, got 'brown'"),
    (["conll-3", "--arguments=--vectors 'a b"], "--arguments has an open quotation mark or a backslash at its end: "),
    (["conll-3", "--demo", "--publish"], "--publish takes neither --demo nor --epochs")])
def test_mistakes_are_one_line(arguments, message, capsys):
    assert call(*arguments) == 2
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith("error: " + message)


@pytest.mark.parametrize("option, name", [("--runs", "root of the runs"), ("--out", "folder of the table")])
def test_a_folder_that_cannot_be_made_is_one_line_before_training(option, name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "run_all", lambda *arguments: pytest.fail("trained"))
    (tmp_path / "file").write_text("")
    assert call("conll-3", "--runs", tmp_path, option, tmp_path / "file" / "folder") == 2
    assert capsys.readouterr().err.startswith("error: cannot create the %s: " % name)


def test_the_program_needs_no_theano_for_its_plan(without_theano):
    status, output, errors = running.run(os.path.join(EXPERIMENTS, "reproduce.py"), ["--list"],
                                         PYTHONPATH=without_theano)
    assert status == 0, errors
    assert [line.split()[0] for line in output.splitlines()] == list(TABLES)


def test_rows_of_a_table(capsys):
    assert call("conll-1", "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 rows, seeds 0 1 2 3 4" in lines[0] and lines[1].split()[0] == "awd-lstm"
    assert lines[2].endswith("python main.py --sparse_mode sparse_hidden --sparse_fract 0.66666 --nhid 1725")


# -- plan --------------------------------------------------------------------------------------------------------------

def test_a_plan_names_what_is_left_and_how_long_it_takes(tmp_path, capsys):
    tagger_run(tmp_path, "sparse-20-0.25", 1982, 50)
    tagger_run(tmp_path, "sparse-20-0.25", 1983, 10)
    assert call("conll-3", "--rows", "*0.25", "*0.1", "--seeds", 1982, 1983, 1984, "--runs", tmp_path, "--dry-run",
                "--device", "cpu", "--arguments=--batch_size 10", "--data-dir", "prepared") == 0
    output = capsys.readouterr().out
    plan = [line for line in output.splitlines() if not line.startswith(" ")]
    row = "sequence_labeling/conll2000/sparse-20-0.25/seed"
    assert plan[0] == row + "1982: finished, epoch 50 of 50"
    assert plan[2] == row + "1983: unfinished, epoch 10 of 50, 2 min (its own log)"                # 40 * 3.5 s
    assert plan[4] == row + "1984: missing, epoch 0 of 50, 3 min (log of %s1982)" % row
    assert "seed1982: missing, epoch 0 of 50, 55 s (one core of an Intel" in plan[1]               # 50 * 1.1 s
    assert plan[-1].startswith("5 of 6 runs are to be trained: 8 min in total")
    commands = [line.split() for line in output.splitlines() if line.startswith(" ")]
    assert len(commands) == 5 and all("--batch_size 10 --epochs 50" in " ".join(command) for command in commands)
    assert [("--continue_train" in command) for command in commands] == [False, True, False, False, False]
    assert os.path.join(os.getcwd(), "prepared", "sequence_labeling", "conll2000") in commands[0]


def test_training_goes_on_when_the_reader_of_the_output_ends(tmp_path, monkeypatch):
    def run_all(*arguments):
        print("a job", flush=True)
        tagger_run(tmp_path, "sparse-20-0.25", 1982, 50)
        return []
    monkeypatch.setattr(cluster, "run_all", run_all)
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        call("conll-3", "--rows", "*0.25", "--seeds", 1982, "--runs", tmp_path)
    assert "| seed 1982 | best" in running.read_text(tmp_path / "conll-3.md")


def test_further_arguments_and_folders_may_have_spaces(tmp_path, capsys):
    assert call("emnlp-1", "--rows", "IMDB/LLLCCL", "--dry-run", "--runs", tmp_path / "my runs",
                "--arguments=--vectors '/my vectors.txt'") == 0
    line, = [line for line in capsys.readouterr().out.splitlines() if "main.py" in line]
    words = shlex.split(line)
    assert words[words.index("--vectors") + 1] == "/my vectors.txt"
    assert words[-1] == str(tmp_path / "my runs" / "IMDB" / "LLLCCL" / "seed0")


def test_a_plan_for_a_gpu_and_for_unknown_times(tmp_path, capsys, monkeypatch):
    assert call("emnlp-1", "--rows", "IMDB/LLLCCL", "--runs", tmp_path, "--dry-run") == 0
    assert "4.4 h (2 cores of an Intel" in capsys.readouterr().out
    monkeypatch.setenv("THEANO_FLAGS", "device=cpu")
    assert call("emnlp-1", "--rows", "IMDB/LLLCCL", "--runs", tmp_path, "--dry-run", "--device", "cuda") == 0
    output = capsys.readouterr().out
    assert "27 min (an H100" in output and "--device cuda --epochs 800 --out" in output
    assert call("conll-1", "--demo", "--seeds", 3, "--runs", tmp_path, "--dry-run") == 0
    output = capsys.readouterr().out
    assert "4 of 4 runs are to be trained, 4 of them without a measured time" in output
    assert "finetune.py --sparse_mode sparse_hidden --sparse_fract 0.66666 --nhid 172 --demo --seed 3" in output


# -- training ----------------------------------------------------------------------------------------------------------

@pytest.fixture
def quick_theano(monkeypatch):
    """No compilation in the training processes: each network is trained for seconds only."""
    monkeypatch.setenv("THEANO_FLAGS", "cxx=,mode=FAST_COMPILE," + os.environ.get("THEANO_FLAGS", ""))
    monkeypatch.setenv("THEANO_RNN_BACKEND", "reference")


def test_a_table_from_end_to_end(tmp_path, capsys, quick_theano):
    data = tmp_path / "data" / "sequence_labeling" / "conll2000"
    data.mkdir(parents=True)
    for name, sentences in zip(FILES.values(), generate_tagged(0, (60, 20, 21))):
        lines = ["".join("%s\t%s\n" % pair for pair in sentence) for sentence in sentences]
        (data / name).write_text("\n".join(lines))
    arguments = ["conll-3", "--rows", "sparse-20-0.25", "--seeds", 4, "--data-dir", tmp_path / "data", "--runs",
                 tmp_path / "runs", "--out", tmp_path / "out"]
    assert call(*(arguments + ["--epochs", 2])) == 0
    output = capsys.readouterr().out
    assert "sequence_labeling/conll2000/sparse-20-0.25/seed4: finished" in output
    assert "| seed 4 | best so far, " in output and "2 of 50" in output and "96.1 ± 0.1" in output
    assert sorted(os.listdir(str(tmp_path / "out"))) == ["conll-3.csv", "conll-3.md", "conll-3.png"]
    assert "| seed 4 | best so far, " in running.read_text(tmp_path / "out" / "conll-3.md")

    run = tmp_path / "runs" / "sequence_labeling" / "conll2000" / "sparse-20-0.25" / "seed4"
    before = running.folder_bytes(run)
    assert call(*(arguments + ["--epochs", 2])) == 0                     # finished runs are not repeated
    assert running.folder_bytes(run) == before
    assert "job" not in capsys.readouterr().out


def test_failures_and_interruption(tmp_path, capsys, monkeypatch):
    runs = []

    def run_all(planned, root, *options):
        runs.append((planned, root, options))
        raise KeyboardInterrupt
    arguments = ["conll-3", "--rows", "sparse-20-0.25", "--seeds", 4, "--runs", tmp_path, "--executor", "slurm",
                 "--max-jobs", 8, "--sbatch", "partition=gpu"]
    monkeypatch.setattr(cluster, "run_all", run_all)
    assert call(*arguments) == 130
    (planned, root, options), = runs
    assert [run.folder for run in planned] == ["sequence_labeling/conll2000/sparse-20-0.25/seed4"]
    assert (root, options) == (str(tmp_path), ("slurm", 8, None, 24 * 60, ["partition=gpu"]))
    assert "Written: %s" % (tmp_path / "conll-3.md") in capsys.readouterr().out
    monkeypatch.setattr(cluster, "run_all", lambda *arguments: ["a failure"])
    assert call(*arguments) == 1


# -- the tables of the project -----------------------------------------------------------------------------------------

PUBLISHED_TABLES = [(name, "conll2000") for name in TABLES] + [
    (name, "ewt") for name in ("conll-2", "conll-3", "conll-figure-3")]


@pytest.mark.parametrize("name, corpus", PUBLISHED_TABLES)
def test_the_tables_of_the_project_are_made_from_its_runs(name, corpus):
    table = make_table(name, corpus)
    collected = report.collect(table, publish.REFERENCE, table.seeds)
    file = file_name(table, corpus)
    path = os.path.join(publish.TABLE_FOLDER, file)
    hint = "run: python Experiments/reproduce.py %s --corpus %s --runs Experiments/Results/reference --publish" % (
        name, corpus)
    assert running.read_text(path + ".csv") == report.csv_text(table, collected), hint
    text = running.read_text(path + ".md")
    assert text.startswith(report.markdown(table, collected)), hint
    assert os.path.getsize(path + ".png") > 1000
    for section, rows, other in collected:
        part = publish.table_of_readme(file, os.path.join(EXPERIMENTS, section.experiment, "README.md"))
        if file not in ("conll-2", "conll-2-ewt", "conll-figure-3-ewt"):
            assert part == report.section_markdown(section, rows, other), hint
            assert part in text


def test_publishing_leaves_out_checkpoints_and_folders(tmp_path):
    folder = tagger_run(tmp_path / "runs", "sparse-20-0.25", 1982, 50)
    write_config(folder, epochs=50, seed=1982, data="/home/me/data/conll2000")
    write_log(folder, 50, "Compressed model: /home/me/runs/a/compressed.npz, 12 bytes (w: 3/4)", first=51)
    for name in ("last.npz", "vocabulary.txt", "metric.png", "compressed.npz"):
        open(os.path.join(folder, name), "w").close()
    unfinished = tagger_run(tmp_path / "runs", "sparse-20-0.25", 1984, 30)
    for other in (tagger_run(tmp_path / "runs", "sparse-20-0.25", 1983, 50), unfinished):
        open(os.path.join(other, "metric.png"), "w").close()
    open(os.path.join(unfinished, "compressed.npz"), "w").close()           # the model of an earlier end
    table = make_table("conll-3")
    runs = [run for seed in (1982, 1983, 1984) for row in table.sections[0].rows for run in row.runs(seed)]
    earlier = tmp_path / "copies" / os.path.relpath(folder, str(tmp_path / "runs"))     # of a run that was replaced
    (earlier / "finetune").mkdir(parents=True)
    (earlier / "kept_words.txt").write_text(u"word")
    copied = publish.copy_runs(runs, str(tmp_path / "runs"), str(tmp_path / "copies"), 1982)
    assert [name.split("/")[-1] for name in copied] == ["seed1982", "seed1983", "seed1984"]
    copy = os.path.join(str(tmp_path / "copies"), copied[0])
    assert set(os.listdir(copy)) == {
        "config.json", "log.txt", "metrics.csv", "metric.png", "compressed.npz", "finetune"}
    for other in copied[1:]:
        assert set(os.listdir(os.path.join(str(tmp_path / "copies"), other))) == {
            "config.json", "log.txt", "metrics.csv"}
    assert running.config_of(copy)["settings"]["data"] == "conll2000"
    assert "model: compressed.npz, 12 bytes (w: 3/4)" in running.read_text(os.path.join(copy, "log.txt"))
    collected = report.collect(table, str(tmp_path / "runs"), [1982, 1983])
    assert [rows for _, rows, _ in collected] == [
        rows for _, rows, _ in report.collect(table, str(tmp_path / "copies"), [1982, 1983])]

    readme = tmp_path / "sequence_labeling" / "README.md"
    readme.parent.mkdir()
    readme.write_text(u"before\n<!-- conll-3: written by reproduce.py -->\nold\n<!-- end of conll-3 -->\nafter\n")
    assert publish.update_readmes("conll-3", collected, str(tmp_path)) == [str(readme)]
    text = running.read_text(readme)
    assert text.startswith("before\n<!--") and text.endswith("-->\nafter\n") and "old" not in text
    assert "| seeds 1982, 1983 | best, 1 (50 of 50) |" in publish.table_of_readme("conll-3", str(readme))
    shutil.copy(os.path.join(EXPERIMENTS, "README.md"), str(readme))
    assert publish.update_readmes("conll-3", collected, str(tmp_path)) == []
