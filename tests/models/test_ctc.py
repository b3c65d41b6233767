"""signlang_ctc: the common checks, CTC's own numbers, targets that do not fit, strides, pieces of a stream."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from common import TOLERANCE, SignModelTests
from keypoint_models import clip
from torch.nn import functional as F

from signlang_hf import SignCTCConfig, SignCTCModel, SignCTCProcessor, SignForCTC
from signlang_hf.models.ctc import needed_frames
from signlang_hf.models.ctc.modeling_ctc import SignCTCRecurrence, reversal

GLOSSES = ("HOUSE", "I", "GO", "BOOK")
EXEMPTIONS = {
    "test_generation_with_cache_equals_without": "the frames of a clip are labelled at once, nothing is generated",
    "test_eager_equals_sdpa": "there is no attention in it",
}
SAME_FILES = {"test_remote_code_without_the_library": "its files are those of TestSignCTC, and the check takes long"}


class CTCModelTests(SignModelTests):
    config_class = SignCTCConfig
    model_class = SignForCTC
    base_class = SignCTCModel
    auto_class = "AutoModelForCTC"
    pipeline_task = "continuous-sign-recognition"
    logits_axes: ClassVar[dict[int, str]] = {0: "batch", 1: "time"}
    exemptions: ClassVar[dict[str, str]] = EXEMPTIONS
    settings: ClassVar[dict[str, Any]] = {}

    def config(self, **changes: Any) -> SignCTCConfig:
        tiny = {"input_size": 12, "vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 2, "hidden_dropout": 0.0}
        return SignCTCConfig(**{**tiny, **self.settings, **changes})

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        return {"input_values": torch.randn(batch, frames, 12, generator=torch.Generator().manual_seed(frames))}

    def labels(self, batch: int = 3) -> torch.Tensor:
        rows = torch.tensor([[2, 3, -100], [1, -100, -100], [4, 5, -100], [-100, -100, -100]])
        return rows[torch.arange(batch) % 4]

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        return torch.arange(batch)[:, None] + 4

    def without_padding(self, logits: torch.Tensor, alone: torch.Tensor) -> torch.Tensor:
        return logits[:, : alone.shape[1]]

    def save_with_processor(self, model: Any, folder: Path) -> list[Any]:
        processor = SignCTCProcessor(GLOSSES, max_frames=16, target_fps=25)
        self.model(input_size=processor.feature_size).save_pretrained(folder)
        processor.save_pretrained(folder)
        return [clip(20), clip(7, 1), clip(41, 2)]

    def answer_is_sound(self, answer: Any) -> bool:
        return {"glosses", "score"} <= set(answer) and isinstance(answer["glosses"], list)

    def same_answers(self, one: Any, other: Any) -> None:
        assert [row["gloss"] for row in one["glosses"]] == [row["gloss"] for row in other["glosses"]]
        for first, second in zip(one["glosses"], other["glosses"]):
            for name in ("score", "start", "end"):
                assert first[name] == pytest.approx(second[name], abs=TOLERANCE)


class TestSignCTC(CTCModelTests):
    def test_without_the_layers_of_other_options(self) -> None:
        model = self.model()
        assert model.auxiliary_classifier is None and model.encoder.stride is None
        assert model.encoder.recurrent_layers[0].backward_gru is not None


class TestSignCTCWithEveryLoss(CTCModelTests):
    exemptions: ClassVar[dict[str, str]] = {**EXEMPTIONS, **SAME_FILES}
    settings: ClassVar[dict[str, Any]] = {"temporal_stride": 2, "auxiliary_weight": 1.0, "distillation_weight": 5.0}


class TestSignCTCCausal(CTCModelTests):
    exemptions: ClassVar[dict[str, str]] = {**EXEMPTIONS, **SAME_FILES}
    settings: ClassVar[dict[str, Any]] = {"causal": True, "temporal_stride": 2}


def model(**changes: Any) -> SignForCTC:
    return TestSignCTC().model(**changes)


def features(batch: int, frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, frames, 12, generator=torch.Generator().manual_seed(seed))


# -------------------------------------------------------------------------------------------------------------- the loss


def all_paths(log_probs: np.ndarray, target: tuple[int, ...]) -> float:
    """-log of the summed probability of all paths that collapse to the target, one by one."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if tuple(key for key, _ in itertools.groupby(path) if key) == target:
            total += math.exp(sum(log_probs[t, column] for t, column in enumerate(path)))
    return -math.log(total)


