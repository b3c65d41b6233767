"""One picture of a clip over time: the signer's upper body above, a close-up of the busiest hand below.

The panels share one frame of reference and one scale, so what moves between them is what moved in the clip. The legs and
whatever lies outside the picture are left out; each hand trails the path that its wrist took so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..landmarks.layout import HAND, Layout
from ..landmarks.sequence import LandmarkSequence
from .drawing import PART_COLOURS

if TYPE_CHECKING:
    from PIL.Image import Image

_INK, _FAINT, _GROUND, _SKIN = "#2b3440", "#8a94a3", "#f4f6f9", "#dde4ed"
_FINGERS = {"thumb": "#8e5bd0", "index": "#2f7fd6", "middle": "#17a085", "ring": "#e0a021", "little": "#e4573d"}
_LOWER_BODY = ("hip", "spine", "knee", "ankle", "heel", "foot", "toe")
_FACE = ("nose", "eye", "ear", "mouth")
# The body model's own guesses at the fingers, which only clutter a layout with real hands.
_FINGER_STUBS = {f"{side}_{finger}" for side in ("left", "right") for finger in ("pinky", "index", "thumb")}
_HANDS = ("right_hand", "left_hand", "hand1", "hand2")
_PANEL_INCHES, _DPI = 1.55, 160


def skeleton_strip(
    sequence: LandmarkSequence, *, title: str | None = None, num: int = 8, min_visibility: float = 0.3
) -> Image:
    """Draw a clip as a row of skeletons over time.

    Args:
        sequence: landmarks in any units.
        title: heading, for instance the predicted label and its score.
        num: number of moments, spread evenly over the stretch in which a hand is seen (the whole clip if there is none).
        min_visibility: points below it are not drawn.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: nothing was seen in the whole clip.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from PIL import Image
    except ImportError:
        raise ImportError('Drawing a clip needs matplotlib and Pillow: pip install "signlang-hf[pose]"') from None

    if num < 1:
        raise ValueError(f"num is {num}; it must be at least 1.")
    xy = picture_points(sequence, min_visibility)
    layout = sequence.spec
    hand = _busiest_hand(xy, layout)
    moments = _moments(sequence, xy, layout, num)
    num = len(moments)
    box = body_box(xy, layout)
    body_height = _PANEL_INCHES * float(np.clip((box[3] - box[2]) / (box[1] - box[0]), 0.6, 1.6))
    heights = [body_height] + ([_PANEL_INCHES * 0.9] if hand else [])
    top, foot = (0.42 if title else 0.1), 0.3
    figure = Figure(figsize=(_PANEL_INCHES * num + 0.2, sum(heights) + 0.1 * len(heights) + top + foot), dpi=_DPI)
    figure.patch.set_facecolor("white")
    grid = figure.add_gridspec(
        len(heights), num, height_ratios=heights, wspace=0.04, hspace=0.05,
        left=0.1 / figure.get_figwidth(), right=1 - 0.1 / figure.get_figwidth(),
        top=1 - top / figure.get_figheight(), bottom=foot / figure.get_figheight(),
    )  # fmt: skip
    reach = _hand_reach(xy, layout, hand) if hand else 1.0
    for column, t in enumerate(moments):
        axes = [figure.add_subplot(grid[row, column]) for row in range(len(heights))]
        for ax in axes:
            ax.set_facecolor(_GROUND)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            ax.set_aspect("equal", adjustable="box")
        _draw_body(axes[0], xy, t, layout, box)
        if hand:
            _draw_hand(axes[1], xy[t], layout, hand, reach)
        axes[-1].set_xlabel(f"{sequence.timestamps[t] - sequence.timestamps[0]:.2f} s", color=_FAINT, fontsize=8)
    if title:
        figure.suptitle(title, x=0.12 / figure.get_figwidth(), y=1 - 0.1 / figure.get_figheight(),
                        ha="left", va="top", color=_INK, fontsize=13, fontweight="bold")  # fmt: skip
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def picture_points(sequence: LandmarkSequence, min_visibility: float) -> np.ndarray:
    """(T, K, 2) isotropic points with y pointing up, NaN where not to be drawn."""
    of_picture = sequence.units in ("image", "pose", "pixel")
    if sequence.units in ("image", "pose") and sequence.size is None:
        sequence = sequence.replace(units="unknown")
    xy = sequence.isotropic().data[..., :2].astype(np.float64)
    # By the clip's median, so that a point near the limit does not flicker from panel to panel.
    visibility = np.where(sequence.seen, sequence.visibility, np.nan)
    never = np.isnan(visibility).all(axis=0)
    visibility[:, never] = 0
    xy[:, np.nanmedian(visibility, axis=0) < min_visibility] = np.nan
    layout = sequence.spec
    if any(f"{side}_hand_wrist" in layout.index for side in ("left", "right")):
        xy[:, [i for i, name in enumerate(layout.points) if name in _FINGER_STUBS]] = np.nan
    if np.isnan(xy).all():
        raise ValueError("Nothing was seen in the whole clip; there is no skeleton to draw.")
    shoulders = ("left_shoulder", "right_shoulder", "shoulder_center")
    down = _centre(xy, layout, ("nose", "head", "face")) < _centre(xy, layout, shoulders)
    if of_picture or down:
        xy[..., 1] *= -1
    return xy


