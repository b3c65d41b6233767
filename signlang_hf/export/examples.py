"""Made-up inputs of every kind that our graphs have: what an export is traced with and compared on."""

from __future__ import annotations

from typing import Any

import torch

from .translator_graphs import translator_widths

INPUTS = (
    "input_values", "attention_mask", "pixel_values", "input_ids", "decoder_input_ids", "encoder_hidden_states", "states",
    "memory",
)  # fmt: skip


def made_up(name: str, config: Any, batch: int, frames: int, random: torch.Generator) -> torch.Tensor:
    """One input.

    Args:
        name: one of :data:`INPUTS`.
        config: of the model.
        batch: clips, sentences or pictures.
        frames: T of clips, S of sentences.
    """
    if name == "attention_mask":
        return torch.ones(batch, frames, dtype=torch.int64)
    if name == "input_values":
        return torch.randn(batch, frames, config.input_size, generator=random)
    if name == "pixel_values":
        return torch.rand(batch, 3, config.image_size, config.image_size, generator=random)
    if name == "input_ids":
        return torch.randint(0, config.source_vocab_size, (batch, frames), generator=random)
    if name == "decoder_input_ids":
        return torch.randint(0, config.vocab_size, (batch, 1), generator=random)
    source, states, memory = translator_widths(config)
    if name == "states":
        return torch.randn(batch, states, generator=random)
    width = source if name == "encoder_hidden_states" else memory
    return torch.randn(batch, frames, width, generator=random)


__all__ = ["INPUTS", "made_up"]
