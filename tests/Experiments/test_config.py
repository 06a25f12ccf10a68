"""Settings: readers, misspelt names, config.json."""

import json
import math
import re

from theano_rnn.errors import ReportedError

import pytest
from helpers import running

from Experiments.shared import readers
from Experiments.shared.run_folder import RunFolder

DATASETS = running.DATASETS + ("language_modeling", "sequence_labeling")


def settings_of(dataset, **given):
    if dataset in running.DATASETS:
        given.setdefault("config", running.CONFIGS[dataset])
    return running.load_experiment(dataset).make_settings(**given)


@pytest.mark.parametrize("read, accepted, refused", [
    (readers.positive_integer, [("1", 1), (7, 7), (2.0, 2)], ["0", "1.5", "x", "", "nan", 0, 1.5, True, None]),
    (readers.positive_integer_or_unset, [("-1", -1), ("3", 3)], ["0", "-2"]),
    (readers.non_negative_integer, [("0", 0)], ["-1"]),
    (readers.seed, [("0", 0), (2 ** 32 - 1, 2 ** 32 - 1)], ["-1", 2 ** 32]),
    (readers.positive_number, [("1e-3", 1e-3), (2, 2.0)], ["0", "-1", "nan", "inf", "1e999", "none", math.nan, None]),
    (readers.positive_number_or_none, [("none", None), (None, None), ("2", 2.0)], ["0", "off"]),
    (readers.non_negative_number, [("0", 0.0)], ["-0.1"]),
    (readers.share, [("1", 1.0)], ["0", "1.1"]),
    (readers.open_share, [("0.5", 0.5)], ["0", "1"]),
    (readers.probability, [("0", 0.0), (0.9, 0.9)], ["1", "-0.1", "x"]),
    (readers.probability_or_unset, [("-1", -1.0), ("0", 0.0)], ["1", "-0.5"]),
    (readers.choice(("up", "down")), [("up", "up")], ["UP", 1]),
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
        if setting.default is not None and setting.read is not readers.path:
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
    (lambda settings: settings.update(length=True), "length must be a positive integer, got True"),
    (lambda settings: settings.update(length=[]), "length must be a positive integer, got []"),
    (lambda settings: settings.update(epochs=10 ** 400),
     "epochs must be a positive integer, got 1%s... (401 characters)" % ("0" * 39)),
    (lambda settings: settings.update(learning_rate=10 ** 400),
     "learning_rate must be a positive number, got 1%s... (401 characters)" % ("0" * 39)),
])
def test_damaged_settings_in_config_json(change, message, tmp_path):
    contents = settings_of("IMDB").to_config()
    change(contents["settings"])
    (tmp_path / "config.json").write_text(json.dumps(contents))
    with pytest.raises(ReportedError) as caught:
        running.load_experiment("IMDB").read_settings(RunFolder(str(tmp_path)))
    assert str(caught.value) == "%s is damaged: %s" % (tmp_path / "config.json", message)


def damage(config, path):
    path.write_text(json.dumps(config))
    return str(path.parent)


@pytest.mark.parametrize("change, message", [
    (dict(demo="yes"), "demo must be true or false, got 'yes'"),
    (dict(demo=None), "demo must be true or false, got None"),
    (dict(data_dir=3), "data_dir must be text, got 3"),
    (dict(data_dir=None), "data_dir must be a path, got null"),
    (dict(data_dir="a\0b"), "data_dir must be text, got 'a\\x00b'"),
    (dict(seed=1.5), "seed must be an integer in "),
    (dict(config=["L"]), "config must be text, got ['L']"),
    (dict(config="LLL"), "config of a text classifier must have"),
    (dict(kind="words"), "kind must be 'text', got 'words'"),
    (dict(vectors={}), "vectors must be text, got {}"),
    (dict(recipe=7), "recipe must be one of "),
    (dict(settings=[]), "settings must be an object, got []"),
    (dict(versions="1.0"), "versions must be an object, got '1.0'"),
    (dict(resumed_with={}), "resumed_with must be a list"),
    (dict(dataset=["IMDB"]), "dataset must be text, got ['IMDB']"),
    (dict(entry=1), "entry must be text, got 1"),
    (dict(more=1), "it has the unknown key more"),
    (dict(experiment="IMDB"), "it has the unknown key experiment"),
])
def test_damaged_values_beside_the_settings(change, message, tmp_path):
    folder = damage(dict(settings_of("IMDB").to_config(), **change), tmp_path / "config.json")
    with pytest.raises(ReportedError) as caught:
        running.load_experiment("IMDB").read_settings(RunFolder(folder))
    assert message.lower() in str(caught.value).lower() and "config.json is damaged: " in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"', "[" * 100000, "", "{", u"{\"\ud800\": 1}"])
def test_config_json_that_is_no_object(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ReportedError, match="config.json is damaged"):
        RunFolder(str(tmp_path)).read_config()


@pytest.mark.parametrize("change, message", [
    (dict(recite=1), "recite must be true or false, got 1"),
    (dict(momentum="fast"), "momentum must be a non-negative "),
    (dict(momentum=-1), "momentum must be a non-negative number, got -1"),
    (dict(entry="other"), "entry must be 'main'"),
    (dict(evaluate_every=0), "evaluate_every must be a positive integer, got 0"),
    (dict(data=None), "data must be a path"),
    (dict(checkpoint_minutes="often"), "checkpoint_minutes must be a non-negative number, got 'often'"),
    (dict(sparse_mode={}), "sparse_mode must be one of "),
    (dict(dropout=float("nan")), "dropout must be a number in "),
])
def test_damaged_fixed_settings(change, message, tmp_path):
    config = settings_of("language_modeling").to_config()
    config["settings"].update(change)
    with pytest.raises(ReportedError, match="config.json is damaged: " + re.escape(message)):
        running.load_experiment("language_modeling").read_settings(
            RunFolder(damage(config, tmp_path / "config.json")))
