"""What a benchmark leaves for people: a Markdown table, for cards, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..training.reports import ACCENT, INK, SOFT, new_figure, save_figure
from .alternatives import ALTERNATIVES
from .measuring import Benchmark, Speed
from .stages import STAGES, Road

_STAGE_COLOURS = ("#adb5bd", "#495057", "#74c0fc", ACCENT, INK)


def markdown(found: Benchmark, roads: Sequence[Road] = ()) -> str:
    """Tables of speeds and of the stages of clips, and below them on what they were measured."""
    lines = []
    if found.rows:
        lines += [
            "| Model | Version | Batch | Frames | ms | p95 ms | clips/s | frames/s | Ratio | Parameters | File | Peak memory |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            *map(_line, found.rows),
            "",
            "Ratio: how many times as fast as the first version, round by round, by median.",
        ]
    if roads:
        lines += [
            "",
            f"| Model | Clip | Frames | {' | '.join(f'{stage} ms' for stage in STAGES)} | Together |",
            "|---|---|---:|" + "---:|" * (len(STAGES) + 1),
        ]
        for road in roads:
            cells = " | ".join(f"{road.ms[stage]:.2f} ({100 * road.share(stage):.1f} %)" for stage in STAGES)
            lines.append(f"| {road.model} | {road.clip} | {road.frames} | {cells} | {road.total_ms:.0f} ms |")
    machine = found.machine
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines += ["", f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads; {versions}."]
    lines += [f"Left out: {reason}" for reason in found.left_out]
    return "\n".join(lines).strip() + "\n"


def _line(row: Speed) -> str:
    pictures = not row.frames
    cells = [
        row.model, row.version, f"{row.batch}", "" if pictures else f"{row.frames}", f"{row.median_ms:.2f}", f"{row.p95_ms:.2f}",
        f"{row.clips_per_second:,.0f}", "" if pictures else f"{row.frames_per_second:,.0f}", f"{row.ratio:.2f} ×",
        "" if row.parameters is None else f"{row.parameters:,}", f"{row.file_mb:.2f} MB" if row.file_mb else "",
        "" if row.peak_mb is None else f"{row.peak_mb:.0f} MB",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def picture(found: Benchmark, path: Path, roads: Sequence[Road] = ()) -> Path:
    """Bars: of each model the milliseconds of a clip in the smallest and in the largest batch, and of each road the shares of its stages.

    Args:
        found: at least one row, or give roads.
        path: PNG to write.
        roads: of clips.

    Raises:
        ValueError: nothing to draw.
    """
    groups: dict[str, list[Speed]] = {}
    for row in found.rows:
        groups.setdefault(row.model, []).append(row)
    panels = [
        (model, batch, [row for row in rows if row.batch == batch and row.frames == rows[0].frames])
        for model, rows in groups.items()
        for batch in sorted({min(row.batch for row in rows), max(row.batch for row in rows)})
    ]
    if not panels and not roads:
        raise ValueError("There is nothing to draw.")
    heights = [0.32 * len(rows) + 0.7 for _, _, rows in panels] + ([0.45 * len(roads) + 1.4] if roads else [])
    figure = new_figure(8, sum(heights))
    axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axis, (model, batch, rows) in zip(axes, panels):
        values = [row.median_ms / row.batch for row in rows]
        colours = [SOFT if row.version in ALTERNATIVES else ACCENT for row in rows]
        axis.barh(range(len(rows)), values, color=colours, height=0.7)
        for place, (row, value) in enumerate(zip(rows, values)):
            axis.text(value, place, f"  {value:.2f} ms, {row.ratio:.2f} ×", va="center", fontsize=8, color=INK)
        axis.set_yticks(range(len(rows)), [row.version for row in rows], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(0, 1.3 * max(values))
        what = f"{rows[0].frames} frames" if rows[0].frames else "one picture"
        axis.set_title(f"{model}: ms a clip, batch {batch}, {what}", fontsize=9, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="x", labelsize=8)
    if roads:
        _draw_roads(axes[-1], roads)
    return save_figure(figure, path)


def _draw_roads(axis, roads: Sequence[Road]) -> None:  # noqa: ANN001 - matplotlib is optional
    for place, road in enumerate(roads):
        left = 0.0
        for stage, colour in zip(STAGES, _STAGE_COLOURS):
            axis.barh(place, road.ms[stage], left=left, color=colour, height=0.6, label=stage if place == 0 else None)
            left += road.ms[stage]
        own = sum(road.ms[stage] for stage in STAGES[2:])
        axis.text(left, place, f"  {left:.0f} ms, ours {own:.1f}", va="center", fontsize=8)
    axis.set_yticks(range(len(roads)), [f"{road.model}\n{road.clip}" for road in roads], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.3 * max(road.total_ms for road in roads))
    title = f"From a video file to its answer: ms a clip (ours: {', '.join(STAGES[2:])})"
    axis.set_title(title, fontsize=9, loc="left")
    axis.legend(loc="upper left", fontsize=7, ncols=len(STAGES), frameon=False, bbox_to_anchor=(0.0, -0.25))
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(axis="x", labelsize=8)


__all__ = ["markdown", "picture"]
