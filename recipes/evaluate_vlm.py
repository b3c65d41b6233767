"""What fine-tuning has brought: a video language model with its adapter against the same base without it, on the same clips.

    python recipes/evaluate_vlm.py --model outputs/wlasl-vlm --data_dir rows
    python recipes/evaluate_vlm.py --model outputs/wlasl-vlm --data_dir rows --split validation --max_clips 100 --out report

Both choose among the same labels (constrained decoding), so the base is measured at its best; what it says freely is in the examples. Writes
``accuracy.json``, ``confusion.png``, ``per_class.csv`` (of the fine-tuned one), ``predictions.jsonl`` and ``examples.png`` into ``--out``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from signlang_hf.landmarks.files import atomic_write
from signlang_hf.training.cards import portable
from signlang_hf.training.checkpoints import write_json
from signlang_hf.training.reports import confusion_matrix, new_figure, per_class_table, save_figure
from signlang_hf.training.results import ResultRow, save_results

if TYPE_CHECKING:
    from datasets import Dataset

BEFORE, AFTER = "base", "fine-tuned"
METRICS = ("accuracy", "accuracy_synonyms", "top5_accuracy")
_EXAMPLES = 8
console = Console()


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a fine-tuned model")
    parser.add_argument("--base_path", help="where its base lies, if it cannot be had from the Hub")
    parser.add_argument("--data_dir", required=True, help="folder of rows, as signlang wlasl build writes them")
    parser.add_argument("--dataset", default="sign_videos", help="name of the dataset that reads it")
    parser.add_argument("--split", default="test")
    parser.add_argument("--max_clips", type=int, help="only the first so many clips, spread over the split")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cuda, dml, mps or cpu")
    parser.add_argument("--quantization", choices=["4bit", "none"], help="default: as the model was trained")
    parser.add_argument("--out", type=Path, help="folder of the report; default: evaluation in the model's folder")
    parser.add_argument("--benchmark", help="name of the results file; without it nothing is written there")
    args = parser.parse_args(argv)
    if args.batch_size < 1 or (args.max_clips is not None and args.max_clips < 1):
        parser.error("--batch_size and --max_clips must be at least 1.")
    if args.out is None:
        args.out = Path(args.model) / "evaluation" if Path(args.model).is_dir() else Path("evaluation")
    return args


def free_answers(model: Any, processor: Any, rows: Dataset) -> list[str]:
    """What the model says of each clip when nothing binds it."""
    answers = []
    for row in rows:
        batch = processor(row, row.get("prompt") or processor.prompt).to(model.device)
        ids = model.generate(**batch, max_new_tokens=16, do_sample=False)
        answers += processor.decode(ids, batch["input_ids"].shape[1])
    return answers


def shortened(answer: str, most: int = 24) -> str:
    """An answer as it fits into a line of a picture: what is no letter of one, such as a line's end, is a space."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in answer).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def write_examples(
    rows: Dataset, processor: Any, said: dict[str, list[str]], path: Path, answered: dict[str, list[str]]
) -> Path:
    """A picture: a row a clip, its frames, its gloss and what both answer, among the labels and freely."""
    figure = new_figure(1.25 * processor.num_frames + 2.6, 1.3 * len(rows))
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for index, (axis, row) in enumerate(zip(axes, rows)):
        frames = processor.frames(row)
        axis.imshow(np.concatenate(list(frames), axis=1))
        axis.set_axis_off()
        words = [
            f"{name}: {answered[name][index]} (freely: {shortened(said[name][index])})" for name in (BEFORE, AFTER)
        ]
        axis.set_title("  ·  ".join([f"true: {row['gloss']}", *words]), fontsize=7, loc="left", parse_math=False)
    return save_figure(figure, path)


