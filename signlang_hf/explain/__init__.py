"""Explaining a recogniser: which moments and which joints of a clip speak for its answer."""

from collections.abc import Mapping

from .explainer import SignExplainer
from .explanation import SignExplanation
from .faithfulness import Deletion, deletion_test
from .gradcam import GradCAMExplainer
from .integrated_gradients import IntegratedGradientsExplainer

EXPLAINERS: Mapping[str, type[SignExplainer]] = {
    explainer.method: explainer for explainer in (GradCAMExplainer, IntegratedGradientsExplainer)
}
"""Method → explainer."""


def get_explainer(method: str) -> type[SignExplainer]:
    """The explainer of a method. Raises ValueError that lists the known ones."""
    try:
        return EXPLAINERS[method]
    except KeyError:
        raise ValueError(f"Unknown method {method!r}; known are {', '.join(EXPLAINERS)}.") from None


__all__ = [
    "EXPLAINERS",
    "Deletion",
    "GradCAMExplainer",
    "IntegratedGradientsExplainer",
    "SignExplainer",
    "SignExplanation",
    "deletion_test",
    "get_explainer",
]
