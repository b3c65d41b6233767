"""Processor of an ensemble: each member's own processor, and their features side by side.

Design decisions:

* All settings lie in one JSON file, those of the members nested in it. Saving also writes each member's own file into its
  sub-folder, so that every member is a model folder of its own.
* Members see the clip in their own layout, clock and length. So the frames of one row need not be of the same moment: rows only
  carry the members' clips together, and a last column for each member says how far its own goes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers.models.auto.feature_extraction_auto import feature_extractor_class_from_name

from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.models.processing import SignProcessor

from .configuration_ensemble import SignEnsembleConfig


class SignEnsembleProcessor(SignProcessor):
    """Turns landmarks into the inputs of all members.

    Args:
        members: name → the member's processor, or its settings as a saved one has them.
        order: their names in the order of the ensemble; a saved file sorts ``members`` itself. Default: as they are given.

    Raises:
        ValueError: no member, or one whose processor is of an unknown type.
    """

    def __init__(
        self,
        members: Mapping[str, SignProcessor | Mapping[str, Any]],
        order: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        if not members:
            raise ValueError("An ensemble's processor needs the processors of its members.")
        self.order = list(members if order is None else order)
        self.members = {name: _made(name, members[name]) for name in self.order}
        for derived in ("feature_size", "sampling_rate", "padding_value", "layout"):
            kwargs.pop(derived, None)  # follow from the members; the saved copies are for readers
        sizes = [member.feature_size for member in self.members.values()]
        rate = max(member.sampling_rate for member in self.members.values())
        super().__init__(feature_size=sum(sizes) + len(sizes), sampling_rate=rate, padding_value=0.0, **kwargs)
        # Bare arrays name no layout; that with the most points has something for every member.
        self.layout = max((member.layout for member in self.members.values()), key=lambda name: len(get_layout(name)))

    def to_dict(self) -> dict[str, Any]:
        members, self.members = self.members, {}
        try:
            return super().to_dict() | {"members": {name: member.to_dict() for name, member in members.items()}}
        finally:
            self.members = members

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any) -> list[str]:
        """As in transformers, and each member's processor into the member's sub-folder."""
        for name, member in self.members.items():
            member.save_pretrained(os.path.join(save_directory, SignEnsembleConfig.folder(name)))
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    @property
    def longest(self) -> int:
        """Frames that the longest clip has in any member."""
        return max(member.longest for member in self.members.values())

    def to_sequence(self, clip: Any) -> LandmarkSequence:
        """A LandmarkSequence from one already, a dataset row, or an array (T, K, 2 or 3) in the processor's layout."""
        with_layout = next(member for member in self.members.values() if member.layout == self.layout)
        return with_layout.to_sequence(clip)

    def extract(self, clip: Any) -> np.ndarray:
        """Features of one clip for all members: (T of the longest, F) float32, before padding."""
        sequence = self.to_sequence(clip)
        apart = [member.extract(sequence) for member in self.members.values()]
        together = np.zeros((max(map(len, apart)), self.feature_size), np.float32)
        start = 0
        for index, own in enumerate(apart):
            together[: len(own), start : start + own.shape[1]] = own
            together[: len(own), index - len(apart)] = 1
            start += own.shape[1]
        return together


def _made(name: str, member: SignProcessor | Mapping[str, Any]) -> SignProcessor:
    if not isinstance(member, Mapping):
        return member
    kind = str(member.get("feature_extractor_type"))
    found = feature_extractor_class_from_name(kind)
    if found is None:
        raise ValueError(f"The processor of member '{name}' is a {kind}, which is not known here.")
    return found.from_dict(dict(member))


__all__ = ["SignEnsembleProcessor"]
