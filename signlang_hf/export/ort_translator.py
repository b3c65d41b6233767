"""The translator in onnxruntime: ``generate`` with greedy, beam and sampled search, and ``score``, as torch's model has them.

Design decisions:

* The search is transformers' own, and so are the few lines of this family that it needs; only the two graphs are run elsewhere. So
  the same words come out.
* The decoder says one word a run. Given sentences (``score``) are read word by word: at some dozen words that costs no more than a
  graph with a loop in it.
* What the search carries from word to word is (states, memory), both batch first, see :mod:`.translator_graphs`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM, GenerationConfig, PretrainedConfig
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.utils import ModelOutput

from ..models.loading import processor_settings
from ..models.translator.modeling_translator import SignTranslatorGenerationMixin
from .ort_models import SignORTModel, checked_config
from .providers import open_session
from .record import DECODER, ENCODER, ExportRecord

Cache = tuple[torch.Tensor, torch.Tensor]


@dataclass
class ORTSignEncoderOutput(ModelOutput):
    """``last_hidden_state`` (B, S, E), and what the decoder starts from: ``states`` (B, N) and ``memory`` (B, S, M)."""

    last_hidden_state: torch.FloatTensor | None = None
    states: torch.FloatTensor | None = None
    memory: torch.FloatTensor | None = None


class ORTSignEncoder:
    """The encoder's graph, called as the search calls an encoder."""

    main_input_name = "input_ids"

    def __init__(self, session: Any, config: PretrainedConfig, device: torch.device) -> None:
        self.session, self.config, self.device = session, config, device

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> ORTSignEncoderOutput:
        """(B, S) ids and mask. Raises ValueError for a token that the model does not have, or none at all."""
        size = self.config.source_vocab_size
        low, high = (int(input_ids.min()), int(input_ids.max())) if input_ids.numel() else (0, -1)
        if not 0 <= low <= high < size:
            raise ValueError(
                f"Source tokens run from {low} to {high}; the model has 0 to {size - 1}: use the processor that was exported with it."
            )
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        answers = self.session.run(None, {"input_ids": _ints(input_ids), "attention_mask": _ints(mask)})
        names = [output.name for output in self.session.get_outputs()]
        return ORTSignEncoderOutput(
            **{name: torch.from_numpy(answer).to(self.device) for name, answer in zip(names, answers)}
        )

    __call__ = forward


class ORTModelForSignTranslator(SignTranslatorGenerationMixin, SignORTModel):
    """Glosses → words, by one translator or an ensemble of them."""

    model_types = ("signlang_translator", "signlang_translator_ensemble")
    auto_model_class = AutoModelForSeq2SeqLM
    main_input_name = "input_ids"
    base_model_prefix = "model"
    _is_stateful = True

    def __init__(self, *, encoder_session: Any, generation_config: GenerationConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = ORTSignEncoder(encoder_session, self.config, self.device)
        self.generation_config = generation_config

    @classmethod
    def _open(cls, folder: str, record: ExportRecord, session: dict[str, Any]) -> Any:
        config = checked_config(folder, cls.model_types, cls.__name__)
        half = record.precision == "float16"
        encoder, decoder = (open_session(Path(folder, name), half=half, **session) for name in (ENCODER, DECODER))
        model = cls(
            config=config, session=decoder, encoder_session=encoder, use_io_binding=False,
            generation_config=GenerationConfig.from_pretrained(folder),
        )  # fmt: skip
        model.record, model.session_settings = record, session
        model._check_graph(folder)
        return model

    def _check_graph(self, folder: str) -> None:
        words = self.output_shapes["logits"][-1]
        settings = processor_settings(folder) or {}
        made = None
        if "source_vocabulary" in settings:
            from ..models.translator import SignTranslatorProcessor

            made = SignTranslatorProcessor.from_pretrained(folder).target_vocabulary_size
        for what, size in (("configuration", self.config.vocab_size), ("processor", made)):
            if size is not None and size != words:
                raise ValueError(
                    f"{DECODER} in {folder} knows {words} words and the {what} beside it says {size}; they were not exported together."
                )

    def get_encoder(self, *args: Any, **kwargs: Any) -> ORTSignEncoder:
        return self.encoder

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: ORTSignEncoderOutput | None = None,
        past_key_values: Cache | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """As of torch's model: ``logits`` (B, L, V), the cache, and on request ``cross_attentions``.

        Raises:
            ValueError: nothing to read for the decoder, an encoder's output of another model, or labels, which need a model of torch.
        """
        if labels is not None:
            raise ValueError(
                f"{type(self).__name__} computes no loss; train and measure losses with the model of torch."
            )
        if decoder_input_ids is None:
            raise ValueError("The decoder has nothing to read: give decoder_input_ids.")
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask)
        if getattr(encoder_outputs, "memory", None) is None:
            raise ValueError("encoder_outputs must be what get_encoder() of this model gave; torch's say too little.")
        source = encoder_outputs.last_hidden_state
        mask = torch.ones(source.shape[:2]) if attention_mask is None else attention_mask
        states, memory = (
            (encoder_outputs.states, encoder_outputs.memory) if past_key_values is None else past_key_values
        )
        feeds = {
            "encoder_hidden_states": source.numpy(force=True), "attention_mask": _ints(mask),
            "memory": memory.numpy(force=True), "states": states.numpy(force=True),
        }  # fmt: skip
        logits, attentions = [], []
        for place in range(decoder_input_ids.shape[1]):
            feeds["decoder_input_ids"] = _ints(decoder_input_ids[:, place : place + 1])
            word, looked, feeds["states"] = self.session.run(["logits", "cross_attentions", "new_states"], feeds)
            logits.append(word)
            attentions.append(looked)
        weights = torch.from_numpy(np.concatenate(attentions, axis=1)).to(self.device).unsqueeze(1)
        return Seq2SeqLMOutput(
            logits=torch.from_numpy(np.concatenate(logits, axis=1)).to(self.device),
            past_key_values=(torch.from_numpy(feeds["states"]).to(self.device), memory),
            cross_attentions=(weights,) if output_attentions else None,
            encoder_last_hidden_state=source,
        )

    def _reorder_cache(self, past_key_values: Cache, beam_idx: torch.Tensor) -> Cache:
        states, memory = past_key_values
        return states.index_select(0, beam_idx.to(states.device)), memory

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Configuration, both graphs, the settings of the search, and the record."""
        super().save_pretrained(save_directory, *args, **kwargs)
        encoder = Path(self.encoder.session._model_path)
        target = Path(save_directory, ENCODER)
        if encoder.resolve() != target.resolve():
            target.write_bytes(encoder.read_bytes())
        self.generation_config.save_pretrained(save_directory)


def _ints(values: torch.Tensor) -> np.ndarray:
    return values.numpy(force=True).astype(np.int64, copy=False)


__all__ = ["ORTModelForSignTranslator", "ORTSignEncoder", "ORTSignEncoderOutput"]
