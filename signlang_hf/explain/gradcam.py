"""Grad-CAM over time and joints.

Grad-CAM (Selvaraju et al. 2017) weighs the channels of the encoder's last layer by the label's mean gradient and says *when*; that layer
has no joints any more. As in their Guided Grad-CAM it is multiplied by what the gradient says at the input, which knows *where*.
"""

from __future__ import annotations

import torch

from .explainer import SignExplainer


class GradCAMExplainer(SignExplainer):
    """heat(t, k) = relu(Σ_d ᾱ_d · h(t, d)) · relu(Σ_f share(f, k) · x(t, f) · ∂y/∂x(t, f)).

    h is the encoder's last hidden state, ᾱ_d the mean over time of ∂y/∂h(t, d), x the features, y the label's logit. One forward and one
    backward pass.

    Example:
        >>> explanation = GradCAMExplainer(model, processor).generate("clip.mp4")
        >>> files = explanation.save("heat")  # heat.mp4, heat.png, parts.png and the numbers
    """

    method = "gradcam"

    def attribute(self, values: torch.Tensor, mask: torch.Tensor, label: int) -> torch.Tensor:
        hidden: list[torch.Tensor] = []
        hook = self.model.encoder.register_forward_hook(lambda *call: hidden.append(call[-1].last_hidden_state))
        try:
            values = values.clone().requires_grad_()
            logit = self.model(values, mask).logits[0, label]
        finally:
            hook.remove()
        by_hidden, by_values = torch.autograd.grad(logit, (hidden[0], values))
        when = (by_hidden.mean(dim=1, keepdim=True) * hidden[0]).sum(dim=-1)[0].relu()
        where = ((values * by_values)[0].float().cpu() @ self.shares).relu()
        return when.float().cpu()[:, None] * where
