"""Progress on standard error and event files of TensorBoard, without training."""

import io
import sys

from theano_rnn.errors import ReportedError

import pytest
from helpers import running
from helpers.events import read_scalars

from Experiments.shared import cli
from Experiments.shared import train_and_evaluate as training
from Experiments.shared.monitoring import EventLog, ProgressDisplay
from Experiments.shared.run_folder import RunFolder

# Old matplotlib and Theano, imported in this process.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines_of(display_options, times, losses=()):
    """Return what a display prints if its minibatches end at these times."""
    stream, clock = io.StringIO(), iter([0.] + list(times))
    with ProgressDisplay(stream=stream, clock=lambda: next(clock), **display_options) as display:
        for number in range(len(times)):
            display.update(losses[:number + 1])
    return stream.getvalue().splitlines()


# -- progress ----------------------------------------------------------------------------------------------------------

def test_a_line_every_thirty_seconds():
    lines = lines_of(dict(description="Epoch 3", total=200), [10, 29, 31, 50, 60, 62, 4000], [4., 2., 3., 1., 5.])
    assert lines == ["Epoch 3: minibatch 3 of 200, loss 3.000, 33:55 left",
                     "Epoch 3: minibatch 6 of 200, loss 3.000, 33:24 left",
                     "Epoch 3: minibatch 7 of 200, loss 3.000, 30:38:05 left"]


def test_the_time_left_of_a_resumed_epoch_counts_only_its_own_minibatches():
    assert lines_of(dict(description="Epoch 1", total=110, done=90), [40, 80]) \
        == ["Epoch 1: minibatch 91 of 110, 12:40 left", "Epoch 1: minibatch 92 of 110, 12:00 left"]


def test_a_short_loop_prints_nothing_and_an_unknown_total_has_no_time_left():
    assert lines_of(dict(description="Testing"), range(1, 30)) == []
    assert lines_of(dict(description="Testing"), [20, 45]) == ["Testing: minibatch 2"]


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    with ProgressDisplay("Epoch 1", 5, stream=stream) as display:
        display.update([1.5])
    assert "Epoch 1" in stream.getvalue() and "\n" not in stream.getvalue()


def test_a_line_of_the_log_is_not_appended_to_the_bar(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressDisplay("Epoch 1", 5) as display:
        display.update([1.5])
        RunFolder(str(tmp_path)).log("| epoch   1")
        display.update([1.5])
    shown = [line.split("\r")[-1] for line in terminal.getvalue().split("\n")]     # what overwrites the line
    assert shown[0] == "| epoch   1" and len(shown) == 2


# -- events ------------------------------------------------------------------------------------------------------------

def test_events_have_the_metrics_of_an_epoch(tmp_path):
    pytest.importorskip("tensorboardX")
    run = RunFolder(str(tmp_path))
    with EventLog(run, 1) as events:
        events.write(1, {"epoch": 1, "val": 0.5, "size_w_x": 7})
        assert read_scalars(run.file("tensorboard")) == {"val": [(1, 0.5)]}      # at once
        events.write(2, {"epoch": 2, "val": 0.25, "size_w_x": 7})
    with EventLog(run, 2) as events:
        events.write(2, {"epoch": 2, "val": 0.75})
    assert read_scalars(run.file("tensorboard")) == {"val": [(1, 0.5), (2, 0.75)]}


def test_nothing_is_written_unless_enabled(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)      # an import raises ImportError
    with EventLog(RunFolder(str(tmp_path)), 1, enabled=False) as events:
        events.write(1, {"val": 0.5})
    assert list(tmp_path.iterdir()) == []


def test_events_that_cannot_be_written_cause_one_warning(tmp_path, monkeypatch, capsys):
    writer = pytest.importorskip("tensorboardX.event_file_writer").EventsWriter
    run = RunFolder(str(tmp_path))
    with EventLog(run, 1) as events:
        monkeypatch.setattr(writer, "flush", lambda self: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for epoch in (1, 2, 3):
            events.write(epoch, {"val": 0.5})
    expected = "warning: cannot write events for TensorBoard to %s (%s); training continues without them\n"
    assert capsys.readouterr().err == expected % (run.file("tensorboard"), "No space left on device")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tensorboard").write_text(u"a file where the folder should be")
    with EventLog(RunFolder(str(tmp_path / "other")), 1) as events:
        events.write(1, {"val": 0.5})
    assert capsys.readouterr().err == expected % (tmp_path / "other" / "tensorboard", "File exists")


def test_without_tensorboardx_the_option_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    settings = running.load_experiment("IMDB").make_settings(config="LLLCCL", data_dir="missing", tensorboard=True)
    with pytest.raises(ReportedError, match="^--tensorboard needs the package tensorboardX "):
        training.train_and_evaluate(settings, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ReportedError, match="no prepared data"):       # not needed without the option
        training.train_and_evaluate(settings.replace(tensorboard=False), str(tmp_path / "run"))


@pytest.mark.parametrize("experiment, arguments, out, resume", [
    ("Word_PTB", ["LCIL"], "--out", "--resume"), ("sequence_labeling", [], "--save", "--continue_train")])
def test_the_option_in_both_dialects(experiment, arguments, out, resume, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(cli, "train_and_evaluate", lambda settings, *others: trained.append(settings))
    arguments = arguments + [out, str(tmp_path)]

    def chosen(*more):
        cli.main(running.load_experiment(experiment), arguments + list(more))
        return trained[-1].tensorboard
    assert not chosen() and chosen("--tensorboard") and not chosen("--no-tensorboard")
    run = RunFolder(str(tmp_path))
    run.start(dict(trained[1].to_config(), versions={}), [])
    assert chosen(resume) and not chosen(resume, "--no-tensorboard")
    config = trained[1].to_config()
    del config["settings"]["tensorboard"]                       # a run of an earlier version
    run.start(dict(config, versions={}), [])
    assert not chosen(resume) and chosen(resume, "--tensorboard")
