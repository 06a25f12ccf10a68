"""What follows training: the kept words, the compressed model, a sample of what it does; restoring a trained run."""

import json
import os
from collections import OrderedDict

from bayes_rnn.export import compress, save_model
from bayes_rnn.predictor import load_model
from bayes_rnn.pruning import kept_words
from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import write_atomically

from .data.classification import CLASS_NAMES, LOWER_CASED
from .run_folder import load_checkpoint
from .tasks.base import perplexity
from .tasks.classification import make_job

__all__ = ["finish", "restore", "print_evaluation", "compare_compressed", "test_best", "report_best"]


def restore(experiment, description, data, checkpoint):
    """A job with the parameters of a checkpoint.

    Parameters
    ----------
    experiment : Experiment
    description : dict
        The run's ``config.json``.
    data : TextData or LanguageData
    checkpoint : str

    Raises
    ------
    ReportedError
        If the checkpoint is damaged or of another network.
    """
    job = make_job(experiment.kind, experiment.parse_config(description["config"]), data,
                        description["settings"], description["seed"])
    parameters = job.network.parameters()
    shapes = OrderedDict((name, parameter.get_value(borrow=True).shape) for name, parameter in parameters.items())
    arrays, _ = load_checkpoint(checkpoint, shapes, "a %s %s" % (experiment.dataset, description["config"]),
                                training_state=True)
    for name, parameter in parameters.items():
        parameter.set_value(arrays[name])
    return job


def print_evaluation(job):
    """Print the metric of the pruned network and its compression report."""
    for part in ("val", "test"):
        print("%s (clip): %.4f" % (part.capitalize(), job.evaluate(part)))
    print(job.report().text())


def finish(job, run, experiment):
    """At the end of training: write ``kept_words.txt`` and ``compressed.npz``, and show what the small model does.

    Parameters
    ----------
    job : Experiments.shared.tasks.classification job
    run : RunFolder
    experiment : Experiment
    """
    words = kept_words(job.network, job.vocabulary)
    if words is not None:
        lines = ["%s\t%.3f" % (_printable(word), importance) for word, importance in words]
        write_atomically(run.file("kept_words.txt"), "".join(line + "\n" for line in lines))
        run.log("%d of %d vocabulary elements kept (%s): %s%s" % (
            len(words), len(job.vocabulary), run.file("kept_words.txt"),
            " ".join(_printable(word) for word, _ in words[:50]), " ..." if len(words) > 50 else ""))
    model = write_compressed(job, run, experiment)
    run.log("Compressed model: %s, %d bytes; the parameters it came from: %d bytes"
            % (run.file("compressed.npz"), os.path.getsize(run.file("compressed.npz")), _parameter_bytes(job)))
    for example in experiment.examples:
        try:
            description = model.describe(example)
        except ReportedError as error:              # a corpus of the user's that lacks a character of the example
            description = str(error)
        run.log("%s\n  -> %s" % (example, description))
    if experiment.kind != "text":
        run.log("A sample of what it writes:\n" + model.sample(400 if experiment.kind == "characters" else 80))


def write_compressed(job, run, experiment, name="compressed.npz"):
    """Compress the network, save it in the run's folder and load it again from there."""
    details = {"kind": experiment.kind, "dataset": experiment.dataset}
    if experiment.kind == "text":
        details.update(classes=list(CLASS_NAMES[experiment.dataset]), length=job.settings["length"],
                       lower_case=experiment.dataset in LOWER_CASED)
    save_model(run.file(name), *compress(job.network, job.vocabulary, details))
    return load_model(run.file(name))


def compare_compressed(job, run, experiment, checkpoint):
    """Print the report of a trained run, build its small network and compare the two.

    Parameters
    ----------
    job : Experiments.shared.tasks.classification job
        With the parameters of the run.
    run : RunFolder
    experiment : Experiment
    checkpoint : str
        Where the parameters came from: ``"last"`` makes ``compressed.npz``, ``"best"`` ``compressed-best.npz``.
    """
    print("%s\n%s" % (run.path, job.report().text()))
    name = "compressed.npz" if checkpoint == "last" else "compressed-%s.npz" % checkpoint
    model, path = write_compressed(job, run, experiment, name), run.file(name)
    function = job.compressed_evaluation(model)
    print("Largest difference of predictions, compressed against pruned (first test minibatch): %.2g"
          % job.largest_difference(model))
    print("%-12s %12s %16s %16s" % ("", "test " + job.metric, "bytes (*)", "ms per object"))
    minibatch = next(job.evaluation_minibatches("test"))
    rows = [("pruned", job.evaluate("test"), _parameter_bytes(job), job.time_evaluation(minibatch)),
            ("compressed", job.evaluate("test", function=function), os.path.getsize(path),
             job.time_evaluation(minibatch, function))]
    for name, metric, size, seconds in rows:
        print("%-12s %12.4f %16d %16.4f" % (name, metric, size, 1000 * seconds / len(minibatch[0])))
    print("(*) pruned: its means, in float32; compressed: the file\nSaved %s" % path)


def _parameter_bytes(job):
    """Bytes of the posterior means: what a network that is not compressed needs to predict."""
    return sum(parameter.get_value(borrow=True).nbytes for name, parameter in job.network.parameters().items()
               if not name.endswith("log_sigma"))


def _printable(word):
    return word.replace("\n", "<newline>")


def test_best(job, run):
    """At the end of a language model's training: test the best parameters and write ``test.json``.

    Parameters
    ----------
    job : Experiments.shared.tasks.awd_lstm.AWDJob
    run : RunFolder
    """
    epoch = None
    if run.has("best.npz"):
        arrays, progress = load_checkpoint(run.file("best.npz"), job.parameter_shapes(), run.path)
        job.load_best(arrays)
        epoch = progress["epoch"]
    run.log("Testing %s ..." % ("the parameters of now: no epoch is complete" if epoch is None
                                else "the best parameters, of epoch %d" % epoch))
    loss = job.evaluate("test")
    result = OrderedDict([("epoch", epoch), ("test_loss", loss), ("test_perplexity", perplexity(loss))])
    write_atomically(run.file("test.json"), json.dumps(result, indent=2) + "\n")
    run.log("=" * 89)
    run.log("| End of training | test loss %5.4f | test ppl %8.2f" % (loss, result["test_perplexity"]))
    run.log("=" * 89)


def report_best(job, run):
    """At the end of a tagger's training: log what the best epoch reached.

    Parameters
    ----------
    job : Experiments.shared.tasks.tagging.TaggerJob
    run : RunFolder
    """
    if not run.has("best.npz"):
        run.log("No epoch is complete, so there is no result")
        return
    _, progress = load_checkpoint(run.file("best.npz"), job.state_shapes(), run.path)
    best = progress["rows"][-1]
    run.log("Best epoch %d: validation accuracy %.4f, test accuracy %.4f" % tuple(
        dict(best)[name] for name in ("epoch", "val", "test")))
