"""Causal convolution model for isolated sign recognition. Self-contained: it travels to the Hub beside the weights.

In the spirit of the solution that won the Google Isolated Sign Language Recognition competition (H. Sohn, Kaggle 2023):
depthwise convolutions over time with efficient channel attention, an attention block after every few of them, a plain mean
over time. Design decisions:

* Convolutions are causal: a frame sees itself and earlier ones, so padding at the end reaches no real frame, and zeros at the
  beginning tell a model without position embeddings where it is.
* Batch norm counts real frames only, and channel attention averages over them.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_conv import SignConvConfig
from .modeling_keypoint import (
    Encoded,
    MaskedBatchNorm,
    SignAttentionLayer,
    SignKeypointForSignClassification,
    SignKeypointModel,
    SignKeypointPreTrainedModel,
    SignPooler,
)


class SignConvChannelAttention(nn.Module):
    """Efficient channel attention (Wang et al. 2020): each channel is weighed by the clip's means of its neighbours."""

    def __init__(self, kernel_size: int = 5) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        share = mask.to(hidden.dtype) / mask.sum(dim=1, keepdim=True).to(hidden.dtype)
        return hidden * self.convolution(share.unsqueeze(1) @ hidden).sigmoid()


class SignConvDropPath(nn.Module):
    """Leaves a residual branch out for whole clips in training (stochastic depth, Huang et al. 2016)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        if not self.training or self.share == 0:
            return branch
        keep = torch.rand(len(branch), 1, 1, device=branch.device) >= self.share
        return branch * keep.to(branch.dtype) / (1 - self.share)


class SignConvBlock(GradientCheckpointingLayer):
    """x + project(channel attention(batch norm(depthwise convolution(swish(expand(x))))))."""

    def __init__(self, config: SignConvConfig) -> None:
        super().__init__()
        inner = config.expansion * config.hidden_size
        self.expand = nn.Linear(config.hidden_size, inner)
        # Of height 1, because a two-dimensional convolution reads (B, T, C) as it lies in memory: twice as fast on CPUs.
        self.convolution = nn.Conv2d(inner, inner, (1, config.kernel_size), groups=inner, bias=False)
        self.norm = MaskedBatchNorm(inner, momentum=0.05)
        self.attention = SignConvChannelAttention()
        self.project = nn.Linear(inner, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.drop_path = SignConvDropPath(config.drop_path)
        self.past = config.kernel_size - 1

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        inner = F.pad(F.silu(self.expand(hidden)), (0, 0, self.past, 0))
        inner = self.convolution(inner.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        inner = self.attention(self.norm(inner, mask), mask)
        return hidden + self.drop_path(self.dropout(self.project(inner)))


class SignConvPreTrainedModel(SignKeypointPreTrainedModel):
    """What is the convolution model's own in splitting."""

    config_class = SignConvConfig
    _no_split_modules = ("SignConvBlock", "SignAttentionLayer")


class SignConvModel(SignConvPreTrainedModel, SignKeypointModel):
    """Encoder: landmark features over time → hidden states and a clip embedding."""

    def __init__(self, config: SignConvConfig) -> None:
        super().__init__(config)
        self.input_projection = nn.Linear(config.input_size, config.hidden_size, bias=False)
        self.input_norm = MaskedBatchNorm(config.hidden_size, momentum=0.05)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                [*(SignConvBlock(config) for _ in range(config.num_convolutions)), SignAttentionLayer(config)]
            )
            for _ in range(config.num_hidden_layers)
        )
        self.pooler = SignPooler(config, config.hidden_size)
        self.post_init()

    def encode(self, values: torch.Tensor, mask: torch.Tensor) -> Encoded:
        hidden = self.input_norm(self.input_projection(values), mask)
        hidden_states, attentions = [hidden], []
        for *convolutions, attention in self.stages:
            for convolution in convolutions:
                hidden = convolution(hidden, mask)
            hidden, weights = attention(hidden, mask[:, None, None, :])
            hidden_states.append(hidden)
            attentions.append(weights)
        return hidden, hidden_states, attentions


class SignConvForSignClassification(SignConvPreTrainedModel, SignKeypointForSignClassification):
    """Encoder with a linear head over its clip embedding: one label per clip."""

    encoder_class = SignConvModel


__all__ = ["SignConvForSignClassification", "SignConvModel", "SignConvPreTrainedModel"]
