"""What the command lines of the benchmarks share. Apart from `measure`, which PyTorch's interpreter imports too."""

import argparse

from Experiments.shared import theano_setup
from Experiments.shared.command_line import reported_errors

__all__ = ["new_parser", "run_configured"]


def new_parser(description):
    """The parser of a benchmark, with ``--json``, the file of `benchmarks.measure.Results`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="add the figures to this file, each as soon as it is measured")
    return parser


def run_configured(parser, run):
    """Read the command line, configure Theano, and call run(arguments); an error is one line."""
    arguments = parser.parse_args()
    with reported_errors():
        theano_setup.configure()
        run(arguments)
