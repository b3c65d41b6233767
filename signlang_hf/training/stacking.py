"""Train an ensemble: its members, what they say about clips that they have not seen, and who decides between them.

Design decisions:

* Proper stacking (Wolpert 1992): the training clips are divided into inner folds, every member is trained once without each fold, and
  who decides learns from what these models say about the fold that they were trained without. So it never sees an answer to a clip
  by a model that was trained on that clip, and since all of it happens inside the training split, nothing has seen a test clip.
* No signer stands in two inner folds where signers are known, because the answers are to be like those to a new signer.
* First the **vote**: one weight a member, so that the weighted sum of their logits has the least cross-entropy on these answers. It
  holds every single member and every calibration of it as a special case, and so few numbers are not overfitted. Then the
  **booster** learns what is still wrong with the vote, see :mod:`.boosting`; where nothing can be learned it is left out.
* On DGS-30 and ISL-30, with small members, the vote was at least as good as its best member and left the booster nothing to add: out
  of fold all 200 rounds of trees raised the cross-entropy, and a booster that started from nothing was worse than the vote.
* The members that answer in the end are trained on all training clips.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from transformers import PreTrainedModel, SequenceFeatureExtractor
from transformers.utils import logging

from ..compat import move_output
from ..models.ensemble import SignClassMeans, SignEnsembleForSignClassification, SignEnsembleProcessor
from ..models.ensemble.modeling_ensemble import booster_features, import_xgboost
from .boosting import BoosterSettings, best_num_trees, train_booster
from .building import saved_model, saved_processor
from .calibration import calibrate
from .checkpoints import RESULTS, claim, write_json
from .clips import ClipCollator, ClipDataset
from .ensemble_arguments import MemberArguments
from .evaluation import label_names, label_positions, write_test
from .isolated import IsolatedResult, train_isolated

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.get_logger(__name__)

RUNS = "runs"
"""Sub-folder with the trainings of the members; neither pushed nor counted."""


@dataclass
class EnsembleResult:
    """What one ensemble measured; the fields that it shares with :class:`.isolated.IsolatedResult` mean the same.

    Args:
        metrics, baseline: of the ensemble and of the nearest neighbour on the test split; empty without one.
        training: ``minutes`` of all trainings together, and ``parameters``.
        folder: where everything was written.
        members: name → metrics of each member alone.
        stack: who decides, and how it was chosen: ``weights``, ``num_trees``, and on the out-of-fold answers ``accuracy`` of each
            member and of the ensemble.
        calibration: :class:`.calibration.Calibration` as a dictionary; empty for an ensemble that was not calibrated.
    """

    metrics: dict[str, float]
    baseline: dict[str, float]
    training: dict[str, float]
    folder: Path
    members: dict[str, dict[str, float]]
    stack: dict[str, Any]
    calibration: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stack:
    """Who decides between members.

    Args:
        weights: (members,) of their logits.
        booster: corrects the weighted sum, or None.
        num_trees: its rounds.
        logits: (N, C) of the ensemble for the clips it was chosen on, by boosters that had not seen them.
    """

    weights: np.ndarray
    booster: Any
    num_trees: int
    logits: np.ndarray


def inner_folds(rows: Dataset, num_folds: int, seed: int = 0) -> np.ndarray:
    """Which fold each row belongs to, (N,): whole signers where all are known and there are two, else every class in its share.

    Args:
        rows: training clips.
        num_folds: at most so many; there are not more than signers.
        seed: of the shuffle.
    """
    signers = list(rows["signer"]) if "signer" in rows.column_names else [None]
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    if None not in signers and len(set(signers)) > 1:
        names, index, counts = np.unique(np.array(signers, str), return_inverse=True, return_counts=True)
        place, filled = np.empty(len(names), int), np.zeros(min(num_folds, len(names)))
        for signer in np.argsort(-counts, kind="stable"):  # the busiest first, each to the emptiest fold
            place[signer] = np.argmin(filled)
            filled[place[signer]] += counts[signer]
        return place[index]
    labels = np.array(list(rows["label"]))
    fold = np.empty(len(rows), int)
    fold[shuffled[np.argsort(labels[shuffled], kind="stable")]] = np.arange(len(rows)) % num_folds
    return fold


def vote_weights(member_logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights, none negative, with which the sum of the members' logits has the least cross-entropy.

    The targets are Platt's (1999), 1 − 1 / (N + 2) for the true label, so that members who are always right do not get endless
    weight. Cross-entropy is convex in the weights.

    Args:
        member_logits: (N, members, C).
        labels: (N,) class indices.

    Returns:
        (members,)
    """
    doubt = 1 / (len(labels) + 2)
    targets = (1 - doubt) * np.eye(member_logits.shape[2])[labels] + doubt / member_logits.shape[2]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.einsum("m,nmc->nc", weights, member_logits)
        slope = np.einsum("nc,nmc->m", softmax(logits, axis=1) - targets, member_logits)
        return float((logsumexp(logits, axis=1) - (targets * logits).sum(1)).mean()), slope / len(labels)

    equal = np.full(member_logits.shape[1], 1 / member_logits.shape[1])
    found = minimize(loss, equal, jac=True, bounds=[(0, None)] * len(equal), method="L-BFGS-B").x
    return found if found.any() else equal  # no member knows anything


