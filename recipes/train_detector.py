"""Train a keypoint detector on pictures with labelled points.

    accelerate launch recipes/train_detector.py --config recipes/configs/detector_mobilenet.yaml --data_dir pictures
    accelerate launch recipes/train_detector.py --config … --model_name_or_path outputs/detector --data_dir my_frames

Every argument of the three groups (``--help`` lists them) can stand in the YAML file or on the command line; the command line
wins. Running the same command again resumes from the last checkpoint; a finished run is read and not trained again.

Where pictures come from: ``recipes/render_keypoint_images.py`` makes up any number, ``signlang label-frames`` takes frames of your own videos, and
the datasets ``keypoint_images``, ``coco_wholebody`` and ``freihand`` read what others have labelled. ``--test_sources clip.mp4`` tests on a video that is then
not learned from; ``--overfit 32`` checks that a network can learn at all.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.hub import open_repo, push_to_hub
from signlang_hf.training.cards import launch_command
from signlang_hf.training.detection import load_pictures, train_detector
from signlang_hf.training.detector_arguments import parse_detector
from signlang_hf.training.detector_cards import detector_rows, save_detector_card
from signlang_hf.training.fitting import RunResult
from signlang_hf.training.results import save_results

console = Console()


def main(argv: list[str] | None = None) -> RunResult:
    model_args, data_args, args = parse_detector(argv)
    command = launch_command("recipes/train_detector.py", argv)
    if args.push_to_hub and args.should_save:
        open_repo(**args.hub_repo)  # that a run may not push is better known before training than after it

    # Data
    splits = load_pictures(data_args, seed=args.seed)

    # Training, and the test split if there is one
    result = train_detector(model_args, data_args, args, splits)

    # Card, and the Hub
    if result.trainer.is_world_process_zero():
        shown = f"{len(splits['train'])} pictures learned by heart" if data_args.overfit else "test"
        rows = detector_rows(result, shown, command, seeds=(args.seed,)) if result.metrics else []
        if rows:
            show_result(result)
            if data_args.benchmark:
                console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
        save_detector_card(result, data_args, args, splits, command, rows)
        console.print(f"Wrote {result.folder}")
        if args.push_to_hub:
            # Not the Trainer's own push, which would replace the card.
            console.print(f"Pushed to {push_to_hub(result.folder, commit_message='End of training', **args.hub_repo)}")
    return result


def show_result(result: RunResult) -> None:
    metrics = result.metrics
    table = Table("", "PCK@0.05", "PCK@0.1", title=f"Test split, {metrics['n']} pictures, {metrics['n_points']} points")
    for name, part in (("all points", ""), ("body", "-body"), ("hands", "-hands")):
        if part and not metrics[f"n_points{part}"]:
            continue
        table.add_row(name, *(f"{100 * metrics[f'pck@{share:g}{part}']:.1f} %" for share in (0.05, 0.1)))
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(f"train_detector: {error}\nHere that is --allow_leaks true.")
    except (ValueError, FileNotFoundError, ImportError, PermissionError, ConnectionError) as error:
        sys.exit(f"train_detector: {error}")
    except KeyboardInterrupt:
        sys.exit("train_detector: interrupted; run the same command again to go on.")
