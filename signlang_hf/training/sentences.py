"""Sentences for the Trainer: clips with their glosses, pairs of glosses and text, batches of similar length, predictions in a file.

Design decisions:

* A clip whose target needs more output frames than it has can teach CTC nothing, and one that is longer than the model's window cannot
  be cut without knowing where its signs end. Both are left out of training, counted and named; neither is left out of a test.
* A batch is as expensive as its longest clip, so clips of similar length are trained together. Which ones is drawn from (seed, epoch)
  alone, by ``group_by_length`` under both generations of transformers: their own way needs a column of lengths (4.57) or another
  argument (5), and draws from a generator that a run resumed in the middle of an epoch has lost.
* References are the rows' own glosses and texts, never what is left of them after encoding: an unknown word is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import Trainer
from transformers.trainer_pt_utils import get_length_grouped_indices
from transformers.utils import logging

from ..data.mapped import MappedRows
from ..landmarks.files import atomic_write
from .clips import ClipDataset

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import FeatureExtractionMixin, PreTrainedModel, SequenceFeatureExtractor

logger = logging.get_logger(__name__)

PREDICTIONS = "predictions.jsonl"


def require_columns(rows: Dataset, names: Sequence[str], task: str) -> None:
    """Raise ValueError unless the dataset has the columns, and each row something in them."""
    missing = [name for name in names if name not in rows.column_names]
    if missing:
        raise ValueError(f"{task} needs rows with {' and '.join(missing)}; these have {', '.join(rows.column_names)}.")
    for name in ("glosses", "text"):
        if name not in names:
            continue
        column = rows.select_columns(["id", name]).with_format("arrow")[:]
        for row, (key, value) in enumerate(zip(column["id"].to_pylist(), column[name].to_pylist())):
            if not value or not (
                value.strip() if isinstance(value, str) else all(gloss and gloss.strip() for gloss in value)
            ):
                what = "no text" if name == "text" else "an empty gloss" if value else "no glosses"
                raise ValueError(f"Row {row} ('{key}') has {what}; leave it out, or say what is signed in it.")


def tell_unknown(splits: DatasetDict | Mapping[str, Any], processor: FeatureExtractionMixin) -> None:
    """A warning for each split with glosses that the model has no name for."""
    for name in ("validation", "test"):
        glosses = {gloss: None for row in (splits[name]["glosses"] if name in splits else ()) for gloss in row}
        unknown = processor.unknown(list(glosses)) if glosses else []
        if unknown:
            logger.warning(
                f"The vocabulary of training lacks {len(unknown)} of the {len(glosses)} glosses of the {name} split; to the model they "
                f"are unknown: {', '.join(unknown[:5])}{' …' if len(unknown) > 5 else ''}."
            )


def frame_counts(rows: Dataset, target_fps: float | None) -> np.ndarray:
    """(N,) frames that clips have on the processor's clock, from their time stamps alone."""
    counts = []
    for row in MappedRows(rows, ["landmarks", "timestamps", "fps"]):
        frames, stamps = len(row["landmarks"]), row.get("timestamps")
        if target_fps and frames > 1:
            lasts = (frames - 1) / row["fps"] if stamps is None or not len(stamps) else float(stamps[-1] - stamps[0])
            frames = int(lasts * target_fps + 1e-6) + 1  # as landmarks.normalize.resample counts them
        counts.append(frames)
    return np.array(counts, np.int64)


def trainable(
    rows: Dataset, processor: SequenceFeatureExtractor, model: PreTrainedModel
) -> tuple[Dataset, np.ndarray, dict[str, int]]:
    """The training clips that CTC can learn from.

    Returns:
        them, their lengths in frames, and how many are left out because they are ``too_short`` for their glosses or ``too_long`` for
        the model's window.

    Raises:
        ValueError: none is left.
    """
    frames = frame_counts(rows, processor.target_fps)
    targets = [processor.encode(glosses) for glosses in rows["glosses"]]
    needed = np.array([len(one) + sum(a == b for a, b in pairwise(one)) for one in targets])
    short = model.output_lengths(frames) < needed
    long = frames > processor.max_frames
    kept = np.flatnonzero(~short & ~long)
    ids = np.array(rows["id"])
    if len(kept) < len(rows):
        logger.warning(
            f"{len(rows) - len(kept)} of {len(rows)} training clips are left out: {_some(ids[short])} with fewer output frames than "
            f"their glosses need, {_some(ids[long & ~short])} longer than max_frames={processor.max_frames} (raise it, or lower "
            "target_fps)."
        )
    if not len(kept):
        raise ValueError(
            f"No training clip can be used: {int(short.sum())} are too short for their glosses and {int((long & ~short).sum())} "
            f"longer than max_frames={processor.max_frames}; see the processor's target_fps and max_frames."
        )
    left_out = {"too_short": int(short.sum()), "too_long": int((long & ~short).sum())}
    return (rows if len(kept) == len(rows) else rows.select(kept)), frames[kept], left_out


def _some(ids: np.ndarray) -> str:
    named = ", ".join(map(str, ids[:3])) + (" …" if len(ids) > 3 else "")
    return f"{len(ids)} ({named})" if len(ids) else "0"


class SentenceDataset(ClipDataset):
    """Row i → ``{"input_values": (T, F), "labels": [columns]}``: a clip of :class:`.clips.ClipDataset` with its glosses.

    Args:
        rows, processor, augmenter, seed, feature_dropout: as there.
        lengths: (N,) frames of the clips, for batches of similar length.
    """

    TARGET = "glosses"

    def __init__(
        self,
        rows: Dataset,
        processor: SequenceFeatureExtractor,
        *args: Any,
        lengths: np.ndarray | None = None,
        **more: Any,
    ) -> None:
        super().__init__(rows, processor, *args, **more)
        self.lengths = lengths

    def target(self, row: dict[str, Any]) -> list[int]:
        return self.processor.encode(row["glosses"])


