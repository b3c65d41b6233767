"""Model and dataset cards, and the way to the Hub.

Design decisions:

* A card is written from facts: what a saved folder says about itself (labels, architecture, processor) and measured
  :class:`~signlang_hf.training.results.ResultRow` s. The templates in ``hub_cards/`` know no model by name.
* ``model-index`` holds the results of this model only; baselines stand beside them in the table, where they can be compared.
* A push is one commit of model, processor and card, so that no revision is ever half a model. Pickled files
  (``*.bin``, ``*.pt``), training checkpoints and logs stay at home.
* The token is asked for its owner before anything is made on the Hub; what goes wrong is said in one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .data.loading import dataset_facts
from .data.parquet import task_categories
from .data.rows import COLUMN_MEANINGS
from .landmarks.files import atomic_write
from .training.results import ResultRow, installed_versions, results_table, unit_of

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from huggingface_hub import DatasetCard, HfApi, ModelCard

# Our metric names → the ids of https://huggingface.co/metrics, where they differ.
_HUB_METRICS = {
    "top1": "accuracy", "macro_f1": "f1", "gloss_wer": "wer", "bleu4": "bleu", "chrf++": "chrf",
}  # fmt: skip
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
_PROCESSORS = ("processor_config.json", "preprocessor_config.json")
_LEFT_AT_HOME = (
    ".*", "*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.tmp", "checkpoint-*", "runs", "__pycache__",
    "trainer_state.json", "run_settings.json",  # may name folders of this machine
    "predictions.npz", "predictions.jsonl",  # and these the people whose clips were tested on, or a corpus's text
)  # fmt: skip

_CITATION = f"""@software{{signlang_hf,
  title = {{signlang\\_hf: sign language for the Hugging Face ecosystem}},
  version = {{{__version__}}},
  license = {{Apache-2.0}}
}}"""


@dataclass(frozen=True)
class TrainingData:
    """A dataset that a model was trained on: its name, licence, where it is (``url``, ``hub_id``) and a line about it."""

    name: str
    licence: str
    url: str | None = None
    hub_id: str | None = None
    description: str = ""


@dataclass
class CardInfo:
    """What a model card says. :meth:`from_folder` fills in what a saved model says about itself, its task included.

    Args:
        name: title of the card and name in ``model-index``.
        repo_id: ``org/name`` on the Hub, or the local folder; what the code examples load.
        bundled: the model comes with the package, under ``name``.
        licence: licence of the weights, as the Hub spells it.
        task: pipeline of the example; ``pipeline_tag`` is the Hub's own task, ``auto_class`` the Auto class that loads it.
        summary: a sentence or two on what the model is.
        labels: what it recognises.
        sign_languages: ISO 639-3 codes of the sign languages in the training data (``ase``, ``gsg`` …).
        architecture, parameters: class name and number of parameters; ``base_model``: what an adapter adapts, by its Hub id.
        preprocessing: settings of the processor.
        datasets: what it was trained on.
        training: hyperparameters worth telling; ``command`` trains it again.
        results: measured rows of this model; ``baselines``: rows of other methods on the same splits.
        limits: known limits beyond those that hold for every sign-language model.
        example: Python expression of something that the pipeline takes; ``example_input``: that the processor takes.
        hardware, duration: what the training ran on and for how long.
        versions: software it was trained with; default: what is installed.
        citation: BibTeX.
    """

    name: str
    repo_id: str = ""
    bundled: bool = False
    licence: str = "apache-2.0"
    task: str = "sign-recognition"
    pipeline_tag: str = "video-classification"
    auto_class: str = "AutoModelForVideoClassification"
    summary: str = ""
    labels: Sequence[str] = ()
    sign_languages: Sequence[str] = ()
    architecture: str = ""
    parameters: int | None = None
    base_model: str = ""
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    datasets: Sequence[TrainingData] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    results: Sequence[ResultRow] = ()
    baselines: Sequence[ResultRow] = ()
    limits: Sequence[str] = ()
    example: str = '"clip.mp4"'
    example_input: str = 'signlang_hf.load_landmarks("clip.npz")'
    hardware: str = ""
    duration: str = ""
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    citation: str = _CITATION

    @classmethod
    def from_folder(cls, folder: str | Path, **facts: Any) -> CardInfo:
        """Facts of a saved model folder: labels, architecture, Auto class, number of parameters, processor settings.

        Args:
            folder: what ``save_pretrained`` wrote. No weights are loaded.
            **facts: fields of the card; they win over what the folder says.

        Raises:
            FileNotFoundError: no such folder, or no ``config.json`` in it.
        """
        folder = Path(folder)
        config = _read_json(_existing(folder) / "config.json")
        found: dict[str, Any] = {"name": folder.name, "repo_id": folder.as_posix()}
        found["labels"] = [
            label for _, label in sorted((config.get("id2label") or {}).items(), key=lambda x: int(x[0]))
        ]
        found["architecture"] = next(iter(config.get("architectures") or []), "")
        heads = [name for name in config.get("auto_map", {}) if name.startswith("AutoModelFor")]
        if heads:
            found["auto_class"] = heads[0]
        found["parameters"] = _parameters(folder)
        settings = next((_read_json(folder / name) for name in _PROCESSORS if (folder / name).is_file()), {})
        settings = settings.get("feature_extractor") or settings
        found |= _of_sentences(settings) | _of_pictures(config) | _of_frames(config)
        settings = settings.get("recognizer", settings)
        found["preprocessing"] = {name: value for name, value in settings.items() if _is_telling(name, value)}
        return cls(**found | facts)


def _of_sentences(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the processor's settings say of a model of sentences; nothing of one of single signs."""
    if "source_vocabulary" in settings:
        glosses = repr([gloss for gloss in settings["source_vocabulary"] if not gloss.startswith("<")][:3])
        return {
            "task": "gloss-translation", "pipeline_tag": "translation", "auto_class": "AutoModelForSeq2SeqLM",
            "summary": "Writes a sentence of a spoken language for the glosses of a signed one.",
            "example": glosses, "example_input": glosses,
        }  # fmt: skip
    vocabulary = settings.get("recognizer", settings).get("vocabulary")
    if vocabulary is None:
        return {}
    glosses = vocabulary[2:]  # after the blank and the unknown gloss
    reads = f"Reads the glosses of a signed sentence, {len(glosses)} of them, off landmarks or video"
    if "recognizer" in settings:
        return {
            "task": "sign-translation", "pipeline_tag": "video-text-to-text", "auto_class": "AutoModelForSeq2SeqLM",
            "summary": f"{reads}, and writes the sentence that they make.", "labels": glosses,
        }  # fmt: skip
    return {
        "task": "continuous-sign-recognition", "pipeline_tag": "video-text-to-text", "auto_class": "AutoModelForCTC",
        "summary": f"{reads}, each with its time.", "labels": glosses,
    }  # fmt: skip


