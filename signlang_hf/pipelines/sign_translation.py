"""``pipeline("sign-translation")``: a clip → its glosses and the sentence that they make in a spoken language.

Design decisions:

* It is the other two pipelines in a row, on the members of one composite model: what each does by itself it does here too.
* Nothing is lost between the two: glosses that the translator does not know go in as unknown, and stand in the answer.
* The score is the product of the two stages' scores, as if they erred independently.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers.pipelines.base import ChunkPipeline

from .clip_pipeline import ClipPipeline, dealt
from .continuous import ContinuousSignRecognitionPipeline
from .gloss_decoding import DECODING, check_decoding, save_own_decoding
from .gloss_translation import GENERATION as SEARCH
from .gloss_translation import GlossTranslationPipeline, check_generation

GENERATION = (*SEARCH, "copy_unknown")


class SignTranslationPipeline(ClipPipeline, ChunkPipeline):
    """Translation of anything that shows a signed sentence, by a recogniser and a translator saved as one model.

    Input: as for :class:`~signlang_hf.pipelines.continuous.ContinuousSignRecognitionPipeline`.

    Call arguments: those of that pipeline and of :class:`~signlang_hf.pipelines.gloss_translation.GlossTranslationPipeline`.

    Returns:
        ``{"glosses": [{"gloss", "score", "start", "end"}, …], "text": str, "score": float}`` per clip. Where there is nothing to
        read, ``glosses`` and ``text`` are empty, ``score`` is 0 and ``message`` says why; it also says what is amiss with a text.

    Example:
        >>> pipe = pipeline("sign-translation", model="outputs/sentences")
        >>> text = pipe("sentence.mp4", beam_size=10, num_beams=5)["text"]
    """

    task_name = "sign-translation"
    arguments = (*DECODING, *GENERATION, "fps")
    needs = ("SignTranslationProcessor", "translator")

    def __new__(cls, *args: Any, **kwargs: Any) -> SignTranslationPipeline:
        """A model that sees frames itself is asked for the sentence at once."""
        if cls is SignTranslationPipeline and hasattr(kwargs.get("model", args[0] if args else None), "score_labels"):
            from .video_translation import VideoTranslationPipeline

            return super().__new__(VideoTranslationPipeline)
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for member in ("recognizer", "translator"):
            if not hasattr(self.model, member):
                raise ValueError(
                    f"{self.task_name} needs a model of recogniser and translator; {type(self.model).__name__} has no {member}. "
                    "SignTranslationModel.from_recognizer_translator_pretrained() puts one together."
                )
        self.recognizer = ContinuousSignRecognitionPipeline(
            model=self.model.recognizer,
            feature_extractor=self.feature_extractor.recognizer,
            estimator=self._estimator,
            device=self.device,
        )
        self.translator = GlossTranslationPipeline(
            model=self.model.translator, feature_extractor=self.feature_extractor.translator, device=self.device
        )

    @property
    def estimator(self) -> Any:
        """The pose estimator of the first stage."""
        return self.recognizer.estimator

    def ready(self, **arguments: Any) -> None:
        """As :meth:`ContinuousSignRecognitionPipeline.ready`."""
        *_, said = self._sanitize_parameters(**arguments)
        self.recognizer.ready(**dealt({**self._postprocess_params, **said}, DECODING)[0])

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """As in :class:`SignPipeline`, and the decoder that the recogniser's training chose into the recogniser's sub-folder."""
        super().save_pretrained(save_directory, **kwargs)
        save_own_decoding(
            self.model.recognizer.name_or_path, Path(save_directory, self.model.config.folder("recognizer"))
        )

    def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        said = self._given(given)
        check_decoding(said)
        check_generation(said)
        return dealt(said, ("fps",), (), (*DECODING, *GENERATION))

    def preprocess(self, inputs: Any, fps: float | None = None) -> Iterator[dict[str, Any]]:
        return self.recognizer.preprocess(inputs, fps)

    def _forward(self, model_inputs: dict[str, Any]) -> dict[str, Any]:
        return self.recognizer._forward(model_inputs)

    def postprocess(self, model_outputs: list[dict[str, Any]], **arguments: Any) -> dict[str, Any]:
        decoding, generation = dealt(arguments, DECODING, GENERATION)
        found = self.recognizer.postprocess(model_outputs, **decoding)
        if not found["glosses"]:
            return {"glosses": [], "text": "", **{name: found[name] for name in ("score", "message")}}
        sentence = self.translator([[sign["gloss"] for sign in found["glosses"]]], **generation)[0]
        return {"glosses": found["glosses"], **sentence, "score": found["score"] * sentence["score"]}