@pytest.mark.parametrize("target", [(), (2,), (1, 2), (2, 2), (2, 1, 2)])
def test_the_loss_sums_over_all_paths(target: tuple[int, ...]) -> None:
    net = model(vocab_size=3, ctc_loss_reduction="sum")
    labels = torch.tensor([[*target, -100, -100]])
    with torch.no_grad():
        output = net(features(1, 6), labels=labels)
    assert output.loss.item() == pytest.approx(all_paths(output.logits[0].numpy(), target), rel=1e-5)
    mean = model(vocab_size=3)(features(1, 6), labels=labels).loss.item()
    assert mean == pytest.approx(output.loss.item() / max(len(target), 1), rel=1e-5)


def test_the_loss_of_a_batch_is_the_mean_of_its_clips_whatever_their_padding() -> None:
    net = model(auxiliary_weight=0.5, distillation_weight=3.0, temporal_stride=2)
    lengths, targets = [13, 8, 5], [[2, 3, 2], [4], []]
    mask = (torch.arange(13) < torch.tensor(lengths)[:, None]).long()
    labels = torch.full((3, 4), -100)
    for row, target in zip(labels, targets):
        row[: len(target)] = torch.tensor(target)
    values = features(3, 13)
    alone = [net(values[i : i + 1, :n], labels=labels[i : i + 1]).loss for i, n in enumerate(lengths)]
    torch.testing.assert_close(net(values, mask, labels=labels).loss, torch.stack(alone).mean(), atol=1e-5, rtol=0)


def test_needed_frames_counts_a_blank_between_equal_glosses() -> None:
    labels = torch.tensor([[2, 2, 2], [2, 3, 2], [4, -100, -100], [-100, -100, -100], [3, 3, -100]])
    assert needed_frames(labels).tolist() == [5, 3, 1, 0, 3]


def test_a_target_that_does_not_fit_is_left_out_and_counted() -> None:
    net = model().train()
    values = features(3, 8)
    mask = torch.tensor([[1] * 8, [1] * 3 + [0] * 5, [1] * 5 + [0] * 3])
    # Two equal glosses in three frames fit exactly; three glosses, of which two are equal, in three do not.
    fits = torch.tensor([[2, 3, 4], [2, 2, -100], [5, -100, -100]])
    fails = torch.tensor([[2, 3, 4], [2, 2, 3], [5, -100, -100]])
    assert net(values, mask, labels=fits).skipped == 0
    output = net(values, mask, labels=fails)
    assert output.skipped == 1
    torch.testing.assert_close(output.loss, net(values[[0, 2]], mask[[0, 2]], labels=fails[[0, 2]]).loss)
    output.loss.backward()
    alone = net(values[1:2, :3], labels=fails[1:2])
    assert alone.loss == 0 and alone.skipped == 1
    alone.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_clip_without_frames_takes_part_in_nothing() -> None:
    mask = torch.tensor([[1] * 6, [0] * 6])
    output = model(distillation_weight=1.0)(features(2, 6), mask, labels=torch.tensor([[2], [3]]))
    assert torch.isfinite(output.loss) and output.skipped == 1 and output.logit_lengths.tolist() == [6, 0]
    assert (output.logits[1].argmax(-1) == 0).all()


def test_the_blank_is_no_label_and_labels_are_rows() -> None:
    with pytest.raises(ValueError, match="label is 0, the blank"):
        model()(features(1, 5), labels=torch.tensor([[2, 0, -100]]))
    with pytest.raises(ValueError, match=r"labels have shape \(2, 1\).*for the 1 clips"):
        model()(features(1, 5), labels=torch.tensor([[2], [3]]))


def test_distillation_teaches_the_convolutions_alone() -> None:
    net = model(distillation_weight=1.0).train()
    output = net(features(2, 9), labels=torch.full((2, 1), -100))
    (
        output.loss - net._ctc_loss(output.logits, output.logit_lengths, torch.full((2, 1), -100), torch.ones(2).bool())
    ).backward()
    assert net.auxiliary_classifier.weight.grad.abs().max() > 0
    assert net.classifier.weight.grad.abs().max() < 1e-6


