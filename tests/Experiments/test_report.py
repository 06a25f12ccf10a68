"""The report of a run, and the command that it shows."""

import base64
import html
import io
import json
import os
import re
import shlex
import shutil
import sys
from unittest import mock

import numpy as np
import pytest
from helpers import chromium, run_folders, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_rnn.export_html import describe_model
from bayes_rnn.predictor import load_model
from Experiments.shared import cli, report
from Experiments.shared.run_folder import RunFolder
from Experiments.shared.training_command import training_command

pytest.importorskip("jinja2")
# Old matplotlib, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ATTACK = "</script><img src=x onerror=alert(1)>"


def page_of(folder):
    return running.read_text(os.path.join(folder, report.REPORT))


def texts_of(page):
    """Return the texts of the cells and descriptions of a page."""
    return [html.unescape(text) for text in re.findall(r"<(?:td|dd|th|dt|figcaption|pre)[^>]*>([^<]*)<", page)]


# -- finished runs -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dataset", running.DATASETS)
def test_numbers_of_a_finished_run(dataset, finished):
    run = finished(dataset)
    page, last = page_of(run.path), running.numbers_of(run.path)[-1]
    assert run.output.splitlines()[-1] == "Report: " + os.path.join(run.path, "report.html")
    texts = texts_of(page)
    for value in ("%.5g" % last["val"], "%.5g" % last["test"], "{:,}".format(int(last["kept_w_h"])),
                  "{:,}".format(int(last["size_w_h"])), running.CONFIGS[dataset],
                  running.config_of(run.path)["command"], running.config_of(run.path)["versions"]["theano"]):
        assert value in texts, value
    assert "data_sha256" not in texts                   # it is no setting
    model = load_model(os.path.join(run.path, "compressed.npz"), "numpy")
    data = re.search('<script type="application/json" id="model-data">(.*)</script>', page).group(1)
    assert json.loads(data) == describe_model(model)
    # Published curves exist for IMDB LLLCCL and Word_PTB LCIL.
    assert page.count(", published %s %s" % (dataset, running.CONFIGS[dataset])) == (
        3 if dataset in ("IMDB", "Word_PTB") else 0)
    assert page.count('alt="') == 3 + sum(array.ndim == 2 and array.size > 0 for array in model.arrays.values())


def test_words_of_a_finished_run(finished):
    run = finished("IMDB")
    page = page_of(run.path)
    lines = running.read_text(os.path.join(run.path, "kept_words.txt")).splitlines()
    assert re.findall(r'<li>([^<]*) <span class="muted">([^<]*)</span>', page) == [
        (html.escape(word), importance) for word, importance in (line.split("\t") for line in lines)]
    assert "The %d kept words by importance" % len(lines) in page
    # The text box has the first example of the experiment.
    assert html.escape(running.load_experiment("IMDB").examples[0]) in page