def _centre(xy: np.ndarray, layout: Layout, names: tuple[str, ...]) -> float:
    """Median height of those of the named points that the layout has; NaN without any."""
    values = xy[:, [layout.index[name] for name in names if name in layout.index], 1]
    values = values[~np.isnan(values)]
    return float(np.median(values)) if values.size else float("nan")


def _busiest_hand(xy: np.ndarray, layout: Layout) -> str | None:
    """The hand seen in most frames, among those with all their joints."""
    seen = {
        part: int((~np.isnan(xy[:, list(layout.parts[part]), 0])).all(1).sum())
        for part in _HANDS
        if len(layout.parts.get(part, ())) == len(HAND)
    }
    best = max(seen, key=seen.__getitem__, default=None)
    return best if best is not None and seen[best] else None


def _moments(sequence: LandmarkSequence, xy: np.ndarray, layout: Layout, num: int) -> np.ndarray:
    active = [list(layout.parts[part]) for part in _HANDS if part in layout.parts]
    seen = np.zeros(len(xy), bool)
    for points in active:
        seen |= ~np.isnan(xy[:, points, 0]).all(1)
    if not seen.any():
        seen = ~np.isnan(xy[..., 0]).all(1)
    first, *_, last = np.flatnonzero(seen).repeat(2)
    wanted = np.linspace(sequence.timestamps[first], sequence.timestamps[last], num)
    # Among the frames that show something, so that a gap costs no panel.
    frames = np.flatnonzero(seen)
    nearest = np.abs(sequence.timestamps[frames][None] - wanted[:, None]).argmin(1)
    return np.unique(frames[nearest])


def body_box(xy: np.ndarray, layout: Layout) -> tuple[float, float, float, float]:
    """left, right, bottom, top of all that is drawn above the waist, with a margin."""
    upper = [i for i, name in enumerate(layout.points) if not any(word in name for word in _LOWER_BODY)]
    points = xy[:, [i for i in upper if not np.isnan(xy[:, i, 0]).all()]]
    if not points.size:
        points = xy[:, ~np.isnan(xy[..., 0]).all(0)]
    # Each point's own range, so that a face mesh does not outvote two shoulders; the odd wild frame does not count.
    left, bottom = np.nanpercentile(points, 2, axis=0).min(0)
    right, top = np.nanpercentile(points, 98, axis=0).max(0)
    heads = [head for frame in xy if (head := _head_circle(frame, layout)) is not None]
    if heads:
        top = max(top, float(np.median([y + 1.1 * radius for _, y, radius in heads])))
    margin = 0.07 * max(right - left, top - bottom, 1e-6)
    left, right, bottom, top = left - margin, right + margin, bottom - margin, top + margin
    short = 0.7 * max(right - left, top - bottom)  # no slits
    if right - left < short:
        left, right = (left + right - short) / 2, (left + right + short) / 2
    if top - bottom < short:
        bottom, top = (bottom + top - short) / 2, (bottom + top + short) / 2
    return left, right, bottom, top


def _head_circle(points: np.ndarray, layout: Layout) -> tuple[float, float, float] | None:
    """x, y, radius of a head around the face points of the body, sized by the shoulders."""
    need = ("nose", "left_ear", "right_ear", "left_shoulder", "right_shoulder")
    if any(name not in layout.index for name in need):
        return None
    nose, left_ear, right_ear, left_shoulder, right_shoulder = points[[layout.index[name] for name in need]]
    x, y = np.mean([nose, left_ear, right_ear], axis=0)
    width = np.linalg.norm(left_ear - right_ear)
    radius = max(0.72 * width, 0.24 * np.linalg.norm(left_shoulder - right_shoulder))
    return None if np.isnan(x + radius) else (x, y + 0.1 * radius, radius)


