"""Tasks: a network with its data, its training step and its evaluation, as the training loop calls them.

`base` declares the interface; importing this package and `base` does not import Theano.
"""

__all__ = ["build_task"]


def build_task(experiment, settings, data):
    """Build network, minibatches and optimiser from settings. No other function does this.

    Theano must be configured before; see `theano_rnn.runtime`.

    Parameters
    ----------
    experiment : Experiments.shared.config.Experiment
    settings : Experiments.shared.config.Settings
        From `Experiment.make_settings` or `Experiment.read_settings`.
    data : object
        From `Experiment.load_data`, or of the same type.

    Returns
    -------
    Experiments.shared.tasks.base.Task

    Raises
    ------
    ReportedError
        If the data are too small for the settings.
    """
    return experiment.task_class()(settings, data)
