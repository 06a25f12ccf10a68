"""Copy runs into the project, and put the tables made from them into the READMEs of the experiments."""

import io
import os
import re
import shutil

from theano_rnn.npz_store import write_atomically

from ..config import experiment_folder
from ..readme_parts import find_part, with_part
from ..run_folder import PROJECT
from .report import section_markdown
from .runs import FINISHED, state

__all__ = ["REFERENCE", "TABLE_FOLDER", "copy_runs", "update_readmes", "table_of_readme"]

#: The root of the runs that belong to the project, and the folder of the tables made from them.
REFERENCE = os.path.join(PROJECT, "Experiments", "Results", "reference")
TABLE_FOLDER = os.path.join(PROJECT, "Experiments", "Results", "tables")

#: Files of a run that are copied, and those of its end: if the run was continued and is not finished, they are those of
#: an earlier epoch. Plots are copied for one seed of a row only.
TEXTS, RESULTS, PLOTS = ("metrics.csv", "log.txt", "config.json", "test.json"), ("kept_words.txt", "compressed.npz"), (
    ".png",)
#: The folders of an absolute path.
FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/,\"()]+/)+")
BEGIN, END = "<!-- %s: written by reproduce.py -->", "<!-- end of %s -->"


def copy_runs(runs, root, target, first_seed):
    """Copy the results of runs, without checkpoints, vocabulary and the folders in paths.

    Files of an earlier copy that a run does not have are removed.

    Parameters
    ----------
    runs : list of Run
        Those without an evaluation are left out.
    root, target : str
        The roots of the runs and of the copies.
    first_seed : int
        The seed whose plots are copied.

    Returns
    -------
    list of str
        The folders of the copied runs.
    """
    copied = []
    for run in runs:
        source, destination = os.path.join(root, run.folder), os.path.join(target, run.folder)
        if not os.path.isfile(os.path.join(source, "metrics.csv")):
            continue
        copied.append(run.folder)
        if os.path.realpath(source) == os.path.realpath(destination):
            continue
        os.makedirs(destination, exist_ok=True)
        has_plots = "seed%d" % first_seed in run.folder.split("/")
        wanted = TEXTS + RESULTS if state(run, root).name == FINISHED else TEXTS
        names = [name for name in sorted(os.listdir(source))
                 if name in wanted or name.endswith(PLOTS) and has_plots]
        for name in set(os.listdir(destination)) - set(names):
            if os.path.isfile(os.path.join(destination, name)):         # not the folder of a fine-tuned run
                os.remove(os.path.join(destination, name))
        for name in names:
            path = os.path.join(source, name)
            if name.endswith((".csv", ".txt", ".json")):
                with io.open(path, encoding="utf-8") as stream:
                    write_atomically(os.path.join(destination, name), FOLDERS.sub("", stream.read()))
            else:
                shutil.copyfile(path, os.path.join(destination, name))
    return copied


def update_readmes(name, collected, folder=None):
    """Replace the tables in the READMEs of the experiments.

    A README contains a table between the comments ``<!-- NAME: written by reproduce.py -->`` and
    ``<!-- end of NAME -->``. A README without these comments stays as it is.

    Parameters
    ----------
    name : str
        Of the files of the table.
    collected : list
        From `report.collect`.
    folder : str, optional
        The folder that contains the folders of the experiments.

    Returns
    -------
    list of str
        The paths of the READMEs that contain the table.
    """
    changed = []
    for section, rows, other in collected:
        path = os.path.join(folder, section.experiment) if folder else experiment_folder(section.experiment)
        path = os.path.join(path, "README.md")
        with io.open(path, encoding="utf-8") as stream:
            text = stream.read()
        comments = BEGIN % name, END % name
        if find_part(text, *comments, path=path) is not None:
            write_atomically(path, with_part(text, *comments, part=section_markdown(section, rows, other), path=path))
            changed.append(path)
    return changed


def table_of_readme(name, path):
    """Return a table that a README contains, or None.

    Parameters
    ----------
    name : str
    path : str

    Returns
    -------
    str or None
    """
    with io.open(path, encoding="utf-8") as stream:
        text = stream.read()
    return find_part(text, BEGIN % name, END % name, path)