def _of_pictures(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the configuration says of a model that finds points in pictures; nothing of any other."""
    points = config.get("keypoints")
    if points is None:
        return {}
    return {
        "task": "sign-keypoint-detection", "pipeline_tag": "keypoint-detection", "auto_class": "AutoModelForKeypointDetection",
        "summary": f"Finds {len(points)} points of a person in a picture, with a score for each.", "labels": points,
        "example": '"photo.jpg"', "example_input": '"photo.jpg"',
    }  # fmt: skip


def _of_frames(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the configuration says of a language model that sees frames; nothing of any other."""
    if config.get("model_type") != "signlang_internvl":
        return {}
    base = config["base"]
    return {
        "summary": f"Answers with the sign that a video shows: a LoRA adapter for the video language model {base}, which it needs.",
        "base_model": base, "example_input": '"clip.mp4"',
    }  # fmt: skip


@dataclass
class DatasetCardInfo:
    """What a dataset card says.

    Args:
        name: title.
        licence: licence as the Hub spells it.
        repo_id: ``org/name`` on the Hub, or the local folder.
        summary: a sentence or two on what it is.
        sign_languages: ISO 639-3 codes of the sign languages.
        splits: rows of each split.
        labels: classes, where rows have one.
        columns: column → what it holds.
        layout: name of the landmark layout.
        signers: number of signers, if known; ``split_rule``: how the splits were made ("no signer is in two splits").
        source, source_url: where the recordings come from.
        processing: how the landmarks were made.
        limits: known limits and who is missing.
        anchors: published results to compare with.
        task_categories: tasks as the Hub spells them.
        citation: BibTeX of the source.
    """

    name: str
    licence: str
    repo_id: str = ""
    summary: str = ""
    sign_languages: Sequence[str] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    labels: Sequence[str] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    layout: str = ""
    signers: int | None = None
    split_rule: str = ""
    source: str = ""
    source_url: str = ""
    processing: str = ""
    limits: Sequence[str] = ()
    anchors: Sequence[str] = ()
    task_categories: Sequence[str] = ("video-classification",)
    citation: str = ""

    @classmethod
    def from_dataset(cls, dataset: Dataset | DatasetDict, **facts: Any) -> DatasetCardInfo:
        """What a loaded dataset says about itself, and its builder about it.

        Args:
            dataset: splits of landmark rows, or one of them.
            **facts: fields of the card; they win. ``name`` and ``licence`` are needed where no builder states them.

        Raises:
            ValueError: nobody says what the dataset is called, or its licence.
        """
        splits = dict(dataset) if isinstance(dataset, Mapping) else {str(dataset.split or "train"): dataset}
        first = next(iter(splits.values()))
        known = dataset_facts(first.info.builder_name)
        signed = [split for split in splits.values() if "signer" in split.column_names]  # pictures name their source
        signers = {signer for split in signed for signer in split.unique("signer") if signer is not None}
        found: dict[str, Any] = {
            "splits": {name: len(split) for name, split in splits.items()},
            "labels": getattr(first.features.get("label"), "names", ()),
            "columns": {name: COLUMN_MEANINGS[name] for name in first.column_names if name in COLUMN_MEANINGS},
            "layout": str(first[0].get("layout") or "") if len(first) else "",
            "task_categories": task_categories(first.features),
            "summary": first.info.description,
            "source_url": first.info.homepage,
            "citation": first.info.citation,
            "licence": first.info.license,
        }
        if known is not None:
            stated = ("split_rule", "processing", "limits", "anchors", "sign_languages", "signers")
            found |= {name: getattr(known, name) for name in stated}
            found |= {"name": known.title, "source": known.title}
        if signers:
            found["signers"] = len(signers)
        card = {name: value for name, value in (found | facts).items() if value not in (None, "", (), [])}
        missing = [name for name in ("name", "licence") if name not in card]
        if missing:
            raise ValueError(f"Nothing states the dataset's {' and '.join(missing)}; give {missing[0]}=.")
        return cls(**card)


def model_card(info: CardInfo) -> ModelCard:
    """The card of a model, with the results as ``model-index``."""
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    results = [
        EvalResult(
            task_type=info.pipeline_tag,
            task_name=info.task,
            dataset_type=row.benchmark or info.task,
            dataset_name=row.benchmark or info.task,
            dataset_split=row.split,
            metric_type=_HUB_METRICS.get(row.metric, row.metric),
            metric_name=row.metric,
            metric_value=float(row.value),
        )
        for row in info.results
        if unit_of(row.metric) in ("rate", "open rate", "score")
    ]
    data = ModelCardData(
        license=info.licence,
        library_name="transformers",
        pipeline_tag=info.pipeline_tag,
        language=list(info.sign_languages) or None,
        datasets=[data.hub_id for data in info.datasets if data.hub_id] or None,
        base_model=info.base_model or None,
        tags=["sign-language", "signlang_hf", info.task],
        **({"model_name": info.name, "eval_results": results} if results else {}),
    )
    rows = [*info.results, *info.baselines]
    table = results_table(rows) if rows else ""
    return ModelCard.from_template(data, template_path=_template("model_card.md.jinja"), info=info, table=table)


def dataset_card(info: DatasetCardInfo) -> DatasetCard:
    """The card of a dataset."""
    from huggingface_hub import DatasetCard, DatasetCardData

    total = sum(info.splits.values())
    data = DatasetCardData(
        license=info.licence,
        language=list(info.sign_languages) or None,
        pretty_name=info.name,
        task_categories=list(info.task_categories),
        size_categories=next((name for bound, name in _SIZES if total < bound), "n>1M") if total else None,
        tags=["sign-language", "landmarks", "signlang_hf"],
    )
    return DatasetCard.from_template(data, template_path=_template("dataset_card.md.jinja"), info=info, total=total)


def save_model_card(folder: str | Path, info: CardInfo | None = None, **facts: Any) -> Path:
    """Write the card of the model in ``folder`` as its ``README.md``.

    Args:
        folder: a saved model.
        info: what the card says; default: :meth:`CardInfo.from_folder`, with ``facts`` on top.
    """
    if info is None:
        info = CardInfo.from_folder(folder, **facts)
    elif facts:
        raise ValueError(f"Give the card's facts in info or by name, not both ({', '.join(facts)}).")
    return _write_card(folder, model_card(info))


def save_dataset_card(folder: str | Path, info: DatasetCardInfo) -> Path:
    """Write the card of the dataset in ``folder`` as its ``README.md``."""
    return _write_card(folder, dataset_card(info))


def push_to_hub(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    commit_message: str = "Upload model with signlang_hf",
) -> str:
    """Upload a model folder (model, processor, card) to the Hub as one commit; the repository and branch are made if missing.

    Code examples on the card that load the local folder load ``repo_id`` in the uploaded copy.

    Args:
        folder: a saved model with its processor and its card.
        repo_id: ``org/name``, or ``name`` under the token's owner.
        private: make a new repository private; refused where it exists and is public.
        revision: branch; default ``main``.
        token: Hub token; default: the one of ``hf auth login`` or ``HF_TOKEN``.
        commit_message: first line of the commit.

    Returns:
        URL of the commit.

    Raises:
        FileNotFoundError: no such folder, or its model, processor or card is missing.
        PermissionError: no token, or one that is not valid or may not write there.
        ConnectionError: offline mode, or the Hub does not answer.
        ValueError: the Hub refused the upload for another reason.
    """
    from huggingface_hub import CommitOperationAdd

    files = _complete_model(Path(folder))
    api, repo = open_repo(repo_id, private=private, revision=revision, token=token)
    with _one_sentence(f"Pushing to {repo} failed"):
        card = files.pop("README.md").read_text(encoding="utf-8").replace(f'"{Path(folder).as_posix()}"', f'"{repo}"')
        # Not upload_folder, which may cut a folder into several commits.
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()]
        operations.append(CommitOperationAdd(path_in_repo="README.md", path_or_fileobj=card.encode()))
        return api.create_commit(repo, operations, commit_message=commit_message, revision=revision).commit_url


