"""signlang_transformer: the common checks and what is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from common import SignModelTests

from signlang_hf import (
    LandmarkSequence,
    SignKeypointProcessor,
    SignTransformerConfig,
    SignTransformerForSignClassification,
    SignTransformerModel,
)

LABELS = {0: "hello", 1: "thanks", 2: "doctor", 3: "today"}


def clip(frames: int, seed: int = 0) -> LandmarkSequence:
    data = np.random.default_rng(seed).random((frames, 48, 3))
    return LandmarkSequence(data, "isl-48", fps=25, size=(640, 480))


class TestSignTransformer(SignModelTests):
    config_class = SignTransformerConfig
    model_class = SignTransformerForSignClassification
    base_class = SignTransformerModel
    auto_class = "AutoModelForVideoClassification"
    pipeline_task = "sign-recognition"
    exemptions: ClassVar[dict[str, str]] = {
        "test_generation_with_cache_equals_without": "a classifier generates nothing"
    }

    def config(self, **changes: Any) -> SignTransformerConfig:
        sizes = {
            "input_size": 12,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "embedding_size": 8,
        }
        labels = {"id2label": LABELS, "label2id": {name: index for index, name in LABELS.items()}}
        return SignTransformerConfig(**{**sizes, **labels, "hidden_dropout": 0.0, **changes})

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        return {"input_values": torch.randn(batch, frames, 12, generator=torch.Generator().manual_seed(frames))}

    def labels(self, batch: int = 3) -> torch.Tensor:
        return torch.arange(batch) % 4

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        return torch.arange(batch) + 2

    def save_with_processor(self, model: SignTransformerForSignClassification, folder: Path) -> list[Any]:
        processor = SignKeypointProcessor(layout="isl-48")
        self.model(input_size=processor.feature_size).save_pretrained(folder)
        processor.save_pretrained(folder)
        return [clip(20), clip(7, 1), clip(31, 2)]

    @pytest.mark.parametrize("pooling", ["attention", "mean"])
    def test_pooling_ignores_padding(self, pooling: str) -> None:
        mask = torch.tensor([[1] * 9, [1] * 4 + [0] * 5, [0] * 9])
        with torch.no_grad():
            output = self.model(pooling=pooling)(**self.inputs(), attention_mask=mask)
        assert (output.pooling_weights[1, 4:] == 0).all()
        torch.testing.assert_close(output.pooling_weights.sum(1), torch.ones(3))
        assert torch.isfinite(output.logits).all()  # also of the clip that is all padding

    def test_default_sizes(self) -> None:
        config = SignTransformerConfig()
        sizes = (config.num_hidden_layers, config.num_attention_heads, config.hidden_size, config.embedding_size)
        assert sizes == (6, 8, 256, 512) and config.hidden_dropout == 0.2
        output = SignTransformerModel(config).eval()(torch.randn(1, 64, config.input_size))
        assert output.last_hidden_state.shape == (1, 64, 256) and output.pooler_output.shape == (1, 512)

    def test_hidden_states_and_attentions_on_request(self) -> None:
        model = self.model(attn_implementation="eager")
        output = model(**self.inputs(), output_hidden_states=True, output_attentions=True)
        assert len(output.hidden_states) == 3 and output.attentions[0].shape == (3, 2, 9, 9)

    def test_label_smoothing_and_class_weights_change_the_loss(self) -> None:
        inputs, labels = self.inputs(), self.labels()
        plain = self.model()(**inputs, labels=labels).loss
        expected = torch.nn.functional.cross_entropy(
            self.logits(self.model(), **inputs), labels, weight=torch.tensor([1.0, 2.0, 0.5, 1.0]), label_smoothing=0.1
        )
        weighted = self.model(label_smoothing=0.1, class_weights=[1, 2, 0.5, 1])(**inputs, labels=labels).loss
        torch.testing.assert_close(weighted, expected)
        assert not torch.isclose(plain, weighted)

    def test_position_frequencies_and_scale_are_learned(self) -> None:
        names = {name for name, parameter in self.model().named_parameters() if parameter.requires_grad}
        assert {"encoder.positions.log_frequency", "encoder.positions.scale"} <= names

    def test_wrong_feature_length_says_so(self) -> None:
        with pytest.raises(ValueError, match=r"takes 12 features a frame and got 5"):
            self.model()(torch.randn(1, 4, 5))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"num_attention_heads": 3}, "multiple of"),
            ({"pooling": "max"}, "'attention' or 'mean'"),
            ({"hidden_dropout": 1.0}, r"\[0, 1\)"),
            ({"class_weights": [1.0]}, "1 class_weights for 4 labels"),
            ({"embedding_size": 0}, "at least 1"),
        ],
    )
    def test_impossible_settings_say_so(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.config(**change)
