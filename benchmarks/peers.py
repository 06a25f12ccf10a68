"""Our training steps against the peers', in turn in one run: PyTorch programs, and the bare arithmetic in C++.

    python benchmarks/peers.py
    python benchmarks/peers.py IMDB Word_PTB --rounds 6 --json peers.json

Each group is measured in rounds: ours some steps, then each peer as many, then ours again. Ours wait meanwhile in
processes of their own, with the step compiled. A PyTorch program starts anew each round and prints the median of its
steps but the first; its figure is the median of the rounds' medians, ours the median of all steps. The C++ program
repeats its arithmetic four times; the first counts as warm-up, and the sum of its parts is what it says a step takes.

Words are drawn uniformly, as by the peers; a second line of each comparison has words as frequent as in text. The
PyTorch programs get the two things that ours have and that theirs gain from, without a change of a line: numbers below
1e-38 count as zero, and freed memory is kept. --as-is leaves both away; a step of the classifier then takes 17 s.
"""

import os
import re
import statistics
import subprocess
import tempfile
from collections import OrderedDict, namedtuple

from benchmarks.command_line import new_parser
from benchmarks.measure import ROOT, Results, StepInOwnProcess, in_turn
from benchmarks.networks import training_step
from benchmarks.report import table
from theano_rnn.errors import ReportedError, reported_errors
from theano_rnn.runtime import configuration

__all__ = ["GROUPS", "Comparison", "TorchProgram", "LimitProgram", "torch_median", "limit_sums", "why_missing"]

#: ours, theirs: what is measured, in words: a program of the peers' folder and its options, or the arguments of
#: `training_step`. target: at most this ratio of ours to theirs; None where the words differ from the peer's.
Comparison = namedtuple("Comparison", ["ours", "theirs", "target"])

GROUPS = OrderedDict([
    ("IMDB", [Comparison("IMDB LLLCCL uniform", "torch_sparse_vd.py LLLCCL", 0.25),
              Comparison("IMDB LLLCCL zipf", "torch_sparse_vd.py LLLCCL", None),
              Comparison("IMDB LLLCCL uniform", "limit_imdb_step.cpp", 1.5),
              Comparison("IMDB LLLCCL zipf", "limit_imdb_step.cpp", None)]),
    ("Word_PTB", [Comparison("Word_PTB LCCL uniform", "torch_word_lm.py", 1 / 3.),
                  Comparison("Word_PTB LCCL zipf", "torch_word_lm.py", None)]),
    ("language_modeling", [
        Comparison("language_modeling dense-1150 uniform", "torch_awd_lstm.py 1150", 0.75),
        Comparison("language_modeling dense-1150 zipf", "torch_awd_lstm.py 1150", None),
        Comparison("language_modeling sparse-1725 uniform", "language_modeling dense-1725 uniform", 0.55)]),
])

COMPILE_LIMIT = ["g++", "-O3", "-march=native", "-ffast-math", "-fopenmp-simd"]
# Run a PyTorch program without denormal numbers, and let it keep freed memory (see theano_rnn.runtime.configuration).
FLUSHED = ("import runpy, sys, torch; torch.set_flush_denormal(True); sys.argv = sys.argv[1:]; "
           "runpy.run_path(sys.argv[0], run_name='__main__')")
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2 ** 32)}
LIMIT_REPETITIONS = 3           # of four, without the first
MEDIAN = re.compile(r"median step s ([0-9.]+)")
LIMIT = re.compile(r"lstm fwd ([0-9.]+) bwd ([0-9.]+) input gemm ([0-9.]+)\s+kl\+adam 6M fused ([0-9.]+)")


def main():
    """The command line."""
    parser = new_parser(__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="of %s; default: all" % ", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each in a round")
    parser.add_argument("--peers", metavar="DIR", default=os.path.join(ROOT, os.pardir, "shared", "peers"))
    parser.add_argument("--as-is", action="store_true", help="run the PyTorch programs just as they are")
    add_torch_option(parser)
    arguments = parser.parse_args()
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        parser.error("unknown group %s; known: %s" % (", ".join(sorted(unknown)), ", ".join(GROUPS)))
    with reported_errors():
        configuration.configure()        # for the environment, which all processes inherit
        results = Results(arguments.json)
        for group in arguments.groups or GROUPS:
            measure(group, arguments, results)
        print(table("peers", results.parts.get("peers", {})))


def add_torch_option(parser):
    """Add ``--torch-python``."""
    parser.add_argument("--torch-python", metavar="FILE", default=os.path.join(ROOT, "venv-torch", "bin", "python"),
                        help="an interpreter with PyTorch (benchmarks/run.sh makes venv-torch)")


