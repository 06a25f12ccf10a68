"""Settings: readers, misspelt names, config.json."""

import json
import math

from theano_rnn.errors import ReportedError

import pytest
from helpers import running

from Experiments.shared import config
from Experiments.shared.run_folder import RunFolder

DATASETS = running.DATASETS + ("language_modeling", "sequence_labeling")


def settings_of(dataset, **given):
    if dataset in running.DATASETS:
        given.setdefault("config", running.CONFIGS[dataset])
    return running.load_experiment(dataset).make_settings(**given)


@pytest.mark.parametrize("read, accepted, refused", [
    (config.positive_integer, [("1", 1), (7, 7), (2.0, 2)], ["0", "1.5", "x", "", "nan", 0, 1.5, True, None]),
    (config.positive_integer_or_unset, [("-1", -1), ("3", 3)], ["0", "-2"]),
    (config.non_negative_integer, [("0", 0)], ["-1"]),
    (config.seed, [("0", 0), (2 ** 32 - 1, 2 ** 32 - 1)], ["-1", 2 ** 32]),
    (config.positive_number, [("1e-3", 1e-3), (2, 2.0)], ["0", "-1", "nan", "inf", "1e999", "none", math.nan, None]),
    (config.positive_number_or_none, [("none", None), (None, None), ("2", 2.0)], ["0", "off"]),
    (config.non_negative_number, [("0", 0.0)], ["-0.1"]),
    (config.share, [("1", 1.0)], ["0", "1.1"]),
    (config.open_share, [("0.5", 0.5)], ["0", "1"]),
    (config.probability, [("0", 0.0), (0.9, 0.9)], ["1", "-0.1", "x"]),
    (config.probability_or_unset, [("-1", -1.0), ("0", 0.0)], ["1", "-0.5"]),
    (config.choice(("up", "down")), [("up", "up")], ["UP", 1]),
])
def test_readers(read, accepted, refused):
    for value, expected in accepted:
        assert read(value) == expected and type(read(value)) is type(expected)
    for value in refused:
        with pytest.raises(ReportedError, match="^must be .*, got "):
            read(value)


@pytest.mark.parametrize("dataset", DATASETS)
def test_defaults_are_accepted_by_their_readers(dataset):
    for setting in running.load_experiment(dataset).settings:
        if setting.default is not None and setting.read is not config.path:
            assert setting.read(setting.default) == setting.default
            assert type(setting.read(setting.default)) is type(setting.default)


def test_misspelt_settings_are_errors():
    settings = settings_of("IMDB")
    for act in (lambda: settings.hiden_units, lambda: setattr(settings, "hiden_units", 3)):
        with pytest.raises(AttributeError, match="unknown setting 'hiden_units'; known: batch_size, .*hidden_units"):
            act()
    with pytest.raises(ReportedError, match="unknown setting 'hiden_units'; known: "):
        settings_of("IMDB", hiden_units=3)
    assert "hidden_units" in settings and "hiden_units" not in settings


def test_settings_are_checked_and_independent():
    settings = settings_of("Word_PTB", hidden_units="7")
    assert settings.hidden_units == 7
    other = settings.replace(hidden_units=8, clip="none")
    assert (other.hidden_units, other.clip, settings.hidden_units, settings.clip) == (8, None, 7, 10.)
    with pytest.raises(ReportedError, match="^hidden_units must be a positive integer, got 0$"):
        settings.hidden_units = 0
    assert settings.hidden_units == 7 and math.isclose(settings.learning_rate, 2e-3)


@pytest.mark.parametrize("dataset", DATASETS)
def test_config_json_gives_the_settings_back(dataset, tmp_path):
    settings = settings_of(dataset, epochs=3)
    (tmp_path / "config.json").write_text(json.dumps(settings.to_config()))
    read = running.load_experiment(dataset).read_settings(RunFolder(str(tmp_path)))
    assert read.to_dict() == settings.to_dict()


