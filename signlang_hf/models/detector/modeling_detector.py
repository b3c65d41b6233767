"""Keypoint detector: a picture of a person → a heatmap for each point. Self-contained: it travels to the Hub beside the weights.

RGB in [0, 1] → features of a timm backbone → deconvolutions, each of which doubles height and width (Xiao et al., ECCV 2018, "simple
baselines") → one heatmap a point. Design decisions:

* How many deconvolutions there are follows from the last stride of the backbone and the stride that is wanted.
* What the backbone saw at a stride is added to the deconvolution of that stride (1×1, can be left out): hands are a few cells in its
  last features, and where a fingertip is was known two strides before.
* SimCC (Li et al., ECCV 2022) has no deconvolutions: each point's map of the last features becomes one distribution over x and one
  over y.
* Pretrained weights come into a new model only; a checkpoint is never overwritten by them, and no Hub is waited for offline.
* Standardisation is part of the model, so every road to it (a processor, ONNX, a browser) hands over plain RGB.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple, is_timm_available, logging

from .configuration_detector import SignDetectorConfig
from .modeling_detector_losses import counting_points, heatmap_loss, simcc_loss

logger = logging.get_logger(__name__)


@dataclass
class SignDetectorModelOutput(ModelOutput):
    """Features of a picture.

    Args:
        last_hidden_state: (N, deconv_width, S / output_stride, S / output_stride); with SimCC the backbone's last features.
        hidden_states: on request the backbone's features, the finest first, and the output of each deconvolution.
    """

    last_hidden_state: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None


@dataclass
class SignDetectorOutput(ModelOutput):
    """Where the points are.

    Args:
        loss: with labels. Without a point that counts it is 0.
        heatmaps: (N, K, S / output_stride, S / output_stride) float32; about 1 where a point is. None with SimCC.
        simcc_x, simcc_y: (N, K, S · simcc_ratio) float32, before the softmax; None with heatmaps.
        hidden_states: on request, as in :class:`SignDetectorModelOutput`.
    """

    loss: torch.FloatTensor | None = None
    heatmaps: torch.FloatTensor | None = None
    simcc_x: torch.FloatTensor | None = None
    simcc_y: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None


class SignDetectorDeconvolution(nn.Module):
    """(N, C, H, W) → (N, width, 2H, 2W), with the backbone's features of that size added where there are any."""

    def __init__(self, channels: int, width: int, lateral_channels: int | None) -> None:
        super().__init__()
        self.deconvolution = nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.lateral = None if lateral_channels is None else nn.Conv2d(lateral_channels, width, 1)

    def forward(self, hidden: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        hidden = self.norm(self.deconvolution(hidden))
        if self.lateral is not None:
            hidden = hidden + self.lateral(features)
        return hidden.relu()


class SignDetectorPreTrainedModel(PreTrainedModel):
    """Weight initialisation and what transformers needs to know of the family."""

    config_class = SignDetectorConfig
    base_model_prefix = "detector"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    # Batch norm would count every picture twice if a layer was computed again.
    supports_gradient_checkpointing = False
    # Without this the Trainer would take over the loss scaling and multiply it by the accumulation steps.
    accepts_loss_kwargs = False

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """As in transformers, and the folder's remote code serves the features and the detector alike."""
        if self._auto_class is not None:
            # transformers lists only the class that is being saved.
            self.config.auto_map = {
                "AutoModel": "modeling_detector.SignDetectorModel",
                "AutoModelForKeypointDetection": "modeling_detector.SignDetectorForKeypointDetection",
            }
        wanted, self.config.use_pretrained_backbone = self.config.use_pretrained_backbone, False
        try:  # a checkpoint has its weights, whoever gave them; the configuration may be that of the next model as well
            super().save_pretrained(save_directory, *args, **kwargs)
        finally:
            self.config.use_pretrained_backbone = wanted

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # The backbone looks after itself: transformers asks it, not this class, about its modules. A head's wishes stand on the layers
        # themselves, because transformers 5 passes over a module without weights of its own.
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, std=getattr(module, "initial_std", 0.001))
            if module.bias is not None:
                nn.init.constant_(module.bias, getattr(module, "initial_bias", 0.0))
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
            nn.init.zeros_(module.running_mean)
            nn.init.ones_(module.running_var)
            nn.init.zeros_(module.num_batches_tracked)


