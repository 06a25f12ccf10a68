"""Options that the command lines of the benchmarks share."""

import argparse
import os

from theano_rnn import runtime
from theano_rnn.errors import reported_errors

from benchmarks.timing import ROOT
from benchmarks.training_runs import NAMES, TOKENS
from Experiments.shared.cli import add_device_option

__all__ = ["new_parser", "add_network_options", "add_tokens_option", "add_device_option", "add_peers_option",
           "run_configured"]


def new_parser(description):
    """Return the parser of a benchmark, with ``--json``, the file of `benchmarks.results_file.Results`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="add the results to this file, each as soon as it is measured")
    return parser


def add_network_options(parser):
    """Add the choice of a network: NAME, CONFIG, ``--set``."""
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("config", metavar="CONFIG", help="for language_modeling: dense-1150, sparse-1725 or dense-1725")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")


def add_tokens_option(parser):
    """Add ``--tokens``, the distribution of the generated words."""
    parser.add_argument("--tokens", choices=TOKENS, default="uniform",
                        help="uniform: as many distinct words as possible, as in the peer programs; zipf: word "
                             "frequencies of natural text")


def add_peers_option(parser):
    """Add ``--peers-python``."""
    parser.add_argument("--peers-python", metavar="FILE", default=os.path.join(ROOT, "venv-peers", "bin", "python"),
                        help="a Python interpreter with the packages of benchmarks/peers/requirements.txt "
                             "(benchmarks/run.sh creates venv-peers)")


def run_configured(parser, run, prepare=None):
    """Parse the command line, configure Theano and call run(arguments). Expected errors print one line.

    The device is the CPU unless the parser has ``--device``. `prepare`, if given, is called with the arguments before
    Theano is configured.
    """
    arguments = parser.parse_args()
    with reported_errors():
        if prepare:
            prepare(arguments)
        runtime.configure(getattr(arguments, "device", "cpu"))
        run(arguments)
