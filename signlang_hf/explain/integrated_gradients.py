"""Integrated gradients over time and joints, by captum."""

from __future__ import annotations

from typing import Any

import torch

from .explainer import SignExplainer


class IntegratedGradientsExplainer(SignExplainer):
    """heat(t, k) = relu(Σ_f share(f, k) · x(t, f) · ∫₀¹ ∂y/∂x(t, f) at α·x dα) (Sundararajan et al. 2017).

    x are the features, y the label's logit, and the path starts at a clip in which nothing was seen. Before the cut to 0 and up to
    features that show no point, heat adds up to what the logit gains over that empty clip.

    Args:
        steps: points on the path; the cost is as many forward and backward passes.
        **options: as for every :class:`.explainer.SignExplainer`.

    Example:
        >>> explanation = IntegratedGradientsExplainer(model, processor).generate("clip.mp4", label="hello")
    """

    method = "integrated-gradients"

    def __init__(self, model: Any, processor: Any, *, steps: int = 50, **options: Any) -> None:
        super().__init__(model, processor, **options)
        if steps < 1:
            raise ValueError(f"steps is {steps}; it must be at least 1.")
        self.steps = steps

    def attribute(self, values: torch.Tensor, mask: torch.Tensor, label: int) -> torch.Tensor:
        try:
            from captum.attr import IntegratedGradients
        except ImportError:
            raise ImportError('Integrated gradients need captum: pip install "signlang-hf[explain]"') from None
        attributed = IntegratedGradients(lambda *inputs: self.model(*inputs).logits).attribute(
            values, target=label, additional_forward_args=(mask,), n_steps=self.steps, internal_batch_size=16
        )
        return (attributed[0].detach().float().cpu() @ self.shares).relu()
