"""Processor of every keypoint model: landmark sequences → padded feature batches.

Design decisions:

* It is a transformers feature extractor, so its whole setting lives in one JSON file and travels with the model.
* The road is fixed and each step is a setting: side → layout → gaps → repair → clock → smoothing → place and size →
  pace → length → features → standardisation → zeros for what was not seen → padding.
* What is measured on training clips (reference path, mean, std) is measured by :meth:`SignKeypointProcessor.fit` alone.
* A layout that the user registered travels by its point names.
* Settings that do not go together fail when the processor is made, not at the first clip: it tries itself on a blank one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from signlang_hf.landmarks import LandmarkSequence, alignment, get_layout, kinematics, register_layout, tracking
from signlang_hf.landmarks.feature_parts import feature_parts
from signlang_hf.landmarks.features import extract_features, feature_size
from signlang_hf.landmarks.layout import BUILT_IN_LAYOUTS, Layout
from signlang_hf.landmarks.normalize import (
    NORMALIZATIONS,
    central,
    fill_gaps,
    normalize,
    normalize_side,
    resample,
    smooth,
)
from signlang_hf.models.processing import SignProcessor

_REFERENCE_CLIPS = 512  # the reference path is measured on up to twice as many, spread evenly over all


class SignKeypointProcessor(SignProcessor):
    """Turns landmarks into model inputs.

    Args:
        layout: points that the model sees; any input layout is converted to it by point name.
        layout_points: point names of a user's own layout; filled in by itself when the layout is not a built-in one.
        features: names from :data:`signlang_hf.landmarks.features.FEATURES`, in order.
        dims: 2 leaves z out of all features, 3 keeps it.
        normalization: ``shoulder``, ``body``, ``centroid``, ``root``, ``palm`` or ``none``; see
            :func:`signlang_hf.landmarks.normalize.normalize`.
        normalization_root: point for ``root``.
        per_frame: normalise each frame by itself instead of the clip.
        dominant_hand: ``right`` or ``left`` mirrors clips whose signing hand is the other one; None leaves them.
        track_hands: make any two hands those of a right-handed signer, for layouts within ``face-hands-43``; see
            :func:`signlang_hf.landmarks.tracking.track_hands`. It chooses the side itself, so without ``dominant_hand``.
        central_share: only this share of a clip's time is looked at, about its middle; 1 is all of it. See
            :func:`signlang_hf.landmarks.normalize.central`.
        target_fps: clock that every clip is put on; None keeps the clip's own.
        max_frames: a longer clip is resampled evenly to this many frames; nothing is cut off.
        num_frames: every clip gets exactly this many frames instead; None keeps lengths variable.
        max_gap: gaps of at most so many seconds are interpolated; 0 leaves all.
        repair: joints whose bones are longer or shorter than usual in the clip by more than this share (0.5: by half) are put
            back, as are joints that are missing inside a limb or finger; see
            :func:`signlang_hf.landmarks.kinematics.repair`. 0 leaves all.
        smooth_window: window of the Savitzky–Golay filter in frames (odd); 0 leaves it out.
        smooth_order: its polynomial's degree.
        align: bring every clip to the pace of the reference path; see :func:`signlang_hf.landmarks.alignment.align`.
        reference_path: (R, P, 3) positions of the layout's P key points, for ``align`` and the feature ``trajectory``;
            :meth:`fit` measures them on training clips. Needs dtaidistance.
        mean, std: F values each, for standardisation; :meth:`fit` measures them on training clips.
        padding_value: value of padded frames.

    Raises:
        ValueError: a setting that is unknown, or that does not go with the layout, in one sentence.
    """

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
        track_hands: bool = False,
        central_share: float = 1.0,
        target_fps: float | None = 25.0,
        max_frames: int = 64,
        num_frames: int | None = None,
        max_gap: float = 0.5,
        repair: float = 0.0,
        smooth_window: int = 0,
        smooth_order: int = 3,
        align: bool = False,
        reference_path: Sequence[Sequence[Sequence[float]]] | None = None,
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
        if track_hands:
            tracking.require_tracked(layout)
            if dominant_hand is not None:
                raise ValueError(
                    f"track_hands chooses the signing hand itself; leave out dominant_hand (which is {dominant_hand!r})."
                )
        if max_frames < 1 or (num_frames is not None and num_frames < 1):
            raise ValueError("max_frames and num_frames must be at least 1.")
        if not 0 < central_share <= 1:
            raise ValueError(f"central_share is {central_share}; it must be above 0 and at most 1.")
        if repair < 0:
            raise ValueError(f"repair is {repair}; it must be a share such as 0.5, or 0 to leave joints as they are.")
        size = feature_size(layout, features, dims)
        if features and size == 0:
            raise ValueError(f"Layout '{layout}' has nothing that {', '.join(features)} could show.")
        for name, values in (("mean", mean), ("std", std)):
            if values is not None and len(values) != size:
                raise ValueError(f"{name} has {len(values)} values; the features have {size}.")
        if kwargs.get("padding_side", "right") != "right":
            raise ValueError(
                f"padding_side is {kwargs['padding_side']!r}; the models take padding after a clip only ('right')."
            )
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
        self.track_hands = track_hands
        self.central_share = central_share
        self.target_fps = target_fps
        self.max_frames = max_frames
        self.num_frames = num_frames
        self.max_gap = max_gap
        self.repair = repair
        self.smooth_window = smooth_window
        self.smooth_order = smooth_order
        self.align = align
        self.reference_path = None if reference_path is None else _checked_path(reference_path, spec)
        self.mean = None if mean is None else [float(value) for value in mean]
        self.std = None if std is None else [float(value) for value in std]
        trial = copy(self)
        if self._needs_path and reference_path is None:  # fit() measures it, but all else can be tried before
            trial.reference_path = np.zeros((2, len(alignment.key_points(spec)), 3)).tolist()
        trial.extract(LandmarkSequence(np.zeros((3, len(spec), 3)), spec.name, units="unknown"))

    @property
    def longest(self) -> int:
        """Frames that the longest clip has after :meth:`extract`."""
        return self.num_frames or self.max_frames

    @property
    def parts(self) -> dict[str, list[list[int]]]:
        """Body part → its columns of the feature vector as half-open ranges, what ``SignBiLSTMConfig(parts=…)`` takes."""
        return feature_parts(self.layout, self.features, self.dims)

    def prepare(self, sequence: LandmarkSequence) -> LandmarkSequence:
        """Everything before features: the sequence in the model's layout, side, clock and units, at most max_frames long.

        Raises:
            ValueError: no frames, or the layout lacks what the settings need.
        """
        if len(sequence) == 0:
            raise ValueError("The clip has no frames; at least one is needed.")
        if self.dominant_hand is not None:  # before the layout drops points that tell which hand signs
            sequence = normalize_side(sequence, self.dominant_hand)
        if self.track_hands:
            sequence = tracking.track_hands(sequence)
        sequence = sequence.to_layout(self.layout)
        if self.max_gap > 0:
            sequence = fill_gaps(sequence, self.max_gap)
        if self.repair > 0:  # after short gaps, which neighbours in time fill better than bones do
            sequence = kinematics.repair(sequence, self.repair)
        sequence = central(sequence, self.central_share)
        if self.target_fps is not None:
            sequence = resample(sequence, fps=self.target_fps)
        if self.smooth_window:
            sequence = smooth(sequence, self.smooth_window, self.smooth_order)
        sequence = normalize(sequence, self.normalization, root=self.normalization_root, per_frame=self.per_frame)
        if self.align:
            sequence = alignment.align(sequence, self._path(), self.dims)
        return self.fit_length(sequence)

    def fit_length(self, sequence: LandmarkSequence) -> LandmarkSequence:
        """The last step of :meth:`prepare`: exactly ``num_frames`` frames, or at most ``max_frames``."""
        if self.num_frames is not None:
            return resample(sequence, num_frames=self.num_frames)
        return resample(sequence, num_frames=self.max_frames) if len(sequence) > self.max_frames else sequence

    def extract(self, clip: Any) -> np.ndarray:
        """Features of one clip: (T, F) float32 without NaN, before padding."""
        features = self._features(clip)
        if self.mean is not None:
            features -= np.asarray(self.mean, np.float32)
        if self.std is not None:
            features /= np.asarray(self.std, np.float32)
        features[np.isnan(features)] = 0.0
        return features

    def fit(self, clips: Iterable[Any]) -> SignKeypointProcessor:
        """Measure ``mean`` and ``std`` of every feature over the seen values of training clips, and keep them; before
        them the reference path where a setting needs one, on up to 1024 clips spread evenly over all.

        Args:
            clips: what :meth:`to_sequence` takes. For a reference path they are gone through twice, so no generator.

        Raises:
            ValueError: there is no clip, or a generator where a reference path has to be measured.
        """
        measured = copy(self)
        if self._needs_path:
            measured.reference_path = self._measured_path(clips)
        count = np.zeros(self.feature_size)
        total, squares = np.zeros(self.feature_size), np.zeros(self.feature_size)
        for clip in clips:
            features = measured._features(clip)
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
        self.reference_path = measured.reference_path
        return self

    @property
    def _needs_path(self) -> bool:
        return self.align or "trajectory" in self.features

    def _path(self) -> np.ndarray:
        if self.reference_path is None:
            raise ValueError(
                "The setting align and the feature trajectory need a reference path: fit() the processor on training clips."
            )
        return np.asarray(self.reference_path, np.float32)

    def _features(self, clip: Any) -> np.ndarray:
        reference = self._path() if self._needs_path else None
        sequence = self.prepare(self.to_sequence(clip))
        return extract_features(sequence, self.features, self.dims, reference=reference)

    def _measured_path(self, clips: Iterable[Any]) -> list[list[list[float]]]:
        if iter(clips) is clips:
            raise ValueError(
                "To measure a reference path fit() goes through the clips twice: pass a list or a dataset, not a generator."
            )
        unpaced = copy(self)
        unpaced.align = False
        paths: list[np.ndarray] = []
        stride = 1
        for number, clip in enumerate(clips):
            if number % stride == 0:
                paths.append(alignment.key_path(unpaced.prepare(self.to_sequence(clip))))
            if len(paths) == 2 * _REFERENCE_CLIPS:  # keeps every second one of what may be sorted by class
                paths, stride = paths[::2], 2 * stride
        return alignment.reference_path(paths).astype(float).round(5).tolist()

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


def _checked_path(values: Any, layout: Layout) -> list[list[list[float]]]:
    count = len(alignment.key_points(layout))
    try:
        path = np.asarray(values, float)
    except (TypeError, ValueError):  # ragged, or no numbers
        path = np.empty(0)
    if path.ndim != 3 or len(path) == 0 or path.shape[1:] != (count, 3) or not np.isfinite(path).all():
        raise ValueError(
            f"reference_path must be numbers of shape (steps, {count}, 3) for layout '{layout.name}'; got {path.shape}."
        )
    return path.tolist()


__all__ = ["SignKeypointProcessor"]
