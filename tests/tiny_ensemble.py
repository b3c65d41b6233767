"""A tiny ensemble that is trained in seconds: two members on the tiny signs, and the recipe that trains it."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from tiny_signs import ROOT, TinySigns, flags

from signlang_hf.data import load_dataset
from signlang_hf.training import stacking

RECIPE = ROOT / "recipes" / "train_ensemble.py"
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "embedding_size": 16,
}
MEMBERS = {
    "near": {"model_type": "signlang_transformer", "model": TINY, "num_train_epochs": 3},
    # Other features, another clock and another length than its fellow.
    "far": {
        "model_type": "signlang_transformer",
        "model": {**TINY, "embedding_size": 12},
        "processor": {"features": ["position", "velocity"], "target_fps": 12, "max_frames": 6},
        "num_train_epochs": 3,
    },
}
BOOSTER = '{"num_trees": 4, "choose_num_trees": false, "eta": 0.1, "max_depth": 2, "device": "cpu"}'


@functools.cache
def load_ensemble_recipe() -> ModuleType:
    """``recipes/train_ensemble.py`` as a module."""
    spec = importlib.util.spec_from_file_location("train_ensemble", RECIPE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_ensemble"] = module
    spec.loader.exec_module(module)
    return module


class TinyEnsembles:
    """Configuration files of the members, and runs of the recipe on the tiny signs."""

    def __init__(self, tiny: TinySigns) -> None:
        self.tiny = tiny
        self.folder = tiny.folder / "ensembles"
        self.trained_on: dict[str, dict[str, list[tuple[str, str]]]] = {}
        self.fitted_to: dict[str, Any] = {}
        self.folder.mkdir()
        for name, settings in MEMBERS.items():
            self.file(name).write_text(yaml.safe_dump(settings))

    def file(self, member: str) -> Path:
        return self.folder / f"{member}.yaml"

    def words(self, output_dir: Path, data: Path | None = None, **changes: Any) -> list[str]:
        """The command line of a run; ``None`` leaves a flag out."""
        own = {"members": [self.file(name) for name in MEMBERS], "inner_folds": 2, "booster": BOOSTER}
        plain = {"model": None, "num_train_epochs": None}  # the members' files say these
        return flags(data or self.tiny.signs, output_dir, **{**plain, **own, **changes})

    def run(self, output_dir: Path, data: Path | None = None, **changes: Any) -> Any:
        """Train in this process: what the recipe's ``main`` returns."""
        return self.main(self.words(output_dir, data, **changes))

    def one(self, output_dir: Path, data: Path | None = None, **changes: Any) -> Any:
        """Train one ensemble: what it measured."""
        (result,) = self.run(output_dir, data, **changes)["test"].values()
        return result

    def main(self, words: list[str]) -> Any:
        with self._cache():
            return load_ensemble_recipe().main(words)

    def clips(self, split: str) -> Any:
        """The rows of a split."""
        with self._cache():
            return load_dataset("landmark_folder", str(self.tiny.signs))[split]

    @contextmanager
    def _cache(self) -> Iterator[None]:
        import datasets

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(datasets.config, "HF_DATASETS_CACHE", self.tiny.cache)
            yield


make_ensembles = functools.cache(TinyEnsembles)


@functools.cache
def _train(ensembles: TinyEnsembles) -> Any:
    """An ensemble, and on the way a record of which run was trained on what, and of what the stack was fitted to."""
    train, fit = stacking.train_isolated, stacking.fit_stack

    def watched_train(model_args: Any, data_args: Any, args: Any, splits: Any) -> Any:
        run = "/".join(Path(args.output_dir).parts[-2:])
        ensembles.trained_on[run] = {name: list(zip(split["id"], split["signer"])) for name, split in splits.items()}
        return train(model_args, data_args, args, splits)

    def watched_fit(logits: Any, similarities: Any, labels: Any, folds: Any, settings: Any) -> Any:
        ensembles.fitted_to = {"logits": logits, "similarities": similarities, "labels": labels, "folds": folds}
        return fit(logits, similarities, labels, folds, settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "train_isolated", watched_train)
        patch.setattr(stacking, "fit_stack", watched_fit)
        return ensembles.one(ensembles.folder / "trained")


@pytest.fixture(scope="session", name="ensembles")
def tiny_ensembles(tiny_signs: TinySigns) -> TinyEnsembles:
    """Members, and a way to train an ensemble of them."""
    return make_ensembles(tiny_signs)


@pytest.fixture(scope="session", name="trained_ensemble")
def tiny_trained_ensemble(ensembles: TinyEnsembles) -> Any:
    """A finished ensemble with a booster (``EnsembleResult``); its ``folder`` is only to be read. ``ensembles.trained_on`` and
    ``ensembles.fitted_to`` say how it came about."""
    return _train(ensembles)