def main(argv: list[str] | None = None) -> dict[str, dict[str, Any]]:
    from signlang_hf.data import load_dataset
    from signlang_hf.models.internvl import SignInternVLForConditionalGeneration, SignInternVLProcessor
    from signlang_hf.training.vlm import readable_clips
    from signlang_hf.training.vlm_evaluation import gloss_scores, label_probabilities

    args = arguments(argv)
    splits = load_dataset(args.dataset, args.data_dir, on_error="skip")
    if args.split not in splits:
        raise ValueError(f"There is no split '{args.split}'; the dataset has {', '.join(splits)}.")
    rows = readable_clips(splits[args.split], args.split)
    if args.max_clips and args.max_clips < len(rows):
        rows = rows.select(np.linspace(0, len(rows) - 1, args.max_clips).round().astype(int))
    given = {"quantization": None if args.quantization == "none" else args.quantization} if args.quantization else {}
    model = SignInternVLForConditionalGeneration.from_pretrained(
        args.model, base=args.base_path, device=args.device, **given
    )
    processor = SignInternVLProcessor.for_model(model)
    shown = rows.select(np.linspace(0, len(rows) - 1, min(_EXAMPLES, len(rows))).round().astype(int))

    found: dict[str, dict[str, Any]] = {}
    answers: dict[str, list[str]] = {}
    said: dict[str, list[str]] = {}
    probabilities: dict[str, np.ndarray] = {}
    with model.released():
        for name in (BEFORE, AFTER):
            with model.without_adapter() if name == BEFORE else nullcontext():
                probabilities[name] = label_probabilities(model, processor, rows, batch_size=args.batch_size)
                said[name] = free_answers(model, processor, shown)
            found[name] = gloss_scores(probabilities[name], rows, model)
            answers[name] = [model.config.labels[best] for best in probabilities[name].argmax(1)]

    # The report
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "accuracy.json", found)
    lines = [
        json.dumps({"id": row["id"], "gloss": row["gloss"], **{name: answers[name][index] for name in answers}})
        for index, row in enumerate(rows.select_columns(["id", "gloss"]))
    ]
    atomic_write(args.out / "predictions.jsonl", lambda stream: stream.write(("\n".join(lines) + "\n").encode()))
    if not found[AFTER]["outside_count"]:
        labels = model.config.labels
        used = sorted(
            {model.config.label2id[gloss] for gloss in rows["gloss"]} | set(probabilities[AFTER].argmax(1).tolist())
        )
        place = {label: index for index, label in enumerate(used)}
        predicted = np.array([place[label] for label in probabilities[AFTER].argmax(1)])
        references = np.array([place[model.config.label2id[gloss]] for gloss in rows["gloss"]])
        names = [labels[label] for label in used]
        confusion_matrix(predicted, references, names, args.out / "confusion.png", title=f"{AFTER}, {args.split}")
        per_class_table(predicted, references, names, args.out / "per_class.csv")
    where = {id_: index for index, id_ in enumerate(rows["id"])}
    picked = {name: [answers[name][where[id_]] for id_ in shown["id"]] for name in answers}
    write_examples(shown, processor, said, args.out / "examples.png", picked)

    show(found, len(rows), args.split)
    if args.benchmark:
        command = shlex.join(
            ["python", "recipes/evaluate_vlm.py", *map(portable, sys.argv[1:] if argv is None else argv)]
        )
        results = [
            ResultRow(model=f"{Path(model.config.base).name}, {name}", split=args.split, metric=metric, value=scores[metric], n=len(rows), command=command)
            for name, scores in found.items() for metric in METRICS
        ]  # fmt: skip
        console.print(f"Wrote {save_results(args.benchmark, results, replace=False)}")
    console.print(f"Wrote {args.out}")
    return found


def show(found: dict[str, dict[str, Any]], count: int, split: str) -> None:
    table = Table(
        "", "the gloss itself", "with its synonyms", "among the best five", title=f"{count} clips of '{split}'"
    )
    for name, scores in found.items():
        table.add_row(name, *(f"{100 * scores[metric]:.1f} %" for metric in METRICS))
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ImportError, MemoryError) as error:
        sys.exit(f"evaluate_vlm: {error}")
    except KeyboardInterrupt:
        sys.exit("evaluate_vlm: interrupted.")
