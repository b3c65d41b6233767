"""Gloss-to-text translator: GRU encoder, GRU decoder, Bahdanau attention. Self-contained: it travels to the Hub with its weights.

Design decisions:

* Only what has to wait for the last step is done in the loop over target words: the state, the attention's query and the gates.
  Keys, the words' share of the gates and the output layer are single products over all steps, before and after it.
* The context enters the gates through a linear map, so the source is mapped once and the attention weighs the mapped source:
  a step multiplies with no more than it must. Layers above the first need no attention and run fused over all steps.
* The cache is a tuple: the states, and what was computed from the source alone. Beams only change places within a sentence, so
  only the states follow them.
* Scheduled sampling is done in two passes: one without gradients that finds out what the decoder reads, word by word, and the
  usual one over that. Which word is the best has no gradient, so nothing is lost.
* The backward direction reads each sentence from its own last token: padding reaches no real token, in either direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput, Seq2SeqModelOutput
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_translator import SignTranslatorConfig

Cache = tuple[torch.Tensor, ...]
"""(layers, B, H) states, (B, S, A) keys of the attention and, with input feeding, (B, S, 3 · H) of the source in the gates."""


@dataclass
class SignTranslatorScores(ModelOutput):
    """What a translator thinks of given sentences: ``log_probs`` (B, L) natural logarithms of their tokens, 0 where there is none;
    ``attentions`` (B, L, S) which source token each of them looked at."""

    log_probs: torch.FloatTensor | None = None
    attentions: torch.FloatTensor | None = None


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
            not torch.jit.is_tracing()
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
            state = torch.lerp(candidate, state, update)
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
        states = self.start(mean).tanh().view(len(source), self.config.num_hidden_layers, self.config.hidden_size)
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


class SignTranslatorPreTrainedModel(PreTrainedModel):
    """What both translators share."""

    config_class = SignTranslatorConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    # Without this the Trainer would take over the loss scaling and multiply it by the accumulation steps.
    accepts_loss_kwargs = False
    _is_stateful = True
    _no_split_modules = ("SignTranslatorEncoderLayer", "SignTranslatorRecurrence")

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
            if module.padding_idx is not None:
                nn.init.zeros_(module.weight[module.padding_idx])
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GRU):
            for gate in module.weight_ih_l0.chunk(3):
                nn.init.xavier_uniform_(gate)
            for gate in module.weight_hh_l0.chunk(3):
                nn.init.orthogonal_(gate)
            nn.init.zeros_(module.bias_ih_l0)
            nn.init.zeros_(module.bias_hh_l0)

    def get_input_embeddings(self) -> nn.Embedding:
        """The target's embeddings, which the output layer may share."""
        return self.get_decoder().embed_tokens

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.get_decoder().embed_tokens = value


class SignTranslatorModel(SignTranslatorPreTrainedModel):
    """Encoder and decoder without the output layer."""

    def __init__(self, config: SignTranslatorConfig) -> None:
        super().__init__(config)
        self.encoder = SignTranslatorEncoder(config)
        self.decoder = SignTranslatorDecoder(config)
        self.post_init()

    def get_encoder(self, *args: Any, **kwargs: Any) -> nn.Module:
        return self.encoder

    def get_decoder(self) -> nn.Module:
        return self.decoder

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> Seq2SeqModelOutput:
        """As :meth:`SignTranslatorForConditionalGeneration.forward`; ``last_hidden_state`` is (B, L, embedding_size)."""
        if decoder_input_ids is None:
            raise ValueError("The decoder has nothing to read: give labels or decoder_input_ids.")
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask, output_hidden_states=output_hidden_states)
        source = encoder_outputs[0]
        mask = source.new_ones(source.shape[:2], dtype=torch.long) if attention_mask is None else attention_mask
        if self.training:
            decoder_input_ids = drop_tokens(
                decoder_input_ids, self.config.target_token_dropout, self.config.unk_token_id
            )
        hidden, weights, cache = self.decoder(decoder_input_ids, source, mask, past_key_values)
        return Seq2SeqModelOutput(
            last_hidden_state=hidden,
            past_key_values=cache if use_cache else None,
            decoder_hidden_states=(hidden,) if output_hidden_states else None,
            cross_attentions=(weights.unsqueeze(1),) if output_attentions else None,
            encoder_last_hidden_state=source,
            encoder_hidden_states=encoder_outputs.get("hidden_states") if output_hidden_states else None,
        )


