"""Cards of recognisers of sentences and of translators that have just been trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub import save_model_card
from .arguments import DataArguments, FittingArguments
from .cards import about_data, dataset_name, portable, training_facts
from .results import ResultRow

if TYPE_CHECKING:
    from datasets import DatasetDict

    from .continuous import ContinuousResult
    from .fitting import RunResult
    from .translation import TranslationResult


def save_continuous_card(
    result: ContinuousResult,
    data_args: DataArguments,
    args: FittingArguments,
    splits: DatasetDict,
    command: str,
    rows: Sequence[ResultRow],
    **facts: Any,
) -> Path:
    """Write ``README.md`` beside a recogniser of sentences; ``rows`` are its result rows, ``facts`` further fields of the card."""
    reading = {f"decoder: {name}": value for name, value in result.decoding.items() if not isinstance(value, dict)}
    left_out = {f"clips left out, {why.replace('_', ' ')}": count for why, count in result.left_out.items() if count}
    return _save(
        result, data_args, args, splits, command, rows,
        more={**reading, **left_out},
        **facts,
    )  # fmt: skip


def save_translation_card(
    result: TranslationResult,
    data_args: DataArguments,
    args: FittingArguments,
    splits: DatasetDict,
    command: str,
    rows: Sequence[ResultRow],
    **facts: Any,
) -> Path:
    """Write ``README.md`` beside a translator; ``rows`` are its result rows, ``facts`` further fields of the card."""
    glosses = repr(list(splits["train"][0]["glosses"])[:6])
    return _save(
        result, data_args, args, splits, command, rows,
        more={**result.decoding.get("generate", {}), **{f"{name} signature": one for name, one in result.signatures.items()}},
        example=glosses,
        example_input=glosses,
        **facts,
    )  # fmt: skip


def save_pair_card(
    folder: Path,
    recognizer: ContinuousResult,
    data_args: DataArguments,
    args: FittingArguments,
    splits: DatasetDict,
    command: str,
    rows: Sequence[ResultRow],
    **facts: Any,
) -> Path:
    """Write ``README.md`` beside a recogniser and a translator that were saved as one into ``folder``.

    ``recognizer``, its arguments and ``splits`` are those of the first stage, ``rows`` are measured on both in a row.
    """
    return _save(replace(recognizer, folder=folder), data_args, args, splits, command, rows, more={}, **facts)


def _save(
    result: RunResult,
    data_args: DataArguments,
    args: FittingArguments,
    splits: DatasetDict,
    command: str,
    rows: Sequence[ResultRow],
    *,
    more: dict[str, Any],
    **facts: Any,
) -> Path:
    name = facts.get("name", result.folder.name)
    # The card's table has rates and scores; how long it took and how large it is are said elsewhere on it.
    shown = [row for row in rows if row.metric not in ("training_minutes", "parameter_count")]
    shown = [replace(row, benchmark=dataset_name(data_args)) for row in shown]
    own = shown[0].model if shown else ""
    about = about_data(data_args, splits)
    # A model that was kept was not trained now.
    minutes = {"minutes": round(result.training["minutes"], 1)} if result.training else {}
    about["limits"] = [*about["limits"], *facts.pop("limits", ())]
    return save_model_card(
        result.folder,
        repo_id=args.hub_model_id or portable(str(result.folder)),
        **about,
        training={**training_facts(args), **minutes, **more},
        command=command,
        results=[replace(row, model=name) for row in shown if row.model == own],
        baselines=[row for row in shown if row.model != own],
        **facts,
    )


__all__ = ["save_continuous_card", "save_pair_card", "save_translation_card"]
