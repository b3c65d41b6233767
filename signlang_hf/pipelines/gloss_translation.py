"""``pipeline("gloss-translation")``: glosses → a sentence of a spoken language.

Design decisions:

* Glosses come as a string with blanks between them or as a list. A list of strings is one sentence, unless one of them holds a
  blank and is no gloss of the model: then each is a sentence, as transformers' own text pipelines read lists.
* A sentence's score is the geometric mean of the probabilities of its tokens, the end of the sentence among them. It is
  measured by reading the finished sentence once more, so that greedy search, beams and samples are on one scale.
* A gloss that the model does not know is named in a warning and goes in as unknown; the others are translated all the same, and a
  word that the model has no name for is copied from the gloss that it looked at.
* Where it knows none of a sentence's glosses, what it would write has nothing to do with them. The glosses are the answer then. So are
  the letters of a spelled word of which a model that writes letter by letter drops two or more: the recogniser of the bundled pair put
  two letters too many into none of its 300 validation words, so the translator has lost its place, not found a word.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .clip_pipeline import SignPipeline, dealt, is_number

GENERATION = ("num_beams", "length_penalty", "max_new_tokens", "generate_kwargs")
"""Call arguments that say how a sentence is searched for."""
NOTHING_KNOWN = "The translator knows none of these glosses; they stand in place of a text."
"""The message of an answer whose text is its glosses."""
_LOST = 2  # so many letters of a spelled word


class GlossTranslationPipeline(SignPipeline):
    """Translates glosses.

    Input: ``"MORNING RAIN"``, ``["MORNING", "RAIN"]``, a row with ``glosses``; or a list, a dataset or a column of them.

    Call arguments:
        num_beams: beams of the search; default the model's own, usually 1.
        length_penalty: above 0 prefers longer sentences among beams.
        max_new_tokens: longest sentence, in tokens.
        generate_kwargs: anything else that ``model.generate`` takes.
        copy_unknown: where the model would write a word that it has no name for, write the gloss that it looked at, and where it
            knows none, all of them (default True). False leaves what the model itself writes.
        batch_size: sentences per forward pass.

    Returns:
        ``{"text": str, "score": float}`` per sentence, score in [0, 1]. Where glosses stand in place of what the model wrote, a
        ``message`` says why, and the score is 0: it is of a translation.

    Raises:
        ValueError: no glosses, or something that is none.

    Example:
        >>> pipe = pipeline("gloss-translation", model="outputs/translator")
        >>> answer = pipe("TODAY DOCTOR COME", num_beams=5)  # {"text": "the doctor comes today .", "score": 0.74}
    """

    task_name = "gloss-translation"
    arguments = (*GENERATION, "copy_unknown")
    needs = ("SignTranslatorProcessor", "source_vocabulary")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config, processor = self.model.config, self.feature_extractor
        for what, size, known in (
            ("glosses", getattr(config, "source_vocab_size", None), len(processor.source_vocabulary)),
            ("words", getattr(config, "vocab_size", None), processor.target_vocabulary_size),
        ):
            if size is not None and size != known:
                raise ValueError(f"The model has {size} {what}, the processor {known}; they were not saved together.")

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        inputs = list(inputs) if isinstance(inputs, tuple) else inputs
        if isinstance(inputs, list) and not self._is_many(inputs):
            return super().__call__([inputs], **kwargs)[0]
        return super().__call__(inputs, **kwargs)

    def _is_many(self, inputs: list[Any]) -> bool:
        """Whether a list holds sentences and not the glosses of one."""
        if not inputs or not all(isinstance(one, str) for one in inputs):
            return bool(inputs)
        phrases = [one for one in inputs if len(one.split()) > 1]
        return bool(phrases) and bool(self.feature_extractor.unknown(phrases))

    def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        said = self._given(given)
        check_generation(said)
        return dealt(said, (), GENERATION, ("copy_unknown",))

    def preprocess(self, inputs: Any) -> dict[str, Any]:
        glosses = to_glosses(inputs)
        unknown = self.feature_extractor.unknown(glosses)
        if unknown:
            warnings.warn(
                f"The translator does not know {', '.join(unknown)}; what it does not know goes in as unknown.",
                stacklevel=2,
            )
        return {**self.feature_extractor(glosses, return_tensors="pt"), "glosses": glosses}

    def _forward(self, model_inputs: dict[str, Any], **generation: Any) -> dict[str, Any]:
        glosses = model_inputs.pop("glosses")
        more = generation.pop("generate_kwargs", {})
        sequences = self.model.generate(**model_inputs, **generation, **more)
        if len(sequences) != len(model_inputs["input_ids"]):
            raise ValueError("A sentence gets one translation; leave num_return_sequences out of generate_kwargs.")
        found = self.model.score(sequences, **model_inputs)
        # Real tokens have log-probabilities below 0 and the others exactly 0, but a sure one may be 0 too: count up to the end.
        ended = (sequences[:, 1:] == self.model.config.eos_token_id).long().cumsum(1)
        counts = (ended == 0).sum(1) + (ended[:, -1:] > 0).sum(1)
        score = (found.log_probs.sum(1) / counts.clamp(min=1)).exp()
        return {"sequences": sequences, "score": score, "attentions": found.attentions, "glosses": glosses}

    def postprocess(self, model_outputs: dict[str, Any], copy_unknown: bool = True) -> dict[str, Any]:
        ids, glosses = model_outputs["sequences"][0].tolist(), model_outputs["glosses"]
        score = float(model_outputs["score"].reshape(-1)[0])
        processor = self.feature_extractor
        if not copy_unknown:
            return {"text": processor.decode(ids), "score": score}
        text = processor.decode(ids, glosses, model_outputs["attentions"][0].float().numpy())
        message = "" if processor.knows_some(glosses) else NOTHING_KNOWN
        # What the caller has cut off is as short as it should be.
        whole = processor.eos_token_id in ids or len(ids) > (self.model.generation_config.max_new_tokens or len(ids))
        if not message and whole and processor.spells and all(len(gloss) == 1 for gloss in glosses):
            lost = len(glosses) - len("".join(text.split()))
            if lost >= _LOST:
                message = f"The translator lost {lost} of {len(glosses)} letters; the letters themselves stand here."
        if not message:
            return {"text": text, "score": score}
        text = ("" if processor.spells else " ").join(glosses)
        return {"text": text.lower() if processor.lowercase else text, "score": 0.0, "message": message}


def check_generation(said: Mapping[str, Any]) -> None:
    """Raise ValueError for call arguments of :data:`GENERATION` that cannot be used."""
    for name in ("num_beams", "max_new_tokens"):
        value = said.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1.")
    if not is_number(said.get("length_penalty", 1.0)):
        raise ValueError(f"length_penalty is {said['length_penalty']!r}; it must be a number.")
    more = said.get("generate_kwargs", {})
    if not isinstance(more, Mapping):
        raise ValueError("generate_kwargs must be a dictionary of what model.generate takes.")
    if twice := sorted({*more} & {*said}):
        raise ValueError(f"{' and '.join(twice)} is said twice, by itself and in generate_kwargs; say it once.")


def to_glosses(source: Any) -> list[str]:
    """The glosses of a string, a list or a row. Raises ValueError for anything else, and for none at all."""
    if isinstance(source, Mapping):
        if source.get("glosses") is None:
            raise ValueError(f"A row to be translated needs 'glosses'; it has {', '.join(map(str, source))}.")
        source = source["glosses"]
    if isinstance(source, str):
        glosses: Sequence[Any] = source.split()
    elif isinstance(source, Sequence) and not isinstance(source, (bytes, bytearray)):
        glosses = list(source)
    else:
        raise ValueError(
            f"Cannot translate {type(source).__name__}; give glosses as a string with blanks between them or as a list."
        )
    wrong = next((gloss for gloss in glosses if not isinstance(gloss, str) or not gloss.strip()), None)
    if wrong is not None:
        raise ValueError(f"A gloss must be a word; {wrong!r} in {glosses!r} is none.")
    if not glosses:
        raise ValueError("There is no gloss to translate; give at least one.")
    return [gloss.strip() for gloss in glosses]
