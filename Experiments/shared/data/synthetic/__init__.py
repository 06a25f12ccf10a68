"""Corpora that the project generates from seeded grammars, to try the programs without a download.

Labelled reviews (for IMDB), news in four topics (for AGNews), messages of customers (for Text), text in the format of
the Penn Treebank, and tagged sentences. No sentence was written by people. Most words of the reviews, news and messages
are independent of the label; a few dozen depend on it. A network that prunes its vocabulary should find those.
"""

from .choices import SEED
from .language import generate_language
from .messages import generate_messages
from .news import generate_news
from .reviews import generate_reviews
from .tagged import generate_tagged

__all__ = ["SEED", "generate_reviews", "generate_news", "generate_messages", "generate_language",
           "generate_tagged"]
