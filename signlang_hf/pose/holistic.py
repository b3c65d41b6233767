"""MediaPipe Holistic, the older interface (``mp.solutions``), whose models are inside the wheel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .runtime import BODY, FACE, LEFT_HAND, RIGHT_HAND, empty, quiet, rows


class HolisticEngine:
    """``mp.solutions.holistic``, without the face model unless it is asked for.

    Its smoothing takes every clip for one of 30 frames a second; time stamps do not reach it.
    """

    def __init__(self, points: int, face: int, complexity: int, thresholds: tuple[float, float]) -> None:
        self._points, self._face = points, face
        with quiet():
            if face:
                from mediapipe.python.solutions.holistic import Holistic

                self._graph = _downloading(
                    complexity,
                    lambda: Holistic(
                        model_complexity=complexity,
                        refine_face_landmarks=face == 478,
                        min_detection_confidence=thresholds[0],
                        min_tracking_confidence=thresholds[1],
                    ),
                )
                self._process = self._graph.process
            else:
                self._graph = _downloading(complexity, lambda: _faceless_holistic(complexity, thresholds))
                self._process = lambda frame: self._graph.process({"image": frame})
            self._process(np.full((256, 256, 3), 255, np.uint8))  # starts up now, while it is quiet
        self._stale = True

    def reset(self) -> None:
        self._stale = True

    def detect(self, frame: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._stale:
            self._stale = False
            with quiet():  # a graph that starts again says so again
                # A blank frame would be quicker, but the filters of visibility and world points outlive it.
                self._graph.reset()
                result = self._process(frame)
        else:
            result = self._process(frame)
        data, visibility, world = empty(self._points)
        if result.pose_landmarks:
            body = rows(result.pose_landmarks.landmark)
            data[BODY], visibility[BODY] = body[:, :3], body[:, 3]
        if result.pose_world_landmarks:
            world[BODY] = rows(result.pose_world_landmarks.landmark)
        for part, hand in ((LEFT_HAND, result.left_hand_landmarks), (RIGHT_HAND, result.right_hand_landmarks)):
            if hand:
                data[part], visibility[part] = rows(hand.landmark)[:, :3], 1.0
        if self._face and result.face_landmarks:
            data[FACE], visibility[FACE] = rows(result.face_landmarks.landmark)[:, :3], 1.0
        return data, visibility, world

    def close(self) -> None:
        self._graph.close()


def _faceless_holistic(complexity: int, thresholds: tuple[float, float]) -> Any:
    """Holistic's own graph less its face branch, which nothing else in it depends on."""
    import mediapipe
    from mediapipe.framework import calculator_pb2
    from mediapipe.python.solution_base import SolutionBase
    from mediapipe.python.solutions import holistic

    holistic._download_oss_pose_landmark_model(complexity)
    graph = calculator_pb2.CalculatorGraphConfig()
    folder = Path(mediapipe.__file__).parent / "modules" / "holistic_landmark"
    graph.ParseFromString((folder / "holistic_landmark_cpu.binarypb").read_bytes())
    nodes = [node for node in graph.node if "HandLandmarks" in node.calculator or "PoseLandmark" in node.calculator]
    outputs = [stream for stream in graph.output_stream if "FACE" not in stream]
    side_inputs = [packet for packet in graph.input_side_packet if "FACE" not in packet]
    for field, kept in (("node", nodes), ("output_stream", outputs), ("input_side_packet", side_inputs)):
        graph.ClearField(field)
        getattr(graph, field).extend(kept)
    graph.ClearField("type")
    landmark_options = "poselandmarkcpu__poselandmarkbyroicpu__tensorstoposelandmarksandsegmentation"
    return SolutionBase(
        graph_config=graph,
        side_inputs={
            "model_complexity": complexity,
            "smooth_landmarks": True,
            "enable_segmentation": False,
            "smooth_segmentation": True,
            "use_prev_landmarks": True,
        },
        calculator_params={
            "poselandmarkcpu__posedetectioncpu__TensorsToDetectionsCalculator.min_score_thresh": thresholds[0],
            f"{landmark_options}__ThresholdingCalculator.threshold": thresholds[1],
        },
        outputs=["pose_landmarks", "pose_world_landmarks", "left_hand_landmarks", "right_hand_landmarks"],
    )


def _downloading(complexity: int, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except OSError as error:  # urllib's errors are OSErrors, and so is a folder that cannot be written
        raise ConnectionError(
            f"model_complexity={complexity} needs a model that MediaPipe downloads on first use, which failed ({error}); "
            "model_complexity=1 comes with MediaPipe."
        ) from error
