"""Drawing landmarks onto the frames of a video.

Bones and parts come from the layout, so any layout can be drawn; a point that was not seen, or that its source does not trust,
is not drawn. Lines over video are drawn at twice the size and scaled down, because Pillow does not smooth them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..landmarks.layout import Layout
from ..landmarks.sequence import LandmarkSequence
from .reading import Video, as_video
from .sources import _pillow

PART_COLOURS: dict[str, tuple[int, int, int]] = {
    "pose": (94, 129, 172),
    "face": (160, 170, 182),
    "left_hand": (22, 160, 133),
    "right_hand": (235, 104, 65),
    "hand1": (235, 104, 65),
    "hand2": (22, 160, 133),
}
"""Colour of each body part; told apart by people who do not see red and green as different, too."""

_SMOOTH = 2  # drawn this many times larger, then scaled down


def draw_landmarks(
    frames: np.ndarray | Video,
    sequence: LandmarkSequence,
    *,
    text: str | Sequence[str] | None = None,
    min_visibility: float = 0.5,
    font: str | os.PathLike[str] | None = None,
) -> np.ndarray:
    """Frames with bones, points and a caption drawn onto them.

    Args:
        frames: (T, H, W, 3) uint8 RGB, or a :class:`Video`, whose frames get the landmarks nearest in time.
        sequence: landmarks in ``image``, ``pose`` or ``pixel`` units.
        text: caption at the foot of the picture; a list gives each frame its own.
        min_visibility: points below it are not drawn.
        font: a TrueType file; default: DejaVu Sans where it is found (Latin, Greek, Cyrillic, Arabic, …).

    Returns:
        (T, H, W, 3) uint8 RGB; ``frames`` itself is not changed.

    Raises:
        ValueError: frames, landmarks and captions differ in number, or the landmarks are not in picture coordinates.
    """
    video = as_video(frames)
    width, height = video.size
    if sequence.units not in ("image", "pose", "pixel"):
        raise ValueError(f"Landmarks in {sequence.units} units have no place in a picture.")
    place = np.arange(len(sequence))
    if isinstance(frames, Video) and len(sequence):
        place = _nearest(sequence.timestamps, video.timestamps, sequence.fps)
    if len(place) != len(video):
        raise ValueError(f"There are {len(sequence)} frames of landmarks for {len(video)} frames of video.")
    captions = [text] * len(video) if text is None or isinstance(text, str) else list(text)
    if len(captions) != len(video):
        raise ValueError(f"There are {len(captions)} captions for {len(video)} frames.")
    scale = np.array([width, height]) if sequence.units == "image" else _pixel_scale(sequence, width, height)
    points = np.where((sequence.visibility >= min_visibility)[..., None], sequence.data[..., :2] * scale, np.nan)[place]
    drawn = video.frames.copy()
    for frame, xy in zip(drawn, points):
        _draw_skeleton(frame, xy, sequence.spec)
    typeface = _font(font, max(14, round(height / 16))) if any(captions) else None
    for frame, caption in zip(drawn, captions):
        if caption:
            _draw_caption(frame, caption, typeface)
    return drawn


def _nearest(times: np.ndarray, wanted: np.ndarray, fps: float) -> np.ndarray:
    """For each wanted time the nearest of ``times``; an error where the two are not about the same clip."""
    after = np.searchsorted(times, wanted).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    nearest = np.where(wanted - times[before] <= times[after] - wanted, before, after)
    if len(times) > 1 and np.abs(times[nearest] - wanted).max() > max(1.0, 2 / fps):
        raise ValueError("The landmarks and the video cover different stretches of time.")
    return nearest


def _pixel_scale(sequence: LandmarkSequence, width: int, height: int) -> np.ndarray:
    return np.array([width, height]) / np.array(sequence.size or (width, height))


def _draw_skeleton(frame: np.ndarray, xy: np.ndarray, layout: Layout) -> None:
    """Draw one skeleton into ``frame`` in place; only the part of the picture that holds it is touched."""
    height, width = frame.shape[:2]
    line = max(1.5, min(width, height) / 240)
    margin = int(np.ceil(4 * line))
    seen = ~np.isnan(xy[:, 0])
    # Points far outside the picture would only blow up the canvas; their bones are cut at its edge.
    if not (seen & (xy > -2 * max(frame.shape)).all(1) & (xy < 3 * max(frame.shape)).all(1)).any():
        return
    low = np.clip(np.floor(np.nanmin(xy, axis=0)) - margin, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(np.nanmax(xy, axis=0)) + margin, 0, [width, height]).astype(int)
    if (high <= low).any():
        return
    pil = _pillow()
    from PIL import ImageDraw

    patch = pil.fromarray(frame[low[1] : high[1], low[0] : high[0]])
    canvas = patch.resize((patch.width * _SMOOTH, patch.height * _SMOOTH), pil.Resampling.BILINEAR)
    brush = ImageDraw.Draw(canvas)
    place = (xy - low) * _SMOOTH
    colours, radii = _point_style(layout, line)
    for a, b in layout.bones:
        if seen[a] and seen[b]:
            brush.line([*place[a], *place[b]], fill=colours[b], width=max(2, round(radii[b] * 1.1 * _SMOOTH)))
    for i in np.flatnonzero(seen):
        x, y = place[i]
        r = radii[i] * _SMOOTH
        brush.ellipse([x - r, y - r, x + r, y + r], fill=colours[i], outline=(255, 255, 255) if r >= 4 else None)
    frame[low[1] : high[1], low[0] : high[0]] = np.asarray(canvas.resize(patch.size, pil.Resampling.BOX))


def _point_style(layout: Layout, line: float) -> tuple[list[tuple[int, int, int]], list[float]]:
    colours, radii = [PART_COLOURS["pose"]] * len(layout), [line * 1.3] * len(layout)
    for part, indices in layout.parts.items():
        for i in indices:
            colours[i] = PART_COLOURS[part]
            radii[i] = line * (0.5 if part == "face" and len(indices) > 20 else 1.3 if part == "pose" else 1.0)
    return colours, radii


def _draw_caption(frame: np.ndarray, caption: str, typeface: Any) -> None:
    pil = _pillow()
    from PIL import ImageDraw

    height, width = frame.shape[:2]
    pad = max(4, height // 60)
    lines = _wrapped(caption, typeface, width - 2 * pad)
    ascent_box = typeface.getbbox("Ågj")
    step = ascent_box[3] + pad // 2
    band = min(height, step * len(lines) + 2 * pad)
    strip = pil.fromarray((frame[height - band :] * 0.35).astype(np.uint8))
    brush = ImageDraw.Draw(strip)
    for i, line in enumerate(lines):
        brush.text(((width - typeface.getlength(line)) / 2, pad + i * step), line, font=typeface, fill=(255, 255, 255))
    frame[height - band :] = np.asarray(strip)


def _wrapped(caption: str, typeface: Any, width: int) -> list[str]:
    lines = [""]
    for word in caption.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and typeface.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _font(path: str | os.PathLike[str] | None, size: int) -> Any:
    from PIL import ImageFont

    if path is not None:
        return ImageFont.truetype(os.fspath(path), size)
    candidates = ["DejaVuSans.ttf"]
    try:
        import matplotlib

        candidates.append(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    except ImportError:
        pass
    for candidate in candidates:
        try:
            return ImageFont.truetype(candidate, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
