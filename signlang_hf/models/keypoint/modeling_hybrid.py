"""Transformer and BiLSTM side by side for isolated sign recognition. Self-contained: it travels to the Hub beside the weights.

The Transformer relates any two moments of a clip, the BiLSTM follows it in order. Both read the same projected features; attention and
another BiLSTM read what they say together, and a frame's last state is what these two make of it.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

# Not used here, but transformers takes along only what the file that it loads imports itself.
from .configuration_bilstm import SignBiLSTMConfig  # noqa: F401
from .configuration_hybrid import SignHybridConfig
from .configuration_transformer import SignTransformerConfig  # noqa: F401
from .modeling_bilstm import SignBiLSTM, SignBiLSTMAttention, SignBiLSTMPreTrainedModel, reversal
from .modeling_keypoint import (
    Encoded,
    SignAttentionLayer,
    SignKeypointForSignClassification,
    SignKeypointModel,
    SignPooler,
)
from .modeling_transformer import SignTransformerPositions, SignTransformerPreTrainedModel


class SignHybridPreTrainedModel(SignBiLSTMPreTrainedModel, SignTransformerPreTrainedModel):
    """Initialises what it takes from the BiLSTM and from the Transformer as they do."""

    config_class = SignHybridConfig
    _no_split_modules = ("SignAttentionLayer", "SignBiLSTM", "SignBiLSTMAttention")


class SignHybridModel(SignHybridPreTrainedModel, SignKeypointModel):
    """Encoder: landmark features over time → hidden states and a clip embedding."""

    def __init__(self, config: SignHybridConfig) -> None:
        super().__init__(config)
        per_frame = 2 * config.lstm_units
        self.input_projection = nn.Linear(config.input_size, config.hidden_size)
        self.input_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.positions = SignTransformerPositions(config)
        self.layers = nn.ModuleList(SignAttentionLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.widening = nn.Linear(config.hidden_size, config.fusion_size)
        self.lstms = nn.ModuleList(
            SignBiLSTM(per_frame if layer else config.hidden_size, config.lstm_units, config.zoneout)
            for layer in range(config.num_lstm_layers)
        )
        self.fusion = nn.Linear(config.fusion_size + per_frame, config.fusion_size)
        self.attention = SignBiLSTMAttention(config, config.fusion_size)
        self.lstm = SignBiLSTM(config.fusion_size, config.lstm_units, config.zoneout)
        self.pooler = SignPooler(config, config.fusion_size + per_frame)
        self.post_init()

    def encode(self, values: torch.Tensor, mask: torch.Tensor) -> Encoded:
        """Hidden states are the projected features and what each Transformer block makes of them; attention weights those of the
        Transformer blocks, then that over both branches."""
        values = self.input_norm(self.input_projection(values))
        attended, turned = mask[:, None, None, :], reversal(mask)

        hidden = self.dropout(self.positions(values))
        hidden_states, attentions = [hidden], []
        for layer in self.layers:
            hidden, weights = layer(hidden, attended)
            hidden_states.append(hidden)
            attentions.append(weights)
        transformed = F.gelu(self.widening(self.norm(hidden)))

        read = self.dropout(values)
        for lstm in self.lstms:
            read = self.dropout(lstm(read, turned))

        fused, weights = self.attention(self.fusion(torch.cat([transformed, read], dim=-1)), attended)
        attentions.append(weights)
        hidden = torch.cat([fused, self.lstm(fused, turned)], dim=-1)
        return hidden, hidden_states, attentions


class SignHybridForSignClassification(SignHybridPreTrainedModel, SignKeypointForSignClassification):
    """Encoder with a linear head over its clip embedding: one label per clip."""

    encoder_class = SignHybridModel


__all__ = ["SignHybridForSignClassification", "SignHybridModel", "SignHybridPreTrainedModel"]
