"""Which English glosses stand for one sign.

Design decisions:

* Two glosses are one sign if they differ in case, hyphens, blanks or surrounding punctuation; if the table lists them together; or if one is a regular
  inflection of the other (a sign has neither tense nor a plural ``-s``). Inflections are *made* by the rules of English spelling, not cut off: NOTE is no
  form of NOT, and STARE none of STAR.
* Where words are likely to be signs of their own although spelling says otherwise (NEWS, HEARING, MEETING), the table keeps them ``apart``. So does the
  data: two glosses that both occur as references are classes of the task, and only the table may make one of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

TABLE = "synonyms.json"
_SEPARATORS = re.compile(r"[\s_‐-―−-]+")
_AROUND = " \t\r\n.,;:!?\"“”„‘’'`*()[]"
_APOSTROPHES = str.maketrans("’‘ʼ`", "''''")
_VOWELS = "aeiou"
# Words that have no inflection; some look as if another were theirs (SHE and SHED, MINE and MINING).
_FUNCTION_WORDS = (
    "i me my mine you your yours he him his she her hers it its we us our ours they them their theirs this that these those who whom whose what "
    "when where why how which and or but if because with without about for from to of in on at by as not no yes the a an can could may might must "
    "shall should will would all some any none many few more less most very too so now then here there once ever never always one two "
    "three four five six seven eight nine ten"
)
_UNINFLECTED = frozenset(_FUNCTION_WORDS.split())


class Synonyms:
    """Which glosses stand for one sign.

    Args:
        classes: glosses that are one sign each; none may be in two classes.
        forms: a gloss and its irregular inflections, each; they count with ``inflection`` only.
        apart: pairs that are not one sign, although one looks like an inflection of the other.
        inflection: whether inflections of English count.
        name: what the signature calls it.

    Raises:
        ValueError: a gloss in two classes, a class that is no list of glosses.
    """

    def __init__(
        self, classes: Iterable[Sequence[str]] = (), forms: Iterable[Sequence[str]] = (), apart: Iterable[Sequence[str]] = (), *,
        inflection: bool = True, name: str = "none",
    ) -> None:  # fmt: skip
        listed, irregular = [_class(one) for one in classes], [_class(one) for one in forms] if inflection else []
        self.inflection = inflection
        self._synonyms = _by_gloss(listed)
        # Forms of a gloss that has synonyms join its class: WENT is whatever GO is.
        self._members = _by_gloss(_joined([*listed, *irregular]))
        self._apart = {frozenset(map(normalize, pair)) for pair in apart}
        content = json.dumps([sorted(listed), sorted(irregular), sorted(map(sorted, self._apart))])
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        self.signature = f"synonyms:{name}-{digest}|inflection:{'yes' if inflection else 'no'}"

    @classmethod
    def load(cls, table: Any = None, *, inflection: bool = True) -> Synonyms:
        """From a table.

        Args:
            table: a JSON file, its content (``{"synonyms": [[…], …], "forms": [[…], …], "apart": [[a, b], …]}``), a list of classes, one of this
                class, or None for the table of ASL that comes with the library. ``forms`` are irregular inflections, which ``inflection`` switches.

        Raises:
            FileNotFoundError: no such file. ValueError: not a table. ImportError: the default, where the library is not installed.
        """
        if isinstance(table, cls):
            return table
        name = "own"
        if table is None:
            name, table = "asl", json.loads(_default_table())
        elif isinstance(table, (str, os.PathLike)):
            path = Path(table)
            if not path.is_file():
                raise FileNotFoundError(f"Table of synonyms not found: {path}")
            try:
                name, table = path.stem, json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ValueError(f"{path} is not valid JSON ({error}).") from None
        content = table if isinstance(table, Mapping) else {"synonyms": table}
        unknown = set(content) - {"description", "synonyms", "forms", "apart"}
        if unknown or not all(
            isinstance(content.get(key, []), (list, tuple)) for key in ("synonyms", "forms", "apart")
        ):
            raise ValueError(
                'A table of synonyms is {"synonyms": [["CAR", "AUTO"], …], "forms": […], "apart": […]} or a list of lists.'
            )
        classes, forms, apart = (content.get(key, []) for key in ("synonyms", "forms", "apart"))
        return cls(classes, forms, apart, inflection=inflection, name=name)

    def same(self, first: str, second: str, *, classes: frozenset[str] = frozenset()) -> bool:
        """Whether two glosses are one sign.

        Args:
            classes: normalised glosses that the task tells apart; two of them are one sign only by the table's synonyms.
        """
        first, second = normalize(first), normalize(second)
        if not first or not second:
            return False
        if first == second or second in self._synonyms.get(first, ()):
            return True
        if not self.inflection or {first, second} <= classes or frozenset((first, second)) in self._apart:
            return False
        ours, theirs = self._members.get(first, (first,)), self._members.get(second, (second,))
        if ours == theirs:
            return True
        pairs = [(a, b) for a in ours for b in theirs if frozenset((a, b)) not in self._apart]
        return any(b in inflections(a) or a in inflections(b) for a, b in pairs) or bool(_stems(first) & _stems(second))


def normalize(gloss: str) -> str:
    """Lower case, without hyphens, blanks and what surrounds an answer. Apostrophes stay: WE'LL is not WELL."""
    text = unicodedata.normalize("NFKC", gloss).translate(_APOSTROPHES).casefold().strip(_AROUND)
    return _SEPARATORS.sub("", text)


