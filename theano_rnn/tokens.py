"""Conversion of text to tokens, and the special tokens, for data preparation, training and prediction.

They are defined in `numpy_predictor`, which needs no other file.
"""

from .numpy_predictor import (
    END_OF_DOCUMENT,
    END_OF_LINE,
    OUTSIDE_WORD,
    PADDING_WORD,
    SPACE_CHARACTER,
    START_WORD,
    UNKNOWN_WORD,
    character_tokens,
    tokenize,
    word_tokens,
)

__all__ = ["tokenize", "character_tokens", "word_tokens", "PADDING_WORD", "START_WORD", "OUTSIDE_WORD",
           "END_OF_DOCUMENT", "END_OF_LINE", "UNKNOWN_WORD", "SPACE_CHARACTER"]
