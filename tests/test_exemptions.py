"""Which model is excused from which common check. A new exemption has to be added here, in sight of everybody."""

from __future__ import annotations

import importlib
from pathlib import Path

from common import SignModelTests

EXEMPTIONS = {
    ("TestSignTransformer", "test_generation_with_cache_equals_without"): "a classifier generates nothing",
}


def test_exemptions_are_the_agreed_ones() -> None:
    for file in Path(__file__).parent.glob("models/test_*.py"):
        importlib.import_module(f"models.{file.stem}")
    found = {
        (tests.__name__, check): reason
        for tests in _subclasses(SignModelTests)
        if tests.__name__.startswith("Test")
        for check, reason in tests.exemptions.items()
    }
    assert found == EXEMPTIONS
    assert all(hasattr(SignModelTests, check) for _, check in found)


def _subclasses(tests: type[SignModelTests]) -> list[type[SignModelTests]]:
    return [found for one in tests.__subclasses__() for found in (one, *_subclasses(one))]
