"""Fixtures of the tests that train."""

from tiny_signs import tiny_signs, trained

__all__ = ["tiny_signs", "trained"]
