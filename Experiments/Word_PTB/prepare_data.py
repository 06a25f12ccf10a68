"""Prepare the words of the Penn Treebank, of WikiText-2 or of own text: see ``python prepare_data.py --help``."""

from Experiments.shared.data.own_language import SOURCE_HELP
from Experiments.shared.data.penn_treebank import PennTreebank, WikiText2
from Experiments.shared.data.prepare import main


class Words(PennTreebank):
    """Help texts for all corpora."""

    source_help = ("a folder or archive with ptb.train.txt, ptb.valid.txt and ptb.test.txt, or with wiki.train.tokens, "
                   "wiki.valid.tokens and wiki.test.tokens (--corpus wikitext-2); or " + SOURCE_HELP)
    folder_help = "the folder to write (default: data/prepared; wikitext-2: data/wikitext-2; own text: data/own)"


DATA_SET = Words("Word_PTB", "words", {"wikitext-2": WikiText2("Word_PTB", "words")})

if __name__ == "__main__":
    main(DATA_SET)
