"""signlang_ensemble: the common checks, its parts, its folder, and what cannot go together."""

from __future__ import annotations

import builtins
import functools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from common import TOLERANCE, SignModelTests
from keypoint_models import LABELS, clip
from safetensors.torch import save_file
from stub_hub import serve_hub  # noqa: F401  makes the fixture 'stub_hub' known here
from tiny_model import same_result
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForVideoClassification, AutoProcessor, pipeline

from signlang_hf import (
    SignEnsembleConfig,
    SignEnsembleForSignClassification,
    SignEnsembleProcessor,
    SignKeypointProcessor,
    SignTransformerConfig,
    SignTransformerForSignClassification,
)
from signlang_hf.models.ensemble import SignClassMeans
from signlang_hf.models.ensemble.modeling_ensemble import booster_features

xgboost = pytest.importorskip("xgboost")

SIZES = {"upper": 12, "hands": 7}
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "embedding_size": 8, "hidden_dropout": 0.0}


def member(input_size: int, seed: int = 0, labels: dict[int, str] = LABELS, **changes: Any) -> Any:
    """A tiny classifier whose clips get clearly different scores."""
    torch.manual_seed(seed)
    names = {"id2label": labels, "label2id": {name: index for index, name in labels.items()}}
    config = SignTransformerConfig(**{**TINY, "input_size": input_size, "initializer_range": 0.3, **names, **changes})
    return SignTransformerForSignClassification(config).eval()


