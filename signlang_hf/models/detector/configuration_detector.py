"""Configuration of the keypoint detector. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig

_BODY = ("nose",) + tuple(
    f"{side}_{joint}"
    for joint in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
_HAND = ("wrist", *(f"thumb_{joint}" for joint in ("cmc", "mcp", "ip", "tip"))) + tuple(
    f"{finger}_{joint}" for finger in ("index", "middle", "ring", "little") for joint in ("mcp", "pip", "dip", "tip")
)
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")

KEYPOINTS: tuple[str, ...] = (
    _BODY
    + tuple(f"{side}_hand_{point}" for side in ("left", "right") for point in _HAND)
    + tuple(f"face_{point}" for point in _FACE)
)
"""The 64 points of the layout ``signlang-64`` in its order; left and right are the person's own sides."""

HEADS = ("heatmap", "simcc")
LOSSES = ("mse", "ohkm", "focal")

# What others call a backbone → what timm calls it.
_TIMM_NAMES = {
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mobilenet_v2": "mobilenetv2_100",
}


class SignDetectorConfig(PretrainedConfig):
    """Settings of :class:`SignDetectorModel` and :class:`SignDetectorForKeypointDetection`.

    Args:
        keypoints: K names of the points, in the order of the output; default the 64 of ``signlang-64``.
        backbone: any timm model that gives features (``timm.create_model(…, features_only=True)``); ``mobilenet_v3_small`` is
            another name of ``mobilenetv3_small_100``.
        use_pretrained_backbone: begin with timm's weights where they can be had, from the cache or the Hub. What is saved says False,
            because a checkpoint has its own.
        image_size: S, side of the square input in pixels.
        output_stride: input pixels to a cell of the heatmaps, a power of two.
        deconv_width: channels of the deconvolutions; 256 is what Xiao et al. 2018 take for ResNets. For a mobilenet take 64: with
            256 the three deconvolutions cost several times what its backbone does (23 ms against 6 ms a picture at 256 pixels on
            one thread), and it is no faster than MediaPipe.
        lateral_connections: add the backbone's features of the same stride to each deconvolution's output.
        head: ``heatmap``, or ``simcc``: two one-dimensional distributions a point without deconvolutions (Li et al., ECCV 2022),
            which is faster. It knows one ``image_size`` only.
        simcc_ratio: bins to an input pixel.
        sigma: standard deviation of a heatmap's target, in cells.
        simcc_sigma: that of a SimCC target, in bins.
        loss: of heatmaps: ``mse``, ``ohkm`` (mean squared error of the ``ohkm_top`` hardest points of each picture, Chen et al.,
            CVPR 2018), or ``focal`` (Law and Deng, ECCV 2018), with which heatmaps are probabilities; it teaches the cell of a point,
            not the place in it.
        ohkm_top: points of a picture that count; default half of them.
        hidden_weight: a point that does not count is asked, with this weight, for an empty heatmap: its confidence then falls where
            it cannot be seen. Only for data in which an unmarked point is one that is not there; 0 asks nothing. Not for ``simcc``.
        image_mean, image_std: of the three channels; the model standardises its input itself.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_detector"
    # What the Trainer need not gather in evaluation.
    keys_to_ignore_at_inference = ["hidden_states"]  # noqa: RUF012 - transformers reads a plain list

    def __init__(
        self,
        keypoints: Sequence[str] | None = None,
        backbone: str = "resnet18",
        use_pretrained_backbone: bool = False,
        image_size: int = 512,
        output_stride: int = 4,
        deconv_width: int = 256,
        lateral_connections: bool = True,
        head: str = "heatmap",
        simcc_ratio: float = 2.0,
        sigma: float = 2.0,
        simcc_sigma: float = 6.0,
        loss: str = "mse",
        ohkm_top: int | None = None,
        hidden_weight: float = 0.0,
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        **kwargs: Any,
    ) -> None:
        self.keypoints = list(KEYPOINTS if keypoints is None else keypoints)
        self.backbone = _TIMM_NAMES.get(backbone, backbone)
        self.use_pretrained_backbone = use_pretrained_backbone
        self.image_size = image_size
        self.output_stride = output_stride
        self.deconv_width = deconv_width
        self.lateral_connections = lateral_connections
        self.head = head
        self.simcc_ratio = simcc_ratio
        self.sigma = sigma
        self.simcc_sigma = simcc_sigma
        self.loss = loss
        self.ohkm_top = max(len(self.keypoints) // 2, 1) if ohkm_top is None else ohkm_top
        self.hidden_weight = hidden_weight
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        super().__init__(**kwargs)
        self.check()

    @property
    def num_keypoints(self) -> int:
        """K."""
        return len(self.keypoints)

    @property
    def simcc_bins(self) -> int:
        """Bins of each of the two SimCC distributions."""
        return round(self.image_size * self.simcc_ratio)

    def check(self) -> None:
        """Refuse settings that no model can be built from."""
        if not self.keypoints or not all(isinstance(name, str) and name for name in self.keypoints):
            raise ValueError("keypoints must be a list of at least one name.")
        if len(set(self.keypoints)) != len(self.keypoints):
            twice = sorted({name for name in self.keypoints if self.keypoints.count(name) > 1})
            raise ValueError(f"keypoints names these points twice: {', '.join(twice)}.")
        for name, known in (("head", HEADS), ("loss", LOSSES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(known)}.")
        for name in ("image_size", "output_stride", "deconv_width", "ohkm_top"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1.")
        if self.output_stride & (self.output_stride - 1):
            raise ValueError(f"output_stride is {self.output_stride}; it must be a power of two.")
        if self.image_size % self.output_stride:
            raise ValueError(f"image_size {self.image_size} is no multiple of output_stride {self.output_stride}.")
        for name in ("sigma", "simcc_sigma", "simcc_ratio"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive.")
        if not self.hidden_weight >= 0:
            raise ValueError(f"hidden_weight is {self.hidden_weight}; it must be at least 0.")
        for name in ("image_mean", "image_std"):
            if len(getattr(self, name)) != 3:
                raise ValueError(f"{name} has {len(getattr(self, name))} values; RGB has 3 channels.")
        if not all(value > 0 for value in self.image_std):
            raise ValueError(f"image_std is {self.image_std}; its values must be positive.")


__all__ = ["KEYPOINTS", "SignDetectorConfig"]
