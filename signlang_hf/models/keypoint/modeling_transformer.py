"""Keypoint Transformer for isolated sign recognition. Self-contained: it travels to the Hub beside the weights.

Design decisions:

* Pre-norm encoder (Xiong et al. 2020): trains stably without a warm-up tuned to the data set.
* Sinusoidal positions whose frequencies and scale are learned: any clip length works, and the model chooses the tempo.
"""

from __future__ import annotations

import torch
from torch import nn

from .configuration_transformer import SignTransformerConfig
from .modeling_keypoint import (
    Encoded,
    SignAttentionLayer,
    SignKeypointForSignClassification,
    SignKeypointModel,
    SignKeypointPreTrainedModel,
    SignPooler,
)


class SignTransformerPositions(nn.Module):
    """``scale · [sin(t·f), cos(t·f)]`` with learned frequencies f (stored as logarithms) and a learned scale.

    Starts as the table of Vaswani et al. 2017.
    """

    def __init__(self, config: SignTransformerConfig) -> None:
        super().__init__()
        self.log_frequency = nn.Parameter(torch.empty(config.hidden_size // 2))
        self.scale = nn.Parameter(torch.empty(1))

    def initial_log_frequency(self) -> torch.Tensor:
        half = self.log_frequency.shape[0]
        return -torch.arange(half, dtype=torch.float32) * (torch.log(torch.tensor(10000.0)) / half)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        time = torch.arange(hidden.shape[1], device=hidden.device, dtype=torch.float32)
        angle = time[:, None] * self.log_frequency.float().exp()
        table = torch.cat([angle.sin(), angle.cos()], dim=-1) * self.scale
        return hidden + table.to(hidden.dtype)


class SignTransformerPreTrainedModel(SignKeypointPreTrainedModel):
    """What is the Transformer's own in initialisation and splitting."""

    config_class = SignTransformerConfig
    _no_split_modules = ("SignAttentionLayer",)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SignTransformerPositions):
            module.log_frequency.copy_(module.initial_log_frequency())
            nn.init.ones_(module.scale)


class SignTransformerModel(SignTransformerPreTrainedModel, SignKeypointModel):
    """Encoder: landmark features over time → hidden states and a clip embedding."""

    def __init__(self, config: SignTransformerConfig) -> None:
        super().__init__(config)
        self.input_projection = nn.Linear(config.input_size, config.hidden_size)
        self.input_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.positions = SignTransformerPositions(config)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(SignAttentionLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.pooler = SignPooler(config, config.hidden_size)
        self.post_init()

    def encode(self, values: torch.Tensor, mask: torch.Tensor) -> Encoded:
        hidden = self.dropout(self.positions(self.input_norm(self.input_projection(values))))
        hidden_states, attentions = [hidden], []
        for layer in self.layers:
            hidden, weights = layer(hidden, mask[:, None, None, :])
            hidden_states.append(hidden)
            attentions.append(weights)
        hidden = self.norm(hidden)
        return hidden, hidden_states, attentions


class SignTransformerForSignClassification(SignTransformerPreTrainedModel, SignKeypointForSignClassification):
    """Encoder with a linear head over its clip embedding: one label per clip."""

    encoder_class = SignTransformerModel


__all__ = ["SignTransformerForSignClassification", "SignTransformerModel", "SignTransformerPreTrainedModel"]
