"""What a trained recogniser says about a split: log-probabilities of whole clips, a decoder chosen on validation, glosses.

Design decisions:

* A clip is read whole: what is longer than the window of a model that is not causal goes through it in overlapping windows, as in
  the pipeline.
* The language model is of the training glosses, in an ARPA file beside the model. Its weight and the bonus of a gloss are those with the
  fewest errors on validation; of equals the smaller ones. Without validation the first of each list is taken. A model that got the
  weight 0 is of no use, and is not kept.
* ``decoder.json`` beside the model says how it was measured: the options of :class:`~signlang_hf.decoding.Decoder`, with the language
  model's file name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..data.mapped import MappedRows
from ..decoding import Decoder, NgramModel
from ..landmarks.rows import LANDMARK_COLUMNS
from ..metrics.gloss_wer.gloss_wer import error_counts
from ..models.ctc import windows_of
from ..pipelines.gloss_decoding import DECODER
from .checkpoints import write_json

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, SequenceFeatureExtractor

LANGUAGE_MODEL = "language_model.arpa"


@torch.inference_mode()
def log_probabilities(
    model: PreTrainedModel,
    processor: SequenceFeatureExtractor,
    rows: Dataset,
    *,
    batch_size: int = 16,
    progress: bool = True,
) -> Iterator[np.ndarray]:
    """(T', V) natural log-probabilities of each clip, whole, in the order of the rows.

    Args:
        model, processor: which belong together.
        rows: landmark rows.
        batch_size: windows a forward pass.
    """
    model.eval()
    stride = model.config.temporal_stride
    clips = tqdm(MappedRows(rows, LANDMARK_COLUMNS), desc="recognising", unit="clip", disable=not progress, leave=False)
    waiting: list[tuple[list[tuple[int, int]], np.ndarray]] = []

    def read() -> Iterator[np.ndarray]:
        pieces = [features[start:end] for windows, features in waiting for start, end in windows]
        outputs: list[np.ndarray] = []
        for first in range(0, len(pieces), batch_size):
            some = pieces[first : first + batch_size]
            batch = processor.pad(
                {"input_values": some, "attention_mask": [np.ones(len(piece), np.int64) for piece in some]},
                return_tensors="pt",
            )
            output = model(**{name: value.to(model.device) for name, value in batch.items()})
            logits = output.logits.float().cpu().numpy()
            outputs += [one[: int(length)] for one, length in zip(logits, output.logit_lengths)]
        for windows, _ in waiting:
            yield processor.merge(outputs[: len(windows)], windows, stride)
            del outputs[: len(windows)]
        waiting.clear()

    for clip in clips:
        features = processor.extract(clip)
        waiting.append((windows_of(model, processor, len(features)), features))
        if len(waiting) == batch_size:
            yield from read()
    yield from read()


def glosses_of(
    processor: SequenceFeatureExtractor, decoder: Decoder, log_probs: Sequence[np.ndarray]
) -> list[list[str]]:
    """The glosses that a decoder reads off each clip's log-probabilities."""
    return [processor.decode(decoder(one).ids) for one in log_probs]


def fit_decoder(
    processor: SequenceFeatureExtractor,
    settings: Mapping[str, Any],
    train: Sequence[Sequence[str]],
    validation: tuple[Sequence[np.ndarray], Sequence[Sequence[str]]] | None,
    folder: Path,
) -> dict[str, Any]:
    """Train the language model, choose the weights, and write both beside the model; no language model that counts nothing.

    Args:
        processor: whose vocabulary is decoded.
        settings: as :data:`.sentence_arguments.CTC_DECODING`.
        train: glosses of the training sentences.
        validation: log-probabilities and true glosses of clips to choose on; None chooses nothing.
        folder: of the model.

    Returns:
        Options of :class:`Decoder`; ``language_model`` is the name of a file in the folder, or None, also where its weight is 0.
    """
    options: dict[str, Any] = {"method": settings["method"]}
    if settings["method"] == "beam":
        options |= {"beam_size": settings["beam_size"], "engine": settings["engine"], "language_model": None}
        weights = [0.0]
        if settings["order"]:
            known = [processor.decode(processor.encode(sentence)) for sentence in train]  # in the vocabulary's spelling
            model = NgramModel.train(known, order=settings["order"], vocabulary=processor.vocabulary[1:])
            model.save_arpa(folder / LANGUAGE_MODEL)
            options["language_model"] = LANGUAGE_MODEL
            weights = settings["lm_weight"]
        grid = list(product(weights, settings["insertion_bonus"]))
        chosen, errors = grid[0], None
        if validation is not None and len(grid) > 1:
            log_probs, references = (part[: settings["chosen_on"]] for part in validation)
            found = []
            for weight, bonus in tqdm(grid, desc="choosing a decoder", leave=False):
                decoder = load_decoder(processor, options | {"lm_weight": weight, "insertion_bonus": bonus}, folder)
                counts = error_counts(glosses_of(processor, decoder, log_probs), references, ignore_case=True)
                found.append((int(counts[:, :3].sum()), abs(weight), abs(bonus), (weight, bonus)))
            errors, _, _, chosen = min(found)
        options |= {"lm_weight": chosen[0], "insertion_bonus": chosen[1]}
        if not chosen[0]:
            options["language_model"] = None
            (folder / LANGUAGE_MODEL).unlink(missing_ok=True)
        if errors is not None:
            options["chosen_on"] = {"clips": len(references), "errors": errors}
    write_json(folder / DECODER, options)
    return options


def load_decoder(processor: SequenceFeatureExtractor, options: Mapping[str, Any], folder: Path) -> Decoder:
    """The decoder of what :func:`fit_decoder` returned, or of ``decoder.json``."""
    options = {name: value for name, value in options.items() if name != "chosen_on"}
    if options.get("language_model"):
        options["language_model"] = folder / options["language_model"]
    return Decoder(processor.vocabulary, processor.blank_token_id, **options)


__all__ = ["LANGUAGE_MODEL", "fit_decoder", "glosses_of", "load_decoder", "log_probabilities"]
