"""What the configurations of all keypoint models share. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig


class SignKeypointConfig(PretrainedConfig):
    """Settings of every keypoint model; each family adds its own.

    Args:
        input_size: F, length of a frame's feature vector; ``SignKeypointProcessor.feature_size`` gives it.
        embedding_size: length of ``pooler_output``, the clip's embedding.
        pooling: weights of the real frames in the embedding: ``attention`` (a small network scores each), ``query`` (the product
            with one learned query vector) or ``mean`` (all the same).
        hidden_dropout: on residual branches.
        classifier_dropout: on the embedding, before the classifier; default ``hidden_dropout``.
        input_dropout: on whole input features of a clip (a feature is dropped in all frames).
        label_smoothing: of the training loss, in [0, 1).
        class_weights: one weight a label for the loss, or None.
        logit_temperature: what logits are divided by before softmax, chosen on validation (Guo et al. 2017); probabilities are then
            as right as they say.
        unknown_threshold: a clip whose knownness (see ``unknown_score``) is below it shows no sign of the vocabulary; None
            accepts every clip.
        unknown_score: how known a clip is: ``probability`` (largest calibrated softmax probability, Hendrycks & Gimpel 2017),
            ``logit`` (largest logit) or ``energy`` (log-sum-exp of the logits, Liu et al. 2020).
        mirror_margin: the clip's mirror image is read as well, for left-handed signers and mirrored cameras, and counts where it
            is so many logits better known; None reads the clip alone.
        initializer_range: standard deviation of the initial weights of linear layers and convolutions. None draws them from
            ± 1 / sqrt(inputs of the layer), as PyTorch does; the 0.02 of large language models is too little for small ones.
        layer_norm_eps: epsilon of the layer norms.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    # What the Trainer need not gather from the output in evaluation: everything but the logits.
    keys_to_ignore_at_inference = ["embedding", "hidden_states", "attentions", "pooling_weights"]  # noqa: RUF012
    # Names of settings that a family adds and that must be at least 1, and in [0, 1).
    sizes: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()

    def __init__(
        self,
        input_size: int = 225,
        embedding_size: int = 512,
        pooling: str = "attention",
        hidden_dropout: float = 0.2,
        classifier_dropout: float | None = None,
        input_dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        logit_temperature: float = 1.0,
        unknown_threshold: float | None = None,
        unknown_score: str = "probability",
        mirror_margin: float | None = None,
        initializer_range: float | None = None,
        layer_norm_eps: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        self.input_size = input_size
        self.embedding_size = embedding_size
        self.pooling = pooling
        self.hidden_dropout = hidden_dropout
        self.classifier_dropout = hidden_dropout if classifier_dropout is None else classifier_dropout
        self.input_dropout = input_dropout
        self.label_smoothing = label_smoothing
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
        self.logit_temperature = logit_temperature
        self.unknown_threshold = unknown_threshold
        self.unknown_score = unknown_score
        self.mirror_margin = mirror_margin
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        super().__init__(**kwargs)
        self.check()

    def check(self) -> None:
        """Refuse settings that no model can be built from. A family with more to say extends it."""
        for name in ("input_size", "embedding_size", *self.sizes):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("hidden_dropout", "classifier_dropout", "input_dropout", "label_smoothing", *self.shares):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1).")
        if self.pooling not in ("attention", "query", "mean"):
            raise ValueError(f"pooling is {self.pooling!r}; it must be 'attention', 'query' or 'mean'.")
        if self.class_weights is not None and len(self.class_weights) != self.num_labels:
            raise ValueError(f"There are {len(self.class_weights)} class_weights for {self.num_labels} labels.")
        if not self.logit_temperature > 0:
            raise ValueError(f"logit_temperature is {self.logit_temperature}; it must be positive.")
        if self.unknown_score not in ("probability", "logit", "energy"):
            raise ValueError(f"unknown_score is {self.unknown_score!r}; it must be 'probability', 'logit' or 'energy'.")
        if self.mirror_margin is not None and not self.mirror_margin >= 0:
            raise ValueError(f"mirror_margin is {self.mirror_margin}; it must be None or at least 0.")


__all__ = ["SignKeypointConfig"]
