"""The page that all Spaces share: how it looks, what stands above and below, its examples, and how it is launched.

Design decisions:

* One calm look, with the fonts of the reader's own machine: a page that waits for a font from elsewhere is none offline.
* Colours come from the theme's own variables, so that dark mode and high contrast keep working.
* Gradio leaves some of its own parts without a name for screen readers; a few lines of script give them one.
* A clip is a video or a landmark file, in two tabs; what is put into one empties the other.
* No telemetry: Gradio's is off, whatever the environment says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio looks

import gradio as gr

from . import settings
from .clips import SUFFIXES, longest
from .errors import plain_errors
from .examples import Example, kind_of, on_the_hub

_UPLOAD = "50mb"
_WAITING = 24  # calls in the queue; more are told to come back
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
_STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
_NAMES = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
_FOOT = (
    "These models make mistakes and know few signs; they replace no interpreter. Clips are looked at on the machine that runs this Space and "
    "kept for no longer than an hour."
)


@contextmanager
def page(title: str, lead: str) -> Iterator[gr.Blocks]:
    """A Space's page, with its title and what it is for above, and what to know about it below.

    Args:
        title: of the page and of its first heading.
        lead: one or two sentences, Markdown.
    """
    with gr.Blocks(title=title, analytics_enabled=False, fill_width=False, delete_cache=(600, 3000)) as blocks:
        gr.Markdown(f"# {title}\n\n{lead}", elem_classes="signlang-head")
        yield blocks
        gr.Markdown(_FOOT, elem_classes="signlang-foot")
    blocks.queue(max_size=_WAITING, default_concurrency_limit=2)


def launch(blocks: gr.Blocks, **options: Any) -> Any:
    """Serve a page; ``options`` go to ``Blocks.launch``. What Gradio returns."""
    chosen: dict[str, Any] = {
        "theme": theme(),
        "css": _STYLE,
        "head": f"<script>{_NAMES}</script>",
        "max_file_size": settings.text("MAX_UPLOAD", _UPLOAD),
        "mcp_server": True,
        "footer_links": ["api", "settings"],
        "ssr_mode": False,
    }
    return blocks.launch(**{**chosen, **options})


def theme() -> gr.themes.Base:
    """The look of all Spaces."""
    made = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=list(_FONTS),
        font_mono=list(_MONO),
    )
    return made.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        input_placeholder_color="*neutral_600",
        input_placeholder_color_dark="*neutral_400",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )


def clip_inputs() -> tuple[gr.Video, gr.File]:
    """Where a clip goes in: a video (a file, or the webcam), or a landmark file."""
    with gr.Tabs():
        with gr.Tab("Video"):
            video = gr.Video(
                label=f"A clip of up to {longest():g} seconds",
                sources=["upload", "webcam"],
                elem_classes="signlang-clip",
                include_audio=True,
            )
        with gr.Tab("Landmark file"):
            landmarks = gr.File(label="A .pose or .npz file", file_types=list(SUFFIXES), height=120)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    video.input(lambda video: None if video else gr.skip(), video, landmarks, **private)
    landmarks.upload(lambda: None, None, video, **private)
    return video, landmarks


def model_choice(
    names: Sequence[str], first: str, *, label: str = "Model", multiple: bool = False, most: int = 4
) -> gr.Dropdown:
    """A list of models that takes another name, too."""
    return gr.Dropdown(
        choices=list(names),
        value=list(names[:2]) if multiple else first,
        multiselect=multiple or None,
        max_choices=most if multiple else None,
        allow_custom_value=True,
        label=label,
        info="One of the list, or an id on the Hub such as org/model.",
    )


def example_buttons(
    examples: Sequence[Example],
    outputs: dict[str, gr.components.Component],
    model: gr.Dropdown | None = None,
    *,
    hub: Sequence[str] = (),
    label: str = "Examples: real recordings, one click",
    none: str = "There are no examples on this machine; a clip of your own works as well.",
) -> Any:
    """Buttons that put an example into the page.

    Args:
        examples: what there is without asking the Hub.
        outputs: kind of a file → the input that takes it; the others are emptied.
        model: is set to the one that the example names.
        hub: endings of the files of the owner's dataset that are examples too, see :func:`.examples.on_the_hub`.
        label: what they are.
        none: what is said where there are none.

    Returns:
        the event of a click that has put its example in, to which the next step is tied; None where there are no examples.
    """
    known = {example.label: example for example in examples}
    asked = bool(settings.text("EXAMPLES")) and bool(hub)
    if not known and not asked:
        gr.Markdown(none, elem_classes="signlang-note")
        return None
    buttons = gr.Dataset(
        components=[gr.Textbox(visible=False, label="example")],
        samples=[[label] for label in known],
        sample_labels=list(known),
        label=label,
        samples_per_page=16,
    )
    kinds = list(outputs)

    @plain_errors
    def take(sample: list[str]) -> Any:
        example = known.get(sample[0])
        if example is None:
            raise ValueError("There is no such example.")
        path = example.make()
        values: list[Any] = [str(path) if kind == kind_of(path) else None for kind in kinds]
        values += [] if model is None else [example.model or gr.skip()]
        return values if len(values) > 1 else values[0]

    def ask() -> Any:
        known.update({example.label: example for example in on_the_hub(hub)})
        return gr.update(samples=[[label] for label in known], sample_labels=list(known))

    if asked:
        context = gr.context.Context.root_block
        context.load(plain_errors(ask), None, buttons, api_visibility="private", show_progress="hidden")
    targets = [*outputs.values(), *([] if model is None else [model])]
    return buttons.click(take, buttons, targets, api_visibility="private", show_progress="minimal")
