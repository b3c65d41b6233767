"""What all keypoint models share: outputs, masks, pooling, the classifier. Self-contained: it travels to the Hub beside the weights.

A family is a configuration, an encoder (:class:`SignKeypointModel`: features → hidden states and a clip embedding) and a
classifier of three lines (:class:`SignKeypointForSignClassification`). Design decisions:

* Masked frames take no part in anything: a clip gives the same logits alone and padded in a batch.
* A module imports from its siblings directly what it needs, never through another sibling: transformers 4.57 copies a folder's
  code one import deep. Layers that several families use are therefore here.
* Everything that is not a weight is computed in ``forward``, so loading on the meta device cannot lose it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_keypoint import SignKeypointConfig

Encoded = tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor | None]]
"""What an encoder's layers make of features: the last hidden states, those on the way, attention weights."""


@dataclass
class SignModelOutput(ModelOutput):
    """Output of an encoder.

    Args:
        last_hidden_state: (B, T, hidden size).
        pooler_output: (B, embedding_size), the clip's embedding.
        hidden_states: tuple of (B, T, hidden size), on request.
        attentions: tuple of (B, heads, T, T), on request and with ``attn_implementation="eager"``.
        pooling_weights: (B, T), how much each frame counts in the embedding; 0 on padding, sums to 1.
    """

    last_hidden_state: torch.FloatTensor | None = None
    pooler_output: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None
    pooling_weights: torch.FloatTensor | None = None


@dataclass
class SignClassifierOutput(ModelOutput):
    """Output of a classifier: ``loss`` (with labels), ``logits`` (B, num_labels), ``embedding`` (B, embedding_size), and the
    encoder's ``hidden_states``, ``attentions`` and ``pooling_weights``."""

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    embedding: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None
    pooling_weights: torch.FloatTensor | None = None


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch norm of (B, T, C) over real frames only: how much padding a batch holds changes nothing."""

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(hidden.flatten(0, 1)).view(hidden.shape)
        normed = torch.zeros_like(hidden)
        normed[mask] = super().forward(hidden[mask]).to(hidden.dtype)
        return normed


class SignAttention(nn.Module):
    """Multi-head self-attention: fused (SDPA) or eager, the same numbers.

    Reads ``num_attention_heads``, ``attention_dropout`` and, where no size is given, ``hidden_size`` of the configuration.
    """

    def __init__(self, config: SignKeypointConfig, hidden_size: int | None = None) -> None:
        super().__init__()
        hidden_size = config.hidden_size if hidden_size is None else hidden_size
        self.config = config
        self.num_heads = config.num_attention_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch, frames, size = hidden.shape
        qkv = self.qkv(hidden).view(batch, frames, 3, self.num_heads, size // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.config.attention_dropout if self.training else 0.0
        weights = None
        if self.config._attn_implementation == "eager":
            scores = query @ key.transpose(-1, -2) * (size // self.num_heads) ** -0.5
            weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
            context = F.dropout(weights, dropout, self.training) @ value
        else:
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return self.output(context.transpose(1, 2).reshape(batch, frames, size)), weights


class SignAttentionLayer(GradientCheckpointingLayer):
    """Pre-norm block: x + attention(norm(x)), then x + feed_forward(norm(x)).

    Beyond :class:`SignAttention` it reads ``intermediate_size``, ``hidden_dropout`` and ``layer_norm_eps``.
    """

    def __init__(self, config: SignKeypointConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = SignAttention(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.hidden_size, config.intermediate_size),
            nn.GELU(),
            nn.Dropout(config.hidden_dropout),
            nn.Linear(config.intermediate_size, config.hidden_size),
        )
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        attended, weights = self.attention(self.attention_norm(hidden), mask)
        hidden = hidden + self.dropout(attended)
        return hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden))), weights


class SignPooler(nn.Module):
    """(B, T, hidden_size) → clip embedding (B, embedding_size), and the weight of each frame in it."""

    def __init__(self, config: SignKeypointConfig, hidden_size: int) -> None:
        super().__init__()
        self.score = None
        if config.pooling == "attention":
            self.score = nn.Sequential(
                nn.Linear(hidden_size, hidden_size // 2),
                nn.Tanh(),
                # No bias: it would cancel in the softmax.
                nn.Linear(hidden_size // 2, 1, bias=False),
            )
        elif config.pooling == "query":
            self.score = nn.Linear(hidden_size, 1, bias=False)
        self.projection = nn.Linear(hidden_size, config.embedding_size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.score is None:
            weights = mask.to(hidden.dtype) / mask.sum(dim=1, keepdim=True).to(hidden.dtype)
        else:
            score = self.score(hidden).squeeze(-1)
            weights = score.masked_fill(~mask, torch.finfo(score.dtype).min).softmax(dim=-1)
        return self.projection((weights.unsqueeze(1) @ hidden).squeeze(1)), weights


class SignKeypointPreTrainedModel(PreTrainedModel):
    """Weight initialisation and what transformers needs to know of the families."""

    config_class = SignKeypointConfig
    base_model_prefix = "encoder"
    main_input_name = "input_values"
    supports_gradient_checkpointing = True
    # Without this the Trainer would take over the loss scaling and multiply it by the accumulation steps.
    accepts_loss_kwargs = False
    _supports_sdpa = True

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """As in transformers, and the folder's remote code serves the encoder and the classifier alike."""
        if self._auto_class is not None:
            # transformers lists only the class that is being saved.
            module = type(self).__module__.rpartition(".")[2]
            family = type(self).__name__.removesuffix("ForSignClassification").removesuffix("Model")
            self.config.auto_map = {
                "AutoModel": f"{module}.{family}Model",
                "AutoModelForVideoClassification": f"{module}.{family}ForSignClassification",
            }
        super().save_pretrained(save_directory, *args, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            if self.config.initializer_range is None:
                nn.init.kaiming_uniform_(module.weight, a=5**0.5)  # ± 1 / sqrt(inputs)
            else:
                nn.init.trunc_normal_(module.weight, std=self.config.initializer_range)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.LayerNorm, nn.BatchNorm1d)):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
            if isinstance(module, nn.BatchNorm1d):
                module.reset_running_stats()