def open_repo(
    repo_id: str, *, private: bool = False, revision: str | None = None, token: str | None = None
) -> tuple[HfApi, str]:
    """Make the model repository and its branch, or find them: before a long training, too, to know that it can be pushed.

    Returns:
        the API with its token, and the repository's full name.

    Raises:
        PermissionError, ConnectionError, ValueError: as :func:`push_to_hub`.
    """
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise ConnectionError(f"Cannot push to {repo_id} in offline mode; unset HF_HUB_OFFLINE.")
    token = token or get_token()
    if not token:
        raise PermissionError("Pushing needs a Hub token: run 'hf auth login', set HF_TOKEN or pass token=.")
    api = HfApi(token=token, library_name="signlang_hf", library_version=__version__)
    with _one_sentence(f"{api.endpoint} did not answer"):
        api.whoami()
    with _one_sentence(f"Pushing to {repo_id} failed"):
        repo = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if private and not api.model_info(repo).private:
            raise ValueError(f"{repo} exists and is public; make it private on the Hub first or push without private.")
        if revision not in (None, "main"):
            api.create_branch(repo, branch=revision, exist_ok=True)
    return api, repo


@contextmanager
def _one_sentence(what: str) -> Iterator[None]:
    """Errors of the Hub as one sentence; those of this side pass as they are."""
    try:
        yield
    except Exception as error:  # requests, httpx and their kin share no base class across huggingface_hub's versions
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None and isinstance(error, (ValueError, FileNotFoundError)):
            raise
        if status == 401:
            raise PermissionError("The Hub does not accept this token; run 'hf auth login' or pass another.") from error
        if status == 403:
            raise PermissionError(f"{what}: the token has no right to write there.") from error
        if status is not None:
            raise ValueError(f"{what}: the Hub answered {status}, {_last_line(error)}.") from error
        raise ConnectionError(f"{what}: {_last_line(error)}.") from error


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".")  # where huggingface_hub puts what the server said


