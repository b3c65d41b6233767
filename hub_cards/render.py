"""Renders the measured results into Markdown files: ``python hub_cards/render.py [--check] [README.md …]``.

Everything between ``<!-- results:<benchmark> -->`` and ``<!-- /results -->`` is replaced by the table of that benchmark's
headline rows from ``hub_cards/results/<benchmark>.json``; ``<!-- results:<benchmark> all -->`` takes the other rows too, and
``<!-- results:<benchmark> compare -->`` puts the headline rows of a model in one line.
Rendering twice changes nothing. With ``--check`` nothing is written, and a file that is not up to date ends in exit code 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from signlang_hf.landmarks.files import atomic_write
from signlang_hf.training.results import RESULTS, comparison_table, load_results, results_table

ROOT = Path(__file__).resolve().parent.parent
_START = re.compile(r"<!-- results:(?P<benchmark>[\w.-]+)(?: (?P<form>all|compare))? -->")
_END = "<!-- /results -->"


def render(text: str, results: Path) -> str:
    """``text`` with a fresh table in each results block.

    Raises:
        FileNotFoundError: a block names a benchmark without results.
        ValueError: a block is not closed.
    """
    parts, position = [], 0
    while start := _START.search(text, position):
        end = text.find(_END, start.end())
        following = _START.search(text, start.end())
        if end < 0 or (following and following.start() < end):
            raise ValueError(f"The block {start.group()} is not closed by {_END}.")
        rows = load_results(start["benchmark"], folder=results)
        shown = [row for row in rows if row.headline or start["form"] == "all"]
        table = comparison_table(shown) if start["form"] == "compare" else results_table(shown)
        parts += [text[position : start.end()], "\n", table, "\n"]
        position = end
    return "".join(parts) + text[position:]


def _replace(path: Path, text: str) -> None:
    atomic_write(path, lambda stream: stream.write(text.encode()))


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Render measured results into Markdown files.")
    parser.add_argument("files", nargs="*", type=Path, default=[ROOT / "README.md"], help="default: the README")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is not up to date")
    parser.add_argument("--results", type=Path, default=ROOT / RESULTS, help="folder with the results files")
    options = parser.parse_args(arguments)
    stale = 0
    for path in options.files:
        try:
            text = path.read_text(encoding="utf-8")
            rendered = render(text, options.results)
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 2
        if rendered == text:
            continue
        stale += 1
        if options.check:
            print(f"{path} is not up to date with {options.results}; run 'make cards'.", file=sys.stderr)
        else:
            _replace(path, rendered)
            print(f"rendered {path}")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
