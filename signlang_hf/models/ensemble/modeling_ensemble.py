"""Ensemble of keypoint models with an optional XGBoost meta-learner. Self-contained: it travels to the Hub beside its members.

Design decisions:

* One ``input_values`` tensor serves all members although their clips differ in length and features: their features lie side by
  side, followed by one column for each member that is 1 in its own frames. So an ensemble is fed, padded and batched like any
  other model.
* The members' logits are added up with one weight each (a logarithmic opinion pool, Hinton 2002: probabilities multiply). The
  booster starts from that sum and learns what is still wrong with it: without trees it *is* the vote.
* The sum is returned as it is and not as log-probabilities, whose energy is 0 for every clip: how large logits are tells unknown signs.
* The booster sees embeddings as similarities to the mean embedding of every class. The axes of an embedding mean something
  else in every training, but a booster learns from the embeddings of out-of-fold models and is then shown those of the final one;
  a class is the same for both.
* Trees are constant almost everywhere, so gradients through the vote alone are the gradients of the whole.
* Members keep their own folders, written and read by the Auto classes; no other family is imported. Only the class means
  are weights of the ensemble itself. Nothing is pickled: the booster is XGBoost's binary JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from transformers import AutoModelForVideoClassification, PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_ensemble import SignEnsembleConfig

BOOSTER = "booster.ubj"
"""File of the booster in an ensemble's folder."""
WEIGHTS = "model.safetensors"
"""File of the class means, beside it."""
# Arguments of from_pretrained that say where the files are, and those that transformers adds for itself.
_WHERE = ("cache_dir", "force_download", "local_files_only", "revision", "token")
_INTERNAL = (
    "_commit_hash",
    "_from_auto",
    "_from_pipeline",
    "adapter_kwargs",
    "code_revision",
    "proxies",
    "resume_download",
)


@dataclass
class SignEnsembleOutput(ModelOutput):
    """Output of an ensemble: ``loss`` (with labels), ``logits`` (B, num_labels) whose softmax is the probabilities, ``embedding``
    (B, embedding_size), and each member's own logits, ``member_logits`` (B, members, num_labels)."""

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    embedding: torch.FloatTensor | None = None
    member_logits: torch.FloatTensor | None = None


class SignClassMeans(nn.Module):
    """Where the clips of each class lie among a member's embeddings, measured on the clips that it was trained on.

    Args:
        mean: (D,) mean of the classes' mean embeddings.
        directions: (C, D) from there to the mean embedding of each class, length 1; 0 for a class without clips.
    """

    def __init__(self, mean: torch.Tensor, directions: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions)

    @classmethod
    def measure(cls, embeddings: torch.Tensor, labels: torch.Tensor, num_labels: int) -> SignClassMeans:
        """From (N, D) embeddings of clips with (N,) class indices."""
        chosen = F.one_hot(labels, num_labels).to(embeddings.dtype)
        counts = chosen.sum(0)
        means = chosen.T @ embeddings / counts.clamp(min=1)[:, None]
        mean = means[counts > 0].mean(0)
        return cls(mean, F.normalize(means - mean, dim=1) * (counts > 0)[:, None])

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """(B, D) → (B, C): cosine of the angle to each class, as seen from the mean."""
        return F.normalize(embedding.float() - self.mean.float(), dim=-1) @ self.directions.float().T


def booster_features(member_logits: torch.Tensor, similarities: torch.Tensor) -> torch.Tensor:
    """What the booster sees of a clip: every member's log-probabilities, then its similarities to the classes.

    Args:
        member_logits: (B, members, C).
        similarities: (B, members, C), see :class:`SignClassMeans`.

    Returns:
        (B, 2 · members · C)
    """
    return torch.cat([member_logits.float().log_softmax(-1).flatten(1), similarities.float().flatten(1)], dim=1)


def import_xgboost() -> Any:
    """The module. Raises ImportError that says how to install it."""
    try:
        import xgboost
    except ImportError:
        raise ImportError('The booster of an ensemble needs xgboost: pip install "signlang-hf[ensemble]"') from None
    return xgboost