@lru_cache(maxsize=65536)
def inflections(base: str) -> frozenset[str]:
    """Regular plural, third person, past and ``-ing`` form of a normalised English word; none for words that have none.

    Example:
        >>> sorted(inflections("stop"))
        ['stopped', 'stopping', 'stops']
    """
    if len(base) < 3 or base in _UNINFLECTED or not base.isalpha() or not set(base) & set(_VOWELS + "y"):
        return frozenset()
    last, before = base[-1], base[-2]
    if last == "y" and before not in _VOWELS:
        return frozenset({base[:-1] + "ies", base[:-1] + "ied", base + "ing"})
    if last in "sxz" or base.endswith(("ch", "sh")):
        plural = {base + "es"}
    else:
        plural = {base + "s", base + "es"} if last == "o" else {base + "s"}
    if last == "e":
        if base.endswith("ie"):
            return frozenset({*plural, base + "d", base[:-2] + "ying"})
        if base.endswith("ee"):  # SEED is no form of SEE; AGREED is one of AGREE
            return frozenset({*plural, base + "ing"} | ({base + "d"} if len(base) > 4 else set()))
        keeps = base.endswith(("oe", "ye"))
        return frozenset({*plural, base + "d", base + "ing" if keeps else base[:-1] + "ing"})
    double = last not in _VOWELS + "wxy" and before in _VOWELS and base[-3] not in _VOWELS
    syllables = len(re.findall("[aeiouy]+", base))
    stems = {base + last} if double else {base}
    if double and syllables > 1:  # VISITED and BEGINNING: only the stress would tell
        stems.add(base)
    return frozenset({*plural, *(stem + ending for stem in stems for ending in ("ed", "ing"))})


@lru_cache(maxsize=65536)
def _stems(form: str) -> frozenset[str]:
    """What the form may be a regular inflection of: WALKS and WALKED have one in common."""
    cuts = {form[:-1], form[:-2], form[:-3], form[:-4]}
    cuts |= {form[:-3] + "y", form[:-3] + "e", form[:-4] + "ie"}
    return frozenset(base for base in cuts if form in inflections(base))


def _class(listed: Any) -> tuple[str, ...]:
    """A class of a table with its glosses normalised."""
    glosses = [] if isinstance(listed, str) or not isinstance(listed, Iterable) else list(listed)
    if not glosses or not all(isinstance(gloss, str) for gloss in glosses):
        raise ValueError(f"A class of synonyms is a list of glosses; got {listed!r}.")
    return tuple(dict.fromkeys(map(normalize, glosses)))


def _by_gloss(classes: Iterable[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    members: dict[str, tuple[str, ...]] = {}
    for one in classes:
        for gloss in one:
            if members.setdefault(gloss, tuple(one)) != tuple(one):
                raise ValueError(f"The gloss {gloss!r} is in two classes of synonyms; a gloss may be in one.")
    return members


def _joined(classes: Sequence[Sequence[str]]) -> list[list[str]]:
    """Classes, of which one whose first gloss an earlier one holds joins it."""
    joined: list[list[str]] = []
    for listed in classes:
        home = next((known for known in joined if listed and listed[0] in known), None)
        if home is None:
            joined.append(list(listed))
        else:
            home.extend(listed[1:])
    return joined


def _default_table() -> str:
    beside = Path(__file__).with_name(TABLE)
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        from importlib.resources import files

        return (files("signlang_hf.metrics.gloss_accuracy") / TABLE).read_text(encoding="utf-8")
    except (ImportError, OSError):
        raise ImportError(
            "The table of synonyms comes with the library: pip install signlang-hf, or give synonyms=."
        ) from None
