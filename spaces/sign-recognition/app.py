"""One clip of one sign → its likeliest words, the skeleton that the model saw, and where in it the model found its evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from signlang_hf.demo import clips, examples, models, pictures
from signlang_hf.demo.errors import plain_errors, sentence
from signlang_hf.demo.page import clip_inputs, example_buttons, launch, model_choice, page
from signlang_hf.demo.zero_gpu import gpu

TASKS = ("sign-recognition",)
WAITING = "Choose a clip: the words it most likely shows appear here."
HEAT_WAITING = "After the answer you see here which moments and joints spoke for it."


@gpu
@plain_errors
def recognize(
    video: str | None = None, landmarks: str | None = None, model: str | None = None, top_k: int = 5
) -> tuple[str, dict[str, float] | None, str | None, Any]:
    """Recognise the one sign of a short clip of sign language.

    Args:
        video: a video of one person who makes one sign, up to 30 seconds; leave it out where landmarks are given.
        landmarks: a .pose or .npz file with the landmarks of such a clip, in place of a video.
        model: dgs30 (30 German signs), fingerspelling (letters A to Z), or the id of a model on the Hub; empty for the first.
        top_k: how many of the likeliest signs to return, 1 to 10.

    Returns:
        one sentence about the answer
        the likeliest signs and their scores
        the clip with the skeleton that was found in it
        a chart of the scores
    """
    pipe = models.pipeline_of(model, *TASKS)
    clip = clips.read_clip(video, landmarks)
    answer = pipe(clip.landmarks, top_k=max(1, min(int(top_k), 10)))
    from signlang_hf.explain.scores import score_chart

    if answer[0]["label"] is None:
        return f"### {answer[0]['message']}\n\nIs a signer in the picture, with both shoulders?", None, None, None
    scores = {row["label"]: row["score"] for row in answer}
    caption = f"{answer[0]['label']}  {100 * answer[0]['score']:.0f} %"
    chart = score_chart({_name(model): answer}, num=len(answer))
    return told(answer, len(pipe.model.config.id2label)), scores, pictures.skeleton_video(clip, caption), chart


@gpu
@plain_errors
def explain(
    video: str | None = None, landmarks: str | None = None, model: str | None = None, label: str | None = None
) -> tuple[str, str | None, Any, Any]:
    """Show which moments and joints of a clip speak for a sign, by Grad-CAM.

    Args:
        video: a video of one person who makes one sign, up to 30 seconds; leave it out where landmarks are given.
        landmarks: a .pose or .npz file with the landmarks of such a clip, in place of a video.
        model: as for recognize.
        label: the sign to explain; empty for the one that the model answers.

    Returns:
        one sentence about the evidence
        the clip with heat over its joints
        the hottest moments side by side
        heat over time for each part of the body
    """
    pipe = models.pipeline_of(model, *TASKS)
    clip = clips.read_clip(video, landmarks)
    from signlang_hf.explain import GradCAMExplainer

    explanation = GradCAMExplainer(pipe.model, pipe.feature_extractor).generate(clip.landmarks, label=label or None)
    if not explanation.heat.any():
        return f"Nothing in this clip speaks for **{explanation.label}**.", None, None, None
    drawn = replace(explanation, video=None if clip.video is None else str(clip.video))
    facts = explanation.summary()
    parts = sorted(facts["parts"].items(), key=lambda part: -part[1])
    said = (
        f"What speaks for **{explanation.label}** is hottest at {facts['hottest_seconds']:.2f} s, "
        f"above all in the {' and the '.join(part for part, _ in parts[:2])}."
    )
    return said, pictures.heat_video(drawn), drawn.sheet(), drawn.chart()


def told(answer: list[dict[str, Any]], signs: int) -> str:
    """The answer in a sentence."""
    best = answer[0]
    if best["label"] != "unknown":
        return f"### {best['label']}\n\nThe model is {100 * best['score']:.0f} % sure, among the {signs} signs that it knows."
    near = f" The nearest is **{answer[1]['label']}**." if len(answer) > 1 else ""
    return f"### None of its signs\n\nThis looks like none of the {signs} signs that the model knows.{near}"


def _name(model: str | None) -> str:
    return (model or "").strip() or models.first_choice("dgs30")


def heat(wanted: bool, video: str | None, landmarks: str | None, model: str | None) -> tuple[str, str | None, Any, Any]:
    """What the page shows after an answer; a model that cannot be explained, or a clip without anybody, is no mistake here."""
    if not wanted:
        return "Heat is switched off in the settings.", None, None, None
    try:
        return explain(video, landmarks, model)
    except gr.Error as error:
        return sentence(error), None, None, None


with page(
    "Which sign is it?",
    "Record or upload a short clip of **one sign**. You get the likeliest words with their scores, the skeleton that the model "
    "sees, and where it looked.",
) as demo:
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            video, landmarks = clip_inputs()
            model = model_choice(models.choices(*TASKS), models.first_choice("dgs30"))
            with gr.Accordion("Settings", open=False):
                top_k = gr.Slider(1, 10, value=5, step=1, label="How many words")
                wanted = gr.Checkbox(True, label="Show where the model looked")
            button = gr.Button("Recognise", variant="primary")
            clicked = example_buttons(
                [*examples.letters("BLWY"), *examples.clips()],
                {"video": video, "landmarks": landmarks},
                model,
                hub=examples.CLIP_SUFFIXES,
            )
        with gr.Column(scale=6, min_width=320):
            message = gr.Markdown(WAITING, label="Answer", elem_classes="signlang-answer")
            words = gr.Label(label="Likeliest words", show_heading=False)
            with gr.Tabs():
                with gr.Tab("Skeleton"):
                    skeleton = gr.Video(
                        label="What the model sees", interactive=False, height=360, autoplay=True, loop=True
                    )
                with gr.Tab("Where it looked"):
                    evidence = gr.Markdown(HEAT_WAITING, label="Evidence")
                    hot_video = gr.Video(label="Heat over the clip", interactive=False, height=360, loop=True)
                    sheet = gr.Image(
                        label="The hottest moments",
                        show_label=False,
                        interactive=False,
                        buttons=["download", "fullscreen"],
                        format="png",
                    )
                    parts = gr.Image(
                        label="Time and body",
                        show_label=False,
                        interactive=False,
                        buttons=["download", "fullscreen"],
                        format="png",
                    )
                    with gr.Row(equal_height=True):
                        label = gr.Textbox(label="Another sign", placeholder="one that the model knows", scale=3)
                        again = gr.Button("What speaks for it?", scale=2)
                with gr.Tab("Chart"):
                    chart = gr.Image(
                        label="Scores",
                        show_label=False,
                        interactive=False,
                        buttons=["download", "fullscreen"],
                        format="png",
                    )

    answer = [message, words, skeleton, chart]
    seen = [evidence, hot_video, sheet, parts]
    first = button.click(recognize, [video, landmarks, model, top_k], answer, api_name="recognize")
    steps = [first]
    if clicked is not None:
        steps.append(clicked.success(recognize, [video, landmarks, model, top_k], answer, api_visibility="private"))
    for step in steps:
        step.success(heat, [wanted, video, landmarks, model], seen, api_visibility="private")
    again.click(explain, [video, landmarks, model, label], seen, api_name="explain")


if __name__ == "__main__":
    models.warm(*TASKS)
    launch(demo)
