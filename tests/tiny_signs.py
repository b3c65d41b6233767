"""A tiny data set that can be learned in seconds: four generated signs by three signers, and how to train on it.

A sign is one shape of two hands; every clip bends it in its own way, so no two clips are near-duplicates.
"""

from __future__ import annotations

import csv
import functools
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "train_isolated.py"
WORDS = ("book", "drink", "house", "thanks")
SIGNERS = ("anna", "ben", "cleo")
REPETITIONS = 4
TINY_MODEL = (
    '{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,'
    ' "embedding_size": 16, "hidden_dropout": 0.1}'
)
FLAGS = {
    "dataset": "landmark_folder",
    "model": TINY_MODEL,
    "num_train_epochs": 2,
    "per_device_train_batch_size": 8,
    "learning_rate": 0.01,
    "lr_scheduler_type": "constant",
    "use_cpu": True,
    "disable_tqdm": True,
    "report_to": "none",
}
"""What every run of a test starts from."""


def tiny_clip(word: int, signer: int, repetition: int, frames: int = 8) -> LandmarkSequence:
    """One clip of one sign: a shape, this signer's style, and chance."""
    shape = np.random.default_rng([1, word]).normal(0, 0.05, (42, 3))
    style = np.random.default_rng([2, signer]).normal(0, 0.01, (42, 3))
    rng = np.random.default_rng([3, word, signer, repetition])
    path = np.cumsum(rng.normal(0, 0.01, (frames, 1, 3)), axis=0)
    noise = rng.normal(0, 0.1, (42, 3)) + rng.normal(0, 0.01, (frames, 42, 3))
    data = np.array([0.5, 0.5, 0.0]) + shape + style + path + noise
    return LandmarkSequence(data.astype(np.float32), "hands-42", fps=25.0, size=(640, 480))


def write_tiny_signs(
    folder: Path, *, test: Sequence[str] = ("cleo",), words: Sequence[str] = WORDS, signers: Sequence[str] = SIGNERS
) -> Path:
    """A folder for ``landmark_folder``; the signers in ``test`` are its test split, all others its train split."""
    rows = []
    for signer in signers:
        for word in words:
            for repetition in range(REPETITIONS):
                name = f"{signer}-{word}-{repetition}.npz"
                # A word keeps its shape whatever other words are in the folder.
                tiny_clip(sum(map(ord, word)), SIGNERS.index(signer), repetition).save(folder / name)
                rows.append({"file_name": name, "label": word, "signer": signer})
                rows[-1]["split"] = "test" if signer in test else "train"
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def flags(data_dir: Path, output_dir: Path, /, **changes: Any) -> list[str]:
    """The command line of a run: :data:`FLAGS` with changes; ``None`` leaves a flag out."""
    wanted = {**FLAGS, "data_dir": data_dir, "output_dir": output_dir, **changes}
    words = []
    for name, value in wanted.items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            words += [f"--{name}", *(str(one).lower() if isinstance(one, bool) else str(one) for one in values)]
    return words


@functools.cache
def load_recipe(path: Path = RECIPE) -> ModuleType:
    """A recipe, by default ``recipes/train_isolated.py``, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


class TinySigns:
    """Two folders of the tiny data set and runs of the recipe on them, all below one folder.

    ``signs`` has cleo as its test split; in ``all_train`` everybody is in the train split.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.signs = write_tiny_signs(folder / "signs")
        self.all_train = write_tiny_signs(folder / "all_train", test=())

    def run(self, output_dir: Path, data: Path | None = None, **changes: Any) -> Any:
        """Train in this process: what the recipe's ``main`` returns."""
        return self.main(flags(data or self.signs, output_dir, **changes))

    def main(self, words: list[str], recipe: Path = RECIPE) -> Any:
        import datasets

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(datasets.config, "HF_DATASETS_CACHE", self.cache)
            return load_recipe(recipe).main(words)

    def environment(self, **changes: str) -> dict[str, str]:
        """Environment of a process that trains: offline, one thread, the same cache as this one."""
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**os.environ, "PYTHONPATH": path, "HF_DATASETS_CACHE": str(self.cache), **changes}


_make = functools.cache(TinySigns)


@functools.cache
def _train(tiny: TinySigns) -> Any:
    return tiny.run(tiny.folder / "trained", validation_size=0.25, num_train_epochs=3, report_to="tensorboard")


# Both rooms that train import these fixtures; functools.cache makes one data set and one trained model for the two.


@pytest.fixture(scope="session")
def tiny_signs(tmp_path_factory: pytest.TempPathFactory) -> TinySigns:
    """The data set, and a way to train on it."""
    return _make(tmp_path_factory.getbasetemp() / "tiny_signs")


@pytest.fixture(scope="session")
def trained(tiny_signs: TinySigns) -> Any:
    """A finished run with validation, test and TensorBoard (``IsolatedResult``); its ``folder`` is only to be read."""
    return _train(tiny_signs)
