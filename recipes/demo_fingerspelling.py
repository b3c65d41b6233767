"""The main job in one go: train on real finger spelling, load the model back, recognise letters that it has never seen.

    make demo                      # American Sign Language held out
    make demo VIDEO=my_sign.mp4    # and then the sign in your own video

Trains the small keypoint Transformer of ``recipes/configs/fingerspelling_transformer.yaml`` on the letters of 15 sign languages
and reads those of the sixteenth through ``pipeline("sign-recognition")``. Everything is written to ``outputs/demo``; running it
again takes the model that is there. No network is needed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import train_isolated
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForVideoClassification, pipeline

import signlang_hf
from signlang_hf.data.fingerspelling import read_lexicon
from signlang_hf.landmarks.files import atomic_write
from signlang_hf.video import draw_landmarks, read_video, skeleton_strip, write_video

CONFIG = Path(__file__).parent / "configs" / "fingerspelling_transformer.yaml"
HELD_OUT = "ase"
# A few clips of each language are kept to draw the learning curve; nothing is chosen by them.
VALIDATION = ["--validation_size", "0.07", "--keep_best", "false"]

console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", help="a video of your own to recognise afterwards")
    parser.add_argument("--output_dir", default="outputs/demo", help="where everything goes")
    arguments, training_arguments = parser.parse_known_args()
    if arguments.video is not None and not Path(arguments.video).is_file():
        raise FileNotFoundError(f"Video not found: {arguments.video}")
    folder = Path(arguments.output_dir)

    console.rule(f"1. Train on 15 sign languages, {HELD_OUT} held out")
    start = time.perf_counter()
    train_isolated.main(
        [
            "--config",
            str(CONFIG),
            "--output_dir",
            str(folder),
            "--disable_tqdm",
            "false",
            *VALIDATION,
            *training_arguments,
        ]
    )

    console.rule("2. Load the model back and recognise the letters of American Sign Language")
    model = AutoModelForVideoClassification.from_pretrained(folder)
    pipe = pipeline("sign-recognition", model=str(folder))
    console.print(f"{type(model).__name__}, {model.num_parameters():,} parameters, {model.config.num_labels} labels")
    clips = [row for row in read_lexicon() if row["language"] == HELD_OUT]
    predictions = pipe([str(clip["file"]) for clip in clips], top_k=5, batch_size=8)
    show_table(clips, predictions)
    show_accuracy(clips, predictions, json.loads((folder / "results.json").read_text()))

    console.rule("3. Look at it")
    # The letter to draw: of those that it read right, the one that it is surest of.
    clip, prediction = max(
        zip(clips, predictions), key=lambda pair: (pair[0]["letter"] == pair[1][0]["label"], pair[1][0]["score"])
    )
    sequence = signlang_hf.load_landmarks(clip["file"])
    pictures = [save_strip(sequence, title(prediction, truth=clip["letter"]), folder / "skeleton.png")]
    pictures += [folder / name for name in ("learning_curve.png", "confusion_matrix.png")]
    if arguments.video is not None:
        pictures += recognise_video(pipe, arguments.video, folder)
    for picture in pictures:
        console.print(f"  picture       {picture}")
    console.print(f"  per letter    {folder / 'per_class.csv'}")
    console.print(f"  model, card   {folder}/ (README.md is the card)")
    console.print(f"Training to last picture: {time.perf_counter() - start:.0f} s")


def title(prediction: list[dict], truth: str | None = None) -> str:
    best = prediction[0]
    said = f"{best['label']} ({100 * best['score']:.0f} %)" if best["label"] is not None else best["message"]
    return f"recognised: {said}" + (f" · truth: {truth}" if truth is not None else "")


def show_table(clips: list[dict], predictions: list[list[dict]]) -> None:
    table = Table("clip", "truth", "1st", "2nd", "3rd", title="American Sign Language, not in the training data")
    for clip, prediction in zip(clips, predictions):
        right = prediction[0]["label"] == clip["letter"]
        cells = [f"{row['label']} {100 * row['score']:3.0f} %" for row in prediction[:3]]
        cells[0] = f"[{'green' if right else 'red'}]{cells[0]}[/]"
        table.add_row(f"{HELD_OUT}/…{Path(clip['file']).stem[-6:]}", clip["letter"], *cells)
    console.print(table)


def show_accuracy(clips: list[dict], predictions: list[list[dict]], results: dict) -> None:
    top1 = sum(clip["letter"] == rows[0]["label"] for clip, rows in zip(clips, predictions)) / len(clips)
    top5 = sum(clip["letter"] in {row["label"] for row in rows} for clip, rows in zip(clips, predictions)) / len(clips)
    baseline = results["baseline"]
    table = Table("", "top-1", "top-5", title=f"{len(clips)} letters of a sign language that was not trained on")
    table.add_row("this model", f"{100 * top1:.1f} %", f"{100 * top5:.1f} %")
    table.add_row(
        "1-nearest-neighbour", f"{100 * baseline['accuracy']:.1f} %", f"{100 * baseline['top5_accuracy']:.1f} %"
    )
    table.add_row("chance", f"{100 / 26:.1f} %", f"{500 / 26:.1f} %")
    console.print(table)


def save_strip(sequence: signlang_hf.LandmarkSequence, heading: str, path: Path) -> Path:
    buffer = io.BytesIO()
    skeleton_strip(sequence, title=heading).save(buffer, format="PNG")
    atomic_write(path, lambda stream: stream.write(buffer.getvalue()))
    return path


def recognise_video(pipe: object, video: str, folder: Path) -> list[Path]:
    """The user's own video: landmarks, prediction, a strip of skeletons and the video with both drawn onto it."""
    from signlang_hf import estimate_video

    sequence = estimate_video(video, pipe.estimator)
    prediction = pipe(sequence, top_k=5)
    for row in prediction:
        console.print(f"  {video}: {row['label']}  {100 * row['score']:.1f} %")
    name = Path(video).stem
    if not sequence.seen.any():
        return []
    strip = save_strip(sequence, title(prediction), folder / f"{name}_skeleton.png")
    frames = read_video(video)
    overlay = write_video(
        folder / f"{name}_overlay.mp4", draw_landmarks(frames, sequence, text=title(prediction)), frames.fps
    )
    return [strip, overlay]


if __name__ == "__main__":
    try:
        main()
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"demo: {error}")
