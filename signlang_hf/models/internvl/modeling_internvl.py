"""A video language model that recognises signs: InternVL with a LoRA adapter.

Design decisions:

* The base is transformers' own ``InternVLForConditionalGeneration``, found by the name that the configuration holds; what is saved is the
  adapter (in PEFT's format, in the folder ``adapter``), the configuration and no more. The adapter is not in the root of the folder:
  there transformers' Auto classes would take the whole for an adapter of theirs and never ask this class.
* Only the adapter learns. Everything else is frozen, and stays as the base's publisher made it.
* A label's probability is that of its tokens and of the end of the answer, among all labels: all of them are scored in one pass on top of the
  prompt (:mod:`.modeling_internvl_labels`), so that a rare word of three tokens competes fairly with a frequent one of one.
* Self-contained: it travels to the Hub beside the adapter.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    BitsAndBytesConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import ModelOutput

from .configuration_internvl import LORA, SignInternVLConfig
from .modeling_internvl_devices import advice_on_memory, best_dtype, choose_device, keep_layout, require_4bit
from .modeling_internvl_labels import score_labels

ADAPTER = "adapter"
"""Folder of the adapter within a model's folder."""
_WEIGHTS = "adapter_model.safetensors"
_WHERE = ("cache_dir", "force_download", "local_files_only", "token", "revision")
_OURS = ("trust_remote_code", "code_revision", "_from_auto", "_commit_hash", "adapter_kwargs")
"""What the Auto classes hand on and no base needs."""
# What an adapter depends on: the shapes of the layers that it is put into, and the tokens that it has learned.
_SHAPES = {
    "text_config": (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
        "model_type",
    ),
    "vision_config": ("hidden_size", "num_hidden_layers", "patch_size", "image_size"),
}


