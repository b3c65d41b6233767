"""SignKeypointProcessor: the JSON that travels with a model, and what cannot work."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moving_signer import LAYOUT, POINTS, clip
from transformers import AutoFeatureExtractor

from signlang_hf import LandmarkSequence, SignKeypointProcessor, list_layouts, register_layout

ROOT = Path(__file__).resolve().parent.parent.parent


# ------------------------------------------------------------------------------------------------------------------ JSON


def test_the_file_is_plain_json_and_its_derived_values_are_not_trusted(tmp_path: Path) -> None:
    SignKeypointProcessor(LAYOUT).save_pretrained(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    saved = json.loads(path.read_text())
    assert saved["feature_size"] == POINTS * 3 and saved["layout_points"] is None
    path.write_text(json.dumps({**saved, "feature_size": 5, "sampling_rate": 1, "dims": 2}))
    again = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert again.feature_size == POINTS * 2 and again.sampling_rate == 25.0


def test_a_file_of_the_other_transformers_generation_loads(tmp_path: Path) -> None:
    # Both write the same text; this is it.
    text = """{
      "auto_map": {"AutoFeatureExtractor": "processing_keypoint.SignKeypointProcessor"},
      "dims": 3, "dominant_hand": "right", "feature_extractor_type": "SignKeypointProcessor", "feature_size": 145,
      "features": ["position", "visibility"], "layout": "isl-48", "layout_points": null, "max_frames": 64,
      "max_gap": 0.5, "mean": null, "normalization": "shoulder", "normalization_root": null, "num_frames": null,
      "padding_side": "right", "padding_value": 0.0, "per_frame": false, "return_attention_mask": true,
      "sampling_rate": 25.0, "smooth_order": 3, "smooth_window": 0, "std": null, "target_fps": 25.0
    }"""
    (tmp_path / "preprocessor_config.json").write_text(text)
    processor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert processor.dominant_hand == "right" and processor.features == ["position", "visibility"]
    expected = SignKeypointProcessor("isl-48", dominant_hand="right", features=("position", "visibility"))
    assert {**processor.to_dict(), "auto_map": None} == {**expected.to_dict(), "auto_map": None}
    processor.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "preprocessor_config.json").read_text())
    settings = inspect.signature(SignKeypointProcessor.__init__).parameters.values()
    defaults = {setting.name: setting.default for setting in settings if setting.name not in ("self", "kwargs")}
    assert written == {**defaults, **json.loads(text), "feature_size": 192}  # it is older than some settings


def test_a_users_layout_travels_to_a_process_that_never_heard_of_it(tmp_path: Path) -> None:
    points = ["left_shoulder", "right_shoulder", "left_hand_wrist", "right_hand_wrist", "antenna"]
    register_layout("test-martian", points)
    processor = SignKeypointProcessor("test-martian", features=("position", "velocity"))
    assert processor.layout_points == points
    sequence = clip(layout="test-martian")
    processor.save_pretrained(tmp_path)
    sequence.save(tmp_path / "clip.npz")
    np.save(tmp_path / "bare.npy", sequence.data)
    script = """
import sys, numpy as np, signlang_hf
assert "test-martian" not in signlang_hf.list_layouts()
processor = signlang_hf.SignKeypointProcessor.from_pretrained(sys.argv[1])
assert signlang_hf.get_layout("test-martian").points[-1] == "antenna"
np.save(sys.argv[1] + "/values.npy", processor.extract(signlang_hf.load_landmarks(sys.argv[1] + "/clip.npz")))
np.save(sys.argv[1] + "/bare_values.npy", processor.extract(np.load(sys.argv[1] + "/bare.npy")))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "values.npy"), processor.extract(sequence))
    assert np.array_equal(np.load(tmp_path / "bare_values.npy"), processor.extract(sequence.data))


def test_point_names_in_the_file_register_the_layout() -> None:
    processor = SignKeypointProcessor("test-trio", layout_points=["left_shoulder", "right_shoulder", "nose"])
    assert "test-trio" in list_layouts() and processor.feature_size == 9
    with pytest.raises(ValueError, match="'test-trio' with other points is already registered"):
        SignKeypointProcessor("test-trio", layout_points=["left_shoulder", "right_shoulder", "left_ear"])


