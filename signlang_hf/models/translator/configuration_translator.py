"""Configuration of the gloss-to-text translator. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class SignTranslatorConfig(PretrainedConfig):
    """Settings of :class:`SignTranslatorForConditionalGeneration`.

    Args:
        source_vocab_size: number of source tokens with the four special ones; ``len(processor.source_vocabulary)`` gives it.
        vocab_size: number of target tokens with the four special ones; ``processor.target_vocabulary_size`` gives it.
        embedding_size: width of token embeddings on both sides, and of the layer before the output.
        hidden_size: width of the decoder's state, and of the encoder's in each direction.
        attention_size: width in which Bahdanau's attention compares; default ``hidden_size``.
        num_hidden_layers: layers of the encoder and of the decoder.
        bidirectional: the encoder reads the glosses in both directions.
        input_feeding: the context of the attention enters the recurrence (Bahdanau et al. 2015), step by step. Without it the
            decoder reads the words alone and the attention looks from its states, so that training needs no loop.
        embedding_dropout: on embeddings of both sides.
        hidden_dropout: on the encoder's states, between layers, and before the output.
        recurrent_dropout: on the weights from state to state, drawn once a batch (DropConnect, Merity et al. 2018).
        variational_dropout: embeddings and output lose the same units in all steps of a sentence (Gal & Ghahramani 2016).
        source_token_dropout, target_token_dropout: share of the tokens that are read as ``<unk>`` in training.
        label_smoothing: of the training loss, in [0, 1).
        teacher_forcing_ratio: how often the decoder reads the right last word in training rather than its own (Bengio et al. 2015);
            what the model's attribute of this name starts with, and a schedule ends at.
        tie_word_embeddings: the output layer shares its weights with the target's embeddings.
        max_target_positions: how many tokens ``generate`` writes at most unless it is told otherwise.
        initializer_range: standard deviation of the initial embeddings.
        use_cache: ``generate`` keeps states from word to word.
        pad_token_id, bos_token_id, eos_token_id, unk_token_id, decoder_start_token_id: special tokens, alike on both sides, as
            :class:`SignTranslatorProcessor` numbers them.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_translator"
    is_encoder_decoder = True
    # What the Trainer need not gather from the output in evaluation: everything but the logits.
    keys_to_ignore_at_inference = [  # noqa: RUF012
        "past_key_values", "cross_attentions", "decoder_hidden_states", "encoder_last_hidden_state", "encoder_hidden_states"
    ]  # fmt: skip

    def __init__(
        self,
        source_vocab_size: int = 1100,
        vocab_size: int = 2900,
        embedding_size: int = 256,
        hidden_size: int = 256,
        attention_size: int | None = None,
        num_hidden_layers: int = 1,
        bidirectional: bool = True,
        input_feeding: bool = True,
        embedding_dropout: float = 0.3,
        hidden_dropout: float = 0.3,
        recurrent_dropout: float = 0.0,
        variational_dropout: bool = False,
        source_token_dropout: float = 0.0,
        target_token_dropout: float = 0.0,
        label_smoothing: float = 0.1,
        teacher_forcing_ratio: float = 0.5,
        tie_word_embeddings: bool = True,
        max_target_positions: int = 64,
        initializer_range: float = 0.1,
        use_cache: bool = True,
        pad_token_id: int = 0,
        bos_token_id: int = 1,
        eos_token_id: int = 2,
        unk_token_id: int = 3,
        decoder_start_token_id: int = 1,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("is_encoder_decoder", None)  # always so; the saved copy is for transformers
        self.source_vocab_size = source_vocab_size
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.attention_size = hidden_size if attention_size is None else attention_size
        self.num_hidden_layers = num_hidden_layers
        self.bidirectional = bidirectional
        self.input_feeding = input_feeding
        self.embedding_dropout = embedding_dropout
        self.hidden_dropout = hidden_dropout
        self.recurrent_dropout = recurrent_dropout
        self.variational_dropout = variational_dropout
        self.source_token_dropout = source_token_dropout
        self.target_token_dropout = target_token_dropout
        self.label_smoothing = label_smoothing
        self.teacher_forcing_ratio = teacher_forcing_ratio
        self.max_target_positions = max_target_positions
        self.initializer_range = initializer_range
        self.use_cache = use_cache
        self.unk_token_id = unk_token_id
        # Version 5 declares none of these any more, so they are kept here and handed on.
        self.tie_word_embeddings = tie_word_embeddings
        self.pad_token_id = pad_token_id
        self.bos_token_id = bos_token_id
        self.eos_token_id = eos_token_id
        self.decoder_start_token_id = decoder_start_token_id
        super().__init__(
            is_encoder_decoder=True,
            tie_word_embeddings=tie_word_embeddings,
            pad_token_id=pad_token_id,
            bos_token_id=bos_token_id,
            eos_token_id=eos_token_id,
            decoder_start_token_id=decoder_start_token_id,
            **kwargs,
        )
        self.check()

    @property
    def encoder_size(self) -> int:
        """Width of the encoder's states."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    def check(self) -> None:
        """Refuse settings that no model can be built from."""
        for name in (
            "embedding_size", "hidden_size", "attention_size", "num_hidden_layers", "max_target_positions"
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("source_vocab_size", "vocab_size"):
            if getattr(self, name) <= self.unk_token_id:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it must leave room for the special tokens 0 to {self.unk_token_id}."
                )
        for name in (
            "embedding_dropout", "hidden_dropout", "recurrent_dropout", "source_token_dropout", "target_token_dropout",
            "label_smoothing",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1).")
        if not 0 <= self.teacher_forcing_ratio <= 1:
            raise ValueError(f"teacher_forcing_ratio is {self.teacher_forcing_ratio}; it must be in [0, 1].")


__all__ = ["SignTranslatorConfig"]
