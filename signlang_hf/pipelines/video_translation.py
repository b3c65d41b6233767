"""``pipeline("sign-translation")`` with a video language model: frames in, a sentence out, no glosses between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..models.internvl import INTERPRETER_PROMPT
from .clip_pipeline import ClipPipeline, dealt
from .sign_translation import SignTranslationPipeline

_GENERATION = ("max_new_tokens", "num_beams", "streamer")
_LONGEST = 64  # tokens of a sentence


class VideoTranslationPipeline(SignTranslationPipeline):
    """Free translation of a clip by a video language model.

    Call arguments:
        prompt: what the model is asked; default :data:`~signlang_hf.models.internvl.INTERPRETER_PROMPT`.
        max_new_tokens: longest sentence, default 64 tokens.
        num_beams: of the search, default 1.
        streamer: a transformers streamer of the processor's tokenizer, which gets the text while it is made; one beam only.

    Returns:
        ``{"glosses": [], "text": str, "score": float}``: the score is the probability of the sentence's tokens, geometric mean.
    """

    arguments = ("prompt", *_GENERATION)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        ClipPipeline.__init__(self, *args, **kwargs)
        self.feature_extractor.use_base_of(self.model)

    @property
    def estimator(self) -> Any:
        raise ValueError("A video language model sees frames; it needs no pose estimator.")

    def ready(self, **arguments: Any) -> None:
        ClipPipeline.ready(self, **arguments)

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        ClipPipeline.save_pretrained(self, save_directory, **kwargs)

    def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        said = self._given(given)
        for name in ("max_new_tokens", "num_beams"):
            if not isinstance(said.get(name, 1), int) or said.get(name, 1) < 1:
                raise ValueError(f"{name} is {said[name]!r}; it must be a whole number of at least 1.")
        if said.get("streamer") is not None and said.get("num_beams", 1) > 1:
            raise ValueError("Text can be streamed from one beam only; leave num_beams or streamer out.")
        return dealt(said, ("prompt",), _GENERATION, ())

    def preprocess(self, inputs: Any, prompt: str = INTERPRETER_PROMPT) -> Iterator[dict[str, Any]]:
        yield {**self.feature_extractor(inputs, prompt), "is_last": True}

    def _forward(
        self, model_inputs: dict[str, Any], max_new_tokens: int = _LONGEST, num_beams: int = 1, streamer: Any = None
    ) -> dict[str, Any]:
        last = model_inputs.pop("is_last")
        made = self.model.generate(
            **model_inputs, max_new_tokens=max_new_tokens, num_beams=num_beams, do_sample=False, streamer=streamer
        )
        ids = made[:, model_inputs["input_ids"].shape[1] :]
        return {"ids": ids, "score": self._score(model_inputs, ids), "is_last": last}

    def _score(self, prompt: dict[str, Any], ids: torch.Tensor) -> torch.Tensor:
        """(1,) geometric mean of the tokens' probabilities."""
        whole = torch.cat([prompt["input_ids"], ids], dim=1)
        mask = torch.cat([prompt["attention_mask"], torch.ones_like(ids)], dim=1)
        logits = self.model(
            input_ids=whole, attention_mask=mask, pixel_values=prompt["pixel_values"], logits_to_keep=ids.shape[1] + 1
        ).logits[:, :-1]
        return logits.float().log_softmax(-1).gather(-1, ids[..., None]).mean((1, 2)).exp()

    def postprocess(self, model_outputs: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        (found,) = model_outputs
        return {"glosses": [], "text": self.feature_extractor.decode(found["ids"])[0], "score": float(found["score"])}