def test_distillation_is_the_divergence_of_softened_glosses() -> None:
    net = model(distillation_weight=1.0, distillation_temperature=2.0)
    teacher, student = torch.randn(2, 1, 4, 6).unbind(0)
    padding = torch.tensor([[False, False, False, True]])
    expected = 0.0
    for frame in range(3):
        p = (teacher[0, frame, 1:] / 2).softmax(-1)
        expected += (p * (p / (student[0, frame, 1:] / 2).softmax(-1)).log()).sum() * 4 / 3
    torch.testing.assert_close(net._distillation(teacher, student, padding), expected)


# ------------------------------------------------------------------------------------------------------ frames and time


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_lengths_after_the_stride_and_blank_on_padding(stride: int) -> None:
    net = model(temporal_stride=stride)
    lengths = torch.tensor([11, 8, 1])
    with torch.no_grad():
        output = net(features(3, 11), torch.arange(11) < lengths[:, None])
    assert output.logits.shape[1] == math.ceil(11 / stride)
    assert output.logit_lengths.tolist() == [math.ceil(n / stride) for n in lengths.tolist()]
    assert output.logit_lengths.tolist() == net.output_lengths(lengths).tolist()
    torch.testing.assert_close(output.logits.exp().sum(-1), torch.ones(output.logits.shape[:2]))
    for row, length in zip(output.logits, output.logit_lengths):
        assert (row[length:, 0] == 0).all() and (row[length:, 1:].exp() == 0).all()
        assert (row[:length, 0] < 0).all()


def test_the_recurrence_is_torchs_own_packed_one() -> None:
    layer, lengths = SignCTCRecurrence(5, 4, causal=False), torch.tensor([7, 3])
    whole = torch.nn.GRU(5, 4, batch_first=True, bidirectional=True)
    for name, parameter in layer.forward_gru.named_parameters():
        getattr(whole, name).data.copy_(parameter.data)
    for name, parameter in layer.backward_gru.named_parameters():
        getattr(whole, f"{name}_reverse").data.copy_(parameter.data)
    values, mask = torch.randn(2, 7, 5), torch.arange(7) < lengths[:, None]
    packed = torch.nn.utils.rnn.pack_padded_sequence(values, lengths, batch_first=True)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(whole(packed)[0], batch_first=True)
    got = layer(values, reversal(mask))
    torch.testing.assert_close(got[mask], expected[mask], atol=1e-6, rtol=0)


@pytest.mark.parametrize("causal", [True, False])
def test_who_sees_whom(causal: bool) -> None:
    net, values = model(causal=causal), features(1, 30)
    changed = values.clone()
    changed[:, 20:] += 1.0
    with torch.no_grad():
        difference = (net(values).logits - net(changed).logits).abs().amax(-1)[0]
    assert difference[20:].min() > 1e-4
    assert (difference[:20].max() == 0) == causal


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("cuts", [(), (1, 2, 3, 5, 5, 21), (4, 8, 12), (22,)])
def test_pieces_of_a_stream_make_the_whole(stride: int, cuts: tuple[int, ...]) -> None:
    net, values, state, pieces = model(causal=True, temporal_stride=stride), features(2, 23), None, []
    for start, stop in itertools.pairwise((0, *cuts, 23)):
        piece, state = net.step(values[:, start:stop], state)
        assert len(pieces) == 0 or piece.shape[1] <= math.ceil((stop - start) / stride)
        pieces.append(piece)
    pieces.append(net.step(values[:, :0], state, final=True)[0])
    whole = TestSignCTC().logits(net, input_values=values)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=TOLERANCE, rtol=0)


def test_only_a_causal_model_in_evaluation_runs_in_pieces() -> None:
    with pytest.raises(ValueError, match="causal=True"):
        model().step(features(1, 4))
    with pytest.raises(ValueError, match=r"call eval\(\)"):
        model(causal=True).train().step(features(1, 4))