class SignDetectorModel(SignDetectorPreTrainedModel):
    """Backbone and deconvolutions: pictures → features.

    Raises:
        ValueError: the backbone is none that timm knows, or does not go with the sizes of the configuration.
        ImportError: timm is not installed.
    """

    # The heads of a detector's folder are no surprise when the features alone are loaded from it.
    _keys_to_ignore_on_load_unexpected = [r"^head\."]  # noqa: RUF012

    def __init__(self, config: SignDetectorConfig) -> None:
        super().__init__(config)
        self.backbone = _backbone(config)
        levels = self.backbone._backbone.feature_info
        strides, channels = list(levels.reduction()), list(levels.channels())
        self.stride = strides[-1]
        if config.image_size % self.stride:
            raise ValueError(
                f"image_size {config.image_size} is no multiple of {self.stride}, by which {config.backbone} divides pictures."
            )
        self.deconvolutions = nn.ModuleList()
        self.laterals: list[int | None] = []
        self.output_size = channels[-1]
        if config.head == "heatmap":
            count = _doublings(self.stride, config)
            for step in range(1, count + 1):
                stride = self.stride >> step
                level = strides.index(stride) if config.lateral_connections and stride in strides else None
                self.laterals.append(level)
                self.deconvolutions.append(
                    SignDetectorDeconvolution(
                        self.output_size, config.deconv_width, None if level is None else channels[level]
                    )
                )
                self.output_size = config.deconv_width
        self.post_init()
        # On the meta device a checkpoint follows, which has its own.
        if config.use_pretrained_backbone and next(self.backbone.parameters()).device.type != "meta":
            _load_pretrained(self.backbone, config)

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        output_hidden_states: bool | None = None,
    ) -> SignDetectorModelOutput:
        """
        Args:
            pixel_values: (N, 3, S, S) RGB in [0, 1]. Heatmaps can be made of any height and width that the backbone's last stride
                divides.

        Raises:
            ValueError: another shape.
        """
        self._check(pixel_values)
        pixel_values = pixel_values.to(self.dtype)
        mean, std = (
            pixel_values.new_tensor(values).view(1, 3, 1, 1)
            for values in (self.config.image_mean, self.config.image_std)
        )
        features = self.backbone((pixel_values - mean) / std, return_dict=True).feature_maps
        hidden, hidden_states = features[-1], list(features)
        for deconvolution, level in zip(self.deconvolutions, self.laterals):
            hidden = deconvolution(hidden, None if level is None else features[level])
            hidden_states.append(hidden)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return SignDetectorModelOutput(last_hidden_state=hidden, hidden_states=tuple(hidden_states) if wanted else None)

    def _check(self, pixel_values: torch.Tensor) -> None:
        if torch.jit.is_tracing():  # where sizes are not numbers
            return
        shape = tuple(pixel_values.shape)
        size = self.config.image_size
        if self.config.head == "simcc" and shape[1:] != (3, size, size):
            raise ValueError(f"A SimCC model of this size takes pictures (N, 3, {size}, {size}); got {shape}.")
        if len(shape) != 4 or shape[1] != 3 or shape[2] % self.stride or shape[3] % self.stride or 0 in shape:
            raise ValueError(
                f"pixel_values have shape {shape}; they must be (N, 3, H, W) with H and W multiples of {self.stride}, such as "
                f"{size}."
            )


class SignDetectorHeatmaps(nn.Module):
    """(N, C, H, W) → (N, K, H, W) float32 scores of the cells."""

    def __init__(self, config: SignDetectorConfig, channels: int) -> None:
        super().__init__()
        self.points = nn.Conv2d(channels, config.num_keypoints, 1)
        if config.loss == "focal":
            self.points.initial_bias = -2.19  # probability 0.1 everywhere, as in CornerNet

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.points(hidden).float()


