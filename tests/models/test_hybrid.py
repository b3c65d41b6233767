"""signlang_hybrid: the common checks and what is its own."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from keypoint_models import KeypointModelTests

from signlang_hf import SignHybridConfig, SignHybridForSignClassification, SignHybridModel


class TestSignHybrid(KeypointModelTests):
    config_class = SignHybridConfig
    model_class = SignHybridForSignClassification
    base_class = SignHybridModel
    tiny: ClassVar[dict[str, Any]] = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "lstm_units": 6, "fusion_size": 20
    }  # fmt: skip

    def test_default_sizes(self) -> None:
        model = SignHybridModel(SignHybridConfig()).eval()
        seen: dict[str, int] = {}
        for name in ("input_projection", "widening", "lstms.1", "fusion", "attention.attention.output", "lstm"):
            module = model.get_submodule(name)
            module.register_forward_hook(lambda _, __, output, name=name: seen.__setitem__(name, output.shape[-1]))
        output = model(torch.randn(1, 64, 225))
        assert list(seen.values()) == [256, 512, 512, 512, 512, 512]
        assert model.attention.attention.num_heads == 8 and len(model.layers) == 6
        assert output.last_hidden_state.shape == (1, 64, 1024) and output.pooler_output.shape == (1, 512)

    def test_last_state_is_attention_beside_lstm(self) -> None:
        model = self.model().encoder
        seen: dict[str, torch.Tensor] = {}
        model.attention.register_forward_hook(lambda _, __, output: seen.__setitem__("attention", output[0]))
        model.lstm.register_forward_hook(lambda _, inputs, output: seen.update(read=inputs[0], lstm=output))
        output = model(**self.inputs())
        assert torch.equal(output.last_hidden_state, torch.cat([seen["attention"], seen["lstm"]], dim=-1))
        assert torch.equal(seen["read"], seen["attention"])

    @pytest.mark.parametrize("branch", ["widening", "lstms"])
    def test_each_branch_reaches_the_logits(self, branch: str) -> None:
        model = self.model()
        before = self.logits(model, **self.inputs())
        with torch.no_grad():
            for parameter in getattr(model.encoder, branch).parameters():
                parameter.mul_(2)
        assert not torch.allclose(self.logits(model, **self.inputs()), before)

    def test_hidden_states_and_attentions_on_request(self) -> None:
        model = self.model(attn_implementation="eager")
        output = model(**self.inputs(), output_hidden_states=True, output_attentions=True)
        assert len(output.hidden_states) == 2
        assert [weights.shape for weights in output.attentions] == [(3, 2, 9, 9)] * 2

    def test_zoneout_reaches_every_lstm(self) -> None:
        model = self.model(zoneout=0.2)
        rates = [module.zoneout for module in model.modules() if isinstance(module, torch.nn.LSTM)]
        assert rates == [0.2] * 6

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"num_attention_heads": 3}, "hidden_size 16 must be even and a multiple of"),
            ({"fusion_size": 21}, "fusion_size 21 must be a multiple of"),
            ({"lstm_units": 0}, "at least 1"),
            ({"zoneout": 1.0}, r"\[0, 1\)"),
        ],
    )
    def test_impossible_settings_say_so(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.config(**change)