def test_time_masks_hide_the_share_that_was_asked_for_and_no_more_than_spans() -> None:
    torch.manual_seed(0)
    net = model(time_mask_share=0.2, time_mask_frames=5).train()
    mask = torch.ones(400, 100, dtype=torch.bool)
    mask[200:, 40:] = False
    hidden = net.encoder._time_mask(mask)
    assert hidden[:200].float().mean() == pytest.approx(0.18, abs=0.02)  # 0.2 less what overlaps
    assert hidden[200:, :40].float().mean() == pytest.approx(0.18, abs=0.03) and not hidden[200:, 40:].any()
    edges = F.pad(hidden[:200].int(), (1, 1)).diff(dim=1)
    spans = (edges == -1).nonzero()[:, 1] - (edges == 1).nonzero()[:, 1]
    assert spans.min() >= 5
    # and they reach the model in training only
    values = features(1, 100)
    assert not torch.equal(net(values).logits, net(values).logits)
    assert torch.equal(net.eval()(values).logits, net(values).logits)


def test_a_short_clip_can_be_masked_too() -> None:
    net = model(time_mask_share=0.5, time_mask_frames=10).train()
    assert torch.isfinite(net(features(2, 3), labels=torch.tensor([[2], [3]])).loss)


# ------------------------------------------------------------------------------------------------------------- learning


def test_it_learns_to_read_sequences_of_signs() -> None:
    """Each gloss is a direction in feature space held for some frames, with noise between: seconds, not a benchmark."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(4, 12, generator=generator)

    def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        glosses = torch.randint(0, 4, (size, 3), generator=generator)
        values = 0.3 * torch.randn(size, 24, 12, generator=generator)
        for place in range(3):
            values[:, 2 + 7 * place : 7 + 7 * place] += directions[glosses[:, place], None]
        return values, glosses + 2

    net = model(hidden_size=16, auxiliary_weight=0.5, distillation_weight=1.0).train()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    for _ in range(80):
        values, labels = batch(16)
        optimizer.zero_grad()
        net(values, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    values, labels = batch(32)
    with torch.no_grad():
        best = net.eval()(values).logits.argmax(-1)
    read = [[key for key, _ in itertools.groupby(row) if key] for row in best.tolist()]
    right = sum(one == other for one, other in zip(read, labels.tolist()))
    assert right >= 28


def test_the_default_size() -> None:
    net = SignForCTC(SignCTCConfig(vocab_size=200))
    assert 3_500_000 < sum(parameter.numel() for parameter in net.parameters()) < 4_000_000
    assert net.config.dilations == [1, 2, 4, 8] and net.encoder.output_size == 512


# -------------------------------------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0; it must be at least 1"),
        ({"hidden_dropout": 1.0}, r"hidden_dropout is 1.0; it must be in \[0, 1\)"),
        ({"temporal_stride": 3}, "temporal_stride is 3; it must be 1, 2 or 4"),
        ({"dilations": [1, 2, 4]}, "one number of at least 1 for each of the 2 num_hidden_layers"),
        ({"kernel_size": 4}, "kernel_size is 4; a model that is not causal needs an odd one"),
        ({"vocab_size": 1}, "there must be a blank and at least one gloss"),
        ({"pad_token_id": 6}, "pad_token_id 6 is none of the 6 columns"),
        ({"auxiliary_weight": -1.0}, "auxiliary_weight is -1.0; it must be at least 0"),
        ({"distillation_temperature": 0.0}, "must be positive"),
        ({"ctc_loss_reduction": "none"}, "must be 'mean' or 'sum'"),
    ],
)
def test_settings_that_make_no_model_say_so(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TestSignCTC().config(**changes)


def test_an_even_kernel_is_fine_for_a_causal_model_and_features_are_counted() -> None:
    net = model(kernel_size=4, causal=True, dilations=[3, 1])
    assert net(features(1, 7)).logits.shape == (1, 7, 6)
    with pytest.raises(ValueError, match=r"takes 12 features a frame, \(B, T, F\), and got \(1, 4, 5\)"):
        net(torch.randn(1, 4, 5))
    with pytest.raises(ValueError, match=r"There is no frame in \(1, 0, 12\)"):
        net(torch.zeros(1, 0, 12))
