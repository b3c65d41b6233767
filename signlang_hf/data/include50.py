"""Dataset ``include50``: see :mod:`.include`. A module of its own, because ``datasets`` names the cache after the module."""

from __future__ import annotations

from .include import INCLUDE50_FACTS, Include


class Include50(Include):
    """The 50 signs of INCLUDE-50, with their own official splits."""

    SUBSET = "include50"
    FACTS = INCLUDE50_FACTS
