"""Train a detector that comes with the package, and put it on the package's shelf in half precision.

    accelerate launch recipes/bundle_detector.py --name detector --config recipes/configs/detector_mobilenet.yaml --data_dir pictures

takes the arguments of ``train_detector.py`` and ``--name``. Training that is finished is read. The card states what the half-precision weights reach on the
test split at one look; what is put on the shelf brings no code: its classes are those of the installation. A detector of hands in the folder ``hands`` of the run,
trained before, comes along.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from transformers import AutoImageProcessor, AutoModelForKeypointDetection, BaseImageProcessor, PreTrainedModel

from signlang_hf import pretrained
from signlang_hf.data.leaks import LeakError
from signlang_hf.models.detector.processing_hands import FOLDER as HANDS
from signlang_hf.training.arguments import parse
from signlang_hf.training.cards import launch_command
from signlang_hf.training.checkpoints import write_json
from signlang_hf.training.detection import load_pictures, measure, train_detector
from signlang_hf.training.detector_arguments import DetectorArguments, DetectorTrainingArguments, PictureArguments
from signlang_hf.training.detector_cards import detector_rows, save_detector_card
from signlang_hf.training.shelf import BundleArguments, put_on_shelf

console = Console()


@dataclass
class DetectorBundleArguments(BundleArguments):
    """How it is put there."""

    keypoint_threshold: float | None = field(
        default=None,
        metadata={"help": "Score from which a point is shown where nobody says another. Default: as trained."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keypoint_threshold is not None and not 0 <= self.keypoint_threshold <= 1:
            raise ValueError(f"keypoint_threshold is {self.keypoint_threshold}; it must be in [0, 1].")


def main(argv: list[str] | None = None) -> Path:
    groups = (DetectorArguments, PictureArguments, DetectorTrainingArguments)
    model_args, data_args, args, bundle = parse(argv, DetectorBundleArguments, groups=groups)
    splits = load_pictures(data_args, seed=args.seed)
    if "test" not in splits:
        raise ValueError("There is no test split to measure the model on.")
    result = train_detector(model_args, data_args, args, splits)
    if args.should_save:
        trainer = result.trainer
        command = launch_command("recipes/bundle_detector.py", argv)
        with TemporaryDirectory() as folder:
            if bundle.keypoint_threshold is not None:
                trainer.processing_class.keypoint_threshold = bundle.keypoint_threshold
            save_half(trainer.model, trainer.processing_class, folder)
            trainer.model.float()  # the weights as they were rounded
            result = replace(result, folder=Path(folder), metrics=measure(trainer, data_args, splits["test"]))
            rows = detector_rows(result, "test", command, seeds=(args.seed,))
            save_detector_card(result, data_args, args, splits, command, rows, name=bundle.name, bundled=True)
            shelved = put_on_shelf(Path(folder), bundle.name)
        hands = Path(str(args.output_dir)) / HANDS
        if (hands / "config.json").is_file():
            with TemporaryDirectory() as folder:
                save_half(
                    AutoModelForKeypointDetection.from_pretrained(hands),
                    AutoImageProcessor.from_pretrained(hands),
                    folder,
                )
                if (hands / "README.md").is_file():  # a fine-tuning in a benchmark writes none
                    shutil.copy(hands / "README.md", folder)
                put_on_shelf(Path(folder), f"{bundle.name}/{HANDS}")
        console.print(f"PCK@0.05 {100 * result.metrics['pck@0.05']:.1f} %. Wrote {shelved}")
    return pretrained.FOLDER / bundle.name


def save_half(model: PreTrainedModel, processor: BaseImageProcessor, folder: str) -> None:
    """Stored in half precision, computed in single: few CPUs are fast, or exact, in the former."""
    model.half().save_pretrained(folder)
    processor.save_pretrained(folder)
    config = Path(folder) / "config.json"
    write_json(config, json.loads(config.read_text()) | {"dtype": "float32"})


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(f"bundle_detector: {error}\nHere that is --allow_leaks true.")
    except (ValueError, FileNotFoundError, ImportError, PermissionError) as error:
        sys.exit(f"bundle_detector: {error}")
    except KeyboardInterrupt:
        sys.exit("bundle_detector: interrupted; run the same command again to go on.")
