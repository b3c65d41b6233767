"""Processor of every keypoint model: landmark sequences → padded feature batches.

Design decisions:

* It is a transformers feature extractor, so its whole setting lives in one JSON file and travels with the model.
* The road is fixed and each step is a setting: layout → side → gaps → clock → smoothing → place and size → length → features →
  standardisation → zeros for what was not seen → padding.
* A layout that the user registered travels by its point names.
* Settings that do not go together fail when the processor is made, not at the first clip: it tries itself on a blank one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from transformers import BatchFeature, SequenceFeatureExtractor

from signlang_hf.landmarks import LandmarkSequence, get_layout, register_layout
from signlang_hf.landmarks.features import extract_features, feature_size
from signlang_hf.landmarks.layout import BUILT_IN_LAYOUTS
from signlang_hf.landmarks.normalize import NORMALIZATIONS, fill_gaps, normalize, normalize_side, resample, smooth


class SignKeypointProcessor(SequenceFeatureExtractor):
    """Turns landmarks into model inputs.

    Args:
        layout: points that the model sees; any input layout is converted to it by point name.
        layout_points: point names of a user's own layout; filled in by itself when the layout is not a built-in one.
        features: names from :data:`signlang_hf.landmarks.features.FEATURES`, in order.
        dims: 2 leaves z out of all features, 3 keeps it.
        normalization: ``shoulder``, ``centroid``, ``root`` or ``none``; see :func:`signlang_hf.landmarks.normalize.normalize`.
        normalization_root: point for ``root``.
        per_frame: normalise each frame by itself instead of the clip.
        dominant_hand: ``right`` or ``left`` mirrors clips whose signing hand is the other one; None leaves them.
        target_fps: clock that every clip is put on; None keeps the clip's own.
        max_frames: a longer clip is resampled evenly to this many frames; nothing is cut off.
        num_frames: every clip gets exactly this many frames instead; None keeps lengths variable.
        max_gap: gaps of at most so many seconds are interpolated; 0 leaves all.
        smooth_window: window of the Savitzky–Golay filter in frames (odd); 0 leaves it out.
        smooth_order: its polynomial's degree.
        mean, std: F values each, for standardisation; :meth:`fit` measures them on training clips.
        padding_value: value of padded frames.

    Raises:
        ValueError: a setting that is unknown, or that does not go with the layout, in one sentence.
    """

    model_input_names = ["input_values", "attention_mask"]  # noqa: RUF012 - transformers reads a plain list

    def __init__(
        self,
        layout: str = "mediapipe-holistic",
        layout_points: Sequence[str] | None = None,
        features: Sequence[str] = ("position",),
        dims: int = 3,
        normalization: str = "shoulder",
        normalization_root: str | None = None,
        per_frame: bool = False,
        dominant_hand: str | None = None,
        target_fps: float | None = 25.0,
        max_frames: int = 64,
        num_frames: int | None = None,
        max_gap: float = 0.5,
        smooth_window: int = 0,
        smooth_order: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        padding_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if layout_points is not None:
            register_layout(layout, layout_points)
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization is {normalization!r}; choose one of {', '.join(NORMALIZATIONS)}.")
        if dims not in (2, 3):
            raise ValueError(f"dims is {dims}; it must be 2 or 3.")
        if dominant_hand not in (None, "left", "right"):
            raise ValueError(f"dominant_hand is {dominant_hand!r}; it must be 'left', 'right' or None.")
        if max_frames < 1 or (num_frames is not None and num_frames < 1):
            raise ValueError("max_frames and num_frames must be at least 1.")
        size = feature_size(layout, features, dims)
        if features and size == 0:
            raise ValueError(f"Layout '{layout}' has nothing that {', '.join(features)} could show.")
        for name, values in (("mean", mean), ("std", std)):
            if values is not None and len(values) != size:
                raise ValueError(f"{name} has {len(values)} values; the features have {size}.")
        kwargs.pop("feature_size", None)  # follows from layout and features; the saved copy is for readers
        kwargs.pop("sampling_rate", None)
        super().__init__(feature_size=size, sampling_rate=target_fps or 0, padding_value=padding_value, **kwargs)
        spec = get_layout(layout)
        self.layout = spec.name
        self.layout_points = None if spec.name in BUILT_IN_LAYOUTS else list(spec.points)
        self.features = list(features)
        self.dims = dims
        self.normalization = normalization
        self.normalization_root = normalization_root
        self.per_frame = per_frame
        self.dominant_hand = dominant_hand
        self.target_fps = target_fps
        self.max_frames = max_frames
        self.num_frames = num_frames
        self.max_gap = max_gap
        self.smooth_window = smooth_window
        self.smooth_order = smooth_order
        self.mean = None if mean is None else [float(value) for value in mean]
        self.std = None if std is None else [float(value) for value in std]
        self.extract(LandmarkSequence(np.zeros((1, len(spec), 3)), spec.name, units="unknown"))

    def prepare(self, sequence: LandmarkSequence) -> LandmarkSequence:
        """Everything before features: the sequence in the model's layout, side, clock and units, at most max_frames long.

        Raises:
            ValueError: no frames, or the layout lacks what the settings need.
        """
        if len(sequence) == 0:
            raise ValueError("The clip has no frames; at least one is needed.")
        if self.dominant_hand is not None:  # before the layout drops points that tell which hand signs
            sequence = normalize_side(sequence, self.dominant_hand)
        sequence = sequence.to_layout(self.layout)
        if self.max_gap > 0:
            sequence = fill_gaps(sequence, self.max_gap)
        if self.target_fps is not None:
            sequence = resample(sequence, fps=self.target_fps)
        if self.smooth_window:
            sequence = smooth(sequence, self.smooth_window, self.smooth_order)
        sequence = normalize(sequence, self.normalization, root=self.normalization_root, per_frame=self.per_frame)
        if self.num_frames is not None:
            return resample(sequence, num_frames=self.num_frames)
        return resample(sequence, num_frames=self.max_frames) if len(sequence) > self.max_frames else sequence

    def extract(self, clip: Any) -> np.ndarray:
        """Features of one clip: (T, F) float32 without NaN, before padding."""
        features = extract_features(self.prepare(self.to_sequence(clip)), self.features, self.dims)
        if self.mean is not None:
            features = features - np.asarray(self.mean, np.float32)
        if self.std is not None:
            features = features / np.asarray(self.std, np.float32)
        return np.nan_to_num(features, nan=0.0, copy=False)

    def fit(self, clips: Iterable[Any]) -> SignKeypointProcessor:
        """Measure ``mean`` and ``std`` of every feature over the seen values of training clips, and keep them.

        Raises:
            ValueError: there is no clip.
        """
        count = np.zeros(self.feature_size)
        total, squares = np.zeros(self.feature_size), np.zeros(self.feature_size)
        for clip in clips:
            features = extract_features(self.prepare(self.to_sequence(clip)), self.features, self.dims)
            seen = ~np.isnan(features)
            values = np.where(seen, features, 0).astype(np.float64)
            count, total, squares = count + seen.sum(0), total + values.sum(0), squares + (values**2).sum(0)
        if not count.any():
            raise ValueError("There is no clip to measure mean and std on, or nobody was seen in any.")
        count = np.maximum(count, 1)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        # A feature that never changes carries nothing; dividing by its spread would only raise noise.
        self.mean, self.std = mean.tolist(), np.where(std > 1e-4, std, 1.0).tolist()
        return self

    def to_sequence(self, clip: Any) -> LandmarkSequence:
        """A LandmarkSequence from what callers hold: one already, a dataset row, or an array (T, K, 2 or 3) in the
        processor's layout. Raises ValueError for anything else."""
        if isinstance(clip, LandmarkSequence):
            return clip
        if isinstance(clip, Mapping):
            from signlang_hf.landmarks.rows import to_sequence

            return to_sequence(clip)
        try:
            array = np.asarray(clip)
        except ValueError:  # ragged lists
            array = np.empty((), object)
        if array.dtype.kind not in "fiu" or array.ndim != 3:
            raise ValueError(
                f"A clip is a LandmarkSequence, a dataset row or an array (frames, points, 3); got {type(clip).__name__}"
                + (f" of shape {array.shape} and type {array.dtype}." if array.ndim else ".")
            )
        return LandmarkSequence(array, self.layout, fps=self.target_fps, units="unknown")

    def __call__(
        self,
        clips: Any,
        *,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Features of one clip or a list of clips.

        Args:
            clips: LandmarkSequence, dataset row or array (T, K, 3), or a list of them.
            padding: as in transformers: True (to the longest), "max_length" or False.
            max_length: frames for ``padding="max_length"``; default ``max_frames``.
            return_tensors: "pt" or "np".

        Returns:
            ``input_values`` (B, T, F) float32 and ``attention_mask`` (B, T) int64.
        """
        batch = clips if isinstance(clips, (list, tuple)) else [clips]
        if not batch:
            raise ValueError("There is no clip in the batch.")
        values = [self.extract(clip) for clip in batch]
        if padding == "max_length" and max_length is None:
            max_length = self.num_frames or self.max_frames
        return self.pad(
            {"input_values": values, "attention_mask": [np.ones(len(value), np.int64) for value in values]},
            padding=padding,
            max_length=max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            return_tensors=return_tensors,
        )


__all__ = ["SignKeypointProcessor"]
