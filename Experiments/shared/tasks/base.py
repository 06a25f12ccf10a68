"""The interface between the training loop and a task. This module does not import Theano."""

import abc
import math

__all__ = ["Task", "perplexity"]


def perplexity(nats):
    """Return exp of a mean loss, without overflow."""
    return math.exp(min(nats, 700.))


class Task(abc.ABC):
    """Interface of a task: everything that the training loop and the command lines call.

    A task is a pure function of its settings: minibatch k of epoch e can be generated again from the seed alone.
    A run is therefore resumed from the arrays of `state`, from `notes`, and from the two numbers e and k.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    data : object
        From `Experiment.load_data`.

    Attributes
    ----------
    metric : str
        Name of the quantity by which epochs are compared; `higher_is_better` tells the direction.
    finishes_early : bool
        Whether Ctrl-C ends training early and `finish` is called. Otherwise the program stops.
    """

    metric = "loss"
    higher_is_better = False
    finishes_early = False

    def __init__(self, settings, data):
        self.settings = settings

    # -- start and end of a run ----------------------------------------------------------------------------------------

    def begin(self, run, initial):      # noqa: B027
        """Prepare a new run; not called when a run is resumed.

        Parameters
        ----------
        run : RunFolder
        initial : object
            From `Experiment.read_initial`: pretrained vectors, another run; None if the experiment has neither.

        Returns
        -------
        float or None
            The best value so far, if the run continues another one.
        """

    @abc.abstractmethod
    def describe(self):
        """Return the first lines of the log: list of str."""

    @abc.abstractmethod
    def finish(self, run):
        """Write and log the results at the end of training.

        Parameters
        ----------
        run : RunFolder
        """

    def restore(self, checkpoint):
        """Load the parameters of a checkpoint, for evaluation.

        Parameters
        ----------
        checkpoint : str
            Path of the file.
        """
        raise NotImplementedError("this task cannot be evaluated without training")

    # -- state: everything that a checkpoint holds --------------------------------------------------------------------

    @abc.abstractmethod
    def state(self):
        """Return all numbers that training changes: OrderedDict of name to array."""

    @abc.abstractmethod
    def set_state(self, arrays):
        """Restore what `state` returned; the caller has checked names and shapes."""

    @abc.abstractmethod
    def state_shapes(self):
        """Return the shapes of `state`: OrderedDict of name to tuple."""

    def network_name(self):
        """Return what a checkpoint belongs to: dict of str to str; ``{"config": "LLLCCL"}``, for example."""
        return {}

    def parameter_shapes(self):
        """Return the shapes of the arrays that training needs at least; the others of `state` can start again."""
        return self.state_shapes()

    def set_parameters(self, arrays):
        """Restore only the arrays of `parameter_shapes`."""
        self.set_state(arrays)

    def notes(self):
        """Return other contents of a checkpoint: dict for JSON. `set_notes` gets it before `set_state` is called."""
        return {}

    def set_notes(self, notes):      # noqa: B027
        """Restore what `notes` returned."""

    def best_state(self):
        """Return the contents of ``best.npz``: `state`, unless the task evaluates other parameters than it trains."""
        return self.state()

    # -- training ------------------------------------------------------------------------------------------------------

    def compile(self):      # noqa: B027
        """Compile the training step, so that its time does not count as training time."""

    @abc.abstractmethod
    def minibatch_count(self, epoch):
        """Return the number of minibatches of an epoch."""

    @abc.abstractmethod
    def minibatches(self, epoch, first=0):
        """Iterate over the minibatches of an epoch.

        Parameters
        ----------
        epoch : int
            From 1.
        first : int
            Index of the first minibatch: above 0 when a run is resumed within an epoch.
        """

    @abc.abstractmethod
    def step(self, minibatch):
        """Train on one minibatch.

        Parameters
        ----------
        minibatch : object
            From `minibatches`.

        Returns
        -------
        loss, gradient_norm : float
            The norm before clipping. If one of them is not finite, the state must be the one before the step.
        diagnosis : callable
            Returns the name of the first quantity that is not finite.
        """

    def after_step(self, run, progress):      # noqa: B027
        """Do the work after a minibatch, for example write to the log.

        Parameters
        ----------
        run : RunFolder
        progress : Progress
        """

    # -- evaluation ----------------------------------------------------------------------------------------------------

    def evaluation_minibatches(self, part):
        """Iterate over the minibatches of a part in order.

        Parameters
        ----------
        part : {"train", "valid", "test"}
        """
        raise NotImplementedError("this task does not evaluate minibatches")

    @abc.abstractmethod
    def evaluate_epoch(self, run, progress):
        """Evaluate after an epoch, and log the results.

        Parameters
        ----------
        run : RunFolder
        progress : Progress

        Returns
        -------
        columns : OrderedDict
            For ``metrics.csv``.
        value : float
            The value by which epochs are compared.
        """

    def finished(self, rows):
        """Return whether training ends before the last epoch, after the evaluations in `rows`."""
        return False

    def better(self, value, best):
        """Return whether a value improves on the best so far, which is None at first."""
        return best is None or (value > best if self.higher_is_better else value < best)

    def row_columns(self):
        """Return the columns that the rows of a checkpoint must have: set of str."""
        return {"epoch"}.union(*[columns for _, _, columns, _ in self.figures()])

    def figures(self):
        """Return the plots against epochs: list of (file name, label, columns of the metrics, scale)."""
        return [("metric", self.metric, ("val", "test"), "linear")]
