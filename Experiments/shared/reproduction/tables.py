"""The published tables: their rows, columns and commands. The numbers are in ``published/``."""

import itertools
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError

from ..config import load_experiment
from ..sparse_experiments import FINE_TUNED
from .runs import Run

__all__ = ["Column", "Row", "Choice", "Section", "Table", "TABLES", "CORPORA", "make_table"]

#: A column: its name in the csv files, its title, where the value is (see `Experiments.shared.reproduction.results`), a
#: factor, and the number of decimals (None: as many as the size of the number suggests).
Column = namedtuple("Column", ["key", "title", "source", "factor", "decimals"])


class Row(namedtuple("Row", ["name", "label", "program", "arguments", "folder", "epochs", "select", "curve",
                             "fine_tuned", "point"])):
    """A row of a table: one model, trained with several seeds.

    Attributes
    ----------
    name : str
        For ``--rows``, unique in the table.
    label : str
    program : str
        Relative to ``Experiments``.
    arguments : tuple of str
        Arguments of the program, without seed, epochs and folders.
    folder : str
        Folder of the runs, which are in ``seed0`` and so on. Rows of several tables with the same command share it.
    epochs : int
        Epochs of the published run.
    select : {"last", "best"}
        The epoch whose numbers count: the last one, or the one with the best validation result.
    curve : (str, str) or None
        Data set and CONFIG of the authors' log.
    fine_tuned : bool
        Whether `finetune.py` continues each run.
    point : (str, float) or None
        Curve and abscissa in the figure of the table.
    """

    __slots__ = ()

    def __new__(cls, name, label, program, arguments, folder, epochs, select="last", curve=None, fine_tuned=False,
                point=None):
        return super(Row, cls).__new__(cls, name, label, program, tuple(arguments), folder, epochs, select, curve,
                                       fine_tuned, point)

    @property
    def experiment(self):
        """str: the folder of the program."""
        return self.program.split("/")[0]

    def command(self):
        """Return the command of the row as it stands in a README: str."""
        return " ".join(["python", self.program.split("/")[1]] + list(self.arguments)
                        + ([] if self.epochs == _default_epochs(self.experiment) else ["--epochs", str(self.epochs)]))

    def runs(self, seed, epochs=None, further=(), data=()):
        """Return the runs of a seed, in the order in which they must be trained.

        Parameters
        ----------
        seed : int
        epochs : int, optional
            Upper bound of the epochs due.
        further : sequence of str
            Further arguments of all programs: ``--device cuda``.
        data : sequence of str
            The option of the data folder.

        Returns
        -------
        list of Run
        """
        epochs = min(self.epochs, epochs or self.epochs)
        arguments = self.arguments + ("--seed", str(seed)) + tuple(data) + tuple(further)
        folder = "%s/seed%d" % (self.folder, seed)
        runs = [Run(self.program, arguments, folder, epochs)]
        if self.fine_tuned:
            runs.append(Run(self.experiment + "/finetune.py", arguments, "%s/%s" % (folder, FINE_TUNED), epochs))
        return runs


#: The best of some rows: the published number is that of the row with the best value in a column.
#:
#: name, label; rows: names of the rows; by: key of the column.
Choice = namedtuple("Choice", ["name", "label", "rows", "by"])

#: A part of a table: one experiment. best: source of the value by which the best epoch is chosen, and min or max.
Section = namedtuple("Section", ["experiment", "title", "columns", "rows", "choices", "best"])

#: name, title, source: the paper; seeds: default seeds; sections; notes: sentences below the table.
Table = namedtuple("Table", ["name", "title", "source", "seeds", "sections", "notes"])


def _default_epochs(experiment):
    return load_experiment(experiment).defaults["epochs"]


# -- columns -----------------------------------------------------------------------------------------------------------

COMPRESSION = Column("compression", "compression", "compression", 1, None)
HIDDEN = Column("hidden", "neurons h", "kept_z_h", 1, 0)
GATES = Column("gates", "gates", "kept_gates", 1, 0)
SIZE = Column("bytes", "file (bytes)", "compressed.npz", 1, 0)
CLASSIFICATION_COLUMNS = (Column("accuracy", "accuracy (%)", "test", 100, 2), COMPRESSION,
                          Column("vocabulary", "vocabulary", "kept_z_voc", 1, 0),
                          Column("input", "neurons x", "kept_z_x", 1, 0), HIDDEN, GATES, SIZE)


