"""Fixtures of the tests that train."""

from tiny_pictures import tiny_pictures, trained_detector
from tiny_sentences import tiny_sentences, trained_ctc, trained_translator
from tiny_signs import tiny_signs, trained

__all__ = [
    "tiny_pictures",
    "tiny_sentences",
    "tiny_signs",
    "trained",
    "trained_ctc",
    "trained_detector",
    "trained_translator",
]
