"""A translator as two graphs: one that reads the glosses, one that says a word.

Design decisions:

* What the decoder needs of the source alone (its first states, the attention's keys, the source's share of the gates) comes out of
  the encoder's graph, once a sentence. So one decoder graph serves the first word and all others.
* States and memory are one tensor each, batch first, whatever layers a model has and however many members an ensemble: beams
  change places along the first axis, and the search expands them along it.
* It imports torch alone: the converter to TFLite reads this file in an environment that has nothing else of ours.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn


def translator_widths(config: Any) -> tuple[int, int, int]:
    """How wide the encoder's states, the decoder's states and the memory of a translator are, those of all members together."""
    members = getattr(config, "member_configs", None) or [config]
    return (
        sum(one.encoder_size for one in members),
        sum(one.num_hidden_layers * one.hidden_size for one in members),
        sum(sum(memory_widths(one)) for one in members),
    )


def memory_widths(config: Any) -> list[int]:
    """Widths of what one translator computes from the source alone: keys and, with input feeding, gates."""
    return [config.attention_size, *([3 * config.hidden_size] if config.input_feeding else [])]


def pieces(values: torch.Tensor, widths: list[int]) -> list[torch.Tensor]:
    """The last axis cut up. Into one piece it is not cut at all: the converter to TFLite stumbles over that."""
    return [values] if len(widths) == 1 else list(values.split(widths, dim=-1))


def members_of(model: Any) -> list[Any]:
    """The translators of an ensemble, or the one model."""
    return list(model.members) if hasattr(model.config, "member_configs") else [model]


class TranslatorGraph(nn.Module):
    """Base: the model, with a configuration of its own, because Optimum writes into it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.members = nn.ModuleList(members_of(model))
        self.config = copy.deepcopy(model.config)


class TranslatorEncoderGraph(TranslatorGraph):
    """(B, S) glosses and mask → ``last_hidden_state`` (B, S, E), ``states`` (B, N) and ``memory`` (B, S, M)."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        sources, states, memories = [], [], []
        for member in self.members:
            source = member.model.encoder(input_ids, attention_mask).last_hidden_state
            first, *memory = member.model.decoder.begin(source, attention_mask)
            sources.append(source)
            states.append(first.transpose(0, 1).flatten(1))
            memories += memory
        return {
            "last_hidden_state": torch.cat(sources, dim=-1),
            "states": torch.cat(states, dim=-1),
            "memory": torch.cat(memories, dim=-1),
        }


class TranslatorDecoderGraph(TranslatorGraph):
    """One word (B, 1) → ``logits`` (B, 1, V), ``cross_attentions`` (B, 1, S) and ``new_states`` (B, N)."""

    def forward(
        self,
        decoder_input_ids: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor,
        states: torch.Tensor,
        memory: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        configs = [member.config for member in self.members]
        sources = pieces(encoder_hidden_states, [one.encoder_size for one in configs])
        olds = pieces(states, [one.num_hidden_layers * one.hidden_size for one in configs])
        memories = pieces(memory, [width for one in configs for width in memory_widths(one)])
        logits, attentions, news = [], [], []
        for member, source, old in zip(self.members, sources, olds):
            config = member.config
            own = [memories.pop(0) for _ in memory_widths(config)]
            old = old.view(-1, config.num_hidden_layers, config.hidden_size).transpose(0, 1)
            hidden, weights, (new, *_) = member.model.decoder(decoder_input_ids, source, attention_mask, (old, *own))
            logits.append(member.lm_head(hidden))
            attentions.append(weights)
            news.append(new.transpose(0, 1).flatten(1))
        together = logits[0]
        if hasattr(self.config, "member_configs"):  # an ensemble of one, too, answers with log-probabilities
            together = torch.stack(logits).log_softmax(-1).logsumexp(0) - math.log(len(logits))
        return {
            "logits": together,
            "cross_attentions": torch.stack(attentions).mean(0),
            "new_states": torch.cat(news, dim=-1),
        }


__all__ = ["TranslatorDecoderGraph", "TranslatorEncoderGraph", "members_of", "memory_widths", "translator_widths"]
