"""One tiny model folder and one pipeline on it for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cheap_pose import CheapEstimator
from tiny_model import same_result, save_tiny_model
from transformers import pipeline

from signlang_hf import SignRecognitionPipeline


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of six signs on layout isl-48, and its processor."""
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny", layout="isl-48")


@pytest.fixture
def estimator() -> CheapEstimator:
    return CheapEstimator()


@pytest.fixture(scope="session")
def loaded(model_folder: Path) -> SignRecognitionPipeline:
    return pipeline("sign-recognition", model=str(model_folder))


@pytest.fixture
def pipe(loaded: SignRecognitionPipeline, estimator: CheapEstimator) -> SignRecognitionPipeline:
    """The pipeline, with a pose estimator that costs nothing."""
    return SignRecognitionPipeline(
        model=loaded.model, feature_extractor=loaded.feature_extractor, task="sign-recognition", estimator=estimator
    )


@pytest.fixture(scope="session")
def expected(loaded: SignRecognitionPipeline) -> Callable[[Any], dict[str, float]]:
    """``expected(sequence)``: score of each label, straight from the processor and the model."""

    def scores(sequence: Any) -> dict[str, float]:
        with torch.no_grad():
            logits = loaded.model(**loaded.feature_extractor(sequence, return_tensors="pt")).logits[0]
        return dict(zip(loaded.model.config.id2label.values(), logits.softmax(-1).tolist()))

    return scores


@pytest.fixture(scope="session")
def agrees() -> Callable[..., None]:
    """``agrees(result, scores, atol)``: the result is the best five of the scores, best first."""

    def check(result: list[dict[str, Any]], scores: dict[str, float], atol: float = 1e-5) -> None:
        best = sorted(scores.items(), key=lambda item: -item[1])[: len(result)]
        same_result(result, [{"label": label, "score": score} for label, score in best], atol)

    return check
