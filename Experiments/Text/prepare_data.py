"""Prepare own labelled texts: see ``python prepare_data.py --help``."""

import argparse
import csv
import io

from theano_rnn.npz_store import write_atomically

import numpy as np

from Experiments.shared.data.labelled_texts import (
    SOURCE_HELP,
    Columns,
    LabelledTexts,
    read_labelled_texts,
    with_held_out_parts,
)
from Experiments.shared.data.prepare import OWN_SOURCE, add_holdout_option, held_out_share, main
from Experiments.shared.data.prepared_folder import PARTS
from Experiments.shared.data.prepared_vectors import EPOCHS
from Experiments.shared.data.synthetic import generate_messages
from Experiments.shared.data.text_classification import TextDataSet, prepare_text

#: Word vectors are trained on this number of tokens, epochs included, in at most this number of epochs.
VECTOR_TOKENS, MOST_EPOCHS = 10 ** 7, 100


class OwnTexts(TextDataSet):
    """Texts of the user. The classes are those of the data; the labels of a corpus are text."""

    experiment, parts, lower_case, dimensions = "Text", PARTS, True, 100
    description = ("Prepare own labelled texts: read them, split them into training, validation and test part, and "
                   "write ids and vocabulary.")
    source_help = SOURCE_HELP

    def add_options(self, parser):
        super(OwnTexts, self).add_options(parser)
        parser.add_argument("--text-column", metavar="COLUMN", action="append",
                            help="column (or JSON key) of the text, by its name in the header, or by its number from 1 "
                                 "if the file has no header; the texts of several such options are joined. Default: a "
                                 "column named text, message, ...")
        parser.add_argument("--label-column", metavar="COLUMN",
                            help="column of the label. Default: a column named label, class, category, ...; or, of two "
                                 "columns without a header, the one whose values are repeated")
        add_holdout_option(parser, "the texts of each class")
        parser.add_argument("--write-example", metavar="FILE", action=WriteExample,
                            help="write a csv file with generated messages of customers, to try the commands, and stop")

    def read(self, source, options):
        share = held_out_share(options)
        columns = Columns(options.text_column and tuple(options.text_column), options.label_column)
        parts = read_labelled_texts(source, columns)
        return with_held_out_parts(parts, share, required=options.holdout is not None)

    def vector_epochs(self, data):
        """Return more epochs for few texts: after few steps, the vectors of all words are nearly parallel."""
        return max(EPOCHS, min(VECTOR_TOKENS // max(len(data.train.tokens), 1), MOST_EPOCHS))

    def details(self, source, options):
        return {"source": OWN_SOURCE}

    def write(self, corpus, folder, details):
        names = sorted(set(corpus["train"].labels))
        corpus = {part: ([text.lower() for text in texts.texts], [names.index(label) for label in texts.labels])
                  for part, texts in corpus.items()}
        data = prepare_text(corpus, folder, self.experiment, len(names), details, names)
        known = set(corpus["train"][0])
        repeated = {part: sum(text in known for text in corpus[part][0]) for part in ("valid", "test")}
        return self.summary(data, folder) + ["warning: %d texts of %s also occur in train, so its accuracy is too high"
                                             % (count, part) for part, count in repeated.items() if count]

    def summary(self, data, folder):
        lengths = np.diff(data.train.offsets) - 1
        return super(OwnTexts, self).summary(data, folder) + [
            "words of a training text: %d (median), at most %d in 95 %% of the texts; 'main.py --set length=N' reads "
            "the first N - 1" % (np.median(lengths), np.percentile(lengths, 95))]

    def generate(self):
        return with_held_out_parts({"train": _generated()})


def _generated():
    texts, labels = generate_messages()
    return LabelledTexts(texts, labels, ["message %d" % index for index in range(len(texts))])


class WriteExample(argparse.Action):
    """Write the generated messages as csv and end the program."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Write the file; see `argparse.Action`."""
        rows = io.StringIO(newline="")
        messages = _generated()
        csv.writer(rows, lineterminator="\n").writerows(
            [("label", "text")] + list(zip(messages.labels, messages.texts)))
        try:
            write_atomically(values, rows.getvalue())
        except OSError as error:
            parser.error("cannot write %s (%s)" % (values, error.strerror))
        print("%s: %d messages, %d departments" % (values, len(messages.texts), len(set(messages.labels))))
        parser.exit()


DATA_SET = OwnTexts()

if __name__ == "__main__":
    main(DATA_SET)
