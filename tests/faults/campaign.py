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

from faults import verdicts  # noqa: E402
from faults.cases import CLASSES, INTERRUPTIONS, OPTIONAL  # noqa: E402
from faults.fuzz import fuzz  # noqa: E402
from faults.killed_programs import kill_programs, soak  # noqa: E402
from faults.valid_inputs import PROGRAMS, World  # noqa: E402

#: Verdicts in the order of the columns.
COLUMNS = (verdicts.REFUSED, verdicts.SURVIVED, verdicts.ACCEPTED, verdicts.FAILED)


def try_class(name, world, seed, count, keep=None, report=None):
    """Try some cases of a class; return the number of each verdict, and the failures: list of (title, reason)."""
    generator = random.Random("%s %s" % (seed, name))
    counts, failures = collections.Counter(), []
    cases = dict(CLASSES, **OPTIONAL)[name](world, generator)
    for number in range(count):
        case = next(cases)
        verdict = verdicts.try_case(case, keep)
        counts[verdict.kind] += 1
        if verdict.kind == verdicts.FAILED:
            failures.append((case.title, verdict.reason))
        if report:
            report(number, case, verdict)
    return counts, failures


def _share(count, names, index):
    """Return the number of cases of a class: four times as many for files and settings as for interruptions."""
    weights = [1 if name in INTERRUPTIONS else 4 for name in names]
    return sum(weights[:index + 1]) * count // sum(weights) - sum(weights[:index]) * count // sum(weights)


def table(rows, first="class"):
    """Return a Markdown table of the counts of each class."""
    lines = ["| %s | tried | %s |" % (first, " | ".join(COLUMNS)), "|---" * (2 + len(COLUMNS)) + "|"]
    total = collections.Counter()
    for name, counts in rows.items():
        total.update(counts)
        lines.append(_row(name, counts))
    return "\n".join(lines + [_row("**all**", total)])


def _row(name, counts):
    return "| %s | %d | %s |" % (name, sum(counts.values()), " | ".join(str(counts[kind]) for kind in COLUMNS))


def table_of_kills(rows):
    """Return a Markdown table of `processes.Killed` by name."""
    lines = ["| program | kills | finished runs | bit-identical | stopped |", "|---|---|---|---|---|"]
    return "\n".join(lines + ["| %s | %d | %d | %d | %d |" % (name, killed.kills, killed.runs, killed.identical,
                                                              len(killed.stopped)) for name, killed in rows])


def _print_failures(name, failures):
    for title, reason in failures:
        print("FAILED %s: %s: %s" % (name, title[:200], reason), flush=True)


def _try_classes(world, options):
    """Try the chosen classes; return the table and the number of failures."""
    def report(number, case, verdict):
        if options.verbose:
            print("%s: %s (%.2f s) %s" % (case.title[:150], verdict.kind, verdict.seconds, verdict.reason or ""),
                  flush=True)

    names = options.classes or list(CLASSES)
    rows, failed = collections.OrderedDict(), 0
    for index, name in enumerate(names):
        rows[name], failures = try_class(name, world, options.seed, _share(options.count, names, index), options.keep,
                                         report)
        failed += len(failures)
        _print_failures(name, failures)
        sys.stderr.write("%s: %s\n" % (name, dict(rows[name])))
    return table(rows), failed


def _fuzz(world, options):
    rows, failed = collections.OrderedDict(), 0
    for name, (counts, failures) in fuzz(world, options.seed, 60. * options.minutes, options.keep).items():
        rows[name], failed = counts, failed + len(failures)
        _print_failures(name, failures)
    return table(rows, "reader"), failed


def _kill(world, options):
    if "soak" in options.classes:
        rows = soak(world, options.seed, options.minutes)
    else:
        rows = kill_programs(world, options.seed, options.programs or list(PROGRAMS), options.count)
    done = []
    for name, killed in rows:
        sys.stderr.write("%s: %s\n" % (name, killed))
        _print_failures(name, [("stopped", reason) for reason in killed.stopped])
        done.append((name, killed))
    return table_of_kills(done), sum(len(killed.stopped) + killed.runs - killed.identical for _, killed in done)


#: Classes that are tried alone and are not among `CLASSES`, because they take minutes.
ALONE = {"fuzz": _fuzz, "kills": _kill, "soak": _kill}


def main(argv=None):
    """Run the command line; return the exit status: 1 if a case failed."""
    parser = argparse.ArgumentParser(description="Try damaged files, invalid settings and interruptions, and print a "
                                                 "table of what happened.")
    parser.add_argument("--seed", default="0", help="seed of all cases (default 0)")
    parser.add_argument("--count", type=int, default=1000,
                        help="number of cases of all classes together; kills of each program (default 1000)")
    parser.add_argument("--minutes", type=float, default=10, help="of each reader (fuzz), or of the soak test")
    classes = ", ".join(CLASSES), ", ".join(OPTIONAL), ", ".join(sorted(ALONE))
    parser.add_argument("--class", dest="classes", action="append", metavar="NAME",
                        choices=sorted(CLASSES) + sorted(OPTIONAL) + sorted(ALONE),
                        help="only this class (may be repeated): %s; only if named: %s; alone: %s" % classes)
    parser.add_argument("--program", dest="programs", action="append", choices=sorted(PROGRAMS), metavar="NAME",
                        help="only this program, for kills: " + ", ".join(sorted(PROGRAMS)))
    parser.add_argument("--keep", metavar="DIR", help="keep the files of failed cases in this folder")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    options = parser.parse_args(argv)
    alone = set(options.classes or ()) & set(ALONE)
    if alone and len(options.classes) > 1:
        parser.error("--class %s is tried alone" % sorted(alone)[0])
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        text, failed = (ALONE[alone.pop()] if alone else _try_classes)(World(folder), options)
    print("Seed %s, %.0f minutes:\n\n%s" % (options.seed, (time.time() - began) / 60, text))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
