"""Use of trained runs with predefined sparseness: the command lines of ``evaluate.py``, ``sample.py`` and ``tag.py``.

As in training, arguments and data are checked before Theano is imported.
"""

import json
import sys

from theano_rnn.errors import ArgumentParser, ReportedError, print_text, reported_errors
from theano_rnn.runtime import resolve_device
from theano_rnn.tokens import END_OF_LINE, word_tokens

from .cli import add_device_option
from .data.archives import decode, read_file
from .data.own_language import separated_words
from .data.prepared_folder import PARTS
from .data.tagged_sentences import encode_sentences, parse_own_sentences
from .readers import checked, path, positive_integer, positive_number, seed
from .run_folder import RunFolder
from .tasks.base import perplexity
from .train_and_evaluate import configure_theano, load_trained_data, restore_task

__all__ = ["evaluate_language_model", "sample", "evaluate_tagger", "tag"]

STANDARD_INPUT = "-"


def evaluate_language_model(experiments, argv=None):
    """Print loss and perplexity of a trained language model: the command line of ``evaluate.py``.

    Parameters
    ----------
    experiments : sequence of Experiments.shared.config.Experiment
        Those whose runs are accepted.
    argv : list of str, optional
    """
    parser = _parser("Evaluate a trained language model on a part of its data, or on a text.")
    _add_part_options(parser, "a text file, in which words and punctuation are separated by spaces and <eos> is added "
                              "after every line")
    _add_separate_option(parser)
    arguments = parser.parse_args(argv)
    with reported_errors():
        settings, data, checkpoint = _trained_run(experiments, arguments)
        text = None
        if arguments.file is not None:
            words = word_tokens(_separated(_read(arguments.file), arguments))
            text = data.vocabulary.encode(words, name=_name(arguments.file))
            if len(text) < 2:
                raise ReportedError("%s must have at least 2 words, ends of lines included, got %d"
                                    % (_name(arguments.file), len(text)))
        task = _restored(settings, data, checkpoint, arguments)
        loss, count = task.evaluate_tokens(text) if text is not None else task.evaluate_part(_part(arguments))
        print("%s: loss %.4f, perplexity %.2f (%d predicted words)"
              % (_evaluated(arguments), loss, perplexity(loss), count))


def sample(experiments, argv=None):
    """Print a text that a trained language model generates: the command line of ``sample.py``.

    Parameters
    ----------
    experiments : sequence of Experiments.shared.config.Experiment
        Those whose runs are accepted.
    argv : list of str, optional
    """
    parser = _parser("Generate text with a trained language model.")
    parser.add_argument("--length", metavar="N", default=100,
                        help="number of words to generate, ends of lines included (default: %(default)s)")
    parser.add_argument("--prompt", metavar="TEXT", default="",
                        help="beginning of the text, words and punctuation separated by spaces (default: the model "
                             "starts after an end of line)")
    parser.add_argument("--temperature", metavar="T", default=1.,
                        help="divisor of the log probabilities: below 1, probable words are drawn more often, above 1 "
                             "less often (default: 1)")
    parser.add_argument("--seed", metavar="N", default=0, help="random seed (default: %(default)s)")
    _add_separate_option(parser)
    arguments = parser.parse_args(argv)
    with reported_errors():
        length, temperature, number = [
            checked("--" + name, read, getattr(arguments, name)) for name, read in (
                ("length", positive_integer), ("temperature", positive_number), ("seed", seed))]
        settings, data, checkpoint = _trained_run(experiments, arguments)
        # Without the last <eos>: the text continues.
        words = word_tokens(_separated(arguments.prompt, arguments))[:-1]
        prompt = data.vocabulary.encode(words, name="--prompt")
        words = [data.vocabulary[token] for token in prompt]
        task = _restored(settings, data, checkpoint, arguments)
        start = list(prompt) or [data.vocabulary.index(END_OF_LINE)]
        generated = task.sample(length, number, start, temperature)
        print_text(_lines(words + [data.vocabulary[token] for token in generated]))


