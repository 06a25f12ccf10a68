"""Use a compressed model on the command line. Needs NumPy only.

::

    python -m bayes_rnn.predict imdb-demo "a wonderful film"          # classify a text
    python -m bayes_rnn.predict imdb-demo --input reviews.txt --json  # one text per line, one JSON object per line
    python -m bayes_rnn.predict word-ptb-demo "the company said"      # measure a text with a language model
    python -m bayes_rnn.predict word-ptb-demo --sample 20             # generate text
    python -m bayes_rnn.predict imdb-demo                             # describe the model
    python -m bayes_rnn.predict --list                                # the models of the project
"""

import io
import json
import sys

from theano_rnn.errors import ArgumentParser, ReportedError, print_text, reported_errors
from theano_rnn.numpy_predictor import BATCH, SMALLEST_CHANGE

import numpy as np

from .predictor import ClassPredictor, load_model, model_names

__all__ = ["main"]

#: The largest number of tokens that ``--sample`` generates.
LARGEST_SAMPLE = 10 ** 9


def main(argv=None):
    """Run the command line ``python -m bayes_rnn.predict MODEL TEXT``."""
    arguments = _parse(argv)
    with reported_errors():
        if arguments.list:
            print("\n".join(model_names()))
            return
        model = load_model(arguments.model, arguments.backend)
        _check(model, arguments)
        if arguments.sample is not None:
            _sample(model, arguments)
        elif arguments.input is None and not arguments.texts:
            print_text(_description(model))
        elif isinstance(model, ClassPredictor):
            _classify(model, arguments)
        else:
            _measure(model, arguments)


def _parse(argv):
    parser = ArgumentParser(
        prog="python -m bayes_rnn.predict",
        description="Use a compressed model: classify texts, or measure and generate text with a language model. "
                    "Without TEXT, --input and --sample, describe the model. Needs NumPy only.")
    parser.add_argument("model", metavar="MODEL", nargs="?",
                        help="compressed.npz of a run, or the name of a model of the project (see --list)")
    parser.add_argument("texts", metavar="TEXT", nargs="*",
                        help="text to classify; for a language model, text to measure, or to continue with --sample")
    parser.add_argument("--list", action="store_true", help="print the names of the models of the project")
    parser.add_argument("--input", metavar="FILE",
                        help="read UTF-8 text from a file, or from standard input if FILE is -: one text per line for "
                             "a classifier, one text for a language model")
    parser.add_argument("--json", action="store_true", help="print one JSON object per text, each in one line")
    parser.add_argument("--explain", action="store_true",
                        help="with --input and a classifier: also print the words that count. These are the words "
                             "without which the probability of the predicted class changes by at least %g, with this "
                             "change. For TEXT, they are always printed" % SMALLEST_CHANGE)
    parser.add_argument("--context", metavar="TEXT",
                        help="with a language model: read TEXT before the text to measure. By default, the model "
                             "starts from an empty state, and the perplexity of a short text is higher than that of a "
                             "test set")
    parser.add_argument("--sample", metavar="N", type=int,
                        help="generate N tokens with a language model, after TEXT if it is given")
    parser.add_argument("--seed", type=int, help="seed of --sample (default: 0)")
    parser.add_argument("--temperature", type=float,
                        help="of --sample: below 1, probable tokens are drawn more often; above 1, less often "
                             "(default: 1)")
    parser.add_argument("--backend", choices=["auto", "numpy", "c"], default="auto",
                        help="numpy; c: the library beside MODEL, which python -m bayes_rnn.export MODEL --to c "
                             "--build creates; auto: c if you have built it, else numpy (default: auto)")
    # CPython 3.6 has no parse_intermixed_args; there, all options must precede or follow all texts.
    arguments = getattr(parser, "parse_intermixed_args", parser.parse_args)(argv)
    if arguments.model is None and not arguments.list:
        parser.error("MODEL is required")
    if arguments.input is not None and arguments.texts:
        parser.error("give either TEXT or --input")
    if arguments.sample is None and (arguments.seed is not None or arguments.temperature is not None):
        parser.error("--seed and --temperature need --sample")
    if arguments.sample is not None and (arguments.input is not None or arguments.context or len(arguments.texts) > 1):
        parser.error("--sample continues one TEXT, without --input and --context")
    return arguments


