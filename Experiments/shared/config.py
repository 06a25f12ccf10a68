"""Experiments and the settings of their training runs: defaults, checks, ``config.json``, comparison.

Nothing here imports Theano, so that wrong settings are reported at once. `Experiments.shared.readers` reads single
values, and `Experiments.shared.cli` has the command lines.
"""

import importlib
import os
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError
from theano_rnn.interrupts import exit_at_once

from .readers import checked, choice, flag, number, path, positive_integer, shortened

__all__ = ["Experiment", "Setting", "Settings", "Dialect", "CONFIG_DIALECT", "OPTION_DIALECT", "LOOP_SETTINGS",
           "read_assignments", "refuse_other_settings", "experiment_folder", "load_experiment", "data_folder",
           "default_data_dir"]


class Setting(namedtuple("Setting", ["name", "default", "read", "help", "metavar", "added"])):
    """One setting of an experiment.

    Attributes
    ----------
    name : str
    default : object
    read : callable
        Maps text or a value to a checked value; raises a `ReportedError` "must be ..., got ...".
    help : str
        For ``--help``.
    metavar : str or None
        Placeholder of the value in ``--help``.
    added : bool
        Whether runs of earlier versions lack the setting. Such a run has the default.
    """

    __slots__ = ()

    def __new__(cls, name, default, read, help="", metavar=None, added=False):
        return super(Setting, cls).__new__(cls, name, default, read, help, metavar, added)

    def checked(self, value):
        """Return the value as `read` returns it; the error message begins with the name of the setting."""
        return checked(self.name, self.read, value)


#: Spelling of the command line and of ``config.json`` of an experiment.
#:
#: identity: key of the experiment's name in config.json. top_level: names of the settings at the same level, if the
#: experiment has them; all others are under "settings". own_options: settings that have an option of their own (None:
#: all of them); the others are changed by --set. data: name of the setting that holds the data folder. resume, out,
#: data_option, demo: spellings of options and of the command of a demonstration, for messages.
Dialect = namedtuple("Dialect", ["identity", "top_level", "own_options", "data", "resume", "out", "data_option",
                                 "demo"])

#: ``main.py CONFIG --set name=value``
CONFIG_DIALECT = Dialect(
    "dataset", ("kind", "config", "seed", "demo", "data_dir", "vectors", "vectors_norm", "recipe"),
    ("config", "seed", "data_dir", "vectors", "vectors_norm", "recipe"), "data_dir", "--resume", "--out", "--data-dir",
    "python main.py CONFIG --demo")
#: ``main.py --name value``
OPTION_DIALECT = Dialect("experiment", ("demo",), None, "data", "--continue_train", "--save", "--data",
                         "python main.py --demo")


#: Keys of ``config.json`` that are not settings, and the types of their values.
RECORDED_KEYS = OrderedDict([("entry", str), ("command", str), ("data_sha256", str), ("settings", dict),
                             ("versions", dict), ("resumed_with", list)])

#: Settings of the training loop besides ``epochs``: epochs between evaluations and between checkpoints that are kept,
#: and minutes between checkpoints within an epoch (0: after every minibatch). By default, only the last and the best
#: checkpoint are kept.
LOOP_SETTINGS = dict(evaluate_every=1, save_every=2 ** 63 - 1, checkpoint_minutes=10.)

#: A setting that every experiment has. It does not affect the numbers of a run.
TENSORBOARD = Setting("tensorboard", False, flag, "write event files for TensorBoard to the folder tensorboard of the "
                      "run; a resumed run continues to write them", added=True)


def fixed_setting(name, default):
    """Return the `Setting` of a value that the user cannot change: in ``config.json``, it has the type of the default.

    Text, and None, must equal the default.
    """
    if name in ("evaluate_every", "save_every"):
        return Setting(name, default, positive_integer)
    if isinstance(default, bool):
        return Setting(name, default, flag)
    if isinstance(default, (int, float)):
        return Setting(name, default, number(type(default), lambda value: value >= 0, "a non-negative number"))

    def read(value):
        if value != default:
            raise ReportedError("must be %r, got %s" % (default, shortened(repr(value))))
        return value
    return Setting(name, default, read)


