"""Seconds per training step of this project and of equivalent programs in PyTorch, JAX and C++ (benchmarks/peers).

    python benchmarks/compare_with_peers.py
    python benchmarks/compare_with_peers.py IMDB Word_PTB --rounds 6 --json peers.json
    python benchmarks/compare_with_peers.py IMDB --device cuda

The candidates of a group are measured in turn: some steps of ours, as many steps of each peer, ours again. Our networks
are compiled once and stay in idle processes meanwhile. A peer program is started in each round and compiles before its
measured steps. All medians are over the steps of all rounds.

The generated words are uniform, as in the peer programs; further rows have our steps on words with the frequencies of
natural text. PyTorch runs with the two settings that this project uses, too: denormal numbers are flushed to zero, and
freed memory is kept. --as-is switches both off. On a GPU, the C++ program is left out.
"""

import json
import os
import statistics
import tempfile
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError

from benchmarks.command_line import add_device_option, add_peers_option, new_parser, run_configured
from benchmarks.report import table
from benchmarks.results_file import Results
from benchmarks.timing import ROOT, StepInOwnProcess, interleaved, output_of, why_unusable
from benchmarks.training_runs import training_step

__all__ = ["GROUPS", "PEERS", "Comparison", "PeerProgram", "why_missing"]

#: Folder of the peer programs.
PEERS = os.path.join(ROOT, "benchmarks", "peers")

#: ours, theirs: a program of `PEERS` with its arguments, or the arguments of `training_step`. target: the largest
#: accepted ratio of the medians; None if there is none.
Comparison = namedtuple("Comparison", ["ours", "theirs", "target"])

GROUPS = OrderedDict([
    ("IMDB", [Comparison("IMDB LLLCCL uniform", "torch_sparse_vd.py LLLCCL", 0.25),
              Comparison("IMDB LLLCCL zipf", "torch_sparse_vd.py LLLCCL", None),
              Comparison("IMDB LLLCCL uniform", "jax_sparse_vd.py LLLCCL", None),
              Comparison("IMDB LLLCCL uniform", "limit_imdb_step.cpp", 1.5),
              Comparison("IMDB LLLCCL zipf", "limit_imdb_step.cpp", None)]),
    ("Word_PTB", [Comparison("Word_PTB LCCL uniform", "torch_word_lm.py", 1 / 3.),
                  Comparison("Word_PTB LCCL zipf", "torch_word_lm.py", None),
                  Comparison("Word_PTB LCCL uniform", "torch_word_lm.py --nn-lstm", None),
                  Comparison("Word_PTB LCCL uniform", "jax_word_lm.py", None)]),
    ("language_modeling", [
        Comparison("language_modeling dense-1150 uniform", "torch_awd_lstm.py 1150", 0.75),
        Comparison("language_modeling dense-1150 zipf", "torch_awd_lstm.py 1150", None),
        Comparison("language_modeling dense-1150 uniform", "jax_awd_lstm.py 1150", None),
        Comparison("language_modeling sparse-1725 uniform", "torch_awd_lstm.py 1725", None),
        Comparison("language_modeling sparse-1725 uniform", "language_modeling dense-1725 uniform", 0.55)]),
])

COMPILE_CPP = ["g++", "-O3", "-march=native", "-ffast-math", "-fopenmp-simd"]
#: Let the C library keep freed memory; see theano_rnn.runtime.configuration. JAX takes GPU memory as needed.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2 ** 32)}
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
#: Unmeasured steps of a peer: on a GPU, cuBLAS and cuDNN choose their algorithms in the first ones.
WARM_UP_STEPS = {"cpu": 1, "cuda": 6}


