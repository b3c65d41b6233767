"""Is an explanation true? The deletion test (Samek et al. 2017): without what it calls important the model must lose its answer.

Cells (time, joint) are set to missing in the clip's own landmarks, before the processor sees them, so all its steps run as they
would on such a clip. Only cells that could matter are counted: seen, and of points that reach the model. Two controls:

* ``random``: as many cells anywhere. Scattered single losses are largely repaired by the processor, which fills short gaps.
* ``matched``: the explanation's own pattern, at other joints and moments (joints permuted, time rolled round). It has the same
  clusters and the same long gaps, so only being in the right place can make the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .explanation import SignExplanation

_BATCH = 32


@dataclass(frozen=True, eq=False)
class Deletion:
    """Probability of the explained label.

    Args:
        whole: on the whole clip.
        top: without its hottest cells.
        random: (R,) without as many random cells.
        matched: (R,) without the same pattern elsewhere.
    """

    whole: float
    top: float
    random: np.ndarray
    matched: np.ndarray


def deletion_test(
    model: Any, processor: Any, explanation: SignExplanation, *, share: float = 0.2, repeats: int = 10, seed: int = 0
) -> Deletion:
    """Delete the hottest ``share`` of the clip's cells, and for comparison others.

    Args:
        model, processor: what was explained.
        share: share of the cells that could matter, in (0, 1).
        repeats: R, draws of each control.
        seed: of the draws.

    Raises:
        ValueError: an impossible share or number of repeats, or no cell to delete.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it must be in (0, 1).")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; it must be at least 1.")
    sequence, rng = explanation.sequence, np.random.default_rng(seed)
    cells = sequence.seen & explanation.looked_at
    count = round(share * int(cells.sum()))
    if count == 0:
        raise ValueError(
            f"{100 * share:g} % of the clip's {int(cells.sum())} cells that reach the model are none to delete."
        )
    noise = 1e-9 * rng.random(cells.shape)  # equal heat is told apart by chance, not by position

    def hottest(heat: np.ndarray) -> np.ndarray:
        ranks = np.where(cells, heat + noise, -1.0).ravel()
        chosen = np.zeros(cells.size, bool)
        chosen[np.argpartition(-ranks, count - 1)[:count]] = True
        return chosen.reshape(cells.shape)

    looked_at = np.flatnonzero(explanation.looked_at)
    random, matched = [], []
    for _ in range(repeats):
        random.append(hottest(rng.random(cells.shape)))
        elsewhere = explanation.heat.copy()
        elsewhere[:, looked_at] = elsewhere[:, rng.permutation(looked_at)]
        matched.append(hottest(np.roll(elsewhere, rng.integers(len(sequence)), axis=0)))
    masks = [np.zeros_like(cells), hottest(explanation.heat), *random, *matched]
    clips = [sequence.replace(data=np.where(mask[..., None], np.nan, sequence.data)) for mask in masks]
    scores = np.concatenate(
        [_scores(model, processor, clips[i : i + _BATCH], explanation.label_id) for i in range(0, len(clips), _BATCH)]
    )
    return Deletion(float(scores[0]), float(scores[1]), scores[2 : 2 + repeats], scores[2 + repeats :])


@torch.inference_mode()
def _scores(model: Any, processor: Any, clips: list[Any], label: int) -> np.ndarray:
    inputs = processor(clips, return_tensors="pt").to(model.device)
    temperature = float(getattr(model.config, "logit_temperature", 1.0))
    return (model(**inputs).logits.float() / temperature).softmax(dim=-1)[:, label].cpu().numpy()
