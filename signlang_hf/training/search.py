"""Search for good settings with Optuna, through ``Trainer.hyperparameter_search``.

Design decisions:

* A trial trains on ``train`` and is worth what its **last** epoch measures on ``validation``: the best of many epochs would reward
  luck. The test split takes no part.
* The study is an SQLite file in the output folder, one process a folder. A search that was killed goes on counting where it was; the
  trial that it was killed in is tried again with the same settings.
* Trials are compared epoch by epoch, whatever their batch size, and one below the median of the finished ones is pruned.
* What is searched is plain data, so it stands in YAML, is stored with the study, and a search over another space is refused.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from transformers import CONFIG_MAPPING, PreTrainedModel, Trainer, set_seed

from ..landmarks.files import atomic_write
from .arguments import DataArguments, ModelArguments, SignTrainingArguments, parsed
from .building import new_model, new_processor
from .callbacks import SetEpoch, WeightAverage
from .checkpoints import claim
from .clips import ClipCollator, ClipDataset
from .evaluation import label_names
from .fitting import augmenter_of, check_trackers, measure_features, run_settings
from .isolated import METRICS, validation_metrics

if TYPE_CHECKING:
    import optuna
    from datasets import DatasetDict

STUDY = "study.db"
BEST = "best.yaml"
_NAME = "search"
_PRUNE_AFTER = 5
"""Trials that run to their end before any is pruned, and epochs that each trial is given."""
_LAYERS = {"model.num_hidden_layers": [4, 6, 8]}
_TRAINING = {
    "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "per_device_train_batch_size": [32, 64, 128],
}
DEFAULT_SPACES: Mapping[str, Mapping[str, Any]] = {
    "signlang_transformer": {**_LAYERS, **_TRAINING},
    "signlang_conv": {**_LAYERS, **_TRAINING},
    "signlang_bilstm": {**_LAYERS, "model.hidden_size": [256, 512], **_TRAINING},  # 128 and 256 units in each direction
    "signlang_hybrid": {**_LAYERS, "model.lstm_units": [128, 256], **_TRAINING},
}
"""What is searched by default: family → setting → choices, or the bounds of a number."""


@dataclass
class SearchArguments:
    """How settings are searched for."""

    num_trials: int = field(default=200, metadata={"help": "Trials in all, those of an interrupted search included."})
    space: dict | str | None = field(
        default=None,
        metadata={
            "help": "Mapping from model.<setting>, or from an argument of the training, to a list of choices or to "
            "{low, high, log}; as JSON, in the YAML file, or the name of a YAML or JSON file. Default: the family's own."
        },
    )

    def __post_init__(self) -> None:
        if isinstance(self.space, str) and self.space.endswith((".yaml", ".yml", ".json")):
            self.space = read_space(Path(self.space))
        self.space = parsed("space", self.space)
        if self.num_trials < 1:
            raise ValueError(f"num_trials is {self.num_trials}; it must be at least 1.")


def read_space(path: Path) -> Any:
    """A space from a YAML or JSON file. Raises FileNotFoundError, or ValueError for a file that is neither."""
    if not path.is_file():
        raise FileNotFoundError(f"The space {path} does not exist.")
    try:
        return yaml.safe_load(path.read_text())  # JSON is YAML
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def checked_space(space: Mapping[str, Any], model_type: str) -> dict[str, Any]:
    """The space with numbers as numbers, or the family's own where it is empty.

    Raises:
        ValueError: a setting that neither the family nor the training has, or one without choices or bounds.
    """
    if model_type not in CONFIG_MAPPING:
        raise ValueError(f"Unknown model_type {model_type!r}.")
    if not space and model_type not in DEFAULT_SPACES:
        raise ValueError(f"There is no space for {model_type} by default; give one with --space.")
    model_settings = CONFIG_MAPPING[model_type]().to_dict()
    training = {one.name for one in fields(SignTrainingArguments)}
    checked = {}
    for name, choice in (space or DEFAULT_SPACES[model_type]).items():
        known = name.removeprefix("model.") in model_settings if name.startswith("model.") else name in training
        if not known:
            raise ValueError(
                f"The space names {name!r}, which is neither model.<setting of {model_type}> nor a training argument."
            )
        checked[name] = _checked_choice(name, choice)
    return checked


def _checked_choice(name: str, choice: Any) -> Any:
    if isinstance(choice, list) and choice and all(isinstance(one, (str, int, float, bool)) for one in choice):
        return choice
    if isinstance(choice, Mapping) and {"low", "high"} <= set(choice) <= {"low", "high", "log"}:
        try:
            low, high = (bound if isinstance(bound, int) else float(bound) for bound in (choice["low"], choice["high"]))
        except (TypeError, ValueError):
            low, high = 1, 0
        log = bool(choice.get("log", False))
        if low <= high and (low > 0 or not log):
            return {"low": low, "high": high, "log": log}
    raise ValueError(
        f"The space of {name} is {choice!r}; it must be a list of choices, or low and high (low ≤ high, above 0 with log)."
    )


def suggest(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """A value for every setting; asked twice, a trial gives the same."""
    values = {}
    for name, choice in space.items():
        if isinstance(choice, list):
            values[name] = trial.suggest_categorical(name, choice)
        elif isinstance(choice["low"], int) and isinstance(choice["high"], int):
            values[name] = trial.suggest_int(name, choice["low"], choice["high"], log=choice["log"])
        else:
            values[name] = trial.suggest_float(name, choice["low"], choice["high"], log=choice["log"])
    return values


class _SearchTrainer(Trainer):
    """Reports to the study by epoch: steps of trials with different batch sizes could not be compared."""

    def _report_to_hp_search(self, trial: Any, step: int, metrics: dict[str, float]) -> None:
        super()._report_to_hp_search(trial, round(self.state.epoch), metrics)


def search(
    model_args: ModelArguments,
    data_args: DataArguments,
    args: SignTrainingArguments,
    search_args: SearchArguments,
    splits: DatasetDict,
) -> optuna.Study:
    """Search, or go on searching, until the study in ``args.output_dir`` has ``num_trials`` finished trials.

    Writes ``study.db``, ``study.png`` and ``best.yaml``, the settings of the best trial for ``train_isolated --config``.

    Raises:
        ValueError: no validation split, settings that do not fit, or a folder that holds a search over another space or other data.
        ImportError: without Optuna.
    """
    try:
        import optuna
    except ImportError:
        raise ImportError('A search needs optuna: pip install "signlang-hf[tune]"') from None
    if "validation" not in splits:
        raise ValueError(
            "A search needs a validation split to compare trials on; carve one out with --validation_size 0.15."
        )
    if model_args.model_name_or_path is not None:
        raise ValueError("A search trains models from scratch; leave --model_name_or_path out.")
    space = checked_space(search_args.space, model_args.model_type)
    metric, direction = _objective(args)
    check_trackers(args)
    folder = Path(args.output_dir)
    own = {name: split for name, split in splits.items() if name in ("train", "validation")}
    settings = run_settings(model_args, data_args, args, own) | {"space": space}
    kept = {"storage": f"sqlite:///{(folder / STUDY).resolve()}", "study_name": _NAME, "load_if_exists": True}
    started = (folder / STUDY).is_file() and bool(optuna.create_study(**kept, direction=direction).trials)
    claim(folder, settings, started=started)
    study = optuna.create_study(**kept, direction=direction)
    _retry_broken(study)
    left = search_args.num_trials - len(finished_trials(study))
    if left > 0:
        # Another seed after every interruption: with the same one the first draws would be made again.
        sampler = optuna.samplers.TPESampler(seed=args.seed + len(study.trials))
        trainer = _trainer(model_args, data_args, args, space, splits)
        trainer.hyperparameter_search(
            hp_space=lambda trial: _without_model(suggest(trial, space)),
            compute_objective=lambda metrics: metrics[metric],
            n_trials=left, direction=direction, backend="optuna", sampler=sampler, **kept,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_PRUNE_AFTER, n_warmup_steps=_PRUNE_AFTER),
        )  # fmt: skip
    study_picture(study, folder / "study.png", metric.removeprefix("eval_"))
    write_best(study, folder / BEST, model_args, data_args, args)
    return study


def finished_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that ran to their end or were pruned."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _retry_broken(study: optuna.Study) -> None:
    """A trial that still runs although nobody runs it was killed: it failed, and its settings are next in line."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={"retries": trial.number})