def fit_stack(
    member_logits: np.ndarray,
    similarities: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    settings: BoosterSettings | None,
) -> Stack:
    """Choose weights, and train the booster.

    Args:
        member_logits: (N, members, C) out-of-fold answers.
        similarities: (N, members, C) of the same models' embeddings to their classes, see :class:`SignClassMeans`.
        labels: (N,) class indices.
        folds: (N,) inner folds.
        settings: of the booster; None leaves it out.

    Raises:
        ValueError: no class has clips in two folds, so nothing can be learned from the answers.
    """
    present = np.zeros((folds.max() + 1, member_logits.shape[2]), bool)
    present[folds, labels] = True
    # A class of one fold only was unknown to the model that answered.
    taught = present.sum(0)[labels] > 1
    if not taught.any():
        raise ValueError("No sign is in two inner folds; leave them out with --inner_folds 0.")
    if not taught.all():
        logger.warning(
            f"{len(set(labels[~taught]))} classes are in one inner fold only; nothing is learned from their answers."
        )
    member_logits, similarities, labels, folds = (part[taught] for part in (member_logits, similarities, labels, folds))
    weights = vote_weights(member_logits, labels)
    logits = np.einsum("m,nmc->nc", weights, member_logits).astype(np.float32)
    if settings is None:
        return Stack(weights, None, 0, logits)
    features = booster_features(torch.from_numpy(member_logits), torch.from_numpy(similarities)).numpy()
    num_trees, corrected = best_num_trees(features, labels, logits, folds, settings)
    booster = train_booster(features, labels, logits, settings, num_trees) if num_trees else None
    return Stack(weights, booster, num_trees, corrected)


def train_ensemble(
    members: Mapping[str, MemberArguments],
    splits: DatasetDict,
    folder: str | Path,
    *,
    num_folds: int = 5,
    booster: BoosterSettings | None = BoosterSettings(),  # noqa: B008 - frozen
) -> EnsembleResult:
    """Train an ensemble on ``train``; members choose on ``validation`` where it exists; report on ``test`` where it exists.

    Writes into ``folder``: the ensemble with its processor, ``results.json`` and, with a test split, ``predictions.npz``,
    ``confusion_matrix.png`` and ``per_class.csv``; and into ``folder/runs`` every training.
    Resumes; what is finished is read. So another booster on the same members costs no training.

    Args:
        members: name → the three argument groups of its training, as ``train_isolated`` takes them; their output folders are
            passed over.
        splits: as :func:`.splits.load_splits` gives them.
        folder: where everything goes.
        num_folds: inner folds; 0 for none, and a vote of equal, calibrated members.
        booster: settings of the booster; None for a vote.

    Raises:
        ValueError: settings that do not fit each other, the data or the runs that the folder holds.
        ImportError: xgboost is missing; found out before training.
    """
    if not members:
        raise ValueError("An ensemble needs at least one member.")
    if num_folds == 1 or num_folds < 0:
        raise ValueError(f"There are {num_folds} inner folds; there must be at least 2, or 0 for an equal vote.")
    if booster is not None and num_folds:
        import_xgboost()
    folder = Path(folder)
    args = next(iter(members.values()))[2]
    train, names = splits["train"], label_names(splits["train"])
    with args.main_process_first():
        claim(
            folder,
            {"members": {name: groups[0].model_type for name, groups in members.items()}, "num_folds": num_folds},
        )
    folds = inner_folds(train, num_folds, args.seed) if num_folds else None
    final, answers, minutes = {}, [], 0.0
    for name, groups in members.items():
        final[name] = _train(groups, folder / RUNS / name / "all", splits)
        minutes += final[name].training["minutes"]
        if folds is not None:
            found, spent = _out_of_fold(groups, folder / RUNS / name, splits, folds)
            answers.append(found)
            minutes += spent
    if not args.should_save:  # one process decides
        return EnsembleResult({}, {}, {}, folder, {}, {})

    labels = np.array(list(train["label"]))
    stack = None
    if folds is not None:
        logits, similarities = (np.stack(parts, axis=1) for parts in zip(*answers))
        stack = fit_stack(logits, similarities, labels, folds, booster)
    model, processor = _assemble({name: result.folder for name, result in final.items()}, train, names, stack)
    calibration: dict[str, Any] = {}
    if all(groups[0].calibrate for groups in members.values()):
        calibration = asdict(calibrate(model, processor, splits["validation"], splits.get("unknown")))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    result = EnsembleResult(
        metrics=write_test(model, processor, splits["test"], folder)[0] if "test" in splits else {},
        baseline=next(iter(final.values())).baseline,
        training={"minutes": round(minutes, 4), "parameters": model.num_parameters()},
        folder=folder,
        members={name: one.metrics for name, one in final.items()},
        stack={} if stack is None else _account(stack, dict(zip(final, answers)), labels),
        calibration=calibration,
    )
    write_json(folder / RESULTS, {key: value for key, value in vars(result).items() if key != "folder"})
    return result


