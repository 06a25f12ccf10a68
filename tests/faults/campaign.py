"""Try thousands of faults: ``python tests/faults/campaign.py --seed 0 --count 1000``; see ``--help`` and README.md."""

import argparse
import collections
import os
import random
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.dirname(os.path.dirname(HERE))]

from faults import judge  # noqa: E402
from faults.classes import CLASSES  # noqa: E402
from faults.world import World  # noqa: E402

#: Verdicts in the order of the columns.
COLUMNS = (judge.REFUSED, judge.SURVIVED, judge.ACCEPTED, judge.FAILED)


def try_class(name, world, seed, count, keep=None, report=None):
    """Try some cases of a class; return the number of each verdict, and the failures: list of (title, reason)."""
    generator = random.Random("%s %s" % (seed, name))
    counts, failures = collections.Counter(), []
    cases = CLASSES[name](world, generator)
    for number in range(count):
        case = next(cases)
        verdict = judge.try_case(case, keep)
        counts[verdict.kind] += 1
        if verdict.kind == judge.FAILED:
            failures.append((case.title, verdict.reason))
        if report:
            report(number, case, verdict)
    return counts, failures


def table(rows):
    """Return a Markdown table of the counts of each class."""
    lines = ["| class | tried | %s |" % " | ".join(COLUMNS), "|---" * (2 + len(COLUMNS)) + "|"]
    total = collections.Counter()
    for name, counts in rows.items():
        total.update(counts)
        lines.append(_row(name, counts))
    return "\n".join(lines + [_row("**all**", total)])


def _row(name, counts):
    return "| %s | %d | %s |" % (name, sum(counts.values()), " | ".join(str(counts[kind]) for kind in COLUMNS))


def main(argv=None):
    """Run the command line; return the exit status: 1 if a case failed."""
    parser = argparse.ArgumentParser(description="Try damaged files, invalid settings and interruptions, and print a "
                                                 "table of what happened.")
    parser.add_argument("--seed", default="0", help="seed of all cases (default 0)")
    parser.add_argument("--count", type=int, default=1000, help="number of cases of all classes together")
    parser.add_argument("--class", dest="classes", action="append", choices=sorted(CLASSES), metavar="NAME",
                        help="only this class (may be repeated): " + ", ".join(sorted(CLASSES)))
    parser.add_argument("--keep", metavar="DIR", help="keep the files of failed cases in this folder")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    options = parser.parse_args(argv)
    names = options.classes or list(CLASSES)
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)

    def report(number, case, verdict):
        if options.verbose:
            print("%s: %s (%.2f s) %s" % (case.title[:150], verdict.kind, verdict.seconds, verdict.reason or ""),
                  flush=True)

    rows, failed = collections.OrderedDict(), 0
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        world = World(folder)
        for index, name in enumerate(names):
            count = (options.count + index) // len(names)
            rows[name], failures = try_class(name, world, options.seed, count, options.keep, report)
            failed += len(failures)
            for title, reason in failures:
                print("FAILED %s: %s: %s" % (name, title[:200], reason), flush=True)
            sys.stderr.write("%s: %s, %.0f s\n" % (name, dict(rows[name]), time.time() - began))
    print("Seed %s, %.0f minutes:\n\n%s" % (options.seed, (time.time() - began) / 60, table(rows)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
