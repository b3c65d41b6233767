"""signlang_bilstm: the common checks, body parts, directions, zoneout and the presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import yaml
from keypoint_models import BATCH_NORM, NO_GENERATION, KeypointModelTests

from signlang_hf import (
    SignBiLSTMConfig,
    SignBiLSTMForSignClassification,
    SignBiLSTMModel,
    SignKeypointProcessor,
)
from signlang_hf.models.keypoint.modeling_bilstm import (
    SignBiLSTM,
    SignBiLSTMProjection,
    SignLSTM,
    reversal,
    zoneout_recurrence,
)
from signlang_hf.training.arguments import ModelArguments
from signlang_hf.training.building import new_model

CONFIGS = Path(__file__).resolve().parents[2] / "recipes" / "configs"
PARTS = {"pose": [[0, 3], [10, 12]], "left_hand": [[3, 6]], "right_hand": [[6, 10]]}
MASK = torch.tensor([[True] * 7, [True] * 4 + [False] * 3, [True] + [False] * 6])


class TestSignBiLSTM(KeypointModelTests):
    config_class = SignBiLSTMConfig
    model_class = SignBiLSTMForSignClassification
    base_class = SignBiLSTMModel
    tiny: ClassVar[dict[str, Any]] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    exemptions: ClassVar[dict[str, str]] = {
        **NO_GENERATION,
        "test_gradient_accumulation_equals_one_batch": BATCH_NORM,
    }

    def config(self, **changes: Any) -> SignBiLSTMConfig:
        return super().config(**({} if "input_size" in changes else {"parts": PARTS}), **changes)

    def test_padding_changes_nothing_in_training_either(self) -> None:
        model = self.model(zoneout=0.0).train()
        inputs = self.inputs(2, 6)["input_values"]
        mask = torch.tensor([[1] * 6 + [0] * 3] * 2)
        padded = torch.nn.functional.pad(inputs, (0, 0, 0, 3), value=7.0)
        torch.testing.assert_close(model(padded, mask).logits, model(inputs).logits, atol=1e-5, rtol=0)

    def test_checkpointing_counts_a_batch_once(self) -> None:
        model = self.model().train()
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model(**self.inputs(), labels=self.labels()).loss.backward()
        assert model.encoder.input_norm.num_batches_tracked == 1

    def test_hidden_states_and_attentions_on_request(self) -> None:
        model = self.model(attn_implementation="eager")
        output = model(**self.inputs(), output_hidden_states=True, output_attentions=True)
        assert len(output.hidden_states) == 4 and output.attentions[0].shape == (3, 2, 9, 9)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_mixed_precision(self, dtype: torch.dtype) -> None:
        model = self.model().train()
        with torch.autocast("cpu", dtype):
            loss = model(**self.inputs(), labels=self.labels()).loss
        loss.backward()
        torch.testing.assert_close(
            loss, self.model().train()(**self.inputs(), labels=self.labels()).loss, atol=0.1, rtol=0
        )

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"num_attention_heads": 3}, "multiple of"),
            ({"hidden_size": 15, "num_attention_heads": 5}, "must be even"),
            ({"zoneout": 1.0}, r"\[0, 1\)"),
            ({"num_hidden_layers": 0}, "at least 1"),
            ({"parts": {"pose": [[0, 11]]}}, "once; they name 11 columns, 11 of these"),
            ({"parts": {"pose": [[0, 12]], "face": [[3, 4]]}}, "once; they name 13 columns, 12 of these"),
            ({"parts": {"pose": [[0, 12]], "face": []}}, "part without features"),
            ({"parts": {"pose": [0, 12]}}, r"ranges \[\[start, stop\], …\]"),
            ({"parts": {f"{i}": [[i, i + 1]] for i in range(12)}, "hidden_size": 8}, "12 parts for a hidden_size of 8"),
        ],
    )
    def test_impossible_settings_say_so(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            SignBiLSTMConfig(**{"input_size": 12, **self.tiny, **change})


class TestSignBiLSTMWithZoneout(TestSignBiLSTM):
    tiny: ClassVar[dict[str, Any]] = {**TestSignBiLSTM.tiny, "zoneout": 0.3}


# ------------------------------------------------------------------------------------------------------------- body parts


def test_each_part_is_projected_alone_with_a_width_in_proportion() -> None:
    torch.manual_seed(0)
    projection = SignBiLSTMProjection(SignBiLSTMConfig(input_size=12, hidden_size=48, parts=PARTS))
    assert [part.out_features for part in projection.parts] == [20, 12, 16]
    values = torch.randn(1, 4, 12)
    whole = projection(values)
    for (part, ranges), (start, stop) in zip(PARTS.items(), ((0, 20), (20, 32), (32, 48))):
        changed = values.clone()
        for first, last in ranges:
            changed[..., first:last] += 1.0
        moved = (projection(changed) != whole).any(dim=1)[0]
        assert moved[start:stop].all() and moved.sum() == stop - start, part


def test_a_small_part_gets_at_least_one_unit() -> None:
    parts = {"face": [[0, 999]], "presence": [[999, 1000]]}
    projection = SignBiLSTMProjection(SignBiLSTMConfig(input_size=1000, hidden_size=16, parts=parts))
    assert [part.out_features for part in projection.parts] == [15, 1]


def test_training_asks_the_processor_for_the_parts() -> None:
    processor = SignKeypointProcessor("isl-48", features=("position", "visibility"))
    arguments = ModelArguments(model_type="signlang_bilstm", model={"hidden_size": 16, "num_hidden_layers": 1})
    model = new_model(arguments, processor, None, ["hello", "thanks"])
    assert model.config.parts == processor.parts
    assert list(model.config.parts) == ["pose", "left_hand", "right_hand"]
    shuffled = dict(sorted(processor.parts.items(), reverse=True))
    assert list(SignBiLSTMConfig(input_size=processor.feature_size, parts=shuffled).parts) == list(model.config.parts)
    arguments.model["parts"] = None
    assert new_model(arguments, processor, None, ["hello", "thanks"]).config.parts is None


# ------------------------------------------------------------------------------------------------------------- directions


def test_clips_are_turned_round_by_their_length() -> None:
    assert reversal(MASK).view(3, 7).tolist() == [
        [6, 5, 4, 3, 2, 1, 0], [10, 9, 8, 7, 11, 12, 13], [14, 15, 16, 17, 18, 19, 20],
    ]  # fmt: skip


def test_both_directions_are_those_of_a_packed_bidirectional_lstm() -> None:
    torch.manual_seed(0)
    ours, packed = SignBiLSTM(5, 4), torch.nn.LSTM(5, 4, bidirectional=True, batch_first=True)
    for name, value in ours.forward_lstm.state_dict().items():
        getattr(packed, name).data.copy_(value)
    for name, value in ours.backward_lstm.state_dict().items():
        getattr(packed, f"{name}_reverse").data.copy_(value)
    clips = torch.randn(3, 7, 5)
    lengths = MASK.sum(dim=1)
    output, _ = packed(torch.nn.utils.rnn.pack_padded_sequence(clips, lengths, batch_first=True))
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    torch.testing.assert_close(ours(clips, reversal(MASK))[MASK], expected[MASK])


# ---------------------------------------------------------------------------------------------------------------- zoneout


def plain_loop(lstm: SignLSTM, clip: np.ndarray, keep_hidden: np.ndarray, keep_cell: np.ndarray) -> np.ndarray:
    """Zoneout as the paper writes it, one clip and one unit at a time."""
    weights = {name: value.numpy().astype(np.float64) for name, value in lstm.state_dict().items()}
    units = lstm.hidden_size
    hidden, cell, states = np.zeros(units), np.zeros(units), []
    for time, frame in enumerate(clip):
        gates = weights["weight_ih_l0"] @ frame + weights["bias_ih_l0"]
        gates += weights["weight_hh_l0"] @ hidden + weights["bias_hh_l0"]
        after_hidden, after_cell = hidden.copy(), cell.copy()
        for unit in range(units):
            i, f, g, o = gates[unit::units]
            i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
            new_cell = f * cell[unit] + i * np.tanh(g)
            d_hidden, d_cell = keep_hidden[time, unit], keep_cell[time, unit]
            after_cell[unit] = d_cell * cell[unit] + (1 - d_cell) * new_cell
            after_hidden[unit] = d_hidden * hidden[unit] + (1 - d_hidden) * o * np.tanh(new_cell)
        hidden, cell = after_hidden, after_cell
        states.append(hidden)
    return np.stack(states)


def test_zoneout_in_evaluation_is_the_expected_state() -> None:
    torch.manual_seed(0)
    lstm, clips = SignLSTM(5, 4, zoneout=0.25).eval(), torch.randn(2, 9, 5)
    keep = np.full((9, 4), 0.25)
    with torch.no_grad():
        states = lstm(clips)
    for clip, got in zip(clips, states):
        np.testing.assert_allclose(got, plain_loop(lstm, clip.numpy(), keep, keep), atol=1e-6)


def test_zoneout_in_training_keeps_drawn_units() -> None:
    torch.manual_seed(0)
    lstm, clips = SignLSTM(5, 64, zoneout=0.25).train(), torch.randn(8, 40, 5)
    with torch.no_grad():
        states, others = lstm(clips), lstm(clips)
    stayed = (states[:, 1:] == states[:, :-1]).float().mean()
    assert 0.23 < stayed < 0.27 and not torch.equal(states, others)
    torch.manual_seed(1)
    keep_hidden, keep_cell = torch.bernoulli(torch.full((2, 40, 8, 64), 0.25))
    torch.manual_seed(1)
    with torch.no_grad():
        states = lstm(clips)
    expected = plain_loop(lstm, clips[3].numpy(), keep_hidden[:, 3].numpy(), keep_cell[:, 3].numpy())
    np.testing.assert_allclose(states[3], expected, atol=1e-6)


def test_without_zoneout_the_loop_and_the_fused_lstm_agree() -> None:
    torch.manual_seed(0)
    lstm, clips = SignLSTM(5, 4), torch.randn(3, 9, 5, requires_grad=True)
    inputs = clips.transpose(0, 1) @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + lstm.bias_hh_l0
    nothing = torch.zeros(9, 3, 4)
    loop = zoneout_recurrence(inputs, lstm.weight_hh_l0.T, nothing, nothing).transpose(0, 1)
    fused = lstm(clips)
    torch.testing.assert_close(loop, fused)
    gradients = (torch.autograd.grad(states.square().sum(), [clips, *lstm.parameters()]) for states in (loop, fused))
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other)


def test_forget_gates_start_open() -> None:
    model = SignBiLSTMModel(SignBiLSTMConfig(input_size=12, hidden_size=16, num_hidden_layers=1))
    bias = model.layers[0].lstm.backward_lstm.bias_ih_l0
    assert bias.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16


# ---------------------------------------------------------------------------------------------------------------- presets


def recipe(name: str) -> tuple[dict[str, Any], SignKeypointProcessor]:
    settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return settings["model"], SignKeypointProcessor(**settings["processor"])


@pytest.mark.parametrize("preset", ["karsl502", "include50"])
def test_recipe_trains_the_preset(preset: str) -> None:
    settings, processor = recipe(f"{preset}_bilstm")
    assert {name: settings.get(name) for name in SignBiLSTMConfig.presets[preset]} == SignBiLSTMConfig.presets[preset]
    config = SignBiLSTMConfig.preset(preset, input_size=processor.feature_size, parts=processor.parts)
    assert config.parts and all(
        getattr(config, name) == value for name, value in SignBiLSTMConfig.presets[preset].items()
    )


def test_karsl_preset_has_about_four_and_a_half_million_parameters() -> None:
    _, processor = recipe("karsl502_bilstm")
    assert processor.feature_size == 184 * 4 and processor.num_frames == 50
    config = SignBiLSTMConfig.preset("karsl502", input_size=736, parts=processor.parts, num_labels=502)
    assert list(config.parts) == ["pose", "face", "right_hand", "left_hand"]
    model = SignBiLSTMForSignClassification(config).eval()
    assert 4.4e6 < sum(parameter.numel() for parameter in model.parameters()) < 4.7e6
    output = model.encoder(torch.randn(1, 50, 736))
    assert output.last_hidden_state.shape == (1, 50, 384)


def test_include_preset_pools_with_a_query_vector() -> None:
    model = SignBiLSTMModel(SignBiLSTMConfig.preset("include50"))
    assert len(model.layers) == 2 and model.pooler.score.weight.shape == (1, 512)
    for layer in model.layers:
        assert (layer.lstm.backward_lstm.hidden_size, layer.lstm.backward_lstm.zoneout) == (256, 0.1)


def test_unknown_preset_says_which_there_are() -> None:
    with pytest.raises(ValueError, match="'wlasl'; known are karsl502, include50"):
        SignBiLSTMConfig.preset("wlasl")
