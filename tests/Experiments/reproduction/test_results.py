"""Our runs beside the published numbers."""

import csv
import io
import os

from theano_rnn.errors import ReportedError

import pytest
from helpers.run_folders import BAYESIAN_END, TAGGER_END, write_config, write_log, write_metrics

from Experiments.shared.reproduction import report
from Experiments.shared.reproduction.published import published_curve
from Experiments.shared.reproduction.tables import make_table

IMDB = "IMDB/LLLCCL"


def text_run(root, seed, epochs, test=0.8, due=800, compression=100.):
    folder = os.path.join(str(root), IMDB, "seed%d" % seed)
    write_config(folder, "IMDB/main.py", due, config="LLLCCL", seed=seed)
    write_metrics(folder, [dict(epoch=epoch, val=0.7, test=test, compression=compression, kept_z_voc=500, kept_z_x=20,
                                kept_z_h=10, kept_gates=30) for epoch in range(20, epochs + 1, 20)])
    write_log(folder, epochs, BAYESIAN_END if epochs == due else None)
    return folder


def tagger_run(root, row, seed, values, due=50):
    folder = os.path.join(str(root), "sequence_labeling", "conll2000", row, "seed%d" % seed)
    write_config(folder, "sequence_labeling/main.py", due, seed=seed)
    write_metrics(folder, [dict(epoch=epoch, val=val, test=test) for epoch, val, test in values])
    write_log(folder, values[-1][0], TAGGER_END)
    return folder


def results_of(name, row, root, seeds=(0, 1), **options):
    for _, rows, _ in report.collect(make_table(name), str(root), seeds, **options):
        for found in rows:
            if found.row.name == row:
                return found
    raise AssertionError(row)


