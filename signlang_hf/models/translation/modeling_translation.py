"""A recogniser and a translator as one model: landmarks → glosses → sentence. Self-contained: it travels beside its members.

Design decisions:

* Members keep their own folders, written and read by the Auto classes; no other family is imported. The model has no weights of its
  own, but one thing that belongs to neither: which of the translator's tokens a gloss of the recogniser is.
* A gloss that the translator does not know stays in its place as ``<unk>``: nothing is lost, and the rest is translated.
* The glosses are the best of each frame, repeats and blanks taken out. Better decoding (beams, a language model) is a matter of the
  pipeline, which runs the members itself.
* Glosses are chosen, not weighed, so a loss on the sentence trains the translator alone, on what the recogniser really sees.
* Where no gloss is seen, nothing is said.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub import snapshot_download
from torch import nn
from transformers import (
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoModelForSeq2SeqLM,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_translation import SignTranslationConfig

logger = logging.getLogger(__name__)

MEMBERS = {"recognizer": AutoModelForCTC, "translator": AutoModelForSeq2SeqLM}
"""Sub-folder of each member, and what loads it."""
# Arguments of from_pretrained that say where the files are, and those that transformers adds for itself.
_WHERE = ("cache_dir", "force_download", "local_files_only", "revision", "token")
_INTERNAL = (
    "_commit_hash",
    "_from_auto",
    "_from_pipeline",
    "adapter_kwargs",
    "code_revision",
    "proxies",
    "resume_download",
)


@dataclass
class SignTranslationOutput(ModelOutput):
    """Output of both members: ``loss`` (with labels), ``logits`` (B, L, words), ``gloss_logits`` (B, T', glosses) log-probabilities,
    ``source_ids`` (B, S) the glosses that were translated, as the translator's tokens, and on request ``cross_attentions``."""

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    gloss_logits: torch.FloatTensor | None = None
    source_ids: torch.LongTensor | None = None
    cross_attentions: tuple[torch.FloatTensor, ...] | None = None


class SignTranslationModel(PreTrainedModel):
    """A recogniser and a translator that work together. :meth:`from_recognizer_translator_pretrained` makes one of two folders,
    ``from_pretrained`` loads one.

    Args:
        config: its settings.
        recognizer: a model of glosses over time (``AutoModelForCTC``).
        translator: a model from glosses to words (``AutoModelForSeq2SeqLM``).

    Raises:
        ValueError: a member is missing, or they do not belong together.
    """

    config_class = SignTranslationConfig
    main_input_name = "input_values"
    supports_gradient_checkpointing = True
    # Without this the Trainer would take over the loss scaling and multiply it by the accumulation steps.
    accepts_loss_kwargs = False

    def __init__(
        self,
        config: SignTranslationConfig,
        recognizer: PreTrainedModel | None = None,
        translator: PreTrainedModel | None = None,
    ) -> None:
        super().__init__(config)
        if recognizer is None or translator is None:
            raise ValueError(
                "A translation model is made of a trained recogniser and a trained translator; "
                "from_recognizer_translator_pretrained() puts two together."
            )
        self.recognizer = recognizer
        self.translator = translator
        # What was saved of them is for readers; the members themselves know.
        config.recognizer = _plain(recognizer.config)
        config.translator = _plain(translator.config)
        config.check()
        self.post_init()

    @classmethod
    def from_recognizer_translator_pretrained(
        cls,
        recognizer: str | os.PathLike | PreTrainedModel,
        translator: str | os.PathLike | PreTrainedModel,
        *,
        recognizer_processor: Any = None,
        translator_processor: Any = None,
        **settings: Any,
    ) -> SignTranslationModel:
        """One model of two trained ones; a warning names the recogniser's glosses that the translator does not know.

        Args:
            recognizer, translator: folders or Hub ids, or loaded models.
            recognizer_processor, translator_processor: their processors; default those that lie in the folders.
            **settings: of ``from_pretrained``, such as ``dtype``, for members that are loaded.

        Raises:
            ValueError: a loaded model without its processor, or members that do not belong together.
        """
        models, processors = {}, {"recognizer": recognizer_processor, "translator": translator_processor}
        for (name, auto), given in zip(MEMBERS.items(), (recognizer, translator)):
            if isinstance(given, PreTrainedModel):
                models[name] = given
                if processors[name] is None:
                    raise ValueError(f"The {name} is given as a model; give its processor as {name}_processor too.")
                continue
            try:
                models[name] = auto.from_pretrained(os.fspath(given), **settings)
            except ValueError as error:
                if "Unrecognized configuration class" not in str(error):
                    raise
                # instead of a list of all the configurations that transformers knows
                raise ValueError(f"{given} cannot be the {name}: it is no model for {auto.__name__}.") from None
            if processors[name] is None:
                processors[name] = AutoFeatureExtractor.from_pretrained(
                    os.fspath(given),
                    **{key: settings[key] for key in (*_WHERE, "trust_remote_code") if key in settings},
                )
        config = cls.config_class(
            recognizer=_plain(models["recognizer"].config),
            translator=_plain(models["translator"].config),
            gloss_tokens=joined(processors["recognizer"], processors["translator"]),
            blank_token_id=processors["recognizer"].blank_token_id,
        )
        return cls(config, **models).eval()

    def init_weights(self) -> None:
        """Nothing: the members bring their weights."""

    def get_input_embeddings(self) -> nn.Module:
        return self.recognizer.get_input_embeddings()

    @torch.no_grad()
    def recognize(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[list[int]]]:
        """(B, T, F) features → (B, T', glosses) log-probabilities, and each clip's glosses as columns, the best of each frame."""
        log_probs = self.recognizer(input_values, attention_mask).logits
        blank = self.config.blank_token_id
        runs = [torch.unique_consecutive(row).tolist() for row in log_probs.argmax(-1)]
        return log_probs, [[one for one in run if one != blank] for run in runs]

    def source(self, glosses: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Columns of the recogniser → the translator's padded (B, S) ids and their mask.

        Raises:
            ValueError: nobody said how the two vocabularies belong together.
        """
        if self.config.gloss_tokens is None:
            raise ValueError(
                "The model does not know which gloss of the recogniser is which of the translator (gloss_tokens); "
                "put the two together with from_recognizer_translator_pretrained()."
            )
        end, padding = self.translator.config.eos_token_id, self.translator.config.pad_token_id
        rows = [[*(token for one in row for token in self.config.gloss_tokens[one]), end] for row in glosses]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        device = self.translator.device  # asked of the model, which may run elsewhere than in torch
        return ids.to(device), mask.to(device)

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        output_attentions: bool | None = None,
    ) -> SignTranslationOutput:
        """
        Args:
            input_values: (B, T, F) float features, as the recogniser's processor makes them.
            attention_mask: (B, T), 1 for real frames and 0 for padding; default all real.
            labels: (B, L) words of the sentence, as the translator's processor makes them, -100 for padding.
            decoder_input_ids: (B, L) words so far; made from ``labels`` where not given.

        Raises:
            ValueError: what the members refuse.
        """
        log_probs, glosses = self.recognize(input_values, attention_mask)
        source_ids, mask = self.source(glosses)
        output = self.translator(
            input_ids=source_ids, attention_mask=mask, labels=labels, decoder_input_ids=decoder_input_ids,
            use_cache=False, output_attentions=output_attentions, return_dict=True,
        )  # fmt: skip
        return SignTranslationOutput(
            loss=output.loss,
            logits=output.logits,
            gloss_logits=log_probs,
            source_ids=source_ids,
            cross_attentions=output.cross_attentions,
        )

    @torch.no_grad()
    def generate(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> Any:
        """The sentences of clips: what the translator's ``generate`` returns, which also takes all other arguments. A clip in which
        no gloss is seen gets an empty sentence."""
        glosses = self.recognize(input_values, attention_mask)[1]
        source_ids, mask = self.source(glosses)
        written = self.translator.generate(input_ids=source_ids, attention_mask=mask, **kwargs)
        sequences = written if isinstance(written, torch.Tensor) else written.sequences
        config = self.translator.config
        silent = torch.tensor([not row for row in glosses], device=sequences.device)
        silent = silent.repeat_interleave(len(sequences) // len(glosses))
        nothing = torch.full_like(sequences[0], config.pad_token_id)
        nothing[:2] = torch.tensor([config.decoder_start_token_id, config.eos_token_id])[: len(nothing)]
        sequences[silent] = nothing
        return written

    def save_pretrained(
        self, save_directory: str | os.PathLike, *args: Any, push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """As in transformers: the configuration, and each member in its sub-folder."""
        folder = os.fspath(save_directory)
        hub = {
            name: kwargs.pop(name) for name in ("repo_id", "commit_message", "private", "create_pr") if name in kwargs
        }
        kwargs.pop("state_dict", None)  # of the whole; every member writes its own
        for name in MEMBERS:
            getattr(self, name).save_pretrained(os.path.join(folder, self.config.folder(name)), *args, **kwargs)
        super().save_pretrained(folder, *args, state_dict={}, **kwargs)
        if push_to_hub:
            repo_id = hub.pop("repo_id", os.path.basename(os.path.normpath(folder)))
            self.push_to_hub(repo_id, token=kwargs.get("token"), **hub)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike,
        *args: Any,
        config: PretrainedConfig | None = None,
        subfolder: str = "",
        **kwargs: Any,
    ) -> SignTranslationModel:
        """As in transformers; ``dtype``, ``device_map`` … hold for both members.

        Raises:
            FileNotFoundError: a member is missing.
            ValueError: members that do not belong together.
        """
        where = {name: kwargs.pop(name) for name in _WHERE if kwargs.get(name) is not None}
        for name in _INTERNAL:
            kwargs.pop(name, None)
        folder = os.fspath(pretrained_model_name_or_path)
        if not os.path.isdir(folder):
            # All files at once: transformers looks for a member's code in the root of a repository, but in a local folder beside it.
            # A recogniser may have a language model beside it (*.arpa), which its pipeline asks for.
            patterns = ["*.json", "*.py", "*.safetensors", "*.arpa"]
            folder = snapshot_download(folder, allow_patterns=patterns, **where)
        folder = os.path.join(folder, subfolder) if subfolder else folder
        if config is None:
            config, kwargs = cls.config_class.from_pretrained(folder, return_unused_kwargs=True, **kwargs)
        members = {}
        for name, auto in MEMBERS.items():
            path = os.path.join(folder, config.folder(name))
            if not os.path.isfile(os.path.join(path, "config.json")):
                missing = f"config.json of the {name}" if os.path.isdir(path) else f"the folder {name}"
                raise FileNotFoundError(
                    f"The translation model in {folder} is not complete: {missing} is missing. It holds a recogniser "
                    "and a translator, each in a folder of its own."
                )
            members[name] = auto.from_pretrained(path, **kwargs)
        return cls(config, **members).eval()


def joined(recognizer: Any, translator: Any) -> list[list[int]]:
    """For each column of a recogniser's processor the source tokens of a translator's; a warning names glosses that it does not
    know.

    Raises:
        ValueError: processors of other models.
    """
    for name, processor, needed in (
        ("recogniser", recognizer, "vocabulary"),
        ("translator", translator, "encode_glosses"),
    ):
        if not hasattr(processor, needed):
            raise ValueError(f"The processor of the {name} is a {type(processor).__name__}, which has no '{needed}'.")
    missing = translator.unknown(recognizer.glosses)
    if missing:
        logger.warning(
            "The translator does not know %d of the recogniser's %d glosses; they pass through as unknown: %s.",
            len(missing), len(recognizer.glosses), ", ".join(missing),
        )  # fmt: skip
    tokens = [translator.encode_glosses([gloss])[:-1] for gloss in recognizer.vocabulary]  # without the end token
    tokens[recognizer.blank_token_id] = []
    tokens[recognizer.unk_token_id] = [translator.unk_token_id]
    return tokens


def _plain(config: PretrainedConfig) -> dict[str, Any]:
    """A member's settings without what says where they came from."""
    return {
        name: value for name, value in config.to_dict().items() if name not in ("auto_map", "_name_or_path", "dtype")
    }


__all__ = ["SignTranslationModel", "SignTranslationOutput"]
