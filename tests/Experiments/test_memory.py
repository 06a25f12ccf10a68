"""The estimated memory of a task: published settings fit, sizes with zeros too many are refused before compiling."""

from types import SimpleNamespace

from theano_rnn.errors import ReportedError

import pytest
from helpers import running

from Experiments.shared import memory
from Experiments.shared.memory import machine_memory, refuse_too_large

# The sizes of the real data sets.
TEXTS = SimpleNamespace(vocabulary=range(44000), classes=2, train=SimpleNamespace(labels=range(25000)),
                        test=SimpleNamespace(labels=range(25000)))
CHARACTERS = SimpleNamespace(vocabulary=range(50), train=range(5000000))
WORDS = SimpleNamespace(vocabulary=range(10000), train=range(930000))
TAGGED = SimpleNamespace(vocabulary=range(44000), tags=range(45),
                         train=SimpleNamespace(offsets=range(38000)))
CASES = {"IMDB": (TEXTS, {"config": "LLLCCL"}), "AGNews": (TEXTS, {"config": "LLLCCL"}),
         "Char_PTB": (CHARACTERS, {"config": "LCIL"}), "Word_PTB": (WORDS, {"config": "LCIL"}),
         "language_modeling": (WORDS, {}), "sequence_labeling": (TAGGED, {})}


def _settings(name, **changed):
    return running.load_experiment(name).make_settings(**dict(CASES[name][1], **changed))


@pytest.fixture
def four_gigabytes(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 4 * 10 ** 9)


@pytest.mark.parametrize("name", sorted(CASES))
def test_published_settings_fit(name, four_gigabytes):
    settings, data = _settings(name), CASES[name][0]
    refuse_too_large(settings, data)
    need = settings.experiment.memory(settings, data)
    assert all(isinstance(size, int) and size >= 0 for size in need[:3])
    # Without the graph: at least value and gradient of each weight.
    assert need.parameters > 8 * {"IMDB": 6.0e6, "AGNews": 6.0e6, "Char_PTB": 4.2e6, "Word_PTB": 12e6,
                                  "language_modeling": 24e6, "sequence_labeling": 4.4e6}[name]


@pytest.mark.parametrize("name, changed", [
    ("IMDB", dict(hidden_units=10 ** 12)), ("AGNews", dict(embedding_units=10 ** 12)), ("IMDB", dict(length=10 ** 9)),
    ("Word_PTB", dict(streams=10 ** 12)), ("Char_PTB", dict(hidden_units=10 ** 5)),
    ("language_modeling", dict(n_experts=10 ** 12)), ("language_modeling", dict(batch_size=10 ** 12)),
    ("language_modeling", dict(emsize=2 ** 63 - 1)), ("language_modeling", dict(nhidlast=10 ** 9)),
    ("sequence_labeling", dict(nhid=10 ** 6)), ("sequence_labeling", dict(emb_blocks=10 ** 8, emsize=10 ** 8))])
def test_sizes_that_do_not_fit_are_named(name, changed, four_gigabytes):
    setting, value = sorted(changed.items())[0]
    with pytest.raises(ReportedError, match=r"^these settings need at least .* of memory .* but there are 4 GB; reduce "
                                            r".*\b%s=%s\b" % (setting, value)):
        refuse_too_large(_settings(name, **changed), CASES[name][0])


def test_on_a_gpu_the_training_step_is_not_in_this_memory(four_gigabytes):
    settings = _settings("Word_PTB", streams=10 ** 6)
    refuse_too_large(settings, WORDS, "cuda0")
    with pytest.raises(ReportedError):
        refuse_too_large(settings, WORDS)


def test_the_number_of_layers_is_limited():
    for name, setting in (("language_modeling", "nlayers"), ("sequence_labeling", "layers")):
        with pytest.raises(ReportedError, match=r"^%s must be an integer in \[1, 100\], got 1000000$" % setting):
            _settings(name, **{setting: 10 ** 6})


def test_the_memory_of_the_machine(tmp_path, monkeypatch):
    assert machine_memory() > 0
    (tmp_path / "limit").write_text("1000000\n")
    (tmp_path / "unlimited").write_text("max\n")
    monkeypatch.setattr(memory, "CGROUP_LIMITS", [str(tmp_path / name) for name in ("none", "unlimited", "limit")])
    assert machine_memory() == 1000000
