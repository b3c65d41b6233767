"""Leaks: what counts as one, what does not, and that the real fingerspelling data gives neither misses nor false alarms."""

from __future__ import annotations

import time
import tracemalloc
from itertools import combinations

import datasets
import numpy as np
import pytest

from signlang_hf.data import LeakError, check_leaks, describe_leaks, find_duplicates, find_leaks, load_dataset
from signlang_hf.data.descriptors import FRAMES, Describer, aligned_distance, coarse, nearest
from signlang_hf.data.leaks import NEAR_WITH_HANDS, NEAR_WITHOUT_HANDS
from signlang_hf.data.rows import landmark_features, to_row, to_sequence
from signlang_hf.landmarks import LandmarkSequence, get_layout, list_layouts

PAIRS = [(word, signer) for signer in ("x", "y") for word in ("a", "b", "c")]


@pytest.fixture
def clean(make_dataset):
    """Two splits that share words, but neither signers nor clips."""
    other = [(word, "z") for word in ("a", "b", "c")]
    return datasets.DatasetDict(train=make_dataset(PAIRS), test=make_dataset(other, offset=100, prefix="t"))


def rows_of(sequences, features, signer="z"):
    rows = [to_row(s, id=f"n{i}", signer=signer, label=0) for i, s in enumerate(sequences)]
    return datasets.Dataset.from_list(rows, features=features)


def with_rows(splits, name, sequences):
    extra = rows_of(sequences, splits[name].features)
    return datasets.DatasetDict({**splits, name: datasets.concatenate_datasets([splits[name], extra])})


def changed(sequence: LandmarkSequence, how: str) -> LandmarkSequence:
    data, rng = sequence.data, np.random.default_rng(0)
    if how == "moved and scaled":
        return sequence.replace(data=data * np.float32(0.6) + np.float32(0.1))
    if how == "other picture size":
        return sequence.replace(data=data * np.array([1, 0.5, 1], "f4"), size=(640, 960))
    if how == "cut at the start":
        return sequence.frames(slice(2, None))
    if how == "half the rate":
        return sequence.frames(slice(0, None, 2))
    if how == "jitter":
        return sequence.replace(data=data + rng.normal(0, 0.0005, data.shape).astype("f4"))
    gone = rng.random(data.shape[:2]) < 0.05
    return sequence.replace(data=np.where(gone[..., None], np.float32(np.nan), data))


CHANGES = ("moved and scaled", "other picture size", "cut at the start", "half the rate", "jitter", "points lost")


def test_clean_splits_share_nothing(clean):
    assert find_leaks(clean, signer_independent=True) == [] == check_leaks(clean, signer_independent=True)
    assert describe_leaks([]) == "The splits share nothing."


def test_a_shared_signer_is_a_leak_only_where_independence_is_claimed(make_dataset):
    splits = datasets.DatasetDict(train=make_dataset(PAIRS), test=make_dataset([("a", "y"), ("b", "y")], offset=100))
    assert find_leaks(splits) == []
    (leak,) = find_leaks(splits, signer_independent=True)
    assert (leak.kind, leak.splits, leak.distance) == ("signer", ("train", "test"), None)
    assert leak.detail == "signer 'y': 3 clips in train, 2 in test"


def test_unknown_signers_are_not_one_signer(make_dataset):
    nobody = [("a", None), ("b", None)]
    splits = datasets.DatasetDict(train=make_dataset(nobody), test=make_dataset(nobody, offset=50))
    assert find_leaks(splits, signer_independent=True) == []


def test_the_same_content_under_another_name_is_found_once(clean):
    copy = to_sequence(clean["train"][4])
    (leak,) = find_leaks(with_rows(clean, "test", [copy]))
    assert (leak.kind, leak.ids, leak.distance) == ("content", ("4", "n0"), 0.0)


