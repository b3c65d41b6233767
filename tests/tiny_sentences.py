"""Tiny sentences that can be learned in seconds: clips of two to four generated signs, and glosses with their text."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tiny_signs import ROOT, load_recipe

from signlang_hf.landmarks import LandmarkSequence

GLOSSES = ("BOOK", "DRINK", "HOUSE", "THANKS")
WORDS = {"BOOK": "the book", "DRINK": "drinks", "HOUSE": "a house", "THANKS": "thanks"}
SIGNERS = ("anna", "ben", "cleo")
FRAMES = 8  # of a sign
CTC, TRANSLATOR = ROOT / "recipes" / "train_ctc.py", ROOT / "recipes" / "train_translator.py"
BUNDLE = ROOT / "recipes" / "bundle_sentences.py"
CTC_FLAGS = {
    "dataset": "landmark_sentences",
    "model": '{"hidden_size": 24, "num_hidden_layers": 2, "num_recurrent_layers": 1, "hidden_dropout": 0.1}',
    "processor": '{"features": ["position"], "target_fps": 25}',
    "decoding": '{"order": 2, "lm_weight": [0.2, 0.3], "insertion_bonus": 0.0, "beam_size": 4}',
    "augment": '{"drop_points": 0, "drop_hands": 0, "drop_frames": 0}',
    "num_train_epochs": 2,
    "per_device_train_batch_size": 8,
    "learning_rate": 0.01,
    "lr_scheduler_type": "constant",
    "use_cpu": True,
    "disable_tqdm": True,
    "report_to": "none",
}
TRANSLATOR_FLAGS = {
    "dataset": "landmark_sentences",
    "model": '{"hidden_size": 24, "embedding_size": 16, "embedding_dropout": 0.1, "hidden_dropout": 0.1}',
    "decoding": '{"num_beams": [1, 2], "length_penalty": 1.0, "max_new_tokens": 12}',
    "generation_max_length": 12,
    "num_train_epochs": 2,
    "teacher_forcing_epochs": 2,
    "per_device_train_batch_size": 8,
    "learning_rate": 0.01,
    "lr_scheduler_type": "constant",
    "use_cpu": True,
    "disable_tqdm": True,
    "report_to": "none",
}


def sentence_of(number: int) -> list[str]:
    """Glosses of sentence ``number``: two to four, none twice in a row."""
    rng = np.random.default_rng([7, number])
    glosses: list[str] = []
    while len(glosses) < 2 + number % 3:
        gloss = GLOSSES[rng.integers(len(GLOSSES))]
        if glosses[-1:] != [gloss]:
            glosses.append(gloss)
    return glosses


def sentence_clip(glosses: list[str], signer: int, number: int, frames: int = FRAMES) -> LandmarkSequence:
    """A clip in which each sign is a shape of two hands that is held for a while."""
    rng = np.random.default_rng([9, signer, number])
    shapes = [np.random.default_rng([1, GLOSSES.index(gloss)]).normal(0, 0.08, (42, 3)) for gloss in glosses]
    data = np.repeat(np.stack(shapes), frames, axis=0)
    data = np.array([0.5, 0.5, 0.0]) + data + rng.normal(0, 0.005, (1, 42, 3)) + rng.normal(0, 0.004, data.shape)
    return LandmarkSequence(data.astype(np.float32), "hands-42", fps=25.0, size=(640, 480))


def write_tiny_sentences(folder: Path, count: int = 16, short: int = 0) -> Path:
    """A folder for ``landmark_sentences``: ``count`` sentences by each signer, cleo's are the test split. The first ``short`` training
    clips have a single frame."""
    rows = []
    for signer, name in enumerate(SIGNERS):
        for number in range(count):
            glosses = sentence_of(number + 100 * signer)
            clip = sentence_clip(glosses, signer, number)
            if len(rows) < short:
                clip = clip.frames(slice(0, 1))
            file = f"{name}-{number}.npz"
            folder.mkdir(parents=True, exist_ok=True)
            clip.save(folder / file)
            text = " ".join(WORDS[gloss] for gloss in glosses)
            rows.append({"file_name": file, "glosses": " ".join(glosses), "text": text, "signer": name})
            rows[-1]["split"] = "test" if name == "cleo" else "train"
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def words_of(flags: dict[str, Any]) -> list[str]:
    """A command line; ``None`` leaves a flag out."""
    words = []
    for name, value in flags.items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            words += [f"--{name}", *(str(one).lower() if isinstance(one, bool) else str(one) for one in values)]
    return words


class TinySentences:
    """The data and runs of both recipes on them, all below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.data = write_tiny_sentences(folder / "sentences")

    def run(self, recipe: Path, output_dir: Path, **changes: Any) -> Any:
        """Train in this process: what the recipe's ``main`` returns."""
        import datasets

        flags = TRANSLATOR_FLAGS if recipe == TRANSLATOR else CTC_FLAGS
        words = words_of({**flags, "data_dir": self.data, "output_dir": output_dir, **changes})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(datasets.config, "HF_DATASETS_CACHE", self.cache)
            return self.recipe(recipe).main(words)

    def ctc(self, output_dir: Path, **changes: Any) -> Any:
        return self.run(CTC, output_dir, **{"validation_size": 0.25, "validation_by": "sentence", **changes})

    def translator(self, output_dir: Path, **changes: Any) -> Any:
        return self.run(TRANSLATOR, output_dir, **{"validation_size": 0.25, "validation_by": "sentence", **changes})

    @staticmethod
    def recipe(path: Path) -> ModuleType:
        return load_recipe(path)


_make = functools.cache(TinySentences)


@functools.cache
def _ctc(tiny: TinySentences) -> Any:
    return tiny.ctc(tiny.folder / "ctc", num_train_epochs=25)


@functools.cache
def _translator(tiny: TinySentences) -> Any:
    return tiny.translator(tiny.folder / "translator", num_train_epochs=15)


# Both rooms that train import these fixtures; functools.cache makes one data set and one trained model of a kind for the two.


@pytest.fixture(scope="session")
def tiny_sentences(tmp_path_factory: pytest.TempPathFactory) -> TinySentences:
    """The data set, and a way to train on it."""
    return _make(tmp_path_factory.getbasetemp() / "tiny_sentences")


@pytest.fixture(scope="session")
def trained_ctc(tiny_sentences: TinySentences) -> Any:
    """A finished recogniser with validation and test; its ``folder`` is only to be read."""
    return _ctc(tiny_sentences)


@pytest.fixture(scope="session")
def trained_translator(tiny_sentences: TinySentences) -> Any:
    """A finished translator with validation and test; its ``folder`` is only to be read."""
    return _translator(tiny_sentences)