# ------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "no-such"}, "Unknown layout 'no-such'; known are mediapipe-holistic"),
        ({"features": ("speed",)}, "Unknown feature 'speed'; known are position"),
        ({"features": ()}, "at least one feature"),
        (
            {"layout": "boston-3", "features": ("bone_direction",)},
            "'boston-3' has nothing that bone_direction could show",
        ),
        ({"dims": 4}, "dims is 4; it must be 2 or 3"),
        ({"central_share": 0.0}, "central_share is 0.0; it must be above 0 and at most 1"),
        ({"padding_side": "left"}, "padding_side is 'left'; the models take padding after a clip only"),
        ({"normalization": "hips"}, "normalization is 'hips'; choose one of shoulder, body"),
        ({"normalization": "root", "normalization_root": "tail"}, "'isl-48' has no point tail"),
        ({"layout": "hands-42"}, "'hands-42' has no point left_shoulder, right_shoulder"),
        ({"layout": "kinect-20", "features": ("hand_shape",)}, "'kinect-20' has no left_hand or right_hand"),
        ({"dominant_hand": "both"}, "dominant_hand is 'both'"),
        (
            {"track_hands": True},
            "layout 'isl-48' has left_shoulder, right_shoulder, left_elbow …; choose 'face-hands-43'",
        ),
        (
            {"layout": "hands-42", "normalization": "palm", "track_hands": True, "dominant_hand": "right"},
            r"leave out dominant_hand \(which is 'right'\)",
        ),
        ({"target_fps": 0}, "fps is 0; it must be a positive number"),
        ({"target_fps": -1.0}, "fps is -1.0"),
        ({"max_frames": 0}, "max_frames and num_frames must be at least 1"),
        ({"num_frames": 0}, "max_frames and num_frames must be at least 1"),
        ({"smooth_window": 4}, "odd window above the order; got window=4"),
        ({"smooth_window": 3}, "window=3, order=3"),
        ({"mean": [0.0]}, "mean has 1 values; the features have 144"),
        ({"std": [1.0] * 145}, "std has 145 values; the features have 144"),
        ({"repair": -0.5}, "repair is -0.5; it must be a share"),
        ({"reference_path": [[[0.0] * 3] * 9]}, r"shape \(steps, 10, 3\) for layout 'isl-48'; got \(1, 9, 3\)"),
        ({"reference_path": [[0.0], [1.0, 2.0]]}, r"reference_path must be numbers"),
        ({"reference_path": [[[np.nan] * 3] * 10]}, r"reference_path must be numbers"),
        (
            {"layout": "hands-42", "normalization": "centroid", "features": ("trajectory",)},
            "'hands-42' has no point left_elbow",
        ),
        ({"layout": "kinect-20", "features": ("hull_shape",)}, "'kinect-20' has no left_hand or right_hand"),
    ],
)
def test_settings_that_cannot_work_fail_when_the_processor_is_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SignKeypointProcessor(**{"layout": LAYOUT, **settings})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: clip(0), "no frames; at least one"),
        (lambda: np.zeros((5, 47, 3)), "have 47 points; the layout has 48"),
        (lambda: np.zeros((5, 48)), r"got ndarray of shape \(5, 48\)"),
        (lambda: np.zeros((5, 48, 3), complex), "complex"),
        (lambda: "clip.npz", "got str"),
        (lambda: None, "got NoneType"),
        (lambda: {"label": 3}, "The row has no landmarks and no layout"),
        (lambda: {"landmarks": np.zeros((2, 3, 3)), "layout": "nope"}, "Unknown layout 'nope'"),
        (lambda: LandmarkSequence(np.zeros((4, 3, 3)), "boston-3", fps=25, units="unknown"), "share|has no point"),
        (lambda: LandmarkSequence(np.zeros((4, 48, 3)), LAYOUT, fps=25), "need the picture's size"),
        (lambda: np.full((4, 48, 3), np.inf), "infinite"),
    ],
)
def test_clips_that_cannot_be_used_say_why(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SignKeypointProcessor(LAYOUT)([clip(3), make()])


def test_ragged_lists_and_empty_batches_say_so() -> None:
    processor = SignKeypointProcessor(LAYOUT)
    with pytest.raises(ValueError, match="got list"):
        processor.extract([[[0.0, 1.0, 2.0]], [[0.0]]])
    with pytest.raises(ValueError, match="no clip in the batch"):
        processor([])
    with pytest.raises(TypeError, match="return_tensor"):
        processor(clip(), return_tensor="pt")


def test_a_clip_without_anybody_is_all_zero() -> None:
    values = SignKeypointProcessor(LAYOUT, features=("position", "velocity", "presence")).extract(
        clip().replace(data=np.full((50, POINTS, 3), np.nan), visibility=None)
    )
    assert (values == 0).all()