@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_copy_is_found_as_a_near_duplicate(clean, how):
    copy = changed(to_sequence(clean["train"][4]), how)
    (leak,) = find_leaks(with_rows(clean, "test", [copy]))
    assert (leak.kind, leak.ids) == ("near-duplicate", ("4", "n0"))
    assert 0 <= leak.distance < NEAR_WITH_HANDS
    assert find_leaks(with_rows(clean, "test", [copy]), near_duplicates=False) == []
    assert find_leaks(with_rows(clean, "test", [copy]), threshold=leak.distance / 2) == []


def test_duplicates_within_a_dataset_are_found_once_the_earlier_first(clean, clip):
    assert find_duplicates(clean["train"]) == []
    first, second = (to_sequence(clean["train"][row]) for row in (0, 3))
    extra = [first, changed(second, "cut at the start"), first.replace(data=np.full_like(first.data, np.nan))]
    found = find_duplicates(with_rows(clean, "train", extra)["train"])
    ids = clean["train"]["id"]
    assert [(leak.kind, leak.ids) for leak in found] == [
        ("content", (ids[0], "n0")), ("near-duplicate", (ids[3], "n1")),
    ]  # fmt: skip
    assert found[0].distance == 0 < found[1].distance < NEAR_WITH_HANDS


def test_every_pair_of_splits_is_compared(clean, clip):
    three = datasets.DatasetDict(clean | {"validation": rows_of([clip(0), clip(101)], clean["train"].features)})
    leaks = find_leaks(three)
    assert {(leak.splits, leak.ids) for leak in leaks} == {
        (("train", "validation"), ("0", "n0")),
        (("test", "validation"), ("t1", "n1")),
    }


def test_clips_in_which_nothing_was_seen_are_not_copies_of_each_other(clean, clip):
    blank = clip(0).replace(data=np.full_like(clip(0).data, np.nan))
    splits = with_rows(with_rows(clean, "train", [blank, clip(3).frames(slice(0, 0))]), "test", [blank])
    assert find_leaks(splits) == []


def test_pictures_are_compared_like_clips(clean, clip):
    picture = clip(7).frames(slice(0, 1))
    assert [leak.kind for leak in find_leaks(with_rows(clean, "test", [picture]))] == []
    both = with_rows(with_rows(clean, "train", [picture]), "test", [changed(picture, "moved and scaled")])
    assert [leak.kind for leak in find_leaks(both)] == ["near-duplicate"]


def test_body_tracks_without_hands_need_to_be_closer(clip):
    features = landmark_features("kinect-20", label_names=["a"])
    clips = [clip(i, layout="kinect-20", points=20) for i in range(6)]
    first, jitter = clips[0], np.random.default_rng(0).normal(0, 0.002, clips[0].data.shape).astype("f4")
    splits = datasets.DatasetDict(
        train=rows_of(clips, features), test=rows_of([changed(first, "moved and scaled")], features)
    )
    assert [leak.distance < NEAR_WITHOUT_HANDS for leak in find_leaks(splits)] == [True]
    repeated = datasets.DatasetDict(
        train=rows_of(clips, features), test=rows_of([first.replace(data=first.data + jitter)], features)
    )
    assert find_leaks(repeated) == []
    assert find_leaks(repeated, threshold=NEAR_WITH_HANDS) != [], (
        "what would be a copy with hands is a repetition without"
    )


def test_streaming_splits_are_read_too(clean):
    copy = changed(to_sequence(clean["train"][4]), "moved and scaled")
    splits = with_rows(clean, "test", [to_sequence(clean["train"][1]), copy])
    streamed = datasets.IterableDatasetDict({name: split.to_iterable_dataset() for name, split in splits.items()})
    assert find_leaks(streamed, signer_independent=True) == find_leaks(splits, signer_independent=True)
    assert len(find_leaks(splits)) == 2