def _language_columns(unit, decimals):
    return (Column("valid", "validation (%s)" % unit, "val", 1, decimals),
            Column("test", "test (%s)" % unit, "test", 1, decimals), COMPRESSION,
            Column("vocabulary", "vocabulary", "kept_z_x", 1, 0), HIDDEN, GATES, SIZE)


LANGUAGE_COLUMNS = {"Char_PTB": _language_columns("bits", 3), "Word_PTB": _language_columns("perplexity", 1)}
TAGGING_COLUMNS = (Column("valid", "validation accuracy (%)", "val", 100, 2),
                   Column("test", "test accuracy (%)", "test", 100, 2))

# -- Bayesian compression ------------------------------------------------------------------------------------------

#: The published numbers of the unpruned language models are those of their best validation epochs.
BEST_EPOCH = {"Char_PTB": 9, "Word_PTB": 8}
TITLES = {"IMDB": "IMDB", "AGNews": "AGNews", "Char_PTB": "Characters of Penn Treebank",
          "Word_PTB": "Words of Penn Treebank"}


def _bayesian_row(experiment, label, config):
    name = "%s/%s" % (experiment, config)
    curve = (experiment, config) if config != "DCDCCD" else None
    if config == "DCCD":
        return Row(name, label, experiment + "/main.py", [config], name, BEST_EPOCH[experiment], "best", curve)
    return Row(name, label, experiment + "/main.py", [config], name, _default_epochs(experiment), "last", curve)


def _bayesian_section(experiment, models):
    columns, best = (CLASSIFICATION_COLUMNS, max) if experiment in ("IMDB", "AGNews") else (
        LANGUAGE_COLUMNS[experiment], min)
    rows = [_bayesian_row(experiment, label, config) for label, config in models]
    return Section(experiment, TITLES[experiment], columns, rows, [], ("val", best))


VECTORS_NOTE = ("The published runs of IMDB and AGNews started from word2vec and GloVe vectors that were trained on "
                "large corpora.")


def _emnlp_1(corpus):
    models = [("Original", "DCDCCD"), ("SparseVD", "LCLCCL"), ("SparseVD-Voc", "LLLCCL")]
    return Table("emnlp-1", "Text classification", "arXiv 1810.10927v2, table 1", [0],
                 [_bayesian_section(experiment, models) for experiment in ("IMDB", "AGNews")],
                 [VECTORS_NOTE, "The authors' logs are of other runs than the table of the paper."])


def _emnlp_2(corpus):
    models = [("Original", "DCCD"), ("SparseVD", "LCCL"), ("SparseVD-Voc", "LCIL")]
    return Table("emnlp-2", "Language models", "arXiv 1810.10927v2, table 2", [0],
                 [_bayesian_section(experiment, models) for experiment in ("Char_PTB", "Word_PTB")], [])


def _workshop(corpus):
    classifiers = [("W", "LLLCCL"), ("W+N", "LLLCLL"), ("W+G+N", "LLLLLL")]
    language_models = [("W", "LCCL"), ("W+N", "LCRL"), ("W+G+N", "LLRL")]
    return Table(
        "workshop", "Groups of weights: single weights (W), neurons (N), gates (G)",
        "Lobacheva et al., AAAI 2020, table 2 (the follow-up of arXiv 1812.05692)", [0],
        [_bayesian_section(experiment, classifiers) for experiment in ("IMDB", "AGNews")]
        + [_bayesian_section(experiment, language_models) for experiment in ("Char_PTB", "Word_PTB")],
        [VECTORS_NOTE, "W of the classifiers is LLLCCL: the published compression of W is that of the authors' log of "
         "LLLCCL; their log of LCLCCL ends at 1,209 (IMDB) and 350 (AGNews)."])


# -- predefined sparseness ---------------------------------------------------------------------------------------------

