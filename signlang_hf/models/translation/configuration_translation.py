"""Configuration of a recogniser and a translator as one model. Self-contained: it travels to the Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PretrainedConfig


class SignTranslationConfig(PretrainedConfig):
    """Settings of :class:`SignTranslationModel`; those that count for its members lie in their own folders.

    Args:
        recognizer, translator: settings of the members, for readers.
        gloss_tokens: for each column of the recogniser the translator's source tokens, none for the blank; what joins the two.
        blank_token_id: the recogniser's column for "no gloss".

    Raises:
        ValueError: not as many ``gloss_tokens`` as the recogniser has columns, or a token that the translator does not have.
    """

    model_type = "signlang_translation"
    # What the Trainer need not gather from the output in evaluation: everything but the logits.
    keys_to_ignore_at_inference = ["gloss_logits", "source_ids", "cross_attentions"]  # noqa: RUF012

    def __init__(
        self,
        recognizer: Mapping[str, Any] | None = None,
        translator: Mapping[str, Any] | None = None,
        gloss_tokens: Sequence[Sequence[int]] | None = None,
        blank_token_id: int = 0,
        **kwargs: Any,
    ) -> None:
        self.recognizer = dict(recognizer or {})
        self.translator = dict(translator or {})
        self.gloss_tokens = None if gloss_tokens is None else [[int(one) for one in tokens] for tokens in gloss_tokens]
        self.blank_token_id = blank_token_id
        # Read off the translator, because transformers' generation tools and pipelines ask for them.
        special = {f"{name}_token_id": self.translator.get(f"{name}_token_id") for name in ("pad", "bos", "eos")}
        for name, value in special.items():
            kwargs.setdefault(name, value)
            setattr(self, name, kwargs[name])
        super().__init__(**kwargs)
        self.check()

    @staticmethod
    def folder(member: str) -> str:
        """Sub-folder of a member."""
        return member

    def check(self) -> None:
        """Refuse settings that do not go together."""
        columns, tokens = self.recognizer.get("vocab_size"), self.translator.get("source_vocab_size")
        if self.gloss_tokens is None:
            return
        if columns is not None and len(self.gloss_tokens) != columns:
            raise ValueError(
                f"There are gloss_tokens for {len(self.gloss_tokens)} glosses; the recogniser has {columns}."
            )
        wrong = [one for row in self.gloss_tokens for one in row if one < 0 or (tokens is not None and one >= tokens)]
        if wrong:
            raise ValueError(
                f"gloss_tokens name the source token {wrong[0]}; the translator has 0 to {(tokens or 0) - 1}."
            )


__all__ = ["SignTranslationConfig"]
