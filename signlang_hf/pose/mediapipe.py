"""MediaPipe behind :class:`PoseEstimator`: Holistic from ``mp.solutions`` where it is installed, MediaPipe Tasks elsewhere.

Design decisions:

* Both yield layout ``mediapipe-holistic``: 33 body points and 21 of each hand. Left and right are the signer's own.
* Holistic looks for hands around the wrists of the body, so its sides are the body's. Tasks finds hands anywhere and guesses
  their side by shape (on pictures that are not mirrored its "Left" is the signer's left); the body's wrists decide, see
  :func:`~signlang_hf.pose.tasks.assign_sides`.
* Without ``face=`` Holistic runs without its face model: the same points, bit for bit, in a tenth less time.
* Every clip starts from a clean tracker, so a clip gives the same numbers first, last, or alone.
* The models load on first use, and MediaPipe's start-up messages are kept off the terminal.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ..landmarks import get_layout
from .estimator import Detection, PoseEstimator
from .holistic import HolisticEngine
from .runtime import INSTALL, Engine
from .tasks import TasksEngine, find_bundle

BACKENDS: tuple[str, ...] = ("auto", "solutions", "tasks")


class MediaPipeEstimator(PoseEstimator):
    """MediaPipe body, hands and (on request) face.

    Args:
        backend: ``solutions`` (Holistic; models inside the wheel; MediaPipe < 0.10.30), ``tasks`` (needs two model bundles), or
            ``auto``: Holistic where the installed MediaPipe has it.
        face: also the face mesh, Holistic only: ``True`` or 468 points, or 478 with irises.
        world: also metric points: the body's around the hips and, with Tasks, each hand's around its own centre.
        model_complexity: Holistic's body model, 0 to 2; 1 is in the wheel, MediaPipe downloads the others.
        min_detection_confidence, min_tracking_confidence: thresholds for the body.
        pose_model, hand_model: Tasks bundles: a path, or a file on the Hub as ``org/repository/file.task``. Default: the
            environment variables SIGNLANG_POSE_LANDMARKER and SIGNLANG_HAND_LANDMARKER, or ``pose_landmarker*.task`` and
            ``hand_landmarker*.task`` in the folder SIGNLANG_MEDIAPIPE_TASKS.

    Raises:
        ValueError: options that do not go together. (Missing packages and models are reported on first use.)
    """

    def __init__(
        self,
        backend: str = "auto",
        *,
        face: bool | int = False,
        world: bool = False,
        model_complexity: int = 1,
        min_detection_confidence: float = 0.5,
        min_tracking_confidence: float = 0.5,
        pose_model: str | os.PathLike[str] | None = None,
        hand_model: str | os.PathLike[str] | None = None,
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(f"Unknown MediaPipe backend {backend!r}; choose one of {', '.join(BACKENDS)}.")
        faces = {False: 0, True: 468, 468: 468, 478: 478}
        if face not in faces:
            raise ValueError(f"face is {face!r}; choose False, True (468 points) or 478 (with irises).")
        if model_complexity not in (0, 1, 2):
            raise ValueError(f"model_complexity is {model_complexity!r}; choose 0, 1 or 2.")
        self.face, self.world, self.model_complexity = faces[face], world, model_complexity
        self.layout = "mediapipe-holistic" + (f"-face{self.face}" if self.face else "")
        self.thresholds = (min_detection_confidence, min_tracking_confidence)
        self.pose_model, self.hand_model = pose_model, hand_model
        self._wanted = backend
        self._engine: Engine | None = None
        if backend == "tasks":
            self._check_tasks()

    @property
    def backend(self) -> str:
        """``solutions`` or ``tasks``: what runs here. Raises ImportError where MediaPipe is missing."""
        if self._wanted == "auto":
            return "solutions" if has_solutions() else "tasks"
        return self._wanted

    @property
    def description(self) -> str:
        """For instance ``mediapipe 0.10.14 solutions, complexity 1``."""
        variant = f", complexity {self.model_complexity}" if self.backend == "solutions" else ""
        return f"mediapipe {mediapipe_version()} {self.backend}{variant}"

    def reset(self) -> None:
        if self._engine is None:
            self._engine = self._load()
        self._engine.reset()

    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        if self._engine is None:
            self.reset()
        assert self._engine is not None
        try:
            data, visibility, world = self._engine.detect(np.ascontiguousarray(frame), seconds)
        except RuntimeError:  # a graph that failed cannot be used again
            self.close()
            raise
        data[~np.isfinite(data).all(axis=1)] = np.nan
        return Detection(data, visibility, world if self.world else None)

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            with suppress(RuntimeError):  # a graph that failed says so again when it is closed
                engine.close()

    def _load(self) -> Engine:
        points = len(get_layout(self.layout))
        if self.backend == "tasks":
            self._check_tasks()
            pose, hand = find_bundle("pose", self.pose_model), find_bundle("hand", self.hand_model)
            return TasksEngine(pose, hand, points, self.thresholds)
        if not has_solutions():
            raise ImportError(
                f"MediaPipe {mediapipe_version()} has no mp.solutions; use backend='tasks', or pip install "
                '"mediapipe<0.10.30".'
            )
        return HolisticEngine(points, self.face, self.model_complexity, self.thresholds)

    def _check_tasks(self) -> None:
        if self.face:
            raise ValueError("No face bundle is configured for MediaPipe Tasks; use face=False or backend='solutions'.")


def has_solutions() -> bool:
    """Whether the installed MediaPipe has ``mp.solutions``. Raises ImportError where MediaPipe is missing."""
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or spec.origin is None:
        raise ImportError(f"Finding landmarks in videos needs MediaPipe: {INSTALL}")
    return (Path(spec.origin).parent / "python" / "solutions" / "holistic.py").is_file()


def mediapipe_version() -> str:
    """Version of the installed MediaPipe."""
    try:
        return version("mediapipe")
    except PackageNotFoundError:
        return "of unknown version"
