"""The options of the language model's and the tagger's entry points: what each takes, and what it means."""

import argparse
import math
import re
from collections import OrderedDict

from sparse_seq_theano.architecture import SPARSE_MODES
from theano_rnn.errors import ArgumentParser, ReportedError

from .data.vocabulary import ORDERINGS

__all__ = ["LANGUAGE_MODEL_OPTIONS", "TAGGER_OPTIONS", "positive", "seed", "device", "add_device_option",
           "option_parser", "split_arguments", "refuse_other_settings"]


def _number(convert, condition, expected):
    def parse(text):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or math.isinf(value) or not condition(value):
            raise argparse.ArgumentTypeError("expected %s, not '%s'" % (expected, text))
        return value
    return parse


def _choice(choices):
    def parse(text):
        if text not in choices:
            raise argparse.ArgumentTypeError("expected one of %s, not '%s'" % (", ".join(choices), text))
        return text
    return parse


positive = _number(int, lambda value: value >= 1, "a whole number, at least 1")
whole = _number(int, lambda value: value >= 0, "a whole number, at least 0")
positive_or_unset = _number(int, lambda value: value >= 1 or value == -1, "a whole number, at least 1, or -1")
seed = _number(int, lambda value: 0 <= value < 2 ** 32, "a whole number from 0 to 2^32 - 1")
positive_number = _number(float, lambda value: value > 0, "a number above 0")
non_negative = _number(float, lambda value: value >= 0, "a number, at least 0")
fraction = _number(float, lambda value: 0 < value <= 1, "a number above 0, at most 1")
probability = _number(float, lambda value: 0 <= value < 1, "a probability, at least 0 and below 1")
probability_or_unset = _number(float, lambda value: 0 <= value < 1 or value == -1, "a probability below 1, or -1")


def device(text):
    """A device of the command lines: ``cpu``, ``auto``, ``cuda`` or, with a number, one GPU."""
    if re.match(r"(cpu|auto|cuda\d*)\Z", text) is None:
        raise argparse.ArgumentTypeError("expected cpu, cuda, cuda0 (or another number) or auto, not '%s'" % text)
    return text


def add_device_option(parser):
    """Add ``--device`` to a command line."""
    parser.add_argument("--device", type=device, default="cpu", metavar="DEVICE",
                        help="cpu (default), cuda (the first GPU), cuda0 and so on, or auto: a GPU where one can be "
                             "used. A device in THEANO_FLAGS wins")


#: Name of an option: what reads it, what it means.
LANGUAGE_MODEL_OPTIONS = OrderedDict([
    ("data", (str, "folder with train.txt, valid.txt and test.txt; ./getdata.sh makes data/penn and data/wikitext-2")),
    ("save", (str, "folder of the run")),
    ("seed", (seed, "of all randomness")),
    ("epochs", (positive, "train to this epoch at most")),
    ("emsize", (positive, "embedding units")),
    ("nhid", (positive, "hidden units of each LSTM but the last")),
    ("nhidlast", (positive_or_unset, "hidden units of the last LSTM; -1: as emsize")),
    ("nlayers", (positive, "LSTMs")),
    ("n_experts", (positive, "softmaxes in the mixture")),
    ("emblocks", (positive, "column blocks of the sparse embedding")),
    ("emdensity", (fraction, "stored part of the embedding's entries, at least 1/emblocks")),
    ("ordering", (_choice(ORDERINGS), "order of the vocabulary: up (least frequent first, as a sparse embedding wants "
                                      "it), down, none (as they come) or rand")),
    ("sparse_mode", (_choice(list(SPARSE_MODES)), "which sizes sparse_fract reduces: direct (none, dense LSTMs), "
                                                  "sparse_hidden, sparse_emb, sparse_all")),
    ("sparse_fract", (fraction, "an LSTM of these sizes has as many parameters as a dense one of sparse_fract times "
                                "the sizes")),
    ("lr", (positive_number, "learning rate for a window of bptt words")),
    ("clip", (positive_number, "bound of the gradient's norm")),
    ("batch_size", (positive, "streams trained on in parallel")),
    ("small_batch_size", (positive_or_unset, "take so many streams at a time and add their gradients up, which needs "
                                             "less memory; -1: all at once")),
    ("bptt", (positive, "words of a window, on average")),
    ("max_seq_len_delta", (whole, "a window has at most so many words more")),
    ("dropout", (probability, "dropout of the last LSTM's output")),
    ("dropouth", (probability, "dropout between LSTMs")),
    ("dropouti", (probability, "dropout of embedding dimensions")),
    ("dropoute", (probability, "dropout of words")),
    ("dropoutl", (probability_or_unset, "dropout before the softmaxes, where nhidlast is not n_experts * emsize; -1: "
                                        "as dropouth")),
    ("wdrop", (probability, "dropout of recurrent weights")),
    ("alpha", (non_negative, "weight of the activation regularisation")),
    ("beta", (non_negative, "weight of the temporal activation regularisation")),
    ("wdecay", (non_negative, "weight decay")),
    ("nonmono", (positive, "averaging begins when the validation loss is above the best of all but the last so many "
                           "epochs")),
    ("log_interval", (positive, "log every so many minibatches")),
])

