"""Layers of the gloss-to-text translator: GRU encoder, Bahdanau attention, GRU decoder. Self-contained: they travel to the Hub.

Design decisions:

* Only what has to wait for the last step is done in the loop over target words: the state, the attention's query and the gates.
  Keys, the words' share of the gates and the output layer are single products over all steps, before and after it.
* The context enters the gates through a linear map, so the source is mapped once and the attention weighs the mapped source:
  a step multiplies with no more than it must. Layers above the first need no attention and run fused over all steps.
* The backward direction reads each sentence from its own last token: padding reaches no real token, in either direction.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput

from .configuration_translator import SignTranslatorConfig

Cache = tuple[torch.Tensor, ...]
"""(layers, B, H) states, (B, S, A) keys of the attention and, with input feeding, (B, S, 3 · H) of the source in the gates."""


def reversal(mask: torch.Tensor) -> torch.Tensor:
    """(B, S) → (B · S,): with which of the batch's tokens each one changes places when every sentence is turned round.

    Padding stays where it is, behind the sentence.
    """
    batch, length = mask.shape
    place = torch.arange(length, device=mask.device)
    last = mask.sum(dim=1, keepdim=True) - 1
    partner = torch.where(place <= last, last - place, place)
    return (partner + length * torch.arange(batch, device=mask.device)[:, None]).flatten()


class SignTranslatorDropout(nn.Module):
    """Dropout of (B, T, D); ``variational`` drops the same units in all steps of a sentence."""

    def __init__(self, share: float, variational: bool) -> None:
        super().__init__()
        self.share = share
        self.variational = variational

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if not self.variational or not self.training or self.share == 0:
            return F.dropout(hidden, self.share, self.training)
        return hidden * F.dropout(hidden.new_ones(hidden.shape[0], 1, hidden.shape[2]), self.share)


class SignTranslatorGRU(nn.GRU):
    """One layer and direction, (B, T, input_size) → (B, T, units), with DropConnect on the weights from state to state."""

    def __init__(self, input_size: int, units: int, weight_dropout: float = 0.0) -> None:
        super().__init__(input_size, units, batch_first=True)
        self.weight_dropout = weight_dropout

    def recurrent_weight(self) -> torch.Tensor:
        """(3 · H, H), in training with a share of it dropped."""
        return F.dropout(self.weight_hh_l0, self.weight_dropout, self.training)

    def forward(self, inputs: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """``state`` is (B, H); returns all states and the last one."""
        if state is None:
            state = inputs.new_zeros(inputs.shape[0], self.hidden_size)
        if self.training and self.weight_dropout > 0:
            weights = [self.weight_ih_l0, self.recurrent_weight(), self.bias_ih_l0, self.bias_hh_l0]
            states, last = torch.gru(inputs, state[None], weights, True, 1, 0.0, True, False, True)
        else:
            states, last = super().forward(inputs, state[None])
        return states, last[0]


class SignTranslatorEncoderLayer(GradientCheckpointingLayer):
    """One or both directions, (B, S, input_size) → (B, S, encoder_size); ``turned`` is the sentences' :func:`reversal`."""

    def __init__(self, config: SignTranslatorConfig, input_size: int) -> None:
        super().__init__()
        self.forward_gru = SignTranslatorGRU(input_size, config.hidden_size, config.recurrent_dropout)
        self.backward_gru = None
        if config.bidirectional:
            self.backward_gru = SignTranslatorGRU(input_size, config.hidden_size, config.recurrent_dropout)

    def forward(self, hidden: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        states = self.forward_gru(hidden)[0]
        if self.backward_gru is None:
            return states
        backward = self.backward_gru(self.turn(hidden, turned))[0]
        return torch.cat([states, self.turn(backward, turned)], dim=-1)

    @staticmethod
    def turn(hidden: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        return hidden.flatten(0, 1).index_select(0, turned).view(hidden.shape)


class SignTranslatorEncoder(nn.Module):
    """Source tokens → states."""

    def __init__(self, config: SignTranslatorConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.source_vocab_size, config.embedding_size, config.pad_token_id)
        self.embedding_dropout = SignTranslatorDropout(config.embedding_dropout, config.variational_dropout)
        sizes = [config.embedding_size] + [config.encoder_size] * (config.num_hidden_layers - 1)
        self.layers = nn.ModuleList(SignTranslatorEncoderLayer(config, size) for size in sizes)
        self.dropout = SignTranslatorDropout(config.hidden_dropout, config.variational_dropout)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """(B, S) ids and mask → (B, S, encoder_size). There is no self-attention to give out."""
        size = self.config.source_vocab_size
        if (
            not (torch.jit.is_tracing() or torch.compiler.is_compiling())  # where ids are not numbers
            and input_ids.numel()
            and not 0 <= int(input_ids.min()) <= int(input_ids.max()) < size
        ):
            raise ValueError(
                f"Source tokens run from {int(input_ids.min())} to {int(input_ids.max())}; the model has 0 to {size - 1}: "
                "use the processor that was saved with it."
            )
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        turned = reversal(mask)
        if self.training:
            input_ids = drop_tokens(input_ids, self.config.source_token_dropout, self.config.unk_token_id)
        hidden = self.embedding_dropout(self.embed_tokens(input_ids))
        hidden_states = [hidden]
        for number, layer in enumerate(self.layers):
            states = self.dropout(layer(hidden, turned))
            hidden = states if number == 0 else hidden + states
            hidden_states.append(hidden)
        return BaseModelOutput(
            last_hidden_state=hidden, hidden_states=tuple(hidden_states) if output_hidden_states else None
        )


def drop_tokens(ids: torch.Tensor, share: float, unknown: int) -> torch.Tensor:
    """Some ids replaced by ``unknown``; the special ones, which are all up to it, stay."""
    if share == 0:
        return ids
    return ids.masked_fill((torch.rand(ids.shape, device=ids.device) < share) & (ids > unknown), unknown)


class SignTranslatorAttention(nn.Module):
    """Additive attention (Bahdanau et al. 2015): score = v · tanh(W query + U source)."""

    def __init__(self, config: SignTranslatorConfig) -> None:
        super().__init__()
        self.query = nn.Linear(config.hidden_size, config.attention_size, bias=False)
        self.key = nn.Linear(config.encoder_size, config.attention_size)
        self.score = nn.Linear(config.attention_size, 1, bias=False)

    def forward(self, query: torch.Tensor, keys: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Weights (…, S) of mapped queries (…, 1, A) on keys (…, S, A); ``bias`` is 0 for real tokens, very low for padding."""
        return (self.score(torch.tanh(query + keys)).squeeze(-1) + bias).softmax(-1)


class SignTranslatorRecurrence(GradientCheckpointingLayer):
    """The decoder's first layer with its attention."""

    def __init__(self, config: SignTranslatorConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = SignTranslatorAttention(config)
        input_size = config.embedding_size + (config.encoder_size if config.input_feeding else 0)
        self.gru = SignTranslatorGRU(input_size, config.hidden_size, config.recurrent_dropout)

    def memory(self, source: torch.Tensor) -> Cache:
        """What the source alone decides: keys and, with input feeding, its share of the gates."""
        keys = self.attention.key(source)
        if not self.config.input_feeding:
            return (keys,)
        return keys, F.linear(source, self.gru.weight_ih_l0[:, self.config.embedding_size :])

    def forward(
        self, embedded: torch.Tensor, state: torch.Tensor, bias: torch.Tensor, *memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, L, E) words and the (B, H) state before them → (B, L, H) states, (B, L, S) weights, the last state."""
        if not self.config.input_feeding:
            states, last = self.gru(embedded, state)
            query = self.attention.query(states).unsqueeze(2)
            return states, self.attention(query, memory[0].unsqueeze(1), bias.unsqueeze(1)), last
        keys, source_gates = memory
        size, gru = self.config.hidden_size, self.gru
        word_gates = F.linear(embedded, gru.weight_ih_l0[:, : self.config.embedding_size], gru.bias_ih_l0)
        # One product for the gates and the query, since both start from the last state.
        weight = torch.cat([gru.recurrent_weight(), self.attention.query.weight])
        weight_bias = F.pad(gru.bias_hh_l0, (0, self.config.attention_size))
        states, all_weights = [], []
        for word in word_gates.unbind(1):
            old, query = F.linear(state, weight, weight_bias).split([3 * size, self.config.attention_size], dim=-1)
            weights = self.attention(query.unsqueeze(1), keys, bias)
            new = word + torch.bmm(weights.unsqueeze(1), source_gates).squeeze(1)
            open_gates = (new[:, : 2 * size] + old[:, : 2 * size]).sigmoid()
            reset, update = open_gates.chunk(2, dim=-1)
            candidate = torch.addcmul(new[:, 2 * size :], reset, old[:, 2 * size :]).tanh()
            # Under autocast the gates may be in half precision and the state not yet, or no longer.
            state = torch.lerp(candidate.to(state.dtype), state, update.to(state.dtype))
            states.append(state)
            all_weights.append(weights)
        return torch.stack(states, 1), torch.stack(all_weights, 1), state


class SignTranslatorDecoder(nn.Module):
    """Words so far → what the output layer reads."""

    def __init__(self, config: SignTranslatorConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embedding_size, config.pad_token_id)
        self.embedding_dropout = SignTranslatorDropout(config.embedding_dropout, config.variational_dropout)
        self.start = nn.Linear(config.encoder_size, config.num_hidden_layers * config.hidden_size)
        self.recurrence = SignTranslatorRecurrence(config)
        self.layers = nn.ModuleList(
            SignTranslatorGRU(config.hidden_size, config.hidden_size, config.recurrent_dropout)
            for _ in range(config.num_hidden_layers - 1)
        )
        self.readout = nn.Linear(
            config.hidden_size + config.encoder_size + config.embedding_size, config.embedding_size
        )
        self.dropout = SignTranslatorDropout(config.hidden_dropout, config.variational_dropout)

    def begin(self, source: torch.Tensor, mask: torch.Tensor) -> Cache:
        """The cache before the first word: states from the mean of the source, and its memory."""
        real = mask.to(source.dtype).unsqueeze(-1)
        mean = (source * real).sum(1) / real.sum(1).clamp(min=1)
        states = self.start(mean).tanh().view(source.shape[0], self.config.num_hidden_layers, self.config.hidden_size)
        return states.transpose(0, 1), *self.recurrence.memory(source)

    def forward(
        self, ids: torch.Tensor, source: torch.Tensor, mask: torch.Tensor, cache: Cache | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, Cache]:
        """(B, L) ids and the (B, S, encoder_size) source with its mask → (B, L, E), (B, L, S) weights, the cache after them."""
        old, *memory = self.begin(source, mask) if cache is None else cache
        bias = torch.zeros_like(mask, dtype=source.dtype).masked_fill(mask == 0, torch.finfo(source.dtype).min)
        embedded = self.embedding_dropout(self.embed_tokens(ids))
        hidden, weights, last = self.recurrence(embedded, old[0], bias, *memory)
        new = [last]
        for layer, state in zip(self.layers, old[1:]):
            above, last = layer(self.dropout(hidden), state)
            hidden = hidden + above
            new.append(last)
        read = torch.cat([hidden, torch.bmm(weights.to(source.dtype), source), embedded], dim=-1)
        return self.dropout(self.readout(read).tanh()), weights, (torch.stack(new), *memory)


__all__ = ["Cache", "SignTranslatorDecoder", "SignTranslatorEncoder", "drop_tokens", "reversal"]
