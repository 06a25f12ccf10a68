"""Curves of several runs in one figure, beside the published ones."""

import json

from theano_rnn.errors import ReportedError

import pytest

from Experiments.shared import compare_runs
from Experiments.shared.compare_runs import curve_table, curves_of, main, panels_of, read_run

# Old matplotlib, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def write_run(tmp_path):
    """Return a function that writes the folder of a run and returns its path."""
    def write(name, epochs, columns=("val", "test", "compression"), **config):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        if config:
            (folder / "config.json").write_text(json.dumps(config))
        if epochs:
            lines = [",".join(("epoch",) + columns)] + [",".join(["%d" % epoch] + ["0.5"] * len(columns))
                                                        for epoch in epochs]
            (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
        return str(folder)
    return write


def test_runs_are_drawn_with_the_published_curve_of_their_config(write_run, tmp_path, capsys):
    first = write_run("first", [20, 40], dataset="IMDB", config="LLLCCL")
    second = write_run("IMDB/LLLCCL/seed3", [20, 50])           # without config.json
    waiting = write_run("waiting", [], dataset="IMDB", config="LCLCCL")
    curves = curves_of([read_run(first), read_run(second)])
    assert [(curve.label, [row["epoch"] for row in curve.rows], curve.colour, curve.published) for curve in curves] == [
        (first, [20, 40], 0, False), (second, [20, 50], 1, False), ("published IMDB LLLCCL", [20, 40], 0, True)]
    assert curves[2].rows[0]["val"] == 0.7365
    out = tmp_path / "figure.png"
    main([first, second, waiting, "--out", str(out), "--table"])
    assert out.stat().st_size > 5000 and not (tmp_path / "figure.tmp.png").exists()
    output = capsys.readouterr().out
    assert output.startswith("%s has no evaluation yet\n" % waiting)
    assert "\n| 20 | 0.5 | 0.7365 | 0.5 | 0.7442 | 0.5 | 319.72 |\n" in output and output.endswith("wrote %s\n" % out)
    main([waiting, "--out", str(tmp_path / "nothing.png")])
    assert not (tmp_path / "nothing.png").exists()
    with pytest.raises(SystemExit) as error:
        main([first, "--out", str(out / "in_a_file.png")])
    assert error.value.code == 2
    assert capsys.readouterr().err.startswith("error: cannot create the folder of the figure: ")


def test_runs_without_an_evaluation_up_to_the_chosen_epoch_are_left_out(write_run, tmp_path, capsys):
    early, late = write_run("early", [1, 20], ("val",)), write_run("late", [20], dataset="IMDB", config="LLLCCL")
    main([early, late, "--epochs", "5", "--out", str(tmp_path / "new" / "figure.png")])
    assert (tmp_path / "new" / "figure.png").is_file()
    main([late, "--epochs", "5", "--out", str(tmp_path / "nothing.png")])
    assert capsys.readouterr().out.count("%s has no evaluation up to epoch 5\n" % late) == 2


def test_published_curves_and_epochs_can_be_chosen(write_run):
    run = read_run(write_run("run", [20, 40], dataset="IMDB", config="LLLCCL"))
    assert len(curves_of([run], published=[])) == 1
    curves = curves_of([run], ["IMDB/LLLLLL"], epochs=60)
    assert (curves[1].label, curves[1].colour, [row["epoch"] for row in curves[1].rows]) \
        == ("published IMDB LLLLLL", 1, [20, 40, 60])
    with pytest.raises(ReportedError, match="^there is no published curve of IMDB/DCDCCD; expected a name such as "):
        curves_of([run], ["IMDB/DCDCCD"])


def test_runs_of_the_sparse_experiments_have_their_own_panels(write_run):
    tagger = read_run(write_run("a", [1, 2], ("train_loss", "val", "test"), experiment="sequence_labeling"))
    model = read_run(write_run("b", [1], ("val", "val_perplexity"), experiment="language_modeling"))
    assert panels_of([tagger]) == [("val", "validation (accuracy)"), ("test", "test (accuracy)")]
    assert panels_of([model]) == [("val", "validation (nats)"), ("val_perplexity", "validation perplexity")]
    assert panels_of([tagger, model])[0] == ("val", "validation")
    assert panels_of([tagger], ["train_loss"]) == [("train_loss", "train_loss")]
    assert [curve.published for curve in curves_of([tagger, model])] == [False, False]
    assert curve_table(tagger) == "no epoch in common with a published curve"
    with pytest.raises(ReportedError, match="^no run has the column loss; known: train_loss, val, test$"):
        panels_of([tagger], ["loss"])


def test_the_table_is_short(write_run):
    run = read_run(write_run("run", range(1, 151), dataset="Word_PTB", config="LCIL"))
    epochs = [int(line.split(" ")[1]) for line in curve_table(run).splitlines()[2:]]
    assert len(epochs) == compare_runs.TABLE_ROWS and (epochs[0], epochs[-1]) == (1, 150)


def test_mistakes_are_one_line(write_run, tmp_path, capsys):
    run = write_run("run", [1], dataset="IMDB", config="LLLCCL")
    damaged = write_run("damaged", [], dataset="IMDB", config="LLLCCL")
    (tmp_path / "damaged" / "metrics.csv").write_text("epoch,val\n1,x\n")
    for arguments, message in (([str(tmp_path)], "is not the folder of a run"), ([run, "--out", "x.pdf"], "in .png"),
                               ([run, "--epochs", "0"], "--epochs must be a positive integer, got 0"),
                               ([damaged], "metrics.csv is damaged")):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        line, = capsys.readouterr().err.splitlines()
        assert caught.value.code == 2 and line.startswith("error: ") and message in line
