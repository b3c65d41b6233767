"""Arguments of ``recipes/train_detector.py``: what they have beyond those of every training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .arguments import DataArguments, FittingArguments, NetworkArguments, parse
from .image_augment import ImageAugmentConfig
from .keypoint_views import LOOKS


@dataclass
class DetectorArguments(NetworkArguments):
    """What is trained to find points in pictures."""

    model_type: str = field(default="signlang_detector", metadata={"help": "Family of a model trained from scratch."})


@dataclass
class PictureArguments(DataArguments):
    """What it is trained on."""

    dataset: str = field(
        default="keypoint_images", metadata={"help": "Registered name of a dataset of pictures with points, or Hub id."}
    )
    more_data_dirs: list[str] | None = field(
        default=None, metadata={"help": "Further folders of the same dataset, whose training splits are learned too."}
    )
    more_pictures: int | None = field(
        default=None, metadata={"help": "Learn only the first so many pictures of each of these folders."}
    )
    test_sources: list[str] | None = field(
        default=None,
        metadata={
            "help": "Hold the pictures of these sources (videos) out of training and validation and report on those of the "
            "training split."
        },
    )
    look_at: str = field(
        default="person",
        metadata={
            "help": "Evaluate on the person's box ('person') or on the whole picture ('image'); or train and evaluate on hands "
            "('hand'), each a picture of its own and the left ones mirrored."
        },
    )
    padding: float = field(
        default=1.25, metadata={"help": "How much larger than its box a view of a person or hand is."}
    )
    overfit: int = field(
        default=0,
        metadata={
            "help": "Train and test on the first so many pictures of the training split, unchanged: a check that the model can "
            "learn at all. 0 does not."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.look_at not in LOOKS:
            raise ValueError(f"look_at is {self.look_at!r}; choose {', '.join(map(repr, LOOKS))}.")
        if not 1 <= self.padding <= 4:
            raise ValueError(f"padding is {self.padding}; it must be in [1, 4].")
        if self.more_pictures is not None and self.more_pictures < 1:
            raise ValueError(f"more_pictures is {self.more_pictures}; it must be at least 1.")
        if self.overfit < 0:
            raise ValueError(f"overfit is {self.overfit}; it must be a number of pictures, or 0.")
        if self.cross_validate or self.test_signers or self.validation_by != "clip":
            raise ValueError(
                "Pictures are held out by their source: --test_sources, or folders train, validation and test."
            )
        settings = dict(self.augment)
        if not isinstance(settings.pop("enabled", True), bool):
            raise ValueError(f"Augmentation setting enabled is {self.augment['enabled']!r}; it must be true or false.")
        self.image_augment = ImageAugmentConfig.from_dict(settings)
        if self.look_at == "hand":  # a mirrored right hand is a left one, and a picture of a hand shows little else
            self.image_augment = replace(self.image_augment, flip=0.0, hand_crop=0.0, whole_image=0.0)


@dataclass
class DetectorTrainingArguments(FittingArguments):
    """Arguments of a training on pictures."""

    output_dir: str | None = field(default="outputs/detector", metadata={"help": "Where model and reports go."})
    learning_rate: float = field(default=1e-3, metadata={"help": "As in transformers."})
    num_train_epochs: float = field(default=30, metadata={"help": "As in transformers."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "As in transformers."})
    metric_for_best_model: str | None = field(default="pck@0.05", metadata={"help": "As in transformers."})
    channels_last: bool = field(
        default=True,
        metadata={"help": "Keep the channels of a pixel together in memory: faster on CPUs and tensor cores."},
    )
    panel_size: int = field(
        default=8,
        metadata={"help": "Validation pictures that are drawn after each evaluation, for TensorBoard; 0 draws none."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.panel_size < 0:
            raise ValueError(f"panel_size is {self.panel_size}; it must be a number of pictures, or 0.")


def parse_detector(
    argv: list[str] | None = None,
) -> tuple[DetectorArguments, PictureArguments, DetectorTrainingArguments]:
    """The argument groups of ``train_detector``; see :func:`.arguments.parse`."""
    return parse(argv, groups=(DetectorArguments, PictureArguments, DetectorTrainingArguments))


__all__ = ["DetectorArguments", "DetectorTrainingArguments", "PictureArguments", "parse_detector"]
