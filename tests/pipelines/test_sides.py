"""A clip and its mirror image: which of them is read, alone, in batches, and by evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_model import same_result, tiny_clip

from signlang_hf.landmarks.normalize import hand_lead, mirror
from signlang_hf.pipelines.sides import mirror_image_wins


def test_the_better_known_side_wins_and_the_signing_hand_has_a_say():
    clip, image = (
        np.array([[3.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]),
        np.array([[1.0, 0], [3.0, 0], [1.5, 0], [1.5, 0]]),
    )
    assert mirror_image_wins(clip, image, np.zeros(4), 0.0).tolist() == [False, True, True, True]
    assert mirror_image_wins(clip, image, np.zeros(4), 1.0).tolist() == [False, True, False, False]
    assert mirror_image_wins(clip, image, np.array([0.0, 0.0, 1.0, -1.0]), 1.0).tolist() == [False, True, False, True]


def test_without_a_margin_a_clip_and_its_mirror_image_get_the_same_answer(pipe):
    clips = [tiny_clip(seed=seed) for seed in range(6)]
    images = [mirror(clip) for clip in clips]
    apart = [pipe(clip)[0]["score"] - pipe(image)[0]["score"] for clip, image in zip(clips, images)]
    assert max(map(abs, apart)) > 1e-3  # the model itself knows left from right
    turned = 0
    for clip, image in zip(clips, images):
        found = pipe(clip, mirror_margin=0.0)
        same_result(pipe(image, mirror_margin=0.0), found, 1e-5)
        alone = [pipe(side, mirror_margin=None) for side in (clip, image)]
        assert any(one[0]["label"] == found[0]["label"] for one in alone)
        turned += found[0]["score"] == pytest.approx(alone[1][0]["score"], abs=1e-6)
    assert 0 < turned < 6


def test_the_models_own_margin_is_used_and_may_be_overruled(pipe, loaded, monkeypatch):
    clips = [mirror(tiny_clip(seed=seed)) for seed in range(6)]
    alone, both = pipe(clips), pipe(clips, mirror_margin=0.0)
    assert [one[0]["score"] for one in alone] != [one[0]["score"] for one in both]
    monkeypatch.setattr(loaded.model.config, "mirror_margin", 0.0)
    # So far ahead as the last margin is no mirror image: the clips alone count.
    for options, expected in (({}, both), ({"mirror_margin": None}, alone), ({"mirror_margin": 1e6}, alone)):
        for one, other in zip(pipe(clips, **options), expected):
            same_result(one, other, 1e-6)


def test_batches_and_embeddings_choose_clip_by_clip(pipe):
    clips = [tiny_clip(seed=seed, frames=12 + 3 * seed) for seed in range(5)]
    options = {"mirror_margin": 0.0, "return_embedding": True}
    single = [pipe(clip, **options) for clip in clips]
    batched = pipe(clips, batch_size=3, **options)
    for one, other in zip(single, batched):
        same_result(one["predictions"], other["predictions"], 1e-5)
        np.testing.assert_allclose(one["embedding"], other["embedding"], atol=1e-5)


@pytest.mark.parametrize("margin", [-1, True, "far", float("inf"), float("nan")])
def test_what_is_no_margin_is_refused(pipe, margin):
    with pytest.raises(ValueError, match=r"mirror_margin is .*; it must be a number of logits"):
        pipe(tiny_clip(), mirror_margin=margin)


def test_the_lead_turns_with_the_clip():
    for seed in range(4):
        clip = tiny_clip(seed=seed)
        assert hand_lead(mirror(clip)) == pytest.approx(-hand_lead(clip), abs=1e-6) != 0
