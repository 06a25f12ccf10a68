"""The command line of ``Experiments/reproduce.py``."""

import argparse
import fnmatch
import os
import shlex
import sys
from collections import OrderedDict

from theano_rnn.errors import ArgumentParser, ReportedError, reported_errors

from ..cli import add_device_option
from ..config import data_folder, load_experiment
from ..data.demo import prepare_demo
from ..interruption import lasting_output
from ..readers import checked, positive_integer
from ..run_folder import PROJECT, make_folder
from . import cluster, publish, report
from .durations import duration_text, remaining_seconds
from .runs import CONFIG_EXPERIMENTS, FINISHED, command, state
from .tables import CORPORA, TABLES, make_table

__all__ = ["main", "select_rows", "demonstration", "planned_runs"]

RESULTS = os.path.join(PROJECT, "Experiments", "Results")
#: Sizes that a demonstration of the language models divides by ten.
SIZES = ("--emsize", "--nhid")


def main(argv=None):
    """Train the missing runs of a published table and write the table.

    Exit with status 1 if a run failed, 2 after a reported error, 130 after Ctrl-C or SIGTERM.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; those of the process if omitted.
    """
    options = _parser().parse_args(argv)
    with reported_errors():
        if options.list:
            _print_tables(options)
            return
        if options.table is None:
            raise ReportedError("TABLE is missing, expected one of %s" % ", ".join(TABLES))
        table = make_table(options.table, options.corpus)
        table = select_rows(table, options.rows)
        if options.demo:
            table = demonstration(table)
        seeds = _seeds(table, options.seeds)
        runs, root = planned_runs(table, seeds, options), root_of_runs(options)
        if options.dry_run:
            _print_plan(runs, options)
            return
        if options.publish:
            _publish(make_table(options.table, options.corpus), runs, root, seeds[0], options)
            return
        for folder, name, option in ((root, "the root of the runs", "--runs"),
                                     (options.out or root, "the folder of the table", "--out")):
            make_folder(folder, name, option)           # before training
        if options.demo and not options.table_only:
            _prepare_demo_data(table, options)
        try:
            failures = [] if options.table_only else _train(runs, root, options)
        except KeyboardInterrupt:
            _write(table, root, seeds, options)
            raise
        _write(table, root, seeds, options)
    if failures:
        sys.exit(1)


def _write(table, root, seeds, options):
    """Write the table, and print it."""
    collected = report.collect(table, root, seeds, options.epochs, published=not options.demo)
    paths = report.write_table(table, collected, options.out or root, file_name(table, options.corpus))
    for section, rows, other in collected:
        print("\n%s\n" % report.section_markdown(section, rows, other))
    print("Written: %s" % ", ".join(paths))


def _publish(table, runs, root, first_seed, options):
    """Copy the runs into the project, and write the whole table and the READMEs from all runs in the project."""
    if options.demo or options.epochs is not None:
        raise ReportedError("--publish takes neither --demo nor --epochs")
    copied = publish.copy_runs(runs, root, publish.REFERENCE, first_seed)
    collected = report.collect(table, publish.REFERENCE, table.seeds)
    name = file_name(table, options.corpus)
    paths = report.write_table(table, collected, publish.TABLE_FOLDER, name)
    print("Copied: %s" % (", ".join(copied) or "no run"))
    print("Written: %s" % ", ".join(paths + publish.update_readmes(name, collected)))


def file_name(table, corpus):
    """Return the name of the files of a table: its name, and the corpus of the tagger if it is not the default."""
    uses_corpus = any(section.experiment == "sequence_labeling" for section in table.sections)
    return "%s-%s" % (table.name, corpus) if uses_corpus and corpus != CORPORA[0] else table.name


def _parser():
    parser = ArgumentParser(
        prog="reproduce.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Reproduce a published table: train the missing runs, resume interrupted ones, write the table.",
        epilog="A run that is finished is not repeated. Stop with Ctrl-C; the same command continues.")
    parser.add_argument("table", metavar="TABLE", nargs="?", help=", ".join(TABLES))
    parser.add_argument("--list", action="store_true", help="list the tables, or the rows of TABLE, and stop")
    parser.add_argument("--dry-run", action="store_true",
                        help="print what would run and how long it would take, and stop")
    parser.add_argument("--table-only", action="store_true", help="write the table from the runs that exist")
    parser.add_argument("--publish", action="store_true",
                        help="for maintainers: copy the results of the runs to Experiments/Results/reference, write "
                             "the table from there to Experiments/Results/tables and into the READMEs, and stop")
    parser.add_argument("--rows", metavar="ROW", nargs="+",
                        help="only these rows; names or patterns such as 'IMDB/*' (default: all)")
    parser.add_argument("--seeds", metavar="SEED", nargs="+", type=int, help="seeds (default: as many as in the paper)")
    parser.add_argument("--epochs", metavar="N", type=int, help="train to this epoch at most, and compare there")
    parser.add_argument("--corpus", metavar="CORPUS", default=CORPORA[0],
                        help="corpus of the tagger: %s (default: %s)" % (", ".join(CORPORA), CORPORA[0]))
    parser.add_argument("--runs", metavar="DIR",
                        help="root of the run folders EXPERIMENT/ROW/seedK (default: Experiments/Results/reproduce, or "
                             "reproduce-demo)")
    parser.add_argument("--out", metavar="DIR", help="folder of the table (default: the root of the runs)")
    parser.add_argument("--data-dir", metavar="DIR",
                        help="folder of the prepared data: DIR/IMDB, DIR/language_modeling, "
                             "DIR/sequence_labeling/CORPUS and so on (default: the data folders of the experiments)")
    parser.add_argument("--arguments", metavar="TEXT", default="",
                        help="further arguments of the training programs: --arguments='--vectors google-news'")
    parser.add_argument("--demo", action="store_true", help="train small networks on generated data")
    add_device_option(parser)
    cluster.add_options(parser)
    return parser


