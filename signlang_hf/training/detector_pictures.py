"""Panels of pictures with the points that a detector finds in them and those that it should find: what its training shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..landmarks import Layout, get_layout
from .keypoint_views import KeypointViews, collate
from .reports import ACCENT, SOFT, new_figure, save_figure

if TYPE_CHECKING:
    from transformers import BaseImageProcessor, PreTrainedModel

VALIDATION_PANEL = "validation.png"


class PanelWriter(TrainerCallback):
    """After each evaluation: ``validation.png`` of the first pictures, in the run's folder and, where it is written, in TensorBoard.

    Args:
        views: of the validation split.
        processor: of the detector.
        count: pictures of a panel.
    """

    def __init__(self, views: KeypointViews, processor: BaseImageProcessor, count: int) -> None:
        self.views, self.processor, self.count = views, processor, count

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        path = Path(args.output_dir) / VALIDATION_PANEL
        write_panel(kwargs["model"], self.views, self.processor, self.count, path)
        if "tensorboard" in args.report_to:
            from PIL import Image
            from torch.utils.tensorboard import SummaryWriter

            # The Trainer's own writer is a private matter of its callback; a second one in the same folder is TensorBoard's way.
            with SummaryWriter(log_folder(args)) as writer:
                pixels = np.array(Image.open(path).convert("RGB"))
                writer.add_image("validation", pixels, state.global_step, dataformats="HWC")


def log_folder(args: TrainingArguments) -> str:
    """Where pictures for TensorBoard go: beside the Trainer's own logs."""
    return str(Path(args.output_dir) / "runs" / "pictures")


def write_panel(
    model: PreTrainedModel, views: KeypointViews, processor: BaseImageProcessor, count: int, path: Path
) -> Path:
    """Draw the first ``count`` views with the points that the model finds, the right places as rings and what lies between as lines."""
    batch = collate([views[index] for index in range(min(count, len(views)))])
    training = model.training
    model.eval()
    with torch.no_grad():
        outputs = model(pixel_values=batch["pixel_values"].to(model.device))
    model.train(training)
    points, scores = (values.float().cpu().numpy() for values in processor.decode(outputs))
    columns = min(4, len(points))
    lines = -(-len(points) // columns)
    figure = new_figure(3 * columns, 3 * lines)
    for index, axis in enumerate(figure.subplots(lines, columns, squeeze=False).ravel()):
        axis.set_axis_off()
        if index < len(points):
            pixels = batch["pixel_values"][index].permute(1, 2, 0).numpy()
            labels = batch["labels"][index].numpy()
            found = np.where(scores[index][:, None] >= processor.keypoint_threshold, points[index], np.nan)
            _draw(axis, pixels, found, labels, get_layout(processor.layout))
    return save_figure(figure, path)


def _draw(axis: Any, pixels: np.ndarray, found: np.ndarray, labels: np.ndarray, layout: Layout) -> None:
    axis.imshow(pixels)
    truth = np.where(labels[:, 2:] > 0, labels[:, :2], np.nan)
    for a, b in layout.bones:
        axis.plot(*found[[a, b]].T, color=ACCENT, linewidth=1)
    for pair in zip(found, truth):
        axis.plot(*np.array(pair).T, color="white", linewidth=0.8)
    axis.plot(*found.T, ".", color=ACCENT, markersize=3)
    axis.plot(*truth.T, "o", color=SOFT, markersize=4, fillstyle="none", markeredgewidth=0.7)
    axis.set(xlim=(0, pixels.shape[1]), ylim=(pixels.shape[0], 0))


__all__ = ["VALIDATION_PANEL", "PanelWriter", "write_panel"]