#: Corpora of the tagger.
CORPORA = ("conll2000", "ewt", "wsj")
TAGGER_EPOCHS, TAGGER_SEEDS = 50, [1982, 1983, 1984, 1985]
TAGGER = "sequence_labeling/main.py"
TAGGER_NOTE = "The paper trained on the Wall Street Journal part of the Penn Treebank, which is licensed."
README_DROPOUTS = OrderedDict([("dropoute", 0.), ("dropouti", 0.2), ("wdrop", 0.2)])
DROPOUT_NOTE = "The dropout probabilities are fixed: dropouti 0.2, wdrop 0.2. The paper chose them on a grid."


def _tagger_row(corpus, size, density=None, order="up", label=None, dropouts=README_DROPOUTS, point=None):
    """Return a row of the tagger.

    Parameters
    ----------
    corpus : str
    size : int
        Embedding units.
    density : float or None
        None: a dense embedding.
    order : str
        Of the vocabulary.
    label : str
    dropouts : dict of str to float
    point : (str, float), optional
    """
    arguments, name = ["--emsize", str(size)], "dense-%d" % size
    if density is not None:
        arguments += ["--emb_density", "%g" % density, "--emb_blocks", "20"]
        name = "sparse-%d-%g" % (size, density)
    arguments += ["--nhid", "10"]
    for setting, value in dropouts.items():
        if value:
            arguments += ["--" + setting, "%g" % value]
    if order != "up":
        arguments += ["--vocab_order", order]
        name += "-" + order
    if dropouts != README_DROPOUTS:
        name += "-e%g-i%g-w%g" % tuple(dropouts.values())
    return Row(name, label, TAGGER, arguments, "sequence_labeling/%s/%s" % (corpus, name), TAGGER_EPOCHS, "best",
               point=point)


def _tagger_table(name, title, number, corpus, rows, choices, notes):
    section = Section("sequence_labeling", "Ours: %s" % corpus, TAGGING_COLUMNS, rows, choices, ("val", max))
    return Table(name, title, "arXiv 1808.08720, " + number, TAGGER_SEEDS, [section], [TAGGER_NOTE] + notes)


def _conll_1(corpus):
    perplexities = (Column("valid", "validation perplexity", "val_perplexity", 1, 1),
                    Column("test", "test perplexity", "test.json", 1, 1),
                    Column("fine-tuned", "test perplexity, fine-tuned", "finetune/test.json", 1, 1))
    rows = [Row(name, label, "language_modeling/main.py", arguments, "language_modeling/" + name, 500, "best",
                fine_tuned=True)
            for name, label, arguments in [
                ("awd-lstm", "dense, 1150 units", []),
                ("awd-lstm-sparse", "sparse, 1725 units",
                 ["--sparse_mode", "sparse_hidden", "--sparse_fract", "0.66666", "--nhid", "1725"])]]
    return Table("conll-1", "AWD-LSTM on Penn Treebank", "arXiv 1808.08720, table 1", [0, 1, 2, 3, 4],
                 [Section("language_modeling", "Penn Treebank", perplexities, rows, [], ("val", min))],
                 ["Both programs train for at most 500 epochs and end earlier by their own criterion."])


def _conll_2(corpus):
    rows = []
    for values in itertools.product((0., 0.1, 0.2), (0., 0.1, 0.2, 0.4), (0., 0.2, 0.4)):
        dropouts = OrderedDict(zip(README_DROPOUTS, values))
        rows.append(_tagger_row(corpus, 20, 0.25, label="dropoute %g, dropouti %g, wdrop %g" % values,
                                dropouts=dropouts))
    choice = Choice("chosen", "best mean validation accuracy", [row.name for row in rows], "valid")
    return _tagger_table(
        "conll-2", "Grid of dropout probabilities of the tagger (sparse, 20 units, density 0.25)", "table 2", corpus,
        rows, [choice], ["The paper gives the grid and not its results. The published number of the chosen row is that "
                         "of table 3, which was chosen on this grid."])


def _conll_3(corpus):
    orders = OrderedDict([("up", "from rare to frequent"), ("rand", "not sorted"), ("down", "from frequent to rare")])
    rows = [_tagger_row(corpus, 20, None, "rand", "density 1, not sorted")]
    for density in (0.25, 0.1):
        rows += [_tagger_row(corpus, 20, density, order, "density %g, %s" % (density, text))
                 for order, text in orders.items()]
    return _tagger_table("conll-3", "Order of the vocabulary", "table 3", corpus, rows, [],
                         [DROPOUT_NOTE, "\"Not sorted\" is `--vocab_order rand`, as in the original program."])


