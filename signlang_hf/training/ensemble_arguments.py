"""Arguments of ``recipes/train_ensemble.py``: which members, and everything that holds for all of them.

Design decisions:

* A member is described by the file that ``train_isolated`` would train it from, so every recipe of a single model is one of a member.
* What the ensemble's own file and command line say holds for all members and wins over their files. So the data are named once, and
  ``--num_train_epochs 2`` shortens every training.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .arguments import DataArguments, ModelArguments, SignTrainingArguments, parse
from .boosting import BoosterSettings

MemberArguments = tuple[ModelArguments, DataArguments, SignTrainingArguments]
"""What one member is trained by."""


@dataclass
class EnsembleArguments:
    """What an ensemble is made of."""

    members: list[str] | None = field(
        default=None, metadata={"help": "Configuration files of single models; a member is called like its file."}
    )
    inner_folds: int = field(
        default=5,
        metadata={
            "help": "Parts of the training split that members answer for without having seen them; 0: an equal vote."
        },
    )
    booster: dict | str | None = field(
        default=None,
        metadata={"help": "Settings of BoosterSettings. Default: its defaults; '{\"enabled\": false}' for a vote."},
    )

    @property
    def booster_settings(self) -> BoosterSettings | None:
        """None for a vote. Raises ValueError for settings that a booster cannot have."""
        settings = self.booster
        if isinstance(settings, str):
            try:
                settings = json.loads(settings)
            except json.JSONDecodeError as error:
                raise ValueError(f"--booster is not valid JSON ({error}); write it like '{{\"eta\": 0.1}}'.") from None
        if settings is not None and not isinstance(settings, Mapping):
            raise ValueError(f"--booster must be a mapping of settings, got {type(settings).__name__}.")
        settings = dict(settings or {})
        enabled = settings.pop("enabled", True)
        if not isinstance(enabled, bool):
            raise ValueError(f"Booster setting enabled is {enabled!r}; it must be true or false.")
        return BoosterSettings.from_dict(settings) if enabled else None


def parse_ensemble(argv: list[str] | None = None) -> tuple[EnsembleArguments, dict[str, MemberArguments]]:
    """The ensemble's arguments, and name → argument groups of each member.

    Raises:
        ValueError: an argument that does not exist or cannot be read, no members, or members trained on different data.
        FileNotFoundError: no such file.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    *_, ensemble = parse(argv, EnsembleArguments)
    if not ensemble.members:
        raise ValueError(
            "Name the members, one configuration file each: --members recipes/configs/a.yaml recipes/configs/b.yaml"
        )
    names = [Path(file).stem for file in ensemble.members]
    if len(set(names)) < len(names):
        raise ValueError(f"Two members are called alike ({', '.join(names)}); give each file its own name.")
    words = _for_all(argv)
    members = {}
    for name, file in zip(names, ensemble.members):
        if not Path(file).is_file():
            raise FileNotFoundError(f"There is no configuration file {file} for member '{name}'.")
        members[name] = parse(["--config", file, *words], EnsembleArguments)[:3]
    _check_same_data(members)
    return ensemble, members


def _for_all(argv: list[str]) -> list[str]:
    """The ensemble's file and flags as flags."""
    import yaml

    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--config=") else [word])]
    if "--config" not in words:
        return words
    at = words.index("--config")
    settings = yaml.safe_load(Path(words[at + 1]).read_text(encoding="utf-8"))
    from_file = [word for name, value in settings.items() if value is not None for word in _flag(name, value)]
    return [*from_file, *words[:at], *words[at + 2 :]]


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"--{name}", json.dumps(value)]
    values = value if isinstance(value, list) else [value]
    return [f"--{name}", *(str(one).lower() if isinstance(one, bool) else str(one) for one in values)]


def _check_same_data(members: Mapping[str, MemberArguments]) -> None:
    """Raise ValueError unless all members train on the same clips into the same place."""
    (first, (_, data, args)), *others = members.items()
    for name, (_, other_data, other_args) in others:
        mine = {**vars(data), "augment": None, "output_dir": args.output_dir, "seed": args.seed}
        theirs = {**vars(other_data), "augment": None, "output_dir": other_args.output_dir, "seed": other_args.seed}
        for key, value in mine.items():
            if theirs[key] != value:
                raise ValueError(
                    f"Members differ in {key}: {value} for {first}, {theirs[key]} for {name}; say it once, in the ensemble's "
                    f"file or as --{key}."
                )


__all__ = ["EnsembleArguments", "MemberArguments", "parse_ensemble"]
