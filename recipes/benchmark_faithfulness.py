"""Whether explanations are true: what is left of the right answer when the hottest cells of a clip are deleted.

    python recipes/benchmark_faithfulness.py --model outputs/demo --dataset fingerspelling

Of every clip the model's true label is explained, the hottest 20 % of the (time, joint) cells that reach the model are set to missing
in the clip's landmarks, and the clip goes through processor and model again. Compared with that: as many cells at random, and the
explanation's own pattern moved to other joints and moments (see :mod:`signlang_hf.explain.faithfulness`), averaged over several draws.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from signlang_hf import load_dataset
from signlang_hf.cli import load_pipeline
from signlang_hf.explain import EXPLAINERS, Deletion, deletion_test
from signlang_hf.landmarks.rows import to_sequence
from signlang_hf.training.evaluation import label_names, label_positions
from signlang_hf.training.results import RESULTS, ResultRow, save_results


def measure(pipe: Any, rows: Any, options: argparse.Namespace) -> dict[str, list[Deletion]]:
    """Method → deletion test of every clip."""
    explainers = {method: EXPLAINERS[method](pipe.model, pipe.feature_extractor) for method in options.methods}
    positions = label_positions(pipe.model, label_names(rows))
    tests: dict[str, list[Deletion]] = {method: [] for method in explainers}
    skipped = 0
    for number, row in enumerate(tqdm(rows, unit="clip")):
        clip, label = to_sequence(row), int(positions[int(row["label"])])
        if len(clip) < 3 or not clip.seen.any():
            skipped += 1
            continue
        for method, explainer in explainers.items():
            explanation = explainer.generate(clip, label=label)
            test = deletion_test(
                pipe.model, pipe.feature_extractor, explanation, share=options.share, repeats=options.repeats,
                seed=options.seed + number,
            )  # fmt: skip
            tests[method].append(test)
    if skipped:
        print(f"left out {skipped} clips with fewer than 3 frames or nobody in them", file=sys.stderr)
    return tests


def result_rows(name: str, tests: dict[str, list[Deletion]], share: float, shared: dict[str, Any]) -> list[ResultRow]:
    """What the true label's probability falls to, and in how many clips it falls further than under each control."""
    part = f"{100 * share:g} %"
    rows = []
    for method, found in tests.items():
        model, n = f"{name}, {method}", len(found)
        whole, top = (np.array([getattr(test, field) for test in found]) for field in ("whole", "top"))
        rows.append(ResultRow(model, "whole clips", "true_label_score", float(whole.mean()), n, **shared))
        rows.append(ResultRow(model, f"without the hottest {part}", "true_label_score", float(top.mean()), n, **shared))
        for field, what in (("random", f"random {part}"), ("matched", f"{part} in the same pattern elsewhere")):
            draws = np.stack([getattr(test, field) for test in found])  # (n, repeats)
            means = draws.mean(axis=0)
            rows.append(
                ResultRow(
                    model,
                    f"without {what}",
                    "true_label_score",
                    float(means.mean()),
                    n,
                    spread=float(means.std()),
                    **shared,
                )
            )
            worse = float((top < draws.mean(axis=1)).mean())
            rows.append(
                ResultRow(model, f"hottest {part} against {what}", "share_of_clips_hurt_more", worse, n, **shared)
            )
    return rows


def main(arguments: list[str] | None = None) -> list[ResultRow]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder or Hub id")
    parser.add_argument("--name", help="name of the model in the results; default: its folder's")
    parser.add_argument("--dataset", required=True, help="registered dataset, Parquet folder or Hub id")
    parser.add_argument("--data_dir", help="folder with the dataset's source")
    parser.add_argument("--options", type=json.loads, default={}, help="options of the dataset as JSON")
    parser.add_argument("--split", default="test")
    parser.add_argument("--clips", type=int, help="at most so many clips, drawn at random; default: all")
    parser.add_argument("--methods", nargs="+", choices=list(EXPLAINERS), default=list(EXPLAINERS))
    parser.add_argument("--share", type=float, default=0.2, help="share of the cells to delete")
    parser.add_argument("--repeats", type=int, default=10, help="draws of each control")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    options = parser.parse_args(arguments)
    if options.clips is not None and options.clips < 1:
        parser.error("--clips must be at least 1.")

    try:
        pipe = load_pipeline(options.model)
        rows = load_dataset(options.dataset, options.data_dir, split=options.split, **options.options)
        if options.clips is not None and options.clips < len(rows):
            rows = rows.shuffle(seed=options.seed).select(range(options.clips))
        tests = measure(pipe, rows, options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if not any(tests.values()):
        parser.error("There is no clip to explain.")
    words = sys.argv[1:] if arguments is None else arguments
    shared = {"command": shlex.join(["python", "recipes/benchmark_faithfulness.py", *words]), "seeds": (options.seed,)}
    results = result_rows(options.name or Path(options.model).name, tests, options.share, shared)
    for row in results:
        print(f"{row.model:<40} {row.split:<62} {100 * row.value:5.1f} %")
    print(f"wrote {save_results('faithfulness', results, folder=options.results, replace=False)}")
    return results


if __name__ == "__main__":
    main()