class SignKeypointModel(SignKeypointPreTrainedModel):
    """Base of the encoders: landmark features over time → hidden states and a clip embedding.

    A family builds ``input_projection``, ``pooler`` and what lies between them, and says in :meth:`encode` how they follow each other.
    """

    # The head of a classifier's folder is no surprise when the encoder alone is loaded from it.
    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]  # noqa: RUF012

    def __init__(self, config: SignKeypointConfig) -> None:
        super().__init__(config)
        self.input_dropout = nn.Dropout1d(config.input_dropout)
        self.gradient_checkpointing = False

    def get_input_embeddings(self) -> nn.Module:
        return self.input_projection

    def encode(self, values: torch.Tensor, mask: torch.Tensor) -> Encoded:
        """(B, T, F) features and (B, T) bool → the last hidden states, those on the way, and the layers' attention weights (each
        None unless attention is eager)."""
        raise NotImplementedError

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
            attention_mask: (B, T), 1 for real frames and 0 for padding after them; default all real.

        Raises:
            ValueError: the features have another length than the model was built for.
        """
        values, mask = self.checked(input_values, attention_mask)
        hidden, hidden_states, attentions = self.encode(
            self.input_dropout(values.transpose(1, 2)).transpose(1, 2), mask
        )
        embedding, pooling_weights = self.pooler(hidden, mask)
        return SignModelOutput(
            last_hidden_state=hidden,
            pooler_output=embedding,
            hidden_states=tuple(hidden_states) if self.wants(output_hidden_states, "output_hidden_states") else None,
            attentions=tuple(attentions) if output_attentions and attentions[0] is not None else None,
            pooling_weights=pooling_weights,
        )

    def checked(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The features in the model's own precision, and which frames are real: (B, T, F) and (B, T) bool.

        Raises:
            ValueError: the features have another length than the model was built for.
        """
        if input_values.shape[-1] != self.config.input_size:
            raise ValueError(
                f"The model takes {self.config.input_size} features a frame and got {input_values.shape[-1]}; "
                "use the processor that was saved with it."
            )
        if attention_mask is None:
            attention_mask = torch.ones(input_values.shape[:2], device=input_values.device)
        mask = attention_mask.bool()
        # An empty clip looks at its padding instead of at nothing (NaN).
        return input_values.to(self.dtype), mask | ~mask.any(dim=1, keepdim=True)

    def wants(self, given: bool | None, setting: str) -> bool:
        """An output that the caller asks for, or else the configuration."""
        return bool(getattr(self.config, setting) if given is None else given)


class SignKeypointForSignClassification(SignKeypointPreTrainedModel):
    """Base of the classifiers: an encoder with a linear head over its clip embedding, one label per clip."""

    encoder_class: type[SignKeypointModel]

    def __init__(self, config: SignKeypointConfig) -> None:
        super().__init__(config)
        self.encoder = self.encoder_class(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.embedding_size, config.num_labels)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
    ) -> SignClassifierOutput:
        """
        Args:
            input_values: (B, T, F) float features, as the processor makes them.
            attention_mask: (B, T), 1 for real frames and 0 for padding; default all real.
            labels: (B,) class indices, or (B, num_labels) shares of classes (mixed clips); with them the output has a
                cross-entropy ``loss``.

        Raises:
            ValueError: a label that the model does not have.
        """
        encoded = self.encoder(
            input_values, attention_mask, output_hidden_states=output_hidden_states, output_attentions=output_attentions
        )
        logits = self.classifier(self.dropout(encoded.pooler_output))
        return SignClassifierOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            embedding=encoded.pooler_output,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
            pooling_weights=encoded.pooling_weights,
        )

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if labels.ndim == 1:
            low, high = labels.min().item(), labels.max().item()
            if low < 0 or high >= self.config.num_labels:
                raise ValueError(
                    f"Labels run from {low} to {high}; the model has labels 0 to {self.config.num_labels - 1}."
                )
        elif labels.shape != logits.shape:
            raise ValueError(f"Mixed labels have shape {tuple(labels.shape)}; the logits have {tuple(logits.shape)}.")
        weights = self.config.class_weights
        return F.cross_entropy(
            logits.float(),
            labels,
            weight=None if weights is None else torch.tensor(weights, device=logits.device),
            label_smoothing=self.config.label_smoothing,
        )


__all__ = [
    "Encoded",
    "MaskedBatchNorm",
    "SignAttention",
    "SignAttentionLayer",
    "SignClassifierOutput",
    "SignKeypointForSignClassification",
    "SignKeypointModel",
    "SignKeypointPreTrainedModel",
    "SignModelOutput",
    "SignPooler",
]