def test_a_format_a_selection_and_a_transform_do_not_disturb(clean):
    copy = with_rows(clean, "test", [to_sequence(clean["train"][4])])
    disguised = datasets.DatasetDict(
        train=copy["train"].select([5, 4]).with_format("torch"),
        test=copy["test"].with_transform(lambda batch: {"input_values": batch["id"]}),
    )
    assert [leak.ids for leak in find_leaks(disguised)] == [("4", "n0")]


def test_check_refuses_with_a_table_and_lets_pass_what_is_allowed(clean):
    splits = with_rows(clean, "test", [to_sequence(clean["train"][i]) for i in range(6)])
    with pytest.raises(LeakError) as caught:
        check_leaks(splits)
    message = str(caught.value)
    assert isinstance(caught.value, ValueError) and len(caught.value.leaks) == 6
    assert "The splits share what they should not (6 leaks):" in message
    assert "content  train / test  0 / n0  the same landmarks" in message
    assert "allow=True" in message
    assert "… and 4 more" in describe_leaks(caught.value.leaks, shown=2)
    with pytest.warns(UserWarning, match=r"\(6 leaks\)"):
        assert len(check_leaks(splits, allow=True)) == 6


def test_what_is_no_landmark_dataset_is_refused(clean):
    with pytest.raises(ValueError, match="split 'train' has no column landmarks, layout"):
        find_leaks(datasets.DatasetDict(train=datasets.Dataset.from_dict({"id": ["a"]})))
    other = landmark_features("kinect-20", label_names=["a"])
    kinect = rows_of([LandmarkSequence(np.random.rand(5, 20, 3), "kinect-20")], other)
    with pytest.raises(ValueError, match=r"different layouts \(train in hands-42, test in kinect-20\)"):
        find_leaks(datasets.DatasetDict(train=clean["train"], test=kinect))


@pytest.mark.parametrize("layout", list_layouts())
def test_every_layout_has_a_descriptor(layout, clip):
    describer = Describer(layout)
    sequence = clip(1, layout=layout, points=len(get_layout(layout)))
    descriptor, _ = describer(sequence.data, sequence.size)
    assert descriptor.shape == (FRAMES, describer.size) and np.isfinite(descriptor).all() and descriptor.any()
    norms = np.square(descriptor).sum(1).mean()
    assert 0.9 < norms <= len(describer.ends) + 1e-3


def test_nearest_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 8)).astype("f4"), rng.normal(size=(70, 8)).astype("f4")
    index, distance = nearest(a, b, 3, block=16)
    full = np.linalg.norm(a[:, None] - b[None], axis=2)
    np.testing.assert_array_equal(np.sort(index), np.sort(np.argsort(full, axis=1)[:, :3]))
    np.testing.assert_allclose(distance, np.take_along_axis(full, index, 1), atol=1e-4)
    assert nearest(a, b[:2], 5)[0].shape == (50, 2)


def test_aligned_distance_is_zero_for_itself_symmetric_and_forgives_a_shift(clip):
    describer = Describer("hands-42")
    fine = np.stack([describer(clip(i, frames=60).data, (640, 480))[0] for i in range(4)])
    shifted = np.stack([describer(clip(i, frames=60).data[6:], (640, 480))[0] for i in range(4)])
    np.testing.assert_allclose(aligned_distance(fine, fine), 0, atol=1e-3)
    np.testing.assert_allclose(aligned_distance(fine, shifted), aligned_distance(shifted, fine), atol=1e-5)
    plain = np.linalg.norm(coarse(fine) - coarse(shifted), axis=1)
    assert (aligned_distance(fine, shifted) < 0.5 * plain).all()


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    pytest.importorskip("spoken_to_signed", reason="the package spoken-to-signed is not installed")
    return load_dataset("fingerspelling", config_name="all", split="train", cache_dir=tmp_path_factory.mktemp("cache"))