@dataclass
class SignInternVLOutput(ModelOutput):
    """Output of :class:`SignInternVLForConditionalGeneration`.

    Attributes:
        loss: scalar, where labels were given: mean cross-entropy of the tokens that are not -100.
        logits: (B, T, V) of the next token.
        past_key_values: what generation goes on from.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    past_key_values: Any = None


@dataclass
class SignInternVLLabelsOutput(ModelOutput):
    """Output of :meth:`SignInternVLForConditionalGeneration.score_labels`.

    Attributes:
        logits: (B, C) float32, log-probability of each label's tokens and of the end of the answer; not normalised over labels.
    """

    logits: torch.FloatTensor | None = None


class SignInternVLForConditionalGeneration(PreTrainedModel):
    """InternVL with a LoRA adapter on the attention of its language model.

    Args:
        config: what is built. Without ``base`` its ``base_config`` must describe one; its weights are random then.
        base: the model to adapt. It is changed: its attention gets the adapter.

    Raises:
        ImportError: PEFT is not installed.
        ValueError: there is neither a base nor a description of one.
    """

    config_class = SignInternVLConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ("image", "video", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = _supports_flash_attn = True
    needs = ("SignInternVLProcessor", "label_ids")
    """Which processor goes with it, for messages, and an attribute to know it by."""
    _no_split_modules = ["Qwen2DecoderLayer", "InternVLVisionLayer"]  # noqa: RUF012 - transformers wants a list
    # Without this the Trainer would take over the loss scaling and multiply it by the accumulation steps.
    accepts_loss_kwargs = False

    def __init__(self, config: SignInternVLConfig, base: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        if base is None:
            if config.base_config is None:
                raise ValueError(
                    "A model is made from a base: SignInternVLForConditionalGeneration.from_base(), or from_pretrained() for a saved one."
                )
            base = InternVLForConditionalGeneration(InternVLConfig(**config.base_config))
        config.base_config = _described(base.config)
        self.base_path = config.base
        self.model = _adapted(base, config)
        self.post_init()

    def init_weights(self) -> None:
        """Nothing: the base has its weights, and PEFT begins with an adapter that changes nothing."""

    # ------------------------------------------------------------------------------------------------------------- in and out

    @classmethod
    def from_base(
        cls,
        config: SignInternVLConfig,
        base: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> SignInternVLForConditionalGeneration:
        """A model with a fresh adapter, to be trained.

        Args:
            config: names the base, and whether it is to be loaded in 4 bits.
            base: where it lies, if it cannot be had under the name in ``config``, which is what a saved model says.
            settings: as for :meth:`from_pretrained`.
        """
        model = cls(config, _load_base(config, base, **settings))
        model.base_path = config.base if base is None else os.fspath(base)
        return model

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *args: Any,
        config: PretrainedConfig | None = None,
        base: str | os.PathLike[str] | None = None,
        quantization: str | None = "as saved",
        subfolder: str = "",
        **kwargs: Any,
    ) -> SignInternVLForConditionalGeneration:
        """Load an adapter and its base.

        Args:
            pretrained_model_name_or_path: folder or Hub id of the adapter.
            base: folder or Hub id of the base, where the one that the adapter was trained on cannot be had under its name.
            quantization: ``4bit``, None, or as the configuration says.
            kwargs: ``device`` ("auto", "cuda", "dml", "mps", "cpu"), ``dtype``, ``device_map``, ``attn_implementation`` for the base, and
                where on the Hub the adapter lies (``revision``, ``token``, ``cache_dir`` …).

        Raises:
            OSError: adapter or base cannot be had; says how to give a folder.
            ValueError: an adapter for another base, or 4 bits where they cannot be had.
            ImportError: PEFT, or for 4 bits bitsandbytes, is missing.
        """
        where = {name: kwargs.pop(name) for name in _WHERE if kwargs.get(name) is not None}
        for name in (*_OURS, *_WHERE):
            kwargs.pop(name, None)
        folder = os.fspath(pretrained_model_name_or_path)
        if not os.path.isdir(folder):
            from huggingface_hub import snapshot_download

            folder = snapshot_download(folder, allow_patterns=["*.json", "*.py", "*.safetensors"], **where)
        folder = os.path.join(folder, subfolder) if subfolder else folder
        if not isinstance(config, cls.config_class):
            config, kwargs = cls.config_class.from_pretrained(folder, return_unused_kwargs=True, **kwargs)
        if quantization != "as saved":
            config.quantization = quantization
        weights = os.path.join(folder, ADAPTER, _WEIGHTS)
        if not os.path.isfile(weights):
            raise OSError(f"{folder} has no adapter: {ADAPTER}/{_WEIGHTS} is missing.")
        learned_on = config.base_config
        loaded = _load_base(config, base, **kwargs)
        path = config.base if base is None else os.fspath(base)
        _require_same_base(learned_on, loaded.config, folder, path)
        model = cls(config, loaded)
        model.base_path = path
        model.load_adapter_weights(os.path.join(folder, ADAPTER))
        return model.eval()

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        state_dict: Mapping[str, torch.Tensor] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write adapter and configuration, never the base.

        Args:
            save_directory: folder, made where it is not there.
            is_main_process: nothing is written where it is not.
            state_dict: of this model, where its weights are gathered from several devices.
            push_to_hub: upload the folder as well (``repo_id``, ``token``, ``private``, ``commit_message``).
        """
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file

        folder = os.fspath(save_directory)
        whole = None
        if state_dict is not None:
            whole = {name.removeprefix("model."): value for name, value in state_dict.items()}
        weights = get_peft_model_state_dict(self.model, state_dict=whole, save_embedding_layers=False)
        if not is_main_process:
            return
        os.makedirs(os.path.join(folder, ADAPTER), exist_ok=True)
        self.config.architectures = [type(self).__name__]
        if self._auto_class is not None:
            custom_object_save(self, folder, config=self.config)
        self.config.save_pretrained(folder)
        adapter = self.model.peft_config["default"]
        trains, adapter.inference_mode = (
            adapter.inference_mode,
            True,
        )  # whoever loads it with PEFT alone wants to use it
        adapter.save_pretrained(os.path.join(folder, ADAPTER))
        adapter.inference_mode = trains
        half = os.path.join(folder, ADAPTER, f"tmp-{os.getpid()}-{_WEIGHTS}")
        save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, half, {"format": "pt"})
        os.replace(half, os.path.join(folder, ADAPTER, _WEIGHTS))
        if push_to_hub:
            hub = {name: kwargs[name] for name in ("token", "private", "commit_message", "create_pr") if name in kwargs}
            self.push_to_hub(kwargs.get("repo_id", os.path.basename(os.path.normpath(folder))), **hub)

    def load_adapter_weights(self, folder: str | os.PathLike[str]) -> None:
        """Put the weights of a saved adapter in the place of the present ones.

        Raises:
            ValueError: they are those of an adapter of another shape.
        """
        from peft import set_peft_model_state_dict
        from safetensors.torch import load_file

        weights = load_file(os.path.join(folder, _WEIGHTS))
        ours = {name.replace(".default", "") for name in self.model.state_dict() if ".lora_" in name}
        if set(weights) != ours:
            raise ValueError(
                f"The adapter in {folder} has {len(set(weights) - ours)} weights that this model has not, and lacks {len(ours - set(weights))}: "
                "it is for another base or has other settings."
            )
        try:
            set_peft_model_state_dict(self.model, weights)
        except RuntimeError as error:
            raise ValueError(f"The adapter in {folder} has weights of other sizes than this model.") from error

    def merge_and_save(self, save_directory: str | os.PathLike[str]) -> None:
        """Write a plain InternVL folder with the adapter's change in its weights; this model stays as it is.

        Raises:
            ValueError: the base is in 4 bits, which cannot hold the change.
        """
        if self.config.quantization is not None:
            raise ValueError("A base in 4 bits cannot take the adapter in; load it with quantization=None to merge.")
        base = self.base
        changes = {
            f"{name}.base_layer.weight": module.get_delta_weight("default")
            for name, module in base.named_modules()
            if hasattr(module, "get_delta_weight")
        }
        merged = {
            name.replace(".base_layer.", "."): value + changes[name].to(value) if name in changes else value
            for name, value in base.state_dict().items()
            if ".lora_" not in name
        }
        base.save_pretrained(save_directory, state_dict=merged)

    # ---------------------------------------------------------------------------------------------------------------- at work

    @property
    def base(self) -> InternVLForConditionalGeneration:
        """The adapted model, of transformers' own class."""
        return self.model.get_base_model()

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        labels: torch.LongTensor | None = None,
        return_dict: bool = True,
        **kwargs: Any,
    ) -> SignInternVLOutput | tuple[torch.Tensor, ...]:
        """Next tokens.

        Args:
            input_ids: (B, T) prompt and answer, with the image tokens of every frame.
            attention_mask: (B, T) 1 for a token, 0 for padding.
            pixel_values: (frames of all clips, 3, S, S).
            labels: (B, T) as ``input_ids``, -100 where nothing is to be learned.
        """
        outputs = self.base(
            input_ids=input_ids, attention_mask=attention_mask, pixel_values=pixel_values, labels=labels, **kwargs
        )
        output = SignInternVLOutput(loss=outputs.loss, logits=outputs.logits, past_key_values=outputs.past_key_values)
        return output if return_dict else output.to_tuple()

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Free generation, as in transformers."""
        with advice_on_memory():
            return self.base.generate(*args, **kwargs)

    @torch.inference_mode()
    def score_labels(
        self,
        input_ids: torch.LongTensor,
        label_ids: Sequence[Sequence[int]],
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        max_nodes: int = 512,
    ) -> SignInternVLLabelsOutput:
        """Log-probability of every label as the whole answer: sum over its tokens and the end of the answer, each over the full vocabulary.

        Args:
            input_ids: (B, T) prompts, padded on the left.
            label_ids: C answers as token ids, each with the token that ends it.
            attention_mask: (B, T).
            pixel_values: (frames of all clips, 3, S, S).
            max_nodes: most token positions in one pass after the prompt; more need more memory.

        Returns:
            logits (B, C) float32. Softmax over them is the probability among the labels.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        with advice_on_memory():
            scores = score_labels(self.base, input_ids, attention_mask, pixel_values, label_ids, max_nodes)
        return SignInternVLLabelsOutput(logits=scores)

    @contextmanager
    def released(self) -> Iterator[SignInternVLForConditionalGeneration]:
        """``with model.released() as model:`` gives the device's memory back at the end; the model lies on the CPU then, or nowhere where it
        is in 4 bits and cannot be moved."""
        try:
            yield self
        finally:
            self.release()

    def release(self) -> None:
        """Give the device's memory back. The weights go to the CPU; those in 4 bits are dropped, and the model is of no use any more."""
        device = self.device
        if self.config.quantization is None:
            self.to("cpu")
        else:
            self.model = nn.Module()
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        elif device.type == "mps":
            torch.mps.empty_cache()

    @contextmanager
    def without_adapter(self) -> Iterator[SignInternVLForConditionalGeneration]:
        """``with model.without_adapter():`` the base as its publisher made it."""
        with self.model.disable_adapter():
            yield self

    # ----------------------------------------------------------------------------------------- what transformers asks a model

    def get_input_embeddings(self) -> nn.Module:
        return self.base.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.base.get_output_embeddings()

    def enable_input_require_grads(self) -> None:
        self.base.enable_input_require_grads()

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """As in transformers. Frozen inputs would cut the adapter off from the loss, so they are made to require gradients."""
        self.base.gradient_checkpointing_enable(gradient_checkpointing_kwargs or {"use_reentrant": False})
        self.base.enable_input_require_grads()

    def gradient_checkpointing_disable(self) -> None:
        self.base.gradient_checkpointing_disable()

    @property
    def is_gradient_checkpointing(self) -> bool:
        return self.base.is_gradient_checkpointing

    @classmethod
    def can_generate(cls) -> bool:
        return True


