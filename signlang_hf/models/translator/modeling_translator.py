"""Gloss-to-text translator: GRU encoder-decoder with Bahdanau attention. Self-contained: it travels to the Hub with its weights.

Design decisions:

* The cache is a tuple: the states, and what was computed from the source alone. Beams only change places within a sentence, so
  only the states follow them.
* Scheduled sampling is done in two passes: one without gradients that finds out what the decoder reads, word by word, and the
  usual one over that. Which word is the best has no gradient, so nothing is lost.
* Label smoothing is of training alone: a validation loss means the same whatever the setting.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput, Seq2SeqModelOutput
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_translator import SignTranslatorConfig
from .modeling_translator_layers import Cache, SignTranslatorDecoder, SignTranslatorEncoder, drop_tokens


@dataclass
class SignTranslatorScores(ModelOutput):
    """What a translator thinks of given sentences: ``log_probs`` (B, L) natural logarithms of their tokens, 0 where there is none;
    ``attentions`` (B, L, S) which source token each of them looked at."""

    log_probs: torch.FloatTensor | None = None
    attentions: torch.FloatTensor | None = None


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
    _auto_classes = {  # noqa: RUF012
        "AutoModel": "SignTranslatorModel",
        "AutoModelForSeq2SeqLM": "SignTranslatorForConditionalGeneration",
    }

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

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """As in transformers, and the folder's remote code serves every Auto class that loads the family."""
        if type(self)._auto_class is not None:
            # transformers lists only the class that is being saved.
            module = type(self).__module__.rpartition(".")[2]
            self.config.auto_map = {auto: f"{module}.{name}" for auto, name in self._auto_classes.items()}
        super().save_pretrained(save_directory, *args, **kwargs)

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
            encoder_hidden_states=getattr(encoder_outputs, "hidden_states", None) if output_hidden_states else None,
        )


class SignTranslatorGenerationMixin(GenerationMixin):
    """What every translator of this family does alike with words: reads them step by step, and scores given sentences.

    transformers looks for "GenerationMixin" in the names of a model's bases to know that it generates.
    """

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # the cache is made of states, not of keys and values

    def check_labels(self, labels: torch.Tensor) -> None:
        """Raise ValueError for (B, L) labels that the model does not have, and for nothing but padding."""
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


class SignTranslatorForConditionalGeneration(SignTranslatorPreTrainedModel, SignTranslatorGenerationMixin):
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
            self.check_labels(labels)
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

    def _reorder_cache(self, past_key_values: Cache, beam_idx: torch.Tensor) -> Cache:
        states, *memory = past_key_values
        return states.index_select(1, beam_idx), *memory


__all__ = ["SignTranslatorForConditionalGeneration", "SignTranslatorModel", "SignTranslatorScores"]
