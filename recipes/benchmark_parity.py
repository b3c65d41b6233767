"""How far exported graphs are from torch, and a padded clip from the same clip alone, at many sizes.

    python recipes/benchmark_parity.py
    python recipes/benchmark_parity.py --models outputs/dgs30-conv/1 outputs/isl30-hybrid/parveen

exports each model in float32, and compares every number that its graphs answer with torch's, in batches of 1, 3 and 8 clips of 5, 37, 64 and 300
frames whose last one is padded (sentences of as many glosses for a translator; pictures have one size). In onnxruntime itself each clip
of such a batch is compared with the same clip alone; in the batch large numbers stand behind it. Without ``--models`` those are taken that come with
the package, and networks of default size with random weights of the families that classify clips. The command ends with 1 where something differs by more than
0.0001. The results go to ``hub_cards/results/export-parity.json``.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from signlang_hf import SignKeypointProcessor, pretrained
from signlang_hf.models.keypoint import (
    SignBiLSTMConfig,
    SignBiLSTMForSignClassification,
    SignConvConfig,
    SignConvForSignClassification,
    SignHybridConfig,
    SignHybridForSignClassification,
    SignTransformerConfig,
    SignTransformerForSignClassification,
)
from signlang_hf.training.cards import portable
from signlang_hf.training.results import RESULTS, ResultRow, save_results

BATCHES, FRAMES = (1, 3, 8), (5, 37, 64, 300)
FAMILIES = (
    (SignTransformerConfig, SignTransformerForSignClassification),
    (SignBiLSTMConfig, SignBiLSTMForSignClassification),
    (SignHybridConfig, SignHybridForSignClassification),
    (SignConvConfig, SignConvForSignClassification),
)
LABELS = 30
RANDOM = "random weights"

console = Console()


def main(argv: list[str] | None = None) -> list[ResultRow]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", help="folders, Hub ids or bundled names; default: see above")
    parser.add_argument("--provider", default="cpu", help="of onnxruntime")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    args = parser.parse_args(argv)
    from signlang_hf.export.parity import TOLERANCE

    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "recipes/benchmark_parity.py", *(portable(word) for word in words)])
    rows: list[ResultRow] = []
    with tempfile.TemporaryDirectory() as folder:
        models = [(name, pretrained.resolve(name)) for name in args.models or pretrained.names()]
        if not args.models:
            models += random_models(Path(folder, "random"))
        for number, (name, source) in enumerate(models):
            for row in compare(name, source, Path(folder, f"export-{number}"), args.provider, command):
                rows.append(row)
    show(rows)
    console.print(f"Wrote {save_results('export-parity', rows, folder=args.results, replace=args.models is None)}")
    far = [row for row in rows if row.value > TOLERANCE]
    if far:
        raise ValueError(f"{', '.join(f'{row.model} ({row.metric}, {row.value:.1e})' for row in far)} differ too much.")
    return rows


def random_models(folder: Path) -> Iterator[tuple[str, str]]:
    """A name for rows, and the folder of a network of default size, for each family that classifies clips."""
    for config_class, model_class in FAMILIES:
        processor = SignKeypointProcessor(layout="isl-48")
        names = {"id2label": {place: f"sign {place}" for place in range(LABELS)}}
        torch.manual_seed(0)
        where = folder / config_class.model_type
        model_class(config_class(input_size=processor.feature_size, **names)).eval().save_pretrained(where)
        processor.save_pretrained(where)
        yield RANDOM, str(where)


def compare(name: str, source: str, out: Path, provider: str, command: str) -> Iterator[ResultRow]:
    """Export a model, and compare each of its graphs."""
    from signlang_hf.export import export_model
    from signlang_hf.export.parity import graphs_of, largest_difference, padding_difference

    export_model(source, out)
    for graph in graphs_of(source, out):
        shapes: Sequence[tuple[int, int]] = list(product(BATCHES, FRAMES))
        if "pixel_values" in graph.config.inputs:
            shapes = [(batch, 1) for batch in BATCHES]
        of = portable(name) + ("" if graph.member == "." else f"/{graph.member}")
        shared = {
            "model": f"{graph.kind} ({of})",
            "split": "all shapes",
            "n": len(shapes),
            "command": command,
        }
        with_torch = largest_difference(graph.model, graph.config, graph.path, shapes, provider)
        yield ResultRow(metric="torch_difference", value=with_torch, **shared)
        alone = padding_difference(graph.config, graph.path, shapes, provider)
        yield ResultRow(metric="padding_difference", value=alone, **shared)


def show(rows: list[ResultRow]) -> None:
    """Print a line a graph."""
    table = Table("graph", "shapes", "to torch", "padded to alone")
    for first, second in zip(rows[::2], rows[1::2]):
        table.add_row(first.model, str(first.n), f"{first.value:.1e}", f"{second.value:.1e}")
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"benchmark_parity: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_parity: interrupted; nothing was written.")