@dataclass
class SentenceCollator:
    """Pads clips and their glosses, or glosses and texts, with the processor's own padding."""

    processor: SequenceFeatureExtractor

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        rows = [{name: values for name, values in row.items() if name != "draw"} for row in rows]
        if "input_values" in rows[0]:
            rows = [row | {"attention_mask": np.ones(len(row["input_values"]), np.int64)} for row in rows]
        return dict(self.processor.pad(rows, return_tensors="pt"))


class TextDataset(torch.utils.data.Dataset):
    """Row i → ``{"input_ids": [ids], "labels": [ids]}``.

    Args:
        rows: with ``glosses`` and ``text``.
        processor: of the translator.
        bpe_dropout: share of merges left out at random; the tokenizers library draws them from a generator without a seed, so a run with
            it is not resumed bit for bit.
        gloss_noise: share of the glosses that a recogniser might have got wrong, see :func:`misread`; drawn from (seed, epoch, i).
        seed: of the noise.
    """

    def __init__(
        self,
        rows: Dataset,
        processor: FeatureExtractionMixin,
        bpe_dropout: float = 0.0,
        gloss_noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.glosses, self.texts = list(rows["glosses"]), list(rows["text"])
        self.processor = processor
        self.bpe_dropout, self.gloss_noise, self.seed = bpe_dropout, gloss_noise, seed
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that outlive an epoch see it change
        self.known = sorted({gloss for one in self.glosses for gloss in one}) if gloss_noise else []
        self.lengths = np.array([len(processor.encode_text(text)) for text in self.texts], np.int64)

    @property
    def epoch(self) -> int:
        """Epoch that noise and the order of batches are drawn for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """To be called at the start of each epoch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        glosses = self.glosses[int(index)]
        if self.gloss_noise:
            rng = np.random.default_rng([self.seed, self.epoch, int(index)])
            glosses = misread(glosses, self.gloss_noise, self.known, rng)
        return self.processor.encode(glosses, self.texts[int(index)], bpe_dropout=self.bpe_dropout)


MERGED = 0.3
"""Share of doubled glosses that a recogniser takes for one; of spelled words it was 26 of 89."""


def misread(glosses: Sequence[str], share: float, known: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The glosses as a recogniser with an error rate of ``share`` might give them: each error is, with equal chance, another gloss of
    ``known`` in its place, a gloss left out or a further one after it. A gloss twice in a row is one in :data:`MERGED` of the cases,
    because CTC tells the two by the blank between them alone. One gloss is always left. A ``share`` of 0 leaves all as it is."""
    said: list[str] = []
    for before, gloss in zip([None, *glosses], glosses):
        if share and gloss == before and rng.random() < MERGED:
            continue
        if rng.random() >= share:
            said.append(gloss)
            continue
        kind, other = int(rng.integers(3)), str(known[int(rng.integers(len(known)))])
        said += ([other], [], [gloss, other])[kind]
    return said or list(glosses[:1])


class SimilarLengths(torch.utils.data.Sampler):
    """All rows of a dataset, those of similar length one after another, in an order drawn from (seed, the dataset's epoch).

    Args:
        dataset: with ``lengths`` and ``epoch``.
        batch_size: rows of one batch, or of all that are accumulated to a step.
        seed: of the order.
    """

    def __init__(self, dataset: Any, batch_size: int, seed: int) -> None:
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[int]:
        drawn = int(np.random.default_rng([self.seed, int(self.dataset.epoch)]).integers(2**62))
        generator = torch.Generator().manual_seed(drawn)
        lengths = [int(length) for length in self.dataset.lengths]
        return iter(get_length_grouped_indices(lengths, self.batch_size, generator=generator))


class SimilarLengthsMixin:
    """For a Trainer: ``group_by_length`` as :class:`SimilarLengths` does it; evaluation goes through the rows in their order."""

    def _get_train_sampler(self: Trainer, train_dataset: Any = None) -> Any:
        if not self.args.group_by_length:
            return super()._get_train_sampler(train_dataset)
        dataset = self.train_dataset if train_dataset is None else train_dataset
        return SimilarLengths(
            dataset, self.args.train_batch_size * self.args.gradient_accumulation_steps, self.args.seed
        )

    def _get_eval_sampler(self: Trainer, eval_dataset: Any) -> Any:
        return torch.utils.data.SequentialSampler(eval_dataset)


def write_predictions(
    path: Path,
    ids: Sequence[str],
    references: Sequence[Any],
    hypotheses: Sequence[Any],
    more: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """Write one JSON line a sentence: ``id``, ``reference``, ``hypothesis`` and what ``more`` names."""
    if not len(ids) == len(references) == len(hypotheses):
        raise ValueError(f"There are {len(ids)} ids, {len(references)} references and {len(hypotheses)} hypotheses.")
    rows = [
        {
            "id": key,
            "reference": reference,
            "hypothesis": hypothesis,
            **{name: column[row] for name, column in (more or {}).items()},
        }
        for row, (key, reference, hypothesis) in enumerate(zip(ids, references, hypotheses))
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    atomic_write(path, lambda stream: stream.write(text.encode()))
    return path


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """What :func:`write_predictions` wrote. Raises FileNotFoundError, or ValueError for another file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is missing; a training run with a test split writes it.")
    try:
        rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
        return [row | {name: row[name] for name in ("id", "reference", "hypothesis")} for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no predictions: {error}") from None