def _files(folder: Path) -> dict[str, Path]:
    """Path in the repository → file, of everything that belongs to the model."""
    files = {}
    for path in sorted(_existing(folder).rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(fnmatch(part, pattern) for part in name.parts for pattern in _LEFT_AT_HOME):
            files[name.as_posix()] = path
    return files


def _complete_model(folder: Path) -> dict[str, Path]:
    """The files of a model folder. Raises FileNotFoundError that says what is missing."""
    files = _files(folder)
    needed = {
        "config.json": any(name == "config.json" for name in files),
        "weights (*.safetensors)": any(name.endswith((".safetensors", ".onnx", ".tflite")) for name in files),
        "a processor (processor.save_pretrained writes it)": any(name in files for name in _PROCESSORS),
        "a card (signlang_hf.hub.save_model_card writes it)": "README.md" in files,
    }
    missing = [what for what, there in needed.items() if not there]
    if missing:
        raise FileNotFoundError(f"{folder} is not a complete model folder; it lacks {' and '.join(missing)}.")
    return files


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError(f"Folder not found: {folder}")
    return folder


def _write_card(folder: str | Path, card: Any) -> Path:
    path = _existing(Path(folder)) / "README.md"
    atomic_write(path, lambda stream: stream.write(str(card).encode()))
    return path


def _template(name: str) -> str:
    """A card template: in an installed package it lies inside it, in a checkout beside it."""
    here = Path(__file__).resolve().parent
    return str(next(path for path in (here / "hub_cards" / name, here.parent / "hub_cards" / name) if path.is_file()))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} is not a model folder: it has no {path.name}.")
    return json.loads(path.read_text(encoding="utf-8"))


def _parameters(folder: Path) -> int | None:
    """Number of parameters by the headers of the weights files, those of a composite's members included."""
    from safetensors import safe_open

    total = 0
    for path in (path for name, path in _files(folder).items() if name.endswith(".safetensors")):
        with safe_open(path, framework="np") as weights:
            total += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return total or None


def _is_telling(name: str, value: Any) -> bool:
    """Whether a processor's setting is worth a line on the card: no bookkeeping, nothing unset, no long tables."""
    if value is None or name in ("auto_map", "return_attention_mask") or name.endswith(("_class", "_type")):
        return False
    return isinstance(value, (str, int, float)) or (isinstance(value, list) and len(value) <= 12)