def _check(model, arguments):
    """Raise a `ReportedError` if the options do not fit the kind of the model, or are out of range."""
    is_classifier = isinstance(model, ClassPredictor)
    if is_classifier and (arguments.sample is not None or arguments.context):
        raise ReportedError("%s needs a language model, but %s is a classifier" % (
            "--context" if arguments.sample is None else "--sample", arguments.model))
    if arguments.explain and not is_classifier:
        raise ReportedError("--explain needs a classifier, but %s is a language model" % arguments.model)
    if arguments.sample is None:
        return
    if not 1 <= arguments.sample <= LARGEST_SAMPLE:
        raise ReportedError("--sample must be in [1, %d], got %.40s" % (LARGEST_SAMPLE, arguments.sample))
    if arguments.temperature is not None and not 0 < arguments.temperature < np.inf:
        raise ReportedError("--temperature must be a positive number, got %g" % arguments.temperature)
    if arguments.seed is not None and not 0 <= arguments.seed < 2 ** 32:
        raise ReportedError("--seed must be in [0, 2^32 - 1], got %.40s" % arguments.seed)


def _description(model):
    """Return what is known about a model as text."""
    lines = ["%s %s, %s: %d words, %d hidden units, %d computed gates" % (
        model.metadata.get("dataset", ""), model.metadata["config"], model.metadata["kind"], len(model.row_of_word),
        model.num_units, int(model.arrays["gate_is_computed"].sum()))]
    return "\n".join(lines + ["%s: %s" % pair for pair in sorted(model.metadata.get("card", {}).items())])


def _sample(model, arguments):
    seed, temperature = arguments.seed or 0, 1. if arguments.temperature is None else arguments.temperature
    prompt = arguments.texts[0] if arguments.texts else None
    text = model.sample(arguments.sample, seed, prompt, temperature)
    if arguments.json:
        text = json.dumps({"prompt": prompt, "seed": seed, "temperature": temperature, "sample": text})
    print_text(text)


def _classify(model, arguments):
    """Classify all texts and print a line for each."""
    explain = arguments.explain or arguments.input is None
    texts = arguments.texts if arguments.input is None else _lines(arguments.input)
    for batch in _batches(texts):
        for text, probabilities in zip(batch, model.predict(batch)):
            words = model.words_that_count(text) if explain else None
            print_text(_as_json(model, text, probabilities, words) if arguments.json
                       else model.describe_prediction(probabilities, words))


def _as_json(model, text, probabilities, words):
    classes = model.metadata["classes"]
    record = {"text": text, "class": classes[int(np.argmax(probabilities))],
              "probabilities": {name: _rounded(value) for name, value in zip(classes, probabilities)}}
    if words is not None:
        record["words"] = {word: _rounded(change) for word, change in words}
    return json.dumps(record)


def _rounded(value):
    return round(float(value), 6)


def _measure(model, arguments):
    """Measure all texts with a language model and print a line for each."""
    texts = arguments.texts
    if arguments.input is not None:
        texts = ["\n".join(_lines(arguments.input))]
    for text in texts:
        if arguments.json:
            nats, count = model.cross_entropy(text, arguments.context)
            print(json.dumps({"text": text, "context": arguments.context, "tokens": count,
                              "nats_per_token": _rounded(nats)}))
        else:
            print_text(model.describe(text, arguments.context))


def _lines(path):
    """Yield the lines of a UTF-8 file, or of standard input if the path is ``-``, without their ends."""
    try:
        stream = sys.stdin.buffer if path == "-" else io.open(path, "rb")
    except OSError as error:
        raise ReportedError("--input cannot be read: %s: %s" % (path, error.strerror)) from None
    with stream:
        try:
            for number, line in enumerate(stream, start=1):
                try:
                    # The first line may begin with a byte order mark.
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise ReportedError("--input must be UTF-8, but line %d of %s is not (%s)"
                                        % (number, path, error.reason)) from None
        except OSError as error:                    # a folder, for example
            raise ReportedError("--input cannot be read: %s: %s" % (path, error.strerror)) from None


def _batches(texts):
    """Yield lists of at most `BATCH` texts."""
    batch = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


if __name__ == "__main__":
    main()
