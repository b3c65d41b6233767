"""A clip of a signed sentence → its signs with their times, the sentence, subtitles, and pictures of when and why."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from signlang_hf.demo import clips, examples, models, pictures
from signlang_hf.demo.errors import plain_errors
from signlang_hf.demo.page import clip_inputs, example_buttons, launch, model_choice, page
from signlang_hf.demo.zero_gpu import gpu

TASKS = ("sign-translation", "continuous-sign-recognition")
WAITING = '<div class="signlang-answer"><div class="more">Choose a clip: what it says appears here.</div></div>'
HEADERS = ["from (s)", "to (s)", "sign", "sure (%)"]
FILM = "The clip with its subtitles"


@gpu
@plain_errors
def translate(
    video: str | None = None, landmarks: str | None = None, model: str | None = None
) -> tuple[str, list[list[Any]], Any, list[str] | None, Any, Any]:
    """Write down what a clip of sign language says: its signs with their times, and the sentence.

    Args:
        video: a video of one person who signs, up to 30 seconds; leave it out where landmarks are given.
        landmarks: a .pose or .npz file with the landmarks of such a clip, in place of a video.
        model: spelling (fingerspelled words), sentences (30 German signs, no translation), or the id of a model on the Hub; empty for the
            first.

    Returns:
        the sentence as HTML
        a row for each sign: from, to, the sign, how sure the model is
        the clip with its skeleton and its subtitles
        the subtitles as SubRip (.srt) and WebVTT (.vtt) files
        a picture of when each sign was seen
        a picture of which signs each word came from
    """
    pipe = models.pipeline_of(model, *TASKS)
    clip = clips.read_clip(video, landmarks)
    answer = pipe(clip.landmarks)
    film = pictures.skeleton_video(clip) if clip.landmarks.seen.any() else None
    if not answer["glosses"]:
        return _sentence(answer), [], gr.Video(film, label=FILM, subtitles=None), None, None, None
    began = float(clip.landmarks.timestamps[0])
    rows = [
        [round(sign["start"] - began, 2), round(sign["end"] - began, 2), sign["gloss"], round(100 * sign["score"])]
        for sign in answer["glosses"]
    ]
    files = _subtitles(answer, clip.landmarks.duration)
    moments = _moments(pipe, clip.landmarks)
    shown = gr.Video(film, label=FILM, subtitles=files[1])
    return _sentence(answer), rows, shown, files, moments, _attention(pipe, answer)


def _sentence(answer: dict[str, Any]) -> str:
    if not answer["glosses"]:
        return f'<div class="signlang-answer"><div class="more">{escape(answer["message"])}</div></div>'
    signs = " ".join(sign["gloss"] for sign in answer["glosses"])
    words, more = (answer["text"], f"signs: {signs}") if answer.get("text") else (signs, "signs, not translated")
    note = f" · {answer['message']}" if answer.get("message") else ""
    return (
        f'<div class="signlang-answer" role="status"><div class="word">{escape(words)}</div>'
        f'<div class="more">{escape(more)} · {100 * answer["score"]:.0f} % sure{escape(note)}</div></div>'
    )


def _subtitles(answer: dict[str, Any], duration: float) -> list[str]:
    from signlang_hf.pipelines.subtitles import save_subtitles, subtitles

    cues = subtitles(answer, duration=duration)
    place = pictures.new_file("subtitles.srt")
    return [str(save_subtitles(cues, place.with_suffix(suffix))) for suffix in (".srt", ".vtt")]


def _moments(pipe: Any, landmarks: Any) -> str:
    """When each sign was seen."""
    from signlang_hf.training.alignment_pictures import ctc_picture

    recognizer = getattr(pipe, "recognizer", pipe)
    log_probs, seconds = recognizer.probabilities(landmarks)
    return str(
        ctc_picture(
            log_probs,
            recognizer.feature_extractor.vocabulary,
            pictures.new_file("moments.png"),
            tokens=recognizer.decoder()(log_probs).tokens,
            blank=recognizer.feature_extractor.blank_token_id,
            seconds_per_frame=seconds,
        )
    )


def _attention(pipe: Any, answer: dict[str, Any]) -> str | None:
    """Which signs each word came from; None where nothing was translated."""
    if not answer.get("text") or not hasattr(pipe, "translator"):
        return None
    from signlang_hf.training.alignment_pictures import alignment_picture, attention_of

    translator, glosses = pipe.translator, [sign["gloss"] for sign in answer["glosses"]]
    spelled = len(glosses) > 1 and len(answer["text"].split()) == 1
    looked = attention_of(translator.model, translator.feature_extractor, glosses, pieces=spelled)
    return str(alignment_picture(looked, pictures.new_file("attention.png")))


with page(
    "What does it say?",
    "Record or upload a clip of **signing**. You get the signs with their times, the sentence, and subtitles to take away.",
) as demo:
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            video, landmarks = clip_inputs()
            model = model_choice(models.choices(*TASKS), models.first_choice("spelling"))
            button = gr.Button("Translate", variant="primary")
            clicked = example_buttons(
                examples.words(["berlin", "music", "teacher", "school"]),
                {"video": video, "landmarks": landmarks},
                model,
                hub=examples.CLIP_SUFFIXES,
                label="Examples: real letters of American Sign Language, joined to words",
            )
        with gr.Column(scale=6, min_width=320):
            sentence = gr.HTML(WAITING, label="Sentence")
            with gr.Tabs():
                with gr.Tab("Film"):
                    film = gr.Video(label=FILM, interactive=False, height=380, autoplay=True)
                    files = gr.File(label="Subtitles", file_count="multiple", interactive=False, height=110)
                with gr.Tab("Signs"):
                    signs = gr.Dataframe(headers=HEADERS, label="Signs", interactive=False, type="array")
                with gr.Tab("When"):
                    moments = gr.Image(
                        label="When each sign was seen",
                        show_label=False,
                        interactive=False,
                        buttons=["download", "fullscreen"],
                        format="png",
                        type="filepath",
                    )
                with gr.Tab("Words"):
                    attention = gr.Image(
                        label="Which signs each word came from",
                        show_label=False,
                        interactive=False,
                        buttons=["download", "fullscreen"],
                        format="png",
                        type="filepath",
                    )

    outputs = [sentence, signs, film, files, moments, attention]
    button.click(translate, [video, landmarks, model], outputs, api_name="translate")
    if clicked is not None:
        clicked.success(translate, [video, landmarks, model], outputs, api_visibility="private")


if __name__ == "__main__":
    models.warm(*TASKS)
    launch(demo)
