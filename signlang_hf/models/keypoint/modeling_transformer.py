"""Keypoint Transformer for isolated sign recognition. Self-contained: it travels to the Hub beside the weights.

Design decisions:

* Pre-norm encoder (Xiong et al. 2020): trains stably without a warm-up tuned to the data set.
* Sinusoidal positions whose frequencies and scale are learned: any clip length works, and the model chooses the tempo.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers.utils import can_return_tuple

from .configuration_transformer import SignTransformerConfig
from .modeling_keypoint import (
    SignAttentionLayer,
    SignKeypointForSignClassification,
    SignKeypointModel,
    SignKeypointPreTrainedModel,
    SignModelOutput,
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
        self.input_dropout = nn.Dropout1d(config.input_dropout)
        self.input_projection = nn.Linear(config.input_size, config.hidden_size)
        self.input_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.positions = SignTransformerPositions(config)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(SignAttentionLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.pooler = SignPooler(config, config.hidden_size)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.input_projection

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
    ) -> SignModelOutput:
        """
        Args:
            input_values: (B, T, F) float features, as the processor makes them.
            attention_mask: (B, T), 1 for real frames and 0 for padding; default all real.

        Raises:
            ValueError: the features have another length than the model was built for.
        """
        hidden, mask = self.checked(input_values, attention_mask)
        hidden = self.input_dropout(hidden.transpose(1, 2)).transpose(1, 2)
        hidden = self.dropout(self.positions(self.input_norm(self.input_projection(hidden))))
        hidden_states, attentions = [hidden], []
        for layer in self.layers:
            hidden, weights = layer(hidden, mask[:, None, None, :])
            hidden_states.append(hidden)
            attentions.append(weights)
        hidden = self.norm(hidden)
        embedding, pooling_weights = self.pooler(hidden, mask)
        return SignModelOutput(
            last_hidden_state=hidden,
            pooler_output=embedding,
            hidden_states=tuple(hidden_states) if self.wants(output_hidden_states, "output_hidden_states") else None,
            attentions=tuple(attentions) if output_attentions and attentions[0] is not None else None,
            pooling_weights=pooling_weights,
        )


class SignTransformerForSignClassification(SignTransformerPreTrainedModel, SignKeypointForSignClassification):
    """Encoder with a linear head over its clip embedding: one label per clip."""

    encoder_class = SignTransformerModel


__all__ = ["SignTransformerForSignClassification", "SignTransformerModel", "SignTransformerPreTrainedModel"]
