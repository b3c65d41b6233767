"""Processor of a recogniser and a translator as one model: the processors of both.

Design decisions:

* All settings lie in one JSON file, those of the members nested in it. Saving also writes each member's own file into its
  sub-folder, so that every member is a model folder of its own.
* Called like a recogniser's processor it makes the model's inputs; ``batch_decode`` is the translator's. So the pair behaves as one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

from transformers import BatchFeature, FeatureExtractionMixin
from transformers.models.auto.feature_extraction_auto import feature_extractor_class_from_name

from .configuration_translation import SignTranslationConfig

MEMBERS = ("recognizer", "translator")


class SignTranslationProcessor(FeatureExtractionMixin):
    """The processors of both members. A warning names the recogniser's glosses that the translator does not know.

    Args:
        recognizer: processor of the recogniser, or its settings as a saved one has them.
        translator: processor of the translator, likewise.

    Raises:
        ValueError: a member whose processor is of an unknown type, or does another work.
    """

    model_input_names = ["input_values", "attention_mask"]  # noqa: RUF012 - transformers reads a plain list

    def __init__(self, recognizer: FeatureExtractionMixin | Mapping[str, Any], translator: Any, **kwargs: Any) -> None:
        self.recognizer = _made("recognizer", recognizer, "vocabulary")
        self.translator = _made("translator", translator, "source_vocabulary")
        for derived in ("padding_value", "padding_side", "layout"):  # the saved copies are for readers
            kwargs.pop(derived, None)
        super().__init__(
            padding_value=self.recognizer.padding_value, padding_side=self.recognizer.padding_side,
            layout=self.recognizer.layout, **kwargs,
        )  # fmt: skip
        if missing := self.missing:
            warnings.warn(
                f"The translator does not know {len(missing)} of the recogniser's {len(self.recognizer.glosses)} glosses; they "
                f"pass through as unknown: {', '.join(missing)}.",
                stacklevel=2,
            )

    @property
    def missing(self) -> list[str]:
        """The recogniser's glosses that the translator does not know."""
        return self.translator.unknown(self.recognizer.glosses)

    def to_dict(self) -> dict[str, Any]:
        members = {name: self.__dict__.pop(name) for name in MEMBERS}
        try:
            return super().to_dict() | {name: member.to_dict() for name, member in members.items()}
        finally:
            self.__dict__.update(members)

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any) -> list[str]:
        """As in transformers, and each member's processor into the member's sub-folder."""
        for name in MEMBERS:
            getattr(self, name).save_pretrained(os.path.join(save_directory, SignTranslationConfig.folder(name)))
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    def __call__(
        self, clips: Any, texts: str | list[str] | None = None, *, return_tensors: str | None = None, **kwargs: Any
    ) -> BatchFeature:
        """The recogniser's ``input_values`` and ``attention_mask`` of one clip or a list; with texts the translator's ``labels``.

        Raises:
            ValueError: what the members refuse, or not as many texts as clips.
        """
        batch = self.recognizer(clips, return_tensors=return_tensors, **kwargs)
        if texts is not None:
            texts = [texts] if isinstance(texts, str) else list(texts)
            if len(texts) != len(batch["input_values"]):
                raise ValueError(
                    f"There are {len(batch['input_values'])} clips and {len(texts)} texts; give one for each."
                )
            rows = [{"input_ids": [], "labels": self.translator.encode_text(text)} for text in texts]
            batch["labels"] = self.translator.pad(rows, return_tensors=return_tensors)["labels"]
        return batch

    def decode(self, ids: Any, **kwargs: Any) -> str:
        """Text of one sentence's ids, see :meth:`SignTranslatorProcessor.decode`."""
        return self.translator.decode(ids, **kwargs)

    def batch_decode(self, ids: Any, **kwargs: Any) -> list[str]:
        """Texts of (B, L) ids."""
        return self.translator.batch_decode(ids, **kwargs)


def _made(name: str, member: Any, needed: str) -> Any:
    if isinstance(member, Mapping):
        kind = str(member.get("feature_extractor_type"))
        found = feature_extractor_class_from_name(kind)
        if found is None:
            raise ValueError(f"The processor of the {name} is a {kind}, which is not known here.")
        member = found.from_dict(dict(member))
    if not hasattr(member, needed):
        raise ValueError(f"The processor of the {name} is a {type(member).__name__}, which has no '{needed}'.")
    return member


__all__ = ["SignTranslationProcessor"]