@functools.cache
def booster(classes: int = 4, members: int = 2, trees: int = 6) -> Any:
    """A booster over random features, strong enough to change answers."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(400, 2 * members * classes)), rng.integers(0, classes, 400)
    rows = xgboost.DMatrix(features, label=labels, base_margin=np.zeros((400, classes)))
    return xgboost.train({"objective": "multi:softprob", "num_class": classes, "eta": 0.5, "max_depth": 3}, rows, trees)


def class_means(seed: int = 0) -> SignClassMeans:
    generator = torch.Generator().manual_seed(seed)
    return SignClassMeans.measure(torch.randn(40, 8, generator=generator), torch.arange(40) % 4, 4)


def ensemble(with_booster: bool = True, sizes: dict[str, int] = SIZES, **changes: Any) -> Any:
    parts = {"booster": booster(), "class_means": {name: class_means() for name in sizes}} if with_booster else {}
    members = {name: member(size, seed, **changes) for seed, (name, size) in enumerate(sizes.items())}
    return SignEnsembleForSignClassification.from_members(members, weights=[0.7, 1.2], **parts)


def processors() -> dict[str, SignKeypointProcessor]:
    """Two members that see a clip differently: another layout, other features, another clock, another length."""
    return {
        "upper": SignKeypointProcessor(layout="isl-48"),
        "hands": SignKeypointProcessor(
            layout="hands-42", features=["position", "velocity"], normalization="centroid", target_fps=10, max_frames=8
        ),
    }


def save(folder: Path, with_booster: bool = True) -> tuple[Any, SignEnsembleProcessor]:
    """A folder of an ensemble that was made for its processor."""
    made_for = processors()
    model = ensemble(with_booster, {name: one.feature_size for name, one in made_for.items()})
    processor = SignEnsembleProcessor(made_for)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, SignEnsembleProcessor]:
    """A saved ensemble with a booster: folder (only to be read), model, processor."""
    folder = tmp_path_factory.mktemp("ensemble") / "saved"
    return folder, *save(folder)


class TestSignEnsemble(SignModelTests):
    config_class = SignEnsembleConfig
    model_class = SignEnsembleForSignClassification
    auto_class = "AutoModelForVideoClassification"
    pipeline_task = "sign-recognition"
    exemptions: ClassVar[dict[str, str]] = {
        "test_base_model_loads_from_the_same_folder": "an ensemble has no encoder of its own; each member's is in its folder",
        "test_remote_code_without_the_library": "an ensemble has no AutoModel; the rest of the check is in its own test file",
        "test_onnx_equals_torch_at_another_size": "the trees of XGBoost are outside torch's graph; members export one by one",
        "test_generation_with_cache_equals_without": "a classifier generates nothing",
    }

    def model(self, **changes: Any) -> SignEnsembleForSignClassification:
        return ensemble(**changes)

    def config(self, **changes: Any) -> SignEnsembleConfig:
        return self.model(**changes).config

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        features = torch.randn(batch, frames, sum(SIZES.values()), generator=torch.Generator().manual_seed(frames))
        return {"input_values": torch.cat([features, torch.ones(batch, frames, len(SIZES))], dim=-1)}

    def labels(self, batch: int = 3) -> torch.Tensor:
        return torch.arange(batch) % 4

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        return torch.arange(batch) + 2

    def save_with_processor(self, model: Any, folder: Path) -> list[Any]:
        save(folder)
        return [clip(20), clip(7, 1), clip(31, 2)]


# ------------------------------------------------------------------------------------------------------- what it computes


@pytest.mark.parametrize("with_booster", [False, True])
def test_it_answers_as_its_parts_say(tmp_path, with_booster):
    model, processor = save(tmp_path, with_booster)
    clips = [clip(20), clip(5, 1), clip(40, 2)]
    with torch.no_grad():
        output = model(**processor(clips, return_tensors="pt"))
        alone = [one(**own(clips, return_tensors="pt")) for one, own in zip(model.members, processors().values())]
    expected = 0.7 * alone[0].logits + 1.2 * alone[1].logits
    if with_booster:
        features = booster_features(
            torch.stack([one.logits for one in alone], 1),
            torch.stack([class_means()(one.embedding) for one in alone], 1),
        )
        rows = xgboost.DMatrix(features.numpy(), base_margin=expected.numpy())
        corrected = torch.from_numpy(booster().predict(rows, output_margin=True))
        assert not torch.allclose(corrected, expected, atol=0.1)
        expected = corrected
    torch.testing.assert_close(output.logits, expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(
        output.member_logits, torch.stack([one.logits for one in alone], 1), atol=TOLERANCE, rtol=0
    )
    torch.testing.assert_close(output.embedding, torch.cat([one.embedding for one in alone], 1), atol=TOLERANCE, rtol=0)
    assert output.embedding.shape == (3, model.config.embedding_size)


def test_members_may_have_their_labels_in_another_order():
    turned = {index: LABELS[3 - index] for index in LABELS}
    one, other = member(12), member(12, labels=turned)
    model = SignEnsembleForSignClassification.from_members({"one": one, "other": other}, weights=[0, 1])
    values = torch.randn(2, 5, 12)
    inputs = torch.cat([values, values, torch.ones(2, 5, 2)], -1)
    with torch.no_grad():
        torch.testing.assert_close(model(inputs).logits, other(values).logits.flip(1))
    named = SignEnsembleForSignClassification.from_members(
        {"one": one}, id2label=turned, label2id={name: index for index, name in turned.items()}
    )
    with torch.no_grad():
        torch.testing.assert_close(named(inputs[..., [*range(12), -1]]).logits, one(values).logits.flip(1))


def test_members_count_alike_once_they_are_calibrated():
    members = {"one": member(12, logit_temperature=2.0), "other": member(7)}
    assert SignEnsembleForSignClassification.from_members(members).config.member_weights == [0.25, 0.5]


def test_class_means_do_not_depend_on_the_axes_of_an_embedding():
    torch.manual_seed(0)
    embeddings, labels = torch.randn(60, 8) + 2, torch.arange(60) % 5
    rotation = torch.linalg.qr(torch.randn(8, 8)).Q
    new = torch.randn(7, 8) + 2
    plain = SignClassMeans.measure(embeddings, labels, 5)(new)
    turned = SignClassMeans.measure(3 * embeddings @ rotation + 1, labels, 5)(3 * new @ rotation + 1)
    torch.testing.assert_close(turned, plain, atol=1e-5, rtol=0)
    centre = torch.stack([embeddings[labels == index].mean(0) for index in range(5)])
    assert (SignClassMeans.measure(embeddings, labels, 5)(centre).argmax(1) == torch.arange(5)).all()


def test_a_class_without_clips_is_similar_to_nothing():
    similar = SignClassMeans.measure(torch.randn(20, 8), torch.arange(20) % 3, 4)(torch.randn(5, 8))
    assert (similar[:, 3] == 0).all() and (similar[:, :3] != 0).all()


def test_loss_of_mixed_labels_is_the_mix_of_losses():
    model, inputs = ensemble(), TestSignEnsemble().inputs()
    one, other = torch.tensor([0, 1, 2]), torch.tensor([3, 3, 0])
    shares = 0.3 * torch.nn.functional.one_hot(one, 4) + 0.7 * torch.nn.functional.one_hot(other, 4)
    expected = 0.3 * model(**inputs, labels=one).loss + 0.7 * model(**inputs, labels=other).loss
    torch.testing.assert_close(model(**inputs, labels=shares).loss, expected)


# ---------------------------------------------------------------------------------------------------------- processor


def test_features_lie_side_by_side_and_say_how_far_each_clip_goes():
    processor = SignEnsembleProcessor(processors())
    upper, hands = (one.extract(clip(20)) for one in processors().values())
    values = processor.extract(clip(20))
    assert values.shape == (20, upper.shape[1] + hands.shape[1] + 2) == (20, processor.feature_size)
    np.testing.assert_array_equal(values[:, : upper.shape[1]], upper)
    np.testing.assert_array_equal(values[: len(hands), upper.shape[1] : -2], hands)
    assert len(hands) == 8 and (values[8:, upper.shape[1] : -2] == 0).all()
    np.testing.assert_array_equal(values[:, -2:].sum(0), [20, 8])


def test_the_processor_takes_what_its_members_take():
    processor = SignEnsembleProcessor(processors())
    assert processor.layout == "isl-48"
    batch = processor([clip(20), clip(5, 1)], return_tensors="pt")
    assert batch["input_values"].shape == (2, 20, processor.feature_size)
    assert batch["attention_mask"].sum(1).tolist() == [20, 5]
    assert processor(clip(4), padding="max_length", return_tensors="np")["input_values"].shape[1] == 64
    array = clip(6).data
    np.testing.assert_array_equal(processor.extract(array)[:, :144], processor.members["upper"].extract(array))
    with pytest.raises(ValueError, match="no clip in the batch"):
        processor([])


def test_the_processor_survives_saving(saved):
    folder, _, processor = saved
    for auto in (AutoFeatureExtractor, AutoProcessor):
        again = auto.from_pretrained(folder)
        assert type(again) is SignEnsembleProcessor and list(again.members) == ["upper", "hands"]
        assert again.to_dict() == processor.to_dict()
        np.testing.assert_array_equal(again.extract(clip(9)), processor.extract(clip(9)))
    alone = AutoFeatureExtractor.from_pretrained(folder / "member-hands")
    assert alone.to_dict() == again.members["hands"].to_dict()


def test_processors_that_cannot_be():
    with pytest.raises(ValueError, match="needs the processors of its members"):
        SignEnsembleProcessor({})
    with pytest.raises(ValueError, match="member 'a' is a NoSuchProcessor, which is not known here"):
        SignEnsembleProcessor({"a": {"feature_extractor_type": "NoSuchProcessor"}})


# ------------------------------------------------------------------------------------------------------------- folder


def test_one_folder_holds_everything_and_no_pickle(saved):
    folder, *_ = saved
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "config.json",
        "preprocessor_config.json",
        "booster.ubj",
        "model.safetensors",
        "modeling_ensemble.py",
    } <= files
    for name in SIZES:
        own = {"config.json", "model.safetensors", "preprocessor_config.json", "modeling_transformer.py"}
        assert {f"member-{name}/{file}" for file in own} <= files
        assert (
            "AutoModelForVideoClassification"
            in json.loads((folder / f"member-{name}/config.json").read_text())["auto_map"]
        )
    assert {Path(file).suffix for file in files} == {".json", ".py", ".safetensors", ".ubj"}
    assert type(AutoConfig.from_pretrained(folder)) is SignEnsembleConfig


def test_a_member_is_a_model_folder_of_its_own(saved):
    folder, model, _ = saved
    result = pipeline("sign-recognition", model=str(folder / "member-upper"))(clip(12))
    with torch.no_grad():
        logits = model.members[0](**processors()["upper"](clip(12), return_tensors="pt")).logits
    assert result[0]["score"] == pytest.approx(float(logits.softmax(-1).max()), abs=1e-5)


def test_a_vote_needs_no_booster_and_leaves_none_behind(saved, tmp_path, monkeypatch):
    shutil.copytree(saved[0], tmp_path / "ensemble")
    save(tmp_path / "ensemble", with_booster=False)
    assert not (tmp_path / "ensemble/booster.ubj").exists() and not (tmp_path / "ensemble/model.safetensors").exists()
    without_xgboost(monkeypatch)
    model = AutoModelForVideoClassification.from_pretrained(tmp_path / "ensemble")
    assert model.booster is None and model.class_means is None


def test_settings_can_be_changed_when_loading(saved):
    model = AutoModelForVideoClassification.from_pretrained(
        saved[0], unknown_threshold=0.4, dtype=torch.bfloat16, attn_implementation="eager"
    )
    assert model.config.unknown_threshold == 0.4
    assert {one.dtype for one in model.members} == {torch.bfloat16}
    assert {one.config._attn_implementation for one in model.members} == {"eager"}
    direct = SignEnsembleForSignClassification.from_pretrained(saved[0], unknown_threshold=0.4)
    assert direct.config.unknown_threshold == 0.4 and direct.dtype == torch.float32
    assert pipeline("sign-recognition", model=direct, feature_extractor=saved[2])(clip(9))


def test_the_pipeline_saves_it_whole(saved, tmp_path):
    pipe = pipeline("sign-recognition", model=str(saved[0]))
    pipe.save_pretrained(tmp_path)
    again = pipeline("sign-recognition", model=str(tmp_path))
    assert again(clip(15)) == pipe(clip(15))


def test_remote_code_without_the_library(saved, tmp_path):
    folder, model, processor = saved
    inputs = processor([clip(12), clip(30, 1)], return_tensors="pt")
    np.savez(tmp_path / "inputs.npz", **{name: value.numpy() for name, value in inputs.items()})
    script = """
