"""A clip and its mirror image: which of the two a model should be asked about.

A left-handed signer, and a camera that shows one's mirror image, turn a sign round. A model that has only seen right-handed signers
takes the result for another sign. Asked about both the clip and its mirror image it can be believed where it knows more of what it
sees, together with what the hands say themselves: which of them signs.
"""

from __future__ import annotations

import numpy as np

from ..metrics.open_set.open_set import knownness

# The two say about as much: over clips of ISL-30, differences of the largest logit spread twice as far as leads do.
_LOGITS_A_LEAD = 2.0


def mirror_image_wins(logits: np.ndarray, mirrored: np.ndarray, lead: np.ndarray, margin: float) -> np.ndarray:
    """(N,) bool: whether a clip is to be read in the mirror.

    Args:
        logits: (N, C) of the clips.
        mirrored: (N, C) of their mirror images.
        lead: (N,) how much more the right hand signs than the left, :func:`signlang_hf.landmarks.normalize.hand_lead`.
        margin: how many logits the mirror image must be ahead. 0 treats both alike, so that a clip and its mirror image get the
            same answer; the more, the rarer is a clip turned round that was not mirrored.
    """
    ahead = knownness(mirrored, "logit") - knownness(logits, "logit") - _LOGITS_A_LEAD * np.asarray(lead)
    return ahead > margin