TAGGER_OPTIONS = OrderedDict([
    ("data", (str, "folder with wsj_{train,valid,test}.conll and tags.txt, from prepare_data.py")),
    ("save", (str, "folder of the run")),
    ("seed", (seed, "of all randomness")),
    ("epochs", (positive, "train to this epoch")),
    ("emsize", (positive, "embedding units")),
    ("emb_blocks", (positive, "column blocks of the sparse embedding")),
    ("emb_density", (fraction, "stored part of the embedding's entries, at least 1/emb_blocks")),
    ("vocab_order", (_choice(ORDERINGS), "order of the vocabulary: up (least frequent first, as a sparse embedding "
                                         "wants it), down, none (as they come) or rand")),
    ("nhid", (positive, "hidden units of each direction, and of the layer before the tags")),
    ("layers", (positive, "bidirectional LSTMs")),
    ("batch_size", (positive, "sentences of a minibatch")),
    ("optimizer", (_choice(["adam", "sgd"]), "adam or sgd")),
    ("lr", (positive_number, "learning rate")),
    ("momentum", (probability, "of sgd")),
    ("l2", (non_negative, "weight of the L2 penalty's gradient")),
    ("dropouti", (probability, "dropout of embedding dimensions")),
    ("dropoute", (probability, "dropout of words")),
    ("wdrop", (probability, "dropout of the first LSTM's recurrent weights")),
    ("dropouth", (probability, "dropout between LSTMs and before the tags")),
])


def option_parser(description, options, defaults, demo):
    """A parser for some of the options; what the user does not give is missing from its result.

    Parameters
    ----------
    description : str
    options : OrderedDict
        `LANGUAGE_MODEL_OPTIONS` or `TAGGER_OPTIONS`.
    defaults : dict
        Those that this entry point has, with their values.
    demo : dict
        What ``--demo`` changes.
    """
    parser = ArgumentParser(description=description)
    for name, (read, meaning) in options.items():
        if name in defaults:
            spellings = ["--" + name] + (["--" + name.replace("_", "-")] if "_" in name else [])
            parser.add_argument(*spellings, type=read, default=argparse.SUPPRESS, metavar=name.upper(),
                                help="%s (default: %s)" % (meaning.replace("%", "%%"), defaults[name]))
    parser.add_argument("--continue_train", "--continue-train", action="store_true",
                        help="continue the run in --save from its last checkpoint, with its settings")
    parser.add_argument("--demo", action="store_true",
                        help="a small job on a corpus that the project generates itself; needs no data. Changes %s"
                        % ", ".join("%s=%s" % item for item in sorted(demo.items())))
    add_device_option(parser)
    return parser


def split_arguments(arguments):
    """What the user gave: the options, as a dict, the flags `continue_train` and `demo`, and the device."""
    given = dict(vars(arguments))
    return given, given.pop("continue_train"), given.pop("demo"), given.pop("device")


def _option_text(settings, names):
    """Settings as the user would give them."""
    return " ".join("--%s %s" % (name, settings[name]) for name in names)


def refuse_other_settings(path, settings, given, free):
    """Raise a ReportedError if an option that was given differs from a run's settings.

    Parameters
    ----------
    path : str
        Of the run.
    settings : dict
        Its settings.
    given : dict
        What the user gave now.
    free : sequence of str
        Options that may change.
    """
    different = [name for name in sorted(given) if name not in free and given[name] != settings.get(name)]
    if different:
        raise ReportedError("%s was trained with %s; give the same, or another --save"
                            % (path, _option_text(settings, different)))
