"""``SignExplanation``: where in time and on the body a model found its evidence, and the files that show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..landmarks import LandmarkSequence
from ..landmarks.files import atomic_write
from ..video import VideoSource, write_video
from .regions import regions

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class SignExplanation:
    """Evidence for one label in one clip. All summaries are max-pooled: a short, strong cue is not averaged away.

    Args:
        heat: (T, K) float32 in [0, 1], the hottest cell 1; 0 where the point was not seen. All 0 where nothing speaks for the
            label.
        sequence: the clip's landmarks, T frames of K points.
        label, label_id: what is explained.
        score: its (calibrated) probability.
        method: ``gradcam`` or ``integrated-gradients``.
        looked_at: (K,) bool, which of the clip's points reach the model.
        video: what heat is drawn onto; None for landmarks alone, which are drawn as a skeleton.
    """

    heat: np.ndarray
    sequence: LandmarkSequence
    label: str
    label_id: int
    score: float
    method: str
    looked_at: np.ndarray
    video: VideoSource | None = None

    @property
    def frame_weights(self) -> np.ndarray:
        """(T,) heat of each frame: that of its hottest point."""
        return self.heat.max(axis=1)

    @property
    def point_weights(self) -> np.ndarray:
        """(K,) heat of each point: that of its hottest frame."""
        return self.heat.max(axis=0)

    @cached_property
    def parts(self) -> Mapping[str, np.ndarray]:
        """Body region → (T,) heat of its hottest point, NaN where none of its points was seen. Regions that the model does not
        look at are left out."""
        series = {}
        for region, points in regions(self.sequence.spec).items():
            looked_at = [point for point in points if self.looked_at[point]]
            if looked_at:
                seen = self.sequence.seen[:, looked_at].any(axis=1)
                series[region] = np.where(seen, self.heat[:, looked_at].max(axis=1), np.nan).astype(np.float32)
        return series

    def sheet(self, num: int = 8) -> Image:
        """Contact sheet: the hottest frame of each of ``num`` stretches of the clip. See :func:`.charts.contact_sheet`."""
        from .charts import contact_sheet

        return contact_sheet(self, num)

    def chart(self) -> Image:
        """Time × body region. See :func:`.charts.part_chart`."""
        from .charts import part_chart

        return part_chart(self)

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write ``heat.mp4`` (heat over the clip's own frames), ``heat.png`` (contact sheet), ``parts.png`` (time × body region),
        ``heat.npz`` (all numbers) and ``explanation.json`` (what it is, and the summaries); each whole or not at all.

        Returns:
            ``video``, ``sheet``, ``chart``, ``heat`` and ``summary`` → file.

        Raises:
            ImportError: what draws is missing.
        """
        from .overlay import iter_overlay

        folder = Path(folder)
        files = {
            "video": folder / "heat.mp4",
            "sheet": folder / "heat.png",
            "chart": folder / "parts.png",
            "heat": folder / "heat.npz",
            "summary": folder / "explanation.json",
        }
        pictures = {"sheet": self.sheet(), "chart": self.chart()}
        write_video(files["video"], iter_overlay(self), fps=self.sequence.fps)
        for name, picture in pictures.items():
            atomic_write(files[name], lambda stream, picture=picture: picture.save(stream, format="PNG"))
        arrays = {"heat": self.heat, "looked_at": self.looked_at, "timestamps": self.sequence.timestamps}
        points = np.array(self.sequence.spec.points)
        atomic_write(files["heat"], lambda stream: np.savez_compressed(stream, points=points, **arrays))
        text = json.dumps(self.summary(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        atomic_write(files["summary"], lambda stream: stream.write(text.encode()))
        return files

    def summary(self) -> dict[str, object]:
        """Plain values: label, score, method, layout, the hottest moment, and the heat of regions and of the ten hottest points."""
        peak = int(self.frame_weights.argmax())
        hottest = np.argsort(-self.point_weights, kind="stable")[:10]
        return {
            "label": self.label,
            "score": round(self.score, 6),
            "method": self.method,
            "layout": self.sequence.layout,
            "frames": len(self.sequence),
            "hottest_frame": peak,
            "hottest_seconds": round(float(self.sequence.timestamps[peak]), 3),
            "parts": {part: round(float(np.nan_to_num(heat).max()), 4) for part, heat in self.parts.items()},
            "points": {
                self.sequence.spec.points[point]: round(float(self.point_weights[point]), 4)
                for point in hottest
                if self.point_weights[point] > 0
            },
        }
