"""A glossary: groups of words, such as the vocabulary of 319 words of American Sign Language that comes with the library."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..metrics.gloss_accuracy.synonyms import Synonyms, normalize


def load_glossary(path: str | os.PathLike[str] | None = None) -> dict[str, list[str]]:
    """Group → its words.

    Args:
        path: a JSON file ``{"groups": {"Colors": ["RED", …], …}}``, ``{"Colors": ["RED", …]}`` or ``["RED", …]``, or a text file with a word a line.
            Default: the library's, 319 words in 15 groups.

    Raises:
        FileNotFoundError: no such file. ValueError: not a glossary, or one without words.
    """
    name = "the library's glossary" if path is None else str(path)
    source = files("signlang_hf.data") / "facts" / "asl_glossary.json" if path is None else Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"Glossary not found: {path}")
    text = source.read_text(encoding="utf-8")
    if path is not None and Path(path).suffix.lower() != ".json":
        content: Any = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{name} is not valid JSON ({error}).") from None
    if isinstance(content, Mapping) and isinstance(content.get("groups"), Mapping):
        content = content["groups"]
    groups = {"words": content} if isinstance(content, list) else content
    if not isinstance(groups, Mapping) or not all(
        isinstance(words, list) and all(isinstance(word, str) and word.strip() for word in words)
        for words in groups.values()
    ):
        raise ValueError(
            f'{name} is no glossary; it should be {{"groups": {{"Colors": ["RED", …], …}}}} or a list of words.'
        )
    if not any(groups.values()):
        raise ValueError(f"{name} holds no word.")
    return {str(group): list(words) for group, words in groups.items()}


def glossary_words(glossary: Mapping[str, Iterable[str]], groups: Iterable[str] = ()) -> list[str]:
    """The words of some groups, in order, each once; of all groups where none is named.

    Raises:
        ValueError: a group that the glossary does not have; lists those that it has.
    """
    names = {name.casefold(): name for name in glossary}
    chosen = [names.get(group.casefold()) for group in groups]
    if None in chosen:
        unknown = [group for group, found in zip(groups, chosen) if found is None]
        raise ValueError(f"The glossary has no group {unknown[0]!r}; it has {', '.join(glossary)}.")
    return list(dict.fromkeys(word for name in (chosen or glossary) for word in glossary[str(name)]))


def match_glosses(
    glosses: Iterable[str], words: Iterable[str], synonyms: Synonyms | None = None
) -> tuple[dict[str, str], list[str]]:
    """Which glosses of a table are words of a glossary.

    Args:
        glosses: of the table.
        words: of the glossary.
        synonyms: also take glosses that are one sign with a word by this table. Default: those that differ in case, hyphens and blanks only.

    Returns:
        gloss → its word, and the words that no gloss is.
    """
    words = list(words)
    by_spelling = {normalize(word): word for word in reversed(words)}
    found: dict[str, str] = {}
    # Glosses of the table and words of the glossary are told apart; what both list is not an inflection of one another.
    classes = frozenset(by_spelling)
    for gloss in dict.fromkeys(glosses):
        word = by_spelling.get(normalize(gloss))
        if word is None and synonyms is not None:
            word = next((word for word in words if synonyms.same(gloss, word, classes=classes)), None)
        if word is not None:
            found[gloss] = word
    taken = set(found.values())
    return found, [word for word in words if word not in taken]
