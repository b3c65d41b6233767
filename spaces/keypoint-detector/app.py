"""A picture of a person → 64 points of body and hands, drawn onto it and as numbers."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from signlang_hf.demo import examples, models, pictures
from signlang_hf.demo.errors import plain_errors
from signlang_hf.demo.page import example_buttons, launch, model_choice, page
from signlang_hf.demo.zero_gpu import gpu

TASKS = ("sign-keypoint-detection",)
WAITING = "Choose a picture: the points of the person appear here."
HEADERS = ["point", "x", "y", "score"]
SIDE = 6000  # pixels


@gpu
@plain_errors
def detect(
    image: np.ndarray | None = None, model: str | None = None, threshold: float = 0.3
) -> tuple[str, np.ndarray, list[list[Any]], dict[str, Any]]:
    """Find 64 points of one person's body and hands in a picture.

    Args:
        image: a picture with one person, best from the hips up.
        model: detector (the one that comes with the library), or the id of a model on the Hub; empty for the first.
        threshold: points that the model is less sure of are left out, 0 to 1.

    Returns:
        one sentence about what was found
        the picture with the points
        a row for each point: its name, x and y in pixels, its score
        the same as JSON, with the size of the picture
    """
    if image is None:
        raise ValueError("There is no picture yet: upload one, take one with the camera, or take an example.")
    height, width = image.shape[:2]
    if max(height, width) > SIDE:
        raise ValueError(f"The picture has {width} x {height} pixels; a side may have {SIDE}.")
    pipe = models.pipeline_of(model, *TASKS)
    found = pipe(image, threshold=min(max(float(threshold), 0.0), 1.0))["keypoints"]
    from signlang_hf.landmarks import LandmarkSequence, get_layout

    layout = pipe.image_processor.layout
    points = get_layout(layout).points
    data = np.full((1, len(points), 2), np.nan, np.float32)
    for row in found:
        data[0, points.index(row["name"])] = row["x"], row["y"]
    drawn = pictures.marked_picture(image, LandmarkSequence(data, layout, size=(width, height), units="pixel"))
    table = [[row["name"], round(row["x"], 1), round(row["y"], 1), round(row["score"], 2)] for row in found]
    said = (
        f"### {len(found)} of {len(points)} points"
        if found
        else "### No points\n\nNobody was found, or the threshold is too high."
    )
    return said, drawn, table, {"size": [width, height], "layout": layout, "keypoints": found}


with page(
    "Where are the hands?",
    "A picture of one person goes in, **64 points** of body and hands come out, with a model of this library that needs no MediaPipe. It was "
    "trained on drawn pictures: in photographs it finds most points of a body, and fingers hardly yet. Look at the scores.",
) as demo:
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            image = gr.Image(
                label="A picture of one person", sources=["upload", "webcam", "clipboard"], height=340, type="numpy"
            )
            model = model_choice(models.choices(*TASKS), models.first_choice("detector"))
            threshold = gr.Slider(0.0, 1.0, value=0.3, step=0.05, label="Leave out points below this score")
            button = gr.Button("Find the points", variant="primary")
            clicked = example_buttons(
                examples.pictures(),
                {"picture": image},
                hub=examples.PICTURE_SUFFIXES,
                none="There are no examples on this machine; a picture of your own works as well.",
            )
        with gr.Column(scale=6, min_width=320):
            message = gr.Markdown(WAITING, label="Answer", elem_classes="signlang-answer")
            with gr.Tabs():
                with gr.Tab("Picture"):
                    drawn = gr.Image(
                        label="Points", interactive=False, buttons=["download", "fullscreen"], format="png", height=460
                    )
                with gr.Tab("Numbers"):
                    table = gr.Dataframe(
                        headers=HEADERS, label="Points in pixels", interactive=False, type="array", max_height=420
                    )
                with gr.Tab("JSON"):
                    answer = gr.JSON(label="Answer", max_height=420)

    outputs = [message, drawn, table, answer]
    button.click(detect, [image, model, threshold], outputs, api_name="detect")
    if clicked is not None:
        clicked.success(detect, [image, model, threshold], outputs, api_visibility="private")


if __name__ == "__main__":
    models.warm(*TASKS)
    launch(demo)
