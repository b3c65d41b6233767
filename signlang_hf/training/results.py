"""Measured results: every number that the project claims lives in ``hub_cards/results/<benchmark>.json`` and nowhere else.

Design decisions:

* The README and the cards are rendered from these files (``make cards``); nobody types a number.
* One row is one number with all that is needed to measure it again: split, n, seeds, command, versions, date.
* The **name of a metric says its unit**, so a row needs no unit field and a wrong scale is caught when it is written:
  ``*_ms`` milliseconds, ``*_minutes``, ``*_hours``, ``*_per_second``, ``*_speedup`` and ``*_ratio``, ``*_mb``, ``*_px``, ``bleu*``, ``chrf*`` and
  ``rouge*`` 0–100, ``points_lost``, ``*_difference``, ``*_count`` and the three kinds of errors plain numbers; **everything else is a rate, as a fraction**. Word and error
  rates (``wer``, ``*_wer``, ``*_error_rate``) may exceed 1.
* A speed means little alone: rows in milliseconds, per second or as a speed-up name what they were measured ``against`` in the
  same run, and the ``ratio``.
* A result that is worse than another stays in the file with ``headline=False`` and out of the tables.
"""

from __future__ import annotations

import dataclasses
import json
import math
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from signlang_hf import __version__
from signlang_hf.landmarks.files import atomic_write

RESULTS = Path("hub_cards/results")
"""Where the files lie, from the project's root."""

BENCHMARKS: Mapping[str, str] = {
    "fingerspelling-lolo": "Fingerspelled letters of 16 sign languages, leave one language out",
    "isl30-loso": "ISL-30, leave one signer out",
    "dgs30-5fold": "DGS-30, stratified 5-fold",
    "dgs30-openset": "DGS-30, real signs outside the vocabulary",
    "robustness": "Robustness to missing, noisy and turned landmarks",
    "faithfulness": "Explanations: the answer without the hottest cells",
    "phoenix14t-g2t": "PHOENIX-2014T, gloss to text",
    "isl-csltr-g2t": "ISL-CSLTR, gloss to text",
    "isl30-sentences": "Sentences composed of ISL-30 signs",
    "fingerspelled-words": "Words composed of fingerspelled letters",
    "boston104": "RWTH-BOSTON-104, continuous signing",
    "ctc-memory": "Memory of continuous recognition",
    "detector-synthetic": "Keypoint detector, synthetic pictures",
    "detector-real": "Keypoint detector, real pictures",
    "detector-speed": "Keypoint detector, speed",
    "vlm": "Vision-language model",
    "export-parity": "Exported models against PyTorch",
    "quantization": "Quantised models",
    "speed": "Speed",
    "extraction": "Landmark extraction from video",
    "streaming": "Streaming recognition",
    "load": "Serving under load",
}
"""Benchmark id → what it is, for readers."""

_PACKAGES = ("transformers", "torch", "numpy")
_WIDE = 12
"""Columns of numbers beyond which a table leaves the page."""
_SPEEDS = ("ms", "per second", "times")


