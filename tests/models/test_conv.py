"""signlang_conv: the common checks and what is its own."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from keypoint_models import BATCH_NORM, NO_GENERATION, KeypointModelTests

from signlang_hf import SignConvConfig, SignConvForSignClassification, SignConvModel


class TestSignConv(KeypointModelTests):
    config_class = SignConvConfig
    model_class = SignConvForSignClassification
    base_class = SignConvModel
    tiny: ClassVar[dict[str, Any]] = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_convolutions": 2, "kernel_size": 5, "num_attention_heads": 2
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = {
        **NO_GENERATION,
        "test_gradient_accumulation_equals_one_batch": BATCH_NORM,
    }

    def test_default_is_about_two_million_parameters(self) -> None:
        model = SignConvForSignClassification(SignConvConfig(num_labels=250))
        assert 1.7e6 < sum(parameter.numel() for parameter in model.parameters()) < 2.3e6
        output = model.encoder.eval()(torch.randn(1, 64, 225))
        assert output.last_hidden_state.shape == (1, 64, 192) and output.pooler_output.shape == (1, 384)

    def test_convolutions_do_not_see_the_future(self) -> None:
        block = self.model().encoder.stages[0][0]
        block.attention.forward = lambda hidden, mask: hidden  # which averages over the clip, the future included
        hidden, mask = torch.randn(1, 9, 16), torch.ones(1, 9, dtype=torch.bool)
        changed = hidden.clone()
        changed[:, 6:] += 1.0
        with torch.no_grad():
            before, after = block(hidden, mask), block(changed, mask)
        assert torch.equal(before[:, :6], after[:, :6]) and not torch.equal(before[:, 6:], after[:, 6:])

    def test_padding_changes_nothing_in_training_either(self) -> None:
        model = self.model().train()
        inputs = self.inputs(2, 6)["input_values"]
        mask = torch.tensor([[1] * 6 + [0] * 3] * 2)
        padded = torch.nn.functional.pad(inputs, (0, 0, 0, 3), value=7.0)
        alone = model(inputs).logits
        torch.testing.assert_close(model(padded, mask).logits, alone, atol=1e-5, rtol=0)

    def test_drop_path_leaves_out_whole_clips_in_training_only(self) -> None:
        torch.manual_seed(0)
        path = self.model(drop_path=0.5).encoder.stages[0][0].drop_path
        ones = torch.ones(400, 3, 2)
        assert torch.equal(path(ones), ones)
        dropped = path.train()(ones)
        kept = dropped[:, 0, 0] != 0
        assert 0.4 < kept.float().mean() < 0.6
        assert torch.equal(dropped, 2 * kept[:, None, None].expand(-1, 3, 2).float())

    def test_hidden_states_and_attentions_on_request(self) -> None:
        model = self.model(attn_implementation="eager")
        output = model(**self.inputs(), output_hidden_states=True, output_attentions=True)
        assert len(output.hidden_states) == 3 and output.attentions[0].shape == (3, 2, 9, 9)

    @pytest.mark.parametrize(
        ("change", "message"), [({"num_attention_heads": 3}, "multiple of"), ({"kernel_size": 0}, "at least 1")]
    )
    def test_impossible_settings_say_so(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.config(**change)
