"""What an experiment is: a data set, a kind of job, hyperparameters; and the command line's settings made from it."""

import ast
import math
import os
from collections import namedtuple

from bayes_rnn.config import parse_config
from theano_rnn.errors import ReportedError

__all__ = ["Experiment", "experiment_folder", "default_data_dir", "make_settings"]


class Experiment(namedtuple("Experiment", ["dataset", "kind", "hyperparameters", "demo", "examples"])):
    """One data set with its published settings.

    Attributes
    ----------
    dataset : str
        Also the name of the folder under ``Experiments``.
    kind : {"text", "characters", "words"}
    hyperparameters : dict
        Every setting with its published value; ``--set name=value`` changes one.
    demo : dict
        What ``--demo`` changes.
    examples : sequence of str
        Texts that the compressed model is shown at the end of training.
    """

    __slots__ = ()

    @property
    def task(self):
        """As `bayes_rnn.config` calls it."""
        return "classification" if self.kind == "text" else "language model"

    def parse_config(self, text):
        """Check a CONFIG string for this experiment."""
        return parse_config(text, self.task)


def experiment_folder(dataset):
    """The folder of a data set's experiment, wherever the command is run."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), dataset)


def default_data_dir(dataset, demo=False):
    """Where prepared (or, for the demonstration, generated) data are unless the user says otherwise."""
    return os.path.join(experiment_folder(dataset), "data", "demo" if demo else "prepared")


def make_settings(experiment, demo, assignments):
    """The hyperparameters of a run.

    Parameters
    ----------
    experiment : Experiment
    demo : bool
    assignments : list of str
        ``name=value``.

    Returns
    -------
    dict

    Raises
    ------
    ReportedError
        For an unknown name, or a value of another type than the published one.
    """
    settings = dict(experiment.hyperparameters)
    if demo:
        settings.update(experiment.demo)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ReportedError("--set %s: expected name=value, for example --set batch_size=64" % assignment)
        if name not in settings:
            raise ReportedError("--set %s: unknown name '%s'; known: %s"
                                % (assignment, name, ", ".join(sorted(settings))))
        settings[name] = _parse_value(assignment, text, settings[name])
    return settings


# What is not a number, or may be switched off; everything else is a positive number of the type of its default.
OPTIONAL = ("clip",)
FRACTIONS = ("validation_fraction",)


def _parse_value(assignment, text, default):
    name = assignment.partition("=")[0]
    if name in OPTIONAL and text.lower() == "none":
        return None
    whole = isinstance(default, int)
    try:
        value = ast.literal_eval(text)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or math.isinf(value):
            raise ValueError
    except (ValueError, SyntaxError) as error:
        raise ReportedError("--set %s: expected a %s%s (now %s)" % (
            assignment, "whole number" if whole else "number", ", or none" if name in OPTIONAL else "",
            default)) from error
    if name in FRACTIONS and not 0 < value < 1:
        raise ReportedError("--set %s: expected a share between 0 and 1 (now %s)" % (assignment, default))
    if value <= 0:
        raise ReportedError("--set %s: expected a positive number (now %s)" % (assignment, default))
    return value if whole else float(value)