def _objective(args: SignTrainingArguments) -> tuple[str, str]:
    """Name of the measure that trials are compared by, and its direction."""
    metric = str(args.metric_for_best_model).removeprefix("eval_")
    if metric not in (*METRICS, "loss"):
        raise ValueError(f"metric_for_best_model is {metric!r}; validation measures {', '.join(METRICS)}, loss.")
    return f"eval_{metric}", "minimize" if metric == "loss" else "maximize"


def _without_model(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not name.startswith("model.")}


def _with_model(model_args: ModelArguments, values: Mapping[str, Any]) -> ModelArguments:
    tried = copy.copy(model_args)
    own = {name.removeprefix("model."): value for name, value in values.items() if name.startswith("model.")}
    tried.model = {**model_args.model, **own}
    return tried


def _trainer(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, space: Mapping[str, Any],
    splits: DatasetDict,
) -> Trainer:  # fmt: skip
    args = copy.copy(args)
    args.eval_strategy = type(args.eval_strategy)("epoch")
    args.save_strategy = type(args.save_strategy)("no")  # a search leaves settings, not weights
    args.load_best_model_at_end = False
    set_seed(args.seed)
    train, names = splits["train"], label_names(splits["train"])
    processor = new_processor(model_args, train)
    new_model(model_args, processor, train, names)  # a mistake in the settings shows before the wait
    if model_args.standardize:
        measure_features(processor, train)
    averages, mixes = (name in space or getattr(args, name) > 0 for name in ("ema_decay", "mixup_alpha"))
    augmenter = augmenter_of(data_args, chance=mixes or args.feature_dropout > 0)
    clips = ClipDataset(train, processor, augmenter, args.seed, feature_dropout=args.feature_dropout)
    collate = ClipCollator(processor, len(names), args.mixup_alpha)

    def model_init(trial: optuna.Trial | None) -> PreTrainedModel:
        collate.mixup_alpha = args.mixup_alpha  # the Trainer has set the trial's by now
        return new_model(
            model_args if trial is None else _with_model(model_args, suggest(trial, space)), processor, train, names
        )

    return _SearchTrainer(
        model_init=model_init,
        args=args,
        train_dataset=clips,
        eval_dataset=ClipDataset(splits["validation"], processor),
        data_collator=collate,
        processing_class=processor,
        compute_metrics=validation_metrics,
        callbacks=[SetEpoch(clips), *([WeightAverage()] if averages else [])],
    )