def _conll_figure_3(corpus):
    rows = [_tagger_row(corpus, size, label="dense, %d units" % size, point=("dense", size))
            for size in (2, 3, 4, 5, 10, 20)]
    rows += [_tagger_row(corpus, 20, density, label="sparse, 20 units, density %g" % density,
                         point=("sparse, 20 units", 20 * density)) for density in (0.1, 0.15, 0.2, 0.25, 0.5, 1.)]
    return _tagger_table("conll-figure-3", "Dense and sparse embeddings with equal numbers of parameters", "figure 3",
                         corpus, rows, [],
                         [DROPOUT_NOTE, "The published numbers are read off the drawing. In the figure, a sparse "
                          "embedding is at 20 times its density."])


#: Name, label and arguments of the models that recite. The names in logs/ of the original README are the same.
RECITING = [
    ("dense", "dense, 24.22 M parameters", []),
    ("dense_reduced", "dense, 7.07 M", ["--emsize", "200", "--nhid", "575"]),
    ("sparse1", "sparse RNN, 7.07 M", ["--emsize", "200", "--sparse_mode", "sparse_hidden", "--sparse_fract", "0.5"]),
    ("sparse2", "sparse RNN and embedding, 7.07 M",
     ["--emblocks", "10", "--emdensity", "0.5", "--sparse_mode", "sparse_all", "--sparse_fract", "0.5"]),
    ("dense_small", "dense, 3.59 M", ["--emsize", "133", "--nhid", "383"]),
    ("sparse1_small", "sparse RNN, 3.59 M",
     ["--emsize", "133", "--sparse_mode", "sparse_hidden", "--sparse_fract", "0.33333"]),
    ("sparse2_small", "sparse RNN and embedding, 3.59 M",
     ["--emblocks", "10", "--emdensity", "0.33333", "--sparse_mode", "sparse_all", "--sparse_fract", "0.33333"])]


def _conll_4(corpus):
    columns = (Column("recited", "words recited (%)", "train_accuracy", 100, 2),)
    rows, choices = [], []
    for name, label, arguments in RECITING:
        names = []
        for rate in (5, 10):
            names.append("recite-%s-lr%d" % (name, rate))
            rows.append(Row(names[-1], "%s, learning rate %d" % (label, rate), "language_modeling/main_overfit.py",
                            arguments + ["--lr", str(rate)], "language_modeling/" + names[-1], 150, "best"))
        choices.append(Choice("recite-" + name, label, names, "recited"))
    return Table("conll-4", "Learning to recite Penn Treebank", "arXiv 1808.08720, table 4", [0],
                 [Section("language_modeling", "Penn Treebank", columns, rows, choices, ("train_accuracy", max))],
                 ["The better of the learning rates 5 and 10 counts. Training ends above 99.99 %."])


#: Names to functions of the corpus of the tagger that return the `Table`.
TABLES = OrderedDict([
    ("emnlp-1", _emnlp_1), ("emnlp-2", _emnlp_2), ("workshop", _workshop), ("conll-1", _conll_1),
    ("conll-2", _conll_2), ("conll-3", _conll_3), ("conll-4", _conll_4), ("conll-figure-3", _conll_figure_3)])


def make_table(name, corpus=CORPORA[0]):
    """Return a table.

    Parameters
    ----------
    name : str
        One of `TABLES`.
    corpus : str
        Corpus of the tagger, one of `CORPORA`; the other tables ignore it.

    Returns
    -------
    Table

    Raises
    ------
    ReportedError
        If there is no such table or corpus.

    Examples
    --------
    >>> [row.name for row in make_table("conll-1").sections[0].rows]
    ['awd-lstm', 'awd-lstm-sparse']
    """
    if name not in TABLES:
        raise ReportedError("TABLE must be one of %s, got %r" % (", ".join(TABLES), name))
    if corpus not in CORPORA:
        raise ReportedError("--corpus must be one of %s, got %r" % (", ".join(CORPORA), corpus))
    return TABLES[name](corpus)
