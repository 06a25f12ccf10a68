"""The command that trains with given settings, as ``config.json`` and the report of a run show it."""

import os
import shlex

from .config import CONFIG_DIALECT

__all__ = ["training_command"]


def training_command(settings, run_folder, spelled_out=False):
    """Return the command that trains with some settings: only options that differ from the defaults.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    run_folder : str
        It is part of the command if it is inside the folder of the experiment, or of a fine-tuned run.
    spelled_out : bool
        Whether the command contains what ``--demo`` and the recipe change, setting by setting, instead of the name of
        the recipe. Such a command stays the same when a later version changes them.

    Returns
    -------
    str
        A line for a shell in the project's root folder.

    Examples
    --------
    >>> from Experiments.shared.bayesian_experiments import bayesian_experiment
    >>> experiment = bayesian_experiment("IMDB", "text", dict(epochs=800, clip=None), dict(clip=1.), ())
    >>> training_command(experiment.make_settings(demo=True, config="LLLCCL", seed=3, epochs=20), "/tmp/run")
    'cd Experiments/IMDB && python main.py LLLCCL --demo --seed 3 --epochs 20'
    >>> training_command(experiment.make_settings(demo=True, config="LLLCCL"), "/tmp/run", spelled_out=True)
    'cd Experiments/IMDB && python main.py LLLCCL --demo --vectors none --set clip=1.0'
    """
    experiment, dialect = settings.experiment, settings.experiment.dialect
    by_config = dialect is CONFIG_DIALECT
    words = ["python", experiment.entry + ".py"] + ([settings.config] if by_config else [])
    words += ["--demo"] if settings.demo else []
    recipe = {"recipe": settings.recipe} if "recipe" in settings and settings.recipe and not spelled_out else {}
    words += ["--recipe", recipe["recipe"]] if recipe else []
    named = experiment.make_settings(demo=settings.demo, **recipe)
    published = experiment.make_settings(**named.select([dialect.data])) if spelled_out else named
    assignable = [setting.name for setting in experiment.assignable_settings()] if by_config else []
    for setting in experiment.settings:
        name, value = setting.name, getattr(settings, setting.name)
        if name in ("config", "save", "recipe") or value == getattr(named, name) == getattr(published, name):
            continue
        if setting in experiment.flags():
            words.append("--%s%s" % ("" if value else "no-", name))
        elif name in assignable and name != "epochs":
            words += ["--set", "%s=%s" % (name, _text(value))]
        else:
            words += ["--" + name.replace("_", "-"), _text(value)]
    folder = os.path.dirname(os.path.abspath(run_folder)) if experiment.entry == "finetune" else run_folder
    relative = os.path.relpath(folder, experiment.folder)
    if not relative.startswith(os.pardir):
        words += [dialect.out, relative]
    return "cd Experiments/%s && %s" % (os.path.basename(experiment.folder), " ".join(map(shlex.quote, words)))


def _text(value):
    """Return the text from which a setting is read."""
    if isinstance(value, list):                     # a schedule of the learning rate
        return ",".join(":".join(map(_number, pair)) for pair in value)
    return "none" if value is None else str(value)


def _number(value):
    """Return the shortest text of a number that is read as the same number."""
    short = "%g" % value
    return short if float(short) == value else repr(value)
