"""Prepare the data of this experiment: see ``python prepare_data.py --help``."""

import os
import sys

from Experiments.shared.data import tagging as tagged
from Experiments.shared.data.corpus import write_files
from Experiments.shared.data.download import download_corpus
from Experiments.shared.data.penn_treebank import PARTS
from Experiments.shared.config import experiment_folder
from theano_rnn.errors import ArgumentParser, reported_errors

DATA = os.path.join(experiment_folder("sequence_labeling"), "data")


def main(argv=None):
    """Write the folder of tagged sentences; leaves with exit status 2 after an error that was reported."""
    parser = ArgumentParser(description="Download CoNLL-2000 (or take a local copy, or the licensed Wall Street "
                            "Journal part), check it, and write wsj_{train,valid,test}.conll and tags.txt.")
    parser.add_argument("--source", metavar="PATH", help="local copy instead of a download: a folder or archive with "
                        "train.txt and test.txt (CoNLL-2000), or with wsj_train.conll, wsj_valid.conll, wsj_test.conll")
    parser.add_argument("--data-dir", metavar="DIR", help="the folder to write (default: data/conll2000, or data/wsj "
                        "for the Wall Street Journal)")
    parser.add_argument("--no-checksum", action="store_true",
                        help="accept another corpus in the format of CoNLL-2000: digests are not compared")
    options = parser.parse_args(argv)
    with reported_errors():
        source = options.source or download_corpus("conll2000", os.path.join(DATA, "download"))
        if tagged.is_wsj_source(source):
            name, origin = "wsj", "the Wall Street Journal part, a local copy"
            parts, tags = tagged.read_wsj(source)
        else:
            name, origin = "conll2000", "CoNLL-2000, the last 10 % of train as valid"
            parts, tags = tagged.read_conll2000(source, not options.no_checksum)
        folder = options.data_dir or os.path.join(DATA, name)
        written = write_files(folder, tagged.tagged_files(parts, tags), origin)
        print("%s %s" % (folder, "written" if written else "is there and intact"))
        for part in PARTS:
            print("%s: %d sentences, %d tokens" % (part, len(parts[part].offsets) - 1, len(parts[part].words)))
        print("%d tags, %d words in train" % (len(tags), len(set(parts["train"].words))))


if __name__ == "__main__":
    sys.exit(main())
