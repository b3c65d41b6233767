"""What is known about a published dataset beyond its rows: the facts that its card and its ``DatasetInfo`` are written from."""

from __future__ import annotations

from dataclasses import dataclass

import datasets


@dataclass(frozen=True)
class DatasetFacts:
    """Facts of one dataset, as its builder states them.

    Args:
        title: its name for readers.
        summary: a sentence or two on what it is.
        licence: licence of the data as the Hub spells it; ``unknown`` where the publisher states none.
        homepage: where the data is had from.
        citation: BibTeX of the source.
        sign_languages: ISO 639-3 codes.
        signers: number of signers, where rows do not name them.
        split_rule: how the splits were made, and whether they keep signers apart.
        processing: what this library does to the data, and what it had to assume.
        limits: known limits.
        anchors: published results to compare with, each with split and source.
    """

    title: str
    summary: str
    licence: str
    homepage: str = ""
    citation: str = ""
    sign_languages: tuple[str, ...] = ()
    signers: int | None = None
    split_rule: str = ""
    processing: str = ""
    limits: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()

    def info(self, features: datasets.Features) -> datasets.DatasetInfo:
        """The part of the facts that ``datasets`` keeps beside the rows."""
        return datasets.DatasetInfo(
            description=self.summary,
            citation=self.citation,
            homepage=self.homepage,
            license=self.licence,
            features=features,
        )