def test_no_false_alarm_among_410_different_letters(letters):
    """Every language against every other, and within each language the first half of the alphabet against the second."""
    signers = np.array(letters["signer"])
    labels = np.array(letters["label"])
    halves = {"early": np.flatnonzero(labels < 13), "late": np.flatnonzero(labels >= 13)}
    assert find_leaks(datasets.DatasetDict({name: letters.select(rows) for name, rows in halves.items()})) == []
    languages = datasets.DatasetDict(
        {name: letters.select(np.flatnonzero(signers == name)) for name in sorted(set(signers))}
    )
    assert find_leaks(languages, signer_independent=True) == []


def test_the_closest_two_letters_keep_a_margin_from_the_threshold(letters):
    describer = Describer("mediapipe-holistic")
    rows = letters.with_format("numpy")
    fine = np.stack([describer(row["landmarks"], (500, 500))[0] for row in rows])
    index, _ = nearest(coarse(fine), coarse(fine), 6)
    pairs = np.array(sorted({tuple(sorted((i, j))) for i, row in enumerate(index.tolist()) for j in row if i != j}))
    closest = aligned_distance(fine[pairs[:, 0]], fine[pairs[:, 1]]).min()
    assert 1.2 * NEAR_WITH_HANDS < closest < 1.35 * NEAR_WITH_HANDS


def test_the_copies_that_the_package_lists_for_fsl_are_found(letters):
    ase = letters.filter(lambda signer: signer == "ase", input_columns="signer")
    fsl = ase.map(lambda row: {"signer": "fsl", "id": row["id"].replace("ase", "fsl")})
    leaks = find_leaks(datasets.DatasetDict(train=fsl, test=ase), signer_independent=True)
    assert [leak.kind for leak in leaks] == ["content"] * 26
    assert {leak.ids for leak in leaks} == {
        (f"fsl/{letter}", f"ase/{letter}") for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    }


@pytest.mark.parametrize(
    ("how", "share"), [("moved and scaled", 1.0), ("cut at the start", 0.95), ("points lost", 0.85)]
)
def test_changed_letters_are_found(letters, how, share):
    some = letters.select(range(0, 410, 5))
    copies = rows_of([changed(to_sequence(row), how) for row in some], letters.features)
    leaks = find_leaks(datasets.DatasetDict(train=some, test=copies))
    right = {i for leak in leaks if leak.ids == (some[int(leak.ids[1][1:])]["id"], leak.ids[1]) for i in leak.ids[1:]}
    assert len(leaks) == len(right) >= share * len(some)


def test_thousands_of_clips_take_seconds_and_little_memory(tmp_path):
    """2 × 2000 clips of 40 frames: 144 MB of landmarks."""
    count, frames = 2000, 40

    def generate(seed):
        rng = np.random.default_rng(seed)
        for i in range(count):
            data = np.cumsum(rng.normal(0, 0.01, (frames, 75, 3)), axis=0).astype("f4")
            yield to_row(LandmarkSequence(data, "mediapipe-holistic", size=(640, 480)), id=f"{seed}/{i}", label=0)

    features = landmark_features("mediapipe-holistic", label_names=["a"])
    splits = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_generator(
                generate, features=features, gen_kwargs={"seed": seed}, cache_dir=str(tmp_path), keep_in_memory=False
            )
            for seed, name in enumerate(("train", "test"))
        }
    )
    tracemalloc.start()
    start = time.perf_counter()
    assert find_leaks(splits) == []
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 30, "about 3 s on one core"
    assert peak < 100e6, f"{peak / 1e6:.0f} MB for 144 MB of landmarks"


def test_pairs_of_kinds_are_ordered(clean):
    copy = to_sequence(clean["train"][4])
    splits = with_rows(clean, "test", [changed(to_sequence(clean["train"][2]), "jitter"), copy])
    kinds = [leak.kind for leak in find_leaks(splits, signer_independent=True)]
    order = ["signer", "content", "near-duplicate"]
    assert all(order.index(a) <= order.index(b) for a, b in combinations(kinds, 2)) and len(kinds) == 2