def test_command_line_writes_the_report_of_an_older_run(finished, tmp_path, capsys):
    """Its config.json has no command."""
    folder = str(tmp_path / "run")
    os.mkdir(folder)
    for name in ("config.json", "metrics.csv", "log.txt", "compressed.npz"):
        shutil.copy(os.path.join(finished("Char_PTB").path, name), folder)
    config = running.config_of(folder)
    del config["command"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    report.main([folder])
    assert capsys.readouterr().out == os.path.join(folder, "report.html") + "\n"
    page = page_of(folder)
    assert "This command trains the network" not in page and "Compression" in page and 'id="continue"' in page
    with pytest.raises(SystemExit):
        report.main([str(tmp_path)])
    assert capsys.readouterr().err == (
        "error: no run in %s (no config.json); train one with main.py first\n" % tmp_path)


def test_the_report_in_a_browser(finished):
    """All images are loaded, and the text box predicts."""
    run = finished("IMDB")
    model = load_model(os.path.join(run.path, "compressed.npz"), "numpy")
    images = 3 + sum(array.ndim == 2 and array.size > 0 for array in model.arrays.values())
    with chromium.chromium() as browser, chromium.checked_pages(browser) as opened:
        for width in (chromium.NARROW, chromium.WIDE):
            page = opened(os.path.join(run.path, "report.html"), width)
            assert page.evaluate("Array.from(document.images, image => image.naturalWidth > 0)") == [True] * images
            assert chromium.has_no_overflow(page)
            page.fill("#text", "a great plot")
            np.testing.assert_allclose(chromium.probabilities(page)[1], model.predict(["a great plot"])[0], atol=1e-5)


# -- runs without training ---------------------------------------------------------------------------------------------

def write_run(folder, rows=(), program="sequence_labeling/main.py", **settings):
    run_folders.write_config(folder, program, **settings)
    run_folders.write_log(folder, 3, run_folders.TAGGER_END)
    if rows:
        run_folders.write_metrics(folder, rows)
    report.write_report(RunFolder(str(folder)))
    return page_of(str(folder))


def test_a_run_of_the_tagger(tmp_path):
    page = write_run(tmp_path, [dict(epoch=1, val=0.5, test=0.4), dict(epoch=2, val=0.75, test=0.6),
                                dict(epoch=3, val=0.625, test=0.7)])
    texts = texts_of(page)
    assert texts[texts.index("best validation") + 1] == "0.75 (epoch 2)"
    assert texts[texts.index("training") + 1] == "8 s, 2.5 s per epoch"
    assert page.count("<img") == 2 and "model-data" not in page and "script-src" not in page


def test_a_run_with_own_texts(tmp_path):
    texts = texts_of(write_run(tmp_path, [dict(epoch=1, val=0.5, test=0.4), dict(epoch=2, val=0.25, test=0.6)],
                               "Text/main.py", config="LLLCCL", seed=0))
    assert texts[texts.index("best validation") + 1] == "0.5 (epoch 1)" and "test accuracy" in texts


def test_a_run_of_the_language_model(tmp_path):
    rows = [dict(epoch=1, val=4.5, val_perplexity=90.), dict(epoch=2, val=5., val_perplexity=148.)]
    (tmp_path / "test.json").write_text('{"epoch": 1, "test_loss": 4.25, "test_perplexity": 70.105}')
    page = write_run(tmp_path, rows, "language_modeling/main.py")
    texts = texts_of(page)
    assert texts[texts.index("best validation") + 1] == "4.5 (epoch 1)"
    assert texts[texts.index("test perplexity") + 1] == "70.105"


def test_a_run_without_an_evaluation(tmp_path):
    assert "<img" not in write_run(tmp_path)


def test_texts_of_a_run_are_escaped(tmp_path):
    run_folders.write_config(tmp_path, "IMDB/main.py", config=ATTACK, seed=0, note=ATTACK)
    (tmp_path / "kept_words.txt").write_text("%s\t0.5\n" % ATTACK)
    page = page_of(os.path.dirname(report.write_report(RunFolder(str(tmp_path)))))
    assert page.count(html.escape(ATTACK)) == 5 and "<img" not in page and "</script" not in page


def test_a_large_model_is_left_out(finished, tmp_path):
    folder = shutil.copytree(finished("Char_PTB").path, str(tmp_path / "run"))
    with mock.patch.object(report, "LARGEST_MODEL", 100):
        report.write_report(RunFolder(folder))
    assert ("python -m bayes_rnn.export %s --to html" % os.path.join(folder, "compressed.npz")) in page_of(folder)
    assert "model-data" not in page_of(folder)


@pytest.mark.parametrize("obstacle", ["folder", "jinja2", "metrics"])
def test_a_report_that_cannot_be_written_is_one_warning(obstacle, tmp_path, capsys, monkeypatch):
    run_folders.write_config(tmp_path)
    reason = {"folder": "Is a directory", "metrics": "metrics.csv is damaged",
              "jinja2": "HTML pages need the package jinja2; install it with: pip install jinja2"}[obstacle]
    if obstacle == "folder":
        (tmp_path / "report.html").mkdir()
    elif obstacle == "metrics":
        (tmp_path / "metrics.csv").write_text("epoch,val\n1,x\n")
    else:
        monkeypatch.setitem(sys.modules, "jinja2", None)
    report.finish_with_report(RunFolder(str(tmp_path)))
    output, errors = capsys.readouterr()
    line, = errors.splitlines()
    assert output == "" and line.startswith("warning: %s cannot be written (" % (tmp_path / "report.html"))
    assert reason in line


# -- pictures ----------------------------------------------------------------------------------------------------------

def pixels(picture):
    from matplotlib.image import imread
    data = base64.b64decode(picture.image.partition("base64,")[2])
    return np.round(255 * imread(io.BytesIO(data))[:, :, :3]).astype(int)


def test_picture_of_a_matrix():
    picture = report._picture(np.array([[4., 0., -1.], [0., 0., -4.]], dtype="float32"), "W", "inputs", "gates")
    half_way = [(255 + colour + 1) // 2 for colour in report.NEGATIVE]
    expected = [[report.POSITIVE, (255, 255, 255), half_way], [(255, 255, 255), (255, 255, 255), report.NEGATIVE]]
    assert np.abs(pixels(picture) - expected).max() <= 1
    assert (picture.width, picture.height) == (3 * report.LARGEST_CELL, 2 * report.LARGEST_CELL)
    assert picture.caption == u"W (inputs \xd7 gates): 2 \xd7 3; 3 of 6 weights are not zero, the largest is 4"


def test_picture_of_a_large_matrix_shows_every_weight_in_some_cell():
    values = np.zeros((3000, 200), dtype="float32")         # it is transposed
    values[2999, 199], values[0, 0], values[0, 1] = -2, 2, 1
    shown = pixels(report._picture(values, "W", "words", "units"))
    assert shown.shape == (100, 600, 3)
    assert tuple(shown[0, 0]) == report.POSITIVE and tuple(shown[-1, -1]) == report.NEGATIVE
    assert (shown == 255).all(axis=2).sum() == 100 * 600 - 2


# -- the command -------------------------------------------------------------------------------------------------------

def parsed(command, program):
    """Return the settings that a command gives, and the folder of the run."""
    experiment = running.load_experiment(program)
    words = shlex.split(command)
    assert words[:5] == ["cd", "Experiments/" + program, "&&", "python", "main.py"]
    with mock.patch.object(cli, "_train") as train:
        cli.main(experiment, words[5:])
    _, given, folder = train.call_args[0][:3]
    return experiment.make_settings(**given), folder


@pytest.mark.parametrize("program", ["IMDB", "Word_PTB", "sequence_labeling"])
def test_the_command_gives_the_settings(program):
    experiment = running.load_experiment(program)
    numbers = {"epochs": st.integers(1, 99), "seed": st.integers(0, 9), "learning_rate": st.floats(1e-5, 1.),
               "clip": st.none() | st.floats(0.5, 9.),
               "rate_schedule": st.sampled_from([None, "0:1,2.5:0.125", "0:0.123456789"]),
               "vectors": st.sampled_from(["train", "none"]), "recipe": st.sampled_from([None, "fast"]),
               "data_dir": st.just("/tmp/a folder"), "lr": st.floats(1e-3, 9.), "l2": st.sampled_from([0., 1e-5]),
               "optimizer": st.sampled_from(["adam", "sgd"]), "tensorboard": st.booleans(),
               "config": st.just("LLLCCL" if program == "IMDB" else "LCIL")}
    known = {name: values for name, values in numbers.items() if experiment.setting(name)}

    @settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), st.booleans(), st.fixed_dictionaries(
        {"config": known.pop("config")} if "config" in known else {}, optional=known))
    def check(demo, spelled_out, given):
        expected = experiment.make_settings(demo=demo, **given)
        command = training_command(expected, os.path.join(experiment.folder, "Results", "my run"), spelled_out)
        if spelled_out and "recipe" in expected:
            assert "--recipe" not in command
            expected.recipe = None
        got, folder = parsed(command, program)
        assert got.to_dict() == dict(expected.to_dict(), **({"save": got.save} if "save" in got else {}))
        assert os.path.relpath(folder, os.getcwd()) == os.path.join("Results", "my run")
    check()