def _train(groups: MemberArguments, folder: Path, splits: DatasetDict) -> IsolatedResult:
    model_args, data_args, args = groups
    args = copy.copy(args)
    args.push_to_hub = False
    move_output(args, str(folder))
    return train_isolated(model_args, data_args, args, splits)


def _out_of_fold(
    groups: MemberArguments, folder: Path, splits: DatasetDict, folds: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray] | None, float]:
    """Logits and similarities (N, C) of every training clip by the model that was trained without its fold, and the minutes that the
    trainings took. Processes other than the main one only train."""
    from datasets import DatasetDict

    model_args, data_args, args = groups
    groups = (replace(model_args, calibrate=False), data_args, args)
    train, minutes = splits["train"], 0.0
    logits = np.zeros((len(train), len(label_names(train))), np.float32)
    similarities = np.zeros_like(logits)
    for fold in np.unique(folds):
        seen, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        without = DatasetDict(train=train.select(seen))
        if "validation" in splits:
            without["validation"] = splits["validation"]
        result = _train(groups, folder / f"without-{fold + 1}", without)
        minutes += result.training["minutes"]
        if args.should_save:
            model, processor = saved_model(str(result.folder)), saved_processor(str(result.folder))
            means = _class_means(model, processor, without["train"])
            logits[held_out], embeddings, _ = _answers(model, processor, train.select(held_out))
            similarities[held_out] = means(torch.from_numpy(embeddings)).numpy()
    return ((logits, similarities) if args.should_save else None), minutes


@torch.inference_mode()
def _answers(
    model: PreTrainedModel, processor: SequenceFeatureExtractor, rows: Dataset
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (N, C) in the dataset's order of labels, embeddings (N, D) and labels (N,)."""
    positions = label_positions(model, label_names(rows))
    model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    loader: Any = torch.utils.data.DataLoader(
        ClipDataset(rows, processor), batch_size=32, collate_fn=ClipCollator(processor)
    )
    found: list[tuple[torch.Tensor, ...]] = []
    for batch in loader:
        labels = batch.pop("labels")
        output = model(**{name: value.to(model.device) for name, value in batch.items()})
        found.append((output.logits.float().cpu()[:, positions], output.embedding.float().cpu(), labels))
    return tuple(torch.cat(parts).numpy() for parts in zip(*found))


def _class_means(model: PreTrainedModel, processor: SequenceFeatureExtractor, train: Dataset) -> SignClassMeans:
    logits, embeddings, labels = _answers(model, processor, train)
    return SignClassMeans.measure(torch.from_numpy(embeddings), torch.from_numpy(labels), logits.shape[1])


def _assemble(
    folders: Mapping[str, Path], train: Dataset, names: list[str], stack: Stack | None
) -> tuple[SignEnsembleForSignClassification, SignEnsembleProcessor]:
    models = {name: saved_model(str(folder)) for name, folder in folders.items()}
    processors = {name: saved_processor(str(folder)) for name, folder in folders.items()}
    decides: dict[str, Any] = {}
    if stack is not None:
        decides["weights"] = stack.weights.tolist()
        if stack.booster is not None:
            decides["booster"] = stack.booster
            decides["class_means"] = {name: _class_means(models[name], processors[name], train) for name in models}
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    model = SignEnsembleForSignClassification.from_members(models, **decides, **labels)
    return model, SignEnsembleProcessor(processors)


def _account(stack: Stack, answers: Mapping[str, tuple[np.ndarray, np.ndarray]], labels: np.ndarray) -> dict[str, Any]:
    accuracy = {name: float((logits.argmax(1) == labels).mean()) for name, (logits, _) in answers.items()}
    if len(stack.logits) == len(labels):
        accuracy["ensemble"] = float((stack.logits.argmax(1) == labels).mean())
    weights = {name: round(float(weight), 4) for name, weight in zip(answers, stack.weights)}
    return {"weights": weights, "num_trees": stack.num_trees, "accuracy": accuracy}


__all__ = ["EnsembleResult", "Stack", "fit_stack", "inner_folds", "train_ensemble", "vote_weights"]
