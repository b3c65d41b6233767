"""Faithfulness: without the cells that an explanation calls hot, the model loses its answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tiny_model import tiny_clip, tiny_model

from signlang_hf import (
    LandmarkSequence,
    SignKeypointProcessor,
    SignTransformerConfig,
    SignTransformerForSignClassification,
    load_landmarks,
)
from signlang_hf.explain import EXPLAINERS, Deletion, GradCAMExplainer, SignExplanation, deletion_test

LETTERS = "ABCLVWY"
REPEATS = 4


@pytest.fixture(scope="module")
def explained() -> tuple[Any, SignKeypointProcessor, SignExplanation]:
    processor = SignKeypointProcessor(layout="isl-48")
    model = tiny_model(processor.feature_size)
    return model, processor, GradCAMExplainer(model, processor).generate(tiny_clip(20))


class Spy:
    """A processor that keeps the clips that it was given."""

    def __init__(self, processor: SignKeypointProcessor) -> None:
        self.processor = processor
        self.clips: list[LandmarkSequence] = []

    def __call__(self, clips: list[LandmarkSequence], **options: Any) -> Any:
        self.clips += clips
        return self.processor(clips, **options)


def deleted(explained: tuple[Any, Any, SignExplanation], **options: Any) -> tuple[Deletion, np.ndarray]:
    """The test's result, and (2 + 2 R, T, K) what was deleted for it."""
    model, processor, explanation = explained
    spy = Spy(processor)
    result = deletion_test(model, spy, explanation, **options)
    return result, np.stack([explanation.sequence.seen & ~clip.seen for clip in spy.clips])


def test_the_hottest_cells_are_deleted_and_as_many_elsewhere(explained):
    model, processor, explanation = explained
    found, cells = deleted(explained, share=0.2, repeats=3)
    assert cells.shape == (8, 20, 48)
    assert cells.sum(axis=(1, 2)).tolist() == [0] + [192] * 7
    heat = explanation.heat
    assert heat[cells[1]].min() >= heat[~cells[1]].max()
    overlap = [(cells[1] & other).mean() for other in cells[2:]]
    assert max(overlap) < 0.5 * cells[1].mean()
    pattern = np.sort(cells[1].sum(axis=0))
    for moved in cells[5:]:
        np.testing.assert_array_equal(np.sort(moved.sum(axis=0)), pattern)  # the joints' shares, on other joints
    with torch.no_grad():
        logits = model(**processor(explanation.sequence, return_tensors="pt")).logits[0]
    assert found.whole == pytest.approx(float(logits.softmax(-1)[explanation.label_id]), abs=1e-5)
    assert found.whole == pytest.approx(explanation.score, abs=1e-5)
    assert found.random.shape == found.matched.shape == (3,) and 0 <= found.top <= 1


def test_only_cells_that_could_matter_are_deleted(explained):
    model, processor, explanation = explained
    clip = explanation.sequence
    data = clip.data.copy()
    data[:5, 6:] = np.nan
    looked_at = np.arange(48) >= 6
    given = dataclasses.replace(explanation, sequence=clip.replace(data=data, visibility=None), looked_at=looked_at)
    _, cells = deleted((model, processor, given), share=0.5, repeats=2)
    assert cells.sum(axis=(1, 2)).tolist() == [0] + [15 * 42 // 2] * 5
    assert not cells[:, :, :6].any() and not cells[:, :5].any()


def test_a_seed_gives_the_same_draws(explained):
    model, processor, explanation = explained
    one, again, other = (deletion_test(model, processor, explanation, seed=seed).random for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"share": 0.0}, r"share is 0\.0"),
        ({"share": 1.0}, r"share is 1\.0"),
        ({"repeats": 0}, "repeats is 0"),
        ({"share": 1e-4}, r"0\.01 % of the clip's 960 cells that reach the model are none to delete"),
    ],
)
def test_impossible_deletions(explained, options, said):
    with pytest.raises(ValueError, match=said):
        deletion_test(*explained, **options)


# -------------------------------------------------------------------------------------------------------------- real clips


@pytest.fixture(scope="module")
def letters() -> Iterator[tuple[Any, SignKeypointProcessor, list[tuple[LandmarkSequence, int]]]]:
    """A small model of seven letters, trained in seconds on 13 sign languages, and the clips of 3 others that it gets right."""
    pytest.importorskip("spoken_to_signed", reason="spoken-to-signed is not installed")
    from signlang_hf.data.fingerspelling import read_lexicon

    rows = [row for row in read_lexicon() if row["letter"] in LETTERS]
    clips = [
        (row["language"], load_landmarks(row["file"]).to_layout("isl-48"), LETTERS.index(row["letter"])) for row in rows
    ]
    processor = SignKeypointProcessor(
        layout="isl-48", features=["bone_direction", "hand_distance"], dominant_hand="right", max_frames=24
    )
    torch.manual_seed(0)
    config = SignTransformerConfig(
        input_size=processor.feature_size, hidden_size=48, num_hidden_layers=1, num_attention_heads=4, embedding_size=48,
        num_labels=len(LETTERS), hidden_dropout=0.3, input_dropout=0.2,
    )  # fmt: skip
    model = SignTransformerForSignClassification(config).train()
    held_out = ("ase", "gsg", "sgg")
    train = [(processor.extract(clip), label) for language, clip, label in clips if language not in held_out]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    for _ in range(12):
        for batch in torch.randperm(len(train)).split(16):
            values = [train[i][0] for i in batch]
            inputs = processor.pad(
                {"input_values": values, "attention_mask": [np.ones(len(value), np.int64) for value in values]},
                return_tensors="pt",
            )
            model(**inputs, labels=torch.tensor([train[i][1] for i in batch])).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()
    right = []
    for language, clip, label in clips:
        if language in held_out:
            with torch.no_grad():
                if int(model(**processor(clip, return_tensors="pt")).logits.argmax()) == label:
                    right.append((clip, label))
    yield model, processor, right


@pytest.mark.parametrize("method", list(EXPLAINERS))
def test_deleting_the_hottest_fifth_hurts_more_than_deleting_others(letters, method):
    model, processor, clips = letters
    assert len(clips) >= 10  # of 21: it has learned something
    options = {"steps": 16} if method == "integrated-gradients" else {}
    explainer = EXPLAINERS[method](model, processor, **options)
    found = [
        deletion_test(model, processor, explainer.generate(clip, label=label), repeats=REPEATS, seed=number)
        for number, (clip, label) in enumerate(clips)
    ]
    whole, top = (np.mean([getattr(test, field) for test in found]) for field in ("whole", "top"))
    random, matched = (
        np.stack([getattr(test, field) for test in found]).mean(axis=0) for field in ("random", "matched")
    )
    assert (top < random - 0.1 * whole).all(), (whole, top, random)  # every draw, not only their mean
    assert (top < matched).all(), (whole, top, matched)
    hurt = np.mean([test.top < test.random.mean() for test in found])
    assert hurt >= 0.8
