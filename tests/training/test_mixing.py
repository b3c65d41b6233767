"""Mixup: blends and labels by hand, clips of different length, and the same blend whoever makes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from signlang_hf import SignKeypointProcessor
from signlang_hf.training.clips import ClipCollator
from signlang_hf.training.mixing import mix, stretch

RNG = np.random.default_rng(0)
CLIPS = [RNG.normal(size=(frames, 126)).astype(np.float32) for frames in (5, 9, 1, 12, 7)]
LABELS = [2, 0, 1, 4, 3]


@pytest.mark.parametrize(("frames", "wanted"), [(5, 12), (12, 5), (7, 7), (1, 4), (4, 1), (2, 3)])
def test_stretching_is_linear_interpolation(frames, wanted):
    values = RNG.normal(size=(frames, 3)).astype(np.float32)
    found = stretch(values, wanted)
    place = np.linspace(0, frames - 1, wanted)
    expected = np.stack([np.interp(place, np.arange(frames), column) for column in values.T], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_a_blend_is_what_its_labels_say():
    mixed, shares = mix(CLIPS, LABELS, 5, 1.0, draws=[11, 12, 13, 14, 15])
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    led = 0
    for clip, label, blend, share in zip(CLIPS, LABELS, mixed, shares):
        assert share[label] >= 0.5
        partner = LABELS.index(int(np.argmax(np.where(np.arange(5) == label, 0, share))))
        expected = share[label] * clip + (1 - share[label]) * stretch(CLIPS[partner], len(clip))
        np.testing.assert_allclose(blend, expected, atol=1e-5)
        led += share[label] < 1
    assert led >= 2


def test_clips_of_one_class_keep_their_label():
    _, shares = mix(CLIPS, [1] * 5, 3, 0.4, draws=range(5))
    np.testing.assert_allclose(shares, np.eye(3)[[1] * 5], atol=1e-6)


def test_the_same_draws_give_the_same_blend_and_others_another():
    one, other = (mix(CLIPS, LABELS, 5, 0.4, draws=[1, 2, 3, 4, 5]) for _ in range(2))
    for a, b in zip(one[0], other[0]):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(mix(CLIPS, LABELS, 5, 0.4, draws=[1, 2, 3, 4, 6])[1], one[1])


def test_alpha_says_how_much_is_blended():
    def mean_lead(alpha: float) -> float:
        rows = [mix(CLIPS[:2], [0, 1], 2, alpha, draws=[i, 0])[1].max(axis=1) for i in range(400)]
        return float(np.mean(rows))

    # E max(x, 1 - x) of Beta(1, 1) is 3/4; half of the permutations of two clips leave each as it is.
    assert mean_lead(1.0) == pytest.approx((0.75 + 1) / 2, abs=0.02)
    assert mean_lead(0.1) > mean_lead(1.0) > mean_lead(8.0)


def test_the_collator_mixes_training_clips_alone():
    processor = SignKeypointProcessor(layout="hands-42", normalization="centroid")
    clips = [{"input_values": clip, "labels": label} for clip, label in zip(CLIPS, LABELS)]
    collate = ClipCollator(processor, 5, mixup_alpha=0.5)
    assert collate(clips)["labels"].tolist() == LABELS
    drawn = [{**clip, "draw": 2**62 + i} for i, clip in enumerate(clips)]
    batch = collate(drawn)
    assert batch["labels"].shape == (5, 5) and batch["labels"].dtype == torch.float32
    assert batch["attention_mask"].sum(1).tolist() == [5, 9, 1, 12, 7]
    assert ClipCollator(processor)(drawn)["labels"].tolist() == LABELS