# -- selection ---------------------------------------------------------------------------------------------------------

def _print_tables(options):
    for name in [options.table] if options.table else TABLES:
        table = make_table(name, options.corpus)
        rows = [row for section in table.sections for row in section.rows]
        print("%-15s %s (%s); %d rows, seeds %s" % (name, table.title, table.source, len(rows),
                                                    " ".join(map(str, table.seeds))))
        for row in rows if options.table else []:
            print("  %-28s %s: %s" % (row.name, row.label, row.command()))


def select_rows(table, patterns):
    """Return a table with the rows whose names match a pattern; choices among them stay if all their rows do.

    Parameters
    ----------
    table : Table
    patterns : list of str or None
        None: all rows.

    Returns
    -------
    Table

    Raises
    ------
    ReportedError
        If a pattern matches no row.
    """
    if patterns is None:
        return table
    names = [row.name for section in table.sections for row in section.rows]
    chosen = set()
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            raise ReportedError("--rows: %s has no row %r; its rows: %s" % (table.name, pattern, ", ".join(names)))
        chosen.update(found)
    sections = [section._replace(rows=[row for row in section.rows if row.name in chosen],
                                 choices=[choice for choice in section.choices if chosen.issuperset(choice.rows)])
                for section in table.sections]
    return table._replace(sections=[section for section in sections if section.rows])


def _seeds(table, given):
    seeds = table.seeds if given is None else list(OrderedDict.fromkeys(given))
    wrong = [seed for seed in seeds if not 0 <= seed < 2 ** 32]
    if wrong:
        raise ReportedError("--seeds must be integers in [0, 2**32), got %d" % wrong[0])
    return seeds


def demonstration(table):
    """Return a table whose rows are small: demonstrations of the same models."""
    def small(row):
        arguments = list(row.arguments)
        for place, argument in enumerate(arguments[:-1]):
            if row.experiment == "language_modeling" and argument in SIZES:
                arguments[place + 1] = str(int(arguments[place + 1]) // 10)
        if row.experiment == "sequence_labeling" and "--emb_density" not in arguments:
            arguments += ["--emb_density", "1", "--emb_blocks", "1"]        # the tagger's --demo has a sparse embedding
        return row._replace(arguments=tuple(arguments + ["--demo"]), curve=None,
                            epochs=min(row.epochs, load_experiment(row.experiment).demo["epochs"]))
    return table._replace(sections=[section._replace(rows=[small(row) for row in section.rows])
                                    for section in table.sections])


def _prepare_demo_data(table, options):
    """Write the generated data before training: jobs that start at the same time must not all write them."""
    for experiment in sorted({row.experiment for section in table.sections for row in section.rows}):
        folder = os.path.join(os.path.abspath(options.data_dir), experiment) if options.data_dir else data_folder(
            experiment, "demo")
        prepare_demo(experiment, folder)


def root_of_runs(options):
    """Return the root of the run folders: str."""
    return os.path.abspath(options.runs or os.path.join(RESULTS, "reproduce-demo" if options.demo else "reproduce"))


def _train(runs, root, options):
    """Train the runs, also after the reader of the output has ended; return those that failed."""
    with lasting_output():
        return cluster.run_all(runs, root, options.executor, options.max_jobs, options.cpus, options.minutes,
                               options.sbatch)


def planned_runs(table, seeds, options):
    """Return all runs of a table: the first seed of all rows, then the second one, and so on.

    Parameters
    ----------
    table : Table
    seeds : list of int
    options : argparse.Namespace
        ``epochs``, ``device``, ``arguments``, ``data_dir``, ``corpus``, ``demo``.

    Returns
    -------
    list of Run
    """
    if options.epochs is not None:
        checked("--epochs", positive_integer, options.epochs)
    further = _words("--arguments", options.arguments)
    further += ["--device", options.device] if options.device != "cpu" else []
    return [run for seed in seeds for section in table.sections for row in section.rows
            for run in row.runs(seed, options.epochs, further, _data_option(row, options))]


def _words(option, text):
    """Return the words of a text as a shell separates them: quoted ones may have spaces."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ReportedError("%s has an open quotation mark or a backslash at its end: %s" % (option, text)) from error


def _data_option(row, options):
    tagger = row.experiment == "sequence_labeling"
    if options.data_dir:
        folder = os.path.join(os.path.abspath(options.data_dir), row.experiment)
        folder = os.path.join(folder, options.corpus) if tagger and not options.demo else folder
    elif tagger and not options.demo:
        folder = data_folder(row.experiment, options.corpus)
    else:
        return []
    return ["--data-dir" if row.experiment in CONFIG_EXPERIMENTS else "--data", folder]


# -- plan -------------------------------------------------------------------------------------------------------------

def _print_plan(runs, options):
    """Print the runs that are not finished, their commands, and how long they take."""
    root, total, unknown, left = root_of_runs(options), 0., 0, 0
    for run in runs:
        name, epoch = state(run, root)
        line = "%s: %s, epoch %d of %d" % (run.folder, name, epoch, run.epochs)
        if name == FINISHED:
            print(line)
            continue
        left += 1
        seconds, origin = remaining_seconds(run, root, options.device)
        if seconds is None:
            unknown += 1
        else:
            total += seconds
            line += ", %s (%s)" % (duration_text(seconds), origin)
        print("%s\n    %s" % (line, " ".join(map(shlex.quote, command(run, root)))))
    print("%d of %d runs are to be trained%s: %s in total, one after the other" % (
        left, len(runs), ", %d of them without a measured time" % unknown if unknown else "", duration_text(total)))