def main():
    """Run the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="of %s; default: all" % ", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each candidate in a round")
    parser.add_argument("--as-is", action="store_true", help="run PyTorch with its default settings")
    add_device_option(parser)
    add_peers_option(parser)
    run_configured(parser, run)


def run(arguments):
    """Measure, print and record."""
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        raise ReportedError("unknown group %s; known: %s" % (", ".join(sorted(unknown)), ", ".join(GROUPS)))
    results = Results(arguments.json)
    for group in arguments.groups or GROUPS:
        measure(group, arguments, results)
    print(table("peers", results.parts.get("peers", {})))


def measure(group, arguments, results):
    """Measure a group and record its comparisons. A peer that cannot run is left out, with a line that says so.

    Parameters
    ----------
    group : str
    arguments : argparse.Namespace
    results : Results
    """
    comparisons, candidates = [], OrderedDict()
    for comparison in GROUPS[group]:
        missing = why_missing(comparison.theirs, arguments.peers_python, arguments.device)
        if missing:
            print("left out: %s against %s: %s" % (comparison.ours, comparison.theirs, missing))
        else:
            comparisons.append(comparison)
    with tempfile.TemporaryDirectory() as folder:
        for name in [name for comparison in comparisons for name in comparison[:2]]:
            if name not in candidates:
                candidates[name] = make_candidate(name, arguments, folder)
        figures = interleaved(candidates, arguments.rounds, arguments.steps)
    peaks = {name: candidate.close() for name, candidate in candidates.items()}
    for ours, theirs, target in comparisons:
        our_median, their_median = statistics.median(figures[ours]), statistics.median(figures[theirs])
        ratio = our_median / their_median
        results.record("peers", "%s against %s" % (ours, theirs), OrderedDict([
            ("device", arguments.device), ("ours", our_median), ("theirs", their_median), ("ratio", ratio),
            ("target", target), ("met", None if target is None else ratio <= target),
            ("peak_memory_mb", peaks[ours] / 1e6), ("our_seconds", figures[ours]), ("their_seconds", figures[theirs]),
            ("their_report", getattr(candidates[theirs], "report", None))]))


def is_peer(name):
    """Return whether a name of a `Comparison` is a program of `PEERS`."""
    return name.split()[0].endswith((".py", ".cpp"))


def why_missing(name, python, device):
    """Return the reason why a candidate cannot be measured here, or None.

    Parameters
    ----------
    name : str
        Of a `Comparison`.
    python : str
        The interpreter of the peers.
    device : str
        As in ``--device``.
    """
    program = name.split()[0]
    if program.endswith(".cpp"):
        return "it runs on the CPU only" if device != "cpu" else None
    if not program.endswith(".py"):
        return None
    return why_unusable(python, program.partition("_")[0])


def make_candidate(name, arguments, folder):
    """Return the candidate of a name for `interleaved`; a C++ program is compiled into the folder."""
    words = name.split()
    if not is_peer(name):
        return StepInOwnProcess(training_step, *words, (), arguments.device)
    source = os.path.join(PEERS, words[0])
    if source.endswith(".cpp"):
        program = os.path.join(folder, "program")
        output_of(COMPILE_CPP + [source, "-o", program, "-lopenblas"])
        return PeerProgram([program])
    device = "cpu" if arguments.device == "cpu" else "cuda"
    options = ["--device", device, "--warm-up", str(WARM_UP_STEPS[device])] + ["--as-is"] * arguments.as_is
    return PeerProgram([arguments.peers_python, source] + options + words[1:], {} if arguments.as_is else KEEP_MEMORY)


class PeerProgram(object):
    """A program that measures its own steps and prints a report, see ``benchmarks/peers/protocol.py``.

    Parameters
    ----------
    command : list of str
        Without the number of steps.
    variables : dict of str to str
        For its environment.

    Attributes
    ----------
    report : dict or None
        The last report.
    """

    def __init__(self, command, variables=()):
        self.command, self.report = command, None
        self.environment = dict(os.environ, **dict(ENVIRONMENT, **dict(variables)))

    def __call__(self, count):
        """Return the seconds of `count` steps."""
        self.report = read_report(output_of(self.command + [str(count)], self.environment))
        return self.report["step_seconds"]

    def close(self):
        """Return NaN: the memory of the host is not measured."""
        return float("nan")


def read_report(output):
    """Return the report on the last line of a peer's output: dict."""
    last = output.strip().split("\n")[-1]
    try:
        report = json.loads(last)
        report["step_seconds"][0]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ReportedError("the last line of a peer's output must be a report in JSON, got %r" % last[:200]) from error
    return report


if __name__ == "__main__":
    main()
