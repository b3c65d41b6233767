"""How much accuracy finished cross-validation models lose on damaged test clips.

    accelerate launch recipes/train_isolated.py --config recipes/configs/isl30_conv.yaml --data_dir ISL --cross_validate signer
    accelerate launch recipes/benchmark_robustness.py --config recipes/configs/isl30_conv.yaml --data_dir ISL --cross_validate signer

takes the arguments of the training and reads the models that it left below ``--output_dir``; nothing is trained. Every test clip
suffers each disturbance of :mod:`signlang_hf.training.robustness` once, in its full size. ``--mirror_margin`` reads every clip in the
mirror as well, see :mod:`signlang_hf.pipelines.sides`. The results go to ``hub_cards/results/robustness.json`` with
``--benchmark robustness``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.training.arguments import parse
from signlang_hf.training.building import saved_model, saved_processor
from signlang_hf.training.cards import launch_command
from signlang_hf.training.checkpoints import RESULTS
from signlang_hf.training.cross_validation import run_arguments
from signlang_hf.training.evaluation import predict
from signlang_hf.training.results import ResultRow, save_results
from signlang_hf.training.robustness import DISTURBANCES
from signlang_hf.training.splits import load_folds

UNDISTURBED = "undisturbed"

console = Console()


@dataclass
class SideArguments:
    """Whether clips are read in the mirror as well."""

    mirror_margin: float | None = field(
        default=None,
        metadata={"help": "Logits that a mirror image must be better known by to count; default: the model's own."},
    )


def main(argv: list[str] | None = None) -> dict[str, np.ndarray]:
    """Disturbance → (folds,) accuracies, each the mean over seeds."""
    _, data_args, args, sides = parse(argv, SideArguments)
    margin = "model" if sides.mirror_margin is None else sides.mirror_margin
    if data_args.cross_validate is None:
        raise ValueError("The models of a cross-validation are measured; give --cross_validate as in their training.")
    accuracies: dict[str, list[float]] = {name: [] for name in (UNDISTURBED, *DISTURBANCES)}
    clips = 0
    for fold, splits in load_folds(data_args):
        test = splits["test"]
        clips += len(test)
        folders = [Path(run_arguments(args, fold, seed).output_dir) for seed in data_args.seeds or [None]]
        for folder in folders:
            if not (folder / RESULTS).is_file():
                raise FileNotFoundError(f"{folder} holds no finished model; train it with train_isolated.py first.")
        models = [(saved_model(str(folder)), saved_processor(str(folder))) for folder in folders]
        for name in accuracies:
            correct = []
            for model, processor in models:
                disturbance = DISTURBANCES.get(name)
                logits, labels = predict(model, processor, test, disturbance=disturbance, mirror_margin=margin)
                correct.append(float((logits.argmax(axis=1) == labels).mean()))
            accuracies[name].append(float(np.mean(correct)))
        console.print(
            f"{fold}: " + ", ".join(f"{name} {100 * values[-1]:.1f} %" for name, values in accuracies.items())
        )
    found = {name: np.array(values) for name, values in accuracies.items()}
    show(found)
    if data_args.benchmark:
        shared = {
            "seeds": tuple(data_args.seeds or [args.seed]),
            "command": launch_command("recipes/benchmark_robustness.py", argv),
        }
        family = models[0][0].config.model_type
        name = f"{family}, {data_args.dataset}" + ("" if margin == "model" else f", mirror margin {margin:g}")
        rows = [
            ResultRow(name, split, "accuracy", float(values.mean()), clips, spread=float(values.std()), **shared)
            for split, values in found.items()
        ]
        console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
    return found


def show(accuracies: dict[str, np.ndarray]) -> None:
    """Print a line a disturbance."""
    whole = accuracies[UNDISTURBED]
    table = Table("disturbance", "top-1", "change", title=f"{len(whole)} folds")
    for name, values in accuracies.items():
        table.add_row(
            name,
            f"{100 * values.mean():.1f} ± {100 * values.std():.1f} %",
            f"{100 * (values.mean() - whole.mean()):+.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except (LeakError, ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"benchmark_robustness: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_robustness: interrupted; nothing was written.")