class Settings(object):
    """All settings of one run, as attributes. An unknown name is an error, on reading and on writing.

    Parameters
    ----------
    experiment : Experiment
    values : dict
        Checked values by name; see `Experiment.make_settings`.

    Attributes
    ----------
    experiment : Experiment
        All other attributes are the settings.

    Examples
    --------
    >>> settings = experiment.make_settings(epochs=3)            # doctest: +SKIP
    >>> settings.epochs                                          # doctest: +SKIP
    3
    >>> settings.epoch                                           # doctest: +SKIP
    AttributeError: unknown setting 'epoch'; known: batch_size, ...
    """

    def __init__(self, experiment, values):
        object.__setattr__(self, "experiment", experiment)
        object.__setattr__(self, "_values", OrderedDict(values))

    def __getattr__(self, name):
        if name.startswith("__") or name not in self._values:
            raise AttributeError(self._unknown(name))
        return self._values[name]

    def __setattr__(self, name, value):
        if name not in self._values:
            raise AttributeError(self._unknown(name))
        self._values[name] = self.experiment.check_setting(name, value)

    def __contains__(self, name):
        return name in self._values

    def __repr__(self):
        return "Settings(%s)" % ", ".join("%s=%r" % item for item in self._values.items())

    def _unknown(self, name):
        return "unknown setting %r; known: %s" % (name, ", ".join(sorted(self._values)))

    def to_dict(self):
        """Return a copy of all settings: OrderedDict."""
        return OrderedDict(self._values)

    def select(self, names):
        """Return some settings: OrderedDict, for the keyword arguments of a function."""
        return OrderedDict((name, getattr(self, name)) for name in names)

    def replace(self, **changes):
        """Return a copy with other values."""
        copy = Settings(self.experiment, self._values)
        for name, value in changes.items():
            setattr(copy, name, value)
        return copy

    def to_config(self):
        """Return the contents of ``config.json`` without the versions: dict."""
        dialect = self.experiment.dialect
        config = {dialect.identity: self.experiment.name}
        if dialect is OPTION_DIALECT:
            config["entry"] = self.experiment.entry
        config.update(self.select(name for name in dialect.top_level if name in self))
        config["settings"] = {name: value for name, value in self._values.items() if name not in dialect.top_level}
        return config


def read_assignments(experiment, assignments):
    """Read ``name=value`` texts.

    Parameters
    ----------
    experiment : Experiment
    assignments : sequence of str

    Returns
    -------
    dict
        For `Experiment.make_settings`.

    Raises
    ------
    ReportedError
        For an unknown name or a value that is not accepted.
    """
    known = OrderedDict((setting.name, setting) for setting in experiment.assignable_settings())
    values = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ReportedError("--set %s: expected name=value, for example --set batch_size=64" % assignment)
        if name not in known:
            raise ReportedError("--set %s: unknown name '%s'; known: %s" % (assignment, name, ", ".join(sorted(known))))
        try:
            values[name] = known[name].read(value)
        except ReportedError as error:
            raise ReportedError("--set %s: %s (default: %s)" % (assignment, error, known[name].default)) from error
    return values


def refuse_other_settings(folder, saved, given, free, out):
    """Raise a `ReportedError` if settings differ from those with which a run was trained.

    Parameters
    ----------
    folder : str
        The folder of the run.
    saved : Settings
        The settings of the run.
    given : dict
        Settings by name.
    free : sequence of str
        Settings that may change.
    out : str
        The option that chooses another folder, for the message.
    """
    differences = ["%s %s, not %s" % (name, getattr(saved, name, None), given[name])
                   for name in list(saved.to_dict()) + sorted(set(given) - set(saved.to_dict()))
                   if name in given and name not in free and given[name] != getattr(saved, name, None)]
    if differences:
        raise ReportedError("%s was trained with other settings: %s; give the same settings, or another folder with %s"
                            % (folder, ", ".join(differences), out))


# -- experiments -------------------------------------------------------------------------------------------------------