def evaluate_tagger(experiment, argv=None):
    """Print accuracy and loss of a trained tagger: the command line of ``evaluate.py``.

    Parameters
    ----------
    experiment : Experiments.shared.config.Experiment
    argv : list of str, optional
    """
    parser = _parser("Evaluate a trained tagger on a part of its data, or on tagged sentences.")
    _add_part_options(parser, "a file of lines 'token TAB tag' (or with a space), with blank lines between sentences")
    arguments = parser.parse_args(argv)
    with reported_errors():
        settings, data, checkpoint = _trained_run([experiment], arguments)
        sentences = getattr(data, _part(arguments))
        if arguments.file is not None:
            name = _name(arguments.file)
            sentences = encode_sentences(parse_own_sentences(_read(arguments.file), name), data.vocabulary, data.tags,
                                         name)
        task = _restored(settings, data, checkpoint, arguments)
        accuracy, loss = task.evaluate_sentences(sentences)
        print("%s: accuracy %.4f, loss %.4f (%d sentences, %d words)" % (
            _evaluated(arguments), accuracy, loss, len(sentences.offsets) - 1, len(sentences.tokens)))


def tag(experiment, argv=None):
    """Print the tags of sentences: the command line of ``tag.py``.

    Parameters
    ----------
    experiment : Experiments.shared.config.Experiment
    argv : list of str, optional
    """
    parser = _parser("Tag sentences with a trained tagger.")
    parser.add_argument("file", metavar="FILE", nargs="?", default=STANDARD_INPUT,
                        help="text, one sentence per line, words and punctuation separated by spaces (default: "
                             "standard input)")
    _add_separate_option(parser)
    parser.add_argument("--format", choices=("columns", "json"), default="columns",
                        help="columns: lines 'word TAB tag', a blank line after each sentence (default); json: one "
                             "object per sentence, with the lists words and tags")
    arguments = parser.parse_args(argv)
    with reported_errors():
        settings, data, checkpoint = _trained_run([experiment], arguments)
        lines = _separated(_read(arguments.file), arguments).split("\n")
        sentences = [words for words in map(str.split, lines) if words]
        if not sentences:
            raise ReportedError("%s has no sentence; expected one per line" % _name(arguments.file))
        task = _restored(settings, data, checkpoint, arguments)
        for words, tags in zip(sentences, task.tag(sentences)):
            if arguments.format == "json":
                is_utf8 = (sys.stdout.encoding or "utf-8").lower() in ("utf-8", "utf8")
                print(json.dumps({"words": words, "tags": tags}, ensure_ascii=not is_utf8))
            else:
                print_text("".join("%s\t%s\n" % pair for pair in zip(words, tags)))


def _parser(description):
    parser = ArgumentParser(description=description)
    parser.add_argument("run", metavar="RUN", help="folder of the run (the --save of main.py)")
    parser.add_argument("--checkpoint", default="best",
                        help="best (default), last, another checkpoint of the run, or a file")
    parser.add_argument("--data", metavar="DIR", help="folder of the data (default: that of the run)")
    add_device_option(parser)
    return parser


def _add_part_options(parser, file_help):
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--part", choices=PARTS, help="part of the data (default: test)")
    choice.add_argument("--file", metavar="FILE", help=file_help + "; - for standard input")


def _add_separate_option(parser):
    parser.add_argument("--separate", action="store_true",
                        help="separate punctuation from words first, as the preparation of own text does")


def _separated(text, arguments):
    return separated_words(text) if arguments.separate else text


def _trained_run(experiments, arguments):
    """Return the settings, the data and the checkpoint of a run."""
    run = RunFolder(arguments.run)
    entry = run.read_config().get("entry", "main")
    experiment = next((experiment for experiment in experiments if experiment.entry == entry), experiments[0])
    settings = experiment.read_settings(run)
    if arguments.data is not None:
        settings = settings.replace(data=path(arguments.data))
    checkpoint = run.find_checkpoint(arguments.checkpoint)
    return settings, load_trained_data(settings, run), checkpoint


def _restored(settings, data, checkpoint, arguments):
    configure_theano(resolve_device(arguments.device))
    return restore_task(settings, data, checkpoint)


def _read(file):
    content = sys.stdin.buffer.read() if file == STANDARD_INPUT else read_file(file)
    return decode(content, _name(file))


def _name(file):
    return "standard input" if file == STANDARD_INPUT else file


def _part(arguments):
    return arguments.part or "test"


def _evaluated(arguments):
    return _part(arguments) if arguments.file is None else _name(arguments.file)


def _lines(words):
    """Return words as text, one sentence per line."""
    lines = [[]]
    for word in words:
        if word == END_OF_LINE:
            lines.append([])
        else:
            lines[-1].append(word)
    return "\n".join(" ".join(line) for line in lines)
