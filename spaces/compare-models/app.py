"""One clip, two to four models side by side: what each answers, how long it takes, and whether they agree."""

from __future__ import annotations

import time
from itertools import combinations
from typing import Any

import gradio as gr

from signlang_hf.demo import clips, examples, models, pictures
from signlang_hf.demo.errors import plain_errors
from signlang_hf.demo.page import clip_inputs, example_buttons, launch, model_choice, page
from signlang_hf.demo.zero_gpu import gpu

TASKS = ("sign-recognition",)
FEWEST, MOST = 2, 4
WAITING = "Choose a clip and two to four models: their answers appear here, side by side."
HEADERS = ["model", "answer", "score (%)", "ms", "size", "signs"]
TURNS = 3  # of which the fastest counts: the first call of a model is never its own


@gpu
@plain_errors
def compare(
    video: str | None = None, landmarks: str | None = None, names: list[str] | None = None, top_k: int = 5
) -> tuple[str, Any, list[list[Any]], str | None]:
    """Ask two to four models which sign a clip shows, and compare what they answer.

    Args:
        video: a video of one person who makes one sign, up to 30 seconds; leave it out where landmarks are given.
        landmarks: a .pose or .npz file with the landmarks of such a clip, in place of a video.
        names: two to four models: dgs30, fingerspelling, or ids of models on the Hub.
        top_k: how many of the likeliest signs are drawn for each, 1 to 10.

    Returns:
        one or two sentences about whether they agree
        a chart with the scores of all models
        a row for each model: its answer, the score, milliseconds, parameters in millions, how many signs it knows
        the clip with the skeleton that all models were given
    """
    chosen = list(dict.fromkeys(name.strip() for name in names or () if name.strip()))
    if not FEWEST <= len(chosen) <= MOST:
        raise ValueError(
            f"Choose {FEWEST} to {MOST} different models; there {'is' if len(chosen) == 1 else 'are'} {len(chosen)}."
        )
    pipes = {name: models.pipeline_of(name, *TASKS) for name in chosen}
    clip = clips.read_clip(video, landmarks)
    top_k = max(1, min(int(top_k), 10))
    answers, rows = {}, []
    for name, pipe in pipes.items():
        times = []
        for _ in range(TURNS):
            start = time.perf_counter()
            answers[name] = pipe(clip.landmarks, top_k=top_k)
            times.append(1e3 * (time.perf_counter() - start))
        best = answers[name][0]
        size = f"{pipe.model.num_parameters() / 1e6:.2f} M" if hasattr(pipe.model, "num_parameters") else ""
        said = best["label"] if best["label"] is not None else "nobody seen"
        rows.append(
            [name, said, round(100 * best["score"], 1), round(min(times), 1), size, len(pipe.model.config.id2label)]
        )
    from signlang_hf.explain.scores import score_chart

    film = pictures.skeleton_video(clip) if clip.landmarks.seen.any() else None
    vocabularies = {name: set(pipe.model.config.id2label.values()) for name, pipe in pipes.items()}
    return agreement(answers, vocabularies), score_chart(answers, num=top_k), rows, film


def agreement(answers: dict[str, list[dict[str, Any]]], vocabularies: dict[str, set[str]]) -> str:
    """Whether models say the same, in a sentence or two; models that share no word cannot."""
    said = {name: answer[0]["label"] for name, answer in answers.items()}
    if all(label is None for label in said.values()):
        return f"### Nobody was found\n\n{next(iter(answers.values()))[0]['message']}"
    pairs = list(combinations(answers, 2))
    comparable = [pair for pair in pairs if vocabularies[pair[0]] & vocabularies[pair[1]]]
    if not comparable:
        return "### They cannot agree\n\nThese models know different signs and share not one: compare how sure each is."
    same = sum(said[one] == said[other] for one, other in comparable)
    head = "They agree" if same == len(comparable) else "They disagree" if same == 0 else "Some agree"
    left = len(pairs) - len(comparable)
    more = f" {left} further pair{'s' * (left != 1)} share no sign, and cannot agree." if left else ""
    shared = set.intersection(*vocabularies.values())
    return f"### {head}\n\n{same} of {len(comparable)} pairs of models give the same answer. All share {len(shared)} signs.{more}"


with page(
    "Which model is right?",
    "One clip, **two to four models** side by side: what each takes the sign for, how sure it is, and how long it takes.",
) as demo:
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            video, landmarks = clip_inputs()
            offered = models.choices(*TASKS)
            names = model_choice(offered, offered[0], label="Models", multiple=True, most=MOST)
            top_k = gr.Slider(1, 10, value=5, step=1, label="How many words of each")
            button = gr.Button("Compare", variant="primary")
            clicked = example_buttons(
                [*examples.letters("BLWY"), *examples.clips()],
                {"video": video, "landmarks": landmarks},
                hub=examples.CLIP_SUFFIXES,
            )
        with gr.Column(scale=6, min_width=320):
            message = gr.Markdown(WAITING, label="Answer", elem_classes="signlang-answer")
            chart = gr.Image(
                label="Scores", show_label=False, interactive=False, buttons=["download", "fullscreen"], format="png"
            )
            table = gr.Dataframe(headers=HEADERS, label="Models", interactive=False, type="array", wrap=True)
            film = gr.Video(label="What all of them were given", interactive=False, height=320, loop=True)

    outputs = [message, chart, table, film]
    button.click(compare, [video, landmarks, names, top_k], outputs, api_name="compare")
    if clicked is not None:
        clicked.success(compare, [video, landmarks, names, top_k], outputs, api_visibility="private")


if __name__ == "__main__":
    models.warm(*TASKS)
    launch(demo)