def _draw_body(ax: Any, xy: np.ndarray, t: int, layout: Layout, box: tuple[float, float, float, float]) -> None:
    from matplotlib.patches import Ellipse

    points = xy[t]
    ax.set(xlim=box[:2], ylim=box[2:])
    head = _head_circle(points, layout)
    if head is not None:
        ax.add_patch(Ellipse(head[:2], 1.7 * head[2], 2.1 * head[2], facecolor=_SKIN, edgecolor="none", zorder=0))
    for part in _HANDS:
        wrist = layout.parts.get(part, (None,))[0]
        if wrist is not None:
            trail = xy[: t + 1, wrist]
            ax.plot(*trail[~np.isnan(trail[:, 0])].T, color=_rgb(part), alpha=0.3, linewidth=1.2, zorder=1,
                    solid_capstyle="round")  # fmt: skip
    points, bones = points.copy(), list(layout.bones)
    part_at = {i: part for part, indices in layout.parts.items() for i in indices}
    mesh = len(layout.parts.get("face", ())) > 20
    of_face = {i for i, name in enumerate(layout.points) if part_at[i] == "pose" and any(f in name for f in _FACE)}
    if mesh:
        points[list(of_face)] = np.nan
    for side in ("left", "right"):
        body_wrist, hand_wrist = layout.index.get(f"{side}_wrist"), layout.index.get(f"{side}_hand_wrist")
        if body_wrist is not None and hand_wrist is not None and not np.isnan(points[hand_wrist, 0]):
            bones.append((hand_wrist, body_wrist))
    for a, b in bones:
        if np.isnan(points[[a, b], 0]).any():
            continue
        hand = part_at[b] in _HANDS
        width, shade = (1.3, 1.0) if hand else (1.4, 0.55) if b in of_face else (2.6, 1.0)
        ax.plot(*points[[a, b]].T, color=_rgb(part_at[b]), linewidth=width, alpha=shade, zorder=4 if hand else 3,
                solid_capstyle="round")  # fmt: skip
    for part, indices in layout.parts.items():
        face = part == "face" and mesh
        size = 14.0 if len(indices) == 1 else 0.4 if face else 1.5 if part in _HANDS else 3.0
        ax.scatter(*points[list(indices)].T, s=size, color=_rgb(part), linewidths=0, zorder=2 if face else 5)


def _hand_reach(xy: np.ndarray, layout: Layout, hand: str) -> float:
    """Half the side of the close-up: what holds the hand in nearly every frame."""
    points = xy[:, list(layout.parts[hand])]
    points = points[~np.isnan(points[..., 0]).any(1)]
    spread = points - (points.min(1, keepdims=True) + points.max(1, keepdims=True)) / 2
    return max(float(np.percentile(np.abs(spread).max((1, 2)), 95)) * 1.15, 1e-6)


def _draw_hand(ax: Any, points: np.ndarray, layout: Layout, hand: str, reach: float) -> None:
    joints = points[list(layout.parts[hand])]
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    if np.isnan(joints).any():
        ax.text(0, 0, "not seen", ha="center", va="center", color=_FAINT, fontsize=8)
        return
    joints = joints - (joints.min(0) + joints.max(0)) / 2
    palm = [HAND.index(name) for name in ("wrist", "index_mcp", "middle_mcp", "ring_mcp", "little_mcp")]
    ax.fill(*joints[palm].T, color=_SKIN, zorder=0)
    for finger, colour in _FINGERS.items():
        chain = [0, *(i for i, name in enumerate(HAND) if name.startswith(finger))]
        ax.plot(
            *joints[chain].T, color=colour, linewidth=2.4, solid_capstyle="round", solid_joinstyle="round", zorder=2
        )
        ax.scatter(*joints[chain[1:]].T, s=9, color=colour, edgecolors="white", linewidths=0.5, zorder=3)
    ax.scatter(*joints[0], s=16, color=_rgb(hand), edgecolors="white", linewidths=0.6, zorder=4)


def _rgb(part: str) -> tuple[float, ...]:
    return tuple(channel / 255 for channel in PART_COLOURS[part])
