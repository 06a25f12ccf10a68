"""Monitoring of a training run: progress on standard error, and event files for TensorBoard.

Nothing here affects the numbers of a run. This module does not import Theano.
"""

import os
import sys
import time

from theano_rnn.errors import ReportedError

import numpy as np
from tqdm import tqdm

__all__ = ["ProgressDisplay", "write_line", "displayed", "EventLog", "require_tensorboard", "EVENT_FOLDER"]

#: The folder of the event files, inside the folder of a run.
EVENT_FOLDER = "tensorboard"


class ProgressDisplay(object):
    """Progress of a loop over minibatches on standard error.

    On a terminal, it is a bar. Otherwise it is a line every 30 seconds, so that the log file of a cluster job or of
    ``nohup`` shows that the loop is running. A loop that takes less than 30 seconds prints nothing there.

    Parameters
    ----------
    description : str
        The beginning of the line.
    total : int, optional
        Number of minibatches, if it is known.
    done : int
        Number of minibatches that are done already.
    stream : file, optional
        Standard error if omitted.
    clock : callable
        Returns the time in seconds.

    Examples
    --------
    >>> import sys
    >>> seconds = iter(range(0, 100, 20))
    >>> with ProgressDisplay("Epoch 1", 4, stream=sys.stdout, clock=lambda: next(seconds)) as display:
    ...     for losses in ([2.5], [2.5, 1.5]):
    ...         display.update(losses)
    Epoch 1: minibatch 2 of 4, loss 2.000, 00:40 left
    """

    #: Seconds between lines.
    INTERVAL = 30.

    def __init__(self, description, total=None, done=0, stream=None, clock=time.time):
        self._stream = sys.stderr if stream is None else stream
        self._description, self._total, self._clock = description, total, clock
        self._first = self._done = done
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm(total=total, initial=done, desc=description, unit="minibatch", leave=False,
                             file=self._stream)
        self._started = self._printed = clock()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.close()

    def update(self, losses=()):
        """Note that another minibatch is done.

        Parameters
        ----------
        losses : sequence of float
            The losses of all minibatches so far. The bar shows the last one, the line shows their mean.
        """
        self._done += 1
        if self._bar is not None:
            self._bar.update()
            if losses:
                self._bar.set_postfix(loss="%.3f" % losses[-1], refresh=False)
            return
        now = self._clock()
        if now - self._printed >= self.INTERVAL:
            self._printed = now
            self._stream.write(self._line(losses, now) + "\n")
            self._stream.flush()

    def _line(self, losses, now):
        line = "%s: minibatch %d" % (self._description, self._done)
        if self._total is not None:
            line += " of %d" % self._total
        if losses:
            line += ", loss %.3f" % np.mean(losses)
        if self._total is not None:
            seconds = (now - self._started) / (self._done - self._first)
            line += ", %s left" % tqdm.format_interval(seconds * (self._total - self._done))
        return line


def write_line(text):
    """Write a line to standard output; the bar of a `ProgressDisplay` on the same terminal is drawn again below it."""
    with tqdm.external_write_mode(file=sys.stdout):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def displayed(minibatches, description):
    """Yield minibatches with a `ProgressDisplay`."""
    with ProgressDisplay(description) as display:
        for minibatch in minibatches:
            yield minibatch
            display.update()


def require_tensorboard():
    """Raise a `ReportedError` if tensorboardX is not installed."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise ReportedError("--tensorboard needs the package tensorboardX (%s); install it, or train without "
                            "--tensorboard" % error) from error


class EventLog(object):
    """Event files for TensorBoard in the folder ``tensorboard`` of a run. The step of an event is its epoch.

    A resumed run adds a file. The file begins with the instruction to discard the events of the epochs that are
    trained again, so no step occurs twice.

    Events are written at once. (`tensorboardX.SummaryWriter` writes them in a thread. After an error of the file
    system, that thread ends, and training would wait for it forever.) If they cannot be written, the log prints one
    warning and training continues.

    Parameters
    ----------
    run : Experiments.shared.run_folder.RunFolder
    first_epoch : int
        The epoch that is trained first.
    enabled : bool
        If false, nothing is written and tensorboardX is not needed.
    """

    def __init__(self, run, first_epoch, enabled=True):
        self._folder, self._writer = run.file(EVENT_FOLDER), None
        if enabled:
            self._attempt(self._open, first_epoch)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._writer is not None:
            self._attempt(self._writer.close)
        self._writer = None

    def write(self, epoch, values):
        """Write numbers of an epoch.

        Parameters
        ----------
        epoch : int
        values : dict of str to float
            ``epoch`` itself and the constant sizes ``size_*`` of ``metrics.csv`` are left out.
        """
        if self._writer is not None:
            self._attempt(self._write, epoch, values)

    def _open(self, first_epoch):
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        os.makedirs(self._folder, exist_ok=True)
        # The time in seconds is part of the name. The fraction makes it unique after an immediate resumption.
        suffix = ".%06d.%d" % (1e6 * (time.time() % 1), os.getpid())
        self._writer = EventsWriter(os.path.join(self._folder, "events"), suffix)
        self._writer.write_event(Event(wall_time=time.time(), step=first_epoch,
                                       session_log=SessionLog(status=SessionLog.START)))
        self._writer.flush()

    def _write(self, epoch, values):
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in values.items():
            if name != "epoch" and not name.startswith("size_"):
                self._writer.write_event(Event(wall_time=time.time(), step=epoch, summary=scalar(name, value)))
        self._writer.flush()

    def _attempt(self, function, *arguments):
        try:
            function(*arguments)
        except OSError as error:
            self._writer = None
            sys.stderr.write("warning: cannot write events for TensorBoard to %s (%s); training continues without "
                             "them\n" % (self._folder, error.strerror or error))