def study_picture(study: optuna.Study, path: Path, metric: str) -> Path:
    """PNG of the search: what each trial was worth, and how much each setting mattered (from two finished trials on)."""
    import warnings

    from matplotlib import pyplot
    from optuna.visualization import matplotlib as charts
    from PIL import Image

    pictures = []
    with (
        warnings.catch_warnings(),
        pyplot.rc_context(),
    ):  # Optuna calls its charts experimental, and sets a style for good
        warnings.simplefilter("ignore")
        history = charts.plot_optimization_history(study, target_name=metric)
        history.legend(loc="lower right")
        history.xaxis.get_major_locator().set_params(integer=True)
        drawn = [history]
        values = {trial.value for trial in study.trials if trial.value is not None}
        if len(values) > 1 and len(study.best_params) > 1:
            drawn.append(charts.plot_param_importances(study, target_name=metric))
        for axes in drawn:
            axes.figure.set_size_inches(8, 5)
            axes.figure.tight_layout()
            buffer = io.BytesIO()
            axes.figure.savefig(buffer, format="png", dpi=120)
            pyplot.close(axes.figure)
            pictures.append(np.asarray(Image.open(buffer).convert("RGB")))
    whole = io.BytesIO()
    Image.fromarray(np.concatenate(pictures, axis=1)).save(whole, format="PNG")
    atomic_write(path, lambda stream: stream.write(whole.getvalue()))
    return path


def write_best(
    study: optuna.Study, path: Path, model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments
) -> Path:
    """YAML with the settings of the best trial and everything else that the search was started with."""
    best = study.best_trial
    trained = {**_changed(_with_model(model_args, best.params), ModelArguments())}
    trained |= _changed(data_args, DataArguments())
    trained |= _changed(args, SignTrainingArguments())
    trained |= _without_model(best.params) | {"output_dir": str(Path(args.output_dir) / "best")}
    text = (
        f"# Trial {best.number} of {len(finished_trials(study))}: {best.value:.4f} on the validation split. Written by "
        "recipes/tune_isolated.py.\n" + yaml.safe_dump(trained, sort_keys=False, allow_unicode=True)
    )
    atomic_write(path, lambda stream: stream.write(text.encode()))
    return path


# What follows from other arguments, or is nobody else's business.
_NOT_WRITTEN = ("output_dir", "logging_dir", "run_name", "hub_token", "push_to_hub", "push_to_hub_token")


def _changed(group: Any, default: Any) -> dict[str, Any]:
    """The arguments of a group that are not at their default, as plain values."""
    changed = {}
    for one in fields(group):
        value, usual = (
            getattr(getattr(owner, one.name), "value", getattr(owner, one.name)) for owner in (group, default)
        )
        if one.init and value != usual and one.name not in _NOT_WRITTEN and not one.name.startswith("_"):
            changed[one.name] = value
    return changed