def cells(text, name):
    """Return the lines of a Markdown table that belong to a row, as lists of cells."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    first = next(number for number, line in enumerate(lines) if "`%s`" % name in line[0])
    after = [number for number in range(first + 1, len(lines)) if lines[number][0]]
    return lines[first:after[0] if after else len(lines)]


def test_finished_seeds_are_compared_with_the_paper(tmp_path):
    for seed, test in ((0, 0.83), (1, 0.85)):
        text_run(tmp_path, seed, 800, test, compression=18000. + 1000 * seed)
    found = results_of("emnlp-1", IMDB, tmp_path)
    result, = found.results
    assert (result.finished, result.epoch, result.seeds, result.commits) == (True, 800, [0, 1], ["abc"])
    summary = result.ours["accuracy"]
    assert summary.mean == pytest.approx(84.) and summary.sd == pytest.approx(2 ** 0.5) and summary.count == 2
    assert result.reference.name == "paper" and result.reference.numbers["accuracy"].text == "83.6"
    collected = report.collect(make_table("emnlp-1"), str(tmp_path), [0, 1])
    paper, log, ours, difference = cells(report.markdown(make_table("emnlp-1"), collected), IMDB)
    assert paper[1:7] == ["paper", "last, 800", "83.6", "18792", "292", "1"]
    assert log[1:5] == ["authors' log", "800", "83.28", "19499"]
    assert ours[1:6] == ["ours, seeds 0, 1", "last (800 of 800)", "84.00 ± 1.41", "18500 ± 707", "500.0 ± 0.0"]
    assert difference[1:5] == ["difference", "", "+0.40", "-292"]


def test_an_unfinished_run_is_compared_with_the_log_at_the_same_epoch(tmp_path):
    text_run(tmp_path, 0, 800)
    text_run(tmp_path, 1, 40)
    finished, unfinished = results_of("emnlp-1", IMDB, tmp_path).results
    assert finished.seeds == [0] and unfinished.seeds == [1]
    assert (unfinished.finished, unfinished.epoch, unfinished.done) == (False, 40, 40)
    published = published_curve("IMDB", "LLLCCL")[1]
    assert published["epoch"] == 40 == unfinished.reference.epoch
    assert unfinished.reference.numbers["accuracy"].text == "%.2f" % (100 * published["test"]) == "76.33"
    collected = report.collect(make_table("emnlp-1"), str(tmp_path), [1])
    lines = cells(report.markdown(make_table("emnlp-1"), collected), IMDB)
    assert [line[1:4] for line in lines[2:]] == [
        ["authors' log", "40", "76.33"], ["ours, seed 1", "40 of 800", "80.00"], ["difference", "", "+3.67"]]


def test_the_last_epoch_of_both_is_compared(tmp_path):
    folder = text_run(tmp_path, 0, 40)
    write_metrics(folder, [dict(epoch=epoch, val=0.7, test=epoch / 100., compression=2.) for epoch in (10, 20, 30)])
    result, = results_of("emnlp-1", IMDB, tmp_path).results
    assert (result.epoch, result.done, result.reference.epoch) == (20, 30, 20)
    assert result.ours["accuracy"].mean == pytest.approx(20.)
    text = report.markdown(make_table("emnlp-1"), report.collect(make_table("emnlp-1"), str(tmp_path), [0]))
    assert cells(text, IMDB)[3][2] == "20 (30 of 800)"


def test_epochs_limits_what_counts(tmp_path):
    text_run(tmp_path, 0, 800)
    text_run(tmp_path, 1, 20, due=20)
    result, = results_of("emnlp-1", IMDB, tmp_path, limit=20).results
    assert (result.seeds, result.finished, result.epoch, result.reference.epoch) == ([0, 1], False, 20, 20)


def test_the_best_validation_epoch_counts_where_the_paper_says_so(tmp_path):
    tagger_run(tmp_path, "sparse-20-0.25", 1982, [(1, 0.8, 0.95), (2, 0.9, 0.7), (3, 0.9, 0.8), (50, 0.85, 0.9)])
    result, = results_of("conll-3", "sparse-20-0.25", tmp_path, [1982, 1983]).results
    assert (result.epoch, result.done, result.finished) == (2, 50, True)
    assert result.ours["test"].mean == pytest.approx(70.)
    table = make_table("conll-3")
    text = report.markdown(table, report.collect(table, str(tmp_path), [1982]))
    line, = cells(text, "sequence_labeling/conll2000/sparse-20-0.25")
    assert line[1:] == ["seed 1982", "best, 2 (50 of 50)", "90.00", "96.1 ± 0.1", "70.00", "-26.10"]
    line, = cells(text, "sequence_labeling/conll2000/sparse-20-0.1-down")
    assert line[1:] == ["-", "0 of 50", "-", "90.6 ± 0.5", "-", "-"]


def test_a_choice_takes_the_row_with_the_best_mean_validation_result(tmp_path):
    for row, values in (("sparse-20-0.25", (0.9, 0.8)), ("sparse-20-0.25-e0-i0-w0", (0.8, 0.86)),
                        ("sparse-20-0.25-e0.1-i0.2-w0", (0.87, 0.87))):
        for seed, val in zip((1982, 1983), values):
            tagger_run(tmp_path, row, seed, [(50, val, val - 0.01)])
    found = results_of("conll-2", "chosen", tmp_path, [1982, 1983])
    assert found.row.folder.endswith("/sparse-20-0.25-e0.1-i0.2-w0")
    assert found.row.label.endswith("(the best of 3 of 36 rows)")
    assert found.results[0].reference.numbers["test"].text == "96.1"
    assert results_of("conll-4", "recite-dense_small", tmp_path).results == []


def test_fine_tuning_has_its_own_column(tmp_path):
    folder = os.path.join(str(tmp_path), "language_modeling", "awd-lstm", "seed0")
    for path, program, perplexity in ((folder, "main", 60.), (os.path.join(folder, "finetune"), "finetune", 58.)):
        write_config(path, "language_modeling/%s.py" % program, 500, seed=0)
        write_metrics(path, [dict(epoch=epoch, val=4. + abs(epoch - 2), val_perplexity=61.) for epoch in (1, 2, 3)])
        write_log(path, 3, "| End of training | test loss 4.0")
        with open(os.path.join(path, "test.json"), "w") as stream:
            stream.write('{"epoch": 2, "test_loss": 4.0, "test_perplexity": %s}' % perplexity)
    for limit in (None, 500):                   # the epochs due: no limit
        result, = results_of("conll-1", "awd-lstm", tmp_path, limit=limit).results
        assert result.finished
    assert result.finished and (result.ours["test"].mean, result.ours["fine-tuned"].mean) == (60., 58.)


def test_baselines_are_further_rows(tmp_path):
    text_run(tmp_path, 0, 40)
    with open(str(tmp_path / "IMDB" / "baselines.csv"), "w") as stream:
        stream.write("name,test,words,bytes,seconds\nmajority class,0.824,20000,160000,1.5\n")
    table = make_table("emnlp-1")
    collected = report.collect(table, str(tmp_path), [0])
    line, = [line for line in report.markdown(table, collected).splitlines() if "majority class" in line]
    assert line.startswith("| majority class | baseline, ours | - | 82.40 | - | 20000 |")
    lines = list(csv.DictReader(io.StringIO(report.csv_text(table, collected))))
    assert [line["ours"] for line in lines if line["row"] == "majority class"] == ["82.4", "20000", "160000", "1.5"]


def test_the_csv_has_every_number_with_its_source(tmp_path):
    text_run(tmp_path, 0, 40)
    table = make_table("emnlp-1")
    lines = list(csv.DictReader(io.StringIO(report.csv_text(table, report.collect(table, str(tmp_path), [0])))))
    ours, = [line for line in lines if line["row"] == IMDB and line["ours"] and line["column"] == "accuracy"]
    assert (ours["published"], ours["published_epoch"], ours["published_source"]) == ("76.33", "40",
                                                                                      "log of IMDB LLLCCL")
    assert float(ours["difference"]) == pytest.approx(3.67) and ours["finished"] == "0" and ours["commits"] == "abc"
    assert all(line["published_source"] for line in lines if line["published"])


@pytest.mark.parametrize("changes, message", [
    (dict(program="AGNews/main.py"), "holds a run of AGNews/main.py, expected IMDB/main.py"),
    (dict(config="LCLCCL"), "holds a run with config LCLCCL, expected LLLCCL"),
    (dict(seed=3), "holds a run with seed 3, expected 0"),
    (dict(demo=True), "holds a run with demo True, expected False")])
def test_a_run_of_another_model_is_refused(tmp_path, changes, message):
    folder = text_run(tmp_path, 0, 40)
    write_config(folder, **dict(dict(program="IMDB/main.py", epochs=800, config="LLLCCL", seed=0), **changes))
    with pytest.raises(ReportedError, match=message):
        results_of("emnlp-1", IMDB, tmp_path)


@pytest.mark.parametrize("row, changes, message", [
    ("sparse-20-0.25", dict(emsize=30), "emsize 30, expected 20"),
    ("sparse-20-0.25", dict(emsize=20, vocab_order="down"), "vocab_order down, expected up"),
    ("sparse-20-0.25-down", dict(emsize=20, vocab_order="up"), "vocab_order up, expected down"),
    ("dense-20-rand", dict(emsize=20, vocab_order="rand", emb_density=0.25), "emb_density 0.25, expected 1.0")])
def test_a_tagger_with_other_options_is_refused(row, changes, message, tmp_path):
    folder = tagger_run(tmp_path, row, 1982, [(50, 0.9, 0.9)])
    write_config(folder, seed=1982, **changes)
    with pytest.raises(ReportedError, match="holds a run with " + message):
        results_of("conll-3", row, tmp_path, [1982])


@pytest.mark.parametrize("line", ["x,y\n", ",,0.5\n"])
def test_a_damaged_file_is_named(line, tmp_path):
    folder = text_run(tmp_path, 0, 40)
    with open(os.path.join(folder, "metrics.csv"), "a") as stream:
        stream.write(line)
    with pytest.raises(ReportedError, match="metrics.csv is damaged"):
        results_of("emnlp-1", IMDB, tmp_path)