class SignTranslatorForConditionalGeneration(SignTranslatorPreTrainedModel, GenerationMixin):
    """Glosses → words of the spoken language.

    Attributes:
        teacher_forcing_ratio: how often the decoder reads the right last word in training; a schedule may set it at any time.
    """

    _tied_weights_keys = {"lm_head.weight": "model.decoder.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: SignTranslatorConfig) -> None:
        super().__init__(config)
        self.model = SignTranslatorModel(config)
        self.lm_head = nn.Linear(config.embedding_size, config.vocab_size)
        self.teacher_forcing_ratio = config.teacher_forcing_ratio
        self.post_init()
        # transformers writes 20 tokens unless told; a sentence may be longer.
        self.generation_config.max_length = config.max_target_positions

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # the cache is made of states, not of keys and values

    def get_encoder(self, *args: Any, **kwargs: Any) -> nn.Module:
        return self.model.encoder

    def get_decoder(self) -> nn.Module:
        return self.model.decoder

    def get_output_embeddings(self) -> nn.Linear:
        return self.lm_head

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.lm_head = value

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: Cache | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """
        Args:
            input_ids: (B, S) source tokens, as :class:`SignTranslatorProcessor` makes them.
            attention_mask: (B, S), 1 for real tokens and 0 for padding behind them; default all real.
            decoder_input_ids: (B, L) target tokens so far, the start token first; made from ``labels`` where not given.
            encoder_outputs: the encoder's states, in place of ``input_ids``.
            past_key_values: the cache that the last call returned; ``decoder_input_ids`` then go on from there.
            labels: (B, L) target tokens with the end token, -100 for padding; with them the output has a cross-entropy ``loss``,
                the mean over real tokens.

        Returns:
            ``logits`` (B, L, vocab_size) and, on request, ``cross_attentions``: one (B, 1, L, S), whose rows sum to 1.

        Raises:
            ValueError: a token or label that the model does not have, or nothing to read for the decoder.
        """
        if labels is not None:
            self._check_labels(labels)
            if encoder_outputs is None:
                encoder_outputs = self.model.encoder(input_ids, attention_mask)
            if decoder_input_ids is None:
                decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
                if self.training and self.teacher_forcing_ratio < 1:
                    decoder_input_ids = self.own_words(decoder_input_ids, encoder_outputs[0], attention_mask)
        if use_cache is None:
            use_cache = labels is None and self.config.use_cache
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            encoder_outputs=encoder_outputs,
            past_key_values=past_key_values,
            use_cache=use_cache,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        logits = self.lm_head(outputs.last_hidden_state)
        loss = None
        if labels is not None:
            smoothing = self.config.label_smoothing if self.training else 0.0
            loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), label_smoothing=smoothing)
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            decoder_hidden_states=outputs.decoder_hidden_states,
            cross_attentions=outputs.cross_attentions,
            encoder_last_hidden_state=outputs.encoder_last_hidden_state,
            encoder_hidden_states=outputs.encoder_hidden_states,
        )

    def _check_labels(self, labels: torch.Tensor) -> None:
        bad = (labels != -100) & ((labels < 0) | (labels >= self.config.vocab_size))
        if bad.any():
            raise ValueError(
                f"There is a label {int(labels[bad][0])}; the model has labels 0 to {self.config.vocab_size - 1}, and -100 for padding."
            )
        if not (labels != -100).any():
            raise ValueError("The labels are nothing but padding; every sentence needs at least its end token.")

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """(B, L) labels → what the decoder reads to say them: one step later, the start token first."""
        start = labels.new_full((len(labels), 1), self.config.decoder_start_token_id)
        shifted = torch.cat([start, labels[:, :-1]], dim=1)
        return shifted.masked_fill(shifted == -100, self.config.pad_token_id)

    @torch.no_grad()
    def own_words(
        self, decoder_input_ids: torch.Tensor, source: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Scheduled sampling: each word but the first is kept with probability ``teacher_forcing_ratio``, and else replaced by what
        the decoder says itself after the words before it."""
        mask = source.new_ones(source.shape[:2], dtype=torch.long) if attention_mask is None else attention_mask
        own = torch.rand(decoder_input_ids.shape, device=source.device) >= self.teacher_forcing_ratio
        read = [decoder_input_ids[:, 0]]
        cache = None
        for step in range(1, decoder_input_ids.shape[1]):
            hidden, _, cache = self.model.decoder(read[-1][:, None], source, mask, cache)
            best = self.lm_head(hidden[:, 0]).argmax(-1)
            read.append(torch.where(own[:, step], best, decoder_input_ids[:, step]))
        return torch.stack(read, dim=1)

    @torch.no_grad()
    def score(
        self, sequences: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> SignTranslatorScores:
        """How likely given sentences are, and where each of their tokens looked: for confidences, n-best lists and alignments.

        Args:
            sequences: (B, 1 + L) as ``generate`` returns them, the start token first; what follows the end token does not count.
            input_ids, attention_mask: (B, S) source; repeat each row for n-best lists.
        """
        output = self(
            input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=sequences[:, :-1],
            use_cache=False, output_attentions=True, return_dict=True,
        )  # fmt: skip
        targets = sequences[:, 1:]
        ended = (targets == self.config.eos_token_id).long()
        real = (ended.cumsum(1) - ended == 0) & (targets != self.config.pad_token_id)
        log_probs = output.logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        return SignTranslatorScores(log_probs=log_probs * real, attentions=output.cross_attentions[0].squeeze(1))

    def prepare_inputs_for_generation(
        self,
        decoder_input_ids: torch.Tensor,
        past_key_values: Cache | None = None,
        attention_mask: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """With a cache only the last word is still to be read."""
        return {
            "decoder_input_ids": decoder_input_ids if past_key_values is None else decoder_input_ids[:, -1:],
            "past_key_values": past_key_values,
            "attention_mask": attention_mask,
            "encoder_outputs": encoder_outputs,
            "use_cache": use_cache,
            "output_attentions": kwargs.get("output_attentions"),
            "output_hidden_states": kwargs.get("output_hidden_states"),
        }

    def _reorder_cache(self, past_key_values: Cache, beam_idx: torch.Tensor) -> Cache:
        states, *memory = past_key_values
        return states.index_select(1, beam_idx), *memory


__all__ = ["SignTranslatorForConditionalGeneration", "SignTranslatorModel", "SignTranslatorScores"]
