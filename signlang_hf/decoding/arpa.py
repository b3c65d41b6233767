"""ARPA files: the text format of n-gram models that KenLM, SRILM and NLTK's tools share.

Design decisions:

* UTF-8, numbers in log10 as the format wants them, and words in sorted order, so that one model always gives the same file.
* Fields are separated by white space, so a blank inside a gloss ("GOOD MORNING") is written as ``␣`` and read back.
* A file is checked line by line: a broken one ends in one sentence with its line, before anything is decoded with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..landmarks.files import atomic_write
from .kneser_ney import UNKNOWN, Ngram

_BLANK_IN_WORD = "␣"
_LOG10 = math.log(10)
_KENLM_BINARY = b"mmap lm http://kheafield.com/code"


def to_arpa_word(word: str) -> str:
    """The word as an ARPA file has it: without white space."""
    return re.sub(r"\s", _BLANK_IN_WORD, word)


def write_arpa(path: str | Path, log_probs: dict[Ngram, float], backoffs: dict[Ngram, float]) -> Path:
    """Write natural log-probabilities and back-off weights of n-grams to ``path``."""
    path = Path(path)
    orders = range(1, max(map(len, log_probs)) + 1)

    def write(stream: IO[bytes]) -> None:
        def line(text: str = "") -> None:
            stream.write(text.encode("utf-8") + b"\n")

        line("\\data\\")
        for order in orders:
            line(f"ngram {order}={sum(len(ngram) == order for ngram in log_probs)}")
        for order in orders:
            line()
            line(f"\\{order}-grams:")
            for ngram in sorted(ngram for ngram in log_probs if len(ngram) == order):
                fields = [_number(log_probs[ngram]), " ".join(map(to_arpa_word, ngram))]
                if ngram in backoffs:
                    fields.append(_number(backoffs[ngram]))
                line("\t".join(fields))
        line()
        line("\\end\\")

    atomic_write(path, write)
    return path


def _number(natural: float) -> str:
    return f"{natural / _LOG10:.9g}"


def read_arpa(path: str | Path) -> tuple[dict[Ngram, float], dict[Ngram, float]]:
    """Natural log-probabilities and back-off weights of the n-grams in ``path``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an ARPA file, or a broken one; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Language model not found: {path}")
    with path.open("rb") as stream:
        if stream.read(len(_KENLM_BINARY)) == _KENLM_BINARY:
            raise ValueError(f"{path} is a KenLM binary; pass the ARPA file that it was built from.")
    reader = _Reader(path)
    reader.read()
    return reader.log_probs, reader.backoffs


class _Reader:
    """One pass over the file; knows the line that it is at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.log_probs: dict[Ngram, float] = {}
        self.backoffs: dict[Ngram, float] = {}

    def fault(self, what: str) -> ValueError:
        return ValueError(f"{self.path}, line {self.number}: {what}")

    def lines(self) -> Iterator[str]:
        """Stripped lines that are not empty."""
        with self.path.open("rb") as stream:
            for self.number, raw in enumerate(stream, start=1):
                try:
                    text = raw.decode("utf-8").strip(" \t\r\n\ufeff")
                except UnicodeDecodeError as error:
                    raise self.fault(f"not UTF-8 from byte {error.start + 1} on; save the file as UTF-8.") from error
                if text:
                    yield text
        self.number += 1

    def read(self) -> None:
        lines = self.lines()
        for line in lines:
            if line == "\\data\\":
                break
            if self.number > 100:  # a comment before the data is allowed, a whole other file is not
                raise self.fault("no ARPA file: it has no \\data\\ line at its beginning.")
        else:
            raise self.fault("no ARPA file: it has no \\data\\ line.")
        announced: dict[int, int] = {}
        order, found, ended = 0, 0, False
        for line in lines:
            if line.startswith("\\"):
                self._check_count(order, found, announced)
                if line == "\\end\\":
                    ended = True
                    break
                heading = re.fullmatch(r"\\(\d+)-grams:", line)
                if not heading or int(heading[1]) != order + 1 or int(heading[1]) not in announced:
                    raise self.fault(
                        f"expected the heading '\\{order + 1}-grams:' of an announced order, found {line[:40]!r}."
                    )
                order, found = order + 1, 0
            elif order:
                self._entry(line, order, order == max(announced))
                found += 1
            else:
                count = re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)", line)
                if not count:
                    raise self.fault(f"expected a count such as 'ngram 1=200', found {line[:40]!r}.")
                announced[int(count[1])] = int(count[2])
        if not ended or not announced or order != max(announced):
            raise self.fault(
                "the file ends too early (no \\end\\ after its last order); it was cut off, write it again."
            )

    def _check_count(self, order: int, found: int, announced: dict[int, int]) -> None:
        if order and found != announced[order]:
            raise self.fault(
                f"{found} {order}-grams instead of the {announced[order]} that the head of the file announces."
            )

    def _entry(self, line: str, order: int, highest: bool) -> None:
        fields = line.split()  # SRILM separates with tabs, others with blanks
        if len(fields) not in ((order + 1,) if highest else (order + 1, order + 2)):
            raise self.fault(
                f"a {order}-gram has a log-probability, {order} word{'s' * (order > 1)}"
                f"{'' if highest else ' and perhaps a back-off weight'}; this line has {len(fields)} fields."
            )
        words = (UNKNOWN if word == "<UNK>" else word for word in fields[1 : order + 1])  # KenLM takes both
        ngram = tuple(word.replace(_BLANK_IN_WORD, " ") for word in words)
        log_prob = self._logarithm(fields[0])
        if log_prob > 0:
            raise self.fault(f"log-probability {fields[0]} is above 0.")
        if ngram in self.log_probs:
            raise self.fault(f"'{' '.join(ngram)}' stands here a second time.")
        if order > 1:
            strange = [word for word in ngram if (word,) not in self.log_probs]
            if strange:
                raise self.fault(f"'{strange[0]}' is not among the 1-grams.")
            if ngram[:-1] not in self.log_probs:
                raise self.fault(f"the context '{' '.join(ngram[:-1])}' is not among the {order - 1}-grams.")
        self.log_probs[ngram] = log_prob
        if len(fields) == order + 2:
            self.backoffs[ngram] = self._logarithm(fields[-1])

    def _logarithm(self, field: str) -> float:
        try:
            value = float(field)
        except ValueError:
            value = math.nan
        if math.isnan(value) or value == math.inf:
            raise self.fault(f"{field[:40]!r} is not a number.")
        return (-99.0 if value == -math.inf else value) * _LOG10  # some tools write -inf for what cannot be
