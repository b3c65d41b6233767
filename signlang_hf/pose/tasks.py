"""MediaPipe Tasks: a pose landmarker and a hand landmarker that together give Holistic's points."""

from __future__ import annotations

import os
import weakref
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from .runtime import BODY, INSTALL, LEFT_HAND, RIGHT_HAND, empty, quiet, rows

TASKS_FOLDER_VARIABLE = "SIGNLANG_MEDIAPIPE_TASKS"
# A resting or half-hidden hand scores low; hands that belong to nobody are sorted out by their distance to the wrists.
_HAND_DETECTION, _HAND_PRESENCE = 0.1, 0.3
_LEFT_OUT = 0.8


class TasksEngine:
    """Pose and hand landmarkers in video mode.

    Their trackers have no reset, and a blank frame leaves traces in their filters, so each clip gets new ones; the bundles are
    read once.
    """

    def __init__(self, pose: Path, hand: Path, points: int, thresholds: tuple[float, float]) -> None:
        try:
            with quiet():
                import mediapipe
                from mediapipe.tasks import python as tasks
                from mediapipe.tasks.python import vision
        except ImportError as error:
            raise ImportError(f"MediaPipe Tasks cannot be loaded ({error}): {INSTALL}") from error
        self._image = lambda frame: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame)
        video = vision.RunningMode.VIDEO
        self._options = (
            (
                vision.PoseLandmarker,
                vision.PoseLandmarkerOptions(
                    base_options=tasks.BaseOptions(model_asset_buffer=pose.read_bytes()),
                    running_mode=video,
                    min_pose_detection_confidence=thresholds[0],
                    min_pose_presence_confidence=thresholds[0],
                    min_tracking_confidence=thresholds[1],
                ),
            ),
            (
                vision.HandLandmarker,
                vision.HandLandmarkerOptions(
                    base_options=tasks.BaseOptions(model_asset_buffer=hand.read_bytes()),
                    running_mode=video,
                    num_hands=2,
                    min_hand_detection_confidence=_HAND_DETECTION,
                    min_hand_presence_confidence=_HAND_PRESENCE,
                    min_tracking_confidence=_HAND_PRESENCE,
                ),
            ),
        )
        self._points = points
        self._models: list[Any] = []
        self._free: weakref.finalize[Any, Any] | None = None
        with quiet():
            self._start()  # a bundle that does not load is reported now, and what MediaPipe has to say is said
            self._detect(np.full((64, 64, 3), 255, np.uint8), 0)
        self._last = 0

    def reset(self) -> None:
        self.close()

    def detect(self, frame: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # The trackers insist on whole milliseconds that increase.
        self._last = max(self._last + 1, round(seconds * 1000))
        if self._models:
            return self._detect(frame, self._last)
        with quiet():
            self._start()
            return self._detect(frame, self._last)

    def _start(self) -> None:
        try:
            self._models = [kind.create_from_options(options) for kind, options in self._options]
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"A MediaPipe Tasks bundle cannot be loaded: {error}") from error
        # Also at exit: MediaPipe's own clean-up runs too late there and complains.
        self._free = weakref.finalize(self, _close_all, self._models)

    def _detect(self, frame: np.ndarray, milliseconds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image = self._image(frame)
        pose, hands = (model.detect_for_video(image, milliseconds) for model in self._models)
        data, visibility, world = empty(self._points)
        if pose.pose_landmarks:
            body = rows(pose.pose_landmarks[0])
            data[BODY], visibility[BODY] = body[:, :3], body[:, 3]
            world[BODY] = rows(pose.pose_world_landmarks[0])
        if hands.hand_landmarks:
            found = np.stack([rows(hand)[:, :3] for hand in hands.hand_landmarks])
            labels = [sides[0].category_name for sides in hands.handedness]
            scores = [sides[0].score for sides in hands.handedness]
            size = (frame.shape[1], frame.shape[0])
            for side, index in assign_sides(found, labels, scores, data[BODY], size).items():
                part = LEFT_HAND if side == "left" else RIGHT_HAND
                data[part], visibility[part] = found[index], 1.0
                world[part] = rows(hands.hand_world_landmarks[index])
                world[part, 3] = 1.0
        return data, visibility, world

    def close(self) -> None:
        if self._free is not None:
            self._free()
        self._models, self._last = [], -1


def _close_all(models: list[Any]) -> None:
    for model in models:
        model.close()


def assign_sides(
    hands: np.ndarray, labels: list[str], scores: list[float], body: np.ndarray, size: tuple[int, int]
) -> dict[str, int]:
    """Which detected hand is the signer's left and which the right.

    The body's wrists decide: the hands are given to the two sides so that the sum of costs is least. A hand costs its distance
    to the body's wrist, in units of the arm (the longest of shoulder line, upper arms and forearms), and a quarter more where
    the detector's own label says the other side, which decides where both wrists lie together. Leaving a hand out costs 0.8:
    what is further away than that belongs to somebody else, or is the other hand found twice. Without a body the labels
    decide, the surer one first.

    Args:
        hands: (n, 21, 2 or 3) image units.
        labels: "Left" or "Right" for each hand, as MediaPipe Tasks gives them for pictures that are not mirrored.
        scores: how sure the detector is of each label.
        body: (33, 2 or 3) image units, NaN where there is no body.
        size: (width, height) in pixels.

    Returns:
        ``left`` and/or ``right`` → index into ``hands``.
    """
    sides = ("left", "right")
    label_of = [label.lower() for label in labels]
    wrists = hands[:, 0, :2] * size
    points = body[:, :2] * size
    if np.isnan(points[15:17]).any():
        found: dict[str, int] = {}
        for index in np.argsort(scores)[::-1].tolist():
            side = label_of[index] if label_of[index] not in found else next(s for s in (*sides, "") if s not in found)
            if side:
                found[side] = index
        return found
    limbs = ((11, 12), (11, 13), (12, 14), (13, 15), (14, 16))
    scale = max(float(np.linalg.norm(points[a] - points[b])) for a, b in limbs) or 1.0
    distance = np.linalg.norm(wrists[:, None] - points[None, 15:17], axis=2) / scale  # (n, left and right)
    wrong = np.array([[0.25 * (label != side) for side in sides] for label in label_of])
    cost = distance + wrong
    best, chosen = _LEFT_OUT * len(hands), {}
    for pair in permutations([*range(len(hands)), None, None], 2):
        given = [(side, hand) for side, hand in enumerate(pair) if hand is not None]
        total = sum(cost[hand, side] for side, hand in given) + _LEFT_OUT * (len(hands) - len(given))
        if total < best:
            best, chosen = total, {sides[side]: hand for side, hand in given}
    return chosen


def find_bundle(kind: str, given: str | os.PathLike[str] | None) -> Path:
    """The ``pose`` or ``hand`` bundle: as given, by its environment variable, or in the bundle folder.

    Raises:
        FileNotFoundError: no such file, or none configured; says how to name one.
    """
    variable = f"SIGNLANG_{kind.upper()}_LANDMARKER"
    named = given or os.environ.get(variable)
    if named:
        path = Path(named)
        if path.is_file():
            return path
        parts = str(named).removeprefix("hf://").split("/")
        if len(parts) >= 3 and not path.is_absolute() and parts[0] not in (".", "..", "~"):
            return _from_hub("/".join(parts[:2]), "/".join(parts[2:]), str(named))
        raise FileNotFoundError(f"MediaPipe {kind} bundle not found: {named}")
    folder = os.environ.get(TASKS_FOLDER_VARIABLE)
    if folder:
        bundles = sorted(Path(folder).glob(f"{kind}_landmarker*.task"))
        if bundles:
            return bundles[0]
        raise FileNotFoundError(f"No {kind}_landmarker*.task in {folder} ({TASKS_FOLDER_VARIABLE}).")
    raise FileNotFoundError(
        f"MediaPipe Tasks needs a {kind} bundle: pass {kind}_model= (a path, or org/repository/file.task on the Hub), or set "
        f"{variable} or {TASKS_FOLDER_VARIABLE}."
    )


def _from_hub(repository: str, file: str, named: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repository, file))
    except Exception as error:  # the Hub client raises from several families
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileNotFoundError(f"MediaPipe bundle {named} is neither a file nor on the Hub: {reason}") from error
