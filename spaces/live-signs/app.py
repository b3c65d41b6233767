"""Sign before the camera: the skeleton, the word of the moment, a log, and the sentence so far. Or play a recorded clip as if it were live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from signlang_hf.demo import clips, examples, models
from signlang_hf.demo.errors import plain_errors
from signlang_hf.demo.page import clip_inputs, example_buttons, launch, model_choice, page

TASKS = ("sign-recognition", "continuous-sign-recognition", "sign-translation")
EVERY = 0.08  # seconds between two frames that a browser sends
TURN = 120  # seconds that one person signs before the next in the queue
SHOWN = 3  # of a recorded clip every so manieth frame is shown
RATE = 15.0  # frames a second of it that are looked at

_places: Any = None


def places() -> Any:
    """The places before the camera of this process; made when the first person comes."""
    global _places
    if _places is None:
        from signlang_hf.demo.live import Places

        _places = Places()
    return _places


def leave(key: str | None) -> None:
    """Somebody has closed the page."""
    if _places is not None:
        _places.leave(key)


@plain_errors
def look(
    frame: np.ndarray | None, key: str | None, model: str | None, unsure: bool
) -> tuple[Any, str, str, str, str | None]:
    """The next frame of somebody's camera."""
    if frame is None:
        return gr.skip()
    signer = places().at(key)
    if signer is None:
        key = places().take(models.pipeline_of(model, *TASKS), bool(unsure))
        signer = places().at(key)
    picture = signer.look(frame, time.monotonic() - signer.began)
    return picture, *shown(signer), key


@plain_errors
def watch(
    video: str | None = None, landmarks: str | None = None, model: str | None = None, unsure: bool = False
) -> Iterator[tuple[Any, str, str, str, dict[str, Any]]]:
    """Play a recorded clip as if somebody signed it before a camera, and say what is recognised while it runs.

    Args:
        video: a video of one person who signs, up to 30 seconds; leave it out where landmarks are given.
        landmarks: a .pose or .npz file with the landmarks of such a clip, in place of a video.
        model: dgs30 (30 German signs), fingerspelling (letters), sentences or spelling (sentences), or the id of a model on the Hub.
        unsure: also say signs that the model does not seem to know.

    Returns:
        the latest picture with the skeleton
        the word of the moment, as HTML
        the events so far, as HTML
        the sentence so far
        the events as JSON
    """
    pipe = models.pipeline_of(model, *TASKS)
    key = places().take(pipe, bool(unsure))
    try:
        signer = places().at(key)
        picture: Any = None
        for number, picture in enumerate(_played(signer, video, landmarks)):
            if number % SHOWN == 0:
                yield picture, *shown(signer), told(signer)
        signer.finish()
        yield picture, *shown(signer), told(signer)
    finally:
        leave(key)


def _played(signer: Any, video: str | None, landmarks: str | None) -> Iterator[np.ndarray]:
    """Pictures of a clip, frame by frame, as the signer's stream sees it."""
    clips.check(video, landmarks)
    if video:
        from signlang_hf.video import iter_video

        for chunk in iter_video(video, fps=RATE, chunk=4):
            for frame, seconds in zip(chunk.frames, chunk.timestamps.tolist()):
                yield signer.look(frame, seconds, mirror=False)
        return
    from signlang_hf.demo.pictures import canvas

    sequence = clips.read_clip(None, landmarks).landmarks
    placed, ground = canvas(sequence)
    for number in range(len(sequence)):
        one = slice(number, number + 1)
        yield signer.push(sequence.frames(one), placed.frames(one), ground)


def shown(signer: Any) -> tuple[str, str, str]:
    """The word, the log and the sentence of somebody's page."""
    return signer.view.word(), signer.view.log(), signer.view.sentence()


def told(signer: Any) -> dict[str, Any]:
    """Events as JSON."""
    return {"events": list(signer.view.events)}


def start_anew(key: str | None) -> tuple[None, str, str, str, None]:
    """Forget what was signed, and give the place back."""
    leave(key)
    return None, *empty(), None


def empty() -> tuple[str, str, str]:
    """The page before the first frame."""
    from signlang_hf.demo.live_view import LiveView

    view = LiveView()
    return view.word(), view.log(), view.sentence()


with page(
    "Sign to the camera",
    "Start the camera, sit so that your shoulders and hands are in the picture, and **sign one sign after the other**. Let your hands rest in "
    "between: that ends a sign.",
) as demo:
    key = gr.State(None, time_to_live=900, delete_callback=leave)
    first_word, first_log, first_sentence = empty()
    with gr.Row():  # on a phone the word comes right after the camera
        with gr.Column(scale=5, min_width=320):
            camera = gr.Image(
                label="Your camera",
                sources=["webcam"],
                streaming=True,
                type="numpy",
                height=320,
                elem_classes="signlang-mirror",
                # What is looked at must not be a mirror image; the page turns the preview round instead.
                webcam_options=gr.WebcamOptions(mirror=False, constraints={"video": {"width": 640, "height": 480}}),
            )
        with gr.Column(scale=6, min_width=320):
            word = gr.HTML(first_word, label="Word")
            picture = gr.Image(
                label="What the model sees",
                interactive=False,
                buttons=["fullscreen"],
                format="jpeg",
                elem_classes="signlang-wide",
            )
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            model = model_choice(models.choices(*TASKS), models.first_choice("dgs30"))
            unsure = gr.Checkbox(False, label="Also say signs that the model does not seem to know")
            again = gr.Button("Start anew")
            with gr.Accordion("No camera? Play a recording", open=False):
                video, landmarks = clip_inputs()
                play = gr.Button("Play", variant="primary")
            clicked = example_buttons(
                [*examples.clips(), *examples.letters("BDLY")],
                {"video": video, "landmarks": landmarks},
                model,
                hub=examples.CLIP_SUFFIXES,
            )
        with gr.Column(scale=6, min_width=320):
            sentence = gr.Textbox(
                first_sentence, label="So far", interactive=False, lines=2, placeholder="All the words of this session."
            )
            log = gr.HTML(first_log, label="Events")
            events = gr.JSON(visible=False, label="Events as JSON")

    camera.stream(
        look,
        [camera, key, model, unsure],
        [picture, word, log, sentence, key],
        stream_every=EVERY,
        time_limit=TURN,
        concurrency_limit=4,
        api_visibility="private",
        show_progress="hidden",
    )
    played = {
        "fn": watch,
        "inputs": [video, landmarks, model, unsure],
        "outputs": [picture, word, log, sentence, events],
    }
    play.click(**played, api_name="watch", show_progress="minimal")
    if clicked is not None:
        clicked.success(**played, api_visibility="private", show_progress="minimal")
    for changed in (again.click, model.change, unsure.change):
        changed(start_anew, key, [picture, word, log, sentence, key], api_visibility="private", show_progress="hidden")


if __name__ == "__main__":
    models.warm(*TASKS)
    launch(demo)