def test_the_two_layouts_of_config_json():
    bayesian = settings_of("Char_PTB").to_config()
    assert set(bayesian) == {"dataset", "kind", "config", "seed", "demo", "data_dir", "vectors", "settings"}
    assert (bayesian["dataset"], bayesian["kind"], bayesian["vectors"]) == ("Char_PTB", "characters", None)
    assert bayesian["settings"] == dict(running.hyperparameters(running.load_experiment("Char_PTB")), tensorboard=False)
    sparse = settings_of("language_modeling").to_config()
    assert set(sparse) == {"experiment", "entry", "demo", "settings"}
    assert {"data", "save", "seed", "entry", "recite", "save_every"} <= set(sparse["settings"])


def test_a_run_of_an_earlier_version_has_no_vectors_and_the_defaults_of_newer_settings(tmp_path):
    newer = dict(vectors_norm=None, kl_warmup=0, rate_schedule=None, log_sigma_rate=1.)
    contents = settings_of("IMDB", vectors_norm=3, kl_warmup=2, rate_schedule="0:2", log_sigma_rate=3).to_config()
    contents["vectors"] = None
    for name in ("vectors_norm", "recipe"):
        del contents[name]
    for name in ("kl_warmup", "rate_schedule", "log_sigma_rate"):
        del contents["settings"][name]
    (tmp_path / "config.json").write_text(json.dumps(contents))
    read = running.load_experiment("IMDB").read_settings(RunFolder(str(tmp_path)))
    assert (read.vectors, read.recipe) == ("none", None) and read.select(newer) == newer


@pytest.mark.parametrize("value, expected", [
    ("none", None), (None, None), ("0:1", [[0., 1.]]), ("2:1,10:8.5,80:.5", [[2., 1.], [10., 8.5], [80., 0.5]]),
    ([[0, 1], [3, 2]], [[0., 1.], [3., 2.]])])
def test_schedules_of_the_learning_rate(value, expected):
    settings = settings_of("IMDB", rate_schedule=value)
    assert settings.rate_schedule == expected
    assert settings.replace(rate_schedule=settings.rate_schedule).rate_schedule == expected


@pytest.mark.parametrize("value", ["", "1", "0:0", "0:-1", "-1:1", "0:1,0:2", "5:1,2:1", "0:nan", "0:inf", "inf:1",
                                   "0:1:2", "a:b", 3, [3], [[0]]])
def test_invalid_schedules(value):
    with pytest.raises(ReportedError, match="^rate_schedule must be none or epoch:factor"):
        settings_of("IMDB", rate_schedule=value)


def test_a_recipe_changes_settings_and_given_ones_take_precedence():
    experiment = running.load_experiment("IMDB").derive(recipes={"short": dict(epochs=3, length=7, clip=2.)})
    settings = experiment.make_settings(demo=True, config="LLLCCL", recipe="short", length=9)
    assert (settings.epochs, settings.length, settings.clip, settings.recipe) == (3, 9, 2., "short")
    assert settings.embedding_units == experiment.demo["embedding_units"]
    assert settings.to_config()["recipe"] == "short" and "recipe" not in settings.to_config()["settings"]
    assert experiment.make_settings(config="LLLCCL").epochs == 800
    with pytest.raises(ReportedError, match="^recipe must be one of short, got 'long'$"):
        experiment.make_settings(config="LLLCCL", recipe="long")


@pytest.mark.parametrize("dataset", DATASETS)
def test_all_recipes_have_known_settings(dataset):
    experiment = running.load_experiment(dataset)
    for name, changes in experiment.recipes.items():
        settings = settings_of(dataset, recipe=name)
        assert settings.select(changes) == {key: experiment.check_setting(key, value) for key, value in changes.items()}


@pytest.mark.parametrize("change, message", [
    (lambda settings: settings.pop("length"), "it lacks the setting length"),
    (lambda settings: settings.update(lenght=3), "it has the unknown setting lenght"),
    (lambda settings: settings.update(length=-3), "length must be a positive integer, got -3"),
    (lambda settings: settings.update(length="many"), "length must be a positive integer, got 'many'"),
])
def test_damaged_settings_in_config_json(change, message, tmp_path):
    contents = settings_of("IMDB").to_config()
    change(contents["settings"])
    (tmp_path / "config.json").write_text(json.dumps(contents))
    with pytest.raises(ReportedError) as caught:
        running.load_experiment("IMDB").read_settings(RunFolder(str(tmp_path)))
    assert str(caught.value) == "%s is damaged: %s" % (tmp_path / "config.json", message)
