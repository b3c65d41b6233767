"""Tiny pictures of people who are 64 coloured dots: a detector learns them in seconds."""

from __future__ import annotations

import colorsys
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_signs import ROOT, load_recipe

from signlang_hf.landmarks import get_layout

NAMES = get_layout("signlang-64").points
TRAIN = ROOT / "recipes" / "train_detector.py"
FLAGS = {
    "model": '{"backbone": "mobilenet_v3_small", "image_size": 64, "deconv_width": 16, "sigma": 1.0}',
    "num_train_epochs": 2,
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 8,
    "panel_size": 2,
    "use_cpu": True,
    "disable_tqdm": True,
    "report_to": "none",
}
_SHAPE = np.random.default_rng(5).uniform(0.1, 0.9, (64, 2))
_COLOURS = np.array([colorsys.hsv_to_rgb(i / 64, 1.0, 1.0) for i in range(64)])


def dotted(number: int, size: tuple[int, int] = (96, 80)) -> tuple[Image.Image, np.ndarray]:
    """Picture ``number`` and its points (64, 2) in pixels."""
    rng = np.random.default_rng([11, number])
    points = _SHAPE * rng.uniform(0.6, 0.9) * min(size) + rng.uniform(0, 8, 2)
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    pixels = np.full((size[1], size[0], 3), rng.uniform(0, 0.3))
    for point, colour in zip(points, _COLOURS):
        near = np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / 4)[..., None]
        pixels = pixels * (1 - near) + colour * near
    return Image.fromarray((255 * pixels).astype(np.uint8)), points


def write_pictures(
    folder: Path, numbers: Sequence[int], *, hidden: Sequence[str] = (), source: str | None = None
) -> Path:
    """``images/`` and ``labels/`` of these pictures in ``folder``; every three of them are of one source unless one is given."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image, points = dotted(number)
        image.save(folder / "images" / f"{number:04d}.png")
        label = {
            "image": f"{number:04d}.png", "width": image.width, "height": image.height,
            "source": source or f"video-{number // 3}",
            "keypoints": [
                {"name": name, "x": float(x), "y": float(y), "visible": int(name not in hidden)}
                for name, (x, y) in zip(NAMES, points)
            ],
        }  # fmt: skip
        (folder / "labels" / f"{number:04d}.json").write_text(json.dumps(label))
    return folder


class TinyPictures:
    """``train(output_dir, **flags)`` runs the recipe on pictures in ``folder``, which has the splits train, validation and test."""

    def __init__(self, base: Path) -> None:
        self.folder, self.cache = base / "pictures", base / "cache"
        for split, numbers in (("train", range(24)), ("validation", range(24, 30)), ("test", range(30, 36))):
            write_pictures(self.folder / split, numbers)

    def arguments(self, output_dir: Path, **flags: Any) -> list[str]:
        settings = FLAGS | {"data_dir": self.folder, "output_dir": output_dir} | flags
        words: list[str] = []
        for name, value in settings.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            words += [f"--{name}", *(str(one) for one in values)]
        return words

    def train(self, output_dir: Path, recipe: str = "train_detector", **flags: Any) -> Any:
        return _recipe(recipe).main(self.arguments(output_dir, **flags))


@functools.cache
def _recipe(name: str) -> Any:
    return load_recipe(TRAIN.with_name(f"{name}.py"))


@pytest.fixture(scope="session")
def tiny_pictures(tmp_path_factory: pytest.TempPathFactory) -> TinyPictures:
    """Pictures on disk and the recipe that learns them."""
    return TinyPictures(tmp_path_factory.mktemp("tiny_pictures"))


@pytest.fixture(scope="session")
def trained_detector(tiny_pictures: TinyPictures, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run: what the recipe returned."""
    return tiny_pictures.train(tmp_path_factory.mktemp("detector") / "run")