class Experiment(object):
    """Description of a training script: its settings, its task and its data. A new experiment creates an instance.

    Parameters
    ----------
    name : str
        Name of the data set or task; ``config.json`` holds it. By default also the folder under ``Experiments``.
    description : str
        For ``--help``.
    settings : sequence of Setting
        The settings that the user can change, with their published values. ``epochs`` must be among them.
    task : str or type
        A subclass of `Experiments.shared.tasks.base.Task`, or its location ``"module:Class"``. The module is imported
        when the task is built, after the checks that do not need Theano.
    load_data : callable
        Maps the `Settings` to the data that the task takes. Its ``vocabulary`` is written to the folder of the run, and
        so is its digest; see `Experiments.shared.data.digest.data_digest`.
    prepare_demo : callable, optional
        Writes the demonstration corpus if it does not exist; takes the name of the experiment and the data folder.
    demo : dict
        Settings that ``--demo`` changes.
    recipes : dict of str to dict
        Named groups of settings. ``--recipe NAME`` changes them, after ``--demo``. The setting ``recipe`` is added.
    fixed : dict
        Settings that the user cannot change. Those of `LOOP_SETTINGS` that are neither here nor in `settings` are
        added.
    free : sequence of str
        Settings that may change when a run is resumed, besides `LOOP_SETTINGS`.
    dialect : Dialect
    default_data : str or callable
        The data folder, relative to the folder of the experiment; or a function of that folder and the `Settings` that
        returns it.
    memory : callable, optional
        Returns the `Experiments.shared.memory.MemoryNeed` for the `Settings` and the data.
    check : callable, optional
        Raises a `ReportedError` if the `Settings` and the data do not fit; called before Theano is imported.
    read_initial : callable, optional
        Maps the `Settings` and the data to the initial values of a new run (pretrained vectors, another run), for
        `Task.begin`.
    begins_with : sequence of str
        Names of the checkpoints that `Task.begin` writes.
    examples : sequence of str
        Texts whose predictions are logged at the end of training.
    folder : str, optional
        The folder of the script.
    epilog : str
        The end of ``--help``.
    """

    def __init__(self, name, description, settings, task, load_data, prepare_demo=None, demo=(), fixed=(), free=(),
                 dialect=OPTION_DIALECT, default_data=os.path.join("data", "prepared"), check=None, read_initial=None,
                 begins_with=(), examples=(), folder=None, epilog="", recipes=(), memory=None):
        self.name, self.description, self.task, self.dialect = name, description, task, dialect
        self.settings, self.recipes = tuple(setting for setting in settings if setting.name != "recipe"), dict(recipes)
        if self.recipes:
            self.settings += (_recipe_setting(self.recipes),)
        self._by_name = OrderedDict((setting.name, setting) for setting in self.settings)
        self.fixed = {name: value for name, value in LOOP_SETTINGS.items() if name not in self._by_name}
        self.fixed.update(fixed)
        self._fixed_by_name = {name: fixed_setting(name, value) for name, value in self.fixed.items()}
        self._fixed_by_name["demo"] = Setting("demo", False, flag)
        self.demo = dict(demo)
        self.free = tuple(free) + tuple(name for name in LOOP_SETTINGS if name not in free)
        self.load_data, self.prepare_demo, self.check, self.read_initial = load_data, prepare_demo, check, read_initial
        self.begins_with, self.memory = tuple(begins_with), memory
        self.default_data, self.examples, self.epilog = default_data, tuple(examples), epilog
        self.folder = folder or experiment_folder(name)
        self._add_setting(TENSORBOARD)

    def _add_setting(self, setting):
        """Add a setting that does not affect the numbers of a run, unless the experiment has it."""
        if setting.name not in self._by_name:
            self.settings += (setting,)
            self._by_name[setting.name] = setting
        if setting.name not in self.free:
            self.free += (setting.name,)

    def derive(self, **changes):
        """Return a copy with other arguments of the constructor."""
        arguments = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return type(self)(**dict(arguments, **changes))

    @property
    def entry(self):
        """str: name of the script, without ``.py``; an experiment may have several."""
        return self.fixed.get("entry", "main")

    @property
    def defaults(self):
        """OrderedDict of str to object: the published settings."""
        return OrderedDict((setting.name, setting.default) for setting in self.settings)

    def setting(self, name):
        """Return the `Setting` of a name, or None if the user cannot change it."""
        return self._by_name.get(name)

    def assignable_settings(self):
        """Return the settings that ``--set name=value`` can change: list of Setting."""
        own = self.dialect.own_options or ()
        return [setting for setting in self.settings if setting.name not in own and setting.read is not flag]

    def flags(self):
        """Return the settings that are true or false, which have options without a value: list of Setting."""
        return [setting for setting in self.settings if setting.read is flag]

    def check_setting(self, name, value):
        """Return a value as it is stored; raise a `ReportedError` if it is not accepted."""
        return (self.setting(name) or self._fixed_by_name[name]).checked(value)

    def data_folder(self, settings):
        """Return the default data folder of some settings."""
        if settings.demo:
            return os.path.join(self.folder, "data", "demo")
        if callable(self.default_data):
            return self.default_data(self.folder, settings)
        return os.path.join(self.folder, self.default_data)

    def make_settings(self, demo=False, **given):
        """Return the settings of a new run.

        Parameters
        ----------
        demo : bool
            Whether the changes of ``--demo`` apply.
        **given
            Settings that differ from the defaults, as text or as values. Fixed ones may be given too. They take
            precedence over those of the recipe.

        Returns
        -------
        Settings

        Raises
        ------
        ReportedError
            For an unknown name or a value that is not accepted.
        """
        values = self.defaults
        values.update(self.fixed)
        values["demo"] = demo
        if "save" in values:
            values["save"] = path(values["save"])
        settings = Settings(self, values)
        for changes in (self.demo if demo else {}, self._recipe(given.get("recipe")), given):
            for name, value in changes.items():
                if name not in settings:
                    raise ReportedError(settings._unknown(name))
                setattr(settings, name, value)
        if self.dialect.data in settings and self.dialect.data not in given:
            setattr(settings, self.dialect.data, self.data_folder(settings))
        return settings

    def _recipe(self, name):
        """Return the settings of a recipe; none without a name."""
        setting = self.setting("recipe")
        return self.recipes[setting.checked(name)] if setting and name is not None else {}

    def read_settings(self, run):
        """Return the settings of a run in a folder.

        Parameters
        ----------
        run : Experiments.shared.run_folder.RunFolder

        Returns
        -------
        Settings

        Raises
        ------
        ReportedError
            If the run is of another experiment or script, or its ``config.json`` is damaged.
        """
        config = run.read_config()
        found = config.get("dataset", config.get("experiment"))
        if found != self.name:
            raise ReportedError("%s is a run of %s, not of %s" % (run.path, found, self.name))
        if config.get("entry", "main") != self.entry:
            raise ReportedError("%s is a run of %s.py, not of %s.py" % (run.path, config["entry"], self.entry))
        unknown = sorted(set(config) - set(RECORDED_KEYS) - set(self.dialect.top_level) - {self.dialect.identity})
        if unknown:
            raise ReportedError("%s is damaged: it has the unknown key %s" % (run.file("config.json"), unknown[0]))
        values = dict(config["settings"])
        values.update((name, config[name]) for name in self.dialect.top_level if name in config)
        names = list(self.defaults) + [name for name in self.fixed if name not in self.defaults] + ["demo"]
        values = dict(((setting.name, setting.default) for setting in self.settings if setting.added), **values)
        wrong = sorted(set(names).symmetric_difference(values))
        if wrong:
            raise ReportedError("%s is damaged: it %s setting %s" % (
                run.file("config.json"), "lacks the" if wrong[0] in names else "has the unknown", wrong[0]))
        try:
            settings = Settings(self, [(name, self.check_setting(name, values[name])) for name in names])
            if values.get(self.dialect.data, "") is None:
                raise ReportedError("%s must be a path, got null" % self.dialect.data)
            return settings
        except ReportedError as error:
            raise ReportedError("%s is damaged: %s" % (run.file("config.json"), error)) from error

    def task_class(self):
        """Return the class of the task."""
        if not isinstance(self.task, str):
            return self.task
        module, _, name = self.task.partition(":")
        with exit_at_once():
            return getattr(importlib.import_module(module), name)


def _recipe_setting(recipes):
    known = ", ".join("%s (%s)" % (name, ", ".join("%s=%s" % item for item in sorted(changes.items())))
                      for name, changes in sorted(recipes.items()))
    read = choice(sorted(recipes))
    return Setting("recipe", None, lambda value: value if value is None else read(value),
                   "change a group of settings: " + known, "NAME", added=True)


def experiment_folder(name):
    """Return the folder of an experiment under ``Experiments``, whatever the working directory is."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), name)


def load_experiment(name):
    """Return the `Experiment` that ``main.py`` in the folder of this name defines."""
    return importlib.import_module("Experiments.%s.main" % name).EXPERIMENT


def data_folder(name, *parts):
    """Return the folder ``data`` of an experiment, or the path of a file or folder in it.

    Parameters
    ----------
    name : str
        Name of the experiment.
    *parts : str
        Names of the path below ``data``.
    """
    return os.path.join(experiment_folder(name), "data", *parts)


def default_data_dir(name):
    """Return the folder of the prepared data of an experiment."""
    return data_folder(name, "prepared")
