"""What the command lines of the benchmarks share. Apart from `measure`, which PyTorch's interpreter imports too."""

import argparse

from benchmarks.networks import NAMES
from theano_rnn.errors import reported_errors
from theano_rnn.runtime import configuration

__all__ = ["new_parser", "add_network_options", "run_configured"]


def new_parser(description):
    """The parser of a benchmark, with ``--json``, the file of `benchmarks.measure.Results`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="add the figures to this file, each as soon as it is measured")
    return parser


def add_network_options(parser):
    """Add which network is measured: NAME, CONFIG, ``--set``."""
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("config", metavar="CONFIG", help="of language_modeling: dense-1150, sparse-1725 or dense-1725")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting")


def run_configured(parser, run):
    """Read the command line, configure Theano, and call run(arguments); an error is one line.

    Theano computes on the CPU, unless the parser has a ``--device``.
    """
    arguments = parser.parse_args()
    with reported_errors():
        configuration.configure(getattr(arguments, "device", "cpu"))
        run(arguments)