def _adapted(base: PreTrainedModel, config: SignInternVLConfig) -> nn.Module:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise ImportError('The video language model needs peft: pip install "signlang-hf[vlm]".') from None
    try:
        # The adapter is float32 whatever the base is: it is small, and half precision loses its small steps.
        model = get_peft_model(base, LoraConfig(**config.lora), autocast_adapter_dtype=True)
    except ValueError as error:
        raise ValueError(
            f"The base cannot take the adapter: lora's target_modules {config.lora['target_modules']!r} must name linear layers "
            f"of it, such as {LORA['target_modules']!r}."
        ) from error
    adapter = model.peft_config["default"]
    adapter.base_model_name_or_path, adapter.revision = config.base, config.base_revision
    return model


def _load_base(
    config: SignInternVLConfig,
    base: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    torch_dtype: str | torch.dtype | None = None,
    device_map: Any = None,
    quantization_config: Any = None,
    **kwargs: Any,
) -> PreTrainedModel:
    """The base in the precision and on the device that are asked for."""
    place = None if device is None and device_map is not None else choose_device(device)
    dtype = dtype if dtype is not None else torch_dtype
    if isinstance(dtype, str) and dtype != "auto":
        dtype = getattr(torch, dtype.removeprefix("torch."))
    if dtype is None:
        dtype = best_dtype(place)
    if config.quantization == "4bit" and quantization_config is None:
        require_4bit(place)
        quantization_config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=["lm_head", "multi_modal_projector"],
        )
        dtype = torch.bfloat16
        device_map = {"": place} if device_map is None else device_map
    for name, value in (("device_map", device_map), ("quantization_config", quantization_config)):
        if value is not None:
            kwargs[name] = value
    path, revision = (config.base, config.base_revision) if base is None else (os.fspath(base), None)
    try:
        if os.path.isabs(path) and not os.path.isdir(path):
            raise OSError("there is no such folder")
        base_model = InternVLForConditionalGeneration.from_pretrained(
            path, revision=revision or "main", dtype=dtype, **kwargs
        )
    except OSError as error:
        if os.path.isdir(path):
            raise
        raise OSError(
            f"The base model {path} cannot be had ({str(error).splitlines()[0].rstrip('.')}). Say where it lies: base='path/to/InternVL3-2B-hf' (signlang: --base, recipes: --base_path)."
        ) from error
    keep_layout(base_model)
    return base_model if place is None or quantization_config is not None else base_model.to(place)


def _described(config: PretrainedConfig) -> dict[str, Any]:
    """A base's configuration as it is written into ours: what it is, not where it lay or how it was loaded."""
    return {
        name: value
        for name, value in config.to_dict().items()
        if name not in ("_name_or_path", "transformers_version", "quantization_config", "dtype", "torch_dtype")
    }


def _require_same_base(learned_on: Mapping[str, Any] | None, config: PretrainedConfig, folder: str, base: str) -> None:
    """Raise ValueError where an adapter was trained on a base of another shape."""
    found = config.to_dict()
    for part, names in _SHAPES.items():
        for name in names:
            then, now = (learned_on or {}).get(part, {}).get(name), found[part].get(name)
            if then is not None and list(_flat(then)) != list(_flat(now)):
                raise ValueError(
                    f"The adapter in {folder} is for another base than {base}: {part.removesuffix('_config')} {name} was {then} and is {now}."
                )


def _flat(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, (list, tuple)) else [value]


__all__ = ["SignInternVLForConditionalGeneration", "SignInternVLLabelsOutput", "SignInternVLOutput"]