def measure(group, arguments, results):
    """Measure a group and record its comparisons; those whose peer is missing are left out, with a line that says so.

    Parameters
    ----------
    group : str
    arguments : argparse.Namespace
    results : Results
    """
    comparisons = []
    for comparison in GROUPS[group]:
        missing = why_missing(comparison.theirs, arguments.peers, arguments.torch_python)
        if missing:
            print("left out: %s against %s: %s" % (comparison.ours, comparison.theirs, missing))
        else:
            comparisons.append(comparison)
    contestants = OrderedDict()
    for name in [name for comparison in comparisons for name in comparison[:2]]:
        if name not in contestants:
            contestants[name] = contestant(name, arguments)
    figures = in_turn(contestants, arguments.rounds, arguments.steps)
    peaks = {name: contestants[name].close() for name in contestants}
    for ours, theirs, target in comparisons:
        our_median, their_median = statistics.median(figures[ours]), statistics.median(figures[theirs])
        ratio = our_median / their_median
        results.record("peers", "%s against %s" % (ours, theirs), OrderedDict([
            ("ours", our_median), ("theirs", their_median), ("ratio", ratio), ("target", target),
            ("met", None if target is None else ratio <= target), ("peak_memory_mb", peaks[ours] / 1e6),
            ("our_seconds", figures[ours]), ("their_seconds", figures[theirs])]))


def why_missing(name, peers, torch_python):
    """Why something cannot be measured here: str, or None if it can."""
    program = name.split()[0]
    if not program.endswith((".py", ".cpp")):
        return None
    needed = [os.path.join(peers, program)] + [torch_python] * program.endswith(".py")
    return next(("there is no %s" % os.path.normpath(path) for path in needed if not os.path.exists(path)), None)


def contestant(name, arguments):
    """What measures the thing of that name, for `in_turn`; `arguments` are those of the command line."""
    words = name.split()
    program = os.path.join(arguments.peers, words[0])
    if program.endswith(".py"):
        if arguments.as_is:
            return TorchProgram([arguments.torch_python, program] + words[1:])
        return TorchProgram([arguments.torch_python, "-c", FLUSHED, program] + words[1:], KEEP_MEMORY)
    if program.endswith(".cpp"):
        return LimitProgram(program)
    return StepInOwnProcess(training_step, *words)


class TorchProgram(object):
    """One of the PyTorch programs.

    Parameters
    ----------
    command : list of str
        Without the number of steps.
    variables : dict of str to str
        For its environment.
    """

    def __init__(self, command, variables=()):
        self.command, self.environment = command, dict(os.environ, **dict(variables))

    def __call__(self, count):
        """The median seconds of `count` steps: list of one float."""
        return [torch_median(output_of(self.command + [str(count + 1)], self.environment))]     # leaves the first out

    def close(self):
        """It ended with its last step; its memory is not measured."""


class LimitProgram(object):
    """The arithmetic of the IMDB step in C++, compiled into a temporary folder.

    Parameters
    ----------
    source : str
    """

    def __init__(self, source):
        self._folder = tempfile.TemporaryDirectory()
        self.program = os.path.join(self._folder.name, "limit")
        output_of(COMPILE_LIMIT + [source, "-o", self.program, "-lopenblas"])

    def __call__(self, count):
        """Seconds of at least `count` repetitions."""
        runs = -(-count // LIMIT_REPETITIONS)
        return [seconds for _ in range(runs) for seconds in limit_sums(output_of([self.program]))[1:]]

    def close(self):
        """Remove the program."""
        self._folder.cleanup()


def output_of(command, environment=None):
    """What a program prints; a `ReportedError` with its last line if it fails."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                               env=environment)
    output, errors = process.communicate()
    if process.returncode:
        raise ReportedError("%s failed: %s" % (" ".join(command), (errors.strip() or "no message").split("\n")[-1]))
    return output


def torch_median(output):
    """The median seconds of a step, from what a PyTorch program printed."""
    return float(_required(MEDIAN.search(output), output).group(1))


def limit_sums(output):
    """The seconds of each repetition of ``limit_imdb_step.cpp``: recurrence + 3 * input product + KL and Adam.

    The input product is counted three times, as a step makes three of that size: forward and two backward.
    """
    _required(LIMIT.search(output), output)
    return [forward + backward + 3 * product + update
            for forward, backward, product, update in (map(float, found) for found in LIMIT.findall(output))]


def _required(match, output):
    if not match:
        raise ReportedError("the peer printed no times but %r; expected the output of ../shared/peers" % output[:200])
    return match


if __name__ == "__main__":
    main()