import sys; sys.modules["signlang_hf"] = None
import numpy as np, torch
from transformers import AutoModelForVideoClassification
inputs = {name: torch.from_numpy(value) for name, value in np.load(sys.argv[2]).items()}
model = AutoModelForVideoClassification.from_pretrained(sys.argv[1], trust_remote_code=True, dtype=torch.float32)
for one in (model, *model.members):
    assert type(one).__module__.startswith("transformers_modules"), type(one)
with torch.no_grad():
    np.savez(sys.argv[3], logits=model(**inputs).logits.numpy())
model.save_pretrained(sys.argv[4])
"""
    environment = {**os.environ, "PYTHONPATH": "", "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    arguments = [str(folder), *(str(tmp_path / name) for name in ("inputs.npz", "outputs.npz", "again"))]
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, *arguments],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    with torch.no_grad():
        expected = model(**inputs).logits.numpy()
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npz")["logits"], expected, atol=TOLERANCE)
    assert (tmp_path / "again/member-upper/modeling_transformer.py").is_file()


def test_to_the_hub_and_back(saved, tmp_path, stub_hub):
    folder, model, processor = saved
    code = f"""
        import json, os, sys, torch
        import signlang_hf
        from huggingface_hub import HfApi
        from transformers import AutoFeatureExtractor, AutoModelForVideoClassification, pipeline
        clip = signlang_hf.load_landmarks("clip.npz")
        model = AutoModelForVideoClassification.from_pretrained({str(folder)!r})
        model.push_to_hub("org/ensemble")
        AutoFeatureExtractor.from_pretrained({str(folder)!r}).push_to_hub("org/ensemble")
        print(json.dumps(pipeline("sign-recognition", model="org/ensemble")(clip)))
        again = AutoModelForVideoClassification.from_pretrained("org/ensemble", revision="main", token=True)
        assert [type(one).__name__ for one in again.members] == ["SignTransformerForSignClassification"] * 2
        model.save_pretrained("there", push_to_hub=True, repo_id="org/other")
    """
    clip(11).save(tmp_path / "clip.npz")
    done = stub_hub.run(textwrap.dedent(code), tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    files = stub_hub.repos["org/ensemble"].files()
    assert {"booster.ubj", "member-upper/model.safetensors", "member-hands/preprocessor_config.json"} <= set(files)
    assert "member-hands/model.safetensors" in stub_hub.repos["org/other"].files()
    (answer,) = [line for line in done.stdout.splitlines() if line.startswith("[{")]
    same_result(json.loads(answer), pipeline("sign-recognition", model=model, feature_extractor=processor)(clip(11)))

    offline = """
        import json, sys
        sys.modules["signlang_hf"] = None
        import torch
        from transformers import AutoModelForVideoClassification
        model = AutoModelForVideoClassification.from_pretrained("org/ensemble", trust_remote_code=True)
        assert type(model.members[0]).__module__.startswith("transformers_modules")
        assert torch.isfinite(model(torch.ones(1, 3, model.config.input_size)).logits).all()
    """
    done = stub_hub.run(textwrap.dedent(offline), tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr[-3000:]


# ------------------------------------------------------------------------------------------------------ what cannot be


def broken(saved: Any, folder: Path) -> Path:
    return Path(shutil.copytree(saved[0], folder / "broken"))


def without_xgboost(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "xgboost":
            raise ImportError("No module named 'xgboost'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("member-hands", "broken is not complete: member-hands is missing. It names the members upper, hands.$"),
        ("booster.ubj", "broken is not complete: booster.ubj is missing. Its configuration names a booster.$"),
        ("model.safetensors", "broken is not complete: model.safetensors is missing. Its booster needs class means.$"),
    ],
)
def test_a_folder_that_lacks_a_part_says_which(saved, tmp_path, missing, message):
    path = broken(saved, tmp_path) / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=message) as caught:
        AutoModelForVideoClassification.from_pretrained(tmp_path / "broken")
    assert "\n" not in str(caught.value)


def test_a_booster_of_another_class_count(saved, tmp_path):
    booster(classes=3).save_model(broken(saved, tmp_path) / "booster.ubj")
    with pytest.raises(
        ValueError, match="booster tells 3 classes apart and the ensemble has 4 labels; they do not belong"
    ):
        AutoModelForVideoClassification.from_pretrained(tmp_path / "broken")


def test_a_booster_of_other_members(saved, tmp_path):
    booster(members=3).save_model(broken(saved, tmp_path) / "booster.ubj")
    with pytest.raises(ValueError, match="takes 24 features and 2 members give 16; it was trained on other members"):
        AutoModelForVideoClassification.from_pretrained(tmp_path / "broken")


def test_a_booster_without_class_means(saved, tmp_path):
    save_file(
        {"0.mean": torch.zeros(8), "0.directions": torch.zeros(4, 8)}, broken(saved, tmp_path) / "model.safetensors"
    )
    with pytest.raises(ValueError, match="needs class means of every member, and has none of hands"):
        AutoModelForVideoClassification.from_pretrained(tmp_path / "broken")


def test_a_booster_that_is_none(saved, tmp_path):
    (broken(saved, tmp_path) / "booster.ubj").write_text("no booster")
    with pytest.raises(ValueError, match=r"booster\.ubj is not a booster that xgboost [\d.]+ can read\.$"):
        AutoModelForVideoClassification.from_pretrained(tmp_path / "broken")


def test_members_with_different_labels(saved, tmp_path):
    stranger = member(processors()["hands"].feature_size, labels={**LABELS, 3: "tomorrow"})
    stranger.save_pretrained(broken(saved, tmp_path) / "member-hands")
    with pytest.raises(
        ValueError, match="Member 'hands' knows 4 labels and the ensemble 4, and they differ in today, tomorrow;"
    ):
        AutoModelForVideoClassification.from_pretrained(tmp_path / "broken")


def test_a_member_that_was_replaced_by_one_with_other_features(saved, tmp_path):
    member(5).save_pretrained(broken(saved, tmp_path) / "member-hands")
    with pytest.raises(
        ValueError, match="Member 'hands' takes 5 features a frame, the ensemble was saved with one that takes 252"
    ):
        AutoModelForVideoClassification.from_pretrained(tmp_path / "broken")


def test_without_xgboost_one_line_says_what_to_install(saved, monkeypatch):
    without_xgboost(monkeypatch)
    for load in (
        AutoModelForVideoClassification.from_pretrained,
        lambda path: pipeline("sign-recognition", model=str(path)),
    ):
        with pytest.raises(
            ImportError, match=r'^The booster of an ensemble needs xgboost: pip install "signlang-hf\[ensemble\]"$'
        ):
            load(saved[0])


def test_an_ensemble_is_not_made_from_settings_alone():
    with pytest.raises(ValueError, match="made of trained members"):
        AutoModelForVideoClassification.from_config(SignEnsembleConfig())
    with pytest.raises(ValueError, match="at least one member"):
        SignEnsembleForSignClassification.from_members({})


def test_features_of_another_length_say_so():
    with pytest.raises(
        ValueError, match="takes 21 features a frame and got 5; use the processor that was saved with it"
    ):
        ensemble()(torch.randn(1, 4, 5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": ["a/b"], "input_sizes": [3]}, "'a/b' cannot name a folder"),
        ({"members": ["a", "a"], "input_sizes": [3, 3]}, "same name: a, a"),
        ({"members": ["a", "b"], "input_sizes": [3]}, "1 input_sizes for 2 members"),
        ({"members": ["a"], "input_sizes": [3], "member_weights": [-1]}, "none may be negative"),
        ({"members": ["a"], "input_sizes": [3], "member_weights": [0]}, "one must be positive"),
        ({"logit_temperature": 0.0}, "must be positive"),
        ({"unknown_score": "distance"}, "'probability', 'logit' or 'energy'"),
    ],
)
def test_impossible_settings_say_so(settings, message):
    with pytest.raises(ValueError, match=message):
        SignEnsembleConfig(**settings)
