"""Clips for the Trainer: what augmentation draws depends on seed, epoch and clip, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard, DataLoaderShard
from tiny_signs import tiny_clip
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from signlang_hf import SignKeypointProcessor
from signlang_hf.landmarks.augment import Augmenter
from signlang_hf.landmarks.rows import to_sequence
from signlang_hf.training.clips import ClipCollator, ClipDataset, digest

PROCESSOR = SignKeypointProcessor(layout="hands-42", normalization="centroid")


@pytest.fixture(scope="module")
def rows():
    """Six clips of 5 to 10 frames."""
    from datasets import Dataset

    from signlang_hf.data import landmark_features, to_row

    clips = [to_row(tiny_clip(i % 2, 0, i, frames=5 + i), id=f"clip{i}", signer="anna", label=i % 2) for i in range(6)]
    return Dataset.from_list(clips, features=landmark_features("hands-42", label_names=["no", "yes"]))


def augmented(rows, seed: int = 0) -> ClipDataset:
    return ClipDataset(rows, PROCESSOR, Augmenter(), seed=seed)


def same(one: ClipDataset, other: ClipDataset) -> list[bool]:
    return [np.array_equal(a["input_values"], b["input_values"]) for a, b in zip(one, other)]


def test_rows_become_features_and_labels(rows):
    clips = ClipDataset(rows, PROCESSOR)
    assert len(clips) == 6
    for index, row in enumerate(rows.with_format("numpy")):
        assert clips[index]["labels"] == index % 2
        np.testing.assert_array_equal(clips[index]["input_values"], PROCESSOR.extract(to_sequence(row)))


def test_the_same_seed_epoch_and_clip_give_the_same_draw_and_others_another(rows):
    one, other = augmented(rows), augmented(rows)
    assert same(one, other) == [True] * 6
    assert same(one, augmented(rows, seed=1)) == [False] * 6
    one.set_epoch(1)
    assert one.epoch == 1
    assert same(one, other) == [False] * 6
    other.set_epoch(1)
    assert same(one, other) == [True] * 6
    one.set_epoch(0)
    assert same(one, augmented(rows)) == [True] * 6


def test_without_augmenter_epochs_are_alike(rows):
    clips = ClipDataset(rows, PROCESSOR)
    before = list(clips)
    clips.set_epoch(3)
    for one, other in zip(before, clips):
        np.testing.assert_array_equal(one["input_values"], other["input_values"])


def test_feature_dropout_leaves_whole_features_out_in_training_alone(rows):
    processor = SignKeypointProcessor(
        layout="hands-42", normalization="centroid", features=("position", "velocity", "presence")
    )
    columns = {"position": slice(0, 126), "velocity": slice(126, 252), "presence": slice(252, None)}
    plain = ClipDataset(rows, processor, Augmenter(), seed=3)
    clips = ClipDataset(rows, processor, Augmenter(), seed=3, feature_dropout=0.6)
    left_out = dict.fromkeys(columns, 0)
    for epoch in range(20):
        plain.set_epoch(epoch)
        clips.set_epoch(epoch)
        for whole, clip in zip(plain, clips):
            gone = {name: not clip["input_values"][:, part].any() for name, part in columns.items()}
            assert sum(gone.values()) < 3
            for name, part in columns.items():
                left_out[name] += gone[name]
                if not gone[name]:
                    np.testing.assert_array_equal(clip["input_values"][:, part], whole["input_values"][:, part])
    # Each is left out with chance 0.6 where not all are: (0.6 - 0.6 ** 3) of 120 clips, with 5 standard deviations.
    assert all(abs(count - 46) < 27 for count in left_out.values()), left_out
    for whole, clip in zip(rows, ClipDataset(rows, processor, feature_dropout=0.6)):
        np.testing.assert_array_equal(clip["input_values"], processor.extract(to_sequence(whole)))


def batches(clips: ClipDataset, **options) -> DataLoader:
    return DataLoader(clips, batch_size=2, collate_fn=ClipCollator(PROCESSOR), **options)


@pytest.mark.parametrize("options", [{"num_workers": 2}, {"num_workers": 1, "persistent_workers": True}])
def test_workers_draw_what_the_main_process_draws(rows, options):
    here, there = augmented(rows), augmented(rows)
    loader = batches(there, **options)
    seen = []
    for epoch in (0, 1):
        here.set_epoch(epoch)
        there.set_epoch(epoch)  # workers that live on see it too
        for one, other in zip(batches(here), loader):
            assert torch.equal(one["input_values"], other["input_values"])
            seen.append(one["input_values"])
    assert not torch.equal(seen[0], seen[3])


def test_accelerate_alone_would_repeat_the_first_epoch_on_several_processes(rows):
    """Why the Trainer is given a callback for set_epoch."""
    clips = augmented(rows)
    sampler = BatchSampler(RandomSampler(clips), 2, drop_last=False)
    sampler.sampler.set_epoch = lambda epoch: None
    loader = DataLoaderShard(clips, batch_sampler=BatchSamplerShard(sampler, 2, 0), collate_fn=ClipCollator(PROCESSOR))
    loader.set_epoch(4)
    assert clips.epoch == 0


def test_labels_are_put_in_the_order_of_the_model(rows):
    clips = ClipDataset(rows, PROCESSOR, labels=[7, 3])
    assert [clip["labels"] for clip in clips] == [7, 3, 7, 3, 7, 3]


def test_a_clip_without_label_is_named(rows):
    from datasets import concatenate_datasets

    unlabelled = rows.select([2]).map(lambda row: {"label": -1}, features=rows.features)
    clips = ClipDataset(concatenate_datasets([rows, unlabelled]), PROCESSOR)
    with pytest.raises(ValueError, match=r"Clip clip2 has no label\."):
        clips[6]


def test_the_collator_pads_and_masks(rows):
    clips = ClipDataset(rows, PROCESSOR)
    batch = ClipCollator(PROCESSOR)([clips[0], clips[5]])
    assert set(batch) == {"input_values", "attention_mask", "labels"}
    assert batch["input_values"].shape == (2, 10, PROCESSOR.feature_size)
    assert batch["input_values"].dtype == torch.float32
    assert batch["attention_mask"].tolist() == [[1] * 5 + [0] * 5, [1] * 10]
    assert batch["labels"].tolist() == [0, 1]
    np.testing.assert_array_equal(batch["input_values"][0, :5], clips[0]["input_values"])
    assert (batch["input_values"][0, 5:] == 0).all()


def test_the_digest_tells_data_apart(rows):
    from datasets import Dataset

    found = digest(rows)
    assert digest(rows) == found
    assert digest(Dataset.from_list(rows.to_list(), features=rows.features)) == found
    assert digest(rows.add_column("note", ["x"] * 6)) == found
    changed = {
        "order": rows.select([1, 0, 2, 3, 4, 5]),
        "fewer": rows.select(range(5)),
        "label": rows.map(lambda row: {"label": 1 - row["label"]}),
        "fps": rows.map(lambda row: {"fps": 30.0}),
        "name": rows.map(lambda row: {"id": row["id"] + "x"}),
    }
    moved = rows.to_list()
    moved[3]["landmarks"] = np.asarray(moved[3]["landmarks"], np.float32).tolist()
    moved[3]["landmarks"][0][0][0] += 1e-6
    changed["landmarks"] = Dataset.from_list(moved, features=rows.features)
    digests = {name: digest(split) for name, split in changed.items()}
    assert found not in digests.values()
    assert len(set(digests.values())) == len(changed)