def test_a_command_that_is_spelled_out_does_not_depend_on_what_names_stand_for():
    """Neither a recipe nor --demo, which later versions may change."""
    experiment = running.load_experiment("IMDB")
    given = dict(demo=True, config="LLLCCL", recipe="fast")
    changed = experiment.derive(recipes={"fast": dict(epochs=9)}, demo=dict(experiment.demo, clip=None, kl_warmup=1))
    command = training_command(experiment.make_settings(**given), "/tmp/run", spelled_out=True)
    with mock.patch.object(running, "load_experiment", lambda program: changed):
        got, _ = parsed(command, "IMDB")
    assert got.to_dict() == dict(experiment.make_settings(**given).to_dict(), recipe=None)


def test_the_command_of_a_run_elsewhere_names_no_folder():
    experiment = running.load_experiment("IMDB")
    assert training_command(experiment.make_settings(config="LLLCCL", seed=2, batch_size=64), "/tmp/run") == (
        "cd Experiments/IMDB && python main.py LLLCCL --seed 2 --set batch_size=64")


def test_the_command_of_fine_tuning_names_the_trained_run():
    experiment = running.load_script("language_modeling", "finetune.py").FINE_TUNING
    settings = experiment.make_settings()
    folder = os.path.join(experiment.folder, "logs", "awd-lstm", "finetune")
    assert training_command(settings, folder) == (
        "cd Experiments/language_modeling && python finetune.py --save logs/awd-lstm")
