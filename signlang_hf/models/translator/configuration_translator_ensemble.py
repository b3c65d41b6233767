"""Configuration of several translators that write together. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PretrainedConfig

from .configuration_translator import SignTranslatorConfig

_SHARED = (
    "source_vocab_size",
    "vocab_size",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "unk_token_id",
    "decoder_start_token_id",
)


class SignTranslatorEnsembleConfig(PretrainedConfig):
    """Settings of :class:`SignTranslatorEnsembleForConditionalGeneration`.

    Args:
        members: settings of each member, see :class:`SignTranslatorConfig`; vocabularies and special tokens are the same for all.
        use_cache: ``generate`` keeps the members' states from word to word.

    Raises:
        ValueError: no member, or members of different vocabularies.
    """

    model_type = "signlang_translator_ensemble"
    is_encoder_decoder = True
    keys_to_ignore_at_inference = ["past_key_values", "cross_attentions", "encoder_last_hidden_state"]  # noqa: RUF012

    def __init__(
        self, members: Sequence[Mapping[str, Any]] | None = None, use_cache: bool = True, **kwargs: Any
    ) -> None:
        kwargs.pop("is_encoder_decoder", None)  # always so; the saved copy is for transformers
        # transformers makes a configuration without arguments to see what differs from it.
        members = [{}] if members is None else members
        if not members:
            raise ValueError("An ensemble needs at least one member.")
        configs = [SignTranslatorConfig(**_settings(member)) for member in members]
        self.members = [_settings(config.to_dict()) for config in configs]
        self.use_cache = use_cache
        for name in _SHARED:
            values = [getattr(config, name) for config in configs]
            if len(set(values)) > 1:
                raise ValueError(
                    f"The members differ in {name} ({', '.join(map(str, values))}); train them with one processor."
                )
            kwargs[name] = values[0]
            setattr(self, name, values[0])
        self.max_target_positions = max(config.max_target_positions for config in configs)
        kwargs.pop("max_target_positions", None)
        # Each member ties its own embeddings, as its settings say.
        kwargs["tie_word_embeddings"] = self.tie_word_embeddings = False
        super().__init__(is_encoder_decoder=True, **kwargs)

    @property
    def member_configs(self) -> list[SignTranslatorConfig]:
        """The members' configurations, in order."""
        return [SignTranslatorConfig(**member) for member in self.members]


def _settings(member: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says where a member came from."""
    left_out = (
        "auto_map",
        "_name_or_path",
        "architectures",
        "dtype",
        "torch_dtype",
        "transformers_version",
        "model_type",
    )
    return {name: value for name, value in member.items() if name not in left_out}


__all__ = ["SignTranslatorEnsembleConfig"]
