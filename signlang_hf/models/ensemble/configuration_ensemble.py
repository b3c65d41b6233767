"""Configuration of an ensemble of keypoint models. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig


class SignEnsembleConfig(PretrainedConfig):
    """Settings of :class:`SignEnsembleForSignClassification`; those of its members lie in their own folders.

    Args:
        members: names of the members, in order; each lies in the sub-folder :meth:`folder` of its name.
        input_sizes: F of each member.
        embedding_size: length of ``embedding``, the members' embeddings one after the other.
        member_weights: how much each member's logits count; default 1 / number of members.
        booster: whether an XGBoost model corrects the weighted sum; without one the ensemble is a plain soft vote.
        logit_temperature: what logits are divided by before softmax; the weights are chosen so that 1 is right.
        unknown_threshold: a clip whose knownness (see ``unknown_score``) is below it shows no sign of the vocabulary; None
            accepts every clip.
        unknown_score: how known a clip is: ``probability``, ``logit`` or ``energy``, as in the keypoint models.
        mirror_margin: the clip's mirror image is read as well and counts where it is so many logits better known, as in the keypoint
            models; None reads the clip alone.

    Raises:
        ValueError: a setting that no ensemble can have, in one sentence.
    """

    model_type = "signlang_ensemble"
    # What the Trainer need not gather from the output in evaluation: everything but the logits.
    keys_to_ignore_at_inference = ["embedding", "member_logits"]  # noqa: RUF012

    def __init__(
        self,
        members: Sequence[str] = (),
        input_sizes: Sequence[int] = (),
        embedding_size: int = 0,
        member_weights: Sequence[float] | None = None,
        booster: bool = False,
        logit_temperature: float = 1.0,
        unknown_threshold: float | None = None,
        unknown_score: str = "probability",
        mirror_margin: float | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("input_size", None)  # follows from the members; the saved copy is for readers
        self.members = list(members)
        self.input_sizes = [int(size) for size in input_sizes]
        # The members' features side by side, and for each a column that says in which frames there are any.
        self.input_size = sum(self.input_sizes) + len(self.members)
        self.embedding_size = embedding_size
        equal = [1 / len(self.members)] * len(self.members) if self.members else []
        self.member_weights = equal if member_weights is None else [float(weight) for weight in member_weights]
        self.booster = booster
        self.logit_temperature = logit_temperature
        self.unknown_threshold = unknown_threshold
        self.unknown_score = unknown_score
        self.mirror_margin = mirror_margin
        super().__init__(**kwargs)
        self.check()

    @staticmethod
    def folder(member: str) -> str:
        """Sub-folder of a member."""
        return f"member-{member}"

    def check(self) -> None:
        """Refuse settings that no ensemble can have."""
        bad = [name for name in self.members if not re.fullmatch(r"\w[\w-]*", name)]
        if bad:
            raise ValueError(f"Member {bad[0]!r} cannot name a folder; use letters, digits, '_' and '-'.")
        if len(set(self.members)) < len(self.members):
            raise ValueError(f"Two members have the same name: {', '.join(self.members)}.")
        for name in ("input_sizes", "member_weights"):
            if len(getattr(self, name)) != len(self.members):
                raise ValueError(f"There are {len(getattr(self, name))} {name} for {len(self.members)} members.")
        if any(weight < 0 for weight in self.member_weights) or (self.members and not any(self.member_weights)):
            raise ValueError(
                f"member_weights are {self.member_weights}; none may be negative, and one must be positive."
            )
        if not self.logit_temperature > 0:
            raise ValueError(f"logit_temperature is {self.logit_temperature}; it must be positive.")
        if self.unknown_score not in ("probability", "logit", "energy"):
            raise ValueError(f"unknown_score is {self.unknown_score!r}; it must be 'probability', 'logit' or 'energy'.")
        if self.mirror_margin is not None and not self.mirror_margin >= 0:
            raise ValueError(f"mirror_margin is {self.mirror_margin}; it must be None or at least 0.")


__all__ = ["SignEnsembleConfig"]