@dataclass(frozen=True)
class ResultRow:
    """One measured number.

    Args:
        model: what was measured, by the name that readers know.
        split: on what: "test", "mean of 16 languages", "language=ase".
        metric: name of the metric; it says the unit (see the module's docstring).
        value: the number. Rates are fractions, times milliseconds, ``bleu``, ``chrf`` and ``rouge`` 0–100.
        n: number of clips, sentences, runs … behind it.
        command: shell command that measures it again.
        spread: standard deviation over folds or seeds, in the unit of ``value``.
        seeds: seeds that were averaged.
        against: for speeds: what the same run was compared with.
        ratio: for speeds: how many times better (or, below 1, worse) than ``against``.
        headline: whether tables show it.
        benchmark, versions, date: filled in when the row is saved.
    """

    model: str
    split: str
    metric: str
    value: float
    n: int
    command: str
    spread: float | None = None
    seeds: tuple[int, ...] = ()
    against: str | None = None
    ratio: float | None = None
    headline: bool = True
    benchmark: str = ""
    versions: Mapping[str, str] | None = None
    date: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two rows of a benchmark the same measurement."""
        return self.model, self.split, self.metric


def unit_of(metric: str) -> str:
    """Unit that a metric's name stands for: ``rate``, ``open rate`` (may exceed 1), ``score`` (0–100), ``ms``,
    ``min``, ``h``, ``per second``, ``times``, ``MB``, ``px`` or ``number``."""
    ends = {
        "ms": "ms", "minutes": "min", "hours": "h", "per_second": "per second", "speedup": "times", "ratio": "times", "mb": "MB", "px": "px",
        "difference": "number", "count": "number", "points_lost": "number", "wer": "open rate", "error_rate": "open rate",
        "substitutions": "number", "deletions": "number", "insertions": "number",
    }  # fmt: skip
    for ending, unit in ends.items():
        if metric == ending or metric.endswith("_" + ending):
            return unit
    return "score" if metric.startswith(("bleu", "chrf", "rouge")) else "rate"


def require_benchmark(name: str) -> None:
    """Raise ValueError unless ``name`` is one of :data:`BENCHMARKS`."""
    if name not in BENCHMARKS:
        raise ValueError(f"Unknown benchmark {name!r}; known are {', '.join(BENCHMARKS)}.")


def save_results(
    benchmark: str, rows: Iterable[ResultRow], *, folder: str | Path = RESULTS, replace: bool = True
) -> Path:
    """Write the rows of a benchmark to ``folder/<benchmark>.json``, with versions and date filled in where missing.

    Args:
        benchmark: one of :data:`BENCHMARKS`.
        rows: its rows, at least one.
        folder: where the results lie.
        replace: the rows take the place of the whole file; otherwise only of its rows with the same model, split and metric.

    Returns:
        The file.

    Raises:
        ValueError: an unknown benchmark, or a row that is incomplete, out of its unit's range or given twice.
    """
    require_benchmark(benchmark)
    rows = [_complete(row, benchmark) for row in rows]
    if not rows:
        raise ValueError(f"No rows to save for benchmark '{benchmark}'.")
    for row in rows:
        _check(row)
    keys = [row.key for row in rows]
    twice = sorted({" / ".join(key) for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"Benchmark '{benchmark}' has two rows for {'; '.join(twice)}.")
    path = Path(folder) / f"{benchmark}.json"
    if not replace and path.is_file():
        rows = [row for row in load_results(benchmark, folder=folder) if row.key not in set(keys)] + rows
    text = json.dumps([_as_json(row) for row in rows], indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write(path, lambda stream: stream.write(text.encode()))
    return path


def load_results(benchmark: str | None = None, *, folder: str | Path = RESULTS) -> list[ResultRow]:
    """Rows of one benchmark, or of all that were measured.

    Raises:
        FileNotFoundError: the benchmark has no results.
        ValueError: a file that does not hold valid rows, by name.
    """
    folder = Path(folder)
    if benchmark is None:
        return [row for path in sorted(folder.glob("*.json")) for row in _read(path)]
    path = folder / f"{benchmark}.json"
    if not path.is_file():
        raise FileNotFoundError(f"Benchmark '{benchmark}' has no results: {path} is missing.")
    return _read(path)


def results_table(rows: Iterable[ResultRow]) -> str:
    """Markdown table of rows, and below it how and with what they were measured. Columns that no row fills are left out."""
    rows = list(rows)
    if not rows:
        raise ValueError("No rows to show.")
    columns = {
        "Model": [row.model for row in rows],
        "Split": [row.split for row in rows],
        "Metric": [row.metric.replace("_", " ") for row in rows],
        "Value": [format_value(row) for row in rows],
        "n": [f"{row.n:,}" for row in rows],
        "Seeds": [str(len(row.seeds)) if row.seeds else "" for row in rows],
        "Against": [row.against or "" for row in rows],
        "Ratio": ["" if row.ratio is None else f"{row.ratio:.2f} ×" for row in rows],
    }
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    right = {"Value", "n", "Seeds", "Ratio"}
    lines = [
        "| " + " | ".join(columns) + " |",
        "|" + "|".join("---:" if name in right else "---" for name in columns) + "|",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in zip(*columns.values())),
        "",
    ]
    return "\n".join([*lines, *_how(rows)])


def comparison_table(rows: Iterable[ResultRow]) -> str:
    """Markdown table with one line a model and one column for each metric and split, best first by the first column. The split
    of most columns is said once, below the table, and so is a metric that all share; seeds have a column where they differ. What would
    be too wide for a page is a table for each split."""
    rows = list(rows)
    if not rows:
        raise ValueError("No rows to show.")
    splits = dict.fromkeys(row.split for row in rows)
    if len({(row.metric, row.split) for row in rows}) > _WIDE and len(splits) > 1:
        tables = [_compared([row for row in rows if row.split == split]) for split in splits]
        lines = [line for table in tables for line in (*table, "")][:-1]
    else:
        lines = _compared(rows)
    return "\n".join([*lines, *_how(rows)])


def _compared(rows: list[ResultRow]) -> list[str]:
    """The lines of a comparison, without how it was measured."""
    columns = list(dict.fromkeys((row.metric, row.split) for row in rows))
    cells = {(row.model, row.metric, row.split): row for row in rows}
    first = {model: cells.get((model, *columns[0])) for model in dict.fromkeys(row.model for row in rows)}
    fewer_is_better = unit_of(columns[0][0]) == "open rate"  # of errors
    worst = math.inf if fewer_is_better else -math.inf
    models = sorted(
        first, key=lambda model: worst if first[model] is None else first[model].value, reverse=not fewer_is_better
    )
    (common, times), *_ = Counter(split for _, split in columns).most_common(1)
    if times == 1:
        common = ""
    names = [metric.replace("_", " ") for metric, _ in columns]
    one_metric = len(set(names)) == 1 < len(columns)
    titles = [
        split if one_metric else name if split == common else f"{name} ({split})"
        for name, (_, split) in zip(names, columns)
    ]
    seeds = {model: max(len(row.seeds) for row in rows if row.model == model) for model in models}
    show_seeds = len({count for count in seeds.values() if count}) > 1
    lines = ["| " + " | ".join(["Model", *titles, *(["seeds"] if show_seeds else [])]) + " |"]
    lines.append("|---|" + "---:|" * (len(titles) + show_seeds))
    for model in models:
        found = [cells.get((model, *column)) for column in columns]
        values = ["" if row is None else format_value(row) for row in found]
        if show_seeds:
            values.append(str(seeds[model] or ""))
        lines.append("| " + " | ".join([model, *values]) + " |")
    if one_metric:
        return [*lines, "", f"Metric: {names[0]}."]
    said = [f"Split: {common}{' where a column names no other' if times < len(columns) else ''}."] if common else []
    return [*lines, "", *said]


def format_value(row: ResultRow) -> str:
    """Value and spread for readers: ``63.2 % ± 8.1``, ``4.71 ms``, ``19.26``."""
    unit = unit_of(row.metric)
    if unit in ("rate", "open rate"):
        value, spread, sign = f"{100 * row.value:.1f}", None if row.spread is None else f"{100 * row.spread:.1f}", " %"
    elif unit == "score":
        value, spread, sign = f"{row.value:.2f}", None if row.spread is None else f"{row.spread:.2f}", ""
    else:
        sign = {
            "ms": " ms",
            "min": " min",
            "h": " h",
            "per second": " /s",
            "times": " ×",
            "MB": " MB",
            "px": " px",
            "number": "",
        }[unit]
        value, spread = _significant(row.value), None if row.spread is None else _significant(row.spread)
    return value + sign + ("" if spread is None else f" ± {spread}")


def installed_versions() -> dict[str, str]:
    """Versions that a result depends on: signlang_hf, transformers, torch, numpy and Python."""
    found = {"signlang_hf": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"python": platform.python_version()}


def _how(rows: Iterable[ResultRow]) -> list[str]:
    """How and with what rows were measured: one sentence, and a list where it took several commands."""
    stands: dict[str, list[str]] = {}
    for command, stand in dict.fromkeys((row.command, _stand(row)) for row in rows):
        stands.setdefault(stand, []).append(command)
    lines = []
    for stand, (command, *more) in stands.items():
        if not more:
            lines += [f"Measured with `{command}`{stand}.", ""]
        else:
            lines += [f"Measured{stand} with", "", *(f"* `{one}`" for one in (command, *more)), ""]
    return lines[:-1]


def _significant(value: float) -> str:
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.1e}" if digits > 5 else f"{value:,.{max(0, digits)}f}"


def _stand(row: ResultRow) -> str:
    """`` on 2026-01-31 (transformers 4.57.6, …)``"""
    stand = f" on {row.date}" if row.date else ""
    if row.versions:
        stand += " (" + ", ".join(f"{package} {number}" for package, number in row.versions.items()) + ")"
    return stand


def _complete(row: ResultRow, benchmark: str) -> ResultRow:
    if row.benchmark not in ("", benchmark):
        raise ValueError(f"A row of benchmark '{row.benchmark}' cannot be saved under '{benchmark}'.")
    return dataclasses.replace(
        row,
        benchmark=benchmark,
        seeds=tuple(row.seeds),
        versions=dict(row.versions) if row.versions else installed_versions(),
        date=row.date or date.today().isoformat(),
    )


def _check(row: ResultRow) -> None:
    """Raise ValueError unless the row is complete and its numbers fit the unit."""
    where = f"{row.benchmark or 'result'}, {row.model or '?'}, {row.metric or '?'}"
    for field in ("model", "split", "metric", "command"):
        if not isinstance(getattr(row, field), str) or not getattr(row, field).strip():
            raise ValueError(f"{where}: '{field}' is empty.")
    for field in ("value", "spread", "ratio"):
        number = getattr(row, field)
        if field != "value" and number is None:
            continue
        if not isinstance(number, Real) or isinstance(number, bool) or not math.isfinite(number):
            raise ValueError(f"{where}: '{field}' is {number!r}; it must be a finite number.")
    if not isinstance(row.n, Integral) or row.n < 1:
        raise ValueError(f"{where}: n is {row.n}; it counts what was measured, so at least 1.")
    if row.spread is not None and row.spread < 0:
        raise ValueError(f"{where}: the spread is {row.spread}; a standard deviation is not negative.")
    unit = unit_of(row.metric)
    if unit == "rate" and not 0 <= row.value <= 1:
        raise ValueError(
            f"{where}: {row.value} is not a rate; rates are fractions in [0, 1], and a metric of another unit says "
            "so in its name (*_ms, *_minutes, *_hours, *_per_second, *_speedup, *_mb, *_px, *_difference, *_count, bleu*, chrf*, rouge*)."
        )
    if unit == "score" and not 0 <= row.value <= 100:
        raise ValueError(f"{where}: {row.value} is outside 0–100.")
    if unit not in ("rate", "score", "number") and row.value < 0:
        raise ValueError(f"{where}: {row.value} {unit} is negative.")
    if unit in _SPEEDS and (not row.against or row.ratio is None):
        raise ValueError(f"{where}: a speed names what it was measured 'against' in the same run, and the 'ratio'.")


def _as_json(row: ResultRow) -> dict[str, Any]:
    record = asdict(row) | {"value": float(row.value), "n": int(row.n), "seeds": [int(seed) for seed in row.seeds]}
    for field in ("spread", "ratio"):
        record[field] = None if record[field] is None else float(record[field])
    if row.against is None:
        del record["against"], record["ratio"]
    if row.headline:
        del record["headline"]
    return {"benchmark": record.pop("benchmark")} | record


def _read(path: Path) -> list[ResultRow]:
    known = {field.name for field in fields(ResultRow)}
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(records, list):
            raise ValueError("it does not hold a list of rows.")
        rows = []
        for record in records:
            unknown = sorted(set(record) - known)
            if unknown:
                raise ValueError(f"unknown field {', '.join(unknown)}.")
            row = ResultRow(**record | {"seeds": tuple(record.get("seeds", ()))})
            if row.benchmark != path.stem:
                raise ValueError(f"a row belongs to benchmark '{row.benchmark}'.")
            _check(row)
            rows.append(row)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return rows
