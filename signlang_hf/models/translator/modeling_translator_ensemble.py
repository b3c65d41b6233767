"""Several translators that write one sentence together. Self-contained: it travels to the Hub with its weights.

Design decisions:

* The members' probabilities of each next word are averaged, and greedy, beam and sampled search go on with the mean (Sutskever et al.
  2014). One trained model after the other could only vote on whole sentences, which hardly ever agree.
* All members share one processor. They may differ in size and settings, and are trained apart, for instance from other seeds.
* The encoder's states lie side by side, so that generation carries one tensor as for a single model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.utils import can_return_tuple

from .configuration_translator_ensemble import SignTranslatorEnsembleConfig
from .modeling_translator import (
    SignTranslatorForConditionalGeneration,
    SignTranslatorGenerationMixin,
    SignTranslatorPreTrainedModel,
)
from .modeling_translator_layers import Cache


class SignTranslatorEnsembleEncoder:
    """The members' encoders as one: (B, S) ids → (B, S, the sum of their widths). It owns none of them."""

    def __init__(self, members: Sequence[SignTranslatorForConditionalGeneration]) -> None:
        self.members = members

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        states = [member.model.encoder(input_ids, attention_mask).last_hidden_state for member in self.members]
        return BaseModelOutput(last_hidden_state=torch.cat(states, dim=-1))

    __call__ = forward


class SignTranslatorEnsembleForConditionalGeneration(SignTranslatorPreTrainedModel, SignTranslatorGenerationMixin):
    """Trained translators whose probabilities are averaged word by word. :meth:`from_members` makes one."""

    config_class = SignTranslatorEnsembleConfig
    base_model_prefix = ""
    _auto_classes = {"AutoModelForSeq2SeqLM": "SignTranslatorEnsembleForConditionalGeneration"}  # noqa: RUF012

    def __init__(self, config: SignTranslatorEnsembleConfig) -> None:
        super().__init__(config)
        # Children of their own and no list: version 5 looks for tied weights in direct children only.
        for place, one in enumerate(config.member_configs):
            self.add_module(f"member_{place}", SignTranslatorForConditionalGeneration(one))
        self.post_init()
        self.generation_config.max_length = config.max_target_positions

    @property
    def members(self) -> list[SignTranslatorForConditionalGeneration]:
        """The translators, in order."""
        return [getattr(self, f"member_{place}") for place in range(len(self.config.members))]

    @classmethod
    def from_members(
        cls, members: Sequence[SignTranslatorForConditionalGeneration]
    ) -> SignTranslatorEnsembleForConditionalGeneration:
        """An ensemble of trained translators; their weights are copied.

        Raises:
            ValueError: no member, or members of different vocabularies.
        """
        ensemble = cls(cls.config_class(members=[member.config.to_dict() for member in members]))
        for own, member in zip(ensemble.members, members):
            own.load_state_dict(member.state_dict())
        return ensemble.eval()

    def get_encoder(self, *args: Any, **kwargs: Any) -> SignTranslatorEnsembleEncoder:
        return SignTranslatorEnsembleEncoder(self.members)

    def get_decoder(self) -> nn.Module:
        return self.members[0].get_decoder()

    def get_output_embeddings(self) -> None:
        return None  # each member has its own

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: tuple[Cache, ...] | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """As of a single translator; ``logits`` are logarithms of the mean probabilities, ``cross_attentions`` the mean weights.

        Raises:
            ValueError: a token or label that the members do not have, or nothing to read for the decoders.
        """
        if labels is not None:
            self.check_labels(labels)
            if decoder_input_ids is None:
                decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if encoder_outputs is None:
            encoder_outputs = self.get_encoder()(input_ids, attention_mask)
        if use_cache is None:
            use_cache = labels is None and self.config.use_cache
        widths = [member.config.encoder_size for member in self.members]
        caches = [None] * len(self.members) if past_key_values is None else past_key_values
        outputs = [
            member(
                attention_mask=attention_mask, decoder_input_ids=decoder_input_ids,
                encoder_outputs=BaseModelOutput(last_hidden_state=source), past_key_values=cache, use_cache=use_cache,
                output_attentions=output_attentions, return_dict=True,
            )
            for member, source, cache in zip(self.members, encoder_outputs[0].split(widths, dim=-1), caches)
        ]  # fmt: skip
        log_probs = torch.stack([one.logits.float().log_softmax(-1) for one in outputs])
        logits = log_probs.logsumexp(0) - math.log(len(outputs))
        attentions = None
        if output_attentions:
            attentions = (torch.stack([one.cross_attentions[0] for one in outputs]).mean(0),)
        return Seq2SeqLMOutput(
            loss=None if labels is None else F.nll_loss(logits.flatten(0, 1), labels.flatten()),
            logits=logits,
            past_key_values=tuple(one.past_key_values for one in outputs) if use_cache else None,
            cross_attentions=attentions,
            encoder_last_hidden_state=encoder_outputs[0],
        )

    def _reorder_cache(self, past_key_values: tuple[Cache, ...], beam_idx: torch.Tensor) -> tuple[Cache, ...]:
        return tuple(member._reorder_cache(cache, beam_idx) for member, cache in zip(self.members, past_key_values))


__all__ = ["SignTranslatorEnsembleForConditionalGeneration"]