class SignEnsembleForSignClassification(PreTrainedModel):
    """Trained keypoint models that answer together. :meth:`from_members` makes one, ``from_pretrained`` loads one.

    Args:
        config: its settings.
        members: name → classifier, for the names in ``config.members``; all with the ensemble's labels, in whatever order.
        booster: ``xgboost.Booster`` over :func:`booster_features`, if ``config.booster``.
        class_means: name → :class:`SignClassMeans`, with a booster.

    Raises:
        ValueError: parts that do not belong together, in one sentence.
    """

    config_class = SignEnsembleConfig
    main_input_name = "input_values"
    supports_gradient_checkpointing = True
    # Without this the Trainer would take over the loss scaling and multiply it by the accumulation steps.
    accepts_loss_kwargs = False
    _supports_sdpa = True

    def __init__(
        self,
        config: SignEnsembleConfig,
        members: Mapping[str, PreTrainedModel] | None = None,
        booster: Any = None,
        class_means: Mapping[str, SignClassMeans] | None = None,
    ) -> None:
        super().__init__(config)
        if not members or set(members) != set(config.members):
            raise ValueError(
                f"An ensemble is made of trained members ({', '.join(config.members) or 'none is named'}), and got "
                f"{', '.join(members or ()) or 'none'}; recipes/train_ensemble.py trains one, from_members() puts one together."
            )
        self.members = nn.ModuleList(members[name] for name in config.members)
        self.orders = [self._order(name, member.config) for name, member in zip(config.members, self.members)]
        self.booster = booster
        self.class_means = None
        if booster is not None:
            without = [name for name in config.members if name not in (class_means or {})]
            if without:
                raise ValueError(
                    f"The booster needs class means of every member, and has none of {', '.join(without)}."
                )
            self.class_means = nn.ModuleList(class_means[name] for name in config.members)
            _check_booster(booster, config)
        self.post_init()

    def _order(self, name: str, member: PretrainedConfig) -> list[int]:
        """Place of each of the ensemble's labels among the member's."""
        own = {str(label): int(index) for index, label in member.id2label.items()}
        wanted = [str(self.config.id2label[index]) for index in range(self.config.num_labels)]
        if set(own) != set(wanted):
            differing = sorted(set(own) ^ set(wanted))
            shown = ", ".join(differing[:4]) + (" …" if len(differing) > 4 else "")
            raise ValueError(
                f"Member '{name}' knows {len(own)} labels and the ensemble {len(wanted)}, and they differ in {shown}; all members "
                "must know the same labels."
            )
        if member.input_size != self.config.input_sizes[self.config.members.index(name)]:
            raise ValueError(
                f"Member '{name}' takes {member.input_size} features a frame, the ensemble was saved with one that takes "
                f"{self.config.input_sizes[self.config.members.index(name)]}."
            )
        return [own[label] for label in wanted]

    @classmethod
    def from_members(
        cls,
        members: Mapping[str, PreTrainedModel],
        *,
        weights: Sequence[float] | None = None,
        booster: Any = None,
        class_means: Mapping[str, SignClassMeans] | None = None,
        **settings: Any,
    ) -> SignEnsembleForSignClassification:
        """An ensemble of trained classifiers; without a booster a soft vote.

        Args:
            members: name → classifier; the first one's order of labels is the ensemble's unless ``id2label`` gives another.
            weights: how much each one's logits count; default: those of the calibrated members alike.
            booster, class_means: what training gives, see ``signlang_hf.training.stacking``.
            **settings: of :class:`SignEnsembleConfig`.
        """
        configs = [member.config for member in members.values()]
        if not configs:
            raise ValueError("An ensemble needs at least one member.")
        if weights is None:
            weights = [1 / (len(configs) * one.logit_temperature) for one in configs]
        labels = {"id2label": dict(configs[0].id2label), "label2id": dict(configs[0].label2id)}
        config = cls.config_class(
            members=list(members),
            input_sizes=[one.input_size for one in configs],
            embedding_size=sum(one.embedding_size for one in configs),
            member_weights=weights,
            booster=booster is not None,
            **{**labels, **settings},
        )
        return cls(config, members, booster, class_means).eval()

    def init_weights(self) -> None:
        """Nothing: the members bring their weights."""

    def get_input_embeddings(self) -> nn.Module:
        return self.members[0].get_input_embeddings()

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> SignEnsembleOutput:
        """
        Args:
            input_values: (B, T, F) float features, as :class:`SignEnsembleProcessor` makes them.
            attention_mask: (B, T), 1 for real frames and 0 for padding; default all real.
            labels: (B,) class indices, or (B, num_labels) shares of classes; with them the output has a cross-entropy ``loss``.

        Raises:
            ValueError: features of another length, or a label that the model does not have.
        """
        outputs = [member(*given) for member, given in zip(self.members, self._apart(input_values, attention_mask))]
        member_logits = torch.stack([one.logits.float()[:, order] for one, order in zip(outputs, self.orders)], dim=1)
        weights = torch.tensor(self.config.member_weights, device=member_logits.device)
        logits = (weights[:, None] * member_logits).sum(1)
        if self.booster is not None:
            similarities = torch.stack([means(one.embedding) for means, one in zip(self.class_means, outputs)], dim=1)
            logits = logits + self._correction(booster_features(member_logits, similarities))
        return SignEnsembleOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            embedding=torch.cat([one.embedding for one in outputs], dim=-1),
            member_logits=member_logits,
        )

    def _apart(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each member's own features and mask, cut to its longest clip."""
        sizes = self.config.input_sizes
        if input_values.shape[-1] != self.config.input_size:
            raise ValueError(
                f"The ensemble takes {self.config.input_size} features a frame and got {input_values.shape[-1]}; "
                "use the processor that was saved with it."
            )
        features, present = input_values.split([sum(sizes), len(sizes)], dim=-1)
        masks = present > 0.5
        if attention_mask is not None:
            masks = masks & attention_mask.bool().unsqueeze(-1)
        apart = []
        for own, mask in zip(features.split(sizes, dim=-1), masks.unbind(-1)):
            longest = max(1, int(mask.any(0).sum()))
            apart.append((own[:, :longest], mask[:, :longest].long()))
        return apart

    def _correction(self, features: torch.Tensor) -> torch.Tensor:
        """What the trees add to the logits: (B, C)."""
        zero = torch.zeros(len(features), self.config.num_labels)  # given, or XGBoost starts from class frequencies
        rows = import_xgboost().DMatrix(features.detach().cpu().numpy(), base_margin=zero.numpy())
        return torch.from_numpy(self.booster.predict(rows, output_margin=True)).reshape(zero.shape).to(features.device)

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if labels.ndim == 1:
            low, high = labels.min().item(), labels.max().item()
            if low < 0 or high >= self.config.num_labels:
                raise ValueError(
                    f"Labels run from {low} to {high}; the model has labels 0 to {self.config.num_labels - 1}."
                )
        elif labels.shape != logits.shape:
            raise ValueError(f"Mixed labels have shape {tuple(labels.shape)}; the logits have {tuple(logits.shape)}.")
        return F.cross_entropy(logits, labels)

    def save_pretrained(
        self, save_directory: str | os.PathLike, *args: Any, push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """As in transformers: the configuration, each member in its sub-folder, and the booster with the class means."""
        folder = os.fspath(save_directory)
        hub = {
            name: kwargs.pop(name) for name in ("repo_id", "commit_message", "private", "create_pr") if name in kwargs
        }
        kwargs.pop("state_dict", None)  # of the whole; every member writes its own
        for name, member in zip(self.config.members, self.members):
            member.save_pretrained(os.path.join(folder, self.config.folder(name)), *args, **kwargs)
        weights = {} if self.class_means is None else self.class_means.state_dict()
        for path in (os.path.join(folder, BOOSTER), os.path.join(folder, WEIGHTS)):
            if os.path.isfile(path):  # of an ensemble that lay here before
                os.remove(path)
        super().save_pretrained(folder, *args, state_dict=weights, **kwargs)
        if self.booster is not None:
            half = os.path.join(folder, f"tmp-{os.getpid()}-{BOOSTER}")
            self.booster.save_model(half)
            os.replace(half, os.path.join(folder, BOOSTER))
        if push_to_hub:
            repo_id = hub.pop("repo_id", os.path.basename(os.path.normpath(folder)))
            self.push_to_hub(repo_id, token=kwargs.get("token"), **hub)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike,
        *args: Any,
        config: PretrainedConfig | None = None,
        subfolder: str = "",
        **kwargs: Any,
    ) -> SignEnsembleForSignClassification:
        """As in transformers; ``dtype``, ``device_map``, ``attn_implementation`` … hold for every member.

        Raises:
            FileNotFoundError: a member, the booster or its class means are missing.
            ValueError: parts that do not belong together.
            ImportError: there is a booster and no xgboost.
        """
        where = {name: kwargs.pop(name) for name in _WHERE if kwargs.get(name) is not None}
        for name in _INTERNAL:
            kwargs.pop(name, None)
        folder = os.fspath(pretrained_model_name_or_path)
        if not os.path.isdir(folder):
            # All files at once: transformers looks for a member's code in the root of a repository, but in a local folder beside it.
            patterns = ["*.json", "*.py", "*.safetensors", "*.ubj"]
            folder = snapshot_download(folder, allow_patterns=patterns, **where)
        folder = os.path.join(folder, subfolder) if subfolder else folder
        if config is None:
            config, kwargs = cls.config_class.from_pretrained(folder, return_unused_kwargs=True, **kwargs)
        if getattr(config, "_attn_implementation", None) is not None:  # the Auto class moved it there
            kwargs.setdefault("attn_implementation", config._attn_implementation)
        members = {}
        for name in config.members:
            path = _existing(folder, config.folder(name), f"It names the members {', '.join(config.members)}")
            members[name] = AutoModelForVideoClassification.from_pretrained(path, **kwargs)
        booster = class_means = None
        if config.booster:
            booster = load_booster(_existing(folder, BOOSTER, "Its configuration names a booster"))
            tensors = load_file(_existing(folder, WEIGHTS, "Its booster needs class means"))
            class_means = {
                name: SignClassMeans(tensors[f"{index}.mean"], tensors[f"{index}.directions"])
                for index, name in enumerate(config.members)
                if f"{index}.mean" in tensors
            }
        return cls(config, members, booster, class_means).eval()


def _existing(folder: str, name: str, why: str) -> str:
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        raise FileNotFoundError(f"The ensemble in {folder} is not complete: {name} is missing. {why}.")
    return path


def load_booster(path: str) -> Any:
    xgboost = import_xgboost()
    booster = xgboost.Booster()
    try:
        booster.load_model(path)
    except xgboost.core.XGBoostError:
        raise ValueError(f"{path} is not a booster that xgboost {xgboost.__version__} can read.") from None
    booster.set_param({"device": "cpu"})  # a few clips at a time are not worth a way to the GPU
    return booster


def _check_booster(booster: Any, config: SignEnsembleConfig) -> None:
    """Raise ValueError unless the booster was trained on such members and such labels."""
    classes = int(json.loads(booster.save_config())["learner"]["learner_model_param"]["num_class"])
    if classes != config.num_labels:
        raise ValueError(
            f"The booster tells {classes} classes apart and the ensemble has {config.num_labels} labels; they do not belong together."
        )
    expected = 2 * len(config.members) * config.num_labels
    if booster.num_features() != expected:
        raise ValueError(
            f"The booster takes {booster.num_features()} features and {len(config.members)} members give {expected}; "
            "it was trained on other members."
        )


__all__ = ["SignClassMeans", "SignEnsembleForSignClassification", "SignEnsembleOutput", "booster_features"]
