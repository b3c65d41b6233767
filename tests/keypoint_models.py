"""What the test files of all keypoint families share: tiny inputs, and the checks that only keypoint models have."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from common import SignModelTests

from signlang_hf import LandmarkSequence, SignKeypointProcessor
from signlang_hf.models.keypoint import SignKeypointConfig

LABELS = {0: "hello", 1: "thanks", 2: "doctor", 3: "today"}
NO_GENERATION = {"test_generation_with_cache_equals_without": "a classifier generates nothing"}
BATCH_NORM = "batch norm measures each batch, so four small batches are not one large one"


def clip(frames: int, seed: int = 0) -> LandmarkSequence:
    data = np.random.default_rng(seed).random((frames, 48, 3))
    return LandmarkSequence(data, "isl-48", fps=25, size=(640, 480))


class KeypointModelTests(SignModelTests):
    """Subclass with ``config_class``, ``model_class``, ``base_class`` and ``tiny``."""

    auto_class = "AutoModelForVideoClassification"
    pipeline_task = "sign-recognition"
    exemptions: ClassVar[dict[str, str]] = NO_GENERATION
    tiny: ClassVar[dict[str, Any]] = {}
    """Settings that make the family tiny."""

    def config(self, **changes: Any) -> SignKeypointConfig:
        shared = {"input_size": 12, "embedding_size": 8, "hidden_dropout": 0.0}
        labels = {"id2label": LABELS, "label2id": {name: index for index, name in LABELS.items()}}
        return self.config_class(**{**shared, **labels, **self.tiny, **changes})

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        return {"input_values": torch.randn(batch, frames, 12, generator=torch.Generator().manual_seed(frames))}

    def labels(self, batch: int = 3) -> torch.Tensor:
        return torch.arange(batch) % 4

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        return torch.arange(batch) + 2

    def save_with_processor(self, model: Any, folder: Path) -> list[Any]:
        processor = SignKeypointProcessor(layout="isl-48")
        self.model(input_size=processor.feature_size).save_pretrained(folder)
        processor.save_pretrained(folder)
        return [clip(20), clip(7, 1), clip(31, 2)]

    @pytest.mark.parametrize("pooling", ["attention", "query", "mean"])
    def test_pooling_ignores_padding(self, pooling: str) -> None:
        mask = torch.tensor([[1] * 9, [1] * 4 + [0] * 5, [0] * 9])
        with torch.no_grad():
            output = self.model(pooling=pooling)(**self.inputs(), attention_mask=mask)
        assert (output.pooling_weights[1, 4:] == 0).all()
        torch.testing.assert_close(output.pooling_weights.sum(1), torch.ones(3))
        assert torch.isfinite(output.logits).all()  # also of the clip that is all padding

    def test_one_frame_is_enough(self) -> None:
        assert torch.isfinite(self.logits(self.model(), **self.inputs(2, 1))).all()

    def test_label_smoothing_and_class_weights_change_the_loss(self) -> None:
        inputs, labels = self.inputs(), self.labels()
        plain = self.model()(**inputs, labels=labels).loss
        expected = torch.nn.functional.cross_entropy(
            self.logits(self.model(), **inputs), labels, weight=torch.tensor([1.0, 2.0, 0.5, 1.0]), label_smoothing=0.1
        )
        weighted = self.model(label_smoothing=0.1, class_weights=[1, 2, 0.5, 1])(**inputs, labels=labels).loss
        torch.testing.assert_close(weighted, expected)
        assert not torch.isclose(plain, weighted)

    def test_loss_of_mixed_labels_is_the_mix_of_losses(self) -> None:
        model, inputs = self.model(), self.inputs()
        one, other = torch.tensor([0, 1, 2]), torch.tensor([3, 3, 0])
        shares = 0.3 * torch.nn.functional.one_hot(one, 4) + 0.7 * torch.nn.functional.one_hot(other, 4)
        expected = 0.3 * model(**inputs, labels=one).loss + 0.7 * model(**inputs, labels=other).loss
        torch.testing.assert_close(model(**inputs, labels=shares).loss, expected)
        with pytest.raises(ValueError, match="Mixed labels have shape"):
            model(**inputs, labels=shares[:, :3])

    def test_wrong_feature_length_says_so(self) -> None:
        with pytest.raises(ValueError, match=r"takes 12 features a frame and got 5"):
            self.model()(torch.randn(1, 4, 5))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"pooling": "max"}, "'attention', 'query' or 'mean'"),
            ({"hidden_dropout": 1.0}, r"\[0, 1\)"),
            ({"class_weights": [1.0]}, "1 class_weights for 4 labels"),
            ({"embedding_size": 0}, "at least 1"),
            ({"logit_temperature": 0.0}, "must be positive"),
            ({"unknown_score": "distance"}, "'probability', 'logit' or 'energy'"),
        ],
    )
    def test_impossible_shared_settings_say_so(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.config(**change)