class SignDetectorSimCC(nn.Module):
    """(N, C, H, W) → two times (N, K, bins) float32 scores of the bins along x and y."""

    def __init__(self, config: SignDetectorConfig, channels: int, stride: int) -> None:
        super().__init__()
        cells = (config.image_size // stride) ** 2
        self.points = nn.Conv2d(channels, config.num_keypoints, 1, bias=False)
        self.along_x, self.along_y = (nn.Linear(cells, config.simcc_bins) for _ in range(2))
        # Two layers of 0.001 in a row would hardly let a gradient through.
        self.points.initial_std = (2 / channels) ** 0.5
        self.along_x.initial_std = self.along_y.initial_std = 0.01

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self.points(hidden).flatten(2)
        return self.along_x(maps).float(), self.along_y(maps).float()


class SignDetectorForKeypointDetection(SignDetectorPreTrainedModel):
    """Detector: pictures → a heatmap, or two SimCC distributions, for each point."""

    def __init__(self, config: SignDetectorConfig) -> None:
        super().__init__(config)
        self.detector = SignDetectorModel(config)
        if config.head == "simcc":
            self.head = SignDetectorSimCC(config, self.detector.output_size, self.detector.stride)
        else:
            self.head = SignDetectorHeatmaps(config, self.detector.output_size)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        crops: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> SignDetectorOutput:
        """
        Args:
            pixel_values: (N, 3, S, S) RGB in [0, 1], as the processor makes them.
            labels: (N, K, 3): x, y in pixels of ``pixel_values``, and a weight. Points of weight 0, points that are not numbers and
                points outside the picture do not count; with labels the output has a ``loss``.
            crops: not looked at; the processor's output can be handed over whole.

        Raises:
            ValueError: pictures or labels of another shape.
        """
        features = self.detector(pixel_values, output_hidden_states=output_hidden_states)
        answer = self.head(features.last_hidden_state)
        loss = None
        if labels is not None:
            self._check_labels(labels, len(pixel_values))
            points, weights = counting_points(labels.to(pixel_values.device), *pixel_values.shape[-2:])
            loss = self._loss(answer, points, weights)
        if self.config.head == "simcc":
            return SignDetectorOutput(
                loss=loss, simcc_x=answer[0], simcc_y=answer[1], hidden_states=features.hidden_states
            )
        heatmaps = answer.sigmoid() if self.config.loss == "focal" else answer
        return SignDetectorOutput(loss=loss, heatmaps=heatmaps, hidden_states=features.hidden_states)

    def _loss(self, answer: Any, points: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Of the head's answer about points (N, K, 2) in pixels."""
        config = self.config
        if config.head == "simcc":
            bins = points * (config.simcc_bins / config.image_size)
            return simcc_loss(*answer, bins, weights, config.simcc_sigma)
        return heatmap_loss(
            answer, points / config.output_stride, weights, kind=config.loss, sigma=config.sigma,
            ohkm_top=config.ohkm_top, hidden_weight=config.hidden_weight,
        )  # fmt: skip

    def _check_labels(self, labels: torch.Tensor, batch: int) -> None:
        expected = (batch, self.config.num_keypoints, 3)
        if tuple(labels.shape) != expected:
            raise ValueError(
                f"labels have shape {tuple(labels.shape)}; they must be {expected}: x, y and weight of each of the model's "
                f"{self.config.num_keypoints} points."
            )


def _backbone(config: SignDetectorConfig) -> PreTrainedModel:
    """timm's model behind transformers' backbone API, with random weights."""
    if not is_timm_available():
        raise ImportError('The keypoint detector needs timm: pip install "signlang-hf[detector]"')
    # Here, because these import timm and torchvision, which nobody who only registers models should wait for.
    from transformers import AutoBackbone, TimmBackboneConfig

    config_of = partial(TimmBackboneConfig, backbone=config.backbone, use_pretrained_backbone=False)
    needed = max(1, 7 - config.output_stride.bit_length())  # from the output's stride to 32
    try:
        for levels in range(needed, 0, -1):
            try:
                return AutoBackbone.from_config(config_of(out_indices=list(range(-levels, 0))))
            except (IndexError, AssertionError):  # it has fewer; what it lacks no deconvolution gets
                if levels == 1:
                    raise
    except (RuntimeError, AttributeError, IndexError, AssertionError, TypeError) as error:
        raise ValueError(
            f"backbone {config.backbone!r} cannot be used: it must be a model of timm that gives features, such as resnet18 or "
            "mobilenetv3_small_100."
        ) from error
    raise AssertionError("unreachable: the last try returns or raises")


def _doublings(stride: int, config: SignDetectorConfig) -> int:
    """How many deconvolutions lead from the backbone's last stride to the output's."""
    count = (stride // config.output_stride).bit_length() - 1
    if count < 0 or config.output_stride << count != stride:
        raise ValueError(
            f"output_stride {config.output_stride} cannot be reached from {stride}, the last stride of {config.backbone}, by doubling."
        )
    return count


def _load_pretrained(backbone: nn.Module, config: SignDetectorConfig) -> None:
    """Put timm's weights in; where they cannot be had, say so and leave the random ones."""
    from timm import create_model
    from timm.models import get_pretrained_cfg

    # Some weights lie outside the Hub, whose offline switch timm does not ask about them.
    source = get_pretrained_cfg(config.backbone)
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    try:
        if source is None or not source.has_weights or (offline and not source.hf_hub_id):
            raise FileNotFoundError("there are none here")
        levels = backbone._backbone.feature_info.out_indices
        weights = create_model(config.backbone, pretrained=True, features_only=True, out_indices=levels).state_dict()
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        logger.warning(f"No pretrained weights for {config.backbone}, it begins with random ones: {reason}")
        return
    backbone._backbone.load_state_dict(weights)


__all__ = [
    "SignDetectorForKeypointDetection",
    "SignDetectorModel",
    "SignDetectorModelOutput",
    "SignDetectorOutput",
    "SignDetectorPreTrainedModel",
]
