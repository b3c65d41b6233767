"""Results that skip the constructor's checks are exactly what the constructor would have made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.landmarks.augment import AugmentConfig, Augmenter
from signlang_hf.landmarks.normalize import fill_gaps, frame_median, mirror, normalize, resample

ALWAYS = Augmenter(
    AugmentConfig(**{name: 1.0 for name, value in AugmentConfig.off().to_dict().items() if value == 0.0})
)

STEPS: dict[str, Callable[[LandmarkSequence], LandmarkSequence]] = {
    "resample to a rate": lambda s: resample(s, fps=17.0),
    "resample to a length": lambda s: resample(s, num_frames=31),
    "resample to one frame": lambda s: resample(s, num_frames=1),
    "fill gaps": lambda s: fill_gaps(s, 0.3),
    "mirror": mirror,
    "shoulder": lambda s: normalize(s, "shoulder"),
    "centroid": lambda s: normalize(s, "centroid"),
    "root, per frame": lambda s: normalize(s, "root", root="nose", per_frame=True),
    "pixels": lambda s: s.to_units("pixel"),
    "other layout": lambda s: s.to_layout("isl-48"),
    "some frames": lambda s: s.frames(np.arange(len(s)) % 3 < 2),
    "augmentation": lambda s: ALWAYS(s, np.random.default_rng(5)),
}


def sequence(frames: int, seed: int, world: bool) -> LandmarkSequence:
    rng = np.random.default_rng(seed)
    layout = get_layout("mediapipe-holistic")
    data = rng.uniform(0.1, 0.9, (frames, len(layout), 3)).astype(np.float32)
    data[rng.random(data.shape[:2]) < 0.25] = np.nan
    data[: frames // 2, list(layout.parts["left_hand"])] = np.nan
    return LandmarkSequence(
        data, layout.name, timestamps=np.cumsum(rng.uniform(0.01, 0.06, frames)), size=(640, 360),
        visibility=rng.random(data.shape[:2]), world=rng.normal(size=(frames, len(layout), 4)) if world else None,
    )  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("frames", [1, 2, 24])
def test_a_result_passes_the_checks_unchanged(name, frames):
    made = STEPS[name](sequence(frames, seed=frames, world=frames == 24))
    checked = made.replace()
    assert len(made) >= 1
    for field in ("data", "visibility", "timestamps", "world"):
        one, other = getattr(made, field), getattr(checked, field)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype, field
            np.testing.assert_array_equal(one, other, err_msg=field)
    assert (made.layout, made.units, made.size) == (checked.layout, checked.units, checked.size)
    assert made.fps == checked.fps and isinstance(made.fps, float)


def test_frames_in_the_wrong_order_are_still_refused():
    clip = sequence(8, 0, world=False)
    for index in (slice(None, None, -1), np.array([3, 3]), np.array([4, 1])):
        with pytest.raises(ValueError, match="increase from frame to frame"):
            clip.frames(index)
    with pytest.raises(ValueError, match="expected"):
        clip.frames(3)


def test_the_median_over_frames_is_that_of_numpy():
    rng = np.random.default_rng(0)
    for shape in ((1,), (2,), (7,), (8, 3), (31, 4)):
        values = rng.normal(size=shape).astype(np.float32)
        assert frame_median(values).dtype == np.float32
        np.testing.assert_array_equal(frame_median(values), np.median(values, axis=0))
