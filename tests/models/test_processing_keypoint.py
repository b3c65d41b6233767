"""SignKeypointProcessor: each setting, padding, time, geometry and what is measured on training clips."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moving_signer import LAYOUT, POINTS, clip, motion
from transformers import AutoFeatureExtractor

from signlang_hf import LandmarkSequence, SignKeypointProcessor, get_layout, register_layout
from signlang_hf.data.rows import to_row
from signlang_hf.landmarks.alignment import KEY_POINTS, key_path, key_points, reference_path
from signlang_hf.landmarks.features import FEATURES
from signlang_hf.landmarks.layout import BUILT_IN_LAYOUTS
from signlang_hf.landmarks.normalize import mirror, normalize

ROOT = Path(__file__).resolve().parent.parent.parent

PATH = key_path(normalize(motion(2 * np.linspace(0, 1, 16) ** 1.5))).tolist()


def with_gaps(sequence: LandmarkSequence) -> LandmarkSequence:
    """The left hand is missing for two frames, the right wrist for twenty, one finger always."""
    data, index = sequence.data.copy(), sequence.spec.index
    data[10:12, list(sequence.spec.parts["left_hand"])] = np.nan
    data[20:40, index["right_wrist"]] = np.nan
    data[:, index["right_hand_little_tip"]] = np.nan
    return sequence.replace(data=data, visibility=None)


# ------------------------------------------------------------------------------------------------------- what comes out


def test_shapes_types_and_values() -> None:
    batch = SignKeypointProcessor(LAYOUT)([clip(50), clip(20)], return_tensors="pt")
    assert set(batch) == {"input_values", "attention_mask"}
    assert batch["input_values"].shape == (2, 50, POINTS * 3) and str(batch["input_values"].dtype) == "torch.float32"
    assert batch["attention_mask"].tolist() == [[1] * 50, [1] * 20 + [0] * 30]
    assert str(batch["attention_mask"].dtype) == "torch.int64"
    single = SignKeypointProcessor(LAYOUT)(clip(), return_tensors="np")
    assert single["input_values"].shape == (1, 50, POINTS * 3) and single["input_values"].dtype == np.float32
    assert single["attention_mask"].dtype == np.int64


def test_padded_batch_equals_single_clips() -> None:
    processor = SignKeypointProcessor(LAYOUT, features=("position", "velocity", "hand_shape"), smooth_window=5)
    clips = [with_gaps(clip(50)), clip(1), with_gaps(clip(64, 30.0))]
    batch = processor(clips, return_tensors="np")
    for row, one in enumerate(clips):
        alone = processor(one, return_tensors="np")["input_values"][0]
        frames = batch["attention_mask"][row].sum()
        assert frames == len(alone)
        assert np.array_equal(batch["input_values"][row, :frames], alone)
        assert (batch["input_values"][row, frames:] == 0).all()


def test_padding_choices() -> None:
    processor = SignKeypointProcessor(LAYOUT, max_frames=32, padding_value=-1.0)
    batch = processor([clip(9), clip(20)], padding="max_length", return_tensors="np")
    assert batch["input_values"].shape[1] == 32 and (batch["input_values"][0, 9:] == -1).all()
    assert processor([clip(9)], padding="max_length", max_length=12, return_tensors="np")["attention_mask"].shape == (
        1,
        12,
    )
    assert processor([clip(9)], pad_to_multiple_of=8, return_tensors="np")["attention_mask"].shape == (1, 16)
    loose = processor([clip(9), clip(20)], padding=False)
    assert [len(values) for values in loose["input_values"]] == [9, 20]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("layout", BUILT_IN_LAYOUTS)
def test_feature_size_is_the_length_of_a_frame(layout: str, feature: str, dims: int) -> None:
    try:
        processor = SignKeypointProcessor(layout, features=(feature,), dims=dims, normalization="centroid")
    except ValueError as error:
        spec = get_layout(layout)
        has_hands = len([part for part in spec.parts if "hand" in part]) == 2
        of_hands = feature.startswith("hand") or feature in ("joint_angle", "hull_shape")
        lacking = {"bone_direction": not spec.bones, "trajectory": not set(KEY_POINTS) <= set(spec.points)}
        assert lacking.get(feature, of_hands and not has_hands), error
        return
    processor.reference_path = np.zeros((4, len(key_points(layout)), 3)).tolist() if feature == "trajectory" else None
    values = processor.extract(clip(5, layout=layout))
    assert values.shape == (5, processor.feature_size) and values.size and np.isfinite(values).all()


def test_feature_size_of_several_features_is_their_sum() -> None:
    names = tuple(FEATURES)
    together = SignKeypointProcessor(LAYOUT, features=names, reference_path=PATH)
    alone = [SignKeypointProcessor(LAYOUT, features=(name,), reference_path=PATH) for name in names]
    assert together.feature_size == sum(processor.feature_size for processor in alone)
    np.testing.assert_array_equal(
        together.extract(clip()), np.concatenate([processor.extract(clip()) for processor in alone], axis=1)
    )


# ------------------------------------------------------------------------------------------------------------- settings


ROOT_SHOULDER = {"normalization": "root", "normalization_root": "left_shoulder"}


@pytest.mark.parametrize(
    ("changes", "before"),
    [
        ({"layout": "hands-42", "normalization": "centroid"}, {}),
        ({"features": ["velocity"]}, {}),
        ({"dims": 2}, {}),
        ({"normalization": "centroid"}, {}),
        ({"normalization": "none"}, {}),
        ({"normalization": "root", "normalization_root": "left_elbow"}, ROOT_SHOULDER),
        ({"per_frame": True}, {"normalization": "centroid"}),
        ({"dominant_hand": "left"}, {}),
        ({"central_share": 0.5}, {}),
        ({"target_fps": 12.5}, {}),
        ({"target_fps": None}, {}),
        ({"max_frames": 20}, {}),
        ({"num_frames": 31}, {}),
        ({"max_gap": 0.0}, {}),
        ({"max_gap": 2.0}, {}),
        ({"repair": 0.1}, {}),
        ({"align": True}, {"reference_path": PATH}),
        ({"reference_path": PATH}, {"features": ["trajectory"], "reference_path": (2 * np.array(PATH)).tolist()}),
        ({"smooth_window": 11}, {}),
        ({"smooth_order": 1}, {"smooth_window": 11}),
        ({"mean": [0.5] * POINTS * 3}, {}),
        ({"std": [0.5] * POINTS * 3}, {}),
        ({"padding_value": 9.0}, {}),
    ],
    ids=lambda settings: ",".join(f"{name}={str(value)[:12]}" for name, value in settings.items()) or "default",
)
def test_every_setting_changes_the_features_and_survives_saving(
    changes: dict[str, Any], before: dict[str, Any], tmp_path: Path
) -> None:
    clips = [with_gaps(clip(60, 30.0)), clip(12)]
    processor = SignKeypointProcessor(**{"layout": LAYOUT, **before, **changes})
    values = processor(clips, return_tensors="np")["input_values"]
    plain = SignKeypointProcessor(LAYOUT, **before)(clips, return_tensors="np")["input_values"]
    assert values.shape != plain.shape or not np.allclose(values, plain)
    processor.save_pretrained(tmp_path)
    again = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(again) is SignKeypointProcessor
    assert again.to_dict() == processor.to_dict()
    assert np.array_equal(again(clips, return_tensors="np")["input_values"], values)


def test_the_table_above_names_every_setting() -> None:
    (mark,) = test_every_setting_changes_the_features_and_survives_saving.pytestmark
    tested = {name for changes, _ in mark.args[1] for name in changes}
    settings = set(inspect.signature(SignKeypointProcessor.__init__).parameters) - {"self", "kwargs"}
    assert settings - {"layout_points", "track_hands"} == tested  # which have tests of their own below


def test_dims_2_leaves_z_out_of_every_feature() -> None:
    flat, deep = clip(), clip()
    deep = deep.replace(data=deep.data + np.linspace(0, 3, POINTS, dtype=np.float32)[:, None] * [0, 0, 1])
    features = ("position", "velocity", "hand_shape", "bone_direction")
    processor = SignKeypointProcessor(LAYOUT, features=features, dims=2, normalization="none")
    three = SignKeypointProcessor(LAYOUT, features=features, normalization="none")
    size = processor.feature_size
    assert size == three.feature_size * 2 // 3
    # hand_shape is scaled by the palm's true length, which z belongs to; nothing else may change.
    position_velocity = slice(0, POINTS * 4)
    bones = slice(size - len(get_layout(LAYOUT).bones) * 2, size)
    a, b = processor.extract(flat), processor.extract(deep)
    assert np.array_equal(a[:, position_velocity], b[:, position_velocity])
    assert np.array_equal(a[:, bones], b[:, bones])
    assert not np.allclose(three.extract(flat), three.extract(deep))


def test_length_max_frames_keeps_first_and_last_frame() -> None:
    processor = SignKeypointProcessor(LAYOUT, max_frames=16)
    long = clip(200)
    prepared = processor.prepare(long)
    assert len(prepared) == 16
    unbounded = SignKeypointProcessor(LAYOUT, max_frames=1000).prepare(long)
    np.testing.assert_allclose(prepared.data[[0, -1]], unbounded.data[[0, -1]], atol=1e-6)
    assert prepared.timestamps[-1] == pytest.approx(199 / 25)
    assert [len(processor.prepare(clip(frames))) for frames in (9, 16, 17)] == [9, 16, 16]


@pytest.mark.parametrize("frames", [1, 5, 31, 300])
def test_length_num_frames_holds_for_any_clip(frames: int) -> None:
    processor = SignKeypointProcessor(LAYOUT, features=("position", "velocity"), num_frames=31)
    values = processor.extract(clip(frames))
    assert values.shape == (31, processor.feature_size) and np.isfinite(values).all()
    if frames > 1:
        free = SignKeypointProcessor(LAYOUT, max_frames=1000).extract(clip(frames))
        np.testing.assert_allclose(values[[0, -1], : POINTS * 3], free[[0, -1]], atol=1e-5)


def test_short_gaps_are_filled_and_long_ones_are_zero() -> None:
    values = SignKeypointProcessor(LAYOUT).extract(with_gaps(clip())).reshape(50, POINTS, 3)
    whole = SignKeypointProcessor(LAYOUT).extract(clip()).reshape(50, POINTS, 3)
    index = get_layout(LAYOUT).index
    np.testing.assert_allclose(
        values[10:12, index["left_hand_wrist"]], whole[10:12, index["left_hand_wrist"]], atol=0.02
    )
    assert (values[20:40, index["right_wrist"]] == 0).all()
    assert (values[:, index["right_hand_little_tip"]] == 0).all()


def test_visibility_travels_as_a_feature() -> None:
    sequence = clip().replace(visibility=np.full((50, POINTS), 0.25))
    assert (SignKeypointProcessor(LAYOUT, features=("visibility",)).extract(sequence) == 0.25).all()


# ------------------------------------------------------------------------------------------------------------------ time


@pytest.mark.parametrize("rate", [15.0, 30.0, 60.0, "variable"])
def test_any_frame_rate_means_the_same(rate: float | str) -> None:
    if rate == "variable":
        steps = np.random.default_rng(3).uniform(0.4, 1.6, 45)
        times = np.concatenate([[0.0], np.cumsum(steps)]) * (2.0 / steps.sum())
    else:
        times = np.arange(int(2 * rate) + 1) / rate
    processor = SignKeypointProcessor(LAYOUT, features=("position", "velocity"))
    expected, got = processor.extract(clip(51)), processor.extract(motion(times))
    assert got.shape == expected.shape == (51, processor.feature_size)
    half = POINTS * 3
    assert np.abs(got[:, :half] - expected[:, :half]).max() < 0.02  # shoulder widths
    # Linear interpolation has the mean speed of a step: velocity is compared over the whole clip.
    error = np.sqrt(((got[:, half:] - expected[:, half:]) ** 2).mean() / (expected[:, half:] ** 2).mean())
    assert error < 0.15
    without_clock = SignKeypointProcessor(LAYOUT, target_fps=None, max_frames=1000).extract(motion(times))
    assert len(without_clock) == len(times)


def test_velocity_is_per_second_whatever_the_clock() -> None:
    times = np.arange(51) / 25
    data = np.full((51, POINTS, 3), 0.5) + np.arange(POINTS)[None, :, None] * 0.001
    data[..., 0] += 0.1 * times[:, None]  # 0.1 of the width a second
    sequence = LandmarkSequence(data, LAYOUT, timestamps=times, size=(640, 480))
    for fps in (10.0, 25.0, 50.0):
        values = SignKeypointProcessor(
            LAYOUT, features=("velocity",), normalization="none", target_fps=fps, max_frames=1000
        ).extract(sequence)
        np.testing.assert_allclose(values.reshape(-1, POINTS, 3)[..., 0], 64.0, rtol=1e-3)  # pixels a second


# -------------------------------------------------------------------------------------------------------------- geometry


def test_a_wide_clip_and_its_padded_square_give_the_same_features() -> None:
    wide = clip(size=(1920, 1080))
    square = wide.data.copy()
    square[..., 1] = (square[..., 1] * 1080 + 420) / 1920
    features = [name for name in FEATURES if name != "visibility"]
    for normalization in ("shoulder", "centroid"):
        processor = SignKeypointProcessor(LAYOUT, features=features, normalization=normalization, reference_path=PATH)
        np.testing.assert_allclose(
            processor.extract(wide.replace(data=square, size=(1920, 1920))), processor.extract(wide), atol=2e-3
        )


def test_a_left_handed_signer_in_a_mirror_equals_the_right_handed_one() -> None:
    right = clip()
    left = mirror(right)
    aware = SignKeypointProcessor(LAYOUT, dominant_hand="right")
    np.testing.assert_allclose(aware.extract(left), aware.extract(right), atol=1e-5)
    np.testing.assert_allclose(
        SignKeypointProcessor(LAYOUT, dominant_hand="left").extract(right), aware_left := SignKeypointProcessor(LAYOUT).extract(left),
        atol=1e-5,
    )  # fmt: skip
    assert not np.allclose(aware_left, SignKeypointProcessor(LAYOUT).extract(right), atol=0.1)


def test_side_is_decided_before_the_layout_drops_the_hands() -> None:
    register_layout("test-arms", get_layout(LAYOUT).points[:6])
    right = clip()
    arms = SignKeypointProcessor("test-arms", dominant_hand="right")
    np.testing.assert_allclose(arms.extract(mirror(right)), arms.extract(right), atol=1e-5)


def test_tracked_hands_do_not_depend_on_slots_or_names(tmp_path: Path) -> None:
    settings = {"layout": "face-hands-43", "normalization": "palm", "track_hands": True}
    SignKeypointProcessor(**settings).save_pretrained(tmp_path)
    processor = AutoFeatureExtractor.from_pretrained(tmp_path)
    named = clip(30, layout="face-hands-43")
    shuffled, order = named.data.copy(), np.arange(30) % 4 == 0
    shuffled[order, 1:] = np.roll(shuffled[order, 1:], 21, axis=1)
    features = [processor.extract(named.replace(data=data, layout="dgs-43")) for data in (named.data, shuffled)]
    assert np.array_equal(*features) and np.ptp(features[0]) > 0.5
    missing = named.data.copy()
    missing[:, 1:22] = np.nan  # a right hand alone
    alone = named.replace(data=missing, visibility=None)
    assert np.allclose(processor.extract(mirror(alone))[:, 3:], processor.extract(alone)[:, 3:], atol=1e-4)
    assert not np.allclose(
        processor.extract(alone),
        SignKeypointProcessor("face-hands-43", normalization="palm", track_hands=False).extract(mirror(alone)),
    )


def test_other_layouts_are_converted_by_name() -> None:
    holistic = clip(layout="mediapipe-holistic")
    processor = SignKeypointProcessor(LAYOUT)
    assert np.array_equal(processor.extract(holistic), processor.extract(holistic.to_layout(LAYOUT)))


# ---------------------------------------------------------------------------------------------------- standardisation


def test_fit_equals_numpy_over_the_seen_values() -> None:
    processor = SignKeypointProcessor(LAYOUT, features=("position", "velocity"), max_gap=0.0)
    clips = [with_gaps(clip(50)), clip(30, 30.0), with_gaps(clip(64))]
    raw = np.concatenate([_unfilled(processor, one) for one in clips])
    assert processor.fit(clips) is processor
    mean, std = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
    still = std < 1e-4
    assert still.any()  # the shoulders
    np.testing.assert_allclose(processor.mean, mean, atol=1e-6)
    np.testing.assert_allclose(processor.std, np.where(still, 1.0, std), rtol=1e-4)
    values = np.concatenate([processor.extract(one) for one in clips])
    seen = ~np.isnan(raw)
    np.testing.assert_allclose(values[seen], ((raw - mean) / np.where(still, 1.0, std))[seen], atol=1e-3)
    assert (values[~seen] == 0).all()  # what was not seen is the mean, not a far-off value


def _unfilled(processor: SignKeypointProcessor, sequence: LandmarkSequence, reference: Any = None) -> np.ndarray:
    from signlang_hf.landmarks.features import extract_features

    reference = None if reference is None else np.array(reference)
    values = extract_features(processor.prepare(sequence), processor.features, processor.dims, reference=reference)
    return values.astype(np.float64)


def test_fit_ignores_an_earlier_fit_and_saves_exactly(tmp_path: Path) -> None:
    processor = SignKeypointProcessor(LAYOUT).fit([clip(9)])
    clips = [clip(50), with_gaps(clip(64))]
    fresh = SignKeypointProcessor(LAYOUT).fit(clips)
    assert processor.fit(clips).to_dict() == fresh.to_dict()
    processor.save_pretrained(tmp_path)
    again = SignKeypointProcessor.from_pretrained(tmp_path)
    assert again.mean == processor.mean and again.std == processor.std
    assert np.array_equal(again.extract(clips[1]), processor.extract(clips[1]))


def test_fit_takes_dataset_rows_and_a_generator() -> None:
    clips = [clip(20), clip(30)]
    rows = (to_row(one, id=str(i)) for i, one in enumerate(clips))
    fitted, expected = SignKeypointProcessor(LAYOUT).fit(rows), SignKeypointProcessor(LAYOUT).fit(clips)
    np.testing.assert_allclose(fitted.mean, expected.mean)


@pytest.mark.parametrize("settings", [{}, {"align": True}])
def test_fit_on_nothing_says_so_and_changes_nothing(settings: dict[str, Any]) -> None:
    processor = SignKeypointProcessor(LAYOUT, **settings).fit([clip()])
    before = processor.to_dict()
    for nothing in ([], [clip().replace(data=np.full((50, POINTS, 3), np.nan), visibility=None)]):
        with pytest.raises(ValueError, match="no clip"):
            processor.fit(nothing)
        assert processor.to_dict() == before


# ------------------------------------------------------------------------------------------------------ reference path

THE_490 = ("hand_position", "joint_angle", "hand_velocity", "hand_acceleration", "hull_shape", "trajectory")


def test_fit_measures_the_reference_path_on_normalised_clips_before_mean_and_std() -> None:
    clips = [with_gaps(clip(50)), clip(30, 30.0), with_gaps(clip(64))]
    processor = SignKeypointProcessor(LAYOUT, features=("trajectory",), reference_path=PATH).fit(clips)
    plain = SignKeypointProcessor(LAYOUT)
    expected = reference_path([key_path(plain.prepare(one)) for one in clips])
    np.testing.assert_allclose(processor.reference_path, expected, atol=1e-5)
    fixed = SignKeypointProcessor(LAYOUT, features=("trajectory",), reference_path=processor.reference_path)
    values = np.concatenate([_unfilled(fixed, one, processor.reference_path) for one in clips])
    np.testing.assert_allclose(processor.mean, np.nanmean(values, axis=0), atol=1e-5)


def test_the_490_values_of_hands_from_fit_to_json_and_back(tmp_path: Path) -> None:
    clips = [clip(50), with_gaps(clip(30, 30.0))]
    processor = SignKeypointProcessor(LAYOUT, features=THE_490, repair=0.5, align=True).fit(clips)
    values = processor(clips, return_tensors="np")["input_values"]
    assert values.shape == (2, 50, 490) and np.isfinite(values).all()
    processor.save_pretrained(tmp_path)
    again = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert again.to_dict() == processor.to_dict()
    assert np.array_equal(again(clips, return_tensors="np")["input_values"], values)


@pytest.mark.parametrize("settings", [{"features": ("trajectory",)}, {"align": True}])
def test_without_a_reference_path_the_processor_says_what_to_do(settings: dict[str, Any]) -> None:
    processor = SignKeypointProcessor(LAYOUT, **settings)
    with pytest.raises(ValueError, match=r"need a reference path: fit\(\) the processor"):
        processor.extract(clip())
    with pytest.raises(ValueError, match="pass a list or a dataset, not a generator"):
        processor.fit(one for one in [clip()])
    assert processor.fit([clip()]).extract(clip()).shape == (50, processor.feature_size)


def test_the_reference_path_of_many_clips_sees_all_parts_of_a_sorted_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signlang_hf.models.keypoint.processing_keypoint._REFERENCE_CLIPS", 4)
    low, high = clip(8), clip(8)
    wrist = low.spec.index["left_wrist"]
    data = high.data.copy()
    data[:, wrist] += 0.1
    sorted_clips = [low] * 32 + [high.replace(data=data)] * 32
    path = np.array(SignKeypointProcessor(LAYOUT, align=True).fit(sorted_clips).reference_path)
    ends = [np.array(SignKeypointProcessor(LAYOUT, align=True).fit([one]).reference_path) for one in sorted_clips[::63]]
    np.testing.assert_allclose(path[:, 1], (ends[0] + ends[1])[:, 1] / 2, atol=0.01)


def test_kinect_bodies_are_turned_aligned_and_repaired() -> None:
    rng = np.random.default_rng(0)
    bodies = []
    for degrees in (0, 61):
        points = rng.normal(size=(20, 3)) * 0.3 + 0.05 * np.sin(
            np.arange(40)[:, None, None] / 8 + np.arange(20)[:, None]
        )
        points[:, 2:4] = [[0.17, -0.4, 0], [-0.17, -0.4, 0]]
        turn = np.radians(degrees)
        rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
        bodies.append(LandmarkSequence(points @ rotation.T, "kinect-20", units="metre", fps=30))
        rng = np.random.default_rng(0)
    processor = SignKeypointProcessor("kinect-20", normalization="body", align=True, repair=0.5).fit(bodies)
    assert np.shape(processor.reference_path) == (32, 6, 3)
    np.testing.assert_allclose(processor.extract(bodies[1]), processor.extract(bodies[0]), atol=1e-3)
    with pytest.raises(ValueError, match="'body' needs measured depth"):
        processor.extract(clip(layout="kinect-20"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_shorter_than_three_frames_give_finite_features(frames: int) -> None:
    processor = SignKeypointProcessor(
        LAYOUT, features=tuple(FEATURES), reference_path=PATH, align=True, repair=0.5, smooth_window=5
    )
    values = processor.extract(clip(frames))
    assert values.shape == (frames, processor.feature_size) and np.isfinite(values).all() and values.any(axis=1).all()
