"""signlang_transformer: the common checks and what is its own."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from keypoint_models import KeypointModelTests

from signlang_hf import SignTransformerConfig, SignTransformerForSignClassification, SignTransformerModel


class TestSignTransformer(KeypointModelTests):
    config_class = SignTransformerConfig
    model_class = SignTransformerForSignClassification
    base_class = SignTransformerModel
    tiny: ClassVar[dict[str, Any]] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}

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

    def test_position_frequencies_and_scale_are_learned(self) -> None:
        names = {name for name, parameter in self.model().named_parameters() if parameter.requires_grad}
        assert {"encoder.positions.log_frequency", "encoder.positions.scale"} <= names

    @pytest.mark.parametrize(
        ("change", "message"), [({"num_attention_heads": 3}, "multiple of"), ({"attention_dropout": 1.0}, r"\[0, 1\)")]
    )
    def test_impossible_settings_say_so(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.config(**change)
